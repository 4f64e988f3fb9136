//! Deliberate bugs of a courier, so that the checker can be seen to find them.
//!
//! As with the participant's: every process runs [`Sound`], which has none at compile time. The list is short
//! because a courier cannot say much that is wrong: «deemed success» and «deemed failure» do not compile, since
//! a customer's answer is a [`Certificate`](hundi_protocol::Certificate) and only votes make one.

/// One deliberate bug of a courier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// Asks the payer's bank together with the others though the order of asking is payer last.
    AskPayerEarly,
    /// R9: asks each bank once, as if no message could be lost.
    AskOnce,
    /// R9: forgets a payment when it has told the banks, as if no message could be lost.
    TellOnce,
}

impl Flaw {
    /// Every deliberate bug.
    pub const ALL: &[Flaw] = &[Flaw::AskPayerEarly, Flaw::AskOnce, Flaw::TellOnce];
}

/// Which deliberate bugs a courier has.
pub trait Flaws: Clone {
    /// Whether this courier has `flaw`.
    fn has(&self, flaw: Flaw) -> bool;
}

/// No flaw: what every process runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sound;

impl Flaws for Sound {
    #[inline(always)]
    fn has(&self, _: Flaw) -> bool {
        false
    }
}

/// At most one flaw, for the checker.
impl Flaws for Option<Flaw> {
    fn has(&self, flaw: Flaw) -> bool {
        *self == Some(flaw)
    }
}
