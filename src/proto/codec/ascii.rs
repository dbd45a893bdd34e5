//! TYPE A: lines end with LF in a file and with CR LF on the data connection.
//!
//! Going out, an LF becomes CR LF, unless a CR stands before it: a text that was made on
//! Windows and stored in TYPE I has its line ends already, and everybody but the BSD ftpd
//! leaves them alone. Coming in, CR LF becomes LF; a CR before anything else stays, and so
//! does one that ends the stream. RFC 959 section 3.1.1.1.

use memchr::{memchr, memchr_iter};

use super::{CodecError, Decoder, Encoder, Step};

/// LF to CR LF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AsciiEncoder {
    /// The last byte was a CR, so that an LF now is a line end already.
    after_cr: bool,
}

impl Encoder for AsciiEncoder {
    /// Appends `chunk` to `out` with its line ends as the network has them.
    fn encode(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        // The lines of most files are longer than 16 bytes; extend grows for others.
        out.reserve(chunk.len() + chunk.len() / 16);
        let mut start = 0;
        for newline in memchr_iter(b'\n', chunk) {
            out.extend_from_slice(&chunk[start..newline]);
            if !self.follows_cr(chunk, newline) {
                out.push(b'\r');
            }
            out.push(b'\n');
            start = newline + 1;
        }
        out.extend_from_slice(&chunk[start..]);
        self.pass(chunk);
    }

    /// A file need not end with a line end, and none is made up.
    fn finish(&mut self, _out: &mut Vec<u8>) {}
}

impl AsciiEncoder {
    /// How many bytes `encode` would append.
    pub(crate) fn size(&mut self, chunk: &[u8]) -> u64 {
        let longer = memchr_iter(b'\n', chunk).filter(|&newline| !self.follows_cr(chunk, newline)).count();
        self.pass(chunk);
        (chunk.len() + longer) as u64
    }

    /// Whether a CR stands before the byte at `at` of `chunk`.
    fn follows_cr(self, chunk: &[u8], at: usize) -> bool {
        at.checked_sub(1).map_or(self.after_cr, |before| chunk[before] == b'\r')
    }

    fn pass(&mut self, chunk: &[u8]) {
        self.after_cr = chunk.last().map_or(self.after_cr, |&last| last == b'\r');
    }
}

/// CR LF to LF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AsciiDecoder {
    /// The last byte was a CR, and what follows it decides what it means.
    held_cr: bool,
}

impl Decoder for AsciiDecoder {
    /// Appends to `out` the lines of `chunk` as the file has them.
    fn decode(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<Step, CodecError> {
        let Some((&first, _)) = chunk.split_first() else { return Ok(Step::More) };
        if self.held_cr && first != b'\n' {
            out.push(b'\r');
        }
        self.held_cr = chunk.ends_with(b"\r");
        let chunk = chunk.strip_suffix(b"\r").unwrap_or(chunk);

        out.reserve(chunk.len());
        let mut start = 0;
        for newline in memchr_iter(b'\n', chunk) {
            let line = &chunk[start..newline];
            out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
            out.push(b'\n');
            start = newline + 1;
        }
        out.extend_from_slice(&chunk[start..]);
        Ok(Step::More)
    }

    /// Appends the CR that no LF will follow any more.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        if std::mem::take(&mut self.held_cr) {
            out.push(b'\r');
        }
        Ok(())
    }
}

/// Finds the byte of a file that a REST in TYPE A means, whose offset counts
/// bytes of the data connection. It is fed the file from its beginning.
#[derive(Clone, Debug)]
pub(crate) struct ConvertedOffset {
    /// Bytes on the data connection still to be passed over.
    left: u64,
    /// Bytes of the file that were.
    passed: u64,
    encoder: AsciiEncoder,
}

/// Where `ConvertedOffset` stands after a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sought {
    /// The file offset.
    Found(u64),
    /// Between the CR and the LF of one line end: no byte of the file starts there.
    WithinLineEnd,
    /// Further on. When the file ends here, the offset is beyond its end.
    Further,
}

impl ConvertedOffset {
    pub(crate) fn new(converted: u64) -> ConvertedOffset {
        ConvertedOffset { left: converted, passed: 0, encoder: AsciiEncoder::default() }
    }

    /// Takes the next bytes of the file.
    pub(crate) fn feed(&mut self, chunk: &[u8]) -> Sought {
        let before = self.encoder;
        let size = self.encoder.size(chunk);
        if size > self.left {
            return self.feed_by_line(chunk, before);
        }
        self.left -= size;
        self.passed += chunk.len() as u64;
        // At the very end of a chunk the next byte is still to be seen: an LF may follow a CR.
        Sought::Further
    }

    /// The file has ended.
    pub(crate) fn finish(self) -> Sought {
        if self.left == 0 { Sought::Found(self.passed) } else { Sought::Further }
    }

