//! Characters without which a message cannot be of certain kinds: one look at a message spares many that would end in nothing.

/// `=` of key=value pairs.
pub(super) const PAIR: u8 = 1;
/// A character that each format has which may stand within a message.
pub(super) const INNER: u8 = 2;
/// A letter that is rare in messages, of ` via `.
pub(super) const VIA: u8 = 4;

/// What each byte is a sign of.
static OF_BYTE: [u8; 256] = {
    let mut signs = [0; 256];
    signs[b'=' as usize] = PAIR | INNER;
    signs[b'[' as usize] = INNER;
    signs[b'{' as usize] = INNER;
    signs[b'<' as usize] = INNER;
    signs[b'|' as usize] = INNER;
    signs[b'v' as usize] = VIA;
    signs
};

/// All signs of a message.
pub(super) fn of(message: &str) -> u8 {
    let sign = |byte: &u8| OF_BYTE[usize::from(*byte)];
    let (eights, rest) = message.as_bytes().as_chunks::<8>();
    let of_eights = eights.iter().fold(0, |signs, [a, b, c, d, e, f, g, h]| {
        signs
            | (sign(a) | sign(b))
            | (sign(c) | sign(d))
            | (sign(e) | sign(f))
            | (sign(g) | sign(h))
    });
    rest.iter()
        .fold(of_eights, |signs, byte| signs | sign(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_looked_at() {
        for length in 1..40 {
            for place in 0..length {
                let mut message = vec![b'.'; length];
                assert_eq!(of(std::str::from_utf8(&message).unwrap()), 0);
                message[place] = b'=';
                assert_eq!(of(std::str::from_utf8(&message).unwrap()), PAIR | INNER);
            }
        }
    }
}
