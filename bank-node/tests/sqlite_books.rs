//! A participant over its file: everything that is on disk is there after opening it again.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::Arc;

use hundi_bank_node::{
    AccountRequest, BankDisk, Books, Effect, Participant, Policy, SqliteBooks, first_bad_bank_row,
};
use hundi_ledger::TransferId;
use hundi_protocol::{
    AccountName, AccountRef, BankKey, BankName, Credit, CustomerKey, Directory, Minor, NodeName, Order,
    OrderFields, OrderId, Outcome, Peer, Signer, UnixMillis, Verified, Verifier, Vote,
};
use rusqlite::{Connection, OpenFlags};
use sha2::Digest as _;

const NOW: UnixMillis = UnixMillis(1_000);

struct Bank {
    node: Participant<SqliteBooks>,
    disk: BankDisk,
    path: PathBuf,
}

fn signer(bank: &str) -> Signer {
    Signer::new(BankName::new(bank).unwrap(), BankKey::from_seed(&[bank.as_bytes()[0]; 32]))
}

fn verifier() -> Verifier {
    let banks = ["alpha", "beta"].map(|bank| (BankName::new(bank).unwrap(), signer(bank).public()));
    Verifier::new(Directory::from_iter(banks))
}

impl Bank {
    fn open(dir: &tempfile::TempDir, name: &str) -> Self {
        let path = dir.path().join(format!("{name}.db"));
        let (books, disk) = SqliteBooks::open(&path, verifier()).unwrap();
        Bank { node: Participant::open(BankName::new(name).unwrap(), books, Policy::default()), disk, path }
    }

    fn reopen(self, dir: &tempfile::TempDir) -> Self {
        let name = self.node.bank().to_string();
        drop(self);
        Bank::open(dir, &name)
    }

    fn sync(&mut self) -> Vec<Effect> {
        while let Some(seq) = self.node.cut() {
            let commit = self.disk.commit(self.node.books_mut().take_changes()).unwrap();
            assert_eq!(commit.seq, seq);
            self.node.handle_durable(seq);
            self.node.books_mut().handle_durable(seq);
        }
        std::iter::from_fn(|| self.node.poll()).collect()
    }

    fn open_account(&mut self, name: &str) {
        let key = Some(CustomerKey::from_seed(&[7; 32]).public());
        let name = AccountName::new(name).unwrap();
        let request = AccountRequest::Open { name: name.clone(), currency: "INR".parse().unwrap(), key };
        self.node.handle_account_request(NOW, 1, &request).unwrap();
        let request = AccountRequest::Deposit { id: TransferId(99), name, amount: Minor(100) };
        self.node.handle_account_request(NOW, 2, &request).unwrap();
        assert_eq!(self.sync().len(), 2);
    }

    fn vote(&mut self) -> Verified<Vote> {
        match self.sync().as_slice() {
            [Effect::Vote { vote, .. } | Effect::Proof { vote, .. }] => {
                signer(vote.bank.as_str()).sign_own(vec![vote.clone()]).remove(0)
            }
            other => panic!("expected one vote, got {other:?}"),
        }
    }

    fn prepare(&mut self, order: &Arc<Order>, votes: &[Verified<Vote>]) -> Verified<Vote> {
        let authority = order.authorise(&CustomerKey::from_seed(&[7; 32]).public()).ok();
        let from = Peer::coordinator(NodeName::new("c1").unwrap());
        self.node.handle_prepare(NOW, &from, order, authority.as_ref(), votes).unwrap();
        self.vote()
    }

    /// Rows of a query, as any sqlite3 client would see them.
    fn sql(&self, query: &str) -> Vec<String> {
        let client = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut select = client.prepare(query).unwrap();
        let columns = select.column_count();
        let text = |row: &rusqlite::Row<'_>| {
            let cells = (0..columns).map(|i| match row.get_ref(i).unwrap() {
                rusqlite::types::ValueRef::Integer(n) => n.to_string(),
                rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                other => format!("{other:?}"),
            });
            Ok(cells.collect::<Vec<_>>().join(" "))
        };
        select.query_map([], text).unwrap().map(Result::unwrap).collect()
    }
}

/// A bank for the payer and one for the payee.
fn two_banks(dir: &tempfile::TempDir) -> (Bank, Bank) {
    let (mut alpha, mut beta) = (Bank::open(dir, "alpha"), Bank::open(dir, "beta"));
    alpha.open_account("asha");
    beta.open_account("bela");
    (alpha, beta)
}

fn order() -> Arc<Order> {
    order_of(1, 40, 9_000)
}

