//! Two participants and no courier: each input by hand, over books in memory.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use hundi_bank_node::{
    AccountRefusal, AccountRequest, Books, Effect, Fault, MemoryBooks, OwnAccount, Participant, Policy,
};
use hundi_ledger::{MemoryStore, Store, TransferId};
use hundi_protocol::{
    AccountName, AccountRef, BankKey, BankName, Credit, Currency, CustomerKey, Decision, Digest, Minor,
    NodeName, Order, OrderFields, OrderId, Outcome, Peer, Reason, Signer, UnixMillis, Verified, Vote,
};

const NOW: UnixMillis = UnixMillis(1_000);
const EXPIRY: UnixMillis = UnixMillis(9_000);

struct Bank {
    node: Participant<MemoryBooks>,
    signer: Signer,
}

fn inr() -> Currency {
    "INR".parse().unwrap()
}

fn courier() -> Peer {
    Peer::coordinator(NodeName::new("c1").unwrap())
}

fn customer_key() -> CustomerKey {
    CustomerKey::from_seed(&[7; 32])
}

impl Bank {
    fn new(name: &str) -> Self {
        let name = BankName::new(name).unwrap();
        let signer = Signer::new(name.clone(), BankKey::from_seed(&[name.as_str().as_bytes()[0]; 32]));
        let node = Participant::open(name, MemoryBooks::default(), Policy::default());
        let mut bank = Bank { node, signer };
        bank.ask(AccountRequest::Open {
            name: AccountName::new("asha").unwrap(),
            currency: inr(),
            key: Some(customer_key().public()),
        })
        .unwrap();
        bank
    }

    fn ask(&mut self, request: AccountRequest) -> Result<(), AccountRefusal> {
        self.node.handle_account_request(NOW, 1, &request).unwrap();
        match self.sync().pop() {
            Some(Effect::Answer { ticket: 1, answer }) => answer,
            other => panic!("expected an answer, got {other:?}"),
        }
    }

    fn fund(&mut self, amount: u128) {
        let name = AccountName::new("asha").unwrap();
        self.ask(AccountRequest::Deposit { id: TransferId(99), name, amount: Minor(amount) }).unwrap();
    }

    /// Writes to an imaginary disk and returns what may leave then. Nothing new leaves before (R8).
    fn sync(&mut self) -> Vec<Effect> {
        if let Some(seq) = self.node.cut() {
            assert_eq!(self.node.poll(), None, "R8: nothing leaves before its record is on disk");
            self.node.handle_durable(seq);
        }
        std::iter::from_fn(|| self.node.poll()).collect()
    }

    fn prepare(&mut self, order: &Arc<Order>, votes: &[Verified<Vote>]) -> Verified<Vote> {
        let authority = order.authorise(&customer_key().public()).ok();
        self.node.handle_prepare(NOW, &courier(), order, authority.as_ref(), votes).unwrap();
        self.vote()
    }

    fn resolve(&mut self, order: &Arc<Order>) -> Verified<Vote> {
        self.node.handle_resolve(NOW, &courier(), order, None).unwrap();
        self.vote()
    }

    fn vote(&mut self) -> Verified<Vote> {
        match self.sync().as_slice() {
            // Settled here: the whole proof comes with the vote.
            [Effect::Vote { vote, .. } | Effect::Proof { vote, .. }] => {
                self.signer.sign_own(vec![vote.clone()]).remove(0)
            }
            other => panic!("expected one vote, got {other:?}"),
        }
    }

    fn outcome(&mut self, order: &Arc<Order>, votes: &[Verified<Vote>]) -> Vec<Effect> {
        self.node.handle_outcome(NOW, &courier(), order, votes).unwrap();
        self.sync()
    }

    fn settled(&self, digest: Digest) -> Option<Outcome> {
        self.node.books().payments()[&digest].settled
    }

