//! Bytes to be printed, and texts written to them as JSON.

use citywatch_parsers::escape;

/// Room that is made at first, and beyond what is asked for.
const ROOM_BYTES: usize = 16 << 10;

/// Bytes that grow at the end. All of its memory has a value, so that many bytes can be written at once where
/// perhaps only three count.
#[derive(Debug, Default)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl LineBuffer {
    /// What was written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Forgets what was written and keeps the memory.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Appends bytes.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.bytes[self.filled..self.filled + bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len();
    }

    #[inline]
    fn make_room(&mut self, bytes: usize) {
        if self.bytes.len() - self.filled < bytes {
            self.grow(bytes);
        }
    }

    #[cold]
    fn grow(&mut self, bytes: usize) {
        let wanted = self.filled + bytes + ROOM_BYTES;
        self.bytes.resize(wanted.max(2 * self.bytes.len()), 0);
    }

    /// Appends a text as JSON.
    #[inline]
    pub fn push_json(&mut self, text: &str) {
        self.make_room(escape::room_for(text.len()));
        self.filled += escape::escape(text, &mut self.bytes[self.filled..]);
    }
}

impl std::io::Write for LineBuffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_there_in_its_order_however_much_it_is() {
        let mut lines = LineBuffer::default();
        let mut expected = Vec::new();
        for round in 0..3 {
            for number in 0..20_000 {
                let text = format!("{round} {number}\n");
                lines.push(text.as_bytes());
                expected.extend_from_slice(text.as_bytes());
            }
            assert!(lines.as_bytes() == expected);
            lines.clear();
            expected.clear();
        }
        assert!(lines.as_bytes().is_empty());
    }
}
