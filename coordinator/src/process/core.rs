//! The loop that owns the courier.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hundi_protocol::{Backlog, ConnectionId, Inbound, Link, LinkStats};
use hundi_protocol::{
    BankName, Message, NotAccepted, PaymentStatus, Peer, Signed, UnixMillis, Verified, Verifier, Vote,
};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::ahead::Ahead;
use super::memory::Notes;
use super::now;
use crate::courier::{Caller, Courier, Declined, Effect, Progress};

/// How many messages the core handles before it sends: the banks begin while it goes on.
const TURN_MAX: usize = 192;
/// How often the core looks at the clock when nothing comes.
const TICK: Duration = Duration::from_millis(50);
/// How long a stopping coordinator waits for payments under way. What is not settled then stays in its file.
const DRAIN_MS: u64 = 5_000;

/// Everything that can happen to the core.
#[derive(Debug)]
pub(super) enum Event {
    /// Messages of one authenticated peer, from one frame.
    Inbound(Inbound),
    /// Take no new orders, finish what is under way, then stop.
    Stop,
}

pub(super) struct Core {
    courier: Courier,
    verifier: Verifier,
    link: Link,
    notes: Notes,
    ahead: Ahead,
}

impl Core {
    pub(super) fn new(courier: Courier, verifier: Verifier, link: Link, notes: Notes) -> Self {
        Core { courier, verifier, link, notes, ahead: Ahead::default() }
    }

    /// Runs until it is told to stop.
    pub(super) async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let mut stop_by: Option<UnixMillis> = None;
        let mut backlog = Backlog::default();
        self.act();
        loop {
            let came = backlog.next_events(&mut events, TICK, |_| false).await;
            // None: nobody is left who could say anything.
            let Some(came) = came else { return };
            let now = now();
            for event in came {
                match event {
                    Event::Inbound(frame) => backlog.push(frame),
                    Event::Stop => stop_by = stop_by.or(Some(UnixMillis(now.0 + DRAIN_MS))),
                }
            }
            let turn = backlog.take_turn(TURN_MAX);
            if self.ahead.pass_on(now, &self.courier, &self.link, &turn) {
                tokio::task::yield_now().await; // Now it is written.
            }
            for frame in turn {
                self.handle_inbound(now, frame, stop_by.is_some());
            }
            self.courier.handle_time(now);
            self.act();
            self.notes.handle_time(Instant::now());
            // What was sent is written, and what came meanwhile is read, before the next is decided.
            tokio::task::yield_now().await;
            if let Some(by) = stop_by
                && ((backlog.is_empty() && self.courier.under_way() == 0) || now >= by)
            {
                let LinkStats { bytes_sent, bytes_received, messages_sent, writes, .. } = self.link.stats();
                let under_way = self.courier.under_way();
                info!(under_way, bytes_sent, bytes_received, messages_sent, writes, "stopped");
                return;
            }
        }
    }

    fn handle_inbound(&mut self, now: UnixMillis, frame: Inbound, stopping: bool) {
        let Inbound { peer, connection, messages } = frame;
        let caller = Caller(connection.0);
        for message in messages {
            match message {
                Message::Submit { order } if stopping => {
                    let status = PaymentStatus::NotAccepted(NotAccepted::Stopping);
                    let reply = Message::StatusReply { payment: order.digest(), status };
                    self.link.reply(connection, vec![reply]);
                }
                Message::Submit { order } => {
                    self.courier.handle_submit(now, caller, order);
                }
                Message::Status { payment } => {
                    self.courier.handle_status(caller, payment);
                }
                Message::Vote { vote } => {
                    let bank = vote.unverified().bank.clone();
                    match self.verifier.verify(vote) {
                        Ok(vote) => self.courier.handle_vote(now, vote),
                        Err(error) => {
                            self.ahead.distrust(&peer, bank);
                            complain(&peer, &error);
                        }
                    }
                }
                Message::Outcome { certificate } => match certificate.check(&mut self.verifier) {
                    Ok(proof) => self.courier.handle_outcome(now, &proof),
                    Err(error) => complain(&peer, &error),
                },
                Message::Ack { ack } => match self.verifier.verify(ack) {
                    Ok(ack) => self.courier.handle_ack(&ack),
                    Err(error) => complain(&peer, &error),
                },
                other => complain(&peer, &format_args!("a coordinator takes no {:?}", other.kind())),
            }
        }
    }

    /// Does all that the courier wants done: one batch of messages for each bank and each app.
    fn act(&mut self) {
        let mut to_banks: BTreeMap<BankName, Vec<Message>> = BTreeMap::new();
        let mut to_apps: BTreeMap<Caller, Vec<Message>> = BTreeMap::new();
        while let Some(effect) = self.courier.poll() {
            match effect {
                Effect::Remember(order) => self.notes.remember(order),
                Effect::Forget(digest) => self.notes.forget(digest),
                Effect::Report(proof) => {
                    let vote = proof.yes().statement();
                    error!(bank = %vote.bank, payment = %vote.payment, "bank voted both YES and NO on one payment");
                }
                Effect::Prepare { to, order, .. }
                    if to == *order.payer_bank() && self.ahead.has(order.digest(), None) => {}
                Effect::Prepare { to, order, votes } => {
                    let message = Message::Prepare { order, votes: signed(&votes) };
                    to_banks.entry(to).or_default().push(message);
                }
                Effect::Resolve { to, order } => {
                    to_banks.entry(to).or_default().push(Message::Resolve { order });
                }
                Effect::Outcome { to, certificate, again } => {
                    let message = match again {
                        false => Message::Proof { votes: signed(certificate.votes_beside(&to)) },
                        true => Message::Outcome { certificate: certificate.to_unchecked() },
                    };
                    to_banks.entry(to).or_default().push(message);
                }
                Effect::Answer { to, certificate } if self.ahead.has(certificate.payment(), Some(to)) => {}
                Effect::Answer { to, certificate } => {
                    let certificate = certificate.to_unchecked();
                    to_apps.entry(to).or_default().push(Message::Outcome { certificate });
                }
                Effect::Status { to, payment, progress } => {
                    let status = status_of(progress);
                    to_apps.entry(to).or_default().push(Message::StatusReply { payment, status });
                }
                Effect::Decline { to, payment, why } => {
                    let status = PaymentStatus::NotAccepted(match why {
                        Declined::Busy => NotAccepted::Busy,
                        Declined::UnknownBanks => NotAccepted::UnknownBank,
                    });
                    to_apps.entry(to).or_default().push(Message::StatusReply { payment, status });
                }
            }
        }
        for (bank, messages) in to_banks {
            self.link.send(&Peer::bank(bank), messages);
        }
        for (caller, messages) in to_apps {
            self.link.reply(ConnectionId(caller.0), messages);
        }
    }
}

fn status_of(progress: Progress) -> PaymentStatus {
    match progress {
        Progress::Unknown => PaymentStatus::Unknown,
        Progress::UnderWay(votes) => PaymentStatus::InFlight { votes: signed(&votes) },
        Progress::Settled(proof) => PaymentStatus::Settled { certificate: proof.to_unchecked() },
    }
}

pub(super) fn signed<'a>(votes: impl IntoIterator<Item = &'a Verified<Vote>>) -> Vec<Signed<Vote>> {
    votes.into_iter().map(|vote| vote.signed().clone()).collect()
}

fn complain(peer: &Peer, what: &dyn std::fmt::Display) {
    warn!(%peer, "dropped a message: {what}");
}
