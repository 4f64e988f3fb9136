//! Who belongs to a network: the one file `network.toml` that all its nodes have, and the folder of each node.

mod file;
mod identity;
mod init;
mod place;

use std::collections::BTreeMap;
use std::path::PathBuf;

use rustls::pki_types::CertificateDer;

use crate::keys::PublicKey;
use crate::name::{BankName, NodeName};
use crate::role::{Peer, Role};
use crate::secret::SecretError;
use crate::signed::Directory;
use crate::value::Digest;

pub use identity::Identity;
pub use init::{InitError, Member, Plan, init};
pub use place::{Place, PlaceError};

/// The name of the file within a network's folder.
pub const NETWORK_FILE: &str = "network.toml";

/// One node as the network knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// `host:port` where it listens; apps and operators only call.
    pub address: Option<String>,
    /// The key that its statements are signed with; banks only.
    pub key: Option<PublicKey>,
    /// SHA-256 of its certificate. When given, no other is accepted, whoever signed it.
    pub certificate: Option<Digest>,
}

/// A network: its authority and its nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    name: String,
    authority_pem: String,
    authority: CertificateDer<'static>,
    nodes: BTreeMap<Peer, Node>,
}

/// Why a network's file or a node's folder cannot be used; one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// Something in a file.
    #[error("{path}: {what}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Which key, and what to do.
        what: String,
    },
    /// A file with a secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl Network {
    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The authority's certificate as PEM.
    #[must_use]
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// The authority's certificate as DER.
    #[must_use]
    pub fn authority(&self) -> &CertificateDer<'static> {
        &self.authority
    }

    /// What is known of a node.
    #[must_use]
    pub fn node(&self, peer: &Peer) -> Option<&Node> {
        self.nodes.get(peer)
    }

    /// All nodes, by role and name.
    pub fn nodes(&self) -> impl Iterator<Item = (&Peer, &Node)> {
        self.nodes.iter()
    }

    /// The banks, by name.
    pub fn banks(&self) -> impl Iterator<Item = BankName> {
        self.nodes.keys().filter_map(Peer::as_bank)
    }

    /// The names of all nodes of a role.
    pub fn names(&self, role: Role) -> impl Iterator<Item = &NodeName> {
        self.nodes.keys().filter(move |peer| peer.role == role).map(|peer| &peer.name)
    }

    /// The banks' public keys.
    #[must_use]
    pub fn directory(&self) -> Directory {
        self.nodes.iter().filter_map(|(peer, node)| Some((peer.as_bank()?, node.key?))).collect()
    }

    /// The same network with another address of one node (a test's, or a tunnel's).
    #[must_use]
    pub fn with_address(mut self, peer: &Peer, address: String) -> Self {
        if let Some(node) = self.nodes.get_mut(peer) {
            node.address = Some(address);
        }
        self
    }
}
