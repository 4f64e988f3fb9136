//! One test for each result of `create_transfers`, named after it.

mod table;

use hundi_ledger::{CreateTransferStatus, Reads, TransferId};
use table::check;

#[test]
fn created() {
    check(
        "
        account A
        account B
        transfer T1 A->B 100
        transfer T2 B->A 0
        pend     T3 A->B 50
        balance  A => 50/100/0/0
        balance  B => 0/0/50/100
        post     T4 T3 30             # the rest is released
        balance  A => 0/130/0/0
        pend     T5 A->B 50
        post     T6 T5 0              # takes nothing
        balance  A => 0/130/0/0
        pend     T7 A->B 50
        void     T8 T7
        balance  B => 0/0/0/130
        pend     T9 A->B 50
        post     T10 T9               # takes all
        balance  B => 0/0/0/180
        pend     T11 A->B max-180     # up to the very end
        post     T12 T11
        balance  B => 0/0/0/340282366920938463463374607431768211455
        ",
    );
}

#[test]
fn a_post_inherits_what_it_leaves_zero() {
    let store = check(
        "
        account A ledger=7
        account B ledger=7
        pend T1 A->B 50 ledger=7 code=9 user_data_128=1 user_data_64=2 user_data_32=3 timeout=60
        post T2 T1 20 user_data_64=8
        ",
    );
    let post = store.lookup_transfers(&[TransferId(2)]).unwrap()[0];
    assert_eq!((post.debit_account_id.0, post.credit_account_id.0, post.amount.0), (1, 2, 20));
    assert_eq!((post.user_data_128, post.user_data_64, post.user_data_32), (1, 8, 3));
    assert_eq!((post.ledger.0, post.code.0, post.timeout, post.pending_id.0), (7, 9, 0, 1));
}

#[test]
fn linked_event_failed() {
    check(
        "
        account A
        account B flags=debits_must_not_exceed_credits
        {
        transfer T1 A->B 10 flags=linked                => linked_event_failed
        transfer T2 B->A 10 flags=linked                => linked_event_failed  # sees what T1 did
        transfer T3 B->A 1  flags=linked                => exceeds_credits
        transfer T4 A->B 10 flags=linked                => linked_event_failed
        transfer T5 A->B 10                             => linked_event_failed
        transfer T6 A->B 7                              # a chain of its own
        }
        balance A => 0/7/0/0
        transfer T3 B->A 1                              => id_already_failed   # burnt though rolled back
        transfer T1 A->B 1                              # not burnt
        {
        pend T7 A->B 5 flags=linked                     => linked_event_failed
        post T8 T7 flags=linked                         => linked_event_failed
        post T9 T7                                      => pending_transfer_already_posted
        }
        balance A => 0/8/0/0
        ",
    );
}

#[test]
fn linked_event_chain_open() {
    check(
        "
        account A
        account B
        {
        transfer T1 A->B 10 flags=linked => linked_event_failed
        transfer T2 A->B 10 flags=linked => linked_event_chain_open
        }
        {
        transfer T1 A->C 10 flags=linked => credit_account_not_found
        transfer T2 A->B 10 flags=linked => linked_event_chain_open
        }
        transfer T3 A->B 10 flags=linked => linked_event_chain_open
        balance A => 0/0/0/0
        ",
    );
}

#[test]
fn imported_event_expected() {
    check(
        "
        account A
        account B
        time 100
        {
        transfer T1 A->B 1 flags=imported timestamp=50
        transfer T2 A->B 1 timestamp=51                => imported_event_expected
        }
        ",
    );
}

#[test]
fn imported_event_not_expected() {
    check(
        "
        account A
        account B
        time 100
        {
        transfer T1 A->B 1
        transfer T2 A->B 1 flags=imported timestamp=51 => imported_event_not_expected
        }
        ",
    );
}

#[test]
fn timestamp_must_be_zero() {
    check("transfer 0 A->B 1 timestamp=1 flags=0x200 => timestamp_must_be_zero");
}

#[test]
fn imported_event_timestamp_out_of_range() {
    check(
        "
        transfer T1 A->B 1 flags=imported                               => imported_event_timestamp_out_of_range
        transfer T1 A->B 1 flags=imported timestamp=9223372036854775808 => imported_event_timestamp_out_of_range
        ",
    );
}

