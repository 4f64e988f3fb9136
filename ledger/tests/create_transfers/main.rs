//! One test for each result of `create_transfers`, named after it.

mod balances;
mod batches;
mod fields;
mod repeats;
#[path = "../table/mod.rs"]
mod table;
mod two_phases;

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

/// Each result has a test of its name here.
#[test]
fn every_result_is_tested() {
    let source = [
        include_str!("main.rs"),
        include_str!("batches.rs"),
        include_str!("fields.rs"),
        include_str!("repeats.rs"),
        include_str!("two_phases.rs"),
        include_str!("balances.rs"),
    ]
    .concat();
    for status in CreateTransferStatus::ALL {
        assert!(source.contains(&format!("#[test]\nfn {status}() {{")), "{status} has no test");
    }
}
