//! Mutual TLS 1.3 with names from certificates.
//!
//! Both sides are known by the one URI `spiffe://hundi/<role>/<name>` in their certificate, which must be signed by the
//! network's authority directly, be in time, and belong to a node that `network.toml` lists (with that certificate, if it
//! names one). There is no other protocol version, no renegotiation, and no resumption: links are few and long, and a
//! resumed session would skip the check of the certificate.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, OtherError, ServerConfig,
    SignatureScheme,
};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyUsage};

use crate::network::{Identity, Network};
use crate::role::{BadPeer, Peer};
use crate::value::Digest;

/// The protocol's name and version in the handshake (ALPN).
pub const ALPN: &[u8] = b"hundi/1";

/// Why a peer's certificate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerRefused {
    /// Not X.509 as it should be.
    #[error("the certificate is malformed: {0}")]
    Malformed(String),
    /// Out of time, of another authority, or not for this use.
    #[error("the certificate is not accepted: {0}")]
    NotTrusted(String),
    /// No URI, or several.
    #[error("the certificate has {0} URIs, expected one")]
    NotOneName(usize),
    /// The URI.
    #[error("the certificate's URI {uri:?}: {why}")]
    BadName {
        /// As it stands.
        uri: String,
        /// What is wrong.
        why: BadPeer,
    },
    /// Not in `network.toml`.
    #[error("{0} is not in network.toml")]
    NotListed(Peer),
    /// Another certificate than `network.toml` names.
    #[error("{0} has another certificate than network.toml names for it")]
    OtherCertificate(Peer),
    /// Somebody else answers.
    #[error("{found} answers where {expected} is expected")]
    OtherPeer {
        /// Who was called.
        expected: Peer,
        /// Who answers.
        found: Peer,
    },
}

/// The node that a certificate names. Does not check who signed it.
pub(crate) fn peer_of_certificate(certificate: &CertificateDer<'_>) -> Result<Peer, PeerRefused> {
    let parsed = EndEntityCert::try_from(certificate).map_err(|e| PeerRefused::Malformed(e.to_string()))?;
    let uris: Vec<&str> = parsed.valid_uri_names().collect();
    let [uri] = uris[..] else { return Err(PeerRefused::NotOneName(uris.len())) };
    Peer::from_uri(uri).map_err(|why| PeerRefused::BadName { uri: uri.chars().take(200).collect(), why })
}

/// Accepts the nodes of one network; the same rules for both sides.
struct Gate {
    network: Arc<Network>,
    anchor: TrustAnchor<'static>,
    /// Whom we call; any listed node may call us.
    expected: Option<Peer>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Gate {
    fn new(network: Arc<Network>, expected: Option<Peer>) -> Result<Self, PeerRefused> {
        let anchor = webpki::anchor_from_trusted_cert(network.authority())
            .map_err(|e| PeerRefused::Malformed(format!("authority: {e}")))?
            .to_owned();
        let algorithms = ring::default_provider().signature_verification_algorithms;
        Ok(Self { network, anchor, expected, algorithms })
    }

    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        now: UnixTime,
        usage: impl ExtendedKeyUsageValidator,
    ) -> Result<(), PeerRefused> {
        let parsed =
            EndEntityCert::try_from(certificate).map_err(|e| PeerRefused::Malformed(e.to_string()))?;
        // No intermediates: the authority signs nodes itself.
        let anchors = std::slice::from_ref(&self.anchor);
        parsed
            .verify_for_usage(self.algorithms.all, anchors, &[], now, usage, None, None)
            .map_err(|e| PeerRefused::NotTrusted(explain(&e)))?;
        let peer = peer_of_certificate(certificate)?;
        if let Some(expected) = self.expected.as_ref().filter(|expected| **expected != peer) {
            return Err(PeerRefused::OtherPeer { expected: expected.clone(), found: peer });
        }
        let Some(node) = self.network.node(&peer) else { return Err(PeerRefused::NotListed(peer)) };
        if node.certificate.is_some_and(|expected| expected != Digest::of(certificate)) {
            return Err(PeerRefused::OtherCertificate(peer));
        }
        Ok(())
    }

    fn verify_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }
}