#[test]
fn imported_event_timestamp_must_not_advance() {
    check(
        "
        account A
        account B
        time 100
        transfer 0  A->B 1 flags=imported timestamp=100 => imported_event_timestamp_must_not_advance
        transfer T1 A->B 1 flags=imported timestamp=99
        ",
    );
}

#[test]
fn reserved_flag() {
    check("transfer 0 A->B 1 flags=0x200 => reserved_flag");
}

#[test]
fn id_must_not_be_zero() {
    check("transfer 0 0->0 1 => id_must_not_be_zero");
}

#[test]
fn id_must_not_be_int_max() {
    check("transfer max 0->0 1 => id_must_not_be_int_max");
}

#[test]
fn exists_with_different_flags() {
    check(
        "
        account A
        account B
        transfer T1 A->B 10
        transfer T1 A->B 10 flags=linked           => linked_event_chain_open
        pend     T1 A->B 10 pending=T9 timeout=1   => exists_with_different_flags
        post     T1 T9                             => exists_with_different_flags
        ",
    );
}

#[test]
fn exists_with_different_pending_id() {
    check(
        "
        account A
        account B
        pend     T1 A->B 10
        pend     T2 A->B 10
        post     T3 T1
        post     T3 T2 timeout=1 => exists_with_different_pending_id
        transfer T4 A->B 10
        transfer T4 A->B 10 pending=T1 timeout=1 => exists_with_different_pending_id
        ",
    );
}

#[test]
fn exists_with_different_timeout() {
    check(
        "
        account A
        account B
        pend T1 A->B 10 timeout=1
        pend T1 B->A 10 timeout=2 => exists_with_different_timeout
        ",
    );
}

#[test]
fn exists_with_different_debit_account_id() {
    check(
        "
        account A
        account B
        pend T1 A->B 10
        pend T1 C->D 11          => exists_with_different_debit_account_id
        post T2 T1
        post T2 T1 debit=A       => exists
        post T2 T1 debit=B       => exists_with_different_debit_account_id
        ",
    );
}

#[test]
fn exists_with_different_credit_account_id() {
    check(
        "
        account A
        account B
        pend T1 A->B 10
        pend T1 A->D 11          => exists_with_different_credit_account_id
        void T2 T1
        void T2 T1 credit=B      => exists
        void T2 T1 credit=A      => exists_with_different_credit_account_id
        ",
    );
}

#[test]
fn exists_with_different_amount() {
    check(
        "
        account A
        account B
        transfer T1 A->B 10
        transfer T1 A->B 11 user_data_128=1      => exists_with_different_amount
        pend T2 A->B 10
        post T3 T2 4
        post T3 T2                               => exists_with_different_amount  # all is 10, not 4
        post T3 T2 5                             => exists_with_different_amount
        post T3 T2 4                             => exists
        pend T4 A->B 10
        void T5 T4
        void T5 T4 10                            => exists
        void T5 T4 9                             => exists_with_different_amount
        transfer T6 B->A 100 flags=balancing_debit
        balance B => 0/14/0/14
        transfer T6 B->A 13 flags=balancing_debit => exists_with_different_amount
        ",
    );
}

#[test]
fn exists_with_different_user_data_128() {
    check(
        "
        account A
        account B
        pend T1 A->B 10 user_data_128=1
        pend T1 A->B 10 user_data_128=2 user_data_64=1 => exists_with_different_user_data_128
        post T2 T1 user_data_128=5
        post T2 T1                                     => exists_with_different_user_data_128  # zero means 1
        post T2 T1 user_data_128=5                     => exists
        ",
    );
}

#[test]
fn exists_with_different_user_data_64() {
    check(
        "
        account A
        account B
        pend T1 A->B 10 user_data_64=1
        pend T1 A->B 10 user_data_64=2 user_data_32=1 => exists_with_different_user_data_64
        post T2 T1
        post T2 T1 user_data_64=1                     => exists
        post T2 T1 user_data_64=2                     => exists_with_different_user_data_64
        ",
    );
}

#[test]
fn exists_with_different_user_data_32() {
    check(
        "
        account A
        account B
        pend T1 A->B 10 user_data_32=1
        pend T1 A->B 10 user_data_32=2 ledger=2 => exists_with_different_user_data_32
        void T2 T1 user_data_32=3
        void T2 T1                              => exists_with_different_user_data_32
        ",
    );
}

