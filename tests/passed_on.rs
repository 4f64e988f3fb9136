//! A coordinator passes votes on before it has checked them: a bank that signs badly gains nothing by it.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::VecDeque;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, SystemTime};

use common::{PATIENCE, Ports};
use hundi_bank_node::process as bank;
use hundi_coordinator::{Policy, process as coordinator};
use hundi_protocol::{
    AccountView, AdminAction, AdminReply, AdminRequest, AdminResult, BankKey, BankName, Client, Credit,
    CustomerKey, Decision, Digest, Identity, Inbound, Limits, Link, LinkOptions, Member, Message, Minor,
    NETWORK_FILE, Network, NodeName, Order, OrderFields, OrderId, Outcome, PaymentStatus, Peer, Plan, Reason,
    Role, Signed, Signer, UncheckedCertificate, UnixMillis, Verifier, Vote, init,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Longer than any test.
const LONG_MS: u64 = 600_000;

fn name(bank: &str) -> BankName {
    BankName::new(bank).unwrap()
}

fn peer(role: Role, name: &str) -> Peer {
    Peer { role, name: NodeName::new(name).unwrap() }
}

fn key() -> CustomerKey {
    CustomerKey::from_seed(&[7; 32])
}

/// asha@alpha pays shop@beta.
fn order(amount: u128) -> Arc<Order> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let fields = OrderFields {
        id: OrderId::generate(),
        payer: "asha@alpha".parse().unwrap(),
        credits: vec![Credit { payee: "shop@beta".parse().unwrap(), amount: Minor(amount) }],
        currency: "INR".parse().unwrap(),
        expires_at: UnixMillis(u64::try_from(now).unwrap() + 600_000),
        note: String::new(),
    };
    Order::sign(&fields, &key()).unwrap()
}

/// Banks alpha and beta, coordinator c1 and an app, in a folder.
struct World {
    dir: tempfile::TempDir,
    network: Arc<Network>,
    _ports: Ports,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports = Ports::hold();
        let address = |i: u16| format!("127.0.0.1:{}", ports.first + i);
        let plan = Plan {
            network: "test".into(),
            banks: vec![
                Member { name: name("alpha"), address: address(0) },
                Member { name: name("beta"), address: address(1) },
            ],
            coordinators: vec![Member { name: NodeName::new("c1").unwrap(), address: address(2) }],
            apps: vec![NodeName::new("app").unwrap()],
            seed: None,
            now: SystemTime::now(),
            valid_for: Duration::from_secs(3600),
        };
        let network = Arc::new(init(dir.path(), &plan).unwrap());
        Self { dir, network, _ports: ports }
    }

    fn folder(&self, who: &Peer) -> std::path::PathBuf {
        self.dir.path().join(Identity::folder(who))
    }

    fn identity(&self, who: &Peer) -> Identity {
        Identity::load(&self.folder(who), &self.network).unwrap()
    }

    fn network_file(&self) -> std::path::PathBuf {
        self.dir.path().join(NETWORK_FILE)
    }

    fn start_coordinator(&self, policy: Policy) -> coordinator::Running {
        let c1 = peer(Role::Coordinator, "c1");
        let (network, folder) = (self.network_file(), self.folder(&c1));
        coordinator::start(coordinator::Config { network, name: c1.name, folder, policy }).unwrap()
    }

    /// Plays a node by hand.
    fn play(&self, who: Peer) -> Hand {
        let address = self.network.node(&who).and_then(|node| node.address.clone());
        let (sender, inbox) = mpsc::unbounded_channel();
        let options = LinkOptions {
            identity: self.identity(&who),
            network: Arc::clone(&self.network),
            listener: address.map(|address| TcpListener::bind(address).unwrap()),
            deliver: Arc::new(move |inbound: Inbound| sender.send(inbound).map_err(|back| back.0)),
            limits: Limits::default(),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let (give, link) = sync_channel(1);
        Link::run(options, Duration::from_secs(1), move |link| async move {
            give.send(link).unwrap();
            let _ = stopped.await; // Dropped with the hand.
        })
        .unwrap();
        Hand { link: link.recv().unwrap(), inbox, heard: VecDeque::new(), _stop: stop }
    }

    async fn app(&self, role: Role, me: &str, to: &Peer) -> Client {
        let identity = self.identity(&peer(role, me));
        Client::connect(&identity, Arc::clone(&self.network), to, Limits::default()).await.unwrap()
    }

    /// A bank's vote, signed by its own key.
    fn vote(&self, of: &str, order: &Order, decision: Decision) -> Message {
        let bank = peer(Role::Bank, of);
        let signer = self.identity(&bank).load_signer(&self.folder(&bank), &self.network).unwrap();
        signed(&signer, order, decision)
    }

    fn proves(&self, certificate: UncheckedCertificate) -> Option<Outcome> {
        let checked = certificate.check(&mut Verifier::new(self.network.directory()));
        checked.ok().map(|certificate| certificate.outcome())
    }
}

fn signed(signer: &Signer, order: &Order, decision: Decision) -> Message {
    let vote = Vote { payment: order.digest(), bank: signer.bank().clone(), decision };
    Message::Vote { vote: signer.sign_batch(vec![vote]).remove(0) }
}

