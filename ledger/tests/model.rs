//! The engine against the naive ledger, on random batches: every result, every read, after every step.

mod naive;

use std::cell::RefCell;
use std::collections::BTreeSet;

use hundi_ledger::sqlite::{self, Disk, Options, State};
use hundi_ledger::{
    Account, AccountFilter, AccountFilterFlags, AccountFlags, AccountId, Amount, ChangeEventsFilter, Code,
    CreateAccountResult, CreateAccountStatus, CreateTransferResult, CreateTransferStatus, LedgerCode,
    MemoryStore, QueryFilter, QueryFilterFlags, Reads, Store, Timestamp, Transfer, TransferFlags, TransferId,
    engine,
};
use naive::Naive;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const ACCOUNTS: u128 = 6;
const TRANSFERS: u128 = 24;

/// A wait that ends about when the next pending transfer is due.
const UNTIL_DUE: u64 = u64::MAX - 10;

/// When an object says that it took place.
#[derive(Clone, Copy, Debug)]
enum When {
    Zero,
    /// So much above the last object of its kind.
    Above(u64),
    /// So much below the batch.
    Below(u64),
    At(u64),
}

/// What makes a random transfer meet an earlier one.
#[derive(Clone, Copy, Debug)]
enum Twist {
    None,
    /// The same event again, with one field changed or none.
    Repeat {
        which: usize,
        field: u8,
    },
    /// For a post or void: names a pending transfer that was sent.
    Resolve {
        which: usize,
    },
}

#[derive(Clone, Debug)]
enum Step {
    Accounts { wait: u64, events: Vec<(Account, When)> },
    Transfers { wait: u64, events: Vec<(Transfer, When, Twist)> },
    Expire { wait: u64 },
}

/// Mostly the usual, sometimes the odd.
fn mostly<T: Clone + std::fmt::Debug + 'static>(usual: T, odd: Vec<T>, odds: u32) -> BoxedStrategy<T> {
    prop_oneof![100 - odds => Just(usual), odds => proptest::sample::select(odd)].boxed()
}

fn amount() -> BoxedStrategy<Amount> {
    let extremes = [u128::MAX, u128::MAX - 1, u128::MAX - 20, u128::MAX / 2, u128::MAX / 2 + 1];
    prop_oneof![12 => (0..20u128).prop_map(Amount), 2 => proptest::sample::select(extremes.map(Amount).to_vec())]
        .boxed()
}

fn when(imported: bool) -> BoxedStrategy<When> {
    if imported {
        prop_oneof![
            1 => Just(When::Zero),
            8 => (0..40u64).prop_map(When::Above),
            2 => (0..3u64).prop_map(When::Below),
            1 => prop_oneof![Just(1 << 63), Just((1 << 63) - 1), Just(5), Just(500_000_000)].prop_map(When::At),
        ]
        .boxed()
    } else {
        prop_oneof![60 => Just(When::Zero), 1 => (1..9u64).prop_map(When::At)].boxed()
    }
}

fn account(import: bool) -> impl Strategy<Value = (Account, When)> {
    let flags = proptest::collection::vec(
        prop_oneof![
            6 => Just(0u16),
            2 => Just(AccountFlags::LINKED.0),
            3 => Just(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS.0),
            2 => Just(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS.0),
            4 => Just(AccountFlags::HISTORY.0),
            1 => Just(AccountFlags::CLOSED.0),
        ],
        2,
    );
    let mode = mostly(import, vec![!import], 3);
    let id = prop_oneof![40 => 1..=ACCOUNTS, 1 => Just(0), 1 => Just(u128::MAX)];
    let balances = mostly([0u128; 4], vec![[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1]], 8);
    let user_data = (mostly(0u128, vec![1], 8), mostly(0u64, vec![1], 8), mostly(0u32, vec![1], 8));
    let reserved = (mostly(0u32, vec![1], 2), mostly(0u16, vec![0x40, 0x8000], 2));
    let codes = (mostly(1u32, vec![2, 2, 0], 12), mostly(1u16, vec![2, 0], 8));
    (flags, mode, id, balances, user_data, reserved, codes).prop_flat_map(
        |(flags, imported, id, balances, user_data, (reserved, reserved_flag), (ledger, code))| {
            let mut account = Account::new(id, ledger, code);
            account.flags.0 |= flags[0] | flags[1] | reserved_flag;
            if imported {
                account.flags |= AccountFlags::IMPORTED;
            }
            account.reserved = reserved;
            (account.user_data_128, account.user_data_64, account.user_data_32) = user_data;
            [
                account.debits_pending,
                account.debits_posted,
                account.credits_pending,
                account.credits_posted,
            ] = balances.map(Amount);
            (Just(account), when(imported))
        },
    )
}

