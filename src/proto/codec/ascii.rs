//! TYPE A: lines end with LF in a file and with CR LF on the data connection.
//!
//! Going out, every LF becomes CR LF, as in the BSD ftpd, also one that follows
//! a CR. (vsftpd and proftpd leave a CR LF of the file alone.) So what a client
//! gets and puts back is the same file again whatever its bytes, and sizes and
//! restart offsets depend on the number of LFs alone. Coming in, CR LF becomes
//! LF; a CR before anything else stays, and so does one that ends the stream.
//! RFC 959 section 3.1.1.1.

use memchr::{memchr, memchr_iter};

/// Appends `chunk` to `out` with its line ends as the network has them. Needs no
/// memory of what came before.
pub(crate) fn encode_ascii(chunk: &[u8], out: &mut Vec<u8>) {
    // The lines of most files are longer than 16 bytes; extend grows for others.
    out.reserve(chunk.len() + chunk.len() / 16);
    let mut start = 0;
    for newline in memchr_iter(b'\n', chunk) {
        out.extend_from_slice(&chunk[start..newline]);
        out.extend_from_slice(b"\r\n");
        start = newline + 1;
    }
    out.extend_from_slice(&chunk[start..]);
}

/// How many bytes `chunk` has on the data connection.
pub(crate) fn ascii_size(chunk: &[u8]) -> u64 {
    (chunk.len() + memchr_iter(b'\n', chunk).count()) as u64
}

/// CR LF to LF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AsciiDecoder {
    /// The last byte was a CR, and what follows it decides what it means.
    held_cr: bool,
}

impl AsciiDecoder {
    /// Appends to `out` the lines of `chunk` as the file has them.
    pub(crate) fn decode(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let Some((&first, _)) = chunk.split_first() else { return };
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
    }

    /// Appends the CR that no LF will follow any more.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.held_cr) {
            out.push(b'\r');
        }
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
        ConvertedOffset { left: converted, passed: 0 }
    }

    /// Takes the next bytes of the file. With an empty chunk it only says where it stands.
    pub(crate) fn feed(&mut self, chunk: &[u8]) -> Sought {
        let size = ascii_size(chunk);
        if size > self.left {
            return self.feed_by_line(chunk);
        }
        self.left -= size;
        self.passed += chunk.len() as u64;
        if self.left == 0 { Sought::Found(self.passed) } else { Sought::Further }
    }

    /// Takes a chunk that ends beyond the offset.
    fn feed_by_line(&mut self, chunk: &[u8]) -> Sought {
        let mut rest = chunk;
        loop {
            let line = memchr(b'\n', rest).unwrap_or(rest.len());
            if self.left <= line as u64 {
                self.passed += std::mem::take(&mut self.left);
                return Sought::Found(self.passed);
            }
            if self.left == line as u64 + 1 {
                return Sought::WithinLineEnd;
            }
            self.left -= line as u64 + 2;
            self.passed += line as u64 + 1;
            rest = rest.get(line + 1..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a fixed seed, half of them CR, LF or NUL.
    fn random_bytes(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        (0..len)
            .map(|_| match next() {
                0..64 => b'\r',
                64..112 => b'\n',
                112..128 => 0,
                _ => next(),
            })
            .collect()
    }

    fn encoded(file: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode_ascii(file, &mut out);
        out
    }

    fn decoded(stream: &[u8], size: usize) -> Vec<u8> {
        let (mut decoder, mut out) = (AsciiDecoder::default(), Vec::new());
        stream.chunks(size).for_each(|chunk| decoder.decode(chunk, &mut out));
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn every_line_feed_gets_its_carriage_return() {
        assert_eq!(encoded(b""), b"");
        assert_eq!(encoded(b"no end"), b"no end");
        assert_eq!(encoded(b"\n\none\n"), b"\r\n\r\none\r\n");
        assert_eq!(encoded(b"dos\r\nmac\r"), b"dos\r\r\nmac\r");
    }

    #[test]
    fn encodes_alike_however_the_file_is_cut() {
        let file = random_bytes(1, 500);
        let whole = encoded(&file);
        for size in 1..=file.len() {
            let mut out = Vec::new();
            file.chunks(size).for_each(|chunk| encode_ascii(chunk, &mut out));
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
    fn a_file_got_and_put_back_is_the_same_file() {
        for seed in 0..200 {
            let file = random_bytes(seed, seed as usize * 3);
            assert_eq!(decoded(&encoded(&file), 7), file, "seed {seed}");
        }
    }

    #[test]
    fn empty_chunks_change_nothing() {
        let (mut decoder, mut out) = (AsciiDecoder::default(), Vec::new());
        for chunk in [&b"a\r"[..], b"", b"\nb", b""] {
            decoder.decode(chunk, &mut out);
        }
        decoder.finish(&mut out);
        assert_eq!(out, b"a\nb");
    }

    #[test]
    fn the_counted_size_is_the_sent_size() {
        for seed in 0..50 {
            let file = random_bytes(seed, 300);
            assert_eq!(ascii_size(&file), encoded(&file).len() as u64);
        }
    }

    #[test]
    fn a_converted_offset_finds_the_byte_that_is_sent_there() {
        let file = random_bytes(3, 120);
        let sent = encoded(&file);
        for offset in 0..=sent.len() + 2 {
            for size in [1, 2, 3, 50, 120] {
                let mut seek = ConvertedOffset::new(offset as u64);
                let mut sought = seek.feed(b"");
                for chunk in file.chunks(size) {
                    if sought == Sought::Further {
                        sought = seek.feed(chunk);
                    }
                }
                match sought {
                    Sought::Found(at) => assert_eq!(encoded(&file[at as usize..]), sent[offset..]),
                    Sought::WithinLineEnd => assert_eq!(sent[offset - 1..=offset], *b"\r\n"),
                    Sought::Further => assert!(offset > sent.len()),
                }
            }
        }
    }
}
