//! A wallet for rides: top up, hold the estimate when a ride begins, take the fare when it ends.
//!
//! `cargo run -p hundi-ledger --example wallet`

use std::error::Error;

use hundi_ledger::{
    Account, AccountFlags, AccountId, Amount, CreateTransferStatus, Currency, Ledger, LedgerError, Transfer,
    TransferId,
};

// What an account is, and why money moved: numbers of your own.
const CASH: u16 = 1;
const WALLET: u16 = 2;
const FARES: u16 = 3;
const TOP_UP: u16 = 10;
const RIDE: u16 = 11;

const TWO_HOURS: u32 = 2 * 60 * 60; // in seconds

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let ledger = Ledger::open(folder.path().join("wallets.db"))?;
    let rupee = Currency::iso("INR").ok_or("ISO 4217 has no INR")?;
    let inr = rupee.ledger();

    // Asha's wallet cannot go below zero: the ledger refuses it, no code of ours has to look first.
    let [cash, asha, fares] = [AccountId::now(), AccountId::now(), AccountId::now()];
    ledger.create_accounts(vec![
        Account::new(cash, inr, CASH),
        Account::new(asha, inr, WALLET).with_flags(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS),
        Account::new(fares, inr, FARES),
    ])?;

    let top_up = Transfer::new(TransferId::now(), cash, asha, rupee.parse("500.00")?, inr, TOP_UP);
    assert_eq!(ledger.create_transfer(top_up)?.status, CreateTransferStatus::Created);

    // Not sure whether it went through? Send the same transfer again: it happens once.
    assert_eq!(ledger.create_transfer(top_up)?.status, CreateTransferStatus::Exists);

    // A ride begins. The estimate is held, and given back by itself if nobody asks for it within two hours.
    let estimate = rupee.parse("180.00")?;
    let hold = Transfer::new(TransferId::now(), asha, fares, estimate, inr, RIDE).pending(TWO_HOURS);
    assert_eq!(ledger.create_transfer(hold)?.status, CreateTransferStatus::Created);
    assert_eq!(available(&ledger, asha)?, rupee.parse("320.00")?);

    // What is held cannot be spent twice. A refusal is a result, not an error.
    let too_much =
        Transfer::new(TransferId::now(), asha, fares, rupee.parse("320.01")?, inr, RIDE).pending(TWO_HOURS);
    assert_eq!(ledger.create_transfer(too_much)?.status, CreateTransferStatus::ExceedsCredits);

    // The ride ends: the fare is taken, the rest of the hold is free again.
    let fare = Transfer::post(TransferId::now(), hold.id).with_amount(rupee.parse("165.50")?);
    assert_eq!(ledger.create_transfer(fare)?.status, CreateTransferStatus::Created);

    // Another ride, called off: nothing is taken.
    let hold = Transfer::new(TransferId::now(), asha, fares, estimate, inr, RIDE).pending(TWO_HOURS);
    ledger.create_transfer(hold)?;
    ledger.create_transfer(Transfer::void(TransferId::now(), hold.id))?;

    println!("Asha can spend {}", rupee.money(available(&ledger, asha)?));
    assert_eq!(available(&ledger, asha)?, rupee.parse("334.50")?);
    Ok(())
}

/// What a wallet can still spend: posted credits less all debits, held ones too.
fn available(ledger: &Ledger, wallet: AccountId) -> Result<Amount, LedgerError> {
    Ok(ledger.lookup_account(wallet)?.unwrap_or_default().credit_available())
}

#[test]
fn runs() {
    main().expect("the example runs");
}