    /// Takes a chunk that ends beyond the offset; `encoder` is as it was before it.
    fn feed_by_line(&mut self, chunk: &[u8], encoder: AsciiEncoder) -> Sought {
        let mut start = 0;
        loop {
            let newline = memchr(b'\n', &chunk[start..]).map_or(chunk.len(), |line| start + line);
            let is_line_end = newline < chunk.len() && encoder.follows_cr(chunk, newline);
            let line = (newline - start) as u64;
            if self.left < line || self.left == line && !is_line_end {
                self.passed += std::mem::take(&mut self.left);
                return Sought::Found(self.passed);
            }
            // Before the LF of the file's own CR LF, or before the one of ours.
            let within = if is_line_end { line } else { line + 1 };
            if self.left == within {
                return Sought::WithinLineEnd;
            }
            self.left -= within + 1;
            self.passed += line + 1;
            start = newline + 1;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::test_support::Random;

    /// Bytes of a fixed seed, half of them CR, LF or NUL.
    pub(in crate::proto::codec) fn random_bytes(seed: u64, len: usize) -> Vec<u8> {
        let mut random = Random::new(seed);
        (0..len)
            .map(|_| match random.below(16) {
                0..4 => b'\r',
                4..7 => b'\n',
                7 => 0,
                _ => random.below(256) as u8,
            })
            .collect()
    }

    fn encoded(file: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        AsciiEncoder::default().encode(file, &mut out);
        out
    }

    fn decoded(stream: &[u8], size: usize) -> Vec<u8> {
        let (mut decoder, mut out) = (AsciiDecoder::default(), Vec::new());
        stream.chunks(size).for_each(|chunk| assert_eq!(decoder.decode(chunk, &mut out), Ok(Step::More)));
        decoder.finish(&mut out).unwrap();
        out
    }

    #[test]
    fn every_line_feed_has_its_carriage_return() {
        assert_eq!(encoded(b""), b"");
        assert_eq!(encoded(b"no end"), b"no end");
        assert_eq!(encoded(b"\n\none\n"), b"\r\n\r\none\r\n");
        assert_eq!(encoded(b"dos\r\nmac\r\r\nmac\r"), b"dos\r\nmac\r\r\nmac\r");
    }

    #[test]
    fn encodes_alike_however_the_file_is_cut() {
        let file = random_bytes(1, 500);
        let whole = encoded(&file);
        for size in 1..=file.len() {
            let (mut encoder, mut out) = (AsciiEncoder::default(), Vec::new());
            file.chunks(size).for_each(|chunk| encoder.encode(chunk, &mut out));
            assert_eq!(out, whole, "chunks of {size}");
        }
    }

    #[test]
    fn decodes_alike_however_the_stream_is_cut() {
        let stream = b"one\r\ntwo\r\rthree\n\r\r\n\r\0\r";
        for size in 1..=stream.len() {
            assert_eq!(decoded(stream, size), b"one\ntwo\r\rthree\n\r\n\r\0\r", "chunks of {size}");
        }
        let stream = random_bytes(2, 500);
        let whole = decoded(&stream, stream.len());
        for size in 1..stream.len() {
            assert_eq!(decoded(&stream, size), whole, "chunks of {size}");
        }
    }

    #[test]
    fn a_unix_text_got_and_put_back_is_the_same_file() {
        for seed in 0..200 {
            let mut file = random_bytes(seed, seed as usize * 3);
            (1..file.len()).filter(|&at| file[at] == b'\n').collect::<Vec<_>>().into_iter().for_each(|at| {
                if file[at - 1] == b'\r' {
                    file[at - 1] = b' ';
                }
            });
            assert_eq!(decoded(&encoded(&file), 7), file, "seed {seed}");
        }
    }

    #[test]
    fn empty_chunks_change_nothing() {
        let (mut decoder, mut out) = (AsciiDecoder::default(), Vec::new());
        for chunk in [&b"a\r"[..], b"", b"\nb", b""] {
            decoder.decode(chunk, &mut out).unwrap();
        }
        decoder.finish(&mut out).unwrap();
        assert_eq!(out, b"a\nb");
    }

    #[test]
    fn the_counted_size_is_the_sent_size() {
        for seed in 0..50 {
            let file = random_bytes(seed, 300);
            for size in [1, 7, 300] {
                let mut encoder = AsciiEncoder::default();
                let sizes = file.chunks(size).map(|chunk| encoder.size(chunk));
                assert_eq!(sizes.sum::<u64>(), encoded(&file).len() as u64);
            }
        }
    }

    #[test]
    fn a_converted_offset_finds_the_byte_that_is_sent_there() {
        let file = random_bytes(3, 120);
        let sent = encoded(&file);
        for offset in 0..=sent.len() + 2 {
            for size in [1, 2, 3, 50, 120] {
                let mut seek = ConvertedOffset::new(offset as u64);
                let found =
                    file.chunks(size).map(|chunk| seek.feed(chunk)).find(|&sought| sought != Sought::Further);
                match found.unwrap_or_else(|| seek.finish()) {
                    Sought::Found(at) => assert_eq!(encoded(&file[at as usize..]), sent[offset..]),
                    Sought::WithinLineEnd => assert_eq!(sent[offset - 1..=offset], *b"\r\n"),
                    Sought::Further => assert!(offset > sent.len()),
                }
            }
        }
    }
}
