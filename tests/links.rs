//! Links that break, stall and deliver late; nodes that stand still: nothing is made or lost.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use common::{TestNetwork, stderr, wait_until};
use hundi_protocol::{Network, Peer, Role};
use serde_json::Value;

/// A wire between two nodes that is cut after some bytes, again and again, often in the middle of a frame.
struct Wire {
    address: String,
    stop: Arc<AtomicBool>,
    cuts: Arc<AtomicU64>,
}

impl Wire {
    fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, cuts) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (for_thread, count) = (Arc::clone(&stop), Arc::clone(&cuts));
        std::thread::spawn(move || {
            for (n, near) in listener.incoming().enumerate() {
                let (Ok(near), Ok(far)) = (near, TcpStream::connect(&target)) else { continue };
                // Each connection carries a few kilobytes more than its handshake, another number each time.
                let budget = 4_000 + (n * 1_777) % 5_000;
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let (stop, cuts) = (Arc::clone(&for_thread), Arc::clone(&count));
                    std::thread::spawn(move || carry(from, to, budget, &stop, &cuts));
                }
            }
        });
        Self { address, stop, cuts }
    }

    /// From now on nothing is cut and nothing late.
    fn heal(&self) {
        self.stop.store(true, SeqCst);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, mut budget: usize, healed: &AtomicBool, cuts: &AtomicU64) {
    let mut buffer = [0; 1500];
    while let Ok(count) = from.read(&mut buffer) {
        let broken = !healed.load(SeqCst);
        if count == 0 {
            break;
        }
        if broken {
            std::thread::sleep(Duration::from_millis(1)); // Late.
            if count > budget {
                let _ = to.write_all(&buffer[..budget]); // Half a frame, and then no more.
                cuts.fetch_add(1, SeqCst);
                break;
            }
            budget -= count;
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Gives every node but `bank` another address of it: that of a wire.
fn put_between(network: &TestNetwork, bank: &str) -> Wire {
    let wire = Wire::to(network.address(&format!("bank-{bank}")));
    let file = network.file();
    let own = network.folder(&format!("bank-{bank}")).join("network.toml");
    if !own.exists() {
        std::fs::copy(&file, &own).unwrap();
    }
    let peer = Peer { role: Role::Bank, name: bank.parse().unwrap() };
    let changed = Network::load(Path::new(&file)).unwrap().with_address(&peer, wire.address.clone());
    std::fs::write(&file, changed.to_toml()).unwrap();
    wire
}

/// Starts a bank with its own copy of network.toml, in which it has its true address.
fn start_behind(network: &mut TestNetwork, bank: &str) {
    let node = format!("bank-{bank}");
    let mut command = network.command(&node);
    let own = network.folder(&node).join("network.toml");
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_owned()).collect();
    let file = network.file();
    let swapped = arguments
        .into_iter()
        .map(|argument| if argument == file.as_str() { own.clone().into() } else { argument });
    let mut changed = common::hundi();
    changed.args(swapped).stdout(Stdio::null());
    let log =
        std::fs::OpenOptions::new().create(true).append(true).open(network.folder(&node).join("log.txt"));
    changed.stderr(log.unwrap());
    std::mem::swap(&mut command, &mut changed);
    network.start_as(&node, &mut command);
}

fn pay(network: &TestNetwork, count: usize) -> Vec<Child> {
    (0..count)
        .map(|n| {
            let (from, to) =
                if n % 2 == 0 { ("asha@alpha", "bela@beta") } else { ("bela@beta", "asha@alpha") };
            let mut command = network.pay(from, to, "1.00");
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect()
}

/// How many were paid; each must have an outcome.
fn outcomes(paying: Vec<Child>) -> usize {
    let mut paid = 0;
    for child in paying {
        let output = child.wait_with_output().unwrap();
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
        assert_ne!(report["status"], "unknown", "{report}");
        paid += usize::from(report["status"] == "commit");
    }
    paid
}

fn check(network: &mut TestNetwork) {
    let banks = ["alpha", "beta"];
    wait_until("nothing is on hold", || network.held(&banks) == 0);
    assert_eq!(network.balance("asha@alpha") + network.balance("bela@beta"), 200_000);
    assert_eq!(network.clearing(&banks), 0);
    network.terminate_all();
    let audit = network.audit();
    assert_eq!((&audit["in_flight"], &audit["executed_twice"]), (&0.into(), &0.into()));
}

#[test]
fn links_that_are_cut_in_the_middle_of_frames_lose_nothing() {
    let mut network = TestNetwork::new("alpha,beta", 2);
    // The operators call the banks directly, before the wires are put between.
    ["bank-alpha", "bank-beta"].iter().for_each(|node| network.start(node));
    network.open("asha@alpha", "1000.00");
    network.open("bela@beta", "1000.00");
    ["bank-alpha", "bank-beta"].iter().for_each(|node| assert_eq!(network.terminate(node), Some(0)));
    let wires = ["alpha", "beta"].map(|bank| put_between(&network, bank));
    ["alpha", "beta"].iter().for_each(|bank| start_behind(&mut network, bank));
    ["coordinator-c1", "coordinator-c2"].iter().for_each(|node| network.start(node));

    let mut paid = 0;
    for _ in 0..4 {
        paid += outcomes(pay(&network, 12));
    }
    let cuts: u64 = wires.iter().map(|wire| wire.cuts.load(SeqCst)).sum();
    assert!(cuts >= 4, "the wires were cut {cuts} times only");
    assert!(paid > 0);
    wires.iter().for_each(Wire::heal);
    check(&mut network);
}

#[test]
fn nodes_that_stand_still_and_go_on_say_nothing_wrong() {
    let mut network = TestNetwork::new("alpha,beta", 2);
    let nodes = ["bank-alpha", "bank-beta", "coordinator-c1", "coordinator-c2"];
    nodes.iter().for_each(|node| network.start(node));
    network.open("asha@alpha", "1000.00");
    network.open("bela@beta", "1000.00");
    for node in nodes {
        let paying = pay(&network, 8);
        network.signal(node, rustix::process::Signal::STOP);
        std::thread::sleep(Duration::from_millis(700));
        network.signal(node, rustix::process::Signal::CONT);
        assert_eq!(outcomes(paying), 8, "{node}");
    }
    check(&mut network);
}
