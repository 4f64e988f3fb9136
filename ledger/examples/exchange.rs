//! An exchange: rupees for euros, each in a ledger of its own, both legs or none.
//!
//! `cargo run -p hundi-ledger --example exchange`

use std::error::Error;

use hundi_ledger::{
    Account, AccountFlags, AccountId, Amount, CreateTransferStatus, Currency, Ledger, Transfer, TransferId,
};

// What an account is, and why money moved: numbers of your own.
const CUSTOMER: u16 = 1;
const OURS: u16 = 2;
const DEPOSIT: u16 = 10;
const EXCHANGE: u16 = 11;

/// The rate, in integers as everything about money: 94.12 INR for 100 cents.
const PAISE_PER_EURO: u128 = 9_412;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let ledger = Ledger::open(folder.path().join("exchange.db"))?;
    let euro = Currency::iso("EUR").ok_or("ISO 4217 has no EUR")?;
    let rupee = Currency::iso("INR").ok_or("ISO 4217 has no INR")?;
    let (eur, inr) = (euro.ledger(), rupee.ledger());

    // An account holds one currency, so everyone has one account for each. No transfer leads from one to the other:
    // the exchange takes euros on one side and gives rupees on the other.
    let [asha_eur, asha_inr, our_eur, our_inr, world_eur, world_inr] =
        std::array::from_fn(|_| AccountId::now());
    let no_overdraft = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
    ledger.create_accounts(vec![
        Account::new(asha_eur, eur, CUSTOMER).with_flags(no_overdraft),
        Account::new(asha_inr, inr, CUSTOMER).with_flags(no_overdraft),
        Account::new(our_eur, eur, OURS).with_flags(no_overdraft),
        Account::new(our_inr, inr, OURS).with_flags(no_overdraft),
        Account::new(world_eur, eur, OURS),
        Account::new(world_inr, inr, OURS),
    ])?;
    ledger.create_transfers(vec![
        Transfer::new(TransferId::now(), world_eur, asha_eur, euro.parse("100.00")?, eur, DEPOSIT),
        Transfer::new(TransferId::now(), world_inr, our_inr, rupee.parse("5,000.00")?, inr, DEPOSIT),
    ])?;

    // Two legs in one chain. The id of the first one goes along with both, so that they can be found together.
    let exchange = |cents: Amount| -> Result<_, Box<dyn Error>> {
        let paise = cents.0.checked_mul(PAISE_PER_EURO).ok_or("too much to count")? / 100;
        let deal = TransferId::now();
        let legs = [
            Transfer::new(deal, asha_eur, our_eur, cents, eur, EXCHANGE).linked(),
            Transfer::new(TransferId::now(), our_inr, asha_inr, paise, inr, EXCHANGE),
        ];
        let legs = legs.map(|leg| Transfer { user_data_128: deal.0, ..leg });
        Ok(ledger.create_transfers(legs.to_vec())?.iter().map(|result| result.status).collect::<Vec<_>>())
    };

    assert_eq!(exchange(euro.parse("40.00")?)?, [CreateTransferStatus::Created; 2]);

    // Asha has 60 euros left, but we do not have the rupees for them: she keeps her euros.
    assert_eq!(
        exchange(euro.parse("60.00")?)?,
        [CreateTransferStatus::LinkedEventFailed, CreateTransferStatus::ExceedsCredits]
    );

    let held = |account| -> Result<Amount, Box<dyn Error>> {
        Ok(ledger.lookup_account(account)?.ok_or("no such account")?.credit_available())
    };
    println!("Asha has {} and {}", euro.money(held(asha_eur)?), rupee.money(held(asha_inr)?));
    assert_eq!((held(asha_eur)?, held(asha_inr)?), (euro.parse("60.00")?, rupee.parse("3,764.80")?));
    Ok(())
}

#[test]
fn runs() {
    main().expect("the example runs");
}