/// In the words of an operator, where the usual cases are concerned.
fn explain(error: &webpki::Error) -> String {
    match error {
        webpki::Error::CertExpired { .. } => "it has expired".to_owned(),
        webpki::Error::CertNotValidYet { .. } => "it is not valid yet (or our clock is behind)".to_owned(),
        // An authority of another name, or another authority of the same name.
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
            "it is not signed by this network's authority".to_owned()
        }
        other => other.to_string(),
    }
}

fn refuse(refused: PeerRefused) -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refused))))
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("expected", &self.expected).finish_non_exhaustive()
    }
}

/// TLS 1.2 is not compiled in; should the library ever ask, the answer is no.
fn no_tls12() -> rustls::Error {
    rustls::Error::General("only TLS 1.3 is spoken here".to_owned())
}

impl ServerCertVerifier for Gate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity, now, KeyUsage::server_auth()).map_err(refuse)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Gate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(end_entity, now, KeyUsage::client_auth()).map_err(refuse)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Our certificate, key or authority does not work. A fault on our side.
#[derive(Debug, Clone, thiserror::Error)]
#[error("our own certificate or key cannot be used: {0}")]
pub struct BadTlsSetup(String);

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// How to answer calls.
pub(crate) fn server_config(
    identity: &Identity,
    network: Arc<Network>,
) -> Result<Arc<ServerConfig>, BadTlsSetup> {
    let bad = |e: &dyn fmt::Display| BadTlsSetup(e.to_string());
    let gate = Gate::new(network, None).map_err(|e| bad(&e))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| bad(&e))?
        .with_client_cert_verifier(Arc::new(gate))
        .with_single_cert(vec![identity.certificate().clone()], identity.key())
        .map_err(|e| bad(&e))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// How to call one peer.