fn order_of(id: u8, amount: u128, expires_at: u64) -> Arc<Order> {
    let account = |name: &str, bank: &str| AccountRef {
        name: AccountName::new(name).unwrap(),
        bank: BankName::new(bank).unwrap(),
    };
    let fields = OrderFields {
        id: OrderId::from_parts(UnixMillis(500), [id; 10]),
        payer: account("asha", "alpha"),
        credits: vec![Credit { payee: account("bela", "beta"), amount: Minor(amount) }],
        currency: "INR".parse().unwrap(),
        expires_at: UnixMillis(expires_at),
        note: String::new(),
    };
    Order::sign(&fields, &CustomerKey::from_seed(&[7; 32])).unwrap()
}

#[test]
fn doubt_and_outcome_survive_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (mut alpha, mut beta) = two_banks(&dir);
    let order = order();
    let beta_yes = beta.prepare(&order, &[]);
    beta = beta.reopen(&dir);
    assert_eq!(beta.node.books().open_payments(), [order.digest()], "in doubt after a restart");
    assert_eq!(beta.prepare(&order, &[]), beta_yes, "R2: the stored vote");
    beta.node.handle_time(NOW).unwrap();
    assert_eq!(beta.sync(), [], "a courier may be about to finish it");
    beta.node.handle_time(beta.node.next_time().unwrap()).unwrap();
    assert!(matches!(beta.sync().as_slice(), [Effect::Resolve { .. }]), "R5: asks the others itself");

    let alpha_yes = alpha.prepare(&order, std::slice::from_ref(&beta_yes));
    alpha = alpha.reopen(&dir);
    assert_eq!(alpha.prepare(&order, &[]), alpha_yes);
    let stored = alpha.node.books_mut().payment(&order).unwrap().unwrap();
    assert_eq!((stored.settled, stored.evidence), (Some(Outcome::Commit), vec![beta_yes]));

    beta.node.handle_vote(NOW, &alpha_yes).unwrap();
    assert_eq!(beta.sync(), []);
    beta = beta.reopen(&dir);
    assert!(beta.node.books().open_payments().is_empty());

    let payment = order.digest().to_string();
    assert_eq!(alpha.sql("SELECT payment, vote, outcome FROM v_votes"), [format!("{payment} yes commit")]);
    assert_eq!(beta.sql("SELECT payment, vote, outcome FROM v_votes"), [format!("{payment} yes commit")]);
    let legs = "SELECT amount, kind, payment FROM v_transfers WHERE payment IS NOT NULL ORDER BY timestamp";
    assert_eq!(alpha.sql(legs), [format!("40 single_phase {payment}")]);
    assert_eq!(
        beta.sql(legs),
        [format!("40 two_phase_pending {payment}"), format!("40 two_phase_posted {payment}")]
    );
    let balances = "SELECT name, currency, debits_pending, debits_posted, credits_pending, credits_posted \
        FROM v_accounts WHERE name IN ('asha', 'bela', '#clearing-INR') ORDER BY name";
    assert_eq!(alpha.sql(balances), ["#clearing-INR INR 0 0 0 40", "asha INR 0 40 0 100"]);
    assert_eq!(beta.sql(balances), ["#clearing-INR INR 0 40 0 0", "bela INR 0 0 0 140"]);
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let alpha = Bank::open(&dir, "alpha");
    let error = SqliteBooks::open(&alpha.path, verifier()).unwrap_err().to_string();
    assert!(error.contains("in use"), "{error}");
}

