//! The thread that looks for old payments, so that the core does not wait for it.

use crossbeam_channel::Receiver;
use hundi_protocol::{ConnectionId, Digest, Verified, Vote};
use tokio::sync::mpsc;
use tracing::warn;

use super::core::Event;
use crate::sqlite_books::History;

/// How many questions wait; one more is answered "unknown", and can be asked again.
pub(super) const QUESTIONS_MAX: usize = 64;

/// How many of them may be for votes: each takes a look at every row, and peers could send any number.
pub(super) const VOTE_QUESTIONS_MAX: usize = 8;

/// A question about a payment that the books no longer have at hand.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) payment: Digest,
    pub(super) why: Why,
}

/// What the answer is for.
#[derive(Debug)]
pub(super) enum Why {
    /// Somebody asked.
    Asked(ConnectionId),
    /// A vote came for it, which may contradict what is on record (R12).
    Voted(Verified<Vote>),
}

/// Starts the thread; it ends with the core.
pub(super) fn spawn(
    mut history: History,
    questions: Receiver<Question>,
    events: mpsc::Sender<Event>,
) -> std::io::Result<()> {
    std::thread::Builder::new().name("history".into()).spawn(move || {
        while let Ok(Question { payment, why }) = questions.recv() {
            let found = history.find(&payment).unwrap_or_else(|error| {
                warn!(%payment, "an old payment cannot be read: {error}");
                None
            });
            if events.blocking_send(Event::Found { payment, why, found: found.map(Box::new) }).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