#[test]
fn exists_with_different_ledger() {
    check(
        "
        account A
        account B
        pend T1 A->B 10
        pend T1 A->B 10 ledger=2 code=2 => exists_with_different_ledger
        post T2 T1
        post T2 T1 ledger=1             => exists
        post T2 T1 ledger=2             => exists_with_different_ledger
        ",
    );
}

#[test]
fn exists_with_different_code() {
    check(
        "
        account A
        account B
        pend T1 A->B 10
        pend T1 A->B 10 code=2 => exists_with_different_code
        post T2 T1
        post T2 T1 code=1      => exists
        post T2 T1 code=2      => exists_with_different_code
        ",
    );
}

#[test]
fn exists() {
    check(
        "
        account A
        account B
        transfer T1 A->B 10
        transfer T1 A->B 10                                => exists
        transfer T2 A->B 5
        transfer T3 B->A 9 flags=balancing_debit           # 9 of 15
        transfer T3 B->A 9 flags=balancing_debit           => exists
        transfer T3 B->A 50 flags=balancing_debit          => exists
        pend T4 A->B 10 timeout=1
        post T5 T4
        wait 5
        post T5 T4                                         => exists  # also after its time
        balance A => 0/25/0/9
        {
        transfer T6 A->B 1 flags=linked                    => linked_event_failed
        transfer T1 A->B 10                                => exists  # breaks the chain
        }
        ",
    );
}

#[test]
fn id_already_failed() {
    check(
        "
        account A
        transfer T1 A->B 10 => credit_account_not_found
        account B
        transfer T1 A->B 10         => id_already_failed
        transfer T1 0->0 10         => id_already_failed   # before what is wrong with it
        transfer T1 A->B 10 flags=0x200 => reserved_flag
        {
        transfer T2 C->A 1          => debit_account_not_found
        transfer T2 A->B 1          => id_already_failed   # in the same batch too
        }
        transfer T3 A->A 1          => accounts_must_be_different
        transfer T3 A->B 1          # not burnt: that failure was for ever
        post T4 T2                  => pending_transfer_not_found  # a burnt id is no transfer
        ",
    );
}

#[test]
fn flags_are_mutually_exclusive() {
    for flag in [
        "void_pending_transfer",
        "pending",
        "balancing_debit",
        "balancing_credit",
        "closing_debit",
        "closing_credit",
    ] {
        check(&format!("post T1 0 flags={flag} => flags_are_mutually_exclusive"));
    }
    for flag in ["pending", "balancing_debit", "balancing_credit", "closing_debit", "closing_credit"] {
        check(&format!("void T1 0 flags={flag} => flags_are_mutually_exclusive"));
    }
}

#[test]
fn debit_account_id_must_not_be_zero() {
    check("transfer T1 0->0 1 => debit_account_id_must_not_be_zero");
}

#[test]
fn debit_account_id_must_not_be_int_max() {
    check("transfer T1 max->0 1 => debit_account_id_must_not_be_int_max");
}

#[test]
fn credit_account_id_must_not_be_zero() {
    check("transfer T1 A->0 1 pending=1 => credit_account_id_must_not_be_zero");
}

#[test]
fn credit_account_id_must_not_be_int_max() {
    check("transfer T1 A->max 1 pending=1 => credit_account_id_must_not_be_int_max");
}

#[test]
fn accounts_must_be_different() {
    check("transfer T1 A->A 1 pending=1 => accounts_must_be_different");
}

#[test]
fn pending_id_must_be_zero() {
    check("transfer T1 A->B 1 pending=T2 timeout=1 => pending_id_must_be_zero");
}

#[test]
fn pending_id_must_not_be_zero() {
    check("post T1 0 timeout=1 => pending_id_must_not_be_zero");
}

#[test]
fn pending_id_must_not_be_int_max() {
    check("post T1 max timeout=1 => pending_id_must_not_be_int_max");
}

#[test]
fn pending_id_must_be_different() {
    check("void T1 T1 timeout=1 => pending_id_must_be_different");
}

#[test]
fn timeout_reserved_for_pending_transfer() {
    check("transfer T1 A->B 1 timeout=1 flags=closing_debit => timeout_reserved_for_pending_transfer");
    check("post T1 T2 timeout=1                             => timeout_reserved_for_pending_transfer");
}

