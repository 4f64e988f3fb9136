//! What a batch is as a whole: linked chains, and events that are imported with times of their own.

use crate::table::check;

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
