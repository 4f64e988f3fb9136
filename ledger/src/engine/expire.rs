//! The expiry pass: releasing what pending transfers reserved whose time is over.

use super::{books, check_time, resolve};
use crate::{EventKind, Store, Timestamp, TransferId};

/// [`expire`](super::expire) for the first `limit` transfers that are due; gives their ids.
///
/// Each expiry takes a timestamp of its own up to T. If more transfers are due than timestamps are free between
/// the last one and T, the rest waits for the next pass: a post of theirs is refused all the same.
///
/// # Errors
/// When the store cannot read.
///
/// # Panics
/// When T does not fit ([`check_time`]).
pub fn expire_at_most<S: Store>(
    store: &mut S,
    time: Timestamp,
    limit: usize,
) -> Result<Vec<TransferId>, S::Error> {
    assert_eq!(check_time(store.last(), time, 0), Ok(()));
    let free = usize::try_from(time.0 - store.last().any().0).unwrap_or(usize::MAX);
    let mut due = Vec::new();
    store.due(time, limit.min(free), &mut due)?;
    assert!(due.len() <= limit.min(free), "no more than was asked for");

    let before_first = time.0 - due.len() as u64;
    let mut expired = Vec::with_capacity(due.len());
    for (index, pending) in due.iter().enumerate() {
        assert!(pending.expires_at().is_some_and(|end| end <= time), "only what is due expires");
        let (mut debit, mut credit) = resolve::sides(store, pending)?;
        resolve::release(pending, &mut debit, &mut credit, true);
        let timestamp = Timestamp(before_first + index as u64 + 1);
        books::apply(store, timestamp, EventKind::Expired, None, Some(pending), debit, credit);
        expired.push(pending.id);
    }
    Ok(expired)
}
