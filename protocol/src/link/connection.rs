//! One connection: a task that reads, a task that writes.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::outbox::{Outbox, State};
use super::{ConnectionId, Inbound, LinkError, Misbehaviour, Shared};
use crate::frame::{FRAME_MESSAGES_MAX, FrameWriter, read_frame, split_frame};
use crate::message::Message;
use crate::role::{Peer, may_send};

/// TLS asks a socket for 4 KiB at a time; this asks for so many.
const SOCKET_READ_SIZE: usize = 32 * 1024;
/// Enough frames for one write: larger ones would keep the peer waiting for the first.
const WRITE_SIZE: usize = 256 * 1024;
/// How much is asked of the socket at once.
const READ_SIZE: usize = 64 * 1024;
/// How long to go on reading after we have closed, until the peer has too.
const LINGER: Duration = Duration::from_millis(500);
/// How long to wait when the node has no room for what arrived.
const FULL_WAIT_MIN: Duration = Duration::from_millis(1);
const FULL_WAIT_MAX: Duration = Duration::from_millis(16);

/// A connected socket that is read in large pieces.
pub(crate) type Socket = BufReader<TcpStream>;

pub(crate) fn buffered(stream: TcpStream) -> Socket {
    BufReader::with_capacity(SOCKET_READ_SIZE, stream)
}

/// What a connection came to.
pub(crate) struct Ended {
    /// Whether the peer showed that it accepted us: it sent a frame.
    pub(crate) was_accepted: bool,
    pub(crate) why: LinkError,
}

/// A place in the registry, for a connection that is about to run.
pub(crate) struct Opened {
    pub(crate) id: ConnectionId,
    pub(crate) outbox: Arc<Outbox>,
    /// Told when the peer has shown that it accepts us.
    pub(crate) accepted: Option<oneshot::Sender<()>>,
}

/// Enters a connection, if the peer may have another.
pub(crate) fn open(shared: &Shared, peer: &Peer) -> Result<Opened, LinkError> {
    match shared.registry.connected(peer)? {
        Some((id, outbox)) => Ok(Opened { id, outbox, accepted: None }),
        None => Err(LinkError::Disconnected("stopping".to_owned())),
    }
}

/// Runs an authenticated connection to its end.
pub(crate) async fn run<S>(shared: &Arc<Shared>, peer: &Peer, opened: Opened, stream: S) -> Ended
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let Opened { id, outbox, accepted } = opened;
    tracing::debug!(%peer, "connected");
    let (read, write) = tokio::io::split(stream);
    let mut writer = tokio::spawn(write_all(Arc::clone(shared), write, Arc::clone(&outbox)));
    let mut reader = Reader { shared, peer, id, accepted, was_accepted: false };
    let why = {
        let reading = reader.read_all(read);
        tokio::pin!(reading);
        tokio::select! {
            why = &mut reading => why,
            ended = &mut writer => match ended {
                Ok(Ok(())) => {
                    // To drop a socket with unread bytes would reset it, and take our last ones from the peer.
                    let _ = timeout(LINGER, reading).await;
                    LinkError::Disconnected("closed by us".to_owned())
                }
                Ok(Err(why)) => why,
                Err(panic) => LinkError::Local(panic.to_string()),
            },
        }
    };
    let was_accepted = reader.was_accepted;
    let dropped = shared.registry.disconnected(peer, id);
    shared.counters.messages_dropped.fetch_add(dropped, Relaxed);
    writer.abort();
    match &why {
        LinkError::Malformed(_) | LinkError::PeerMisbehaved(_) => {
            shared.counters.peers_misbehaved.fetch_add(1, Relaxed);
            tracing::warn!(%peer, "connection closed: {why}");
        }
        LinkError::Local(_) => tracing::error!(%peer, "connection closed: {why}"),
        LinkError::Disconnected(_) => tracing::debug!(%peer, "connection closed: {why}"),
    }
    Ended { was_accepted, why }
}

struct Reader<'a> {
    shared: &'a Shared,
    peer: &'a Peer,
    id: ConnectionId,
    accepted: Option<oneshot::Sender<()>>,
    was_accepted: bool,
}

