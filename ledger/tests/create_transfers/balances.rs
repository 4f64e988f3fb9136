//! What accounts can bear: limits, overflows, closed accounts, balancing transfers.

use crate::table::check;

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
