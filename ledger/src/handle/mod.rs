//! The handle that applications use: many threads, one file, one disk write for all who wait.

mod engine_thread;
mod error;
mod gather;
mod group;
mod queue;
mod reads;
mod reply;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::clock::{Clock, SystemClock};
use crate::sqlite::{self, CommitError, OpenError, Tx};
use crate::{Account, CommitSeq, CreateAccountResult, CreateTransferResult, Transfer};

pub use error::{LedgerError, TransactionError};
pub use reply::Reply;

use engine_thread::{EngineThread, run_disk};
use queue::{Event, Lease, Queue, Request};
use reads::Readers;
use reply::{Promise, promise};

/// A ledger in one file: cheap to clone, to be shared by all threads and tasks.
///
/// Calls wait in a queue; what is there is executed together and written with one sync, then all are answered. So a
/// result that a caller has seen is on disk, and reads see nothing else. Every call has a blocking form and one
/// that ends in `_async`, whose [`Reply`] any executor can await.
///
/// When the last clone is dropped, what was begun is finished and the file is closed.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("path", &self.0.readers.path()).finish_non_exhaustive()
    }
}

struct Inner {
    queue: Arc<Queue>,
    readers: Arc<Readers>,
    clock: Arc<dyn Clock>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join(); // It has said what it had to say.
            }
        }
    }
}

