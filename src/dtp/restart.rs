//! Sizes and restart offsets in TYPE A: SIZE and REST count bytes as the data
//! connection carries them (RFC 3659 sections 4 and 5), so the file must be read.

use std::fs::File;
use std::io;

use crate::proto::codec::{AsciiEncoder, ConvertedOffset, Sought};
use crate::proto::params::{RepresentationType, TransferParameters};
use crate::sys::sockets;

const CHUNK: usize = 128 << 10;

/// How many bytes `file` has when it is sent in TYPE A. Reads all of it: the
/// caller decides which files are too long for that.
pub(crate) fn ascii_file_size(file: &File) -> io::Result<u64> {
    let (mut encoder, mut size) = (AsciiEncoder::default(), 0);
    scan(file, |chunk| {
        size += encoder.size(chunk);
        true
    })?;
    Ok(size)
}

/// Whether `file_offset` reads the file.
pub(crate) fn offset_is_read(parameters: &TransferParameters) -> bool {
    parameters.representation != RepresentationType::Image
}

/// The byte of `file`, of `size` bytes, that REST's `offset` means in these parameters. `None`: it is
/// not a place in the file.
pub(crate) fn file_offset(
    file: &File,
    size: u64,
    offset: u64,
    parameters: &TransferParameters,
) -> io::Result<Option<u64>> {
    match parameters.representation {
        _ if offset == 0 => Ok(Some(0)),
        RepresentationType::Image => Ok(Some(offset).filter(|&offset| offset <= size)),
        RepresentationType::Ascii(_) => ascii_file_offset(file, offset),
    }
}

/// The byte of `file` that an offset counted in TYPE A means. `None` when it is
/// beyond the end, or between the CR and the LF of a line end.
fn ascii_file_offset(file: &File, converted: u64) -> io::Result<Option<u64>> {
    let mut seek = ConvertedOffset::new(converted);
    let mut sought = Sought::Further;
    scan(file, |chunk| {
        sought = seek.feed(chunk);
        sought == Sought::Further
    })?;
    if sought == Sought::Further {
        sought = seek.finish();
    }
    Ok(match sought {
        Sought::Found(offset) => Some(offset),
        Sought::WithinLineEnd | Sought::Further => None,
    })
}

/// Reads `file` from its beginning until it ends or `more` says no.
fn scan(file: &File, mut more: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut offset = 0;
    loop {
        chunk.clear();
        let read = sockets::read_more_at(file, offset, &mut chunk)?;
        if read == 0 || !more(&chunk) {
            return Ok(());
        }
        offset += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Scratch;

    /// A file without a name.
    fn file_of(content: &[u8]) -> File {
        File::open(Scratch::new().write("file", content)).unwrap()
    }

    #[test]
    fn sizes_and_offsets_count_what_is_sent() {
        // Lines of seven bytes, eight when they are sent, across several chunks.
        let file = file_of(&b"123456\n".repeat(CHUNK));
        assert_eq!(ascii_file_size(&file).unwrap(), 8 * CHUNK as u64);
        assert_eq!(ascii_file_offset(&file, 0).unwrap(), Some(0));
        assert_eq!(ascii_file_offset(&file, 6).unwrap(), Some(6));
        assert_eq!(ascii_file_offset(&file, 7).unwrap(), None);
        assert_eq!(ascii_file_offset(&file, 8 * 100_000 + 3).unwrap(), Some(7 * 100_000 + 3));
        assert_eq!(ascii_file_offset(&file, 8 * CHUNK as u64).unwrap(), Some(7 * CHUNK as u64));
        assert_eq!(ascii_file_offset(&file, 8 * CHUNK as u64 + 1).unwrap(), None);
    }
}
