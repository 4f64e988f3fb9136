//! A node's own folder: its certificate, the key of that, and a bank's key for statements.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Network, NetworkError};
use crate::keys::BankKey;
use crate::role::{Peer, Role};
use crate::secret::{read_secret, read_seed};
use crate::signed::Signer;
use crate::tls;
use crate::value::Digest;

/// The node's certificate, PEM.
pub(super) const CERTIFICATE_FILE: &str = "tls.pem";
/// The key of the certificate, PKCS#8 PEM, mode 0600.
pub(super) const TLS_KEY_FILE: &str = "tls.key";
/// A bank's key for statements: the seed in hex, mode 0600.
pub(super) const SIGNING_KEY_FILE: &str = "sign.key";

/// Who a node is, and the means to prove it.
#[derive(Debug, Clone)]
pub struct Identity {
    peer: Peer,
    certificate: CertificateDer<'static>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl Identity {
    /// The folder of a node within the network's: `<role>-<name>`.
    #[must_use]
    pub fn folder(peer: &Peer) -> String {
        format!("{}-{}", peer.role, peer.name)
    }

    /// Reads certificate and key from a node's folder, and checks that they are of this network.
    ///
    /// # Errors
    /// [`NetworkError`]: one line with the file and what to do.
    pub fn load(folder: &Path, network: &Network) -> Result<Self, NetworkError> {
        let path = folder.join(CERTIFICATE_FILE);
        let pem = std::fs::read(&path).map_err(|source| NetworkError::Io { path: path.clone(), source })?;
        let malformed = |what: String| NetworkError::Malformed { path: path.clone(), what };
        let certificate = CertificateDer::from_pem_slice(&pem)
            .map_err(|_| malformed("not a certificate as PEM".to_owned()))?;
        let peer = tls::peer_of_certificate(&certificate)
            .map_err(|e| malformed(format!("not a certificate of a node: {e}")))?;
        let Some(node) = network.node(&peer) else {
            return Err(malformed(format!(
                "{peer} is not in the network {:?}; add it to network.toml, or use the folder of this network",
                network.name()
            )));
        };
        if node.certificate.is_some_and(|expected| expected != Digest::of(&certificate)) {
            return Err(malformed(format!(
                "not the certificate that network.toml names for {peer}; update certificate_sha256 there, on every node"
            )));
        }
        let key_path = folder.join(TLS_KEY_FILE);
        let key = PrivateKeyDer::from_pem_slice(&read_secret(&key_path)?).map_err(|_| {
            NetworkError::Malformed { path: key_path, what: "not a private key as PEM".to_owned() }
        })?;
        Ok(Self { peer, certificate, key: Arc::new(key) })
    }

    /// Reads a bank's key for statements from its folder, and checks that the network knows it.
    ///
    /// # Errors
    /// [`NetworkError`]; also when the node is no bank.
    pub fn load_signer(&self, folder: &Path, network: &Network) -> Result<Signer, NetworkError> {
        let path = folder.join(SIGNING_KEY_FILE);
        let malformed = |what: &str| NetworkError::Malformed { path: path.clone(), what: what.to_owned() };
        let Some(bank) = self.peer.as_bank() else {
            return Err(malformed("only banks sign statements"));
        };
        let signer = Signer::new(bank, BankKey::from_seed(&read_seed(&path)?));
        let known = network.node(&self.peer).and_then(|node| node.key);
        if known != Some(signer.public()) {
            return Err(malformed(
                "not the key that network.toml names for this bank; others would refuse every vote of it",
            ));
        }
        Ok(signer)
    }

    /// Who.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What it is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.peer.role
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}
