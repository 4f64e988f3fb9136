//! The audit against real participants: sound books pass, and every kind of tampering is found.

use std::sync::Arc;

use hundi_bank_node::{
    AccountRecord, AccountRequest, BankRecord, CustomerRecord, Effect, EntryRecord, MemoryBooks, Participant,
    PaymentRecord, Policy,
};
use hundi_ledger::{Amount, EventKind, MemoryStore, Transfer, TransferFlags, TransferId};
use hundi_protocol::{
    BankKey, BankName, Certificate, Credit, CustomerKey, Decision, Digest, Directory, Minor, NodeName, Order,
    OrderFields, OrderId, Outcome, Peer, Reason, Signed, Signer, UncheckedCertificate, UnixMillis, Verified,
    Vote,
};

use super::{Findings, audit};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn bank_name(name: &str) -> BankName {
    name.parse().unwrap()
}

fn signer(name: &str) -> Signer {
    Signer::new(bank_name(name), BankKey::from_seed(Digest::of(name.as_bytes()).as_bytes()))
}

fn customer_key() -> CustomerKey {
    CustomerKey::from_seed(&[7; 32])
}

fn courier() -> Peer {
    Peer::coordinator(NodeName::new("c1").unwrap())
}

/// Two banks, alice at alpha with 1,000, bob at beta.
struct World {
    alpha: Participant<MemoryBooks>,
    beta: Participant<MemoryBooks>,
    told: Vec<UncheckedCertificate>,
    orders: u8,
}

impl World {
    fn new() -> Self {
        let open = |name: &str| {
            Participant::open(bank_name(name), MemoryBooks::new(MemoryStore::new()), Policy::default())
        };
        let mut world = Self { alpha: open("alpha"), beta: open("beta"), told: Vec::new(), orders: 0 };
        let request = |name: &str, key| AccountRequest::Open {
            name: name.parse().unwrap(),
            currency: "INR".parse().unwrap(),
            key,
        };
        let key = Some(customer_key().public());
        world.alpha.handle_account_request(NOW, 1, &request("alice", key)).unwrap();
        let deposit = AccountRequest::Deposit {
            id: TransferId(9),
            name: "alice".parse().unwrap(),
            amount: Minor(1_000),
        };
        world.alpha.handle_account_request(NOW, 2, &deposit).unwrap();
        world.beta.handle_account_request(NOW, 1, &request("bob", None)).unwrap();
        sync(&mut world.alpha);
        sync(&mut world.beta);
        world
    }

    fn order(&mut self, amount: u128) -> Arc<Order> {
        self.orders += 1;
        let fields = OrderFields {
            id: OrderId::from_parts(NOW, [self.orders; 10]),
            payer: "alice@alpha".parse().unwrap(),
            credits: vec![Credit { payee: "bob@beta".parse().unwrap(), amount: Minor(amount) }],
            currency: "INR".parse().unwrap(),
            expires_at: UnixMillis(NOW.0 + 60_000),
            note: String::new(),
        };
        Order::sign(&fields, &customer_key()).unwrap()
    }

    /// The payee's bank votes; then the payer's, with that vote.
    fn ask_both(&mut self, order: &Arc<Order>) -> Vec<Verified<Vote>> {
        let authority = order.authorise(&customer_key().public()).unwrap();
        self.beta.handle_prepare(NOW, &courier(), order, None, &[]).unwrap();
        let beta = vote_of(&mut self.beta, "beta");
        self.alpha
            .handle_prepare(NOW, &courier(), order, Some(&authority), std::slice::from_ref(&beta))
            .unwrap();
        let alpha = vote_of(&mut self.alpha, "alpha");
        vec![alpha, beta]
    }

    /// Pays and tells everybody.
    fn pay(&mut self, amount: u128) -> Arc<Order> {
        let order = self.order(amount);
        let votes = self.ask_both(&order);
        self.beta.handle_outcome(NOW, &courier(), &order, &votes).unwrap();
        sync(&mut self.beta);
        self.told.push(Certificate::new(Arc::clone(&order), &votes).unwrap().to_unchecked());
        order
    }

    fn records(&self) -> Vec<BankRecord> {
        vec![record("alpha", &self.alpha), record("beta", &self.beta)]
    }

    fn audit(&self, records: &[BankRecord]) -> Findings {
        let directory: Directory =
            ["alpha", "beta"].map(|name| (bank_name(name), signer(name).public())).into_iter().collect();
        audit(&directory, records, self.told.clone())
    }
}

