//! The loop that owns the participant.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use hundi_ledger::CommitSeq;
use hundi_ledger::sqlite::{Commit, CommitError};
use hundi_protocol::{Authorised, Digest, Message, Peer, Signer, UnixMillis, Verifier};
use hundi_protocol::{Backlog, ConnectionId, Inbound, Link};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::disk::{Job, Writer};
use super::history::{Question, Why};
use super::now;
use crate::books::{Books, Payment};
use crate::leaving::Leaving;
use crate::participant::{Fault, Participant};
use crate::sqlite_books::{BooksError, SqliteBooks};

/// How many messages the core handles before it writes and sends: more make larger commits, fewer let the others begin sooner.
const TURN_MAX: usize = 96;
/// The same where more than [`CROWD`] messages wait: then nobody is short of something to do, and larger commits are cheaper.
const TURN_OF_A_CROWD_MAX: usize = 192;
const CROWD: usize = 768;
/// And while the disk has a commit: its votes can leave when it is back, and the next commit gathers whatever the turns are.
const TURN_BESIDE_DISK_MAX: usize = 64;
/// The core waits for the sync of a commit of so few votes and outcomes itself: to wake the disk's thread and be woken by it
/// would take longer, and little comes meanwhile.
const OWN_SYNC_ROWS_MAX: usize = 8;
/// A commit of more votes and outcomes is the disk thread's, while the core goes on; for a smaller one that costs more than it gains.
const OWN_ROWS_MAX: usize = 256;
/// How often the core looks at the clock when nothing comes.
const TICK: Duration = Duration::from_millis(100);
/// How long an outcome may wait for a vote to share its sync: nobody but the courier's memory waits for it, and a sync of its
/// own would stand in the way of the next vote's.
const OUTCOME_WAIT: Duration = Duration::from_millis(5);
/// After so long without a write the write-ahead log is copied into the file.
const REST_AFTER: Duration = Duration::from_millis(500);
/// How long a bank that stops goes on with what it has taken; what is left then is dropped.
const DRAIN: Duration = Duration::from_secs(5);
/// How often the floor of refusals is raised.
const FLOOR_EVERY_MS: u64 = 60_000;

/// Everything that can happen to the core.
#[derive(Debug)]
pub(super) enum Event {
    /// Messages of one authenticated peer, from one frame.
    Inbound(Inbound),
    /// The disk is back from its thread, with the transaction that it finished if it had one, or it failed for good.
    Disk(Box<Writer>, Result<Option<Commit>, CommitError>),
    /// What the file has on a payment that was looked for.
    Found {
        /// The payment.
        payment: Digest,
        /// What for.
        why: Why,
        /// What there is.
        found: Option<Box<Payment>>,
    },
    /// The disk thread has ended.
    DiskGone,
    /// Finish what is under way, then stop.
    Stop,
}