const PENDING: u16 = TransferFlags::PENDING.0;

fn transfer_flags() -> impl Strategy<Value = u16> {
    prop_oneof![
        6 => Just(0u16),
        8 => Just(PENDING),
        4 => Just(TransferFlags::POST_PENDING_TRANSFER.0),
        4 => Just(TransferFlags::VOID_PENDING_TRANSFER.0),
        2 => Just(TransferFlags::BALANCING_DEBIT.0),
        2 => Just(TransferFlags::BALANCING_CREDIT.0),
        1 => Just(TransferFlags::BALANCING_CREDIT.0 | TransferFlags::BALANCING_DEBIT.0 | PENDING),
        2 => Just(TransferFlags::CLOSING_DEBIT.0 | PENDING),
        2 => Just(TransferFlags::CLOSING_CREDIT.0 | PENDING),
        1 => 0..0x100u16,
    ]
}

fn transfer(import: bool) -> impl Strategy<Value = (Transfer, When)> {
    let linked = mostly(0u16, vec![TransferFlags::LINKED.0], 12);
    let reserved = mostly(0u16, vec![0x200, 0x8000], 1);
    let mode = mostly(import, vec![!import], 3);
    let id = |odd| prop_oneof![odd => 1..=TRANSFERS, 1 => Just(0), 1 => Just(u128::MAX)];
    let accounts = (1..=ACCOUNTS, 1..=ACCOUNTS, 0..30u8);
    let user_data =
        (mostly(0u128, vec![1, 2], 15), mostly(0u64, vec![1, 2], 15), mostly(0u32, vec![1, 2], 15));
    let codes = (mostly(1u32, vec![2, 2, 0], 10), mostly(1u16, vec![2, 0], 6));
    let timeout = prop_oneof![6 => Just(0u32), 5 => 1..4u32, 1 => Just(u32::MAX)];
    (
        transfer_flags(),
        (linked, reserved, mode),
        id(60),
        id(40),
        accounts,
        amount(),
        user_data,
        codes,
        timeout,
    )
        .prop_flat_map(
            |(
                flags,
                (linked, reserved, imported),
                id,
                pending,
                (debit, credit, odd),
                amount,
                data,
                codes,
                timeout,
            )| {
                let mut transfer = Transfer::new(id, debit, credit, amount, codes.0, codes.1);
                transfer.flags.0 |= flags | linked | reserved;
                if imported {
                    transfer.flags |= TransferFlags::IMPORTED;
                }
                (transfer.user_data_128, transfer.user_data_64, transfer.user_data_32) = data;
                let resolves = flags
                    & (TransferFlags::POST_PENDING_TRANSFER.0 | TransferFlags::VOID_PENDING_TRANSFER.0)
                    != 0;
                if flags & PENDING != 0 || odd == 0 {
                    transfer.timeout = timeout;
                }
                if resolves || odd == 1 {
                    transfer.pending_id = TransferId(pending);
                }
                match odd {
                    2 => transfer.debit_account_id.0 = 0,
                    3 => transfer.debit_account_id.0 = u128::MAX,
                    4 => transfer.credit_account_id.0 = 0,
                    5 => transfer.credit_account_id.0 = u128::MAX,
                    _ => {}
                }
                if resolves && odd > 8 {
                    (transfer.debit_account_id.0, transfer.credit_account_id.0) = (0, 0);
                    if odd > 10 {
                        (transfer.ledger.0, transfer.code.0) = (0, 0);
                    }
                    if odd > 16 {
                        let posts = flags & TransferFlags::POST_PENDING_TRANSFER.0 != 0;
                        transfer.amount = if posts { Amount::MAX } else { Amount::ZERO };
                    }
                }
                (Just(transfer), when(imported))
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    let wait = || prop_oneof![3 => Just(0), 6 => 0..100u64, 3 => UNTIL_DUE..UNTIL_DUE + 4, 6 => 0..1_500_000_000u64, 1 => Just(4_000_000_000_000_000_000)];
    let import = || mostly(false, vec![true], 25);
    prop_oneof![
        3 => (wait(), import().prop_flat_map(|import| proptest::collection::vec(account(import), 0..8)))
            .prop_map(|(wait, events)| Step::Accounts { wait, events }),
        9 => (wait(), import().prop_flat_map(|import| proptest::collection::vec((transfer(import), twist()), 0..10)))
            .prop_map(|(wait, events)| {
                let events = events.into_iter().map(|((transfer, when), twist)| (transfer, when, twist)).collect();
                Step::Transfers { wait, events }
            }),
        2 => wait().prop_map(|wait| Step::Expire { wait }),
    ]
}

fn twist() -> impl Strategy<Value = Twist> {
    prop_oneof![
        3 => Just(Twist::None),
        2 => (any::<usize>(), 0..24u8).prop_map(|(which, field)| Twist::Repeat { which, field }),
        4 => any::<usize>().prop_map(|which| Twist::Resolve { which }),
    ]
}

/// Changes one field, or for most numbers none.
fn change(transfer: &mut Transfer, field: u8) {
    match field {
        0 => transfer.amount.0 = transfer.amount.0.wrapping_add(1),
        1 => transfer.amount.0 = transfer.amount.0.wrapping_sub(1),
        2 => transfer.user_data_128 += 1,
        3 => transfer.user_data_64 += 1,
        4 => transfer.user_data_32 += 1,
        5 => transfer.ledger.0 += 1,
        6 => transfer.code.0 += 1,
        7 => transfer.debit_account_id.0 = transfer.debit_account_id.0.wrapping_add(1),
        8 => transfer.credit_account_id.0 = transfer.credit_account_id.0.wrapping_add(1),
        9 => transfer.timeout = transfer.timeout.wrapping_add(1),
        10 => transfer.flags.0 ^= TransferFlags::BALANCING_DEBIT.0,
        11 => transfer.pending_id.0 = transfer.pending_id.0.wrapping_add(1),
        _ => {}
    }
}

/// Filters whose times are so much of the whole time: in 1/8.
fn filters() -> impl Strategy<Value = (AccountFilter, QueryFilter)> {
    let times = (0..12u64, 0..12u64);
    let data = (mostly(0u128, vec![1], 20), mostly(0u64, vec![1], 20), mostly(0u32, vec![1], 20));
    let codes = (mostly(0u32, vec![1, 2], 20), mostly(0u16, vec![1, 2], 20));
    let limit = prop_oneof![3 => Just(u32::MAX), 2 => 0..4u32];
    let flags = (mostly(3u32, vec![0, 1, 2, 4, 5, 6, 7, 7, 8], 60), 0..20u32);
    (times, data, codes, limit, flags, 0..=ACCOUNTS).prop_map(
        |((min, max), (d128, d64, d32), (ledger, code), limit, (flags, order), account)| {
            let account = AccountFilter {
                account_id: AccountId(account),
                user_data_128: d128,
                user_data_64: d64,
                user_data_32: d32,
                code: Code(code),
                timestamp_min: Timestamp(min),
                timestamp_max: Timestamp(max),
                limit,
                flags: AccountFilterFlags(flags),
            };
            let query = QueryFilter {
                user_data_128: d128,
                user_data_64: d64,
                user_data_32: d32,
                ledger: LedgerCode(ledger),
                code: Code(code),
                timestamp_min: Timestamp(min),
                timestamp_max: Timestamp(max),
                limit,
                flags: QueryFilterFlags(if order < 19 { order % 2 } else { 2 }),
            };
            (account, query)
        },
    )
}

/// What the random batches reached, so that the test says when it stops testing something.
#[derive(Default)]
struct Seen {
    accounts: BTreeSet<CreateAccountStatus>,
    transfers: BTreeSet<CreateTransferStatus>,
    expired: usize,
    balances: usize,
}

/// The ledger in a file, with so little memory that most look-ups go to the disk.
struct File {
    state: State,
    disk: Disk,
    folder: tempfile::TempDir,
}

impl File {
    fn open(folder: tempfile::TempDir) -> Self {
        let options = Options { recent_events: 4, ..Options::default() };
        let (state, disk) = sqlite::open(folder.path().join("ledger.db"), options).expect("a ledger");
        Self { state, disk, folder }
    }

    fn new() -> Self {
        Self::open(tempfile::tempdir().expect("a folder"))
    }

    /// Commits what was executed; sometimes closes the file and opens it again.
    fn commit(self, reopen: bool) -> Self {
        let Self { mut state, mut disk, folder } = self;
        if state.is_changed() {
            let commit = disk.commit(state.take_changes(), |_| Ok(Vec::new())).expect("a working disk");
            state.handle_durable(commit.seq);
        }
        if reopen {
            drop((state, disk));
            Self::open(folder)
        } else {
            Self { state, disk, folder }
        }
    }
}

/// One batch or expiry pass, for any store.
trait Operation {
    type Result: PartialEq + std::fmt::Debug;
    fn run<S: Store>(&self, store: &mut S) -> Self::Result;
}

struct CreateAccounts<'a>(Timestamp, &'a [Account]);
struct CreateTransfers<'a>(Timestamp, &'a [Transfer]);
struct Expire(Timestamp);

