//! Frames: how messages are laid on a byte stream.
//!
//! A frame is `length (4, big-endian) · count (2, big-endian) · messages`, each message in postcard form; the length counts
//! everything after itself. A frame without messages says only that the sender is alive. Reading is strict: a length or
//! count above the limit, a message that is not one, and bytes left over are refused, and the link is closed.

use crate::message::Message;

/// The most bytes of a frame after its length: room for thousands of votes, and little enough to hold per connection.
pub const FRAME_SIZE_MAX: usize = 1 << 20;
/// The most messages of a frame.
pub const FRAME_MESSAGES_MAX: usize = 8192;

const LENGTH_SIZE: usize = 4;
const COUNT_SIZE: usize = 2;
/// Nearly every message is longer: so many bytes of a frame are worth room for one.
const LIKELY_SIZE_MIN: usize = 64;

/// Bytes that are not a frame. The sender is at fault: close the link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedFrame {
    /// More than [`FRAME_SIZE_MAX`] is announced.
    #[error("a frame of {0} bytes is announced, the limit is {FRAME_SIZE_MAX}")]
    TooLarge(usize),
    /// More than [`FRAME_MESSAGES_MAX`] are announced.
    #[error("{0} messages in a frame, the limit is {FRAME_MESSAGES_MAX}")]
    TooManyMessages(usize),
    /// Too short to say how many messages it has.
    #[error("a frame without a count")]
    NoCount,
    /// One of its messages (counted from 0) is not a message.
    #[error("message {0} of the frame is malformed")]
    BadMessage(usize),
    /// Bytes after the last message.
    #[error("{0} bytes after the last message of the frame")]
    TrailingBytes(usize),
}

/// A message that no frame has room for. A fault of the program that wants to send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message of {0} bytes does not fit a frame")]
pub struct TooLargeToSend(pub usize);

/// Writes frames one behind another into one buffer, filling each as far as the limits allow.
#[derive(Debug, Default)]
pub struct FrameWriter {
    bytes: Vec<u8>,
    /// Where the open frame begins, and how many messages it has.
    open: Option<(usize, usize)>,
}

impl FrameWriter {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message to the open frame, or to a new one.
    ///
    /// # Errors
    /// [`TooLargeToSend`] when no frame could hold it; nothing is added then.
    pub fn push(&mut self, message: &Message) -> Result<(), TooLargeToSend> {
        if self.open.is_some_and(|(_, count)| count == FRAME_MESSAGES_MAX) {
            self.close();
        }
        let (frame, count) = *self.open.get_or_insert_with(|| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(&[0; LENGTH_SIZE + COUNT_SIZE]);
            (start, 0)
        });
        let message_start = self.bytes.len();
        let bytes = std::mem::take(&mut self.bytes);
        // Writing plain data to memory has nothing that could fail.
        self.bytes = postcard::to_extend(message, bytes).unwrap_or_default();
        let size = self.bytes.len() - message_start;
        if self.bytes.len() - frame - LENGTH_SIZE <= FRAME_SIZE_MAX {
            self.open = Some((frame, count + 1));
            return Ok(());
        }
        if size + COUNT_SIZE > FRAME_SIZE_MAX || count == 0 {
            self.bytes.truncate(message_start);
            return Err(TooLargeToSend(size));
        }
        // Too much for this frame: close it without the message, and begin the next with it.
        let message = self.bytes.split_off(message_start);
        self.close();
        self.open = Some((self.bytes.len(), 1));
        self.bytes.extend_from_slice(&[0; LENGTH_SIZE + COUNT_SIZE]);
        self.bytes.extend_from_slice(&message);
        Ok(())
    }

    /// Adds a frame without messages.
    pub fn push_alive(&mut self) {
        self.close();
        self.bytes.extend_from_slice(&[0, 0, 0, 2, 0, 0]);
    }

    /// The frames so far; call [`FrameWriter::clear`] once they are sent.
    pub fn bytes(&mut self) -> &[u8] {
        self.close();
        &self.bytes
    }

    /// How many bytes have been gathered.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Empties the buffer, and keeps its memory unless that has grown large.
    pub fn clear(&mut self) {
        self.open = None;
        self.bytes.clear();
        self.bytes.shrink_to(FRAME_SIZE_MAX);
    }

    /// Fills in length and count of the open frame.
    fn close(&mut self) {
        let Some((start, count)) = self.open.take() else { return };
        let length = self.bytes.len() - start - LENGTH_SIZE;
        // Both are within the limits, which fit.
        let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        let count = u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes();
        self.bytes[start..start + LENGTH_SIZE].copy_from_slice(&length);
        self.bytes[start + LENGTH_SIZE..start + LENGTH_SIZE + COUNT_SIZE].copy_from_slice(&count);
    }
}

/// A frame's content and the bytes behind it.
pub type ContentAndRest<'a> = (&'a [u8], &'a [u8]);

/// Splits the first frame off a stream's bytes: its content and the bytes behind it. `None` when it is not all there yet.
///
/// # Errors
/// [`MalformedFrame::TooLarge`], as soon as the length is there.
pub fn split_frame(bytes: &[u8]) -> Result<Option<ContentAndRest<'_>>, MalformedFrame> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_SIZE>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > FRAME_SIZE_MAX {
        return Err(MalformedFrame::TooLarge(length));
    }
    Ok(rest.split_at_checked(length))
}

/// Reads the messages of one frame's content, appending them.
///
/// # Errors
/// [`MalformedFrame`] when it is not exactly a count and that many messages.
pub fn read_frame(content: &[u8], messages: &mut Vec<Message>) -> Result<(), MalformedFrame> {
    let (count, mut rest) = content.split_first_chunk::<COUNT_SIZE>().ok_or(MalformedFrame::NoCount)?;
    let count = usize::from(u16::from_be_bytes(*count));
    if count > FRAME_MESSAGES_MAX {
        return Err(MalformedFrame::TooManyMessages(count));
    }
    messages.reserve(count.min(rest.len() / LIKELY_SIZE_MIN));
    for i in 0..count {
        let (message, after) = postcard::take_from_bytes(rest).map_err(|_| MalformedFrame::BadMessage(i))?;
        messages.push(message);
        rest = after;
    }
    if rest.is_empty() { Ok(()) } else { Err(MalformedFrame::TrailingBytes(rest.len())) }
}