/// Why the core stopped against its will.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// A write failed: nobody knows what is on disk until the file is opened again.
    #[error("{0}; the node stops, for what is on disk is unknown until it is started again")]
    Disk(#[from] CommitError),
    /// A fault of the bank's own data.
    #[error(transparent)]
    Fault(#[from] Fault<BooksError>),
    /// The disk thread ended without a word.
    #[error("the disk thread ended unexpectedly")]
    DiskGone,
}

pub(super) struct Core {
    pub(super) participant: Participant<SqliteBooks>,
    pub(super) verifier: Verifier,
    pub(super) link: Link,
    pub(super) signer: Signer,
    refusals_kept_ms: u64,
    pub(super) backlog: Backlog,
    /// Customers' signatures in the backlog that were checked together with those of a turn before.
    pub(super) checked: HashMap<Digest, Option<Authorised>>,
    /// `None` while its thread has it.
    disk: Option<Box<Writer>>,
    jobs: Sender<Job>,
    pub(super) questions: Sender<Question>,
    /// The transaction that the disk is writing.
    writing: Option<CommitSeq>,
    /// The last transaction cut.
    cut: CommitSeq,
    /// Something was recorded that somebody waits for.
    pub(super) urgent: bool,
    /// When what waits for a sync goes alone.
    write_by: Option<Instant>,
    /// When the log is to be copied into the file, if nothing is written until then.
    rest_at: Option<Instant>,
    next_floor: UnixMillis,
    /// Operators who wait for an answer of the participant.
    pub(super) tickets: HashMap<u64, (ConnectionId, u64)>,
    pub(super) next_ticket: u64,
    /// Answers that show what is not on disk yet, with the transaction that they wait for.
    pub(super) answers: VecDeque<(CommitSeq, ConnectionId, Message)>,
}

impl Core {
    pub(super) fn new(
        participant: Participant<SqliteBooks>,
        verifier: Verifier,
        signer: Signer,
        link: Link,
        refusals_kept_ms: u64,
        (disk, jobs): (Box<Writer>, Sender<Job>),
        questions: Sender<Question>,
    ) -> Self {
        let cut = participant.books().last_commit();
        Core {
            participant,
            verifier,
            link,
            signer,
            refusals_kept_ms,
            backlog: Backlog::default(),
            checked: HashMap::new(),
            disk: Some(disk),
            jobs,
            questions,
            writing: None,
            cut,
            urgent: false,
            write_by: None,
            rest_at: Some(Instant::now() + REST_AFTER),
            next_floor: UnixMillis(0),
            tickets: HashMap::new(),
            next_ticket: 0,
            answers: VecDeque::new(),
        }
    }

    /// Runs until it is told to stop and nothing is on its way to disk, or until a fault: after that nothing more may be
    /// said, and what is queued was on disk before.
    pub(super) async fn run(mut self, mut events: mpsc::Receiver<Event>) -> Result<(), CoreError> {
        let mut stop_by: Option<Instant> = None;
        loop {
            let wait =
                self.write_by.map_or(TICK, |at| at.saturating_duration_since(Instant::now()).min(TICK));
            // Messages share a commit and a signature; whatever else comes is not kept waiting for more.
            let is_message = |event: &Event| matches!(event, Event::Inbound(_));
            let came = self.backlog.next_events(&mut events, wait, is_message).await;
            // None: nobody is left who could say anything.
            let mut may_leave = false;
            for event in came.ok_or(CoreError::DiskGone)? {
                match event {
                    Event::Inbound(_) if stop_by.is_some() => {} // Whoever sent it asks again (R9).
                    Event::Inbound(frame) => self.backlog.push(frame),
                    Event::Disk(disk, result) => {
                        may_leave |= self.handle_disk(disk, result)?;
                    }
                    Event::Found { payment, why: Why::Asked(from), found } => {
                        self.answer_status(from, payment, found.as_deref());
                    }
                    Event::Found { why: Why::Voted(vote), found, .. } => {
                        if let Some(payment) = found {
                            self.participant.handle_late_vote(now(), &payment.order, &vote)?;
                        }
                    }
                    Event::DiskGone => return Err(CoreError::DiskGone),
                    Event::Stop => stop_by = stop_by.or(Some(Instant::now() + DRAIN)),
                }
            }
            if stop_by.is_some_and(|by| by <= Instant::now()) {
                self.backlog.clear();
                self.checked.clear();
            }
            if may_leave {
                // Others are not kept waiting for what is durable until the next turn is done.
                self.send();
                tokio::task::yield_now().await;
            }
            let turn_max = match (self.backlog.len() > CROWD, &self.disk) {
                (true, _) => TURN_OF_A_CROWD_MAX,
                (false, Some(_)) => TURN_MAX,
                (false, None) => TURN_BESIDE_DISK_MAX,
            };
            let turn = self.backlog.take_turn(turn_max);
            self.handle_inbound(now(), turn)?;
            self.handle_time(now())?;
            self.urgent |= stop_by.is_some();
            self.write()?;
            self.send();
            if stop_by.is_some()
                && self.backlog.is_empty()
                && !self.participant.has_uncut()
                && let Some(disk) = &mut self.disk
            {
                info!("everything is on disk; stopped");
                // Now the one file holds everything, for whoever copies it. Where that fails the log holds it, as after a crash.
                if let Err(error) = disk.checkpoint() {
                    warn!("the log was not copied into the file: {error}");
                }
                return Ok(());
            }
            self.rest()?;
            // What was sent is written, and what came meanwhile is read, before the next is decided.
            tokio::task::yield_now().await;
        }
    }

    fn handle_time(&mut self, now: UnixMillis) -> Result<(), CoreError> {
        self.participant.handle_time(now)?;
        if now >= self.next_floor {
            self.next_floor = UnixMillis(now.0 + FLOOR_EVERY_MS);
            self.participant.handle_floor(UnixMillis(now.0.saturating_sub(self.refusals_kept_ms)));
        }
        Ok(())
    }

    /// Says whether something has become durable.
    fn handle_disk(
        &mut self,
        mut disk: Box<Writer>,
        result: Result<Option<Commit>, CommitError>,
    ) -> Result<bool, CoreError> {
        let commit = result?;
        let is_commit = commit.is_some();
        if let Some(commit) = commit {
            self.handle_durable(commit);
        }
        // Copying the log goes on beside the core.
        if disk.is_log_held() {
            self.rest_at.get_or_insert_with(|| Instant::now() + REST_AFTER);
        }
        if disk.is_checkpoint_due() {
            self.hand_over(Job::Checkpoint(disk))?;
        } else {
            self.disk = Some(disk);
        }
        Ok(is_commit)
    }

    fn handle_durable(&mut self, commit: Commit) {
        assert_eq!(self.writing, Some(commit.seq), "the disk writes what it is given, in order");
        self.writing = None;
        self.participant.handle_durable(commit.seq);
        self.participant.books_mut().handle_durable(commit.seq);
    }

    /// Writes what was recorded, if the disk is idle: whatever comes meanwhile shares the next sync. Outcomes alone wait a
    /// little for something urgent.
    ///
    /// What is not large is written here, for every row that the disk's thread writes is made on one processor, read and freed on
    /// another. Only the sync is left to that thread. A tiny transaction waits for its sync here if the disk is quick, and is all that
    /// thread's if it is not: to write so little apart would gain nothing.
    fn write(&mut self) -> Result<(), CoreError> {
        if self.disk.is_none() || !self.participant.has_uncut() {
            self.write_by = None; // The disk's word wakes this loop.
            return Ok(());
        }
        let by = *self.write_by.get_or_insert_with(|| Instant::now() + OUTCOME_WAIT);
        if !self.urgent && Instant::now() < by {
            return Ok(());
        }
        (self.urgent, self.write_by) = (false, None);
        let (Some(seq), Some(mut disk)) = (self.participant.cut(), self.disk.take()) else { return Ok(()) };
        let set = self.participant.books_mut().take_changes();
        assert_eq!(set.seq(), seq, "core and ledger count the same commits");
        self.writing = Some(seq);
        self.cut = seq;
        self.rest_at = Some(Instant::now() + REST_AFTER);
        let is_tiny = set.rows() <= OWN_SYNC_ROWS_MAX;
        if is_tiny && disk.is_quick() {
            let commit = disk.commit(set)?;
            self.disk = Some(disk);
            self.handle_durable(commit);
            return Ok(());
        }
        if is_tiny || set.rows() > OWN_ROWS_MAX {
            return self.hand_over(Job::Write(disk, Box::new(set)));
        }
        disk.write(set)?;
        self.hand_over(Job::Sync(disk))
    }

    /// After some time without a write the log is copied into the file.
    fn rest(&mut self) -> Result<(), CoreError> {
        if self.rest_at.is_some_and(|at| at <= Instant::now())
            && let Some(disk) = self.disk.take()
        {
            self.rest_at = None;
            self.hand_over(Job::Checkpoint(disk))?;
        }
        Ok(())
    }

    fn hand_over(&self, job: Job) -> Result<(), CoreError> {
        self.jobs.send(job).map_err(|_| CoreError::DiskGone)
    }

    /// Signs and sends all that may leave: one signature for all of it.
    fn send(&mut self) {
        let Leaving { votes, proofs, unproven, acks, questions, answers, reports } =
            Leaving::take(&mut self.participant, &self.signer);
        // Each of these votes may come back with an outcome.
        if let Some((_, vote)) = votes.first() {
            self.verifier.remember(vote);
        }
        let mut out: BTreeMap<Peer, Vec<Message>> = BTreeMap::new();
        for (to, order) in questions {
            out.entry(Peer::bank(to)).or_default().push(Message::Resolve { order });
        }
        for (ticket, answer) in answers {
            self.answer_ticket(ticket, answer);
        }
        for proof in reports {
            let vote = proof.yes().statement();
            error!(bank = %vote.bank, payment = %vote.payment,
                "bank voted both YES and NO on one payment; the proof is in table double_votes");
        }
        for (to, vote) in votes {
            out.entry(to).or_default().push(Message::Vote { vote: vote.signed().clone() });
        }
        for (to, proof) in proofs {
            out.entry(to).or_default().push(Message::Outcome { certificate: proof.to_unchecked() });
        }
        for payment in unproven {
            error!(%payment, "the votes on record do not prove the outcome on record");
        }
        for (to, ack) in acks {
            out.entry(to).or_default().push(Message::Ack { ack: ack.signed().clone() });
        }
        self.release_answers();
        for (peer, messages) in out {
            self.link.send(&peer, messages);
        }
    }

    /// Sends an answer that shows the books as they are now, once all of that is on disk (R8).
    pub(super) fn show(&mut self, to: ConnectionId, answer: Message) {
        let after = CommitSeq(self.cut.0 + u64::from(self.participant.has_uncut()));
        self.answers.push_back((after, to, answer));
    }

    fn release_answers(&mut self) {
        let durable = self.writing.map_or(self.cut, |writing| CommitSeq(writing.0 - 1));
        while let Some((_, to, answer)) = self.answers.pop_front_if(|(after, _, _)| *after <= durable) {
            self.link.reply(to, vec![answer]);
        }
    }

    /// Logs a message that a peer should not have sent.
    pub(super) fn complain(&self, peer: &Peer, what: &dyn std::fmt::Display) {
        warn!(%peer, "dropped a message: {what}");
    }
}