fn sync(bank: &mut Participant<MemoryBooks>) -> Vec<Effect> {
    if let Some(seq) = bank.cut() {
        bank.handle_durable(seq);
    }
    std::iter::from_fn(|| bank.poll()).collect()
}

fn vote_of(bank: &mut Participant<MemoryBooks>, name: &str) -> Verified<Vote> {
    let vote = sync(bank).into_iter().find_map(|effect| match effect {
        Effect::Vote { vote, .. } => Some(vote),
        _ => None,
    });
    signer(name).sign_own(vec![vote.unwrap()]).pop().unwrap()
}

fn kind_of(transfer: &Transfer) -> EventKind {
    let has = |flag| transfer.flags.contains(flag);
    if has(TransferFlags::PENDING) {
        EventKind::Pending
    } else if has(TransferFlags::POST_PENDING_TRANSFER) {
        EventKind::Posted
    } else if has(TransferFlags::VOID_PENDING_TRANSFER) {
        EventKind::Voided
    } else {
        EventKind::SinglePhase
    }
}

fn digest_of(transfer: &Transfer) -> Digest {
    let mut bytes = [0; 32];
    bytes[..9].copy_from_slice(&transfer.id.0.to_be_bytes()[7..]);
    bytes[9..25].copy_from_slice(&transfer.user_data_128.to_be_bytes());
    bytes[25..].copy_from_slice(&transfer.user_data_64.to_be_bytes()[1..]);
    Digest(bytes)
}

fn record(name: &str, participant: &Participant<MemoryBooks>) -> BankRecord {
    let books = participant.books();
    let entry = |transfer: &Transfer| EntryRecord {
        id: transfer.id,
        debit: transfer.debit_account_id,
        credit: transfer.credit_account_id,
        amount: transfer.amount,
        kind: kind_of(transfer),
        payment: digest_of(transfer),
    };
    BankRecord {
        bank: bank_name(name),
        commits: 0,
        damage: None,
        customers: books
            .customers()
            .iter()
            .map(|(name, customer)| CustomerRecord {
                name: name.clone(),
                account: customer.account,
                currency: customer.currency,
            })
            .collect(),
        accounts: books
            .ledger_ref()
            .accounts()
            .map(|account| AccountRecord {
                id: account.id,
                debits_pending: account.debits_pending,
                debits_posted: account.debits_posted,
                credits_pending: account.credits_pending,
                credits_posted: account.credits_posted,
            })
            .collect(),
        entries: books
            .ledger_ref()
            .transfers()
            .filter(|(transfer, _)| transfer.code.0 == 1)
            .map(|(transfer, _)| entry(transfer))
            .collect(),
        payments: books
            .payments()
            .values()
            .map(|payment| PaymentRecord {
                order: Arc::clone(&payment.order),
                decision: payment.decision,
                settled: payment.settled,
                evidence: payment.evidence.iter().map(|vote| vote.signed().clone()).collect(),
            })
            .collect(),
        double_votes: Vec::new(),
        floor: UnixMillis(0),
    }
}

/// Pays, tampers, audits: exactly these offences are found.
fn check(tamper: impl FnOnce(&mut Vec<BankRecord>), expected: &[&str]) -> Findings {
    let mut world = World::new();
    world.pay(250);
    let mut records = world.records();
    tamper(&mut records);
    let findings = world.audit(&records);
    let found: Vec<String> = findings.offences.iter().map(|offence| offence.what.clone()).collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found:?} does not say {expected:?}");
    }
    findings
}

fn inr(findings: &Findings) -> i128 {
    findings.clearing[&"INR".parse().unwrap()]
}

#[test]
fn sound_books_pass() {
    let mut world = World::new();
    world.pay(250);
    world.pay(750);
    world.pay(1); // Too little money is left.
    let findings = world.audit(&world.records());
    assert_eq!(findings.offences, []);
    assert!(findings.is_ok() && findings.books_balanced() && findings.chain_ok());
    assert_eq!((findings.in_flight, findings.legs_unmatched, inr(&findings)), (0, 0, 0));
    assert_eq!(findings.certificates_checked, 3 + 6, "three told, and each bank's record of each");
}

#[test]
fn a_payment_half_way_is_in_flight_and_no_offence() {
    let mut world = World::new();
    let order = world.order(250);
    let votes = world.ask_both(&order); // Beta is not told.
    world.told.push(Certificate::new(order, &votes).unwrap().to_unchecked());
    let findings = world.audit(&world.records());
    assert_eq!(findings.offences, []);
    assert_eq!((findings.in_flight, inr(&findings)), (1, 250));
}

