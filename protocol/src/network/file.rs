//! Reading and writing `network.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Network, NetworkError, Node};
use crate::authority::certificate_of_pem;
use crate::keys::PublicKey;
use crate::name::NodeName;
use crate::role::{Peer, Role};
use crate::value::Digest;

/// The file as it is written. Unknown keys are refused: a misspelt one would silently do nothing.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    network: String,
    authority: String,
    #[serde(default)]
    bank: Vec<Entry>,
    #[serde(default)]
    coordinator: Vec<Entry>,
    #[serde(default)]
    app: Vec<Entry>,
    #[serde(default)]
    operator: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_sha256: Option<String>,
}

impl Network {
    /// Reads a network's file.
    ///
    /// # Errors
    /// [`NetworkError`]: one line with the file, the key, and what to do.
    pub fn load(path: &Path) -> Result<Self, NetworkError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| NetworkError::Io { path: path.to_owned(), source })?;
        Self::from_toml(&text).map_err(|what| NetworkError::Malformed { path: path.to_owned(), what })
    }

    /// Reads a network from the text of its file.
    ///
    /// # Errors
    /// One line: the key, and what to do.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|e| one_line(text, &e))?;
        let authority = certificate_of_pem(&file.authority)
            .ok_or("`authority` is not a certificate; copy the whole PEM block of the network's authority")?;
        let mut nodes = BTreeMap::new();
        let lists = [
            (Role::Bank, file.bank),
            (Role::Coordinator, file.coordinator),
            (Role::App, file.app),
            (Role::Operator, file.operator),
        ];
        for (role, entry) in
            lists.into_iter().flat_map(|(role, list)| list.into_iter().map(move |e| (role, e)))
        {
            let (peer, node) = read_entry(role, entry)?;
            let at = format!("[[{role}]] {}", peer.name);
            if nodes.insert(peer, node).is_some() {
                return Err(format!("{at}: the name is there twice; remove one of the two"));
            }
        }
        let network = Self { name: file.network, authority_pem: file.authority, authority, nodes };
        network.check_operators()?;
        Ok(network)
    }

    /// The text of the file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let entries = |role: Role| {
            let of_role = self.nodes.iter().filter(move |(peer, _)| peer.role == role);
            of_role.map(|(peer, node)| write_entry(peer, node)).collect()
        };
        let file = File {
            network: self.name.clone(),
            authority: self.authority_pem.clone(),
            bank: entries(Role::Bank),
            coordinator: entries(Role::Coordinator),
            app: entries(Role::App),
            operator: entries(Role::Operator),
        };
        // Strings and lists of strings: there is nothing that TOML could not say.
        toml::to_string(&file).unwrap_or_default()
    }

    pub(super) fn from_parts(
        name: String,
        authority_pem: String,
        nodes: BTreeMap<Peer, Node>,
    ) -> Result<Self, String> {
        let authority =
            certificate_of_pem(&authority_pem).ok_or("the authority's certificate is malformed")?;
        Ok(Self { name, authority_pem, authority, nodes })
    }

    fn check_operators(&self) -> Result<(), String> {
        for peer in self.nodes.keys().filter(|peer| peer.role == Role::Operator) {
            if !self.nodes.contains_key(&Peer::bank(peer.name.to_bank())) {
                return Err(format!(
                    "[[operator]] {}: an operator has the name of its bank; there is no such bank",
                    peer.name
                ));
            }
        }
        Ok(())
    }
}

fn read_entry(role: Role, entry: Entry) -> Result<(Peer, Node), String> {
    let Entry { name, address, key, certificate_sha256 } = entry;
    let at = |what: String| format!("[[{role}]] {name}: {what}");
    let node_name = NodeName::new(&name).map_err(|e| at(format!("`name`: {e}")))?;
    let key: Option<PublicKey> =
        key.map(|key| key.parse().map_err(|e| at(format!("`key`: {e}")))).transpose()?;
    let certificate: Option<Digest> = certificate_sha256
        .map(|digest| digest.parse().map_err(|e| at(format!("`certificate_sha256`: {e}"))))
        .transpose()?;
    if (role == Role::Bank) != key.is_some() {
        return Err(at(match role {
            Role::Bank => "`key` is missing; add the public key that its votes are signed with".to_owned(),
            _ => "only banks sign; remove `key`".to_owned(),
        }));
    }
    let listens = matches!(role, Role::Bank | Role::Coordinator);
    match &address {
        None if listens => return Err(at("`address` is missing; add host:port".to_owned())),
        Some(_) if !listens => {
            return Err(at("only banks and coordinators listen; remove `address`".to_owned()));
        }
        Some(address) if !is_address(address) => {
            return Err(at(format!("`address` {address:?}: expected host:port")));
        }
        _ => {}
    }
    Ok((Peer { role, name: node_name }, Node { address, key, certificate }))
}

fn is_address(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn write_entry(peer: &Peer, node: &Node) -> Entry {
    Entry {
        name: peer.name.to_string(),
        address: node.address.clone(),
        key: node.key.map(|key| key.to_string()),
        certificate_sha256: node.certificate.map(|digest| digest.to_string()),
    }
}

/// TOML's errors have several lines with a drawing; a log wants one.
fn one_line(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', " ");
    match error.span() {
        Some(span) => {
            let line = text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1;
            format!("line {line}: {message}")
        }
        None => message,
    }
}
