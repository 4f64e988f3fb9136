//! Who is who, and who may send what.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::message::Kind;
use crate::name::{BadName, BankName, NodeName};

/// What a node of the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Keeps accounts, and votes.
    Bank,
    /// Carries orders and votes.
    Coordinator,
    /// A payment app: gives customers' orders, and asks.
    App,
    /// A bank's operator: opens accounts, and asks.
    Operator,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Bank, Self::Coordinator, Self::App, Self::Operator];

    /// As it stands in a certificate's URI and in `network.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bank => "bank",
            Self::Coordinator => "coordinator",
            Self::App => "app",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = BadPeer;
    fn from_str(text: &str) -> Result<Self, BadPeer> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(BadPeer::UnknownRole)
    }
}

/// A node of the network, as its certificate names it: `spiffe://hundi/<role>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Peer {
    /// What it is.
    pub role: Role,
    /// Its name within the role.
    pub name: NodeName,
}

/// Why a URI names no node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPeer {
    /// Not `spiffe://hundi/<role>/<name>`.
    #[error("expected spiffe://hundi/<role>/<name>")]
    NotSpiffe,
    /// A role that this version does not know.
    #[error("unknown role (expected bank, coordinator, app or operator)")]
    UnknownRole,
    /// The name.
    #[error(transparent)]
    BadName(#[from] BadName),
}

impl Peer {
    /// A bank's node.
    #[must_use]
    pub fn bank(name: BankName) -> Self {
        Self { role: Role::Bank, name: name.into() }
    }

    /// A coordinator.
    #[must_use]
    pub fn coordinator(name: NodeName) -> Self {
        Self { role: Role::Coordinator, name }
    }

    /// The bank, if it is one.
    #[must_use]
    pub fn as_bank(&self) -> Option<BankName> {
        (self.role == Role::Bank).then(|| self.name.to_bank())
    }

    /// The URI in its certificate.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("spiffe://hundi/{}/{}", self.role, self.name)
    }

    /// Reads the URI of a certificate.
    ///
    /// # Errors
    /// [`BadPeer`] unless it is exactly of that form.
    pub fn from_uri(uri: &str) -> Result<Self, BadPeer> {
        let path = uri.strip_prefix("spiffe://hundi/").ok_or(BadPeer::NotSpiffe)?;
        let (role, name) = path.split_once('/').ok_or(BadPeer::NotSpiffe)?;
        Ok(Self { role: role.parse()?, name: NodeName::new(name)? })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.role, self.name)
    }
}

/// Who may send what to whom. What is not in the table is refused, and the link is closed.
///
/// A coordinator may not vote, a bank may not prepare, a payment app may only submit and ask.
#[must_use]
pub fn allowed(from: Role, to: Role, kind: Kind) -> bool {
    use Role::{App, Bank, Coordinator, Operator};
    let kinds: &[Kind] = match (from, to) {
        (App, Coordinator) => &[Kind::Submit, Kind::Status],
        (App, Bank) => &[Kind::Status, Kind::StatusOf],
        (Operator, Bank) => &[Kind::Admin, Kind::Status],
        (Operator, Coordinator) => &[Kind::Status],
        (Coordinator, Bank) => &[Kind::Prepare, Kind::Resolve, Kind::Outcome, Kind::Proof],
        (Coordinator, App) => &[Kind::Outcome, Kind::StatusReply],
        (Coordinator, Operator) => &[Kind::StatusReply],
        (Bank, Coordinator) => &[Kind::Vote, Kind::Ack, Kind::Outcome],
        // In doubt, a bank asks the others itself (R5): it gets their votes, or the whole proof.
        (Bank, Bank) => &[Kind::Resolve, Kind::Vote, Kind::Outcome],
        (Bank, App) => &[Kind::StatusReply],
        (Bank, Operator) => &[Kind::AdminReply, Kind::StatusReply],
        _ => &[],
    };
    kinds.contains(&kind)
}

/// Whether this node may send that one a message of this kind: [`allowed`], and an operator only to the bank of its name.
#[must_use]
pub fn may_send(from: &Peer, to: &Peer, kind: Kind) -> bool {
    let operates = from.role == Role::Operator || to.role == Role::Operator;
    let to_own_bank = !operates || from.name == to.name || !matches!(kind, Kind::Admin | Kind::AdminReply);
    allowed(from.role, to.role, kind) && to_own_bank
}
