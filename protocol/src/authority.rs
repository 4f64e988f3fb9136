//! The network's certificate authority: makes the certificates by which nodes know each other.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::network::Network;
use crate::role::Peer;
use crate::secret::{SecretError, read_secret};

/// Why the authority could not be read or could not make a certificate. A fault on our side.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// Its key file.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Making or reading a certificate.
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The machine has no random numbers to give.
    #[error("the random source of the operating system fails: {0}")]
    Random(#[from] getrandom::Error),
    /// The clock or the span of time asked for.
    #[error("a certificate cannot be valid from before 1970")]
    Time,
}

/// How long a certificate is valid.
#[derive(Debug, Clone, Copy)]
pub struct Validity {
    /// From when; a margin for clocks that are behind is the caller's to give.
    pub from: SystemTime,
    /// For how long.
    pub length: Duration,
}

/// A certificate and its key, as PEM.
#[derive(Debug)]
pub struct Issued {
    /// The certificate, public.
    pub certificate_pem: String,
    /// The same as DER, to take the fingerprint of.
    pub certificate_der: Vec<u8>,
    /// The key: PKCS#8, secret.
    pub key_pem: String,
}

/// The holder of the network's root key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority") // Nothing of the key.
    }
}

impl Authority {
    /// Makes a new authority from the seed of its key. Returns it with its own certificate.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn create(
        network: &str,
        seed: &[u8; 32],
        validity: Validity,
    ) -> Result<(Self, Issued), AuthorityError> {
        let key = key_pair(seed)?;
        let mut params = params(&common_name(network), validity)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)); // It signs nodes, never another authority.
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        let issued = Issued {
            certificate_pem: certificate.pem(),
            certificate_der: certificate.der().to_vec(),
            key_pem: key.serialize_pem(),
        };
        Ok((Self { issuer: Issuer::new(params, key) }, issued))
    }

    /// Reads an authority back, to add nodes to its network.
    ///
    /// # Errors
    /// [`AuthorityError`]; also when the key is not that of the network's authority.
    pub fn open(network: &Network, key_file: &Path) -> Result<Self, AuthorityError> {
        let malformed = |expected| SecretError::Malformed { path: key_file.to_owned(), expected };
        let key = PrivatePkcs8KeyDer::from_pem_slice(&read_secret(key_file)?)
            .ok()
            .and_then(|key| KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ED25519).ok())
            .ok_or_else(|| malformed("an Ed25519 key as PKCS#8 PEM"))?;
        let known = webpki::anchor_from_trusted_cert(network.authority())
            .is_ok_and(|anchor| anchor.subject_public_key_info.ends_with(key.public_key_raw()));
        if !known {
            return Err(malformed("the key of the authority that network.toml names").into());
        }
        // Of its own certificate, an issuer needs only the name.
        let validity = Validity { from: UNIX_EPOCH, length: Duration::ZERO };
        let params = params(&common_name(network.name()), validity)?;
        Ok(Self { issuer: Issuer::new(params, key) })
    }

    /// Makes the key and certificate of a node: its one name is the URI `spiffe://hundi/<role>/<name>`.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn issue(&self, peer: &Peer, seed: &[u8; 32], validity: Validity) -> Result<Issued, AuthorityError> {
        let key = key_pair(seed)?;
        let mut params = params(&peer.to_string(), validity)?;
        params.subject_alt_names = vec![SanType::URI(peer.uri().try_into()?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            certificate_pem: certificate.pem(),
            certificate_der: certificate.der().to_vec(),
            key_pem: key.serialize_pem(),
        })
    }
}

fn common_name(network: &str) -> String {
    format!("hundi network {network}")
}

fn params(common_name: &str, validity: Validity) -> Result<CertificateParams, AuthorityError> {
    let from = validity.from.duration_since(UNIX_EPOCH).map_err(|_| AuthorityError::Time)?;
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + from;
    params.not_after = params.not_before + validity.length;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    Ok(params)
}

/// The Ed25519 key pair of a seed: a PKCS#8 v1 envelope (RFC 8410) around it.
fn key_pair(seed: &[u8; 32]) -> Result<KeyPair, AuthorityError> {
    const ENVELOPE: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let der = [&ENVELOPE[..], seed].concat();
    Ok(KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der), &PKCS_ED25519)?)
}

/// The first certificate of a PEM text.
pub(crate) fn certificate_of_pem(pem: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()
}