#[test]
fn every_altered_row_of_the_bank_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut alpha, mut beta) = two_banks(&dir);
    let order = order();
    let beta_yes = beta.prepare(&order, &[]);
    let alpha_yes = alpha.prepare(&order, &[beta_yes]);
    beta.node.handle_vote(NOW, &alpha_yes).unwrap();
    beta.sync();
    beta.node.handle_floor(UnixMillis(10));
    beta.sync();
    alpha.node.handle_floor(UnixMillis(10));
    alpha.sync();
    let paths = [alpha.path.clone(), beta.path.clone()];
    drop((alpha, beta));
    let altered_in_both = [
        ("customers", "name", "'bels'"),
        ("customers", "account", "zeroblob(16)"),
        ("customers", "currency", "'INS'"),
        ("customers", "key", "X'00'"),
        ("customers", "seq", "seq + 1"),
        ("customers", "closed_seq", "1"),
        ("account_names", "name", "name || 'x'"),
        ("account_names", "name", "name || 'x' WHERE name LIKE '#%'"),
        ("refusal_floors", "expires_at", "9"),
        ("payments", "order_id", "zeroblob(16)"),
        ("payments", "digest", "zeroblob(32)"),
        ("payments", "vote", "1"),
        ("payments", "claims_order_id", "1 - claims_order_id"),
        ("payments", "expires_at", "expires_at + 1"),
        ("payments", "seq", "seq + 1"),
        ("payments", "outcome", "0"),
        ("payments", "settled_seq", "coalesce(settled_seq, 9) - 1"),
        ("payments", "evidence", "X'00'"),
        ("payments", "jws", "X'00'"),
    ];
    // The payer's bank settles with its vote, the payee's later.
    let with_the_vote = [("payments", "outcome", "NULL"), ("payments", "evidence", "NULL")];
    let later = [
        ("payments", "n", "n + 1000"),
        ("outcomes", "n", "n + 1000"),
        ("outcomes", "outcome", "0"),
        ("outcomes", "seq", "seq - 1"),
        ("outcomes", "evidence", "X'00'"),
    ];
    for (path, more) in paths.iter().zip([&with_the_vote[..], &later[..]]) {
        let file = Connection::open(path).unwrap();
        assert_eq!(first_bad_bank_row(&file).unwrap(), None);
        let updates = altered_in_both.iter().chain(more);
        let updates = updates.map(|(table, column, value)| format!("UPDATE {table} SET {column} = {value}"));
        let others = [
            "INSERT INTO in_doubt SELECT n FROM payments",
            "INSERT INTO in_doubt VALUES (1000)",
            "INSERT INTO outcomes SELECT n + 1, 1, seq, X'00' FROM payments",
            "DELETE FROM payments",
        ];
        for change in updates.chain(others.map(str::to_owned)) {
            file.execute_batch(&format!("BEGIN; {change}")).unwrap();
            assert!(first_bad_bank_row(&file).unwrap().is_some(), "{change} went unnoticed");
            file.execute_batch("ROLLBACK").unwrap();
        }
    }
}

#[test]
fn every_altered_refusal_is_noticed_until_it_may_be_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let (mut alpha, mut beta) = two_banks(&dir);
    // Two refusals in one commit, one of which is dropped before the other.
    let refused = [order_of(1, 500, 5_000), order_of(2, 600, 9_000)];
    for order in &refused {
        let votes = [beta.prepare(order, &[])];
        let authority = order.authorise(&CustomerKey::from_seed(&[7; 32]).public()).ok();
        let from = Peer::coordinator(NodeName::new("c1").unwrap());
        alpha.node.handle_prepare(NOW, &from, order, authority.as_ref(), &votes).unwrap();
    }
    assert_eq!(alpha.sync().len(), 2);
    let path = alpha.path.clone();
    let file = Connection::open(&path).unwrap();
    let check = |file: &Connection, what: &str| {
        assert_eq!(first_bad_bank_row(file).unwrap(), None);
        for change in [
            "UPDATE payments SET vote = vote + 1",
            "UPDATE payments SET vote = 0",
            "UPDATE payments SET claims_order_id = 1 - claims_order_id",
            "UPDATE payments SET seq = seq - 1",
            "UPDATE payments SET seq = seq - 1, settled_seq = settled_seq - 1",
            "UPDATE payments SET settled_seq = settled_seq + 1",
            "UPDATE payments SET outcome = 1",
            "UPDATE payments SET evidence = X'00'",
            "DELETE FROM payments",
            "DELETE FROM refusals",
            "UPDATE refusals SET entries = NULL",
            "UPDATE refusals SET entries = X''",
            "UPDATE refusals SET entries = NULL, last_expires_at = 1",
            "UPDATE refusals SET hash = zeroblob(32)",
            "UPDATE refusals SET entries = X'', hash = X'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'",
        ] {
            file.execute_batch(&format!("BEGIN; {change}")).unwrap();
            assert!(first_bad_bank_row(file).unwrap().is_some(), "{what}: {change} went unnoticed");
            file.execute_batch("ROLLBACK").unwrap();
        }
    };
    check(&file, "both are there");
    alpha.node.handle_floor(UnixMillis(5_000));
    alpha.sync();
    assert_eq!(alpha.sql("SELECT count(*) FROM payments"), ["1"]);
    check(&file, "one is dropped");
    alpha.node.handle_floor(UnixMillis(9_000));
    alpha.sync();
    assert_eq!(alpha.sql("SELECT count(*) FROM payments"), ["0"]);
    assert_eq!(alpha.sql("SELECT count(*), sum(entries IS NULL) FROM refusals"), ["1 1"]);
    assert_eq!(first_bad_bank_row(&file).unwrap(), None, "both are dropped");
    file.execute_batch("DELETE FROM refusals").unwrap();
    assert!(first_bad_bank_row(&file).unwrap().is_some());
}

