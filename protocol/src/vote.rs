//! What banks state, and what follows from it: votes, acknowledgements, the outcome.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::name::BankName;
use crate::order::Order;
use crate::signed::{Statement, Verified};
use crate::value::Digest;
use crate::wire::write_name;

/// Declares the reasons with their stable codes and names in one table.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal $text:literal,)*) => {
        /// Why a bank refuses. The codes are signed and never change; data, not an error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[$doc])* $name = $code,)*
        }

        impl Reason {
            /// All reasons, by code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code that is signed and stored; never 0, which is YES.
            #[must_use]
            pub fn code(self) -> u8 {
                self as u8
            }

            /// The reason of a code, if there is one.
            #[must_use]
            pub fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The name in `snake_case`, as shown to people and programs.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// The payer has too little money, or the payee's account may not hold so much.
    InsufficientFunds = 1 "insufficient_funds",
    /// The bank keeps no such account.
    UnknownAccount = 2 "unknown_account",
    /// The account is closed.
    AccountClosed = 3 "account_closed",
    /// The account is kept in another currency.
    WrongCurrency = 4 "wrong_currency",
    /// The order is not signed by the key registered for the payer's account.
    BadSignature = 5 "bad_signature",
    /// `expires_at` had passed before the bank voted (R6).
    Expired = 6 "expired",
    /// The payer has used this order id for another order (R1).
    DuplicateOrderId = 7 "duplicate_order_id",
    /// Asked to resolve before it had voted (R5).
    Resolved = 8 "resolved",
    /// Another bank's NO came with the question.
    OtherBankRefused = 9 "other_bank_refused",
    /// An amount above what the account or bank allows.
    LimitExceeded = 10 "limit_exceeded",
    /// The order asks for something that this bank cannot do.
    Malformed = 11 "malformed",
    /// Older than the oldest refusal that the bank still remembers (R7).
    BelowFloor = 12 "below_floor",
    /// The sums of an account would pass what the ledger can count (R11).
    Overflow = 13 "overflow",
    /// The bank takes no new payments now (it is stopping, or too busy).
    Unavailable = 14 "unavailable",
}

impl Reason {
    /// Whether the reason says only that the payment was given up elsewhere, not why.
    #[must_use]
    pub fn is_secondary(self) -> bool {
        matches!(self, Self::OtherBankRefused | Self::Resolved)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// YES, or NO with a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// The bank's leg is backed by its ledger, and binds it (R13).
    Yes,
    /// The bank refuses, for good.
    No(Reason),
}

impl Decision {
    /// The one byte that is signed: 0 for YES, else the reason's code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Yes => 0,
            Self::No(reason) => reason.code(),
        }
    }

    /// The decision of a code, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Yes),
            code => Reason::from_code(code).map(Self::No),
        }
    }

    /// Whether it is YES.
    #[must_use]
    pub fn is_yes(self) -> bool {
        self == Self::Yes
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.pad("yes"),
            Self::No(reason) => write!(f, "no ({reason})"),
        }
    }
}

impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_str(match self {
                Self::Yes => "yes",
                Self::No(reason) => reason.as_str(),
            });
        }
        serializer.serialize_u8(self.code())
    }
}

impl<'de> Deserialize<'de> for Decision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
            if text == "yes" {
                return Ok(Self::Yes);
            }
            let reason = Reason::ALL.iter().find(|reason| reason.as_str() == text);
            return reason.map(|r| Self::No(*r)).ok_or_else(|| D::Error::custom("expected yes or a reason"));
        }
        let code = u8::deserialize(deserializer)?;
        Self::from_code(code).ok_or_else(|| D::Error::custom("unknown decision"))
    }
}

/// One bank's vote on one payment; worth something only as [`Verified<Vote>`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Vote {
    /// The digest of the order.
    pub payment: Digest,
    /// Whose vote.
    pub bank: BankName,
    /// YES or NO.
    pub decision: Decision,
}

impl Statement for Vote {
    const DOMAIN: &'static str = "hundi/vote/v1";

    fn bank(&self) -> &BankName {
        &self.bank
    }

    /// digest (32) · length of the name (1) · name · decision (1).
    fn write_canonical(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.payment.as_bytes());
        write_name(out, &self.bank);
        out.push(self.decision.code());
    }
}

/// One bank's word that it has carried the outcome of a payment into its books.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ack {
    /// The digest of the order.
    pub payment: Digest,
    /// Whose word.
    pub bank: BankName,
}

impl Statement for Ack {
    const DOMAIN: &'static str = "hundi/ack/v1";

    fn bank(&self) -> &BankName {
        &self.bank
    }

    /// digest (32) · length of the name (1) · name.
    fn write_canonical(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.payment.as_bytes());
        write_name(out, &self.bank);
    }
}

/// How a payment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every leg is done.
    Commit,
    /// No leg is done.
    Abort,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Commit => "commit",
            Self::Abort => "abort",
        })
    }
}

/// The outcome that the votes prove, or `None` while they prove none. R3: the one place that decides.
///
/// COMMIT iff there is a YES from every bank of the order; ABORT iff a NO from any. A complete YES set outranks a NO
/// (R12): it takes a bank that voted both ways to have both, and the loss is that bank's.
/// Votes on other payments, or of banks that the order does not name, count for nothing.
pub fn outcome<'a>(order: &Order, votes: impl IntoIterator<Item = &'a Verified<Vote>>) -> Option<Outcome> {
    outcome_if_yes(order, None, votes)
}

/// [`outcome`] if `own` votes YES: for a bank that need not be shown its own vote.
pub fn outcome_if_yes<'a>(
    order: &Order,
    own: Option<&BankName>,
    votes: impl IntoIterator<Item = &'a Verified<Vote>>,
) -> Option<Outcome> {
    let place = |bank: &BankName| order.banks().binary_search(bank).ok();
    let mut yes = own.and_then(place).map_or(0u32, |bank| 1 << bank); // One bit per bank: an order names at most 16.
    let mut no = false;
    for vote in votes {
        let vote = vote.statement();
        if vote.payment != order.digest() {
            continue;
        }
        let Some(bank) = place(&vote.bank) else { continue };
        match vote.decision {
            Decision::Yes => yes |= 1 << bank,
            Decision::No(_) => no = true,
        }
    }
    if yes.count_ones() as usize == order.banks().len() {
        Some(Outcome::Commit)
    } else if no {
        Some(Outcome::Abort)
    } else {
        None
    }
}

/// Proof that a bank voted both ways on one payment (R12): kept and reported, whoever it favours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DoubleVote {
    yes: Verified<Vote>,
    no: Verified<Vote>,
}

impl DoubleVote {
    /// The proof, if the two votes are one bank's YES and NO on one payment, in either order.
    #[must_use]
    pub fn of(a: &Verified<Vote>, b: &Verified<Vote>) -> Option<Self> {
        let (va, vb) = (a.statement(), b.statement());
        if va.bank != vb.bank || va.payment != vb.payment {
            return None;
        }
        match (va.decision.is_yes(), vb.decision.is_yes()) {
            (true, false) => Some(Self { yes: a.clone(), no: b.clone() }),
            (false, true) => Some(Self { yes: b.clone(), no: a.clone() }),
            _ => None,
        }
    }

    /// Its YES.
    #[must_use]
    pub fn yes(&self) -> &Verified<Vote> {
        &self.yes
    }

    /// Its NO.
    #[must_use]
    pub fn no(&self) -> &Verified<Vote> {
        &self.no
    }
}
