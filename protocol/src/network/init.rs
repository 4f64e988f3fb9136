//! Making a network: keys, certificates, folders and the one file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::identity::{CERTIFICATE_FILE, SIGNING_KEY_FILE, TLS_KEY_FILE};
use super::{Identity, NETWORK_FILE, Network, Node};
use crate::authority::{Authority, AuthorityError, Validity};
use crate::keys::BankKey;
use crate::name::{BankName, NodeName};
use crate::role::{Peer, Role};
use crate::secret::{SecretError, write_secret, write_seed};
use crate::value::Digest;

/// The authority's key within the network's folder: needed to add nodes, and nowhere else.
const AUTHORITY_KEY_FILE: &str = "authority.key";
/// How far clocks may be behind the one that makes the certificates.
const CLOCK_MARGIN: Duration = Duration::from_secs(60 * 60);

/// A node that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<N> {
    /// Its name.
    pub name: N,
    /// `host:port`.
    pub address: String,
}

/// The network to make. Each bank also gets an operator of its name.
#[derive(Debug, Clone)]
pub struct Plan {
    /// A name for people.
    pub network: String,
    /// At least one.
    pub banks: Vec<Member<BankName>>,
    /// Any number.
    pub coordinators: Vec<Member<NodeName>>,
    /// Payment apps.
    pub apps: Vec<NodeName>,
    /// Makes all keys follow from it, for a demo that can be repeated; *anyone who knows it has every key*.
    /// `None` takes the random source of the operating system.
    pub seed: Option<[u8; 32]>,
    /// From when the certificates are valid.
    pub now: SystemTime,
    /// How long the certificates are valid.
    pub valid_for: Duration,
}

/// Why a network was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// There is a network already.
    #[error("{0} is there already; a new network would have other keys. Choose another folder, or remove it")]
    Exists(PathBuf),
    /// Two nodes of one role and name.
    #[error("{0} is named twice")]
    Twice(Peer),
    /// The plan cannot be written.
    #[error("{0}")]
    BadPlan(String),
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// A file with a secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A certificate.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// Makes everything that the nodes of a network need, in `dir`: `network.toml`, the authority's key, and a folder
/// `<role>-<name>` for each node with its certificate and keys. Overwrites nothing.
///
/// # Errors
/// [`InitError`]. A plan that cannot be is refused before anything is written; after a failure of the file system, what was
/// written until then stays.
pub fn init(dir: &Path, plan: &Plan) -> Result<Network, InitError> {
    let network_file = dir.join(NETWORK_FILE);
    if let Some(there) = [&network_file, &dir.join(AUTHORITY_KEY_FILE)].into_iter().find(|file| file.exists())
    {
        return Err(InitError::Exists(there.clone()));
    }
    let members = members(plan)?;
    let seeds = Seeds(plan.seed);
    let validity = Validity { from: plan.now - CLOCK_MARGIN, length: plan.valid_for + CLOCK_MARGIN };
    let (authority, own) = Authority::create(&plan.network, &seeds.next("authority")?, validity)?;
    let (mut nodes, mut folders) = (BTreeMap::new(), Vec::new());
    for (peer, address) in members {
        let issued = authority.issue(&peer, &seeds.next(&format!("tls {peer}"))?, validity)?;
        let key = match peer.role {
            Role::Bank => Some(BankKey::from_seed(&seeds.next(&format!("sign {peer}"))?)),
            _ => None,
        };
        let certificate = Some(Digest::of(&issued.certificate_der));
        let folder = dir.join(Identity::folder(&peer));
        nodes.insert(peer, Node { address, key: key.as_ref().map(BankKey::public), certificate });
        folders.push((folder, issued, key));
    }
    let network =
        Network::from_parts(plan.network.clone(), own.certificate_pem, nodes).map_err(InitError::BadPlan)?;
    // Reading back what will be written: an address that the loader refuses is refused now.
    let text = network.to_toml();
    Network::from_toml(&text).map_err(InitError::BadPlan)?;

    make_folder(dir)?;
    write_secret(&dir.join(AUTHORITY_KEY_FILE), own.key_pem.as_bytes())?;
    for (folder, issued, key) in folders {
        make_folder(&folder)?;
        write_public(&folder.join(CERTIFICATE_FILE), &issued.certificate_pem)?;
        write_secret(&folder.join(TLS_KEY_FILE), issued.key_pem.as_bytes())?;
        if let Some(key) = key {
            write_seed(&folder.join(SIGNING_KEY_FILE), &key.seed())?;
        }
    }
    write_public(&network_file, &text)?;
    Ok(network)
}

fn members(plan: &Plan) -> Result<Vec<(Peer, Option<String>)>, InitError> {
    if plan.banks.is_empty() {
        return Err(InitError::BadPlan("a network needs at least one bank".to_owned()));
    }
    let banks = plan.banks.iter().map(|m| (Peer::bank(m.name.clone()), Some(m.address.clone())));
    let coordinators =
        plan.coordinators.iter().map(|m| (Peer::coordinator(m.name.clone()), Some(m.address.clone())));
    let apps = plan.apps.iter().map(|name| (Peer { role: Role::App, name: name.clone() }, None));
    let operators =
        plan.banks.iter().map(|m| (Peer { role: Role::Operator, name: m.name.clone().into() }, None));
    let members: Vec<_> = banks.chain(coordinators).chain(apps).chain(operators).collect();
    let mut seen = BTreeSet::new();
    match members.iter().find(|(peer, _)| !seen.insert(peer)) {
        Some((peer, _)) => Err(InitError::Twice(peer.clone())),
        None => Ok(members),
    }
}

/// Where the seeds of keys come from.
struct Seeds(Option<[u8; 32]>);

impl Seeds {
    fn next(&self, label: &str) -> Result<[u8; 32], AuthorityError> {
        if let Some(seed) = self.0 {
            return Ok(Digest::of(&[b"hundi/key-of-seed/v1", &seed[..], label.as_bytes()].concat()).0);
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(seed)
    }
}

fn make_folder(path: &Path) -> Result<(), InitError> {
    std::fs::create_dir_all(path).map_err(|source| InitError::Io { path: path.to_owned(), source })
}

fn write_public(path: &Path, text: &str) -> Result<(), InitError> {
    std::fs::write(path, text).map_err(|source| InitError::Io { path: path.to_owned(), source })
}
