//! What the parts of a payment cost, in microseconds each: `cargo bench -p hundi-protocol`.
#![allow(missing_docs, clippy::unwrap_used, clippy::float_arithmetic, reason = "a benchmark")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[path = "../tests/common/mod.rs"]
mod common;
use common::world::{World, peer};
use common::*;
use hundi_protocol::*;

/// Prints the best of several runs, which is what the code costs when nothing disturbs it.
fn measure<T>(name: &str, per_call: usize, mut call: impl FnMut() -> T) {
    let mut best = f64::MAX;
    let until = Instant::now() + Duration::from_millis(400);
    while Instant::now() < until {
        let start = Instant::now();
        black_box(call());
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{name:<58} {:>9.2} µs", best * 1e6 / per_call as f64);
}

fn main() {
    let keys: Vec<CustomerKey> =
        (0..512u32).map(|i| CustomerKey::from_seed(Digest::of(&i.to_le_bytes()).as_bytes())).collect();
    let orders: Vec<_> = keys
        .iter()
        .zip(0u32..)
        .map(|(key, i)| {
            let mut fields = fields();
            let mut random = [0; 10];
            random[..4].copy_from_slice(&i.to_le_bytes());
            fields.id = OrderId::from_parts(UnixMillis(1_700_000_000_000), random);
            Order::sign(&fields, key).unwrap()
        })
        .collect();
    of_orders(&keys, &orders);
    let votes: Vec<Vote> = orders.iter().map(|o| vote(o, "alpha", Decision::Yes)).collect();
    of_votes(&votes);
    let prepares: Vec<Message> = orders
        .iter()
        .zip(signer("alpha").sign_batch(votes))
        .map(|(order, vote)| Message::Prepare { order: order.clone(), votes: vec![vote] })
        .collect();
    of_frames(&prepares);
    for in_flight in [1, 64, 512] {
        of_link(&prepares, in_flight);
    }
}

/// What a customer signs, and what a bank checks of it.
fn of_orders(keys: &[CustomerKey], orders: &[Arc<Order>]) {
    let publics: Vec<PublicKey> = keys.iter().map(CustomerKey::public).collect();
    println!("an order has {} bytes", orders[0].bytes().len());
    measure("sign an order", 1, || Order::sign(&fields(), &keys[0]).unwrap());
    measure("parse and digest an order", orders.len(), || {
        for order in orders {
            black_box(Order::parse(order.bytes()).unwrap());
        }
    });
    measure("check a customer's signature alone", 1, || orders[0].authorise(&publics[0]).unwrap());
    for size in [8, 64, 512] {
        let batch: Vec<_> = orders.iter().map(|o| &**o).zip(publics.iter().copied()).take(size).collect();
        measure(&format!("check a customer's signature in a batch of {size}"), size, || {
            authorise_batch(&batch)
        });
    }
}

/// What a bank signs, and what its peers check of it.
fn of_votes(votes: &[Vote]) {
    let alpha = signer("alpha");
    for size in [1, 16, 128, 512] {
        measure(&format!("sign a vote in a batch of {size}"), size, || {
            alpha.sign_own(votes[..size].to_vec())
        });
    }
    let directory = verifier().directory().clone();
    for size in [1, 16, 128, 512] {
        let signed = alpha.sign_batch(votes[..size].to_vec());
        measure(&format!("verify a vote of a new batch of {size}"), size, || {
            let mut verifier = Verifier::new(directory.clone());
            for vote in &signed {
                black_box(verifier.verify(vote.clone()).unwrap());
            }
        });
    }
}

/// Messages made bytes, and bytes made messages.
fn of_frames(prepares: &[Message]) {
    let mut writer = FrameWriter::new();
    measure("encode a Prepare with one vote", prepares.len(), || {
        writer.clear();
        for message in prepares {
            writer.push(message).unwrap();
        }
    });
    let bytes = writer.bytes().to_vec();
    println!("a Prepare with one vote has {} bytes", bytes.len() / prepares.len());
    measure("decode a Prepare with one vote", prepares.len(), || {
        let (mut rest, mut read) = (&bytes[..], Vec::new());
        while let Some((content, after)) = split_frame(rest).unwrap() {
            read_frame(content, &mut read).unwrap();
            rest = after;
        }
        read
    });
}

/// CPU time of this process, all threads, in seconds (to 10 ms).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// Sends batches over a link, waiting for each to arrive: CPU of both ends together, and what a message takes.
fn of_link(messages: &[Message], in_flight: usize) {
    let world = World::new();
    let (c1, alpha) = (world.start("coordinator/c1"), world.start("bank/alpha"));
    let (to, batch) = (peer("bank/alpha"), &messages[..in_flight]);
    c1.link.send(&to, batch.to_vec());
    alpha.receive("coordinator/c1", in_flight);
    let (cpu, start, mut count) = (cpu_seconds(), Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(2) {
        c1.link.send(&to, batch.to_vec());
        let mut missing = in_flight;
        while missing > 0 {
            missing -= alpha.inbox.recv().unwrap().messages.len();
        }
        count += in_flight;
    }
    let (cpu, wall) =
        ((cpu_seconds() - cpu) * 1e6 / count as f64, start.elapsed().as_secs_f64() * 1e6 / count as f64);
    let name = format!("send a Prepare over a link, {in_flight} at a time");
    println!("{name:<58} {cpu:>9.2} µs of CPU, {wall:.2} µs of time");
}