#[test]
fn money_made_in_one_bank_is_found() {
    let findings = check(
        |records| {
            let bob = records[1].customers[0].account;
            let account = records[1].accounts.iter_mut().find(|account| account.id == bob).unwrap();
            account.credits_posted = Amount(account.credits_posted.0 + 1);
        },
        &["INR: posted debits are 250 and credits 251"],
    );
    assert!(!findings.books_balanced());
}

#[test]
fn an_entry_of_another_amount_is_found() {
    check(|records| records[1].entries[0].amount = Amount(249), &["leg 1: moves 249 and the order says 250"]);
}

#[test]
fn an_entry_without_a_vote_and_a_vote_without_an_entry_are_found() {
    let findings = check(
        |records| records[1].payments.clear(),
        &[
            "2 ledger entries and no vote on record",
            "committed, and not posted at beta",
            "its signed vote yes is with others and not in its own file",
            "clearing in INR sums to 0",
            "bank beta has no record of it",
        ],
    );
    assert_eq!((findings.legs_unmatched, findings.acknowledged_lost), (1, 1));
    check(
        |records| records[0].entries.clear(),
        &[
            "the ledger has 0 pending, 0 posted, 0 voided",
            "committed, and not posted at alpha",
            "clearing in INR sums to 0",
        ],
    );
}

#[test]
fn a_leg_posted_twice_is_found() {
    let findings = check(
        |records| {
            let mut again =
                records[1].entries.iter().find(|entry| entry.kind == EventKind::Posted).unwrap().clone();
            let settle = again.id.0 ^ (1 << 72); // Settle ↔ Book in the id's two bits of the step.
            again.id = TransferId(settle);
            again.kind = EventKind::SinglePhase;
            records[1].entries.retain(|entry| entry.kind != EventKind::Pending);
            records[1].entries.push(again);
        },
        &["leg 1 is posted 2 times", "committed, and not posted at beta", "clearing in INR sums to 0"],
    );
    assert_eq!(findings.executed_twice, 1);
}

#[test]
fn a_split_outcome_is_found() {
    let findings = check(
        |records| {
            records[1].payments[0].settled = Some(Outcome::Abort);
            for entry in &mut records[1].entries {
                if entry.kind == EventKind::Posted {
                    entry.kind = EventKind::Voided;
                }
            }
        },
        &[
            "has abort on record, and the votes beside it prove commit",
            "split outcome: alpha commit, beta abort",
            "clearing in INR sums to 0 minor units over all banks; the payments half-way account for 250",
            "the customer was told commit, and bank beta refused it",
        ],
    );
    assert_eq!(findings.acknowledged_lost, 1);
}

#[test]
fn proof_that_is_no_proof_is_found() {
    check(
        |records| records[1].payments[0].evidence.clear(),
        &["has commit on record, and the votes beside it prove nothing"],
    );
    check(
        |records| {
            let evidence = &mut records[1].payments[0].evidence;
            let statement = evidence[0].unverified().clone();
            let stranger = Signer::new(bank_name("alpha"), BankKey::from_seed(&[9; 32]));
            *evidence = stranger.sign_batch(vec![statement]);
        },
        &[
            "a vote kept as proof is not: the signature",
            "has commit on record, and the votes beside it prove nothing",
        ],
    );
}

#[test]
fn a_bank_that_voted_both_ways_is_found() {
    let no = |records: &[BankRecord]| -> Signed<Vote> {
        let payment = records[0].payments[0].order.digest();
        let vote = Vote { payment, bank: bank_name("alpha"), decision: Decision::No(Reason::Resolved) };
        signer("alpha").sign_batch(vec![vote]).pop().unwrap()
    };
    let findings = check(
        |records| {
            let no = no(records);
            records[1].payments[0].evidence.push(no);
        },
        &["bank alpha voted both YES and NO"],
    );
    assert_eq!(findings.double_votes, 1);
}

#[test]
fn an_order_paid_twice_is_found() {
    let mut world = World::new();
    let first = world.pay(10);
    world.orders -= 1; // The same id, another amount: the payer's bank refuses it.
    world.pay(20);
    let mut records = world.records();
    assert!(world.audit(&records).is_ok());
    // A bank that forgot the first one would have taken the second.
    let second =
        records[0].payments.iter().position(|payment| payment.order.digest() != first.digest()).unwrap();
    records[0].payments[second].settled = Some(Outcome::Commit);
    assert_eq!(world.audit(&records).executed_twice, 1);
}

#[test]
fn a_damaged_chain_is_told() {
    let findings = check(
        |records| records[0].damage = Some("commit 3: the hash does not follow".to_owned()),
        &["commit 3: the hash does not follow"],
    );
    assert!(!findings.chain_ok());
}
