//! MODE B: a file is a series of blocks, each with a descriptor and a count before it, and
//! the last one says that it is the last. So the data connection can carry the next file too.
//!
//! RFC 959 section 3.4.2. In record structure a line is a record; in file structure ends of
//! records have no meaning, and are passed over. So are restart markers, and the mark of data
//! that its sender suspects.

use super::{CodecError, Decoder, Encoder, Step};

/// The bits of a descriptor.
pub(super) const RECORD_ENDS: u8 = 0x80;
pub(super) const FILE_ENDS: u8 = 0x40;
const SUSPECT: u8 = 0x20;
pub(super) const RESTART_MARKER: u8 = 0x10;
pub(super) const KNOWN: u8 = RECORD_ENDS | FILE_ENDS | SUSPECT | RESTART_MARKER;

/// A descriptor, and a count of two bytes.
const HEADER: usize = 3;
/// How much of a file goes into one block: as large as others have them, and a part of every read.
const BLOCK: usize = 32 << 10;

/// Bytes to blocks.
#[derive(Debug, Default)]
pub(crate) struct BlockEncoder {
    /// With record structure: what ends a line in the type.
    new_line: Option<u8>,
}

impl BlockEncoder {
    pub(super) fn new(new_line: Option<u8>) -> BlockEncoder {
        BlockEncoder { new_line }
    }
}

impl Encoder for BlockEncoder {
    fn encode(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let Some(new_line) = self.new_line else { return put_blocks(chunk, out) };
        for line in chunk.split_inclusive(|&byte| byte == new_line) {
            match line.strip_suffix(&[new_line]) {
                Some(record) => {
                    // The last block of a record says so, also when there is nothing in it.
                    let (whole, last) = record.split_at(record.len() - record.len().min(BLOCK));
                    put_blocks(whole, out);
                    put_header(RECORD_ENDS, last.len(), out);
                    out.extend_from_slice(last);
                }
                None => put_blocks(line, out),
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        put_header(FILE_ENDS, 0, out);
    }
}

fn put_blocks(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + bytes.len().div_ceil(BLOCK) * HEADER);
    for block in bytes.chunks(BLOCK) {
        put_header(0, block.len(), out);
        out.extend_from_slice(block);
    }
}

fn put_header(descriptor: u8, count: usize, out: &mut Vec<u8>) {
    let count = u16::try_from(count).expect("a block is shorter than 64 KiB");
    out.push(descriptor);
    out.extend_from_slice(&count.to_be_bytes());
}

/// Blocks to bytes.
#[derive(Debug, Default)]
pub(crate) struct BlockDecoder {
    new_line: Option<u8>,
    /// As much of a header as has come, while one comes.
    header: [u8; HEADER],
    header_len: usize,
    /// The descriptor of the block that comes, and how much of it is still to come.
    descriptor: u8,
    left: usize,
    ended: bool,
}

impl BlockDecoder {
    pub(super) fn new(new_line: Option<u8>) -> BlockDecoder {
        BlockDecoder { new_line, ..BlockDecoder::default() }
    }
}

impl Decoder for BlockDecoder {
    fn decode(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<Step, CodecError> {
        if self.ended {
            return Ok(Step::EndOfFile { taken: 0 });
        }
        let mut rest = chunk;
        while let Some((&byte, after)) = rest.split_first() {
            if self.left > 0 {
                let (data, after) = rest.split_at(self.left.min(rest.len()));
                if self.descriptor & RESTART_MARKER == 0 {
                    out.extend_from_slice(data);
                }
                self.left -= data.len();
                rest = after;
            } else {
                self.take_header(byte)?;
                rest = after;
            }
            if self.header_len == 0 && self.left == 0 {
                self.end_block(out);
            }
            if self.ended {
                return Ok(Step::EndOfFile { taken: chunk.len() - rest.len() });
            }
        }
        Ok(Step::More)
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), CodecError> {
        if self.ended { Ok(()) } else { Err(CodecError::Truncated) }
    }
}

impl BlockDecoder {
    fn take_header(&mut self, byte: u8) -> Result<(), CodecError> {
        self.header[self.header_len] = byte;
        self.header_len = (self.header_len + 1) % HEADER;
        if self.header_len == 0 {
            let [descriptor, high, low] = self.header;
            if descriptor & !KNOWN != 0 {
                return Err(CodecError::Malformed("no block has such a descriptor"));
            }
            self.descriptor = descriptor;
            self.left = usize::from(u16::from_be_bytes([high, low]));
        }
        Ok(())
    }

