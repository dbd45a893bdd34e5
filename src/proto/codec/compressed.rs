//! MODE C: runs of one byte are sent as a count and the byte, and those of the filler as a count.
//!
//! RFC 959 section 3.4.3. A descriptor, as those of block mode, is about the string of bytes that
//! follows it. It is sent with an empty one, so that it means the same to receivers that take it
//! to be about what came before.

use super::block::{FILE_ENDS, KNOWN, RECORD_ENDS, RESTART_MARKER};
use super::{CodecError, Decoder, Encoder, Step};

/// A byte of zeros, and a descriptor after it.
const ESCAPE: u8 = 0;
/// What the two high bits of a string's first byte say.
const FILLED: u8 = 0xC0;
const REPEATED: u8 = 0x80;
/// The longest strings.
const LONGEST: usize = 127;
const LONGEST_RUN: usize = 63;
/// A shorter run is not worth its count.
const SHORTEST_RUN: usize = 3;

/// Bytes to strings.
#[derive(Debug)]
pub(crate) struct CompressedEncoder {
    /// A space in text, zero in what is not.
    filler: u8,
    /// With record structure: what ends a line in the type.
    new_line: Option<u8>,
}

impl CompressedEncoder {
    pub(super) fn new(filler: u8, new_line: Option<u8>) -> CompressedEncoder {
        CompressedEncoder { filler, new_line }
    }

    fn put(&self, bytes: &[u8], out: &mut Vec<u8>) {
        let (mut plain, mut at) = (0, 0);
        while at < bytes.len() {
            let byte = bytes[at];
            let run = bytes[at..].iter().take(LONGEST_RUN).take_while(|&&next| next == byte).count();
            if run < SHORTEST_RUN && !(run == 2 && byte == self.filler) {
                at += run;
                continue;
            }
            put_plain(&bytes[plain..at], out);
            let count = u8::try_from(run).unwrap_or(u8::MAX);
            match byte == self.filler {
                true => out.push(FILLED | count),
                false => out.extend([REPEATED | count, byte]),
            }
            at += run;
            plain = at;
        }
        put_plain(&bytes[plain..], out);
    }
}

