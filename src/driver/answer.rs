//! What became of each order, as the payment app was told.

use std::time::Duration;

use hundi_protocol::{Certificate, NotAccepted, Outcome, Reason};

use super::Latencies;

/// What the app knows of one order at the end.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Proven, and after how long.
    Proven(Box<Certificate>, Duration),
    /// No coordinator took it on, and nothing was started.
    NotAccepted(NotAccepted),
    /// Nobody answered in time: it may be paid or not.
    Unknown,
}

impl Answer {
    /// Paid or not, if it is proven.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Proven(certificate, _) => Some(certificate.outcome()),
            Self::NotAccepted(_) => Some(Outcome::Abort),
            Self::Unknown => None,
        }
    }

    /// Why it was refused, if it was.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Proven(certificate, _) => certificate.reason(),
            Self::NotAccepted(_) | Self::Unknown => None,
        }
    }
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Results {
    /// One answer for each order, in their order.
    pub(crate) answers: Vec<Answer>,
    /// From the first submission to the last answer.
    pub(crate) elapsed: Duration,
    /// Submissions beyond the first of each order: repeats, races, and restarts of coordinators.
    pub(crate) repeats: u64,
    /// Why no coordinator was reached, if none was the whole time: then nothing was sent.
    pub(crate) unreached: Option<String>,
}

impl Results {
    /// How long the proven payments took.
    pub(crate) fn latencies(&self) -> Latencies {
        Latencies::of(self.answers.iter().filter_map(|answer| match answer {
            Answer::Proven(_, latency) => Some(*latency),
            _ => None,
        }))
    }
}