#[test]
fn a_commit_after_an_abort_keeps_both_in_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let (mut alpha, _) = two_banks(&dir);
    let order = order();
    let from = Peer::coordinator(NodeName::new("c1").unwrap());
    let alpha_yes = alpha.prepare(&order, &[]);
    let word = |decision| Vote { payment: order.digest(), bank: BankName::new("beta").unwrap(), decision };
    let say = |decision| signer("beta").sign_own(vec![word(decision)]).remove(0);
    let beta_no = say(hundi_protocol::Decision::No(hundi_protocol::Reason::Resolved));
    alpha.node.handle_outcome(NOW, &from, &order, &[beta_no]).unwrap();
    alpha.sync();
    let beta_yes = say(hundi_protocol::Decision::Yes);
    alpha.node.handle_outcome(NOW, &from, &order, &[alpha_yes, beta_yes]).unwrap();
    alpha.sync();
    alpha = alpha.reopen(&dir);
    let stored = alpha.node.books_mut().payment(&order).unwrap().unwrap();
    assert_eq!(stored.settled, Some(Outcome::Commit), "R12: the complete YES set counts");
    assert_eq!(alpha.sql("SELECT outcome FROM v_votes"), ["commit"]);
    let path = alpha.path.clone();
    drop(alpha);
    assert_eq!(first_bad_bank_row(&Connection::open(&path).unwrap()).unwrap(), None);
}

#[test]
fn a_file_belongs_to_one_bank() {
    let dir = tempfile::tempdir().unwrap();
    let mut alpha = Bank::open(&dir, "alpha");
    let (name, key) = (BankName::new("alpha").unwrap(), signer("alpha").public());
    alpha.node.books_mut().claim(&name, key).unwrap();
    alpha.open_account("asha");
    alpha = alpha.reopen(&dir);
    alpha.node.books_mut().claim(&name, key).unwrap();
    alpha.node.books().check_balance().unwrap();
    let beta = BankName::new("beta").unwrap();
    let error = alpha.node.books_mut().claim(&beta, signer("beta").public()).unwrap_err().to_string();
    assert!(error.contains("the file of bank alpha"), "{error}");
    alpha.node.books_mut().claim(&name, signer("beta").public()).unwrap_err();
    let path = alpha.path.clone();
    drop(alpha);
    let file = Connection::open(&path).unwrap();
    assert_eq!(first_bad_bank_row(&file).unwrap(), None);
    file.execute_batch("UPDATE owner SET bank = 'beta'").unwrap();
    assert!(first_bad_bank_row(&file).unwrap().is_some());
}

#[test]
fn a_file_whose_doubts_were_changed_is_not_worked_with() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut beta) = two_banks(&dir);
    let order = order();
    beta.prepare(&order, &[]);
    let path = beta.path.clone();
    drop(beta);
    let edit = |sql: &str| Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    let refused = |sql: &str, undo: &str, why: &str| {
        edit(sql);
        let error = SqliteBooks::open(&path, verifier()).unwrap_err().to_string();
        assert!(error.contains(why), "{sql}: {error}");
        edit(undo);
    };
    refused(
        "INSERT INTO in_doubt VALUES (2)",
        "DELETE FROM in_doubt WHERE n = 2",
        "in_doubt: row 2 names no payment",
    );
    let outcome_of = |n: u8| format!("INSERT INTO outcomes VALUES ({n}, 1, 9, X'00')");
    refused(&outcome_of(2), "DELETE FROM outcomes", "outcomes: row 2 names no payment");
    refused(&outcome_of(1), "DELETE FROM outcomes", "row 1 and the payment's outcome do not fit");
    // A doubt that is forgotten is found where it would matter: before the payment is answered for, or settled.
    edit("DELETE FROM in_doubt");
    let mut beta = Bank::open(&dir, "beta");
    let from = Peer::coordinator(NodeName::new("c1").unwrap());
    let no = Vote {
        payment: order.digest(),
        bank: BankName::new("alpha").unwrap(),
        decision: hundi_protocol::Decision::No(hundi_protocol::Reason::Resolved),
    };
    let no = signer("alpha").sign_own(vec![no]).remove(0);
    for error in [
        beta.node.handle_outcome(NOW, &from, &order, &[no]).unwrap_err(),
        beta.node.handle_resolve(NOW, &from, &order, None).unwrap_err(),
    ] {
        assert!(error.to_string().contains("row 1 and the payment's outcome do not fit"), "{error}");
    }
    assert!(beta.sync().is_empty(), "nothing was said or written");
}

