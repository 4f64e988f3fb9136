//! Points in time on the command line.

use std::str::FromStr;

use clap::Args;
use hundi_ledger::Timestamp;
use hundi_ledger::export::DateTime;

use crate::failure::Failure;

const NS_A_DAY: u64 = 86_400 * 1_000_000_000;

/// `2026-11-23`, `2026-11-23T10:19:03Z`, or nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeArg {
    first: Timestamp,
    last: Timestamp,
}

impl TimeArg {
    /// As the begin of a span: of a date its first instant.
    pub(super) fn first(self) -> Timestamp {
        self.first
    }

    /// As the end of a span, or the moment to look at: of a date its last instant.
    pub(super) fn last(self) -> Timestamp {
        self.last
    }
}

/// Whose entries, and of which time.
#[derive(Debug, Args)]
pub(super) struct SpanArgs {
    /// Only this account, by name or id
    #[arg(long)]
    pub(super) account: Option<String>,
    /// Not before; a date alone begins with its day, UTC
    #[arg(long, value_name = "TIME")]
    pub(super) from: Option<TimeArg>,
    /// Not after; a date alone ends with its day, UTC
    #[arg(long, value_name = "TIME")]
    pub(super) to: Option<TimeArg>,
}

impl SpanArgs {
    /// Whether anything was left out of the whole.
    pub(super) fn is_given(&self) -> bool {
        self.account.is_some() || self.from.is_some() || self.to.is_some()
    }
}

/// A span that ends before it begins holds nothing.
pub(super) fn require_span(from: Timestamp, to: Timestamp) -> Result<(), Failure> {
    if from > to {
        return Err(Failure::usage("--from is later than --to: nothing can lie between them"));
    }
    Ok(())
}

impl FromStr for TimeArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let time = if is_number {
            text.parse().ok().map(Timestamp).filter(|time| time.is_valid())
        } else {
            DateTime::parse(text)
        };
        let time =
            time.ok_or("write a time like 2026-11-23, 2026-11-23T10:19:03Z, or in nanoseconds since 1970")?;
        let is_date = !is_number && !text.contains(['T', ' ']);
        let last = if is_date { Timestamp(time.0 + (NS_A_DAY - 1)).min(Timestamp::LAST) } else { time };
        Ok(Self { first: time.max(Timestamp::FIRST), last: last.max(Timestamp::FIRST) })
    }
}

#[cfg(test)]
mod tests {
    use super::{NS_A_DAY, TimeArg};

    #[test]
    fn a_date_is_a_day_and_a_time_an_instant() {
        let check = |text: &str, first: u64, last: u64| {
            let time: TimeArg = text.parse().expect(text);
            assert_eq!((time.first().0, time.last().0), (first, last), "{text}");
        };
        check("1970-01-02", NS_A_DAY, 2 * NS_A_DAY - 1);
        check("1970-01-01", 1, NS_A_DAY - 1);
        check("1970-01-02T00:00:00Z", NS_A_DAY, NS_A_DAY);
        check("77", 77, 77);
        check("2262-04-11", 9_223_286_400_000_000_000, i64::MAX as u64);
        for text in ["", "0", "yesterday", "9223372036854775808", "1970-01-02T00:00:00"] {
            assert!(text.parse::<TimeArg>().is_err(), "{text}");
        }
    }
}
