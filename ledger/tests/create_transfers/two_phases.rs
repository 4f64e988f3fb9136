//! Posting, voiding and running out.

use crate::table::check;

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
