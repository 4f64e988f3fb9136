//! Where the network is, and as whom to speak: arguments that several commands share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use hundi_protocol::{
    BankName, Identity, NETWORK_FILE, Network, NetworkError, NodeName, Peer, Role, SecretError,
};

use crate::failure::Failure;

/// The network's file.
#[derive(Debug, Clone, Args)]
pub(crate) struct NetworkArgs {
    /// The network's file
    #[arg(long, value_name = "FILE", env = "HUNDI_NETWORK", default_value = NETWORK_FILE)]
    pub(crate) network: PathBuf,
}

impl NetworkArgs {
    /// Reads the file.
    pub(crate) fn load(&self) -> Result<Arc<Network>, Failure> {
        load_network(&self.network)
    }

    /// The identity in the folder that `hundi init` makes beside the network's file.
    pub(crate) fn identity(&self, network: &Network, peer: &Peer) -> Result<Identity, Failure> {
        let beside = self.network.parent().unwrap_or(Path::new("")).to_owned();
        load_identity(&beside.join(Identity::folder(peer)), network)
    }

    /// The payment app of this network: the one named, or the only one there is.
    pub(crate) fn app(&self, network: &Network, name: Option<&NodeName>) -> Result<Identity, Failure> {
        let mut names = network.names(Role::App);
        let name = match (name, names.next(), names.next()) {
            (Some(name), _, _) | (None, Some(name), None) => name.clone(),
            (None, None, _) => {
                return Err(Failure::input(format_args!(
                    "{} names no payment app; add one as [[app]], with a certificate of the authority",
                    self.network.display()
                )));
            }
            (None, Some(first), Some(second)) => {
                return Err(Failure::input(format_args!(
                    "{} names several payment apps ({first}, {second}, …); choose one with --app",
                    self.network.display()
                )));
            }
        };
        self.identity(network, &Peer { role: Role::App, name })
    }
}

/// Reads `network.toml`.
pub(crate) fn load_network(path: &Path) -> Result<Arc<Network>, Failure> {
    Network::load(path).map(Arc::new).map_err(|error| {
        let hint = "; make a network with `hundi init`, or name its file with --network";
        Failure::input(format_args!("{error}{}", if is_missing(&error) { hint } else { "" }))
    })
}

/// Fails, with the banks that there are, if the network has no such bank.
pub(crate) fn require_bank(network: &Network, bank: &BankName) -> Result<(), Failure> {
    if network.node(&Peer::bank(bank.clone())).is_some() {
        return Ok(());
    }
    let banks: Vec<String> = network.banks().map(|bank| bank.to_string()).collect();
    Err(Failure::input(format_args!("{bank} is not a bank of this network, which has {}", banks.join(", "))))
}

/// Reads a node's certificate and key.
pub(crate) fn load_identity(folder: &Path, network: &Network) -> Result<Identity, Failure> {
    Identity::load(folder, network).map_err(|error| {
        let hint = "; the folder that `hundi init` made for it belongs beside network.toml on this machine";
        Failure::input(format_args!("{error}{}", if is_missing(&error) { hint } else { "" }))
    })
}

fn is_missing(error: &NetworkError) -> bool {
    let source = match error {
        NetworkError::Io { source, .. } | NetworkError::Secret(SecretError::Io { source, .. }) => source,
        _ => return false,
    };
    source.kind() == std::io::ErrorKind::NotFound
}
