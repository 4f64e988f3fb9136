//! The payment app: submits signed orders to several coordinators, and keeps what it is told.
//!
//! A bounded number of orders is under way at any time. An order that gets no answer goes again, the same order, to
//! another coordinator (R9); one that never gets an answer is *unknown*, and counted so.

mod answer;
mod lane;
mod latency;
mod window;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hundi_protocol::{Identity, Message, Network, Order, Peer};

use crate::failure::Failure;
pub(crate) use answer::{Answer, Keep, Results, Whole};
use lane::{Lane, LaneEvent};
pub(crate) use latency::Latencies;
use window::Window;

/// How the payments are driven.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Orders under way at once.
    pub(crate) in_flight_max: usize,
    /// After so long without an answer an order goes to another coordinator, and again after twice that, and so on.
    pub(crate) again_after: Duration,
    /// When nothing at all was settled for so long, the orders that are left are unknown.
    pub(crate) give_up_after: Duration,
    /// One order in so many is given to two coordinators at once; 0 for none.
    pub(crate) race_every: usize,
    /// After so long no order is submitted for the first time; those left have no answer in the results.
    pub(crate) submit_for: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            in_flight_max: 2048,
            again_after: Duration::from_secs(3),
            give_up_after: Duration::from_secs(60),
            race_every: 0,
            submit_for: Duration::MAX,
        }
    }
}

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(50);

/// Submits all orders and waits for their outcomes. `keep` gets the first certificate of each; `on_progress` is told how many orders have an
/// answer, after every batch.
///
/// # Errors
/// Only when `on_progress` fails. Coordinators that cannot be reached leave orders unknown.
pub(crate) async fn run<K: Keep>(
    identity: &Identity,
    network: &Arc<Network>,
    coordinators: &[Peer],
    orders: &[Arc<Order>],
    options: Options,
    keep: K,
    mut on_progress: impl FnMut(usize) -> Result<(), Failure>,
) -> Result<Results<K::Kept>, Failure> {
    let (events, mut inbox) = tokio::sync::mpsc::channel(64);
    let mut lanes: Vec<Lane> = coordinators
        .iter()
        .enumerate()
        .map(|(n, peer)| Lane::open(n, identity.clone(), Arc::clone(network), peer.clone(), events.clone()))
        .collect();
    let mut window = Window::new(orders, lanes.len(), options, network.directory(), keep, Instant::now());
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut reached, mut unreached) = (false, None);
    while !window.is_done() {
        tokio::select! {
            Some(event) = inbox.recv() => match event {
                LaneEvent::Unreached(n, why) => unreached = Some(format!("{}: {why}", coordinators[n])),
                LaneEvent::Up(n, sender) => {
                    reached = true;
                    lanes[n].sender = Some(sender);
                    window.lane_up(n);
                }
                LaneEvent::Down(n) => {
                    lanes[n].sender = None;
                    window.lane_down(n, Instant::now());
                }
                LaneEvent::Messages(messages) => {
                    for message in messages {
                        window.hear(message, Instant::now);
                    }
                }
            },
            _ = tick.tick() => window.look_at_clock(Instant::now()),
        }
        window.fill(Instant::now());
        for (lane, batch) in lanes.iter().zip(window.take_outgoing()) {
            if let Some(sender) = &lane.sender
                && !batch.is_empty()
            {
                let submit = |order| Message::Submit { order };
                // A connection that is over says so by itself, and what was sent on it goes again elsewhere.
                let _ = sender.send(batch.into_iter().map(submit).collect()).await;
            }
        }
        on_progress(window.answered())?;
    }
    let unreached = if reached { None } else { unreached };
    Ok(Results { unreached, ..window.into_results() })
}