#[test]
fn closing_transfer_must_be_pending() {
    check("transfer T1 A->B 1 ledger=0 flags=closing_debit  => closing_transfer_must_be_pending");
    check("transfer T1 A->B 1 ledger=0 flags=closing_credit => closing_transfer_must_be_pending");
}

#[test]
fn ledger_must_not_be_zero() {
    check("transfer T1 A->B 1 ledger=0 code=0 => ledger_must_not_be_zero");
}

#[test]
fn code_must_not_be_zero() {
    check("transfer T1 A->B 1 code=0 => code_must_not_be_zero");
}

#[test]
fn debit_account_not_found() {
    check("transfer T1 A->B 1 => debit_account_not_found");
}

#[test]
fn credit_account_not_found() {
    check(
        "
        account A ledger=2
        transfer T1 A->B 1 => credit_account_not_found
        ",
    );
}

#[test]
fn accounts_must_have_the_same_ledger() {
    check(
        "
        account A
        account B ledger=2
        transfer T1 A->B 1 ledger=3 => accounts_must_have_the_same_ledger
        ",
    );
}

#[test]
fn transfer_must_have_the_same_ledger_as_accounts() {
    check(
        "
        account A
        account B flags=closed
        transfer T1 A->B 1 ledger=3 => transfer_must_have_the_same_ledger_as_accounts
        ",
    );
}

#[test]
fn pending_transfer_not_found() {
    check("post T1 T2 => pending_transfer_not_found");
}

#[test]
fn pending_transfer_not_pending() {
    check(
        "
        account A
        account B
        transfer T1 A->B 1
        post T2 T1 debit=B => pending_transfer_not_pending
        pend T3 A->B 1
        post T4 T3
        post T5 T4         => pending_transfer_not_pending
        ",
    );
}

#[test]
fn pending_transfer_has_different_debit_account_id() {
    check(
        "
        account A
        account B
        pend T1 A->B 1
        post T2 T1 debit=B credit=A => pending_transfer_has_different_debit_account_id
        ",
    );
}

#[test]
fn pending_transfer_has_different_credit_account_id() {
    check(
        "
        account A
        account B
        pend T1 A->B 1
        post T2 T1 debit=A credit=A ledger=2 => pending_transfer_has_different_credit_account_id
        ",
    );
}

#[test]
fn pending_transfer_has_different_ledger() {
    check(
        "
        account A
        account B
        pend T1 A->B 1
        post T2 T1 ledger=2 code=2 => pending_transfer_has_different_ledger
        ",
    );
}

#[test]
fn pending_transfer_has_different_code() {
    check(
        "
        account A
        account B
        pend T1 A->B 1
        post T2 T1 9 code=2 => pending_transfer_has_different_code
        ",
    );
}

#[test]
fn exceeds_pending_transfer_amount() {
    check(
        "
        account A
        account B
        pend T1 A->B 10
        void T2 T1
        post T3 T1 11  => exceeds_pending_transfer_amount
        void T3 T1 11  => exceeds_pending_transfer_amount
        void T3 T1 max => exceeds_pending_transfer_amount
        post T3 T1     => pending_transfer_already_voided
        ",
    );
}

#[test]
fn pending_transfer_has_different_amount() {
    check(
        "
        account A
        account B
        pend T1 A->B 10
        post T2 T1
        void T3 T1 9  => pending_transfer_has_different_amount
        void T3 T1 10 => pending_transfer_already_posted
        ",
    );
}

#[test]
fn pending_transfer_already_posted() {
    check(
        "
        account A
        account B
        pend T1 A->B 10
        post T2 T1 4
        post T3 T1 4 => pending_transfer_already_posted
        void T3 T1   => pending_transfer_already_posted
        balance A => 0/4/0/0
        ",
    );
}

#[test]
fn pending_transfer_already_voided() {
    check(
        "
        account A
        account B
        pend T1 A->B 10
        void T2 T1
        post T3 T1 => pending_transfer_already_voided
        void T3 T1 => pending_transfer_already_voided
        ",
    );
}

#[test]
fn pending_transfer_expired() {
    check(
        "
        account A
        account B
        time 100
        pend T1 A->B 10 timeout=1
        pend T2 A->B 20 timeout=2
        pend T3 A->B 30
        time 1000000099
        expire =>                       # one nanosecond before its time
        post T4 T1 1
        pend T5 A->B 10 timeout=1
        wait 1
        post T6 T5   => pending_transfer_expired   # at once, before any pass
        void T6 T5   => pending_transfer_expired
        balance A => 60/1/0/0
        expire => T5
        post T6 T5   => pending_transfer_expired
        balance A => 50/1/0/0
        wait 1
        expire => T2
        expire =>
        balance A => 30/1/0/0
        balance B => 0/0/30/1
        wait 4000000
        void T7 T3                      # no timeout: never
        ",
    );
}

