//! Which orders are under way, where, and since when. Pure: no socket and no clock of its own.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hundi_protocol::{
    Digest, Directory, Message, NotAccepted, Order, PaymentStatus, UncheckedCertificate, Verifier,
};

use super::{Answer, Keep, Options, Results};

/// The longest wait before an unanswered order goes to another coordinator.
const WAIT_MAX: Duration = Duration::from_secs(15);
/// How long to wait before an order that was turned away goes again.
const BUSY_WAIT: Duration = Duration::from_millis(100);

/// An order that was submitted and not answered.
#[derive(Debug)]
struct UnderWay {
    place: usize,
    lane: usize,
    since: Instant,
    /// When it goes again.
    due: Instant,
    wait: Duration,
}

/// The orders of a run.
#[derive(Debug)]
pub(super) struct Window<'a, K: Keep> {
    orders: &'a [Arc<Order>],
    options: Options,
    verifier: Verifier,
    /// The next order that was never submitted.
    next: usize,
    under_way: HashMap<Digest, UnderWay>,
    /// Orders to submit again at a time, the earliest first for each length of waiting.
    due: VecDeque<(Instant, Digest)>,
    up: Vec<bool>,
    outgoing: Vec<Vec<Arc<Order>>>,
    keep: K,
    answers: Vec<Option<Answer<K::Kept>>>,
    answered: usize,
    repeats: u64,
    started: Option<Instant>,
    /// When something was last heard that settles an order.
    ended: Option<Instant>,
    /// The same, or when the run began.
    progress: Instant,
}

