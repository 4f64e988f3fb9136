//! A bank on its file: what the process does around its participant, on one thread and step by step.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hundi_bank_node::{
    BankDisk, BankRecord, Books, BooksError, Fault, Flaw, Leaving, Participant, SqliteBooks, WriteSet,
    read_bank_file,
};
use hundi_ledger::sqlite;
use hundi_protocol::{Authorised, Order, Peer, UnixMillis, Verifier};

use super::wire;
use crate::world::{BANK_POLICY, Chore, Input, Packet, Scenario, To};

/// A bank that is up.
pub(super) struct RealBank {
    pub(super) node: Participant<SqliteBooks, Option<Flaw>>,
    disk: BankDisk,
    /// Handed to the disk and not yet written: a crash loses it.
    writing: Option<WriteSet>,
    pub(super) verifier: Verifier,
}

/// What stops a bank for good, in a line.
pub(super) type Step = Result<(), String>;

/// A bank's file in the folder of a replay.
pub(super) fn path_of(dir: &Path, scenario: &Scenario, bank: usize) -> PathBuf {
    dir.join(format!("{}.db", scenario.banks[bank].name))
}

/// What is on a bank's disk now, from a copy that is verified from its first row.
pub(super) fn on_disk(dir: &Path, scenario: &Scenario, bank: usize) -> Result<BankRecord, String> {
    let (path, copy) = (path_of(dir, scenario, bank), dir.join("copy.db"));
    if copy.exists() {
        std::fs::remove_file(&copy).map_err(|error| format!("{}: {error}", copy.display()))?;
    }
    sqlite::backup(&path, &copy).map_err(|error| format!("{}: {error}", path.display()))?;
    read_bank_file(&copy, &scenario.banks[bank].name).map_err(|error| error.to_string())
}

impl RealBank {
    /// Opens the bank's file as the process does, from whatever a crash left.
    pub(super) fn open(
        dir: &Path,
        scenario: &Scenario,
        bank: usize,
        flaw: Option<Flaw>,
    ) -> Result<Self, String> {
        let verifier = || Verifier::new(scenario.directory().clone());
        let text = |error: BooksError| error.to_string();
        let (mut books, disk) = SqliteBooks::open(&path_of(dir, scenario, bank), verifier()).map_err(text)?;
        books.claim(&scenario.banks[bank].name, scenario.signer(bank).public()).map_err(text)?;
        books.check_balance().map_err(text)?;
        let node = Participant::with_flaws(scenario.banks[bank].name.clone(), books, BANK_POLICY, flaw);
        Ok(RealBank { node, disk, writing: None, verifier: verifier() })
    }

    /// A new bank: accounts opened, deposits made, all on disk.
    pub(super) fn found(
        dir: &Path,
        scenario: &Scenario,
        bank: usize,
        flaw: Option<Flaw>,
    ) -> Result<Self, String> {
        let mut new = RealBank::open(dir, scenario, bank, flaw)?;
        for request in scenario.first_requests(bank) {
            let taken = new.node.handle_account_request(UnixMillis(1), 0, &request);
            taken.map_err(|fault| fault.to_string())?;
        }
        new.act(scenario, bank, Input::Sync, UnixMillis(1))?;
        drop(new);
        RealBank::open(dir, scenario, bank, flaw)
    }

    /// What happens to it other than a message, a crash or a restart.
    pub(super) fn act(&mut self, scenario: &Scenario, bank: usize, input: Input, now: UnixMillis) -> Step {
        let text = |fault: Fault<BooksError>| fault.to_string();
        match input {
            Input::Timer => self.node.handle_time(now).map_err(text),
            Input::Chore(chore) => match &scenario.chores[usize::from(chore)].1 {
                Chore::Account(request) => {
                    let request = wire::carry_request(&scenario.peer(bank), request)?;
                    self.node.handle_account_request(now, u64::from(chore), &request).map_err(text)
                }
                Chore::Floor(floor) => {
                    self.node.handle_floor(*floor);
                    Ok(())
                }
            },
            Input::Sync => {
                self.cut()?;
                self.written()
            }
            Input::Write => self.cut(),
            Input::Written => self.written(),
            other => Err(format!("a bank does not {other:?}")),
        }
    }

