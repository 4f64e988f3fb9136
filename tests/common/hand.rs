//! Nodes played by hand: one real node between links whose messages the test writes and reads itself.
#![allow(dead_code, unreachable_pub, reason = "shared by two test binaries")]

use std::collections::VecDeque;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, SystemTime};

use hundi_bank_node::process as bank;
use hundi_coordinator::{Policy, process as coordinator};
use hundi_protocol::{
    AccountName, Ack, AdminAction, AdminReply, AdminRequest, AdminResult, BankKey, BankName, Client, Credit,
    CustomerKey, Decision, Digest, Identity, Inbound, Limits, Link, LinkOptions, Member, Message, Minor,
    NETWORK_FILE, Network, NodeName, Order, OrderFields, OrderId, Outcome, PaymentStatus, Peer, Plan, Role,
    Signed, Signer, UncheckedCertificate, UnixMillis, Verifier, Vote, init,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::common::{PATIENCE, Ports};

/// Longer than any test.
pub const LONG_MS: u64 = 600_000;

pub fn name(bank: &str) -> BankName {
    BankName::new(bank).unwrap()
}

pub fn peer(role: Role, name: &str) -> Peer {
    Peer { role, name: NodeName::new(name).unwrap() }
}

pub fn key() -> CustomerKey {
    CustomerKey::from_seed(&[7; 32])
}

/// asha@alpha pays shop@beta.
pub fn order(amount: u128) -> Arc<Order> {
    order_signed_by(&key(), amount)
}

/// The same, whoever signed it.
pub fn order_signed_by(key: &CustomerKey, amount: u128) -> Arc<Order> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let fields = OrderFields {
        id: OrderId::generate(),
        payer: "asha@alpha".parse().unwrap(),
        credits: vec![Credit { payee: "shop@beta".parse().unwrap(), amount: Minor(amount) }],
        currency: "INR".parse().unwrap(),
        expires_at: UnixMillis(u64::try_from(now).unwrap() + 600_000),
        note: String::new(),
    };
    Order::sign(&fields, key).unwrap()
}

/// Banks alpha and beta, coordinator c1 and an app, in a folder.
pub struct World {
    pub dir: tempfile::TempDir,
    pub network: Arc<Network>,
    _ports: Ports,
}

