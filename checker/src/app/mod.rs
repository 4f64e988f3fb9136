//! For your own invariants: an app that links the ledger, in every interleaving and with every crash.
//!
//! You declare the accounts, what can be asked of your app, and what must hold. [`prove`] then runs your requests
//! over the very engine that [`hundi_ledger::Ledger`] runs, in every order of their transactions, with a crash at
//! every point between two of them, with answers that were lost and requests that were repeated; and finds the
//! shortest way to a state in which an invariant does not hold.
//!
//! What it takes for granted is what the ledger promises and its own tests check: a transaction is atomic, is on disk
//! when it returns, and sees those before it. So a crash *within* one is a crash before it, and what is left to explore
//! is what your app does between them.
//!
//! ```
//! use hundi_checker::app::{App, Invariant, Next, Tx, prove};
//! use hundi_ledger::{Account, AccountFlags, Amount, Transfer};
//!
//! /// A till from which two people take 60 of 100.
//! struct Till;
//!
//! impl App for Till {
//!     type Rows = ();
//!     type Memory = ();
//!     type Request = u128;
//!
//!     fn set_up(&self, tx: &mut Tx<'_, Self>) {
//!         let till = Account::new(1, 356, 1).with_flags(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS);
//!         tx.create_accounts(&[till, Account::new(2, 356, 1)]);
//!         tx.create_transfers(&[Transfer::new(1, 2, 1, 100, 356, 1)]);
//!     }
//!
//!     fn requests(&self) -> Vec<u128> {
//!         vec![11, 12] // the ids of their transfers
//!     }
//!
//!     fn step(&self, id: &u128, (): &mut (), tx: &mut Tx<'_, Self>) -> Next {
//!         tx.create_transfers(&[Transfer::new(*id, 1, 2, 60, 356, 1)]);
//!         Next::Done
//!     }
//!
//!     fn invariants(&self) -> Vec<Invariant<Self>> {
//!         vec![
//!             Invariant::at_rest("one of them was paid", |_, view| view.balance(1) == (Amount(60), Amount(100))),
//!         ]
//!     }
//! }
//!
//! let report = prove(Till);
//! assert!(!report.is_proved()); // Nobody has asked yet, and 100 are in the till.
//! assert_eq!(report.story.expect("a way to a violation").steps.len(), 0);
//! ```
//!
//! `checker/examples/teapot.rs` is a whole app, with a bug that is found and its cure.

mod model;
mod report;
mod tx;

use std::fmt::Debug;
use std::hash::Hash;

pub use report::{Report, Step, Story, prove, prove_with};
pub use tx::{Tx, View};

/// An app, as far as money depends on it.
///
/// A request is a sequence of steps. Each [`step`](App::step) stands for one transaction of the ledger with the rows
/// that the app writes in it ([`hundi_ledger::Ledger::transaction`]), or for one answer of something outside. Between
/// steps anything may happen: steps of other requests, and a crash, which forgets [`App::Memory`].
///
/// It must be a function of its arguments: no clock, no randomness, no state of its own (ids that the app would draw
/// are drawn with [`Tx::new_id`]).
pub trait App: Sized + Send + Sync + 'static {
    /// The app's own tables: on disk, changed in the ledger's transactions.
    type Rows: Clone + Debug + Default + Eq + Hash + Send + Sync;
    /// What a request under way remembers from step to step, beginning with the default. A crash forgets it.
    type Memory: Clone + Debug + Default + Eq + Hash + Send + Sync;
    /// What somebody may ask.
    type Request: Clone + Debug + Send + Sync;

    /// The beginning: accounts, the money in them, the app's rows.
    fn set_up(&self, tx: &mut Tx<'_, Self>);

    /// What is asked, each once and all at the same time; put a request in twice for a client that sends it twice.
    fn requests(&self) -> Vec<Self::Request>;

    /// The next transaction of a request.
    fn step(&self, request: &Self::Request, memory: &mut Self::Memory, tx: &mut Tx<'_, Self>) -> Next;

    /// What the app does after a crash before it answers anybody, in steps too (a crash may come between those).
    /// By default nothing.
    fn recover(&self, memory: &mut Self::Memory, tx: &mut Tx<'_, Self>) -> Next {
        let _ = (memory, tx);
        Next::Done
    }

    /// What must hold.
    fn invariants(&self) -> Vec<Invariant<Self>>;

    /// How often it may crash. By default once.
    fn crashes(&self) -> u8 {
        1
    }

    /// How often each client asks again when it got no answer, because of a crash or because the answer was lost. By
    /// default once.
    fn repeats(&self) -> u8 {
        1
    }

    /// Times, in seconds from the beginning and rising, to which the clock may go at any moment: for pending transfers
    /// with a timeout. By default none.
    fn clock(&self) -> Vec<u32> {
        Vec::new()
    }
}

/// How a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The transaction is committed, and there is another step.
    Go,
    /// The transaction is committed, and the client is told that it is done.
    Done,
    /// The transaction is rolled back, and the client is told so.
    Refuse,
}

/// Something that must hold, or be seen.
pub struct Invariant<A: App> {
    /// Its name in reports.
    pub name: &'static str,
    pub(crate) when: When,
    pub(crate) holds: fn(&A, &View<'_, A>) -> bool,
}

/// When an invariant is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    AtRest,
    Sometimes,
}

impl<A: App> Invariant<A> {
    /// Holds in every state.
    #[must_use]
    pub fn always(name: &'static str, holds: fn(&A, &View<'_, A>) -> bool) -> Self {
        Invariant { name, when: When::Always, holds }
    }

    /// Holds whenever the app is up and no request is under way; those that nobody has made yet are not.
    #[must_use]
    pub fn at_rest(name: &'static str, holds: fn(&A, &View<'_, A>) -> bool) -> Self {
        Invariant { name, when: When::AtRest, holds }
    }

    /// Holds in some state: shows that the model does what you think. One that is never seen fails the proof.
    #[must_use]
    pub fn sometimes(name: &'static str, holds: fn(&A, &View<'_, A>) -> bool) -> Self {
        Invariant { name, when: When::Sometimes, holds }
    }
}
