//! What became of each order, as the payment app was told.

use std::time::Duration;

use hundi_protocol::{Certificate, NotAccepted, Outcome, Reason};

use super::Latencies;

/// What is kept of a certificate that has been checked.
pub(crate) trait Keep {
    /// What the answer holds of it.
    type Kept: Kept;

    /// Takes the certificate of the order at this place.
    fn keep(&mut self, place: usize, certificate: Certificate) -> Self::Kept;
}

/// What is left of a certificate.
pub(crate) trait Kept: Clone {
    /// Paid or not.
    fn outcome(&self) -> Outcome;
}

/// Keeps it as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole;

impl Keep for Whole {
    type Kept = Box<Certificate>;

    fn keep(&mut self, _: usize, certificate: Certificate) -> Box<Certificate> {
        Box::new(certificate)
    }
}

impl Kept for Box<Certificate> {
    fn outcome(&self) -> Outcome {
        self.as_ref().outcome()
    }
}

/// Where the certificate is kept elsewhere.
impl Kept for Outcome {
    fn outcome(&self) -> Outcome {
        *self
    }
}

/// What the app knows of one order at the end.
#[derive(Debug, Clone)]
pub(crate) enum Answer<K = Box<Certificate>> {
    /// Proven, and after how long.
    Proven(K, Duration),
    /// No coordinator took it on, and nothing was started.
    NotAccepted(NotAccepted),
    /// Nobody answered in time: it may be paid or not.
    Unknown,
}

impl<K: Kept> Answer<K> {
    /// Paid or not, if it is proven.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Proven(kept, _) => Some(kept.outcome()),
            Self::NotAccepted(_) => Some(Outcome::Abort),
            Self::Unknown => None,
        }
    }
}

impl Answer {
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
pub(crate) struct Results<K = Box<Certificate>> {
    /// One answer for each order, in their order.
    pub(crate) answers: Vec<Answer<K>>,
    /// From the first submission to the last answer.
    pub(crate) elapsed: Duration,
    /// Submissions beyond the first of each order: repeats, races, and restarts of coordinators.
    pub(crate) repeats: u64,
    /// Why no coordinator was reached, if none was the whole time: then nothing was sent.
    pub(crate) unreached: Option<String>,
}

impl<K> Results<K> {
    /// How long the proven payments took.
    pub(crate) fn latencies(&self) -> Latencies {
        Latencies::of(self.answers.iter().filter_map(|answer| match answer {
            Answer::Proven(_, latency) => Some(*latency),
            _ => None,
        }))
    }
}