/// A bank's YES, signed by another key; `n` makes several of them.
fn forged(of: &str, order: &Order, n: u8) -> Message {
    signed(&Signer::new(name(of), BankKey::from_seed(&[n; 32])), order, Decision::Yes)
}

fn the_vote(message: &Message) -> Signed<Vote> {
    match message {
        Message::Vote { vote } => vote.clone(),
        other => panic!("not a vote: {other:?}"),
    }
}

/// A node played by the test.
struct Hand {
    link: Link,
    inbox: mpsc::UnboundedReceiver<Inbound>,
    heard: VecDeque<Message>,
    _stop: oneshot::Sender<()>,
}

impl Hand {
    async fn next(&mut self) -> Message {
        while self.heard.is_empty() {
            self.heard.extend(timeout(PATIENCE, self.inbox.recv()).await.unwrap().unwrap().messages);
        }
        self.heard.pop_front().unwrap()
    }

    /// The next question: on which payment, and with which votes.
    async fn asked(&mut self) -> (Digest, Vec<Signed<Vote>>) {
        loop {
            if let Message::Prepare { order, votes } = self.next().await {
                return (order.digest(), votes);
            }
        }
    }

    async fn asked_about(&mut self, order: &Order) {
        while self.asked().await.0 != order.digest() {}
    }
}

/// A payment app that hears one message after the other.
struct App {
    client: Client,
    heard: VecDeque<Message>,
}

impl App {
    async fn submit(&self, order: &Arc<Order>) {
        self.client.send(vec![Message::Submit { order: Arc::clone(order) }]).await.unwrap();
    }

    async fn hear(&mut self) -> Message {
        while self.heard.is_empty() {
            self.heard.extend(timeout(PATIENCE, self.client.receive()).await.unwrap().unwrap());
        }
        self.heard.pop_front().unwrap()
    }

    async fn outcome(&mut self) -> UncheckedCertificate {
        match self.hear().await {
            Message::Outcome { certificate } => certificate,
            other => panic!("expected a certificate, got {other:?}"),
        }
    }

