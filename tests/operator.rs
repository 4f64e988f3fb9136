//! What an operator and a customer do, piece by piece, with real nodes.
#![allow(clippy::unwrap_used)]

mod common;

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use common::{TestNetwork, check_refused, hundi, run, run_json, stderr, wait_until};
use hundi_protocol::{Client, Digest, Identity, Limits, LinkError, Message, Network, Peer, Role};
use serde_json::Value;

const NODES: [&str; 4] = ["bank-alpha", "bank-beta", "coordinator-c1", "coordinator-c2"];

/// Two banks, two coordinators, asha with 100.00 at alpha, bela at beta.
fn start() -> TestNetwork {
    let mut network = TestNetwork::new("alpha,beta", 2);
    NODES.iter().for_each(|node| network.start(node));
    network.open("asha@alpha", "100.00");
    network.open("bela@beta", "0");
    network
}

fn json(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stderr(output)))
}

#[test]
fn a_payment_can_be_made_asked_after_proven_and_audited() {
    let mut network = start();
    let certificate = network.dir.path().join("paid.json").display().to_string();
    let paid = network
        .pay("asha@alpha", "bela@beta", "12.50")
        .args(["--certificate", &certificate])
        .output()
        .unwrap();
    let paid = json(&paid);
    assert_eq!(paid["status"], "commit");
    assert_eq!(paid["proven"]["amount_minor"], "1250");
    let payment = paid["payment"].as_str().unwrap();

    let status = run_json(&["status", payment, "--network", &network.file(), "--json"]);
    assert_eq!((&status["status"], &status["proven"]["payment"]), (&"commit".into(), &payment.into()));
    let nothing = run(&["status", &"0".repeat(64), "--network", &network.file()]);
    assert_eq!(nothing.status.code(), Some(1), "{}", stderr(&nothing));

    let list = run_json(&["account", "list", "beta", "--network", &network.file(), "--json"]);
    assert_eq!(
        (&list["accounts"][0]["account"], &list["accounts"][0]["credits_posted"]),
        (&"bela".into(), &"1250".into())
    );
    let balance = run(&["account", "balance", "asha@alpha", "--network", &network.file()]);
    assert!(String::from_utf8_lossy(&balance.stdout).contains("87.50 INR"), "{balance:?}");

    // A running bank's file is not audited: others may be a step ahead.
    let early = run(&["audit", "--dir", network.path()]);
    assert!(stderr(&early).contains("in use by a running bank"), "{}", stderr(&early));
    network.terminate_all();
    network.audit();

    // The certificate proves it without any node, and a changed one proves nothing.
    let verify = |file: &str| run(&["verify-certificate", "--network", &network.file(), file]);
    assert!(verify(&certificate).status.success());
    let forged = network.dir.path().join("forged.json").display().to_string();
    let text = std::fs::read_to_string(&certificate).unwrap();
    std::fs::write(&forged, text.replacen("\"yes\"", "\"expired\"", 1)).unwrap();
    assert_eq!(verify(&forged).status.code(), Some(3), "{}", stderr(&verify(&forged)));
}

#[test]
fn refusals_of_operators_and_customers_are_one_line_and_exit_code_1() {
    let network = start();
    let refused = network.pay("asha@alpha", "bela@beta", "100.01").output().unwrap();
    assert_eq!(
        (refused.status.code(), &json(&refused)["proven"]["reason"]),
        (Some(1), &"insufficient_funds".into())
    );
    let file = network.file();
    for (arguments, words) in [
        (vec!["account", "close", "asha@alpha"], "there is money on the account"),
        (vec!["account", "balance", "nobody@alpha"], "no account nobody"),
        (vec!["account", "deposit", "nobody@alpha", "1.00"], "no account nobody"),
        (vec!["account", "open", "asha@alpha", "--currency", "EUR"], "open with another currency or key"),
    ] {
        let output = hundi().args(arguments.iter().chain(&["--network", &file])).output().unwrap();
        check_refused(&output, 1, words);
    }
}

