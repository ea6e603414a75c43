//! Large messages: each is in memory once, whatever the number of sockets that it is sent to.
//!
//! Engine.IO copies a message for each socket, and the buffer of a WebSocket keeps the size of the largest one for good. So a
//! large message goes through it as a reference, and is put in its place where the bytes leave: by the [`super::Guard`] of a
//! WebSocket, or in the answer to long polling.

use std::{fmt::Write, sync::LazyLock};

use bytes::Bytes;
use memchr::memmem::Finder;
use rand::RngExt;

/// How the packet of an outcome begins: Engine.IO's message, Socket.IO's event, its name.
const BEGIN: &str = r#"42["Profile_Response","#;

/// The event that a large message may be.
pub(crate) const EVENT: &str = "Profile_Response";

/// Hexadecimal digits of the secret and of the number of a reference.
const DIGITS: usize = 32 + 16;

/// The length of a packet with a reference: `42["Profile_Response","<secret><number>"]`.
const REFERENCE: usize = BEGIN.len() + DIGITS + 3;

/// Nobody else knows it: what users write cannot be taken for a reference.
static SECRET: LazyLock<String> = LazyLock::new(|| format!("{:032x}", rand::rng().random::<u128>()));

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(SECRET.as_bytes()).into_owned());

/// The packet of an outcome, ready to be sent; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Large(Bytes);

/// A message, and what it has taken from a budget.
struct Owned<S> {
    text: String,
    _share: S,
}

impl<S> AsRef<[u8]> for Owned<S> {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Large {
    /// The packet for the event with `data`, which is JSON; `share` is kept until nobody has it any more.
    pub(crate) fn new<S: Send + 'static>(data: &str, share: S) -> Self {
        let mut text = String::with_capacity(BEGIN.len() + data.len() + 1);
        text.push_str(BEGIN);
        text.push_str(data);
        text.push(']');
        Self(Bytes::from_owner(Owned { text, _share: share }))
    }

    /// The bytes of the packet.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// What comes before it in a WebSocket: the header of a text frame that is not masked.
    pub(super) fn header(&self) -> Vec<u8> {
        let mut header = vec![0x81];
        match (u16::try_from(self.0.len()), self.0.len()) {
            (_, short @ 0..126) => header.push(short.to_le_bytes()[0]),
            (Ok(len), _) => {
                header.push(126);
                header.extend(len.to_be_bytes());
            }
            (Err(_), len) => {
                header.push(127);
                header.extend((len as u64).to_be_bytes());
            }
        }
        header
    }
}

/// The data of the event that stands for the large message `number`.
pub(crate) fn reference(number: u64) -> String {
    let mut text = SECRET.clone();
    // Writing to a string does not fail.
    write!(text, "{number:016x}").ok();
    text
}

/// A packet with a reference: where it is, and the number.
pub(crate) struct Found {
    /// Its first byte.
    pub(crate) start: usize,
    /// The byte after its last one.
    pub(crate) end: usize,
    /// The number of the message.
    pub(crate) number: u64,
}

/// The first packet with a reference in `bytes`. Within the text of a user there is none, even with the secret: it would
/// have quotes, which JSON escapes.
pub(crate) fn find(bytes: &[u8]) -> Option<Found> {
    FINDER.find_iter(bytes).find_map(|at| {
        let start = at.checked_sub(BEGIN.len() + 1)?;
        let end = start + REFERENCE;
        let digits = bytes[start..].strip_prefix(BEGIN.as_bytes())?.strip_prefix(b"\"")?.get(..DIGITS)?;
        if bytes.get(end - 2..end)? != b"\"]" {
            return None;
        }
        let number = std::str::from_utf8(&digits[SECRET.len()..]).ok()?;
        Some(Found { start, end, number: u64::from_str_radix(number, 16).ok()? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_found_where_it_stands() {
        let packet = format!("{BEGIN}\"{}\"]", reference(42));
        assert_eq!(packet.len(), REFERENCE);
        let found = find(format!("before{packet}after").as_bytes()).unwrap();
        assert_eq!((found.start, found.end, found.number), (6, 6 + REFERENCE, 42));
        assert!(find(&packet.as_bytes()[..REFERENCE - 1]).is_none());
        assert!(find(b"42[\"Profile_Response\",\"0123\"]").is_none());
        let text = serde_json::to_string(&packet).unwrap();
        let found = find(format!("{text}{}{packet}", reference(7)).as_bytes()).unwrap();
        assert_eq!((found.start, found.number), (text.len() + DIGITS, 42), "a user who knows the secret");
    }

    #[test]
    fn a_header_says_how_long_the_packet_is() {
        for (len, header) in [
            (100, vec![0x81, 100]),
            (70_000, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]),
            (40_000, vec![0x81, 126, 0x9c, 0x40]),
        ] {
            let data = "x".repeat(len - BEGIN.len() - 1);
            assert_eq!(Large::new(&data, ()).header(), header, "{len}");
        }
    }
}