    fn cut(&mut self) -> Step {
        let Some(seq) = self.node.cut() else { return Ok(()) };
        let set = self.node.books_mut().take_changes();
        assert_eq!(set.seq(), seq, "core and ledger count the same commits");
        self.writing = Some(set);
        Ok(())
    }

    fn written(&mut self) -> Step {
        let Some(set) = self.writing.take() else { return Ok(()) };
        // As in the process, where it depends on how much there is: committed at once, or written and then synced apart.
        let is_apart = set.seq().0.is_multiple_of(2);
        let written = match is_apart {
            true => self.disk.write(set).and_then(|()| self.disk.ledger().sync()),
            false => self.disk.commit(set),
        };
        let commit = written.map_err(|error| error.to_string())?;
        self.node.handle_durable(commit.seq);
        self.node.books_mut().handle_durable(commit.seq);
        Ok(())
    }

    /// A message that was decoded and verified here.
    pub(super) fn deliver(&mut self, packet: &Packet, now: UnixMillis) -> Step {
        let handled = match packet {
            Packet::Prepare { from, order, votes } => {
                let authority = self.authority(order)?;
                self.node.handle_prepare(now, from, order, authority.as_ref(), votes)
            }
            Packet::Resolve { from, order } => {
                let authority = self.authority(order)?;
                self.node.handle_resolve(now, from, order, authority.as_ref())
            }
            Packet::Outcome { from, certificate } => {
                self.node.handle_outcome(now, from, certificate.order(), certificate.votes())
            }
            Packet::Proof { from, votes } => self.node.handle_proof(now, from, votes),
            Packet::Vote(vote) => self.node.handle_vote(now, vote),
            _ => Ok(()),
        };
        handled.map_err(|fault| fault.to_string())
    }

    fn authority(&mut self, order: &Order) -> Result<Option<Authorised>, String> {
        if order.payer_bank() != self.node.bank() {
            return Ok(None);
        }
        let customer = self.node.books_mut().customer(&order.payer().name);
        let key = customer.map_err(|error| error.to_string())?.and_then(|customer| customer.key);
        Ok(key.and_then(|key| order.authorise(&key).ok()))
    }

    /// Everything that may leave, signed with one signature, as the process signs what one write justifies.
    pub(super) fn drain(&mut self, scenario: &Scenario, bank: usize) -> Result<Vec<(To, Packet)>, String> {
        let from = scenario.peer(bank);
        // The model counts a proof that proves nothing against the bank, and sends nothing either.
        let Leaving { votes, proofs, unproven: _, acks, questions, answers, reports } =
            Leaving::take(&mut self.node, scenario.signer(bank));
        let mut sends = Vec::new();
        for (to, order) in questions {
            sends.extend(sent_to(scenario, &Peer::bank(to), Packet::Resolve { from: from.clone(), order }));
        }
        for (ticket, answer) in answers {
            let chore = usize::try_from(ticket).expect("tickets are places of chores");
            sends.push((To::Outside, Packet::Done { bank, chore, answer }));
        }
        for proof in reports {
            sends.push((To::Outside, Packet::Report { from: from.clone(), proof }));
        }
        for (to, vote) in votes {
            sends.extend(sent_to(scenario, &to, Packet::Vote(vote)));
        }
        for (to, proof) in proofs {
            let outcome = Packet::Outcome { from: from.clone(), certificate: Arc::new(proof) };
            sends.extend(sent_to(scenario, &to, outcome));
        }
        for (to, ack) in acks {
            sends.extend(sent_to(scenario, &to, Packet::Ack(ack)));
        }
        Ok(sends)
    }
}

/// The packet with the node that it goes to; nobody listens at the address of a stranger.
fn sent_to(scenario: &Scenario, to: &Peer, packet: Packet) -> Option<(To, Packet)> {
    scenario.node_of_peer(to).map(|to| (To::Node(to), packet))
}
