//! The same id again: what counts as the same, and ids that are burnt.

use crate::table::check;

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