impl World {
    pub fn new() -> Self {
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

    pub fn folder(&self, who: &Peer) -> PathBuf {
        self.dir.path().join(Identity::folder(who))
    }

    pub fn identity(&self, who: &Peer) -> Identity {
        Identity::load(&self.folder(who), &self.network).unwrap()
    }

    pub fn network_file(&self) -> PathBuf {
        self.dir.path().join(NETWORK_FILE)
    }

    pub fn start_coordinator(&self, policy: Policy) -> coordinator::Running {
        let c1 = peer(Role::Coordinator, "c1");
        let (network, folder) = (self.network_file(), self.folder(&c1));
        coordinator::start(coordinator::Config { network, name: c1.name, folder, policy }).unwrap()
    }

    pub fn start_bank(&self, of: &str) -> bank::Running {
        let folder = self.folder(&peer(Role::Bank, of));
        bank::start(bank::Config::new(self.network_file(), name(of), folder)).unwrap()
    }

    /// Opens an account at a bank; what it holds at first comes as a deposit.
    pub async fn open(&self, operator: &mut Client, account: &str, holds: u128) {
        let account: AccountName = account.parse().unwrap();
        let open = AdminAction::OpenAccount {
            account: account.clone(),
            currency: "INR".parse().unwrap(),
            key: Some(Box::new(key().public())),
        };
        assert_eq!(ask(operator, open).await, AdminResult::Done);
        if holds > 0 {
            let deposit = AdminAction::Deposit { account, amount: Minor(holds), reference: 1 };
            assert_eq!(ask(operator, deposit).await, AdminResult::Done);
        }
    }

    /// A real bank with one account, its operator, and the coordinator c1 to be played by hand.
    pub async fn bank_alone(&self, of: &str, account: &str, holds: u128) -> (bank::Running, Client, Hand) {
        let running = self.start_bank(of);
        let mut operator = self.app(Role::Operator, of, &peer(Role::Bank, of)).await;
        self.open(&mut operator, account, holds).await;
        (running, operator, self.play(peer(Role::Coordinator, "c1")))
    }

    /// Plays a node by hand.
    pub fn play(&self, who: Peer) -> Hand {
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

    pub async fn app(&self, role: Role, me: &str, to: &Peer) -> Client {
        let identity = self.identity(&peer(role, me));
        Client::connect(&identity, Arc::clone(&self.network), to, Limits::default()).await.unwrap()
    }

    fn signer(&self, of: &str) -> Signer {
        let bank = peer(Role::Bank, of);
        self.identity(&bank).load_signer(&self.folder(&bank), &self.network).unwrap()
    }

    /// A bank's vote, signed by its own key.
    pub fn vote(&self, of: &str, order: &Order, decision: Decision) -> Message {
        signed(&self.signer(of), order, decision)
    }

    /// A bank's word that it has the outcome.
    pub fn ack(&self, of: &str, order: &Order) -> Message {
        let ack = Ack { payment: order.digest(), bank: name(of) };
        Message::Ack { ack: self.signer(of).sign_batch(vec![ack]).remove(0) }
    }

    pub fn proves(&self, certificate: UncheckedCertificate) -> Option<Outcome> {
        let checked = certificate.check(&mut Verifier::new(self.network.directory()));
        checked.ok().map(|certificate| certificate.outcome())
    }
}

pub fn signed(signer: &Signer, order: &Order, decision: Decision) -> Message {
    let vote = Vote { payment: order.digest(), bank: signer.bank().clone(), decision };
    Message::Vote { vote: signer.sign_batch(vec![vote]).remove(0) }
}

/// A bank's YES, signed by another key; `n` makes several of them.
pub fn forged(of: &str, order: &Order, n: u8) -> Message {
    signed(&Signer::new(name(of), BankKey::from_seed(&[n; 32])), order, Decision::Yes)
}

pub fn the_vote(message: &Message) -> Signed<Vote> {
    match message {
        Message::Vote { vote } => vote.clone(),
        other => panic!("not a vote: {other:?}"),
    }
}

/// A node played by the test.
pub struct Hand {
    pub link: Link,
    pub inbox: mpsc::UnboundedReceiver<Inbound>,
    pub heard: VecDeque<Message>,
    _stop: oneshot::Sender<()>,
}

impl Hand {
    pub async fn next(&mut self) -> Message {
        while self.heard.is_empty() {
            self.heard.extend(timeout(PATIENCE, self.inbox.recv()).await.unwrap().unwrap().messages);
        }
        self.heard.pop_front().unwrap()
    }

    /// The next question: on which payment, and with which votes.
    pub async fn asked(&mut self) -> (Digest, Vec<Signed<Vote>>) {
        loop {
            if let Message::Prepare { order, votes } = self.next().await {
                return (order.digest(), votes);
            }
        }
    }

    pub async fn asked_about(&mut self, order: &Order) {
        while self.asked().await.0 != order.digest() {}
    }
}

/// A payment app that hears one message after the other.
pub struct App {
    pub client: Client,
    pub heard: VecDeque<Message>,
}

impl App {
    pub async fn submit(&self, order: &Arc<Order>) {
        self.client.send(vec![Message::Submit { order: Arc::clone(order) }]).await.unwrap();
    }

    pub async fn hear(&mut self) -> Message {
        while self.heard.is_empty() {
            self.heard.extend(timeout(PATIENCE, self.client.receive()).await.unwrap().unwrap());
        }
        self.heard.pop_front().unwrap()
    }

    pub async fn outcome(&mut self) -> UncheckedCertificate {
        match self.hear().await {
            Message::Outcome { certificate } => certificate,
            other => panic!("expected a certificate, got {other:?}"),
        }
    }

    /// Waits until the coordinator has heard a vote on an order. It must not tell of any outcome meanwhile.
    pub async fn until_heard(&mut self, order: &Order) {
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

pub async fn ask(operator: &mut Client, action: AdminAction) -> AdminResult {
    operator.send(vec![Message::Admin(AdminRequest { request: 1, action })]).await.unwrap();
    match timeout(PATIENCE, operator.receive()).await.unwrap().unwrap().pop() {
        Some(Message::AdminReply(AdminReply { result, .. })) => result,
        other => panic!("expected a reply, got {other:?}"),
    }
}
