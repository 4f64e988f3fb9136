//! SIGKILL from outside, at moments of nobody's choosing, for many rounds; then the sums with plain SQL.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use common::{TestNetwork, hundi, run, rupees, stderr, wait_until};
use serde_json::Value;

const BANKS: [&str; 3] = ["alpha", "beta", "gamma"];
const NODES: [&str; 5] = ["bank-alpha", "bank-beta", "bank-gamma", "coordinator-c1", "coordinator-c2"];
/// What each customer starts with, in paise.
const START: i64 = 1_000_000;
const CUSTOMERS: usize = 4;

/// Numbers that follow from a seed: a failing round can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn customer(n: u64) -> String {
    format!("customer-{}@{}", n / 3, BANKS[usize::try_from(n % 3).unwrap()])
}

/// Orders between random customers, and how much they move in all if everybody can pay.
fn write_orders(network: &TestNetwork, round: usize, count: usize, random: &mut Random) -> String {
    let path = network.dir.path().join(format!("orders-{round}.csv"));
    let mut file = std::fs::File::create(&path).unwrap();
    writeln!(file, "order_id,payer_bank,payer_account,payee_bank,payee_account,amount,currency,purpose")
        .unwrap();
    let customers = (CUSTOMERS * BANKS.len()) as u64;
    for n in 0..count {
        let payer = random.below(customers);
        let payee = (payer + 1 + random.below(customers - 1)) % customers;
        let amount = rupees(1 + i64::try_from(random.below(5_000)).unwrap());
        let (payer, payee) = (customer(payer), customer(payee));
        let (payer, payer_bank) = payer.split_once('@').unwrap();
        let (payee, payee_bank) = payee.split_once('@').unwrap();
        writeln!(file, "{round}-{n},{payer_bank},{payer},{payee_bank},{payee},{amount},INR,").unwrap();
    }
    path.display().to_string()
}

fn pay(network: &TestNetwork, orders: &str) -> Child {
    let keys = network.dir.path().join("keys");
    hundi()
        .args(["pay", "--network", &network.file(), "--orders", orders, "--json", "--keys"])
        .arg(keys)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Every customer's money together is what was put in, wherever it is.
fn check_sums(network: &TestNetwork) {
    let accounts = CUSTOMERS * BANKS.len();
    let total: i64 = (0..accounts).map(|n| network.balance(&customer(n as u64))).sum();
    assert_eq!(total, START * i64::try_from(accounts).unwrap(), "money made or lost");
    assert_eq!(network.clearing(&BANKS), 0, "clearing over all banks");
    assert_eq!(network.held(&BANKS), 0, "money still on hold");
    for bank in BANKS {
        let off = "SELECT sum(debits_posted) - sum(credits_posted) FROM v_accounts";
        assert_eq!(network.sql(bank, off), 0, "the books of {bank}");
    }
}

#[test]
fn kills_at_random_moments_make_and_lose_nothing() {
    let seed = 20_261_123;
    let mut random = Random(seed);
    let mut network = TestNetwork::new(&BANKS.join(","), 2);
    NODES.iter().for_each(|node| network.start(node));
    for n in 0..CUSTOMERS * BANKS.len() {
        network.open(&customer(n as u64), &rupees(START));
    }
    for round in 0..4 {
        println!("round {round} of seed {seed}");
        let orders = write_orders(&network, round, 600, &mut random);
        let mut paying = pay(&network, &orders);
        // Each node once a round, in another order each time; sometimes two are down at once.
        let mut victims = NODES.to_vec();
        while !victims.is_empty() {
            let at = usize::try_from(random.below(victims.len() as u64)).unwrap();
            let victim = victims.swap_remove(at);
            std::thread::sleep(Duration::from_millis(random.below(60)));
            network.kill(victim);
            std::thread::sleep(Duration::from_millis(random.below(60)));
            network.start(victim);
        }
        wait_until("the payments end", || paying.try_wait().unwrap().is_some());
        let output = paying.wait_with_output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("round {round}: {error}: {}", stderr(&output)));
        assert_eq!(report["unknown"], 0, "round {round}: {report}");
        wait_until("nothing is on hold", || network.held(&BANKS) == 0);
        check_sums(&network);
        check_answers(&network, round, &report);
    }
    network.terminate_all();
    let audit = network.audit();
    assert_eq!((&audit["in_flight"], &audit["double_votes"]), (&0.into(), &0.into()));
    check_sums(&network);
}

/// What the customers were told is what the payers' banks have: as many commits, no more and no fewer.
fn check_answers(network: &TestNetwork, round: usize, report: &Value) {
    let told = network.dir.path().join(format!("orders-{round}.csv.signed"));
    let signed = std::fs::read_to_string(told).unwrap();
    let digests: Vec<String> =
        signed.lines().map(|jws| format!("'{}'", hundi_protocol::Digest::of(jws.as_bytes()))).collect();
    let sql = format!(
        "SELECT count(DISTINCT payment) FROM v_votes JOIN v_transfers USING (payment)
         JOIN v_accounts a ON a.id = debit_account_id
         WHERE outcome = 'commit' AND a.name NOT LIKE '#%' AND payment IN ({})",
        digests.join(",")
    );
    let paid: i64 = BANKS.iter().map(|bank| network.sql(bank, &sql)).sum();
    assert_eq!(report["committed"], paid, "round {round}: {report}");
}

#[test]
fn a_bank_that_stays_away_holds_up_nobody_else_and_no_payer() {
    let mut network = TestNetwork::new("alpha,beta,gamma", 1);
    NODES[..4].iter().for_each(|node| network.start(node));
    network.open("asha@alpha", "100.00");
    network.open("bela@beta", "0");
    network.open("chand@gamma", "0");
    network.kill("bank-beta");
    let mut waiting = network.pay("asha@alpha", "bela@beta", "40.00");
    let order = network.dir.path().join("order");
    let waiting = waiting.arg("--order").arg(&order).stdout(Stdio::piped()).spawn().unwrap();
    // Payer last: the payee's bank is silent, so the payer's money is not even on hold, and pays somebody else.
    let other = network.pay("asha@alpha", "chand@gamma", "70.00").output().unwrap();
    assert!(other.status.success(), "{}", stderr(&other));
    assert_eq!(network.held(&["alpha"]), 0);
    // Nobody has voted on it, and the coordinator carries it all the same.
    wait_until("the payment is in flight", || {
        let Ok(order) = std::fs::read(&order) else { return false };
        let payment = hundi_protocol::Digest::of(order.trim_ascii()).to_string();
        let output = run(&["status", &payment, "--network", &network.file(), "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        report["status"] == "in_flight" && report["votes"] == Value::Array(vec![])
    });
    network.start("bank-beta");
    let output = waiting.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    // By now the payer has too little, unless the machine was so slow that the coordinator gave the silent bank up.
    let reason = report["proven"]["reason"].as_str().unwrap();
    assert!(report["status"] == "abort" && ["insufficient_funds", "resolved"].contains(&reason), "{report}");
    assert_eq!((network.balance("asha@alpha"), network.balance("chand@gamma")), (3_000, 7_000));
    wait_until("nothing is on hold", || network.held(&BANKS) == 0);
    network.terminate_all();
    network.audit();
}
