//! Answering calls.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{LinkError, Misbehaviour, Shared, connection};
use crate::role::Peer;
use crate::tls::{ALPN, peer_of_certificate};

/// Answers calls until the runtime ends. While as many strangers as allowed are showing who they are, the others wait
/// in the kernel's queue.
pub(crate) async fn run(shared: Arc<Shared>, listener: TcpListener, config: Arc<ServerConfig>) {
    let acceptor = TlsAcceptor::from(config);
    let handshakes = Arc::new(Semaphore::new(shared.limits.handshakes_max));
    loop {
        // Nobody closes the semaphore.
        let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else { return };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(e) => {
                // The caller hung up, or we are out of file descriptors: either way the next try is soon enough.
                tracing::debug!("accept: {e}");
                sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
        tokio::spawn(async move {
            let known = timeout(shared.limits.handshake_timeout, answer(&acceptor, stream)).await;
            drop(permit);
            let why = match known {
                Ok(Ok((peer, stream))) => match connection::open(&shared, &peer) {
                    Ok(opened) => {
                        connection::run(&shared, &peer, opened, stream).await;
                        return;
                    }
                    Err(why) => why,
                },
                Ok(Err(why)) => why,
                Err(_) => LinkError::Disconnected("the caller did not show who it is in time".to_owned()),
            };
            shared.counters.handshakes_failed.fetch_add(1, Relaxed);
            tracing::warn!(%address, "call refused: {why}");
        });
    }
}

/// Shows who we are and sees who calls.
async fn answer(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
) -> Result<(Peer, TlsStream<TcpStream>), LinkError> {
    stream.set_nodelay(true).map_err(|e| LinkError::of_io(&e))?;
    let stream = acceptor.accept(stream).await.map_err(|e| LinkError::of_io(&e))?;
    let (_, tls) = stream.get_ref();
    if tls.alpn_protocol() != Some(ALPN) {
        return Err(Misbehaviour::OtherProtocol.into());
    }
    // The verifier has accepted it, so there is one and it names somebody.
    let certificate = tls.peer_certificates().and_then(|chain| chain.first());
    let peer = certificate.map(peer_of_certificate).transpose().map_err(Misbehaviour::Refused)?;
    let peer =
        peer.ok_or_else(|| LinkError::Local("a handshake without a certificate succeeded".to_owned()))?;
    Ok((peer, stream))
}
