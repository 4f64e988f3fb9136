//! Deliberate bugs, so that the checker can be seen to find them.
//!
//! A [`Participant`](crate::Participant) is generic over [`Flaws`]. Every process runs [`Sound`], a type
//! without a value to set: its answer is `false` at compile time and the branch is gone. Only the model
//! checker names another implementation, so no configuration, message or environment can switch a flaw on.

/// One deliberate bug. Each breaks the rule it is listed under (DESIGN §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// R1: takes a second order with an id that the payer has already used.
    ForgetOrderIds,
    /// R2: decides afresh when it is asked again.
    VoteAfresh,
    /// R2: records YES and leaves the ledger entry for later.
    YesWithoutEntry,
    /// R3: takes one other bank's YES for all of them.
    CommitOnFirstYes,
    /// R4: posts its leg as soon as it has voted YES.
    PostWithoutProof,
    /// R4: voids its hold when nobody answers.
    VoidWithoutProof,
    /// R5: answers `Resolve` with NO and forgets that it did.
    ForgetResolvedNo,
    /// R5: does not answer `Resolve`.
    IgnoreResolve,
    /// R6: gives the hold a timeout in the ledger.
    TimeoutOnHold,
    /// R6: voids a YES once the order has expired.
    ExpireYes,
    /// R7: drops YES records together with the refusals below the floor.
    DropYes,
    /// R7: drops refusals and leaves the floor where it was.
    DropWithoutFloor,
    /// R8: sends before the record is on disk.
    SendBeforeSync,
    /// R9: books the leg again when the outcome comes again.
    PostAgain,
    /// R10: mirrors the payee's leg on the cash account and not on clearing.
    MirrorOnCash,
    /// R11: takes what there is when there is too little.
    ClampAmount,
    /// R12: does not keep the proof when a bank votes both ways.
    IgnoreTwoFaces,
    /// R12: lets a NO outrank a complete YES set.
    NoOutranksYes,
    /// R13: closes an account that has payment holds.
    CloseOverHolds,
    /// R13: looks at the funds again before it posts, and gives up when they are short.
    RefusePost,
}

impl Flaw {
    /// Every deliberate bug.
    pub const ALL: &[Flaw] = &[
        Flaw::ForgetOrderIds,
        Flaw::VoteAfresh,
        Flaw::YesWithoutEntry,
        Flaw::CommitOnFirstYes,
        Flaw::PostWithoutProof,
        Flaw::VoidWithoutProof,
        Flaw::ForgetResolvedNo,
        Flaw::IgnoreResolve,
        Flaw::TimeoutOnHold,
        Flaw::ExpireYes,
        Flaw::DropYes,
        Flaw::DropWithoutFloor,
        Flaw::SendBeforeSync,
        Flaw::PostAgain,
        Flaw::MirrorOnCash,
        Flaw::ClampAmount,
        Flaw::IgnoreTwoFaces,
        Flaw::NoOutranksYes,
        Flaw::CloseOverHolds,
        Flaw::RefusePost,
    ];
}

/// Which deliberate bugs a participant has.
pub trait Flaws: Clone {
    /// Whether this participant has `flaw`.
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
