//! One test for each result of `create_accounts`, named after it.

mod table;

use hundi_ledger::CreateAccountStatus;
use table::check;

#[test]
fn created() {
    check(
        "
        account A
        account B flags=history|debits_must_not_exceed_credits user_data_128=max user_data_64=5 user_data_32=6
        account C flags=closed
        balance A => 0/0/0/0
        ",
    );
}

#[test]
fn linked_event_failed() {
    check(
        "
        {
        account A flags=linked          => linked_event_failed
        account B flags=linked ledger=0 => ledger_must_not_be_zero
        account C flags=linked          => linked_event_failed
        account D                       => linked_event_failed
        account E
        }
        account A flags=linked|linked   => linked_event_chain_open
        {
        account A flags=linked
        account B
        account C flags=linked          => linked_event_failed
        account A flags=linked          => exists
        account D                       => linked_event_failed
        }
        ",
    );
}

#[test]
fn linked_event_chain_open() {
    check(
        "
        {
        account A
        account B flags=linked          => linked_event_failed
        account C flags=linked          => linked_event_chain_open
        }
        {
        account B flags=linked code=0   => code_must_not_be_zero
        account C flags=linked          => linked_event_chain_open  # also when the chain is broken
        }
        account B
        ",
    );
}

#[test]
fn imported_event_expected() {
    check(
        "
        time 100
        {
        account A flags=imported timestamp=5
        account B                            => imported_event_expected
        account C timestamp=6                => imported_event_expected  # before anything else
        }
        ",
    );
}

#[test]
fn imported_event_not_expected() {
    check(
        "
        time 100
        {
        account A
        account B flags=imported timestamp=5 => imported_event_not_expected
        }
        ",
    );
}

#[test]
fn timestamp_must_be_zero() {
    check("account A timestamp=1 reserved=1 => timestamp_must_be_zero");
}

#[test]
fn imported_event_timestamp_out_of_range() {
    check(
        "
        account A flags=imported                               => imported_event_timestamp_out_of_range
        account A flags=imported timestamp=9223372036854775808 => imported_event_timestamp_out_of_range
        account A flags=imported timestamp=9223372036854775807 => imported_event_timestamp_must_not_advance
        ",
    );
}

#[test]
fn imported_event_timestamp_must_not_advance() {
    check(
        "
        time 100
        account A flags=imported timestamp=100 reserved=1 => imported_event_timestamp_must_not_advance
        account A flags=imported timestamp=99
        ",
    );
}

#[test]
fn reserved_field() {
    check("account A reserved=1 flags=0x40 => reserved_field");
}

#[test]
fn reserved_flag() {
    check(
        "
        account 0 flags=0x40   => reserved_flag
        account A flags=0x8000 => reserved_flag
        ",
    );
}

#[test]
fn id_must_not_be_zero() {
    check("account 0 ledger=0 => id_must_not_be_zero");
}

#[test]
fn id_must_not_be_int_max() {
    check(
        "
        account max ledger=0 => id_must_not_be_int_max
        account max-1
        ",
    );
}

#[test]
fn exists_with_different_flags() {
    check(
        "
        account A
        account A flags=history user_data_128=1 => exists_with_different_flags
        ",
    );
}

#[test]
fn exists_with_different_user_data_128() {
    check(
        "
        account A
        account A user_data_128=1 user_data_64=1 => exists_with_different_user_data_128
        ",
    );
}

#[test]
fn exists_with_different_user_data_64() {
    check(
        "
        account A user_data_64=7
        account A user_data_32=1 => exists_with_different_user_data_64
        ",
    );
}

#[test]
fn exists_with_different_user_data_32() {
    check(
        "
        account A
        account A user_data_32=1 ledger=2 => exists_with_different_user_data_32
        ",
    );
}

#[test]
fn exists_with_different_ledger() {
    check(
        "
        account A
        account A ledger=2 code=2 => exists_with_different_ledger
        account A ledger=0        => exists_with_different_ledger
        ",
    );
}

#[test]
fn exists_with_different_code() {
    check(
        "
        account A
        account A code=2 debits_posted=1 => exists_with_different_code
        ",
    );
}

#[test]
fn exists() {
    check(
        "
        account A
        account A                     => exists
        account A debits_posted=5     => exists  # balances are not compared
        time 100
        account B flags=imported timestamp=50
        time 110
        account B flags=imported timestamp=60 => exists  # nor is the time
        ",
    );
}

#[test]
fn flags_are_mutually_exclusive() {
    check(
        "
        account A flags=debits_must_not_exceed_credits|credits_must_not_exceed_debits debits_pending=1 => flags_are_mutually_exclusive
        ",
    );
}

#[test]
fn debits_pending_must_be_zero() {
    check("account A debits_pending=1 debits_posted=1 => debits_pending_must_be_zero");
}

#[test]
fn debits_posted_must_be_zero() {
    check("account A debits_posted=1 credits_pending=1 => debits_posted_must_be_zero");
}

#[test]
fn credits_pending_must_be_zero() {
    check("account A credits_pending=1 credits_posted=1 => credits_pending_must_be_zero");
}

#[test]
fn credits_posted_must_be_zero() {
    check("account A credits_posted=1 ledger=0 => credits_posted_must_be_zero");
}

#[test]
fn ledger_must_not_be_zero() {
    check("account A ledger=0 code=0 => ledger_must_not_be_zero");
}

#[test]
fn code_must_not_be_zero() {
    check("account A code=0 flags=imported timestamp=1 => imported_event_timestamp_must_not_advance");
    check("account A code=0 => code_must_not_be_zero");
}

#[test]
fn imported_event_timestamp_must_not_regress() {
    check(
        "
        time 100
        account A flags=imported timestamp=50
        account B flags=imported timestamp=50 => imported_event_timestamp_must_not_regress
        account B flags=imported timestamp=49 => imported_event_timestamp_must_not_regress
        account B flags=imported timestamp=51
        transfer T1 A->B 1 flags=imported timestamp=60
        account C flags=imported timestamp=60 => imported_event_timestamp_must_not_regress  # a transfer has it
        account C flags=imported timestamp=59
        {
        account D flags=imported|linked timestamp=70 => linked_event_failed
        account E flags=imported timestamp=71 code=0 => code_must_not_be_zero
        }
        account D flags=imported timestamp=61        # what was rolled back has no timestamp
        ",
    );
}

/// Each result has a test of its name here.
#[test]
fn every_result_is_tested() {
    let source = include_str!("create_accounts.rs");
    for status in CreateAccountStatus::ALL {
        assert!(source.contains(&format!("#[test]\nfn {status}() {{")), "{status} has no test");
    }
}
