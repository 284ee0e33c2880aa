//! A TCP stream of syslog to messages (RFC 6587, 3.4): counted (`5 hello`) or ended by a line feed.

use citywatch_parsers::record::Truncated;

use crate::sources::files::lines::RECORD_BYTES_MAX;

/// More digits than any message's length has.
const COUNT_DIGITS_MAX: usize = 7;

/// Bytes of a connection that are not messages yet.
#[derive(Debug, Default)]
pub(super) struct Framing {
    buffer: Vec<u8>,
    /// Bytes of a message beyond the bound that are still to be passed over.
    skip: Skip,
}

#[derive(Clone, Copy, Debug, Default)]
enum Skip {
    #[default]
    Nothing,
    Bytes(usize),
    ToLineEnd,
}

impl Framing {
    /// Adds what was received and hands out each message that is complete. The buffer never holds
    /// more than one message's bound and what was received at once.
    pub(super) fn receive(&mut self, mut bytes: &[u8], mut message: impl FnMut(&[u8], Truncated)) {
        match self.skip {
            Skip::Nothing => {}
            Skip::Bytes(left) => {
                let passed = left.min(bytes.len());
                bytes = &bytes[passed..];
                self.skip = if left > passed {
                    Skip::Bytes(left - passed)
                } else {
                    Skip::Nothing
                };
            }
            Skip::ToLineEnd => match memchr::memchr(b'\n', bytes) {
                Some(end) => {
                    bytes = &bytes[end + 1..];
                    self.skip = Skip::Nothing;
                }
                None => return,
            },
        }
        self.buffer.extend_from_slice(bytes);
        let mut taken = 0;
        while let Some(used) = self.next(taken, &mut message) {
            taken += used;
        }
        self.buffer.drain(..taken);
        if self.buffer.is_empty() {
            self.buffer.shrink_to(64 << 10);
        }
    }

    /// The connection is over: what is there is a message.
    pub(super) fn end(mut self, mut message: impl FnMut(&[u8], Truncated)) {
        self.buffer.push(b'\n');
        let mut taken = 0;
        while let Some(used) = self.next(taken, &mut message) {
            taken += used;
        }
    }

    /// Takes one message at `start`; returns how many bytes it used.
    fn next(&mut self, start: usize, message: &mut impl FnMut(&[u8], Truncated)) -> Option<usize> {
        let rest = &self.buffer[start..];
        if rest.is_empty() {
            return None;
        }
        if let Some((header, length)) = count(rest) {
            if length > RECORD_BYTES_MAX {
                if rest.len() < header + RECORD_BYTES_MAX {
                    return None;
                }
                message(&rest[header..header + RECORD_BYTES_MAX], Truncated::Yes);
                let used = rest.len().min(header + length);
                if header + length > used {
                    self.skip = Skip::Bytes(header + length - used);
                }
                return Some(used);
            }
            message(rest.get(header..header + length)?, Truncated::No);
            return Some(header + length);
        }
        match memchr::memchr(b'\n', rest) {
            Some(end) => {
                let line = &rest[..end];
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if line.len() > RECORD_BYTES_MAX {
                    message(&line[..RECORD_BYTES_MAX], Truncated::Yes);
                } else if !line.is_empty() {
                    message(line, Truncated::No);
                }
                Some(end + 1)
            }
            None if rest.len() > RECORD_BYTES_MAX => {
                message(&rest[..RECORD_BYTES_MAX], Truncated::Yes);
                self.skip = Skip::ToLineEnd;
                Some(rest.len())
            }
            None => None,
        }
    }
}

/// The count before a message: its bytes with the blank, and the message's length.
fn count(rest: &[u8]) -> Option<(usize, usize)> {
    let digits = rest
        .iter()
        .take(COUNT_DIGITS_MAX)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if digits == 0 || rest[0] == b'0' || rest.get(digits) != Some(&b' ') {
        return None;
    }
    let length = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    Some((digits + 1, length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn messages(pieces: &[&[u8]]) -> Vec<(Vec<u8>, Truncated)> {
        let mut found = Vec::new();
        let mut framing = Framing::default();
        for piece in pieces {
            framing.receive(piece, |message, truncated| {
                found.push((message.to_vec(), truncated))
            });
        }
        framing.end(|message, truncated| found.push((message.to_vec(), truncated)));
        found
    }

    fn texts(pieces: &[&[u8]]) -> Vec<String> {
        messages(pieces)
            .into_iter()
            .map(|(message, _)| String::from_utf8_lossy(&message).into_owned())
            .collect()
    }

    #[test]
    fn lines_and_counted_messages_may_alternate() {
        assert_eq!(
            texts(&[b"<1>one\n6 <2>two<3>th", b"ree\r\n\n8 <4>a\nb c<5>end"]),
            ["<1>one", "<2>two", "<3>three", "<4>a\nb c", "<5>end"]
        );
    }

    #[test]
    fn what_is_too_long_is_cut_and_the_next_is_whole() {
        let long = vec![b'x'; RECORD_BYTES_MAX + 77];
        for start in [&b""[..], format!("{} ", long.len()).as_bytes()] {
            let mut bytes = start.to_vec();
            bytes.extend_from_slice(&long);
            if start.is_empty() {
                bytes.push(b'\n');
            }
            bytes.extend_from_slice(b"<1>next\n");
            for size in [1000, bytes.len()] {
                let found = messages(&bytes.chunks(size).collect::<Vec<_>>());
                assert_eq!(found.len(), 2, "pieces of {size}");
                assert_eq!(
                    (found[0].0.len(), found[0].1),
                    (RECORD_BYTES_MAX, Truncated::Yes)
                );
                assert_eq!(found[1], (b"<1>next".to_vec(), Truncated::No));
            }
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bytes in "([0-9]{1,2} |[a-z<>]{1,4}|\n){0,30}", size in 1_usize..20) {
            let whole = messages(&[bytes.as_bytes()]);
            prop_assert_eq!(messages(&bytes.as_bytes().chunks(size).collect::<Vec<_>>()), whole);
        }
    }
}
