//! What representation type, file structure and transfer mode make of a file's
//! bytes on the data connection, and back.
//!
//! Each is a stage: it works on slices, wherever the stream is cut, and has no socket and no
//! file. A composition is the stages of one transfer, those that change nothing left out.
//! RFC 959 sections 3.1.1, 3.1.2 and 3.4.

mod ascii;

pub(crate) use ascii::{AsciiDecoder, AsciiEncoder, ConvertedOffset, Sought};

use super::params::{RepresentationType, Structure, TransferMode, TransferParameters};

/// A stage on the way from the file to the data connection.
pub(crate) trait Encoder {
    /// Appends to `out` what `chunk`, the next bytes, becomes.
    fn encode(&mut self, chunk: &[u8], out: &mut Vec<u8>);

    /// Appends what the end of the file becomes.
    fn finish(&mut self, out: &mut Vec<u8>);
}

/// A stage on the way from the data connection to the file.
pub(crate) trait Decoder {
    /// Appends to `out` what `chunk`, the next bytes, means.
    fn decode(&mut self, chunk: &[u8], out: &mut Vec<u8>);

    /// Appends what the end of the stream leaves to be written.
    fn finish(&mut self, out: &mut Vec<u8>);
}

/// From the file to the data connection: type, then structure, then mode.
pub(crate) struct Outbound(Vec<Layer<dyn Encoder>>);

/// From the data connection to the file: mode, then structure, then type.
pub(crate) struct Inbound(Vec<Layer<dyn Decoder>>);

/// A stage, and what it has made for the next one.
struct Layer<S: ?Sized> {
    made: Vec<u8>,
    stage: Box<S>,
}

impl Outbound {
    /// A file's bytes in these parameters.
    pub(crate) fn new(parameters: &TransferParameters) -> Outbound {
        let mut stages = Outbound(Vec::new());
        match parameters.representation {
            RepresentationType::Image => (),
            RepresentationType::Ascii(_) => stages.add(AsciiEncoder::default()),
        }
        stages.pack(parameters);
        stages
    }

    /// A listing, whose lines are made with the network's line ends in every type.
    pub(crate) fn listing(parameters: &TransferParameters) -> Outbound {
        let mut stages = Outbound(Vec::new());
        stages.pack(parameters);
        stages
    }

    fn pack(&mut self, parameters: &TransferParameters) {
        match (parameters.structure, parameters.mode) {
            (Structure::File, TransferMode::Stream) => (),
        }
    }

    fn add(&mut self, stage: impl Encoder + 'static) {
        self.0.push(Layer { made: Vec::new(), stage: Box::new(stage) });
    }

    /// The file's bytes go as they are: the kernel may move them by itself.
    pub(crate) fn is_identity(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends to `out` what `chunk`, the next bytes of the file, becomes.
    pub(crate) fn encode(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        encode_through(&mut self.0, chunk, out);
    }

    /// Appends what the end of the file becomes.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let mut stages = &mut self.0[..];
        while let [first, rest @ ..] = stages {
            first.made.clear();
            first.stage.finish(&mut first.made);
            encode_through(rest, &first.made, out);
            stages = rest;
        }
    }
}

fn encode_through(stages: &mut [Layer<dyn Encoder>], chunk: &[u8], out: &mut Vec<u8>) {
    match stages {
        [] => out.extend_from_slice(chunk),
        [last] => last.stage.encode(chunk, out),
        [first, rest @ ..] => {
            first.made.clear();
            first.stage.encode(chunk, &mut first.made);
            encode_through(rest, &first.made, out);
        }
    }
}

impl Inbound {
    pub(crate) fn new(parameters: &TransferParameters) -> Inbound {
        let mut stages = Inbound(Vec::new());
        match (parameters.structure, parameters.mode) {
            (Structure::File, TransferMode::Stream) => (),
        }
        match parameters.representation {
            RepresentationType::Image => (),
            RepresentationType::Ascii(_) => stages.add(AsciiDecoder::default()),
        }
        stages
    }

    fn add(&mut self, stage: impl Decoder + 'static) {
        self.0.push(Layer { made: Vec::new(), stage: Box::new(stage) });
    }

    /// The stream's bytes are the file's: the kernel may move them by itself.
    pub(crate) fn is_identity(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends to `out` what `chunk`, the next bytes of the stream, means.
    pub(crate) fn decode(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        decode_through(&mut self.0, chunk, out);
    }

    /// Appends what the end of the stream leaves to be written.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let mut stages = &mut self.0[..];
        while let [first, rest @ ..] = stages {
            first.made.clear();
            first.stage.finish(&mut first.made);
            decode_through(rest, &first.made, out);
            stages = rest;
        }
    }
}

fn decode_through(stages: &mut [Layer<dyn Decoder>], chunk: &[u8], out: &mut Vec<u8>) {
    match stages {
        [] => out.extend_from_slice(chunk),
        [last] => last.stage.decode(chunk, out),
        [first, rest @ ..] => {
            first.made.clear();
            first.stage.decode(chunk, &mut first.made);
            decode_through(rest, &first.made, out);
        }
    }
}

#[cfg(test)]
mod tests;