fn put_plain(bytes: &[u8], out: &mut Vec<u8>) {
    for string in bytes.chunks(LONGEST) {
        out.push(u8::try_from(string.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(string);
    }
}

fn put_descriptor(descriptor: u8, out: &mut Vec<u8>) {
    out.extend([ESCAPE, descriptor, FILLED]);
}

impl Encoder for CompressedEncoder {
    fn encode(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let Some(new_line) = self.new_line else { return self.put(chunk, out) };
        for line in chunk.split_inclusive(|&byte| byte == new_line) {
            match line.strip_suffix(&[new_line]) {
                Some(record) => {
                    self.put(record, out);
                    put_descriptor(RECORD_ENDS, out);
                }
                None => self.put(line, out),
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        put_descriptor(FILE_ENDS, out);
    }
}

/// Strings to bytes.
#[derive(Debug)]
pub(crate) struct CompressedDecoder {
    filler: u8,
    new_line: Option<u8>,
    expects: Expects,
    /// What is said of the string that comes, or comes next.
    descriptor: u8,
    ended: bool,
}

#[derive(Clone, Copy, Debug)]
enum Expects {
    /// The first byte of a string, or an escape.
    String,
    Descriptor,
    /// So many more bytes as they are.
    Plain(u8),
    /// The byte that is repeated so often.
    Repeated(u8),
}

impl CompressedDecoder {
    pub(super) fn new(filler: u8, new_line: Option<u8>) -> CompressedDecoder {
        CompressedDecoder { filler, new_line, expects: Expects::String, descriptor: 0, ended: false }
    }

    fn take(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let is_file = self.descriptor & RESTART_MARKER == 0;
        match self.expects {
            Expects::String => match byte {
                ESCAPE => self.expects = Expects::Descriptor,
                1..=0x7F => self.expects = Expects::Plain(byte),
                _ if byte & FILLED == FILLED => {
                    if is_file {
                        out.resize(out.len() + usize::from(byte & !FILLED), self.filler);
                    }
                    self.end_string(out);
                }
                _ => self.expects = Expects::Repeated(byte & !REPEATED),
            },
            Expects::Descriptor => {
                if byte & !KNOWN != 0 {
                    return Err(CodecError::Malformed("no string has such a descriptor"));
                }
                self.descriptor |= byte;
                self.expects = Expects::String;
            }
            Expects::Plain(left) => {
                if is_file {
                    out.push(byte);
                }
                match left - 1 {
                    0 => self.end_string(out),
                    left => self.expects = Expects::Plain(left),
                }
            }
            Expects::Repeated(count) => {
                if is_file {
                    out.resize(out.len() + usize::from(count), byte);
                }
                self.end_string(out);
            }
        }
        Ok(())
    }

    fn end_string(&mut self, out: &mut Vec<u8>) {
        if self.descriptor & RECORD_ENDS != 0 {
            out.extend(self.new_line);
        }
        self.ended = self.descriptor & FILE_ENDS != 0;
        (self.descriptor, self.expects) = (0, Expects::String);
    }
}

impl Decoder for CompressedDecoder {
    fn decode(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<Step, CodecError> {
        if self.ended {
            return Ok(Step::EndOfFile { taken: 0 });
        }
        for (at, &byte) in chunk.iter().enumerate() {
            self.take(byte, out)?;
            if self.ended {
                return Ok(Step::EndOfFile { taken: at + 1 });
            }
        }
        Ok(Step::More)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        // Some senders say that the file ends, and send no string that this is about.
        if self.descriptor & FILE_ENDS != 0 && matches!(self.expects, Expects::String) {
            self.end_string(out);
        }
        if self.ended { Ok(()) } else { Err(CodecError::Truncated) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(file: &[u8], filler: u8, new_line: Option<u8>) -> Vec<u8> {
        let (mut encoder, mut out) = (CompressedEncoder::new(filler, new_line), Vec::new());
        encoder.encode(file, &mut out);
        encoder.finish(&mut out);
        out
    }

    #[test]
    fn runs_are_counted() {
        let end = b"\x00\x40\xC0";
        assert_eq!(encoded(b"ab", b' ', None), [&b"\x02ab"[..], end].concat());
        assert_eq!(encoded(b"a    b", b' ', None), [&b"\x01a\xC4\x01b"[..], end].concat());
        assert_eq!(encoded(&[b'x'; 70], b' ', None), [&b"\xBFx\x87x"[..], end].concat());
        assert_eq!(encoded(&[0; 64], 0, None), [&b"\xFF\x01\x00"[..], end].concat());
        assert_eq!(
            encoded(b"a\n\nb", b' ', Some(b'\n')),
            [&b"\x01a\x00\x80\xC0\x00\x80\xC0\x01b"[..], end].concat()
        );
    }

    #[test]
    fn every_file_comes_back_however_the_stream_is_cut() {
        let mut file = Vec::new();
        for n in 0..300_usize {
            file.extend(std::iter::repeat_n((n % 7 * 37) as u8, n % 140));
            file.extend([n as u8, b'\n', b' ', b' ', 0, 0]);
        }
        for (filler, new_line) in [(b' ', None), (0, None), (b' ', Some(b'\n'))] {
            let mut stream = encoded(&file, filler, new_line);
            let length = stream.len();
            stream.extend(b"next");
            for size in [1, 2, 3, 7, 64, 1000, stream.len()] {
                let mut decoder = CompressedDecoder::new(filler, new_line);
                let (mut out, mut end) = (Vec::new(), None);
                for (n, chunk) in stream.chunks(size).enumerate() {
                    if let Step::EndOfFile { taken } = decoder.decode(chunk, &mut out).unwrap() {
                        end = Some(n * size + taken);
                        break;
                    }
                }
                assert!(out == file, "{filler} {new_line:?} {size}");
                assert_eq!(end, Some(length));
            }
        }
    }

    #[test]
    fn the_end_is_understood_without_a_string_and_missed_without_a_descriptor() {
        let mut decoder = CompressedDecoder::new(b' ', Some(b'\n'));
        let mut out = Vec::new();
        // A record end that is about the string after it, as the RFC has it.
        decoder.decode(b"\x00\x80\x02ab\x00\x10\x01m\x01c\x00\x40", &mut out).unwrap();
        decoder.finish(&mut out).unwrap();
        assert_eq!(out, b"ab\nc");
        let mut decoder = CompressedDecoder::new(b' ', None);
        decoder.decode(b"\x02ab", &mut out).unwrap();
        assert_eq!(decoder.finish(&mut out), Err(CodecError::Truncated));
        let malformed = CompressedDecoder::new(b' ', None).decode(b"\x00\x01", &mut out);
        assert!(matches!(malformed, Err(CodecError::Malformed(_))));
    }
}
