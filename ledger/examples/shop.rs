//! A shop that keeps its orders beside the money: an order is `paid` if and only if its transfer took place.
//!
//! `cargo run -p hundi-ledger --example shop`

use std::error::Error;

use hundi_ledger::rusqlite;
use hundi_ledger::sqlite::{AppSchema, Options, StepError, Tx};
use hundi_ledger::{
    Account, AccountFlags, AccountId, CreateTransferStatus, Currency, Ledger, SystemClock, Transfer,
    TransferId,
};

/// The shop's own tables, in the same file as the ledger's.
const TABLES: AppSchema = AppSchema {
    name: "shop",
    version: 1,
    create: "CREATE TABLE shop_orders(id INTEGER PRIMARY KEY, what TEXT NOT NULL, paid INTEGER NOT NULL) STRICT",
    migrations: &[],
    payment: "",
};
const CUSTOMER: u16 = 1;
const SALES: u16 = 2;
const PAYMENT: u16 = 10;

/// Why an order was not taken.
#[derive(Debug, thiserror::Error)]
enum OrderError {
    #[error("not paid: {}", .0.as_str())]
    NotPaid(CreateTransferStatus),
    #[error(transparent)]
    Ledger(#[from] StepError),
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let options = Options { app: Some(TABLES), ..Options::default() };
    let ledger = Ledger::open_with(folder.path().join("shop.db"), options, SystemClock)?;
    let rupee = Currency::iso("INR").ok_or("ISO 4217 has no INR")?;
    let inr = rupee.ledger();

    let [asha, sales] = [AccountId::now(), AccountId::now()];
    ledger.transaction(|tx| -> Result<(), OrderError> {
        let wallet = Account::new(asha, inr, CUSTOMER);
        let wallet = wallet.with_flags(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS);
        tx.create_accounts(&[wallet, Account::new(sales, inr, SALES)])?;
        Ok(tx.name_account(asha, "customers:asha", Some("INR"))?) // for people, views and exports
    })?;
    ledger.create_transfer(Transfer::new(1, sales, asha, rupee.parse("100.00")?, inr, PAYMENT))?;

    // Everything in the closure happens, or nothing: the row, the transfer, and their place on disk.
    let order = |id: u32, what: &str, price: &str| -> Result<_, Box<dyn Error>> {
        let payment = Transfer::new(TransferId::now(), asha, sales, rupee.parse(price)?, inr, PAYMENT);
        Ok(ledger.transaction(|tx| take_order(tx, id, what, payment)))
    };
    order(1, "tea", "60.00")??;
    println!("second order: {}", order(2, "more tea", "60.00")?.expect_err("only 40.00 are left"));

    let count = "SELECT count(*) FROM shop_orders";
    let orders: u32 = ledger.transaction(|tx| tx.sql().query_row(count, [], |row| row.get(0)))?;
    assert_eq!(orders, 1, "the refused order left no row");
    Ok(())
}

/// Writes the order and pays for it, in the caller's transaction.
fn take_order(tx: &mut Tx<'_>, id: u32, what: &str, payment: Transfer) -> Result<(), OrderError> {
    tx.sql().execute("INSERT INTO shop_orders VALUES (?, ?, 1)", (id, what))?;
    match tx.create_transfers(&[payment])?[0].status {
        CreateTransferStatus::Created => Ok(()),
        refused => Err(OrderError::NotPaid(refused)),
    }
}

#[test]
fn runs() {
    main().expect("the example runs");
}