impl Operation for CreateAccounts<'_> {
    type Result = Vec<CreateAccountResult>;
    fn run<S: Store>(&self, store: &mut S) -> Self::Result {
        engine::create_accounts(store, self.0, self.1).expect("a working store")
    }
}

impl Operation for CreateTransfers<'_> {
    type Result = Vec<CreateTransferResult>;
    fn run<S: Store>(&self, store: &mut S) -> Self::Result {
        engine::create_transfers(store, self.0, self.1).expect("a working store")
    }
}

impl Operation for Expire {
    type Result = Vec<TransferId>;
    fn run<S: Store>(&self, store: &mut S) -> Self::Result {
        engine::expire(store, self.0).expect("a working store")
    }
}

/// Runs, rolls back, runs again: a caller's transaction that is given up leaves no trace.
fn run_twice<S: Store, O: Operation>(store: &mut S, operation: &O, check: impl FnOnce(&S)) -> O::Result {
    let outer = store.savepoint();
    let first = operation.run(store);
    let inner = store.savepoint();
    store.release(inner);
    store.rollback(outer);
    check(store);
    let got = operation.run(store);
    assert_eq!(got, first, "the same state and batch give the same results");
    got
}

struct World {
    file: Option<File>,
    store: MemoryStore,
    compact: MemoryStore,
    naive: Naive,
    now: u64,
    /// Every transfer that was ever sent.
    sent: Vec<Transfer>,
}

