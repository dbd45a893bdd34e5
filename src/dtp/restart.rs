//! Sizes and restart offsets in TYPE A: SIZE and REST count bytes as the data
//! connection carries them (RFC 3659 sections 4 and 5), so the file must be read.

use std::fs::File;
use std::io;
use std::time::Instant;

use super::error::TransferError;
use super::watch::{self, LATE, Progress, Watch};
use crate::proto::codec::{AsciiEncoder, ConvertedOffset, Sought};
use crate::proto::params::{RepresentationType, Structure, TransferParameters};
use crate::sys::sockets;

const CHUNK: usize = 128 << 10;
/// So much of a file is read before the watch is asked whether that is still wanted.
const LOOK_EVERY: u64 = 16 << 20;

/// How many bytes `file` has when it is sent in TYPE A. Reads all of it: the
/// caller decides which files are too long for that.
pub(crate) fn ascii_file_size(file: &File) -> io::Result<u64> {
    let (mut encoder, mut size) = (AsciiEncoder::default(), 0);
    scan(file, |chunk, _| {
        size += encoder.size(chunk);
        true
    })?;
    Ok(size)
}

/// Whether `file_offset` reads the file.
pub(crate) fn offset_is_read(parameters: &TransferParameters) -> bool {
    matches!(parameters.representation, RepresentationType::Ascii(_))
}

/// The byte of `file`, of `size` bytes, that REST's `offset` means in these parameters. `None`: it is
/// not a place in the file. To read a long file takes long, unless the watch ends it.
pub(crate) fn file_offset(
    file: &File,
    size: u64,
    offset: u64,
    parameters: &TransferParameters,
    watch: &mut dyn Watch,
) -> Result<Option<u64>, TransferError> {
    match parameters.representation {
        _ if offset == 0 => Ok(Some(0)),
        // Records are not counted in bytes.
        _ if parameters.structure == Structure::Record => Ok(None),
        RepresentationType::Image | RepresentationType::Ebcdic(_) => {
            Ok(Some(offset).filter(|&offset| offset <= size))
        }
        RepresentationType::Ascii(_) => ascii_file_offset(file, size, offset, watch),
    }
}

/// The byte of `file` that an offset counted in TYPE A means. `None` when it is
/// beyond the end, or between the CR and the LF of a line end.
fn ascii_file_offset(
    file: &File,
    size: u64,
    converted: u64,
    watch: &mut dyn Watch,
) -> Result<Option<u64>, TransferError> {
    let mut seek = ConvertedOffset::new(converted);
    let mut sought = Sought::Further;
    let mut patience = Patience { watch, progress: Progress::new(Some(size)), gone: None };
    let mut watched = Ok(());
    let scanned = scan(file, |chunk, offset| {
        if offset.is_multiple_of(LOOK_EVERY) {
            watched = patience.ask();
        }
        sought = seek.feed(chunk);
        watched.is_ok() && sought == Sought::Further
    });
    scanned.map_err(TransferError::FileRead)?;
    watched?;
    if sought == Sought::Further {
        sought = seek.finish();
    }
    Ok(match sought {
        Sought::Found(offset) => Some(offset),
        Sought::WithinLineEnd | Sought::Further => None,
    })
}

/// Whether a search is still wanted.
struct Patience<'a> {
    watch: &'a mut dyn Watch,
    progress: Progress,
    /// Since when the client is known to be gone.
    gone: Option<Instant>,
}

impl Patience<'_> {
    /// What a client sent before it went may wait for this; but not as long as for a client.
    fn ask(&mut self) -> Result<(), TransferError> {
        if !watch::look(self.watch, &self.progress)? {
            return Ok(());
        }
        if self.gone.get_or_insert_with(Instant::now).elapsed() < LATE {
            return Ok(());
        }
        Err(TransferError::ControlLost(io::ErrorKind::UnexpectedEof.into()))
    }
}

/// Reads `file` from its beginning until it ends or `more` says no, which gets the bytes
/// and where they stand.
fn scan(file: &File, mut more: impl FnMut(&[u8], u64) -> bool) -> io::Result<()> {
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut offset = 0;
    loop {
        chunk.clear();
        let read = sockets::read_more_at(file, offset, &mut chunk)?;
        if read == 0 || !more(&chunk, offset) {
            return Ok(());
        }
        offset += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtp::tests::{Control, Departed};
    use crate::test_support::Scratch;
    use std::io::Write;

    /// A file without a name.
    fn file_of(content: &[u8]) -> File {
        File::open(Scratch::new().write("file", content)).unwrap()
    }

    #[test]
    fn sizes_and_offsets_count_what_is_sent() {
        // Lines of seven bytes, eight when they are sent, across several chunks.
        let file = file_of(&b"123456\n".repeat(CHUNK));
        assert_eq!(ascii_file_size(&file).unwrap(), 8 * CHUNK as u64);
        let (mut watch, _user) = Control::new();
        let mut offset =
            |converted| ascii_file_offset(&file, 7 * CHUNK as u64, converted, &mut watch).unwrap();
        assert_eq!(offset(0), Some(0));
        assert_eq!(offset(6), Some(6));
        assert_eq!(offset(7), None);
        assert_eq!(offset(8 * 100_000 + 3), Some(7 * 100_000 + 3));
        assert_eq!(offset(8 * CHUNK as u64), Some(7 * CHUNK as u64));
        assert_eq!(offset(8 * CHUNK as u64 + 1), None);
    }

    #[test]
    fn abor_and_a_hang_up_end_the_search() {
        let scratch = Scratch::new();
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true).open(scratch.join("sparse")).unwrap();
        file.set_len(1 << 42).unwrap();
        let (mut watch, mut user) = Control::new();
        user.write_all(b"xA").unwrap();
        let outcome = ascii_file_offset(&file, 1 << 42, 1 << 41, &mut watch);
        assert!(matches!(outcome, Err(TransferError::Aborted)), "{outcome:?}");
        drop(user);
        let outcome = ascii_file_offset(&file, 1 << 42, 1 << 41, &mut watch);
        assert!(matches!(outcome, Err(TransferError::ControlLost(_))), "{outcome:?}");
        let outcome = ascii_file_offset(&file, 1 << 42, 1 << 41, &mut Departed::default());
        assert!(matches!(outcome, Err(TransferError::ControlLost(_))), "{outcome:?}");
    }
}