    /// debits pending / debits posted / credits pending / credits posted.
    fn balance(&mut self, own: Option<OwnAccount>) -> [u128; 4] {
        let id = match own {
            Some(own) => own.id(inr()),
            None => {
                self.node.books_mut().customer(&AccountName::new("asha").unwrap()).unwrap().unwrap().account
            }
        };
        let ledger: &mut MemoryStore = self.node.books_mut().ledger();
        let slot = ledger.find_account(id).unwrap().unwrap();
        let account = *ledger.account(slot);
        [
            account.debits_pending.0,
            account.debits_posted.0,
            account.credits_pending.0,
            account.credits_posted.0,
        ]
    }
}

fn order_with(id: u8, amount: u128, key: &CustomerKey) -> Arc<Order> {
    order_until(id, amount, key, EXPIRY)
}

fn order_until(id: u8, amount: u128, key: &CustomerKey, expires_at: UnixMillis) -> Arc<Order> {
    let account = |bank: &str| AccountRef {
        name: AccountName::new("asha").unwrap(),
        bank: BankName::new(bank).unwrap(),
    };
    let fields = OrderFields {
        id: OrderId::from_parts(UnixMillis(500), [id; 10]),
        payer: account("alpha"),
        credits: vec![Credit { payee: account("beta"), amount: Minor(amount) }],
        currency: inr(),
        expires_at,
        note: String::new(),
    };
    Order::sign(&fields, key).unwrap()
}

fn order(id: u8, amount: u128) -> Arc<Order> {
    order_with(id, amount, &customer_key())
}

fn banks() -> (Bank, Bank) {
    let (mut alpha, beta) = (Bank::new("alpha"), Bank::new("beta"));
    alpha.fund(100);
    (alpha, beta)
}

fn no(reason: Reason) -> Decision {
    Decision::No(reason)
}

#[test]
fn payer_last_moves_the_money_once() {
    let (mut alpha, mut beta) = banks();
    let order = order(1, 40);
    let beta_yes = beta.prepare(&order, &[]);
    assert_eq!(beta.balance(None), [0, 0, 40, 0], "announced, not there yet");
    let alpha_yes = alpha.prepare(&order, std::slice::from_ref(&beta_yes));
    assert_eq!(alpha.balance(None), [0, 40, 0, 100], "posted with the vote: this is the commit");
    for _ in 0..3 {
        let effects = beta.outcome(&order, &[alpha_yes.clone(), beta_yes.clone()]);
        assert!(
            matches!(effects.as_slice(), [Effect::Ack { .. }]),
            "R9: a repeat is acknowledged: {effects:?}"
        );
        assert_eq!(beta.balance(None), [0, 0, 0, 40]);
    }
    assert_eq!(alpha.balance(Some(OwnAccount::Clearing)), [0, 0, 0, 40]);
    assert_eq!(beta.balance(Some(OwnAccount::Clearing)), [0, 40, 0, 0]);
}

#[test]
fn parallel_holds_and_posts_on_proof() {
    let (mut alpha, mut beta) = banks();
    let order = order(1, 40);
    let alpha_yes = alpha.prepare(&order, &[]);
    assert_eq!(alpha.balance(None), [40, 0, 0, 100]);
    let votes = [alpha_yes, beta.prepare(&order, &[])];
    alpha.outcome(&order, &votes[..1]);
    assert_eq!(alpha.balance(None), [40, 0, 0, 100], "R4: its own YES proves nothing");
    alpha.outcome(&order, &votes);
    beta.outcome(&order, &votes);
    assert_eq!(alpha.balance(None), [0, 40, 0, 100]);
    assert_eq!(beta.balance(None), [0, 0, 0, 40]);
}

#[test]
fn a_no_voids_and_a_refused_payment_leaves_nothing() {
    let (mut alpha, mut beta) = banks();
    let order = order(1, 101);
    let beta_yes = beta.prepare(&order, &[]);
    let alpha_no = alpha.prepare(&order, &[beta_yes]);
    assert_eq!(alpha_no.statement().decision, no(Reason::InsufficientFunds));
    beta.outcome(&order, &[alpha_no]);
    assert_eq!(beta.settled(order.digest()), Some(Outcome::Abort));
    assert_eq!(beta.balance(None), [0; 4]);
    assert_eq!(alpha.balance(None), [0, 0, 0, 100]);
}

