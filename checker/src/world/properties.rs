//! What must hold in every state, and what must happen in some.

use hundi_protocol::Reason;

/// Declares what must always hold, each with its rules.
macro_rules! props {
    ($($(#[$doc:meta])* $prop:ident = $name:literal [$($rule:literal),*],)*) => {
        /// Something that holds in every state that can be reached.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Prop {
            $($(#[$doc])* $prop,)*
        }

        impl Prop {
            /// Every property.
            pub const ALL: &[Prop] = &[$(Prop::$prop,)*];

            /// Its name in reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Prop::$prop => $name,)*
                }
            }

            /// The rules of the protocol that it rests on.
            #[must_use]
            pub fn rules(self) -> &'static [&'static str] {
                match self {
                    $(Prop::$prop => &[$($rule),*],)*
                }
            }
        }
    };
}

props! {
    /// No node stops by a fault of its own, and none panics.
    NodesDoNotStop = "no node stops, and no post is refused" ["R13"],
    /// In each bank debits equal credits.
    BooksBalance = "the books of each bank balance" ["R10"],
    /// Every balance is what deposits and the votes on record make it, to the unit.
    LedgerFollowsVotes = "the ledger holds what the votes on record say" ["R2", "R9", "R10", "R11"],
    /// Clearing over all banks is what is under way, and no more.
    MoneyIsConserved = "no money is made or lost between banks" ["R10"],
    /// No customer's account is below its limit.
    WithinLimits = "no account is below its limit" ["R11"],
    /// No payment is committed here and aborted there.
    NoSplitOutcome = "no payment ends both ways" ["R3"],
    /// What is posted is backed by every bank's YES on disk, and by verified votes on record.
    ProofBeforePost = "nothing is posted without every bank's yes on disk" ["R4"],
    /// What is released after a YES is backed by a refusal that is final.
    ProofBeforeVoid = "nothing is released without a final refusal" ["R4", "R6"],
    /// A bank says one thing on one payment.
    OneVote = "a bank votes once" ["R2", "R7"],
    /// A record never changes, and only refusals under the floor go.
    RecordsStay = "what is on record stays" ["R2", "R7"],
    /// What a bank said is on its disk.
    SaidIsOnDisk = "what a bank said is on its disk" ["R8"],
    /// What a customer was told stays true.
    ToldStaysTrue = "what a customer was told stays true" ["R3", "R8"],
    /// Of several orders with one id of one payer at most one is carried out.
    OneOrderPerId = "an order id is used once" ["R1"],
    /// A YES is given exactly when nothing speaks against it, and the reason of a NO is true.
    VotesAreDeserved = "every vote is deserved" ["R1", "R5", "R6", "R7", "R11"],
    /// A refused order leaves no entry in the ledger.
    RefusalLeavesNothing = "a refused order leaves nothing behind" ["R2"],
    /// No hold of a payment has a timeout.
    HoldsDoNotExpire = "no hold has a timeout" ["R6"],
    /// A closed account is empty, without holds, and closed in the ledger too.
    ClosedIsEmpty = "a closed account is empty and without holds" ["R13"],
    /// The payer's bank never holds money while other banks vote.
    PayerLast = "payer last: no payer's money is on hold" ["payer-last"],
    /// The floor only rises, and no refusal at or below it is kept.
    FloorRises = "the floor only rises" ["R7"],
    /// A bank that is seen to vote both ways is on record with both votes; nothing is claimed of anybody else.
    TwoFacedIsCaught = "two faces are proven, and cost their owner" ["R12"],
    /// No honest bank is ever accused.
    HonestIsNotAccused = "no honest bank is accused" ["R12"],
    /// A bank asks about what is in doubt, keeps votes on that, and on nothing else.
    AsksWhatIsOpen = "a bank asks about what is in doubt, and nothing else" ["R5"],
    /// Nobody sends what its role may not: the other side would close the link.
    RolesAreKept = "nobody sends what its role may not" [],
    /// What an operator was told is so.
    OperatorsAreToldTrue = "what an operator is told is so" ["R8", "R13"],
    /// From here, without further faults and with customers asking again, every payment is settled and told.
    Settles = "from here every payment settles" ["R5", "R9"],
    /// From here the banks settle what they hold without any coordinator.
    SettlesWithoutCoordinators = "from here banks settle without coordinators" ["R5"],
    /// From here, as long as no node crashed, the coordinators settle everything without a bank asking.
    SettlesWithoutBanksAsking = "from here coordinators settle without banks asking" ["R9"],
    /// From here, with any one bank but the payer's gone for good, the others settle what they hold.
    SettlesWithoutOneBank = "from here banks settle though another payee's bank is gone" ["R5"],
}

