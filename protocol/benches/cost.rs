//! What the parts of a payment cost, in microseconds each: `cargo bench -p hundi-protocol`.
#![allow(missing_docs, clippy::unwrap_used, clippy::float_arithmetic, reason = "a benchmark")]

use std::hint::black_box;
use std::time::{Duration, Instant};

#[path = "../tests/common/mod.rs"]
mod common;
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
    let publics: Vec<PublicKey> = keys.iter().map(CustomerKey::public).collect();
    println!("an order has {} bytes", orders[0].bytes().len());

    measure("sign an order", 1, || Order::sign(&fields(), &keys[0]).unwrap());
    measure("parse and digest an order", 512, || {
        for order in &orders {
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

    let alpha = signer("alpha");
    let votes: Vec<Vote> = orders.iter().map(|o| vote(o, "alpha", Decision::Yes)).collect();
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
