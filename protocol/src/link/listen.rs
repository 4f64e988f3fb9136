//! Answering calls.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection::{Socket, buffered};
use super::strangers::{Complaints, Strangers};
use super::{LinkError, Misbehaviour, Shared, connection};
use crate::role::Peer;
use crate::tls::{ALPN, peer_of_certificate};

/// Answers calls until the runtime ends. Strangers who are slow to show who they are make room for the next.
pub(crate) async fn run(shared: Arc<Shared>, listener: TcpListener, config: Arc<ServerConfig>) {
    let acceptor = TlsAcceptor::from(config);
    let strangers = Strangers::new(shared.limits.handshakes_max);
    let complaints = Arc::new(Complaints::default());
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(e) => {
                // The caller hung up, or we are out of file descriptors: either way the next try is soon enough.
                tracing::debug!("accept: {e}");
                sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let mut place = strangers.enter(address.ip());
        let (shared, acceptor, complaints) = (Arc::clone(&shared), acceptor.clone(), Arc::clone(&complaints));
        tokio::spawn(async move {
            let known = tokio::select! {
                known = timeout(shared.limits.handshake_timeout, answer(&acceptor, stream)) => known,
                _ = &mut place.shown_out => {
                    let why = "too many callers have not shown who they are, this one for longest";
                    Ok(Err(LinkError::Disconnected(why.to_owned())))
                }
            };
            drop(place);
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
            match complaints.may_log(Instant::now()) {
                Some(0) => tracing::warn!(%address, "call refused: {why}"),
                Some(more) => {
                    tracing::warn!(%address, "call refused: {why}; and {more} more since the last such line")
                }
                None => {}
            }
        });
    }
}

/// Shows who we are and sees who calls.
async fn answer(acceptor: &TlsAcceptor, stream: TcpStream) -> Result<(Peer, TlsStream<Socket>), LinkError> {
    stream.set_nodelay(true).map_err(|e| LinkError::of_io(&e))?;
    let stream = acceptor.accept(buffered(stream)).await.map_err(|e| LinkError::of_io(&e))?;
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
