//! A node's place in its network, as its process finds it when it starts.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Identity, Network, NetworkError};
use crate::role::Peer;

/// What the network's file and a node's folder say of the node.
#[derive(Clone, Debug)]
pub struct Place {
    /// Everybody.
    pub network: Arc<Network>,
    /// The node itself.
    pub identity: Identity,
}

/// Why a node cannot take its place.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// `network.toml` or the node's folder.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The folder belongs to somebody else.
    #[error("{folder} is the folder of {found}, not of {expected}; give the folder of {expected} as --data")]
    OtherNode {
        /// The folder.
        folder: PathBuf,
        /// Whose it is.
        found: Peer,
        /// Whose it should be.
        expected: Peer,
    },
    /// The network gives this node no address.
    #[error("network.toml has no address for {0}; add one")]
    NoAddress(Peer),
    /// The address to listen on.
    #[error("cannot listen on {address}: {error}; is another process using it?")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        error: std::io::Error,
    },
}

impl PlaceError {
    /// Whether a file has to be changed, and not the machine.
    #[must_use]
    pub fn is_input(&self) -> bool {
        !matches!(self, PlaceError::Listen { .. })
    }
}

impl Place {
    /// Reads the network's file and the folder, which must be that of `node`.
    ///
    /// # Errors
    /// [`PlaceError`]: one line that says what, where and what to do.
    pub fn load(network: &Path, folder: &Path, node: &Peer) -> Result<Self, PlaceError> {
        let network = Arc::new(Network::load(network)?);
        let identity = Identity::load(folder, &network)?;
        if identity.peer() != node {
            let (folder, found, expected) = (folder.to_owned(), identity.peer().clone(), node.clone());
            return Err(PlaceError::OtherNode { folder, found, expected });
        }
        Ok(Place { network, identity })
    }

    /// Listens where others call this node; with the address.
    ///
    /// # Errors
    /// [`PlaceError::NoAddress`] or [`PlaceError::Listen`].
    pub fn listen(&self) -> Result<(String, TcpListener), PlaceError> {
        let me = self.identity.peer();
        let address = self.network.node(me).and_then(|node| node.address.clone());
        let address = address.ok_or_else(|| PlaceError::NoAddress(me.clone()))?;
        match TcpListener::bind(&address) {
            Ok(listener) => Ok((address, listener)),
            Err(error) => Err(PlaceError::Listen { address, error }),
        }
    }
}