impl Prop {
    /// Its bit in a set of properties.
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self as u8
    }

    /// The properties of a set.
    pub fn of_bits(bits: u32) -> impl Iterator<Item = Prop> {
        Prop::ALL.iter().copied().filter(move |prop| bits & prop.bit() != 0)
    }
}

/// Something that must happen in some state; a configuration in which it does not proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Witness {
    /// A payment is posted at every bank.
    Commit,
    /// A bank that voted YES releases its hold.
    Abort,
    /// A customer is told that a payment is a commit.
    ToldCommit,
    /// A customer is told that a payment is an abort.
    ToldAbort,
    /// A bank is down while it holds for a payment that is committed elsewhere.
    Recovery,
    /// Two nodes are down at the same time.
    TwoDown,
    /// A bank answers another bank's question.
    ResolveBetweenBanks,
    /// A bank has proof of another's two votes.
    TwoFacedCaught,
    /// A payment is posted after it had been released (R12).
    Late,
    /// A refusal stands on the floor alone.
    UnderTheFloor,
    /// An account is closed.
    Closed,
    /// An account is not closed because payments hold money on it.
    ClosingRefused,
    /// A bank records something while its disk still writes something else.
    Overlap,
    /// A bank refuses for this reason.
    Refusal(Reason),
}

impl Witness {
    /// Every witness but the refusals.
    pub const PLAIN: &[Witness] = &[
        Witness::Commit,
        Witness::Abort,
        Witness::ToldCommit,
        Witness::ToldAbort,
        Witness::Recovery,
        Witness::TwoDown,
        Witness::ResolveBetweenBanks,
        Witness::TwoFacedCaught,
        Witness::Late,
        Witness::UnderTheFloor,
        Witness::Closed,
        Witness::ClosingRefused,
        Witness::Overlap,
    ];

    /// Its place among all witnesses.
    #[must_use]
    pub fn place(self) -> usize {
        match self {
            Witness::Refusal(reason) => usize::from(reason.code()),
            plain => 32 + Self::PLAIN.iter().position(|other| *other == plain).unwrap_or_default(),
        }
    }

    /// Its bit in a set of witnesses.
    #[must_use]
    pub fn bit(self) -> u64 {
        1 << self.place()
    }

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Witness::Commit => "a commit everywhere",
            Witness::Abort => "a hold is released",
            Witness::ToldCommit => "a customer hears of a commit",
            Witness::ToldAbort => "a customer hears of an abort",
            Witness::Recovery => "a bank crashes in doubt of a commit",
            Witness::TwoDown => "two nodes are down together",
            Witness::ResolveBetweenBanks => "a bank answers another bank",
            Witness::TwoFacedCaught => "a two-faced bank is caught",
            Witness::Late => "a commit after a release",
            Witness::UnderTheFloor => "a refusal rests on the floor",
            Witness::Closed => "an account is closed",
            Witness::ClosingRefused => "an account with holds stays open",
            Witness::Overlap => "a bank works on while its disk writes",
            Witness::Refusal(reason) => match reason {
                Reason::InsufficientFunds => "a refusal: insufficient_funds",
                Reason::UnknownAccount => "a refusal: unknown_account",
                Reason::AccountClosed => "a refusal: account_closed",
                Reason::WrongCurrency => "a refusal: wrong_currency",
                Reason::BadSignature => "a refusal: bad_signature",
                Reason::Expired => "a refusal: expired",
                Reason::DuplicateOrderId => "a refusal: duplicate_order_id",
                Reason::Resolved => "a refusal: resolved",
                Reason::OtherBankRefused => "a refusal: other_bank_refused",
                Reason::LimitExceeded => "a refusal: limit_exceeded",
                Reason::Malformed => "a refusal: malformed",
                Reason::BelowFloor => "a refusal: below_floor",
                Reason::Overflow => "a refusal: overflow",
                Reason::Unavailable => "a refusal: unavailable",
            },
        }
    }
}