    /// Waits until the coordinator has heard a vote on an order. It must not tell of any outcome meanwhile.
    async fn until_heard(&mut self, order: &Order) {
        loop {
            self.client.send(vec![Message::Status { payment: order.digest() }]).await.unwrap();
            match self.hear().await {
                Message::StatusReply { status: PaymentStatus::InFlight { votes }, .. }
                    if votes.is_empty() => {}
                Message::StatusReply { status: PaymentStatus::InFlight { .. }, .. } => return,
                other => panic!("expected votes, got {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_bad_vote_is_passed_on_and_counts_for_nobody() {
    let world = World::new();
    let courier = world.start_coordinator(Policy { patience_ms: LONG_MS, ..Policy::default() });
    let c1 = peer(Role::Coordinator, "c1");
    let (mut alpha, mut beta) = (world.play(peer(Role::Bank, "alpha")), world.play(peer(Role::Bank, "beta")));
    let mut app = App { client: world.app(Role::App, "app", &c1).await, heard: VecDeque::new() };
    let (yes, no) = (Decision::Yes, Decision::No(Reason::AccountClosed));

    // Where a bank says NO and YES in one turn, the payer's bank hears nothing: the payment is refused.
    let refused = order(1);
    app.submit(&refused).await;
    beta.asked_about(&refused).await;
    beta.link.send(&c1, [no, yes].map(|decision| world.vote("beta", &refused, decision)).into());
    assert_eq!(world.proves(app.outcome().await), Some(Outcome::Abort));

    // Nor does it hear what it brought itself, which another bank is said to have said.
    let (paid, other) = (order(300), order(2));
    app.submit(&paid).await;
    beta.asked_about(&paid).await;
    app.submit(&other).await;
    alpha.link.send(&c1, vec![forged("beta", &paid, 98)]);
    alpha.link.send(&c1, vec![world.vote("alpha", &other, yes)]);
    app.until_heard(&other).await;

    // A bad vote is passed on, the good one after it too, and again while there is no answer.
    let (bad, good) = (forged("beta", &paid, 99), world.vote("beta", &paid, yes));
    beta.link.send(&c1, vec![bad.clone()]);
    assert_eq!(alpha.asked().await, (paid.digest(), vec![the_vote(&bad)]));
    beta.link.send(&c1, vec![good.clone()]);
    for _ in 0..2 {
        assert_eq!(alpha.asked().await, (paid.digest(), vec![the_vote(&good)]));
    }
    // The last vote is bad: the app is shown what does not hold, and it is not settled before a good one.
    alpha.link.send(&c1, vec![forged("alpha", &paid, 99)]);
    assert_eq!(world.proves(app.outcome().await), None);
    alpha.link.send(&c1, vec![world.vote("alpha", &paid, yes)]);
    assert_eq!(world.proves(app.outcome().await), Some(Outcome::Commit));

    // Of banks that did so nothing is passed on any more that was not checked.
    let next = order(3);
    app.submit(&next).await;
    beta.asked_about(&next).await;
    let good = world.vote("beta", &next, yes);
    beta.link.send(&c1, vec![forged("beta", &next, 99)]);
    beta.link.send(&c1, vec![good.clone()]);
    let (about, votes) = loop {
        let (about, votes) = alpha.asked().await;
        if about != paid.digest() {
            break (about, votes);
        }
    };
    assert_eq!((about, votes), (next.digest(), vec![the_vote(&good)]));
    alpha.link.send(&c1, vec![forged("alpha", &next, 99)]);
    alpha.link.send(&c1, vec![world.vote("alpha", &next, yes)]);
    assert_eq!(world.proves(app.outcome().await), Some(Outcome::Commit));
    courier.stopper().stop();
}

#[tokio::test]
async fn what_went_ahead_is_not_sent_again() {
    let world = World::new();
    let courier = world.start_coordinator(Policy {
        again_after_ms: LONG_MS,
        patience_ms: LONG_MS,
        ..Policy::default()
    });
    let c1 = peer(Role::Coordinator, "c1");
    let (mut alpha, mut beta) = (world.play(peer(Role::Bank, "alpha")), world.play(peer(Role::Bank, "beta")));
    let mut app = App { client: world.app(Role::App, "app", &c1).await, heard: VecDeque::new() };
    for order in [order(1), order(2)] {
        app.submit(&order).await;
        beta.asked_about(&order).await;
        beta.link.send(&c1, vec![world.vote("beta", &order, Decision::Yes)]);
        assert_eq!(alpha.asked().await.0, order.digest());
        app.until_heard(&order).await;
        alpha.link.send(&c1, vec![world.vote("alpha", &order, Decision::Yes)]);
        assert_eq!(world.proves(app.outcome().await), Some(Outcome::Commit));
        app.client.send(vec![Message::Status { payment: order.digest() }]).await.unwrap();
        assert!(matches!(
            app.hear().await,
            Message::StatusReply { status: PaymentStatus::Settled { .. }, .. }
        ));
    }
    courier.stopper().stop();
}

async fn ask(operator: &mut Client, action: AdminAction) -> AdminResult {
    operator.send(vec![Message::Admin(AdminRequest { request: 1, action })]).await.unwrap();
    match timeout(PATIENCE, operator.receive()).await.unwrap().unwrap().pop() {
        Some(Message::AdminReply(AdminReply { result, .. })) => result,
        other => panic!("expected a reply, got {other:?}"),
    }
}

fn start_bank(dir: &Path, folder: std::path::PathBuf) -> bank::Running {
    bank::start(bank::Config::new(dir.join(NETWORK_FILE), name("alpha"), folder)).unwrap()
}

#[tokio::test]
async fn a_bank_that_is_asked_with_a_bad_vote_holds_nothing() {
    let world = World::new();
    let at = peer(Role::Bank, "alpha");
    let alpha = start_bank(world.dir.path(), world.folder(&at));
    let mut operator = world.app(Role::Operator, "alpha", &at).await;
    let account: hundi_protocol::AccountName = "asha".parse().unwrap();
    let open = AdminAction::OpenAccount {
        account: account.clone(),
        currency: "INR".parse().unwrap(),
        key: Some(Box::new(key().public())),
    };
    assert_eq!(ask(&mut operator, open).await, AdminResult::Done);
    let deposit = AdminAction::Deposit { account: account.clone(), amount: Minor(1_000), reference: 1 };
    assert_eq!(ask(&mut operator, deposit).await, AdminResult::Done);

    let mut c1 = world.play(peer(Role::Coordinator, "c1"));
    let (first, second) = (order(300), order(20));
    let question = |order: &Arc<Order>, votes| Message::Prepare { order: Arc::clone(order), votes };
    let bad = the_vote(&forged("beta", &first, 99));
    c1.link.send(&at, vec![question(&first, vec![bad]), question(&second, vec![])]);
    let voted = |message: Message| match message {
        Message::Vote { vote } => (vote.unverified().payment, vote.unverified().decision),
        other => panic!("expected a vote, got {other:?}"),
    };
    assert_eq!(voted(c1.next().await), (second.digest(), Decision::Yes), "no word on the first");
    let balance = |held, paid| AccountView {
        account: account.clone(),
        currency: "INR".parse().unwrap(),
        debits_pending: Minor(held),
        debits_posted: Minor(paid),
        credits_pending: Minor(0),
        credits_posted: Minor(1_000),
        closed: false,
    };
    let look = AdminAction::Balance { account: account.clone() };
    assert_eq!(ask(&mut operator, look.clone()).await, AdminResult::Accounts(vec![balance(20, 0)]));
    c1.link.send(&at, vec![question(&first, vec![the_vote(&world.vote("beta", &first, Decision::Yes))])]);
    assert_eq!(voted(c1.next().await), (first.digest(), Decision::Yes));
    assert_eq!(
        ask(&mut operator, look).await,
        AdminResult::Accounts(vec![balance(20, 300)]),
        "nothing was held against it"
    );
    alpha.stopper().stop();
    alpha.wait().unwrap();
}