#[test]
fn the_first_vote_binds() {
    let (mut alpha, _) = banks();
    let order = order(1, 40);
    assert_eq!(alpha.resolve(&order).statement().decision, no(Reason::Resolved));
    assert_eq!(alpha.prepare(&order, &[]).statement().decision, no(Reason::Resolved), "R2, R5");
}

#[test]
fn an_order_id_is_used_once() {
    let (mut alpha, mut beta) = banks();
    let first = order(1, 10);
    let second = order(1, 20);
    let votes = [beta.prepare(&first, &[]), beta.prepare(&second, &[])];
    assert_eq!(alpha.prepare(&first, &votes[..1]).statement().decision, Decision::Yes);
    assert_eq!(alpha.prepare(&second, &votes[1..]).statement().decision, no(Reason::DuplicateOrderId), "R1");
    assert_eq!(alpha.prepare(&first, &votes[..1]).statement().decision, Decision::Yes, "R1: same result");
    assert_eq!(alpha.balance(None), [0, 10, 0, 100]);
}

#[test]
fn an_order_id_is_free_again_only_below_the_floor() {
    let (mut alpha, mut beta) = banks();
    let (paid, refused) = (order(1, 10), order(2, 500));
    for first in [&paid, &refused] {
        let yes = beta.prepare(first, &[]);
        alpha.prepare(first, &[yes]);
    }
    let later = UnixMillis(EXPIRY.0 + 1_000);
    let again = [1, 2].map(|id| order_until(id, 20, &customer_key(), later));
    let votes = [beta.prepare(&again[0], &[]), beta.prepare(&again[1], &[])];
    let third = order_until(2, 30, &customer_key(), later);
    let third_vote = beta.prepare(&third, &[]);
    assert_eq!(alpha.prepare(&third, &[third_vote]).statement().decision, no(Reason::DuplicateOrderId));
    alpha.node.handle_floor(EXPIRY);
    assert_eq!(alpha.prepare(&again[0], &votes[..1]).statement().decision, no(Reason::DuplicateOrderId));
    assert_eq!(alpha.prepare(&again[1], &votes[1..]).statement().decision, Decision::Yes);
    assert_eq!(
        alpha.prepare(&refused, &[]).statement().decision,
        no(Reason::BelowFloor),
        "never paid as well"
    );
    assert_eq!(alpha.balance(None), [0, 30, 0, 100]);
}

#[test]
fn a_forged_order_neither_pays_nor_uses_up_the_id() {
    let (mut alpha, mut beta) = banks();
    let forged = order_with(1, 10, &CustomerKey::from_seed(&[8; 32]));
    assert_eq!(alpha.prepare(&forged, &[]).statement().decision, no(Reason::BadSignature));
    let genuine = order(1, 10);
    let beta_yes = beta.prepare(&genuine, &[]);
    assert_eq!(alpha.prepare(&genuine, &[beta_yes]).statement().decision, Decision::Yes);
}

#[test]
fn expiry_refuses_and_never_undoes() {
    let (mut alpha, mut beta) = banks();
    let (late, held) = (order(1, 10), order(2, 10));
    beta.prepare(&held, &[]);
    beta.node.handle_prepare(EXPIRY, &courier(), &late, None, &[]).unwrap();
    assert_eq!(beta.vote().statement().decision, no(Reason::Expired));
    beta.node.handle_time(UnixMillis(u64::MAX / 2)).unwrap();
    assert_eq!(beta.balance(None), [0, 0, 10, 0], "R6: time undoes no hold");
    let asks = beta.sync();
    assert!(
        matches!(asks.as_slice(), [Effect::Resolve { to, .. }] if to.as_str() == "alpha"),
        "R5: {asks:?}"
    );
    let alpha_no = alpha.resolve(&held);
    beta.node.handle_vote(EXPIRY, &alpha_no).unwrap();
    assert_eq!(beta.balance(None), [0; 4]);
}