impl World {
    fn time(&mut self, wait: u64, events: usize) -> Option<Timestamp> {
        let now = match wait.checked_sub(UNTIL_DUE) {
            Some(late) => Timestamp(self.naive.next_due().max(self.now + 2) - 2 + late),
            None => Timestamp(self.now + wait),
        };
        let time = engine::next_time(self.store.last(), now, events);
        engine::check_time(self.store.last(), time, events).ok()?;
        assert_eq!(self.naive.last(), self.store.last().any().0);
        self.now = time.0;
        Some(time)
    }

    fn step(&mut self, step: &Step, seen: &mut Seen) {
        let place = |when: When, last: u64, time: Timestamp| match when {
            When::Zero => Timestamp(0),
            When::Above(more) => Timestamp(last.saturating_add(more)),
            When::Below(less) => Timestamp(time.0.saturating_sub(less)),
            When::At(time) => Timestamp(time),
        };
        match step {
            Step::Accounts { wait, events } => {
                let Some(time) = self.time(*wait, events.len()) else { return };
                let mut last = self.naive.last_account();
                let mut batch = Vec::new();
                for (account, when) in events {
                    let timestamp = place(*when, last, time);
                    last = last.max(timestamp.0.min(time.0));
                    batch.push(Account { timestamp, ..*account });
                }
                let expected = self.naive.create_accounts(time.0, &batch);
                let got = self.run(&CreateAccounts(time, &batch));
                let got: Vec<_> = got.iter().map(|r| (r.status, r.timestamp)).collect();
                assert_eq!(got, expected, "T {time} {batch:#?}");
                seen.accounts.extend(got.iter().map(|(status, _)| *status));
            }
            Step::Transfers { wait, events } => {
                let Some(time) = self.time(*wait, events.len()) else { return };
                let mut last = self.naive.last_transfer();
                let mut batch = Vec::new();
                for (transfer, when, twist) in events {
                    if let Twist::Repeat { which, field } = twist
                        && !self.sent.is_empty()
                    {
                        let mut again = self.sent[which % self.sent.len()];
                        change(&mut again, *field);
                        batch.push(again);
                        continue;
                    }
                    let mut transfer = *transfer;
                    if let Twist::Resolve { which } = twist
                        && transfer.pending_id.0 != 0
                    {
                        let pending = |t: &&Transfer| t.flags.contains(TransferFlags::PENDING);
                        let found: Vec<&Transfer> = self.sent.iter().filter(pending).collect();
                        if !found.is_empty() {
                            transfer.pending_id = found[which % found.len()].id;
                        }
                    }
                    let timestamp = place(*when, last, time);
                    last = last.max(timestamp.0.min(time.0));
                    batch.push(Transfer { timestamp, ..transfer });
                }
                self.sent.extend(&batch);
                let expected = self.naive.create_transfers(time.0, &batch);
                let got = self.run(&CreateTransfers(time, &batch));
                let got: Vec<_> = got.iter().map(|r| (r.status, r.timestamp)).collect();
                assert_eq!(got, expected, "T {time} {batch:#?}");
                seen.transfers.extend(got.iter().map(|(status, _)| *status));
            }
            Step::Expire { wait } => {
                let Some(time) = self.time(*wait, 0) else { return };
                let expected = self.naive.expire(time.0);
                let got = self.run(&Expire(time));
                assert_eq!(got, expected, "T {time}");
                seen.expired += got.len();
            }
        }
    }

