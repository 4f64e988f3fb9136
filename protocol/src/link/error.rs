//! What ends a link, by whose fault.

use crate::frame::MalformedFrame;
use crate::message::Kind;
use crate::role::Peer;
use crate::tls::PeerRefused;

/// Why a connection did not come about, or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The peer sent bytes that are not a frame: closed.
    #[error("malformed: {0}")]
    Malformed(#[from] MalformedFrame),
    /// The peer broke a rule: closed, and worth an operator's look.
    #[error("the peer misbehaved: {0}")]
    PeerMisbehaved(#[from] Misbehaviour),
    /// The network, or the peer hung up. Nobody's fault; tried again where that makes sense.
    #[error("disconnected: {0}")]
    Disconnected(String),
    /// Our own machine, key or configuration.
    #[error("on our side: {0}")]
    Local(String),
}

/// A rule that a peer broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// Not in the table of who may send what.
    #[error("{from} may not send {kind:?} to {to}")]
    NotAllowed {
        /// Who sent it.
        from: Peer,
        /// Who we are.
        to: Peer,
        /// What.
        kind: Kind,
    },
    /// Its certificate.
    #[error(transparent)]
    Refused(PeerRefused),
    /// It does not speak this protocol, or not this version of it.
    #[error("the peer does not speak hundi/1")]
    OtherProtocol,
    /// A frame begun and not finished in time.
    #[error("a frame was begun and not finished in time")]
    HalfSentFrame,
    /// More connections than one peer may have.
    #[error("too many connections")]
    TooManyConnections,
}

impl LinkError {
    /// From what the TLS library or the socket says; finds our own verdict on a certificate inside of it.
    pub(crate) fn of_io(error: &std::io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))) = tls
            && let Some(refused) = other.0.downcast_ref::<PeerRefused>()
        {
            return Misbehaviour::Refused(refused.clone()).into();
        }
        match tls {
            Some(rustls::Error::NoApplicationProtocol) => Misbehaviour::OtherProtocol.into(),
            Some(rustls::Error::AlertReceived(alert)) => {
                Self::Disconnected(format!("the peer refused us (TLS alert {alert:?}); its log says why"))
            }
            Some(tls) => Self::Disconnected(tls.to_string()),
            // In TLS a peer says goodbye before it hangs up; one that was killed does not.
            None if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Self::Disconnected("the peer hung up in the middle".to_owned())
            }
            None => Self::Disconnected(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::LinkError;

    #[test]
    fn a_peer_that_hangs_up_is_told_in_our_words() {
        let words = "peer closed connection without sending TLS close_notify: https://docs.rs/rustls";
        let error = LinkError::of_io(&Error::new(ErrorKind::UnexpectedEof, words));
        assert_eq!(error.to_string(), "disconnected: the peer hung up in the middle");
        let error = LinkError::of_io(&Error::new(ErrorKind::ConnectionReset, "connection reset"));
        assert_eq!(error.to_string(), "disconnected: connection reset");
    }
}