pub(crate) fn client_config(
    identity: &Identity,
    network: Arc<Network>,
    peer: &Peer,
) -> Result<Arc<ClientConfig>, BadTlsSetup> {
    let bad = |e: &dyn fmt::Display| BadTlsSetup(e.to_string());
    let gate = Gate::new(network, Some(peer.clone())).map_err(|e| bad(&e))?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| bad(&e))?
        .dangerous() // Stricter than the usual verifier, not laxer: see `Gate`.
        .with_custom_certificate_verifier(Arc::new(gate))
        .with_client_auth_cert(vec![identity.certificate().clone()], identity.key())
        .map_err(|e| bad(&e))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_sni = false;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::authority::{Authority, Validity};
    use crate::network::{Member, NETWORK_FILE, Plan, init};

    const HOUR: Duration = Duration::from_secs(3600);

    fn peer(text: &str) -> Peer {
        Peer::from_uri(&format!("spiffe://hundi/{text}")).unwrap()
    }

    fn network(dir: &std::path::Path) -> Network {
        let plan = Plan {
            network: "test".to_owned(),
            banks: vec![Member { name: "alpha".parse().unwrap(), address: "h:1".to_owned() }],
            coordinators: vec![Member { name: "c1".parse().unwrap(), address: "h:2".to_owned() }],
            apps: vec![],
            seed: None,
            now: SystemTime::now(),
            valid_for: HOUR,
        };
        init(dir, &plan).unwrap();
        Network::load(&dir.join(NETWORK_FILE)).unwrap()
    }

    /// A certificate made by rcgen directly, with these URIs.
    fn with_uris(uris: &[&str], authority_seed: &[u8; 32]) -> CertificateDer<'static> {
        let pem = |seed: &[u8; 32]| Authority::create("x", seed, validity(0)).unwrap().1.key_pem;
        let key = |seed: &[u8; 32]| rcgen::KeyPair::from_pem(&pem(seed)).unwrap();
        let issuer = rcgen::Issuer::new(rcgen::CertificateParams::default(), key(authority_seed));
        let mut params = rcgen::CertificateParams::default();
        params.subject_alt_names =
            uris.iter().map(|uri| rcgen::SanType::URI((*uri).try_into().unwrap())).collect();
        params.signed_by(&key(&[3; 32]), &issuer).unwrap().der().clone()
    }

    fn validity(hours_ago: u32) -> Validity {
        Validity { from: SystemTime::now() - HOUR * hours_ago, length: HOUR }
    }

    #[test]
    fn only_a_listed_node_with_a_timely_certificate_of_the_authority_gets_in() {
        let dir = tempfile::tempdir().unwrap();
        let network = network(dir.path());
        let authority = Authority::open(&network, &dir.path().join("authority.key")).unwrap();
        let foreign = |name: &str| Authority::create(name, &[9; 32], validity(0)).unwrap().0;
        let own = |who: &str| {
            let identity = Identity::load(&dir.path().join(Identity::folder(&peer(who))), &network).unwrap();
            identity.certificate().clone()
        };
        let issue = |authority: &Authority, who: &str, validity| {
            CertificateDer::from(authority.issue(&peer(who), &[1; 32], validity).unwrap().certificate_der)
        };
        let check = |certificate: &CertificateDer<'_>, expected: Option<&str>| {
            let gate = Gate::new(Arc::new(network.clone()), expected.map(peer)).unwrap();
            let as_client = gate.check(certificate, UnixTime::now(), KeyUsage::client_auth());
            assert_eq!(as_client, gate.check(certificate, UnixTime::now(), KeyUsage::server_auth()));
            as_client
        };
        let not_trusted = |why: &str| Err(PeerRefused::NotTrusted(why.to_owned()));
        let other_peer =
            PeerRefused::OtherPeer { expected: peer("coordinator/c1"), found: peer("bank/alpha") };

        assert_eq!(check(&own("bank/alpha"), None), Ok(()));
        assert_eq!(check(&own("bank/alpha"), Some("bank/alpha")), Ok(()));
        assert_eq!(check(&own("bank/alpha"), Some("coordinator/c1")), Err(other_peer));
        let unknown = not_trusted("it is not signed by this network's authority");
        for name in ["test", "other"] {
            assert_eq!(check(&issue(&foreign(name), "bank/alpha", validity(0)), None), unknown);
        }
        assert_eq!(check(&issue(&authority, "bank/alpha", validity(2)), None), not_trusted("it has expired"));
        let early = Validity { from: SystemTime::now() + HOUR, length: HOUR };
        let too_early = not_trusted("it is not valid yet (or our clock is behind)");
        assert_eq!(check(&issue(&authority, "bank/alpha", early), None), too_early);
        let not_listed = Err(PeerRefused::NotListed(peer("bank/omega")));
        assert_eq!(check(&issue(&authority, "bank/omega", validity(0)), None), not_listed);
        let second = issue(&authority, "bank/alpha", validity(0));
        assert_eq!(check(&second, None), Err(PeerRefused::OtherCertificate(peer("bank/alpha"))));
        assert!(matches!(check(network.authority(), None), Err(PeerRefused::NotTrusted(_))));
        assert!(matches!(check(&CertificateDer::from(vec![1, 2, 3]), None), Err(PeerRefused::Malformed(_))));
    }

    #[test]
    fn a_certificate_names_exactly_one_node() {
        let name = |uris: &[&str]| peer_of_certificate(&with_uris(uris, &[9; 32]));
        assert_eq!(name(&["spiffe://hundi/bank/alpha"]), Ok(peer("bank/alpha")));
        assert_eq!(name(&[]), Err(PeerRefused::NotOneName(0)));
        let two = ["spiffe://hundi/bank/alpha", "spiffe://hundi/bank/beta"];
        assert_eq!(name(&two), Err(PeerRefused::NotOneName(2)));
        for uri in [
            "https://hundi/bank/alpha",
            "spiffe://other/bank/alpha",
            "spiffe://hundi/bank",
            "spiffe://hundi/bank/",
            "spiffe://hundi/bank/Alpha",
            "spiffe://hundi/bank/alpha/",
            "spiffe://hundi/bank/alpha/x",
            "spiffe://hundi/bank/alpha?x",
            "spiffe://hundi/bank//alpha",
            "spiffe://hundi//bank/alpha",
            "spiffe://hundi/king/alpha",
            "SPIFFE://hundi/bank/alpha",
            " spiffe://hundi/bank/alpha",
        ] {
            assert!(matches!(name(&[uri]), Err(PeerRefused::BadName { .. })), "{uri}");
        }
    }
}
