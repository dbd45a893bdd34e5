//! STRU R in stream mode: where a record ends, and where the file does, is a byte of ones and a
//! code after it; a byte of ones in the data is sent twice. A record is a line here.
//!
//! RFC 959 section 3.4.1. What follows the last line end is a record without an end, so that a
//! file comes back as it was.

use memchr::memchr2;

use super::{CodecError, Decoder, Encoder, Step};

const ESCAPE: u8 = 0xFF;
const RECORD_ENDS: u8 = 1;
const FILE_ENDS: u8 = 2;

/// Lines to records.
#[derive(Debug)]
pub(crate) struct RecordEncoder {
    /// What ends a line in the type.
    new_line: u8,
}

impl RecordEncoder {
    pub(super) fn new(new_line: u8) -> RecordEncoder {
        RecordEncoder { new_line }
    }
}

impl Encoder for RecordEncoder {
    fn encode(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut rest = chunk;
        while let Some(at) = memchr2(ESCAPE, self.new_line, rest) {
            out.extend_from_slice(&rest[..at]);
            let code = if rest[at] == ESCAPE { ESCAPE } else { RECORD_ENDS };
            out.extend([ESCAPE, code]);
            rest = &rest[at + 1..];
        }
        out.extend_from_slice(rest);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        out.extend([ESCAPE, FILE_ENDS]);
    }
}

/// Records to lines.
#[derive(Debug)]
pub(crate) struct RecordDecoder {
    new_line: u8,
    /// The last byte was one of ones, and its code is still to come.
    escaped: bool,
    ended: bool,
}

impl RecordDecoder {
    pub(super) fn new(new_line: u8) -> RecordDecoder {
        RecordDecoder { new_line, escaped: false, ended: false }
    }

    fn take_code(&mut self, code: u8, out: &mut Vec<u8>) -> Result<(), CodecError> {
        const BOTH: u8 = RECORD_ENDS | FILE_ENDS;
        match code {
            ESCAPE => out.push(ESCAPE),
            RECORD_ENDS | FILE_ENDS | BOTH => {
                if code & RECORD_ENDS != 0 {
                    out.push(self.new_line);
                }
                self.ended = code & FILE_ENDS != 0;
            }
            _ => return Err(CodecError::Malformed("no record ends with such a code")),
        }
        Ok(())
    }
}

impl Decoder for RecordDecoder {
    fn decode(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<Step, CodecError> {
        if self.ended {
            return Ok(Step::EndOfFile { taken: 0 });
        }
        let mut rest = chunk;
        while let Some((&first, after)) = rest.split_first() {
            if self.escaped {
                self.escaped = false;
                self.take_code(first, out)?;
                rest = after;
                if self.ended {
                    return Ok(Step::EndOfFile { taken: chunk.len() - rest.len() });
                }
                continue;
            }
            let plain = memchr::memchr(ESCAPE, rest);
            let (data, after) = rest.split_at(plain.unwrap_or(rest.len()));
            out.extend_from_slice(data);
            self.escaped = plain.is_some();
            rest = after.get(1..).unwrap_or_default();
        }
        Ok(Step::More)
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), CodecError> {
        if self.ended { Ok(()) } else { Err(CodecError::Truncated) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_records_and_a_byte_of_ones_is_sent_twice() {
        let (mut encoder, mut out) = (RecordEncoder::new(b'\n'), Vec::new());
        encoder.encode(b"one\n\nt\xFFwo", &mut out);
        encoder.finish(&mut out);
        assert_eq!(out, b"one\xFF\x01\xFF\x01t\xFF\xFFwo\xFF\x02");
    }

    #[test]
    fn records_are_lines_however_the_stream_is_cut() {
        let stream = b"one\xFF\x01t\xFF\xFFwo\xFF\x01last\xFF\x03more";
        for size in 1..=stream.len() {
            let (mut decoder, mut out, mut end) = (RecordDecoder::new(b'\n'), Vec::new(), None);
            for (n, chunk) in stream.chunks(size).enumerate() {
                if let Step::EndOfFile { taken } = decoder.decode(chunk, &mut out).unwrap() {
                    end = Some(n * size + taken);
                    break;
                }
            }
            assert_eq!((&out[..], end), (&b"one\nt\xFFwo\nlast\n"[..], Some(stream.len() - 4)), "{size}");
        }
    }

    #[test]
    fn a_stream_without_its_end_is_no_file() {
        let mut decoder = RecordDecoder::new(b'\n');
        decoder.decode(b"one\xFF\x01", &mut Vec::new()).unwrap();
        assert_eq!(decoder.finish(&mut Vec::new()), Err(CodecError::Truncated));
        let malformed = RecordDecoder::new(b'\n').decode(b"\xFF\x07", &mut Vec::new());
        assert!(matches!(malformed, Err(CodecError::Malformed(_))));
    }
}
