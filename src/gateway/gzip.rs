//! gzip in both directions: answers that a server compressed unasked are read as what they say, and larger
//! answers are compressed for clients that asked. Memory is bounded in both.

use std::io::{Error, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzDecoder, GzEncoder};

/// Smaller answers travel in one or two packets either way.
pub(crate) const WORTH_BYTES: usize = 2048;
/// What one compressed answer may become; a thousand times more than what is sent would fit into one.
const UNPACKED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Unpacked at once, so that the bound is noticed soon: no more than 1 MiB comes of it.
const STEP_BYTES: usize = 1024;

/// An answer on its way to being compressed.
pub(crate) struct Packer(GzEncoder<Vec<u8>>);

impl Default for Packer {
    fn default() -> Self {
        // Answers are text of few words: more effort saves little.
        Self(GzEncoder::new(Vec::new(), Compression::fast()))
    }
}

impl Packer {
    /// What there is to send after `chunk`; may be nothing before the end.
    pub(crate) fn push(&mut self, chunk: &[u8], end: bool) -> Bytes {
        // Writing into memory does not fail.
        let _ = self.0.write_all(chunk);
        if end {
            let _ = self.0.try_finish();
        }
        Bytes::from(std::mem::take(self.0.get_mut()))
    }
}

/// `body` compressed.
pub(crate) fn pack(body: &[u8]) -> Bytes {
    Packer::default().push(body, true)
}

/// A compressed answer on its way to being read.
pub(crate) struct Unpacker {
    inner: GzDecoder<Vec<u8>>,
    unpacked: usize,
}

impl Default for Unpacker {
    fn default() -> Self {
        Self { inner: GzDecoder::new(Vec::new()), unpacked: 0 }
    }
}

impl Unpacker {
    /// What `chunk` says. Fails if it is no gzip, ends early, or becomes too much.
    pub(crate) fn push(&mut self, chunk: &[u8], end: bool) -> Result<Bytes, Error> {
        for step in chunk.chunks(STEP_BYTES) {
            self.inner.write_all(step)?;
            if self.unpacked + self.inner.get_ref().len() > UNPACKED_BYTES_MAX {
                return Err(Error::other("too large when unpacked"));
            }
        }
        if end {
            self.inner.try_finish()?;
        }
        let unpacked = std::mem::take(self.inner.get_mut());
        self.unpacked += unpacked.len();
        Ok(Bytes::from(unpacked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(packed: &[u8], chunk: usize) -> Result<Vec<u8>, Error> {
        let mut unpacker = Unpacker::default();
        let mut all = Vec::new();
        for piece in packed.chunks(chunk) {
            all.extend_from_slice(&unpacker.push(piece, false)?);
        }
        all.extend_from_slice(&unpacker.push(b"", true)?);
        Ok(all)
    }

    #[test]
    fn what_was_packed_in_pieces_unpacks_in_pieces() {
        let text = "<meeting>Größe</meeting>".repeat(5000);
        let mut packer = Packer::default();
        let mut packed = Vec::new();
        for piece in text.as_bytes().chunks(7000) {
            packed.extend_from_slice(&packer.push(piece, false));
        }
        packed.extend_from_slice(&packer.push(b"", true));
        assert!(packed.len() < text.len() / 10);
        for chunk in [1, 100, 100_000] {
            assert_eq!(unpack(&packed, chunk).unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn what_is_no_whole_gzip_is_refused() {
        let packed = pack(b"<response></response>");
        assert!(unpack(&packed[..packed.len() - 3], 10).is_err());
        assert!(unpack(b"<response></response>", 10).is_err());
        assert!(unpack(b"", 10).is_err());
    }

    #[test]
    fn a_bomb_is_noticed_before_it_is_large() {
        let mut packer = Packer::default();
        let mut packed = Vec::new();
        for _ in 0..64 {
            packed.extend_from_slice(&packer.push(&vec![b' '; 1024 * 1024], false));
        }
        packed.extend_from_slice(&packer.push(b"", true));
        assert!(packed.len() < 1024 * 1024);
        let mut unpacker = Unpacker::default();
        assert!(unpacker.push(&packed, true).is_err());
        assert!(unpacker.inner.get_ref().len() < UNPACKED_BYTES_MAX + 2 * 1024 * 1024);
    }
}
