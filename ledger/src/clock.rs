//! Where time comes from: the one place that asks the system.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::Timestamp;

/// A source of time. Every function `Fn() -> Timestamp` is one; it may stand still or go back, timestamps in the
/// ledger rise all the same.
pub trait Clock: Send + Sync {
    /// Nanoseconds since the Unix epoch.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 counts as 1970: the ledger goes on from its last timestamp.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).min(Timestamp::LAST.0))
    }
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}
