//! What is wrong with a transfer in itself, or with the accounts that it names.

use crate::table::check;

#[test]
fn timestamp_must_be_zero() {
    check("transfer 0 A->B 1 timestamp=1 flags=0x200 => timestamp_must_be_zero");
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
