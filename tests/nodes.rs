//! Real nodes in one process: TLS, sockets, SQLite, and everything between an app's order and its certificate.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use common::{PATIENCE, Ports};
use hundi_bank_node::process as bank;
use hundi_coordinator::process as coordinator;
use hundi_coordinator::{CommitOrder, Policy};
use hundi_protocol::{
    AccountName, AccountRef, AdminAction, AdminRequest, AdminResult, BankName, Certificate, Client, Credit,
    CustomerKey, Identity, Limits, Member, Message, Minor, NETWORK_FILE, Network, NodeName, Order,
    OrderFields, OrderId, Outcome, Peer, Plan, Reason, Role, UnixMillis, Verifier, init,
};

/// A network, and the ports that it holds.
fn make_network(dir: &Path) -> (Arc<Network>, Ports) {
    let ports = Ports::hold();
    let mut next = ports.first..;
    let mut address = || format!("127.0.0.1:{}", next.next().unwrap());
    let plan = Plan {
        network: "test".into(),
        banks: ["alpha", "beta", "gamma"]
            .map(|name| Member { name: BankName::new(name).unwrap(), address: address() })
            .into(),
        coordinators: ["c1", "c2"]
            .map(|name| Member { name: NodeName::new(name).unwrap(), address: address() })
            .into(),
        apps: vec![NodeName::new("app").unwrap()],
        seed: None,
        now: SystemTime::now(),
        valid_for: Duration::from_secs(3600),
    };
    (Arc::new(init(dir, &plan).unwrap()), ports)
}

fn start_bank(dir: &Path, name: &str) -> bank::Running {
    let name = BankName::new(name).unwrap();
    let folder = dir.join(Identity::folder(&Peer::bank(name.clone())));
    bank::start(bank::Config::new(dir.join(NETWORK_FILE), name, folder)).unwrap()
}