#[test]
fn time_is_over_at_timestamp_plus_timeout() {
    check(
        "
        account A
        account B
        time 100
        pend T1 A->B 10 timeout=1
        time 200
        pend T2 A->B 10 timeout=1
        time 1000000099
        post T3 T1
        time 1000000200
        post T4 T2   => pending_transfer_expired
        expire => T2
        ",
    );
}

#[test]
fn imported_event_timestamp_must_not_regress() {
    check(
        "
        time 10
        account A
        account B
        time 100
        transfer T1 A->B 1 flags=imported timestamp=50
        transfer T2 A->B 1 flags=imported timestamp=50 => imported_event_timestamp_must_not_regress
        transfer T2 A->B 1 flags=imported timestamp=5  => imported_event_timestamp_must_not_regress
        pend     T2 A->B 1 flags=imported timestamp=55
        time 300
        account  C                                     # at 300
        time 400
        account  D flags=imported timestamp=350
        transfer T3 A->B 1 flags=imported timestamp=350 => imported_event_timestamp_must_not_regress
        post     T4 T2 flags=imported timestamp=55     => imported_event_timestamp_must_not_regress
        post     T4 T2 flags=imported timestamp=300    => imported_event_timestamp_must_not_regress
        post     T4 T2 flags=imported timestamp=56
        balance A => 0/2/0/0
        ",
    );
}

#[test]
fn imported_events_share_no_timestamp_with_an_expiry() {
    check(
        "
        time 10
        account A
        account B
        pend T1 A->B 1 timeout=1
        time 2000000000
        expire => T1
        time 3000000000
        transfer T2 A->B 1 flags=imported timestamp=2000000000 => imported_event_timestamp_must_not_regress
        transfer T2 A->B 1 flags=imported timestamp=1999999999
        ",
    );
}

#[test]
fn imported_event_timestamp_must_postdate_debit_account() {
    check(
        "
        time 50
        account A
        account B
        time 100
        transfer T1 A->B 1 flags=imported timestamp=49 => imported_event_timestamp_must_postdate_debit_account
        ",
    );
}

#[test]
fn imported_event_timestamp_must_postdate_credit_account() {
    check(
        "
        time 50
        account A
        time 60
        account B
        time 100
        pend T1 A->B 1 flags=imported timestamp=55 timeout=1 => imported_event_timestamp_must_postdate_credit_account
        ",
    );
}

#[test]
fn imported_event_timeout_must_be_zero() {
    check(
        "
        account A flags=closed
        account B
        time 100
        pend T1 A->B 1 flags=imported timestamp=55 timeout=1 => imported_event_timeout_must_be_zero
        ",
    );
}

#[test]
fn debit_account_already_closed() {
    check(
        "
        account A
        account B
        pend T1 A->B 10
        pend T2 A->B 0 flags=closing_debit
        transfer T3 A->B 1 => debit_account_already_closed
        post T4 T1         => debit_account_already_closed
        post T5 T2         => debit_account_already_closed
        transfer T6 B->A 1 => credit_account_already_closed
        void T7 T1                                          # a closed account takes voids
        void T8 T2                                          # which reopen it
        transfer T9 A->B 1
        account C flags=closed
        transfer T10 C->A 1 => debit_account_already_closed
        ",
    );
}

#[test]
fn credit_account_already_closed() {
    check(
        "
        account A
        account B
        account C
        pend T1 A->B 10 flags=closing_credit timeout=1
        transfer T2 A->B 1   => credit_account_already_closed
        pend     T3 A->C 10 flags=closing_credit|closing_debit timeout=2
        transfer T4 A->C max => debit_account_already_closed
        wait 1
        expire => T1                                         # expiry reopens
        transfer T5 C->B 1   => debit_account_already_closed
        wait 1
        expire => T3
        transfer T6 A->B 1
        transfer T7 C->B 1
        balance B => 0/0/0/2
        ",
    );
}