    fn run<O: Operation>(&mut self, operation: &O) -> O::Result {
        let before = self.store.clone();
        let got = run_twice(&mut self.store, operation, |store| {
            assert_eq!(*store, before, "a rollback leaves no trace");
        });
        assert_eq!(operation.run(&mut self.compact), got, "a compact store decides the same");
        if let Some(mut file) = self.file.take() {
            let last = file.state.last();
            let from_file = run_twice(&mut file.state, operation, |state| assert_eq!(state.last(), last));
            assert_eq!(from_file, got, "a file decides the same");
            self.file = Some(file.commit(self.now.is_multiple_of(3)));
        }
        got
    }

    fn compare(&self, filters: &(AccountFilter, QueryFilter), seen: &mut Seen) {
        let (mut account, mut query) = *filters;
        let part = |eighths: Timestamp| match eighths.0 {
            9 => Timestamp(u64::MAX),
            10 => Timestamp(1 << 63),
            11 => self.naive.transfer(1).map_or(Timestamp(1), |t| t.timestamp),
            eighths => Timestamp(self.now / 8 * eighths),
        };
        account.timestamp_min = part(account.timestamp_min);
        account.timestamp_max = part(account.timestamp_max);
        (query.timestamp_min, query.timestamp_max) = (account.timestamp_min, account.timestamp_max);
        compare_objects(&self.naive, &self.store);
        compare_objects(&self.naive, &self.compact);
        compare_queries(&self.naive, &self.store, &account, &query);
        compare_queries(&self.naive, &self.compact, &account, &query);
        seen.balances += compare_events(&self.naive, &self.store, &account, &query);
        if let Some(File { state, .. }) = &self.file {
            compare_objects(&self.naive, state);
            compare_queries(&self.naive, state, &account, &query);
            compare_events(&self.naive, state, &account, &query);
        }
        let (debits, credits) = self.naive.books();
        assert_eq!(debits, credits, "debits equal credits");
    }
}