/// Turns a bank's file into what version 2 of its schema would have made of the same payments.
fn make_version_2(path: &std::path::Path) {
    let file = Connection::open(path).unwrap();
    file.execute_batch(
        "BEGIN; DROP VIEW v_votes; ALTER TABLE payments RENAME TO new; DROP INDEX payments_refused;
         CREATE TABLE payments(
             order_id BLOB NOT NULL, digest BLOB NOT NULL, vote INTEGER NOT NULL, claims_order_id INTEGER NOT NULL,
             expires_at INTEGER NOT NULL, seq INTEGER NOT NULL, outcome INTEGER, settled_seq INTEGER, evidence BLOB,
             jws BLOB NOT NULL, PRIMARY KEY(order_id, digest)
         ) STRICT;
         INSERT INTO payments SELECT order_id, digest, vote, claims_order_id, expires_at, new.seq,
             coalesce(o.outcome, new.outcome), coalesce(o.seq, settled_seq), coalesce(o.evidence, new.evidence), jws
             FROM new LEFT JOIN outcomes o USING (n) ORDER BY n;
         DROP TABLE new; DROP TABLE outcomes; DROP TABLE in_doubt;
         CREATE INDEX payments_in_doubt ON payments(seq) WHERE outcome IS NULL;
         CREATE INDEX payments_refused ON payments(expires_at) WHERE vote <> 0;
         CREATE VIEW v_votes AS SELECT lower(hex(digest)) AS payment FROM payments;
         DELETE FROM meta WHERE key LIKE 'schema: %'; UPDATE meta SET value = 2 WHERE key = 'app_version'; COMMIT",
    )
    .unwrap();
    let mut objects =
        file.prepare("SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema").unwrap();
    let objects: Vec<(String, String)> = objects
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for (name, sql) in objects {
        let digest: [u8; 32] = sha2::Sha256::digest(sql).into();
        file.execute("INSERT INTO meta VALUES ('schema: ' || ?, ?)", (name, digest)).unwrap();
    }
}

#[test]
fn a_file_of_the_version_before_is_audited_as_it_is_and_brought_up_to_date_by_its_bank() {
    let dir = tempfile::tempdir().unwrap();
    let (mut alpha, mut beta) = two_banks(&dir);
    let (settled, open) = (order_of(1, 40, 9_000), order_of(2, 30, 9_000));
    let beta_yes = beta.prepare(&settled, &[]);
    let alpha_yes = alpha.prepare(&settled, &[beta_yes]);
    beta.node.handle_vote(NOW, &alpha_yes).unwrap();
    beta.sync();
    beta.prepare(&open, &[]);
    let path = beta.path.clone();
    drop(beta);
    make_version_2(&path);
    let before = std::fs::read(&path).unwrap();

    let record = hundi_bank_node::read_bank_file(&path, &BankName::new("beta").unwrap()).unwrap();
    assert_eq!(record.damage, None);
    let outcomes: Vec<Option<Outcome>> = record.payments.iter().map(|payment| payment.settled).collect();
    assert_eq!(outcomes, [Some(Outcome::Commit), None]);
    assert_eq!(std::fs::read(&path).unwrap(), before, "an audit changes nothing");

    let mut beta = Bank::open(&dir, "beta");
    assert_eq!(beta.node.books().open_payments(), [open.digest()]);
    let alpha_yes = Vote {
        payment: open.digest(),
        bank: BankName::new("alpha").unwrap(),
        decision: hundi_protocol::Decision::Yes,
    };
    beta.node.handle_vote(NOW, &signer("alpha").sign_own(vec![alpha_yes]).remove(0)).unwrap();
    beta.prepare(&order_of(3, 10, 9_000), &[]);
    assert_eq!(
        beta.sql("SELECT vote, outcome FROM v_votes ORDER BY order_id"),
        ["yes commit", "yes commit", "yes Null"]
    );
    drop(beta);
    assert_eq!(first_bad_bank_row(&Connection::open(&path).unwrap()).unwrap(), None);

    // What opening would refuse is refused of an older file too, and stays as it was.
    make_version_2(&path);
    Connection::open(&path).unwrap().execute_batch("DROP INDEX payments_in_doubt").unwrap();
    let before = std::fs::read(&path).unwrap();
    let error =
        hundi_bank_node::read_bank_file(&path, &BankName::new("beta").unwrap()).unwrap_err().to_string();
    assert!(error.contains("an older version") && error.contains("payments_in_doubt is missing"), "{error}");
    let error = SqliteBooks::open(&path, verifier()).unwrap_err().to_string();
    assert!(error.contains("payments_in_doubt is missing"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}
