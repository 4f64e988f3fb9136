#![allow(clippy::unwrap_used, missing_docs)]
use std::net::TcpListener; use std::path::Path; use std::sync::Arc; use std::time::{Duration, Instant, SystemTime};
use hundi_bank_node::process as bank; use hundi_coordinator::process as coordinator; use hundi_coordinator::{CommitOrder, Policy};
use hundi_protocol::*;
fn address() -> String { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string() }
fn now_ms() -> u64 { SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64 }
fn account(name: &str, bank: &str) -> AccountRef { AccountRef { name: AccountName::new(name).unwrap(), bank: BankName::new(bank).unwrap() } }
async fn connect(dir: &Path, network: &Arc<Network>, role: Role, name: &str, to: Peer) -> Client {
    let me = Peer { role, name: NodeName::new(name).unwrap() };
    let identity = Identity::load(&dir.join(Identity::folder(&me)), network).unwrap();
    Client::connect(&identity, Arc::clone(network), &to, Limits::default()).await.unwrap()
}
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let a: Vec<String> = std::env::args().collect();
    let n: usize = a[1].parse().unwrap(); let window: usize = a[2].parse().unwrap();
    let dir = tempfile::tempdir().unwrap(); let dir = dir.path();
    let plan = Plan { network: "t".into(), banks: ["alpha","beta"].map(|name| Member { name: BankName::new(name).unwrap(), address: address() }).into(),
        coordinators: ["c1"].map(|name| Member { name: NodeName::new(name).unwrap(), address: address() }).into(), apps: vec![NodeName::new("app").unwrap()], seed: None, now: SystemTime::now(), valid_for: Duration::from_secs(3600) };
    let network = Arc::new(init(dir, &plan).unwrap());
    let mut running = vec![];
    for b in ["alpha","beta"] { let name = BankName::new(b).unwrap(); let folder = dir.join(Identity::folder(&Peer::bank(name.clone()))); running.push(bank::start(bank::Config::new(dir.join(NETWORK_FILE), name, folder)).unwrap()); }
    let name = NodeName::new("c1").unwrap(); let folder = dir.join("coordinator-c1");
    let _c = coordinator::start(coordinator::Config { network: dir.join(NETWORK_FILE), name, folder, policy: Policy { commit_order: CommitOrder::PayerLast, ..Policy::default() } }).unwrap();
    let key = CustomerKey::from_seed(&[7; 32]);
    for b in ["alpha","beta"] {
        let mut op = connect(dir, &network, Role::Operator, b, Peer::bank(BankName::new(b).unwrap())).await;
        for i in 0..100 { 
        op.send(vec![Message::Admin(AdminRequest { request: 1, action: AdminAction::OpenAccount { account: AccountName::new(&format!("a{i}")).unwrap(), currency: "INR".parse().unwrap(), key: Some(key.public()) } }),
          Message::Admin(AdminRequest { request: 2, action: AdminAction::Deposit { account: AccountName::new(&format!("a{i}")).unwrap(), amount: Minor(1_000_000_000), reference: i as u128 + 1 } })]).await.unwrap(); }
        let mut got = 0; while got < 200 { got += op.receive().await.unwrap().len(); }
    }
    let t = Instant::now();
    let orders: Vec<_> = (0..n).map(|i| { let (x, y) = if i % 2 == 0 { ("alpha","beta") } else { ("beta","alpha") };
        Order::sign(&OrderFields { id: OrderId::generate(), payer: account(&format!("a{}", i % 100), x), credits: vec![Credit { payee: account(&format!("a{}", (i * 7) % 100), y), amount: Minor(5) }], currency: "INR".parse().unwrap(), expires_at: UnixMillis(now_ms() + 600_000), note: String::new() }, &key).unwrap() }).collect();
    println!("signed in {:?}", t.elapsed());
    let mut client = connect(dir, &network, Role::App, "app", Peer::coordinator(NodeName::new("c1").unwrap())).await;
    let t = Instant::now(); let mut sent = 0; let mut done = 0; let mut commits = 0;
    while done < n {
        let room = (done + window).min(n);
        if room > sent { let batch = orders[sent..room].iter().map(|o| Message::Submit { order: o.clone() }).collect(); sent = room; client.send(batch).await.unwrap(); }
        for m in client.receive().await.unwrap() { match m { Message::Outcome { certificate } => { done += 1; if certificate.votes.len() == 2 { commits += 1 } } other => println!("{other:?}") } }
    }
    let e = t.elapsed();
    println!("{n} window {window}: {:.0}/s, {commits} commits, {:.1} us each", n as f64 / e.as_secs_f64(), e.as_micros() as f64 / n as f64);
    for b in ["alpha", "beta"] { let c = rusqlite::Connection::open(dir.join(format!("bank-{b}/bank.db"))).unwrap(); let k: i64 = c.query_row("SELECT count(*) FROM commits", [], |r| r.get(0)).unwrap(); println!("{b} commits {k}"); }
    std::process::exit(0);
}