fn compare_objects<R: Reads>(naive: &Naive, store: &R) {
    for id in 0..=ACCOUNTS {
        let found = store.lookup_accounts(&[AccountId(id)]).expect("a working store");
        assert_eq!(found.first().copied(), naive.account(id));
        let filter = AccountFilter::of(id, u32::MAX);
        let found = store.get_account_transfers(&filter).expect("a working store");
        assert_eq!(found, naive.get_account_transfers(&filter));
    }
    for id in 0..=TRANSFERS {
        let found = store.lookup_transfers(&[TransferId(id)]).expect("a working store");
        assert_eq!(found.first().copied(), naive.transfer(id));
    }
}

fn compare_queries<R: Reads>(naive: &Naive, store: &R, account: &AccountFilter, query: &QueryFilter) {
    let found = store.get_account_transfers(account).expect("a working store");
    assert_eq!(found, naive.get_account_transfers(account), "{account:?}");
    let found = store.query_accounts(query).expect("a working store");
    assert_eq!(found, naive.query_accounts(query), "{query:?}");
    let found = store.query_transfers(query).expect("a working store");
    assert_eq!(found, naive.query_transfers(query), "{query:?}");
}

/// Gives how many balances there were.
fn compare_events<R: Reads>(naive: &Naive, store: &R, account: &AccountFilter, query: &QueryFilter) -> usize {
    let mut balances = 0;
    for filter in (0..=ACCOUNTS).map(|id| AccountFilter::of(id, u32::MAX)).chain([*account]) {
        let found = store.get_account_balances(&filter).expect("a working store");
        assert_eq!(found, naive.get_account_balances(&filter), "{filter:?}");
        balances += found.len();
    }
    let part = ChangeEventsFilter {
        timestamp_min: query.timestamp_min,
        timestamp_max: query.timestamp_max,
        limit: query.limit,
    };
    for filter in [part, ChangeEventsFilter::all(u32::MAX)] {
        let found = store.get_change_events(&filter).expect("a working store");
        assert_eq!(found, naive.get_change_events(&filter), "{filter:?}");
    }
    balances
}

/// Runs so many random histories; gives what they reached.
fn run_histories(cases: u32, new_file: impl Fn() -> Option<File>, test: &str) -> Seen {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(cases);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let steps = (any::<bool>(), proptest::collection::vec((step(), filters()), 1..24));
    let seen = RefCell::new(Seen::default());
    let result = runner.run(&steps, |(plain, steps)| {
        let mut world = World {
            file: new_file(),
            store: MemoryStore::new(),
            compact: MemoryStore::compact(),
            naive: Naive::default(),
            now: 0,
            sent: Vec::new(),
        };
        let mut seen = seen.borrow_mut();
        if plain {
            let account = |id| (Account::new(id, 1, 1).with_flags(AccountFlags::HISTORY), When::Zero);
            let events = (1..ACCOUNTS).map(account).collect();
            world.step(&Step::Accounts { wait: 0, events }, &mut seen);
        }
        for (step, filters) in &steps {
            world.step(step, &mut seen);
            world.compare(filters, &mut seen);
        }
        Ok(())
    });
    if let Err(problem) = result {
        panic!("{problem}\nreplay: cargo test -p hundi-ledger --test model {test}");
    }
    seen.into_inner()
}

#[test]
fn the_engine_agrees_with_the_naive_ledger() {
    let seen = run_histories(8_000, || None, "the_engine");
    let unseen = |all: &[CreateTransferStatus]| {
        all.iter().filter(|status| !seen.transfers.contains(status)).copied().collect::<Vec<_>>()
    };
    assert_eq!(unseen(CreateTransferStatus::ALL), [], "results that no random batch reached");
    assert_eq!(seen.accounts.len(), CreateAccountStatus::ALL.len(), "{:?}", seen.accounts);
    assert!(seen.expired > 100 && seen.balances > 100, "{} {}", seen.expired, seen.balances);
}

#[test]
fn a_file_agrees_with_the_naive_ledger() {
    let seen = run_histories(100, || Some(File::new()), "a_file");
    assert!(seen.expired > 10 && seen.balances > 100, "{} {}", seen.expired, seen.balances);
}
