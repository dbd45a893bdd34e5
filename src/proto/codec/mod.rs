//! What representation type, file structure and transfer mode make of a file's
//! bytes on the data connection, and back.
//!
//! Codecs work on slices, wherever the stream is cut: no socket, no file. Type
//! comes first, then structure, then mode; so far ASCII is the only one that
//! changes anything. RFC 959 sections 3.1.1, 3.1.2 and 3.4.

mod ascii;

pub(crate) use ascii::{AsciiDecoder, AsciiEncoder, ConvertedOffset, Sought};

use super::params::RepresentationType;

/// From the file to the data connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outbound {
    /// The file's bytes as they are: the kernel may move them by itself.
    Identity,
    Ascii(AsciiEncoder),
}

impl Outbound {
    pub(crate) fn new(representation: RepresentationType) -> Outbound {
        match representation {
            RepresentationType::Image => Outbound::Identity,
            RepresentationType::Ascii(_) => Outbound::Ascii(AsciiEncoder::default()),
        }
    }

    /// Appends to `out` what `chunk`, the next bytes of the file, becomes.
    pub(crate) fn encode(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        match self {
            Outbound::Identity => out.extend_from_slice(chunk),
            Outbound::Ascii(encoder) => encoder.encode(chunk, out),
        }
    }

    /// Appends what the end of the file becomes.
    pub(crate) fn finish(&mut self, _out: &mut Vec<u8>) {
        match self {
            // A file need not end with a line end, and none is made up.
            Outbound::Identity | Outbound::Ascii(_) => (),
        }
    }
}

/// From the data connection to the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Inbound {
    Identity,
    Ascii(AsciiDecoder),
}

impl Inbound {
    pub(crate) fn new(representation: RepresentationType) -> Inbound {
        match representation {
            RepresentationType::Image => Inbound::Identity,
            RepresentationType::Ascii(_) => Inbound::Ascii(AsciiDecoder::default()),
        }
    }

    /// Appends to `out` what `chunk`, the next bytes of the stream, means.
    pub(crate) fn decode(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        match self {
            Inbound::Identity => out.extend_from_slice(chunk),
            Inbound::Ascii(decoder) => decoder.decode(chunk, out),
        }
    }

    /// Appends what the end of the stream leaves to be written.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Inbound::Identity => (),
            Inbound::Ascii(decoder) => decoder.finish(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_leaves_every_byte_alone() {
        let bytes: Vec<u8> = (0..=255).chain(*b"\r\n\n\r\r\n").collect();
        let (mut sent, mut stored) = (Vec::new(), Vec::new());
        Outbound::new(RepresentationType::Image).encode(&bytes, &mut sent);
        Inbound::new(RepresentationType::Image).decode(&sent, &mut stored);
        assert_eq!(stored, bytes);
    }

    #[test]
    fn ascii_turns_lines_into_network_lines_and_back() {
        let (mut sent, mut stored) = (Vec::new(), Vec::new());
        let mut outbound = Outbound::new(RepresentationType::default());
        outbound.encode(b"one\ntwo", &mut sent);
        outbound.finish(&mut sent);
        assert_eq!(sent, b"one\r\ntwo");
        let mut inbound = Inbound::new(RepresentationType::default());
        inbound.decode(&sent, &mut stored);
        inbound.finish(&mut stored);
        assert_eq!(stored, b"one\ntwo");
    }
}
