//! Characters without which a message cannot be of certain kinds: one look at a message spares many that would end in nothing.

use crate::bytes::holds_any;

/// `=` of key=value pairs.
pub(super) const PAIR: u8 = 1;
/// A character that each format has which may stand within a message.
pub(super) const INNER: u8 = 2;

/// All signs of a message.
pub(super) fn of(message: &str) -> u8 {
    /// Of each sign, the bytes that are it.
    const BYTES: [[u8; 4]; 2] = [*b"====", *b"[{<|"];
    let [pair, inner] = holds_any(BYTES, message.as_bytes());
    let sign = |is_there: bool, sign: u8| if is_there { sign } else { 0 };
    sign(pair, PAIR | INNER) | sign(inner, INNER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_looked_at() {
        for length in 1..80 {
            for place in 0..length {
                let mut message = vec![b'.'; length];
                assert_eq!(of(std::str::from_utf8(&message).unwrap()), 0);
                message[place] = b'=';
                assert_eq!(of(std::str::from_utf8(&message).unwrap()), PAIR | INNER);
            }
        }
    }
}
