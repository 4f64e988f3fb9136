//! The thread that looks for old payments, so that the core does not wait for it.

use crossbeam_channel::{Receiver, Sender};
use hundi_protocol::{ConnectionId, Digest};
use tracing::warn;

use super::core::Event;
use crate::sqlite_books::History;

/// How many questions wait; one more is answered "unknown", and can be asked again.
pub(super) const QUESTIONS_MAX: usize = 64;

/// A question about a payment that the books no longer have at hand.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) from: ConnectionId,
    pub(super) payment: Digest,
}

/// Starts the thread; it ends with the core.
pub(super) fn spawn(
    mut history: History,
    questions: Receiver<Question>,
    events: Sender<Event>,
) -> std::io::Result<()> {
    std::thread::Builder::new().name("history".into()).spawn(move || {
        while let Ok(Question { from, payment }) = questions.recv() {
            let found = history.find(&payment).unwrap_or_else(|error| {
                warn!(%payment, "an old payment cannot be read: {error}");
                None
            });
            if events.send(Event::Found { from, payment, found: found.map(Box::new) }).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