    fn end_block(&mut self, out: &mut Vec<u8>) {
        if self.descriptor & RECORD_ENDS != 0 {
            out.extend(self.new_line);
        }
        self.ended = self.descriptor & FILE_ENDS != 0;
        self.descriptor = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(file: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        BlockEncoder::default().encode(file, &mut out);
        BlockEncoder::default().finish(&mut out);
        out
    }

    /// What the chunks of `size` make of the stream, and how much of it is the file's.
    fn decoded(stream: &[u8], size: usize) -> Result<(Vec<u8>, usize), CodecError> {
        let (mut decoder, mut out, mut passed) = (BlockDecoder::default(), Vec::new(), 0);
        for chunk in stream.chunks(size) {
            match decoder.decode(chunk, &mut out)? {
                Step::More => passed += chunk.len(),
                Step::EndOfFile { taken } => return Ok((out, passed + taken)),
            }
        }
        decoder.finish(&mut out).map(|()| (out, passed))
    }

    #[test]
    fn a_file_is_blocks_and_an_end() {
        assert_eq!(encoded(b""), b"\x40\0\0");
        assert_eq!(encoded(b"abc"), b"\0\0\x03abc\x40\0\0");
        let long = vec![7; 2 * BLOCK + 1];
        let sent = encoded(&long);
        assert_eq!(sent.len(), long.len() + 4 * HEADER);
        assert_eq!(sent[..HEADER], [0, 0x80, 0]);
        assert_eq!(decoded(&sent, 1000).unwrap(), (long, sent.len()));
    }

    #[test]
    fn decodes_alike_however_the_stream_is_cut() {
        // A block, an empty one, a record's end, a restart marker, suspect data, the last block, more.
        let stream = b"\0\0\x02ab\0\0\0\x80\0\x01c\x10\0\x03987\x20\0\x01d\x40\0\x02ef\0\0\x01x";
        for size in 1..=stream.len() {
            let (file, taken) = decoded(stream, size).unwrap();
            assert_eq!(
                (&file[..], &stream[taken..]),
                (&b"abcdef"[..], &b"\0\0\x01x"[..]),
                "chunks of {size}"
            );
        }
    }

    #[test]
    fn a_stream_without_its_end_is_truncated_wherever_it_breaks_off() {
        let stream = encoded(b"abc");
        for len in 0..stream.len() {
            let outcome = decoded(&stream[..len], 2);
            assert!(matches!(outcome, Err(CodecError::Truncated)), "{len}: {outcome:?}");
        }
    }

    #[test]
    fn a_descriptor_that_is_none_is_told() {
        for descriptor in [0x01, 0x0f, 0x48] {
            let outcome = decoded(&[descriptor, 0, 1, b'x'], 3);
            assert!(matches!(outcome, Err(CodecError::Malformed(_))), "{outcome:?}");
        }
    }

    #[test]
    fn after_the_end_nothing_is_taken() {
        let (mut decoder, mut out) = (BlockDecoder::default(), Vec::new());
        assert_eq!(decoder.decode(b"\x40\0\0\0", &mut out).unwrap(), Step::EndOfFile { taken: 3 });
        assert_eq!(decoder.decode(b"\0\0\x01x", &mut out).unwrap(), Step::EndOfFile { taken: 0 });
        assert!(out.is_empty());
    }

    #[test]
    fn a_line_is_a_record_in_record_structure() {
        let (mut encoder, mut out) = (BlockEncoder::new(Some(b'\n')), Vec::new());
        encoder.encode(b"one\n\ntw", &mut out);
        encoder.encode(b"o\nrest", &mut out);
        encoder.finish(&mut out);
        let blocks =
            [&b"\x80\x00\x03one\x80\x00\x00"[..], b"\x00\x00\x02tw\x80\x00\x01o\x00\x00\x04rest\x40\x00\x00"];
        assert_eq!(out, blocks.concat());
        for size in 1..=out.len() {
            let (mut decoder, mut file) = (BlockDecoder::new(Some(b'\n')), Vec::new());
            out.chunks(size).for_each(|chunk| {
                decoder.decode(chunk, &mut file).unwrap();
            });
            assert_eq!(file, b"one\n\ntwo\nrest", "{size}");
        }
    }
}