impl Ledger {
    /// Opens the file, or creates it, with the system's clock.
    ///
    /// While it is open, let your process open the file by SQLite alone, as often as you like: to copy it by `std::fs::copy`, say, ends
    /// SQLite's locks on it (see [`CommitError::Displaced`](sqlite::CommitError::Displaced)). [`sqlite::backup`] copies it.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, sqlite::Options::default(), SystemClock)
    }

    /// Opens the file with options, for instance the application's own tables, and a clock.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_with(
        path: impl AsRef<Path>,
        options: sqlite::Options,
        clock: impl Clock + 'static,
    ) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let opened = sqlite::open(path, options)?;
        let (queue, clock): (Arc<Queue>, Arc<dyn Clock>) = (Arc::default(), Arc::new(clock));
        let (jobs, from_engine) = sync_channel(1);
        let engine = EngineThread::new(Arc::clone(&queue), Arc::clone(&clock), opened, jobs);
        let disk_queue = Arc::clone(&queue);
        let threads = vec![
            spawn("hundi-engine", move || engine.run())?,
            spawn("hundi-disk", move || run_disk(&from_engine, &disk_queue))?,
        ];
        let readers = Arc::new(Readers::new(path));
        Ok(Self(Arc::new(Inner { queue, readers, clock, threads: Mutex::new(threads) })))
    }

    fn ask<T>(&self, request: impl FnOnce(Promise<T>) -> Request) -> Reply<T> {
        let (promise, reply) = promise();
        self.push(request(promise));
        reply
    }

    /// Leaves a request, unless this thread would wait for itself.
    fn push(&self, request: Request) {
        if Inside::is_in(&self.0.queue) {
            request.refuse(LedgerError::InTransaction);
        } else {
            self.0.queue.push(request);
        }
    }

    /// Creates accounts; one result for each, in order. The batch may hold linked chains.
    ///
    /// # Errors
    /// When the ledger cannot say what happened; a refused event is a result.
    pub fn create_accounts(&self, batch: Vec<Account>) -> Result<Vec<CreateAccountResult>, LedgerError> {
        self.create_accounts_async(batch).wait()
    }

    /// [`Ledger::create_accounts`], to be awaited.
    pub fn create_accounts_async(&self, batch: Vec<Account>) -> Reply<Vec<CreateAccountResult>> {
        self.ask(|promise| Request::Accounts(batch, promise))
    }

    /// Creates transfers; one result for each, in order. The batch may hold linked chains.
    ///
    /// # Errors
    /// When the ledger cannot say what happened; a refused event is a result.
    pub fn create_transfers(&self, batch: Vec<Transfer>) -> Result<Vec<CreateTransferResult>, LedgerError> {
        self.create_transfers_async(batch).wait()
    }

    /// [`Ledger::create_transfers`], to be awaited.
    pub fn create_transfers_async(&self, batch: Vec<Transfer>) -> Reply<Vec<CreateTransferResult>> {
        self.ask(|promise| Request::Transfers(batch, promise))
    }

    /// Creates one transfer.
    ///
    /// # Errors
    /// When the ledger cannot say what happened; a refusal is a result.
    pub fn create_transfer(&self, transfer: Transfer) -> Result<CreateTransferResult, LedgerError> {
        if Inside::is_in(&self.0.queue) {
            return Err(LedgerError::InTransaction);
        }
        self.0.queue.join(transfer)?.wait()
    }

    /// [`Ledger::create_transfer`], to be awaited.
    pub fn create_transfer_async(&self, transfer: Transfer) -> Reply<CreateTransferResult> {
        self.ask(|promise| Request::Transfer(transfer, promise))
    }

    /// Runs `work` in one transaction with the application's own SQL: transfers and rows are committed together or,
    /// when `work` returns an error or panics, rolled back together. It runs on the calling thread, and nobody else
    /// is served meanwhile: keep it short. The handle refuses calls from inside ([`LedgerError::InTransaction`]).
    ///
    /// # Errors
    /// [`TransactionError::App`] with the closure's error, or the ledger's.
    pub fn transaction<R, E>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<R, E>,
    ) -> Result<R, TransactionError<E>> {
        let lease = self.ask(Request::Lease).wait()?;
        let mut lease = Lent { lease: Some(lease), queue: &self.0.queue, failure: None };
        let Some(Lease { state, disk }) = &mut lease.lease else { unreachable!("just filled") };
        let _inside = Inside::enter(&self.0.queue);
        match disk.transaction(state, &*self.0.clock, work) {
            Ok((result, commit)) => {
                state.handle_durable(commit.seq);
                Ok(result)
            }
            Err(sqlite::TransactionError::App(error)) => Err(TransactionError::App(error)),
            Err(sqlite::TransactionError::RolledBack) => Err(LedgerError::RolledBack.into()),
            Err(sqlite::TransactionError::Commit(error)) => Err(lease.failed(error).into()),
        }
    }

    /// [`Ledger::transaction`], to be awaited. It begins at once, on a thread of its own, and also ends when nobody waits.
    /// A panic of `work` comes out where it is awaited.
    pub fn transaction_async<R, E>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<R, E> + Send + 'static,
    ) -> impl Future<Output = Result<R, TransactionError<E>>> + Send + 'static
    where
        R: Send + 'static,
        E: Send + 'static,
    {
        let reply = self.on_thread("hundi-transaction", |ledger| {
            Ok(catch_unwind(AssertUnwindSafe(|| ledger.transaction(work))))
        });
        async move { reply.await?.unwrap_or_else(|panic| resume_unwind(panic)) }
    }

    /// Runs something that blocks on a thread of its own.
    fn on_thread<R: Send + 'static>(
        &self,
        name: &str,
        run: impl FnOnce(&Self) -> Result<R, LedgerError> + Send + 'static,
    ) -> Reply<R> {
        let (promise, reply) = promise();
        let ledger = self.clone();
        let work = move || {
            let result = run(&ledger);
            drop(ledger); // Whoever has the answer may close the ledger and open the file again.
            promise.keep(result);
        };
        // If no thread can be started the promise is dropped, which says "closed".
        let _ = std::thread::Builder::new().name(name.into()).spawn(work);
        reply
    }

    /// [`Ledger::create_accounts`] inside a transaction.
    ///
    /// # Errors
    /// See [`Tx::create_accounts`].
    pub fn create_accounts_in_tx(
        &self,
        tx: &mut Tx<'_>,
        batch: &[Account],
    ) -> Result<Vec<CreateAccountResult>, sqlite::StepError> {
        tx.create_accounts(batch)
    }

    /// [`Ledger::create_transfers`] inside a transaction.
    ///
    /// # Errors
    /// See [`Tx::create_transfers`].
    pub fn create_transfers_in_tx(
        &self,
        tx: &mut Tx<'_>,
        batch: &[Transfer],
    ) -> Result<Vec<CreateTransferResult>, sqlite::StepError> {
        tx.create_transfers(batch)
    }

    /// The last commit: all that was answered is in it or before it.
    ///
    /// # Errors
    /// When the ledger is closed.
    pub fn last_commit(&self) -> Result<CommitSeq, LedgerError> {
        self.read_state(|state| Ok(state.taken())).wait()
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(run);
    thread.map_err(|source| OpenError::Io { what: format!("cannot start the thread {name}"), source })
}

thread_local! {
    /// The queues of the ledgers in whose transactions this thread is.
    static INSIDE: RefCell<Vec<*const Queue>> = const { RefCell::new(Vec::new()) };
}

/// This thread is in a transaction, for as long as this lives.
struct Inside;

impl Inside {
    fn enter(queue: &Arc<Queue>) -> Self {
        INSIDE.with_borrow_mut(|inside| inside.push(Arc::as_ptr(queue)));
        Self
    }

    fn is_in(queue: &Arc<Queue>) -> bool {
        INSIDE.with_borrow(|inside| inside.contains(&Arc::as_ptr(queue)))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.with_borrow_mut(Vec::pop);
    }
}

/// The ledger in a caller's hands: given back however the caller ends.
struct Lent<'a> {
    lease: Option<Lease>,
    queue: &'a Queue,
    failure: Option<LedgerError>,
}

impl Lent<'_> {
    fn failed(&mut self, error: CommitError) -> LedgerError {
        let error = LedgerError::from(error);
        self.failure = Some(error.clone());
        error
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.queue.report(Event::Returned(Box::new(lease), self.failure.take()));
        }
    }
}