#[test]
fn below_the_floor_the_answer_is_no_without_a_record() {
    let (mut alpha, mut beta) = banks();
    let (paid, refused, unseen) = (order(1, 10), order(2, 500), order(3, 10));
    let yes = beta.prepare(&paid, &[]);
    alpha.prepare(&paid, &[yes]);
    let yes = beta.prepare(&refused, &[]);
    alpha.prepare(&refused, &[yes]);
    alpha.node.handle_floor(EXPIRY);
    assert_eq!(alpha.node.books().payments().len(), 1, "R7: the NO is dropped, the YES stays");
    assert_eq!(alpha.prepare(&paid, &[]).statement().decision, Decision::Yes);
    assert_eq!(alpha.prepare(&refused, &[]).statement().decision, no(Reason::BelowFloor));
    assert_eq!(alpha.prepare(&unseen, &[]).statement().decision, no(Reason::BelowFloor));
    assert_eq!(alpha.node.books().payments().len(), 1);
}

#[test]
fn an_account_with_holds_stays_open() {
    let (mut alpha, mut beta) = banks();
    let order = order(1, 40);
    let beta_yes = beta.prepare(&order, &[]);
    let close = AccountRequest::Close { name: AccountName::new("asha").unwrap() };
    assert_eq!(beta.ask(close.clone()), Err(AccountRefusal::HasHolds), "R13");
    let alpha_yes = alpha.prepare(&order, std::slice::from_ref(&beta_yes));
    beta.outcome(&order, &[alpha_yes, beta_yes]);
    assert_eq!(beta.ask(close.clone()), Err(AccountRefusal::NotEmpty));
    let mut gamma = Bank::new("gamma");
    assert_eq!(gamma.ask(close.clone()), Ok(()));
    assert_eq!(gamma.ask(close), Ok(()), "a repeat is harmless");
}

#[test]
fn a_two_faced_bank_is_caught_and_pays() {
    let (mut alpha, mut beta) = banks();
    let order = order(1, 40);
    let alpha_yes = alpha.prepare(&order, &[]);
    let beta_no = beta.resolve(&order);
    alpha.outcome(&order, std::slice::from_ref(&beta_no));
    assert_eq!(alpha.balance(None), [0, 0, 0, 100], "voided on a verified NO");
    let lie = Vote { decision: Decision::Yes, ..beta_no.statement().clone() };
    let beta_yes = beta.signer.sign_own(vec![lie]).remove(0);
    let effects = alpha.outcome(&order, &[alpha_yes, beta_yes]);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Report(_))), "R12: {effects:?}");
    assert_eq!(alpha.node.books().double_votes().len(), 1);
    assert_eq!(alpha.balance(None), [0, 0, 0, 100], "the honest customer loses nothing");
    assert_eq!(alpha.balance(Some(OwnAccount::Claims)), [0, 40, 0, 0], "the liar owes it");
    assert_eq!(alpha.balance(Some(OwnAccount::Clearing))[3], 40);
}

#[test]
fn an_old_copy_of_the_file_is_noticed() {
    let (mut alpha, mut beta) = banks();
    let order = order(1, 40);
    let beta_yes = beta.prepare(&order, &[]);
    let mut restored = Bank::new("beta");
    let fault = restored.node.handle_prepare(NOW, &courier(), &order, None, std::slice::from_ref(&beta_yes));
    assert!(matches!(fault, Err(Fault::ForgottenVote { .. })), "{fault:?}");
    alpha.prepare(&order, &[beta_yes]);
}

#[test]
fn no_order_can_fill_the_clearing_account_up() {
    let (_, mut beta) = banks();
    let huge = order(1, u128::from(u64::MAX));
    assert_eq!(beta.prepare(&huge, &[]).statement().decision, no(Reason::LimitExceeded), "R11");
    assert_eq!(beta.balance(Some(OwnAccount::Clearing)), [0; 4]);
    assert_eq!(beta.prepare(&order(2, 40), &[]).statement().decision, Decision::Yes);
}

#[test]
fn a_bank_that_the_order_does_not_name_cannot_have_it_refused() {
    let (_, mut beta) = banks();
    let order = order(1, 40);
    let stranger = Peer::bank(BankName::new("gamma").unwrap());
    beta.node.handle_resolve(NOW, &stranger, &order, None).unwrap();
    assert_eq!(beta.sync(), []);
    assert_eq!(beta.prepare(&order, &[]).statement().decision, Decision::Yes);
}