impl<'a, K: Keep> Window<'a, K> {
    pub(super) fn new(
        orders: &'a [Arc<Order>],
        lanes: usize,
        options: Options,
        directory: Directory,
        keep: K,
        now: Instant,
    ) -> Self {
        Self {
            orders,
            options,
            verifier: Verifier::new(directory),
            next: 0,
            under_way: HashMap::new(),
            due: VecDeque::new(),
            up: vec![false; lanes],
            outgoing: vec![Vec::new(); lanes],
            keep,
            answers: vec![None; orders.len()],
            answered: 0,
            repeats: 0,
            started: None,
            ended: None,
            progress: now,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.answered == self.orders.len()
    }

    pub(super) fn answered(&self) -> usize {
        self.answered
    }

    pub(super) fn lane_up(&mut self, lane: usize) {
        self.up[lane] = true;
    }

    /// What was under way on a broken connection goes again at once, to another coordinator if there is one.
    pub(super) fn lane_down(&mut self, lane: usize, now: Instant) {
        self.up[lane] = false;
        for under_way in self.under_way.values_mut().filter(|under_way| under_way.lane == lane) {
            under_way.due = now;
        }
        self.rebuild_due();
        self.look_at_clock(now);
    }

    fn rebuild_due(&mut self) {
        let mut due: Vec<_> = self.under_way.iter().map(|(digest, one)| (one.due, *digest)).collect();
        due.sort_unstable();
        self.due = due.into();
    }

    /// Submits new orders while there is room and time.
    pub(super) fn fill(&mut self, now: Instant) {
        if self.started.is_some_and(|started| now.duration_since(started) >= self.options.submit_for) {
            self.orders = &self.orders[..self.next];
            self.answers.truncate(self.next);
        }
        while self.next < self.orders.len() && self.under_way.len() < self.options.in_flight_max {
            let Some(lane) = self.lane_for(self.next, None) else { return };
            let place = self.next;
            self.next += 1;
            self.started.get_or_insert(now);
            let order = &self.orders[place];
            let due = now + self.options.again_after;
            let under_way = UnderWay { place, lane, since: now, due, wait: self.options.again_after };
            let twin = self.under_way.insert(order.digest(), under_way);
            assert!(twin.is_none(), "the orders of a run are all different");
            self.due.push_back((due, order.digest()));
            self.outgoing[lane].push(Arc::clone(order));
            let race = self.options.race_every;
            if race > 0
                && place.is_multiple_of(race)
                && let Some(other) = self.lane_for(place + 1, Some(lane))
            {
                self.outgoing[other].push(Arc::clone(order));
                self.repeats += 1;
            }
        }
    }

    /// A connected coordinator for the `n`th submission, rather another than `not`.
    fn lane_for(&self, n: usize, not: Option<usize>) -> Option<usize> {
        let lanes = self.up.len();
        let candidates = || (0..lanes).map(|i| (n + i) % lanes).filter(|lane| self.up[*lane]);
        candidates().find(|lane| Some(*lane) != not).or_else(|| candidates().next())
    }

    /// Submits again what waited long enough. When nothing at all was settled for too long, everything left is unknown.
    pub(super) fn look_at_clock(&mut self, now: Instant) {
        if now >= self.progress + self.options.give_up_after {
            self.answered = self.orders.len();
            return;
        }
        while let Some((due, digest)) = self.due.front().copied()
            && due <= now
        {
            self.due.pop_front();
            let Some(under_way) = self.under_way.get_mut(&digest) else { continue };
            if under_way.due != due {
                continue; // It has another time by now, and another place in the queue.
            }
            let (place, old) = (under_way.place, under_way.lane);
            let wait = under_way.wait;
            // With no coordinator at all it waits for one, and looks again soon.
            let lane = self.lane_for(old + 1, Some(old));
            let Some(under_way) = self.under_way.get_mut(&digest) else { continue };
            let next = match lane {
                Some(lane) => {
                    under_way.lane = lane;
                    under_way.wait = wait.saturating_mul(2).min(WAIT_MAX);
                    self.outgoing[lane].push(Arc::clone(&self.orders[place]));
                    self.repeats += 1;
                    now + wait
                }
                None => now + BUSY_WAIT,
            };
            under_way.due = next;
            self.schedule(next, digest);
        }
    }

    /// Keeps the queue in order of time; almost always this is a push at its end.
    fn schedule(&mut self, due: Instant, digest: Digest) {
        let place = self.due.partition_point(|(other, _)| *other <= due);
        self.due.insert(place, (due, digest));
    }

    /// What a coordinator says. The clock is read when that has been checked, which is part of what a customer waits for.
    pub(super) fn hear(&mut self, message: Message, clock: impl Fn() -> Instant) {
        match message {
            Message::Outcome { certificate }
            | Message::StatusReply { status: PaymentStatus::Settled { certificate }, .. } => {
                self.hear_proof(certificate, clock);
            }
            Message::StatusReply { payment, status: PaymentStatus::NotAccepted(why) } => match why {
                NotAccepted::UnknownBank => self.answer(&payment, Answer::NotAccepted(why), clock()),
                NotAccepted::Busy | NotAccepted::Stopping => self.try_later(payment, clock()),
            },
            _ => {}
        }
    }

    /// Only a certificate that verifies is an answer; anything else is as good as silence.
    fn hear_proof(&mut self, certificate: UncheckedCertificate, clock: impl Fn() -> Instant) {
        let digest = certificate.order.digest();
        let Some(UnderWay { place, since, .. }) = self.under_way.get(&digest) else { return };
        if let Ok(certificate) = certificate.check(&mut self.verifier) {
            let now = clock();
            let latency = now.saturating_duration_since(*since);
            let kept = self.keep.keep(*place, certificate);
            self.answer(&digest, Answer::Proven(kept, latency), now);
        }
    }

    fn try_later(&mut self, digest: Digest, now: Instant) {
        if let Some(under_way) = self.under_way.get_mut(&digest) {
            under_way.due = now + BUSY_WAIT;
            self.schedule(now + BUSY_WAIT, digest);
        }
    }

    fn answer(&mut self, digest: &Digest, answer: Answer<K::Kept>, now: Instant) {
        if let Some(under_way) = self.under_way.remove(digest) {
            self.answers[under_way.place] = Some(answer);
            self.answered += 1;
            self.ended = Some(now);
            self.progress = now;
        }
    }

    /// What is to be sent, lane by lane.
    pub(super) fn take_outgoing(&mut self) -> Vec<Vec<Arc<Order>>> {
        self.outgoing.iter_mut().map(std::mem::take).collect()
    }

    pub(super) fn into_results(self) -> Results<K::Kept> {
        let elapsed = match (self.started, self.ended) {
            (Some(started), Some(ended)) => ended.saturating_duration_since(started),
            _ => Duration::ZERO,
        };
        let answers = self.answers.into_iter().map(|answer| answer.unwrap_or(Answer::Unknown)).collect();
        Results { answers, elapsed, repeats: self.repeats, unreached: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Whole;
    use crate::plan::{Generate, generate};
    use hundi_protocol::UnixMillis;

    #[test]
    fn an_order_that_nobody_answers_goes_again_at_bounded_times_for_as_long_as_it_takes() {
        let what = Generate { banks: 1, payments: 1, seed: 0, refusals: false };
        let orders = generate(what, UnixMillis(1_800_000_000_000)).and_then(|plan| plan.sign()).unwrap();
        let mut now = Instant::now();
        let options = Options { give_up_after: Duration::from_secs(u32::MAX.into()), ..Options::default() };
        let mut window = Window::new(&orders, 2, options, Directory::default(), Whole, now);
        window.lane_up(0);
        window.lane_up(1);
        window.fill(now);
        for n in 0..2_000 {
            let sent: usize = window.take_outgoing().iter().map(Vec::len).sum();
            assert_eq!(sent, 1, "submission {n}");
            now += WAIT_MAX;
            window.look_at_clock(now);
        }
        assert!(!window.is_done());
        assert_eq!(window.repeats, 2_000);
    }
}