#[test]
fn overflows_debits_pending() {
    check(
        "
        account A
        account B
        account C
        pend T1 A->B max
        pend T2 A->C 1 => overflows_debits_pending
        transfer T3 A->C 1 => overflows_debits
        ",
    );
}

#[test]
fn overflows_credits_pending() {
    check(
        "
        account A
        account B
        account C
        pend T1 A->B max
        pend T2 C->B 1 => overflows_credits_pending
        ",
    );
}

#[test]
fn overflows_debits_posted() {
    check(
        "
        account A
        account B
        account C
        transfer T1 A->B max
        transfer T2 A->C 1 => overflows_debits_posted
        transfer T2 A->C 0
        ",
    );
}

#[test]
fn overflows_credits_posted() {
    check(
        "
        account A
        account B
        account C
        transfer T1 A->B max
        transfer T2 C->B 1 => overflows_credits_posted
        ",
    );
}

#[test]
fn overflows_debits() {
    check(
        "
        account A
        account B
        account C
        transfer T1 A->B max-9
        pend     T2 A->C 10 => overflows_debits_posted
        pend     T2 A->C 5
        pend     T3 A->C 5  => overflows_debits
        transfer T3 A->C 5  => overflows_debits
        pend     T3 A->C 4
        balance A => 9/340282366920938463463374607431768211446/0/0
        ",
    );
}

#[test]
fn overflows_credits() {
    check(
        "
        account A
        account B
        account C
        pend     T1 A->B max-9
        pend     T2 C->B 10 => overflows_credits_pending
        transfer T2 C->B 10 => overflows_credits
        transfer T2 C->B 9
        ",
    );
}

#[test]
fn overflows_timeout() {
    check(
        "
        account A flags=debits_must_not_exceed_credits
        account B
        time 4928404741854775806
        pend T1 A->B 1 timeout=4294967295          => exceeds_credits
        pend T2 B->A 1 timeout=4294967295          # expires at 2^63 − 2
        time 4928404741854775807
        pend T3 B->A 1 timeout=4294967295          # expires at 2^63 − 1
        pend T4 A->B 1 timeout=4294967295          => overflows_timeout
        time 9223372036854775807
        expire => T2 T3
        ",
    );
}

#[test]
fn exceeds_credits() {
    check(
        "
        account A flags=debits_must_not_exceed_credits
        account B
        account C flags=credits_must_not_exceed_debits
        transfer T1 A->B 1   => exceeds_credits
        transfer T2 B->A 100
        pend     T3 A->B 80
        pend     T4 A->B 30  => exceeds_credits
        transfer T5 A->B 21  => exceeds_credits
        transfer T6 A->C 21  => exceeds_credits
        transfer T7 A->B 20
        pend     T8 B->A 50
        transfer T9 A->B 1   => exceeds_credits   # a pending credit is no money yet
        transfer T10 A->B 0
        balance A => 80/20/50/100
        ",
    );
}

#[test]
fn exceeds_debits() {
    check(
        "
        account A
        account B flags=credits_must_not_exceed_debits
        transfer T1 A->B 1   => exceeds_debits
        transfer T2 B->A 10
        pend     T3 A->B 7
        transfer T4 A->B 4   => exceeds_debits
        transfer T5 A->B 3
        balance B => 0/10/7/3
        ",
    );
}

#[test]
fn balancing_moves_what_can_be_moved() {
    check(
        "
        account A
        account B
        account C
        transfer T1 C->A 100
        pend     T2 A->B 30
        transfer T3 A->B 100 flags=balancing_debit     # 100 − 30
        balance  A => 30/70/0/100
        transfer T4 A->B max flags=balancing_debit     # nothing left: 0
        balance  A => 30/70/0/100
        transfer T5 A->B 5
        transfer T6 A->B max flags=balancing_debit     # overdrawn: 0, not less
        balance  A => 30/75/0/100
        transfer T7 A->C 60 flags=balancing_credit     # C owes 100
        transfer T8 A->C max flags=balancing_credit|pending
        balance  C => 0/100/40/60
        transfer T9 B->C max flags=balancing_debit|balancing_credit
        balance  B => 0/0/30/75
        ",
    );
}

/// Each result has a test of its name here.
#[test]
fn every_result_is_tested() {
    let source = include_str!("create_transfers.rs");
    for status in CreateTransferStatus::ALL {
        assert!(source.contains(&format!("#[test]\nfn {status}() {{")), "{status} has no test");
    }
}
