//! A shop sells its last teapot, paid from prepaid wallets: hold the money, ship, take the money.
//!
//! `cargo run --release -p hundi-checker --example teapot` proves it, and then looks at the same shop as it was first
//! written, with a new transfer id for each try: the checker finds the shortest way to a customer who paid twice.

use std::collections::BTreeSet;
use std::process::ExitCode;

use hundi_checker::app::{App, Invariant, Next, Tx, prove};
use hundi_ledger::{Account, AccountFlags, Amount, CreateTransferStatus as Status, Transfer};

const INR: u32 = 356;
const BANK: u128 = 1;
const SALES: u128 = 2;
const PRICE: u128 = 60;
const HOLD_SECONDS: u32 = 600;

struct Shop {
    /// The bug.
    new_id_for_each_try: bool,
}

/// A customer's order; the number is the customer's, and names wallet, hold and payment.
type Buy = u128;

const fn wallet(customer: Buy) -> u128 {
    100 + customer
}

/// What the shop keeps in its own tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Rows {
    shipped: BTreeSet<Buy>,
}

/// What a request under way remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum Memory {
    #[default]
    Begin,
    Held {
        hold: u128,
    },
}

impl App for Shop {
    type Rows = Rows;
    type Memory = Memory;
    type Request = Buy;

    fn set_up(&self, tx: &mut Tx<'_, Self>) {
        let limited = |id| Account::new(id, INR, 1).with_flags(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS);
        let accounts =
            [Account::new(BANK, INR, 1), Account::new(SALES, INR, 1), limited(wallet(1)), limited(wallet(2))];
        tx.create_accounts(&accounts);
        tx.create_transfers(&[
            Transfer::new(1, BANK, wallet(1), 2 * PRICE, INR, 1),
            Transfer::new(2, BANK, wallet(2), PRICE, INR, 1),
        ]);
    }

    fn requests(&self) -> Vec<Buy> {
        vec![1, 1, 2] // Customer 1 clicks twice.
    }

    fn clock(&self) -> Vec<u32> {
        vec![HOLD_SECONDS]
    }

    fn step(&self, customer: &Buy, memory: &mut Memory, tx: &mut Tx<'_, Self>) -> Next {
        match *memory {
            Memory::Begin if tx.rows.shipped.contains(customer) => Next::Done, // Asked again.
            Memory::Begin => {
                let hold = if self.new_id_for_each_try { tx.new_id() } else { 1_000 + customer };
                let transfer =
                    Transfer::new(hold, wallet(*customer), SALES, PRICE, INR, 1).pending(HOLD_SECONDS);
                match tx.create_transfers(&[transfer])[0].status {
                    Status::Created | Status::Exists => {
                        *memory = Memory::Held { hold };
                        Next::Go
                    }
                    _ => Next::Refuse,
                }
            }
            // The money is taken and the order marked as shipped in one transaction.
            Memory::Held { hold } => {
                match tx.create_transfers(&[Transfer::post(hold + 1_000_000, hold)])[0].status {
                    Status::Created | Status::Exists => {
                        tx.rows.shipped.insert(*customer);
                        Next::Done
                    }
                    _ => Next::Refuse,
                }
            }
        }
    }

    fn invariants(&self) -> Vec<Invariant<Self>> {
        vec![
            Invariant::always("nobody pays twice", |_, view| {
                [1, 2].iter().all(|customer| view.balance(wallet(*customer)).0 <= Amount(PRICE))
            }),
            Invariant::always("paid if and only if shipped", |_, view| {
                [1, 2].iter().all(|customer| {
                    (view.balance(wallet(*customer)).0 > Amount(0)) == view.rows.shipped.contains(customer)
                })
            }),
            Invariant::always("who was told «done» was served", |_, view| {
                [1, 1, 2].iter().enumerate().all(|(place, customer)| {
                    view.answer(place) != Some(true) || view.rows.shipped.contains(customer)
                })
            }),
            Invariant::sometimes("both are served", |_, view| view.rows.shipped.len() == 2),
            Invariant::sometimes("somebody is refused", |_, view| view.answer(2) == Some(false)),
        ]
    }
}

fn main() -> ExitCode {
    let sound = prove(Shop { new_id_for_each_try: false });
    println!("The shop: {sound}\n");
    let flawed = prove(Shop { new_id_for_each_try: true });
    println!("With a new id for each try: {flawed}");
    ExitCode::from(u8::from(!sound.is_proved() || flawed.is_proved()))
}

#[test]
fn the_shop_holds() {
    prove(Shop { new_id_for_each_try: false }).assert_proved();
}

#[test]
fn the_bug_is_found() {
    let story = prove(Shop { new_id_for_each_try: true }).story.expect("a way to a customer who paid twice");
    assert_eq!(story.broken, "nobody pays twice");
}