fn start_coordinator(dir: &Path, name: &str, commit_order: CommitOrder) -> coordinator::Running {
    let name = NodeName::new(name).unwrap();
    let folder = dir.join(Identity::folder(&Peer::coordinator(name.clone())));
    let policy = Policy { commit_order, ..Policy::default() };
    coordinator::start(coordinator::Config { network: dir.join(NETWORK_FILE), name, folder, policy }).unwrap()
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn key() -> CustomerKey {
    CustomerKey::from_seed(&[7; 32])
}

fn account(name: &str, bank: &str) -> AccountRef {
    AccountRef { name: AccountName::new(name).unwrap(), bank: BankName::new(bank).unwrap() }
}

fn order(payees: &[(&str, u128)], key: &CustomerKey) -> Arc<Order> {
    let credit =
        |(bank, amount): &(&str, u128)| Credit { payee: account("shop", bank), amount: Minor(*amount) };
    let fields = OrderFields {
        id: OrderId::generate(),
        payer: account("asha", "alpha"),
        credits: payees.iter().map(credit).collect(),
        currency: "INR".parse().unwrap(),
        expires_at: UnixMillis(now_ms() + 60_000),
        note: "tea".into(),
    };
    Order::sign(&fields, key).unwrap()
}

struct App {
    network: Arc<Network>,
    client: Client,
}

impl App {
    async fn connect(dir: &Path, network: &Arc<Network>, me: Role, name: &str, to: Peer) -> App {
        let me = Peer { role: me, name: NodeName::new(name).unwrap() };
        let identity = Identity::load(&dir.join(Identity::folder(&me)), network).unwrap();
        let client = Client::connect(&identity, Arc::clone(network), &to, Limits::default()).await.unwrap();
        App { network: Arc::clone(network), client }
    }

    async fn ask(&mut self, action: AdminAction) -> AdminResult {
        let request = AdminRequest { request: 1, action };
        self.client.send(vec![Message::Admin(request)]).await.unwrap();
        match self.client.receive().await.unwrap().pop() {
            Some(Message::AdminReply(reply)) => reply.result,
            other => panic!("expected a reply, got {other:?}"),
        }
    }

    async fn pay(&mut self, order: &Arc<Order>) -> Certificate {
        self.client.send(vec![Message::Submit { order: Arc::clone(order) }]).await.unwrap();
        match self.client.receive().await.unwrap().pop() {
            Some(Message::Outcome { certificate }) => {
                certificate.check(&mut Verifier::new(self.network.directory())).unwrap()
            }
            other => panic!("expected a certificate, got {other:?}"),
        }
    }
}

/// debits pending, debits posted, credits pending, credits posted.
async fn balance(operator: &mut App, name: &str) -> [u128; 4] {
    match operator.ask(AdminAction::Balance { account: AccountName::new(name).unwrap() }).await {
        AdminResult::Accounts(views) => {
            let view = &views[0];
            [view.debits_pending.0, view.debits_posted.0, view.credits_pending.0, view.credits_posted.0]
        }
        other => panic!("expected a balance, got {other:?}"),
    }
}

async fn open_accounts(dir: &Path, network: &Arc<Network>) -> Vec<App> {
    let mut operators = Vec::new();
    for bank in ["alpha", "beta", "gamma"] {
        let to = Peer::bank(BankName::new(bank).unwrap());
        let mut operator = App::connect(dir, network, Role::Operator, bank, to).await;
        let name = AccountName::new(if bank == "alpha" { "asha" } else { "shop" }).unwrap();
        let currency = "INR".parse().unwrap();
        let key = Some(Box::new(key().public()));
        let open = AdminAction::OpenAccount { account: name.clone(), currency, key };
        assert_eq!(operator.ask(open).await, AdminResult::Done);
        if bank == "alpha" {
            let deposit = AdminAction::Deposit { account: name, amount: Minor(1_000), reference: 1 };
            assert_eq!(operator.ask(deposit).await, AdminResult::Done);
        }
        operators.push(operator);
    }
    operators
}

async fn pays_and_refuses(commit_order: CommitOrder) {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (network, _ports) = make_network(dir);
    let banks = ["alpha", "beta", "gamma"].map(|name| start_bank(dir, name));
    let couriers = ["c1", "c2"].map(|name| start_coordinator(dir, name, commit_order));
    let mut operators = open_accounts(dir, &network).await;
    let c1 = Peer::coordinator(NodeName::new("c1").unwrap());
    let c2 = Peer::coordinator(NodeName::new("c2").unwrap());
    let mut app = App::connect(dir, &network, Role::App, "app", c1).await;
    let mut other_app = App::connect(dir, &network, Role::App, "app", c2).await;

    let two = order(&[("beta", 300)], &key());
    let proof = app.pay(&two).await;
    assert_eq!(proof.outcome(), Outcome::Commit);
    assert_eq!(other_app.pay(&two).await.outcome(), Outcome::Commit, "another coordinator, the same result");
    assert_eq!(app.pay(&order(&[("beta", 100), ("gamma", 50)], &key())).await.outcome(), Outcome::Commit);

    let too_much = app.pay(&order(&[("beta", 551)], &key())).await;
    assert_eq!((too_much.outcome(), too_much.reason()), (Outcome::Abort, Some(Reason::InsufficientFunds)));
    let forged = app.pay(&order(&[("beta", 1)], &CustomerKey::from_seed(&[8; 32]))).await;
    assert_eq!(forged.reason(), Some(Reason::BadSignature));

    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = [
            balance(&mut operators[0], "asha").await,
            balance(&mut operators[1], "shop").await,
            balance(&mut operators[2], "shop").await,
        ];
        if seen == [[0, 450, 0, 1_000], [0, 0, 0, 400], [0, 0, 0, 50]] {
            break;
        }
        assert!(Instant::now() < deadline, "the money has not arrived: {seen:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for courier in couriers {
        courier.stopper().stop();
        courier.wait();
    }
    for bank in banks {
        bank.stopper().stop();
        bank.wait().unwrap();
    }
}

#[tokio::test]
async fn payer_last() {
    pays_and_refuses(CommitOrder::PayerLast).await;
}

#[tokio::test]
async fn parallel() {
    pays_and_refuses(CommitOrder::Parallel).await;
}

#[tokio::test]
async fn a_second_bank_on_the_same_data_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _held = make_network(dir.path());
    let running = start_bank(dir.path(), "alpha");
    let name = BankName::new("alpha").unwrap();
    let folder = dir.path().join("bank-alpha");
    let error = bank::start(bank::Config::new(dir.path().join(NETWORK_FILE), name, folder)).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    running.stopper().stop();
    running.wait().unwrap();
}