impl Reader<'_> {
    /// Reads until something ends it.
    async fn read_all(&mut self, mut stream: impl AsyncRead + Unpin) -> LinkError {
        let limits = &self.shared.limits;
        let mut buffer: Vec<u8> = Vec::with_capacity(READ_SIZE);
        let mut frame_begun: Option<Instant> = None;
        loop {
            buffer.reserve(READ_SIZE);
            let (deadline, late) = match frame_begun {
                Some(begun) => (begun + limits.frame_timeout, Misbehaviour::HalfSentFrame.into()),
                None => {
                    let silent = LinkError::Disconnected("nothing heard for too long".to_owned());
                    (Instant::now() + limits.idle_timeout, silent)
                }
            };
            match timeout_at(deadline, stream.read_buf(&mut buffer)).await {
                Err(_) => return late,
                Ok(Err(e)) => return LinkError::of_io(&e),
                Ok(Ok(0)) => return LinkError::Disconnected("the peer closed".to_owned()),
                Ok(Ok(_)) => {}
            }
            match self.take_frames(&mut buffer).await {
                Err(why) => return why,
                Ok(_) if buffer.is_empty() => frame_begun = None,
                Ok(0) => frame_begun = frame_begun.or_else(|| Some(Instant::now())),
                Ok(_) => frame_begun = Some(Instant::now()),
            }
        }
    }

    /// Delivers the messages of all whole frames in the buffer, and removes those. Returns how many frames there were.
    async fn take_frames(&mut self, buffer: &mut Vec<u8>) -> Result<usize, LinkError> {
        let mut messages = Vec::new();
        let mut rest = &buffer[..];
        let mut frames = 0;
        while let Some((content, after)) = split_frame(rest)? {
            let first = messages.len();
            read_frame(content, &mut messages)?;
            self.check(&messages[first..])?;
            rest = after;
            frames += 1;
            if messages.len() >= FRAME_MESSAGES_MAX {
                self.deliver(std::mem::take(&mut messages)).await;
            }
        }
        let taken = buffer.len() - rest.len();
        self.shared.counters.bytes_received.fetch_add(taken as u64, Relaxed);
        buffer.drain(..taken);
        if frames > 0 && !self.was_accepted {
            self.was_accepted = true;
            if let Some(accepted) = self.accepted.take() {
                let _ = accepted.send(()); // Whoever wanted to know may have gone.
            }
        }
        self.deliver(messages).await;
        Ok(frames)
    }

    fn check(&self, messages: &[Message]) -> Result<(), Misbehaviour> {
        match messages.iter().find(|message| !may_send(self.peer, &self.shared.me, message.kind())) {
            None => Ok(()),
            Some(message) => Err(Misbehaviour::NotAllowed {
                from: self.peer.clone(),
                to: self.shared.me.clone(),
                kind: message.kind(),
            }),
        }
    }

    /// Hands messages on; while the node has no room, waits, and so reads nothing more from this peer.
    async fn deliver(&self, messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        self.shared.counters.messages_received.fetch_add(messages.len() as u64, Relaxed);
        let mut inbound = Inbound { peer: self.peer.clone(), connection: self.id, messages };
        let mut wait = FULL_WAIT_MIN;
        while let Err(back) = (self.shared.deliver)(inbound) {
            inbound = back;
            sleep(wait).await;
            wait = (wait * 2).min(FULL_WAIT_MAX);
        }
    }
}

/// Writes what is queued until the connection ends. All that is there goes out in one write.
async fn write_all(
    shared: Arc<Shared>,
    mut stream: impl AsyncWrite + Unpin,
    outbox: Arc<Outbox>,
) -> Result<(), LinkError> {
    let mut writer = FrameWriter::new();
    // Tells a caller that it has been accepted: in TLS 1.3 it learns of a refusal only when it reads.
    writer.push_alive();
    let mut messages: Vec<Message> = Vec::new();
    loop {
        let mut count = 0u64;
        let state = loop {
            let state = outbox.take(1024, &mut messages);
            if messages.is_empty() {
                break state;
            }
            count += messages.len() as u64;
            for message in messages.drain(..) {
                if let Err(e) = writer.push(&message) {
                    tracing::error!("message not sent: {e}");
                    shared.counters.messages_dropped.fetch_add(1, Relaxed);
                }
            }
            if writer.size() >= WRITE_SIZE {
                break state;
            }
        };
        if writer.size() > 0 {
            write(&shared, &mut stream, &mut writer).await?;
            shared.counters.messages_sent.fetch_add(count, Relaxed);
            continue; // More may have come meanwhile.
        }
        if state != State::Open {
            // The peer may be gone already, and then there is nobody to say goodbye to.
            let _ = timeout(shared.limits.write_timeout, stream.shutdown()).await;
            return Ok(());
        }
        if timeout(shared.limits.alive_interval, outbox.filled()).await.is_err() {
            writer.push_alive();
        }
    }
}

async fn write(
    shared: &Shared,
    stream: &mut (impl AsyncWrite + Unpin),
    writer: &mut FrameWriter,
) -> Result<(), LinkError> {
    let bytes = writer.bytes();
    let written = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    match timeout(shared.limits.write_timeout, written).await {
        Err(_) => return Err(LinkError::Disconnected("the peer does not take what is sent".to_owned())),
        Ok(Err(e)) => return Err(LinkError::of_io(&e)),
        Ok(Ok(())) => {}
    }
    shared.counters.bytes_sent.fetch_add(bytes.len() as u64, Relaxed);
    shared.counters.writes.fetch_add(1, Relaxed);
    writer.clear();
    Ok(())
}
