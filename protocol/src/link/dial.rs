//! Calling peers, and calling again.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::{IpAddr, Ipv4Addr, ServerName};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connection::{Socket, buffered};
use super::{LinkError, Misbehaviour, Shared, connection};
use crate::network::Identity;
use crate::role::Peer;
use crate::tls::{self, ALPN, BadTlsSetup};

/// What it takes to call one peer.
pub(crate) struct Dialer {
    pub(crate) peer: Peer,
    pub(crate) address: String,
    pub(crate) config: Arc<ClientConfig>,
}

/// One for each peer that can be called.
pub(crate) fn prepare(shared: &Shared, identity: &Identity) -> Result<Vec<Dialer>, BadTlsSetup> {
    let callable = shared.network.nodes().filter(|(peer, _)| **peer != shared.me);
    callable
        .filter_map(|(peer, node)| Some((peer, node.address.clone()?)))
        .map(|(peer, address)| {
            let config = tls::client_config(identity, Arc::clone(&shared.network), peer)?;
            Ok(Dialer { peer: peer.clone(), address, config })
        })
        .collect()
}

/// Calls a peer whenever something waits for it and it has no connection.
pub(crate) async fn run(shared: Arc<Shared>, dialer: Dialer) {
    let limits = &shared.limits;
    let peer = &dialer.peer;
    let mut failures = 0u32;
    loop {
        shared.registry.wanted(peer).await;
        let why = match timeout(limits.handshake_timeout, call(&dialer)).await {
            Ok(Ok(stream)) => match connection::open(&shared, peer) {
                Ok(opened) => {
                    let ended = connection::run(&shared, peer, opened, stream).await;
                    if ended.was_accepted {
                        failures = 0;
                    }
                    ended.why
                }
                Err(why) => why,
            },
            Ok(Err(why)) => why,
            Err(_) => LinkError::Disconnected("no answer in time".to_owned()),
        };
        // The first failure is news; the rest is noise, until it works again.
        if failures == 0 {
            tracing::info!(%peer, address = dialer.address, "no link: {why}; calling again until it works");
        } else {
            tracing::debug!(%peer, address = dialer.address, failures, "no link: {why}");
        }
        sleep(pause(limits.redial_min, limits.redial_max, failures)).await;
        failures = failures.saturating_add(1);
    }
}

/// Connects and shows who both are.
pub(crate) async fn call(dialer: &Dialer) -> Result<TlsStream<Socket>, LinkError> {
    let stream = TcpStream::connect(&dialer.address).await.map_err(|e| LinkError::of_io(&e))?;
    stream.set_nodelay(true).map_err(|e| LinkError::of_io(&e))?;
    // A name is asked for and not used: the expected peer is known to the verifier. An address is never sent.
    let nobody = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0, 0, 0, 0])));
    let connector = TlsConnector::from(Arc::clone(&dialer.config));
    let stream = connector.connect(nobody, buffered(stream)).await.map_err(|e| LinkError::of_io(&e))?;
    if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(Misbehaviour::OtherProtocol.into());
    }
    Ok(stream)
}

/// Doubles with each failure up to a limit; between half of that and all of it, so that nodes do not call in step.
fn pause(min: Duration, max: Duration, failures: u32) -> Duration {
    let full = min.saturating_mul(1 << failures.min(16)).min(max);
    let mut random = [0; 4];
    // Without random numbers the pause is merely the same each time.
    let _ = getrandom::fill(&mut random);
    let part = (u128::from(u32::from_le_bytes(random)) * (full.as_micros() / 2)) >> 32;
    full / 2 + Duration::from_micros(u64::try_from(part).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_limit_and_differ() {
        let (min, max) = (Duration::from_millis(20), Duration::from_secs(2));
        for (failures, full) in [(0, 20), (1, 40), (3, 160), (7, 2000), (100, 2000)] {
            let pauses: Vec<_> = (0..50).map(|_| pause(min, max, failures)).collect();
            let full = Duration::from_millis(full);
            assert!(pauses.iter().all(|pause| (full / 2..=full).contains(pause)));
            assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        }
    }
}