#[test]
fn two_coordinators_racing_with_one_order_pay_it_once() {
    let mut network = start();
    for n in 0..5 {
        // Signed once, kept in a file, and given to both at the same time.
        let order = network.dir.path().join(format!("order-{n}.jws")).display().to_string();
        sign_only(&network, &order);
        let mut racing: Vec<_> = ["c1", "c2"]
            .map(|coordinator| {
                network
                    .pay("asha@alpha", "bela@beta", "1.00")
                    .args(["--order", &order, "--coordinator", coordinator])
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .into();
        let answers: Vec<Value> =
            racing.drain(..).map(|child| json(&child.wait_with_output().unwrap())).collect();
        assert_eq!(answers[0], answers[1], "both customers are told the same");
        assert_eq!(answers[0]["status"], "commit");
        assert_eq!(network.balance("asha@alpha"), 10_000 - 100 * (n + 1));
    }
    wait_until("nothing is on hold", || network.held(&["alpha", "beta"]) == 0);
    assert_eq!(network.balance("bela@beta"), 500);
    network.terminate_all();
    assert_eq!(network.audit()["executed_twice"], 0);
}

/// Makes and keeps a signed order without any coordinator taking it.
fn sign_only(network: &TestNetwork, order: &str) {
    let output = network
        .pay("asha@alpha", "bela@beta", "1.00")
        .args(["--order", order, "--coordinator", "nobody"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
}

#[test]
fn a_customer_who_lost_the_answer_repeats_the_order_and_pays_once() {
    let mut network = start();
    let order = network.dir.path().join("order.jws").display().to_string();
    let pay = |network: &TestNetwork| {
        let mut command = network.pay("asha@alpha", "bela@beta", "30.00");
        command.args(["--order", &order]);
        command
    };
    // The answer is lost: the customer is gone before it comes.
    let mut first = pay(&network).stdout(Stdio::null()).spawn().unwrap();
    wait_until("the order is signed", || std::path::Path::new(&order).exists());
    first.kill().unwrap();
    first.wait().unwrap();
    for coordinator in ["c1", "c2", "c1"] {
        let again = pay(&network).args(["--coordinator", coordinator]).output().unwrap();
        assert_eq!(json(&again)["status"], "commit", "{}", stderr(&again));
    }
    assert_eq!(network.balance("asha@alpha"), 7_000);
    // Also after every node was restarted, and the coordinators have forgotten it.
    for node in NODES {
        network.kill(node);
        network.start(node);
    }
    assert_eq!(json(&pay(&network).output().unwrap())["status"], "commit");
    assert_eq!(network.balance("asha@alpha"), 7_000);
    network.terminate_all();
    network.audit();
}

#[test]
fn a_kept_order_is_not_sent_for_another_one() {
    let network = start();
    let order = network.dir.path().join("order.jws").display().to_string();
    sign_only(&network, &order);
    let kept = std::fs::read(&order).unwrap();
    for (amount, more, words) in [
        ("1.00", ["--note", "rent"], "holds an order with another note"),
        ("2.00", ["--note", ""], "holds an order with another amount"),
        ("2.00", ["--note", "rent"], "holds an order with another amount, note"),
    ] {
        let output =
            network.pay("asha@alpha", "bela@beta", amount).args(["--order", &order]).args(more).output();
        let output = output.unwrap();
        check_refused(&output, 3, words);
    }
    assert_eq!(std::fs::read(&order).unwrap(), kept, "left as it was");
    assert_eq!(network.balance("asha@alpha"), 10_000);
}

#[test]
fn an_amount_or_currency_that_is_none_is_a_wrong_command_line() {
    let network = start();
    let key = network.dir.path().join("keys/asha@alpha.key").display().to_string();
    for (amount, currency, words) in [
        ("1e3", "INR", "--amount \"1e3\": expected digits such as 12.50"),
        ("1.00", "XYZ", "--currency XYZ: not a currency of ISO 4217"),
    ] {
        let output = hundi()
            .args(["pay", "--network", &network.file(), "--from", "asha@alpha", "--to", "bela@beta"])
            .args(["--amount", amount, "--currency", currency, "--key", &key])
            .output()
            .unwrap();
        check_refused(&output, 2, words);
    }
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let network = start();
    for node in ["bank-alpha", "coordinator-c1"] {
        let output = network.command(node).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{node}: {}", stderr(&output));
        let text = stderr(&output);
        let last = text.lines().last().unwrap();
        assert!(last.contains("in use by another process"), "{node}: {text}");
    }
    // Not even if somebody removes what looks like a lock; nor is such a bank audited as if it had stopped.
    std::fs::remove_file(network.folder("bank-alpha").join("bank.db.lock")).unwrap();
    for node in ["bank-alpha", "coordinator-c1"] {
        let output = network.command(node).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{node}: {}", stderr(&output));
        assert!(stderr(&output).contains("in use by another process"), "{node}: {}", stderr(&output));
    }
    let early = run(&["audit", "--dir", network.path()]);
    assert!(stderr(&early).contains("in use by a running bank"), "{}", stderr(&early));
    // The first ones are none the worse for it.
    assert!(network.pay("asha@alpha", "bela@beta", "1.00").output().unwrap().status.success());
}

#[test]
fn sigterm_loses_nothing_that_was_answered_and_nothing_stays_on_hold() {
    let mut network = start();
    let mut customers: Vec<_> = (0..8)
        .map(|_| {
            let mut command = network.pay("asha@alpha", "bela@beta", "1.00");
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for node in NODES {
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(network.terminate(node), Some(0), "{node}: {}", network.log(node));
        network.start(node);
    }
    let paid = customers.drain(..).filter(|_| true).map(|child| json(&child.wait_with_output().unwrap()));
    let paid = paid.filter(|answer| answer["status"] == "commit").count();
    wait_until("nothing is on hold", || network.held(&["alpha", "beta"]) == 0);
    assert_eq!(network.balance("bela@beta"), 100 * i64::try_from(paid).unwrap());
    network.terminate_all();
    assert_eq!(network.audit()["in_flight"], 0);
}

#[test]
fn a_full_disk_stops_the_bank_with_a_clear_line_and_it_reopens_clean() {
    let mut network = start();
    network.terminate("bank-alpha");
    let file = network.folder("bank-alpha").join("bank.db-wal");
    let size =
        std::fs::metadata(&file).or_else(|_| std::fs::metadata(file.with_extension("db"))).unwrap().len();
    // A limit on the size of files: writes fail as on a full disk, when the log has grown by a few pages.
    let node = network.command("bank-alpha");
    let mut limited = std::process::Command::new("bash");
    limited.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", size / 1024 + 64));
    limited.arg(node.get_program()).args(node.get_args()).stdin(Stdio::null()).stdout(Stdio::null());
    let log =
        std::fs::OpenOptions::new().append(true).open(network.folder("bank-alpha").join("log.txt")).unwrap();
    limited.stderr(log);
    network.start_as("bank-alpha", &mut limited);
    let (mut paid, mut unanswered) = (0, 0);
    // The bank ends by itself when its disk is full: a few hundred payments at most.
    while network.is_running("bank-alpha") {
        assert!(paid < 2_000, "the disk was never full");
        let output = network.pay("asha@alpha", "bela@beta", "0.01").args(["--wait", "2"]).output().unwrap();
        match json(&output)["status"].as_str().unwrap() {
            "commit" => paid += 1,
            _ => unanswered += 1,
        }
    }
    assert_eq!(network.wait("bank-alpha"), Some(4), "{}", network.log("bank-alpha"));
    let log = network.log("bank-alpha");
    let last = log.lines().last().unwrap();
    assert!(last.contains("the node stops"), "{log}");

    network.start("bank-alpha");
    wait_until("nothing is on hold", || network.held(&["alpha", "beta"]) == 0);
    // What was acknowledged is there; what was not may be there or not, the same on both sides.
    let received = network.balance("bela@beta");
    assert!((paid..=paid + unanswered).contains(&received), "{paid} acknowledged, {received} received");
    assert_eq!(network.balance("asha@alpha"), 10_000 - received);
    network.terminate_all();
    network.audit();
}

#[test]
fn strangers_are_refused_by_a_real_node() {
    let network = start();
    let stranger = TestNetwork::new("alpha,beta", 1);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let own = Arc::new(Network::load(network.file().as_ref()).unwrap());
    let app = Peer { role: Role::App, name: "app".parse().unwrap() };
    let alpha = Peer { role: Role::Bank, name: "alpha".parse().unwrap() };
    let ask = |identity: &Identity, message: Message| -> Result<Vec<Message>, LinkError> {
        runtime.block_on(async {
            let mut client = Client::connect(identity, Arc::clone(&own), &alpha, Limits::default()).await?;
            client.send(vec![message]).await?;
            client.receive().await
        })
    };
    let status = || Message::Status { payment: Digest([0; 32]) };

    let known = Identity::load(&network.folder("app-app"), &own).unwrap();
    assert!(ask(&known, status()).is_ok());

    // A foreign authority's certificate for the very same name.
    let foreign = Arc::new(Network::load(stranger.file().as_ref()).unwrap());
    let foreign = Identity::load(&stranger.folder("app-app"), &foreign).unwrap();
    assert_eq!(foreign.peer(), &app);
    assert!(ask(&foreign, status()).is_err(), "a foreign authority's certificate");

    // Another bank's operator, and an app, may not touch accounts.
    let beta = Identity::load(&network.folder("operator-beta"), &own).unwrap();
    let admin = || {
        Message::Admin(hundi_protocol::AdminRequest {
            request: 1,
            action: hundi_protocol::AdminAction::InFlight,
        })
    };
    assert!(ask(&beta, admin()).is_err(), "another bank's operator");
    assert!(ask(&known, admin()).is_err(), "an app");
    assert!(network.pay("asha@alpha", "bela@beta", "1.00").output().unwrap().status.success());
}
