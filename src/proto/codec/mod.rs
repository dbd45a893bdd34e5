//! What representation type, file structure and transfer mode make of a file's
//! bytes on the data connection, and back.
//!
//! Each is a stage: it works on slices, wherever the stream is cut, and has no socket and no
//! file. A composition is the stages of one transfer, those that change nothing left out.
//! A new stage is a file here, its variant in `params`, and a line in `Outbound` and `Inbound`.
//! RFC 959 sections 3.1.1, 3.1.2 and 3.4.

mod ascii;
mod block;
mod compressed;
mod ebcdic;
mod record;

pub(crate) use ascii::{AsciiDecoder, AsciiEncoder, ConvertedOffset, Sought};

pub(crate) use ebcdic::CodePage;

use block::{BlockDecoder, BlockEncoder};
use compressed::{CompressedDecoder, CompressedEncoder};
use ebcdic::Translation;
use record::{RecordDecoder, RecordEncoder};

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
    /// Appends to `out` what `chunk`, the next bytes, means. Of what comes after the end of the
    /// file nothing is taken.
    fn decode(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<Step, CodecError>;

    /// The stream has ended: appends what that leaves to be written. `Truncated` when the file
    /// has an end mark in this stage that did not come.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), CodecError>;
}

/// How far a decoder has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The file goes on.
    More,
    /// It has ended, so many bytes into the chunk.
    EndOfFile { taken: usize },
}

/// Why a stream is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodecError {
    /// It ended without the mark that ends a file.
    Truncated,
    /// It is not what it should be; the words say why.
    Malformed(&'static str),
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
        match (parameters.representation, parameters.structure) {
            (RepresentationType::Ascii(_), Structure::File) => stages.add(AsciiEncoder::default()),
            // The ends of lines are ends of records.
            (RepresentationType::Ascii(_), Structure::Record) | (RepresentationType::Image, _) => (),
            (RepresentationType::Ebcdic(..), _) => stages.add(Translation::to_ebcdic(parameters.page)),
        }
        stages.pack(parameters);
        stages
    }

    /// A listing, whose lines are made with the network's line ends in every type.
    pub(crate) fn listing(parameters: &TransferParameters) -> Outbound {
        let mut stages = Outbound(Vec::new());
        let is_ebcdic = matches!(parameters.representation, RepresentationType::Ebcdic(..));
        if is_ebcdic || parameters.structure == Structure::Record {
            stages.add(HostLines::default());
        }
        if is_ebcdic {
            stages.add(Translation::to_ebcdic(parameters.page));
        }
        stages.pack(parameters);
        stages
    }

    fn pack(&mut self, parameters: &TransferParameters) {
        let (filler, new_line) = (parameters.filler(), parameters.record_end());
        match (parameters.mode, new_line) {
            (TransferMode::Stream, None) => (),
            (TransferMode::Stream, Some(new_line)) => self.add(RecordEncoder::new(new_line)),
            (TransferMode::Block, _) => self.add(BlockEncoder::new(new_line)),
            (TransferMode::Compressed, _) => self.add(CompressedEncoder::new(filler, new_line)),
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

impl TransferParameters {
    /// What ends a record, before its end becomes a mark; `None` in file structure.
    fn record_end(&self) -> Option<u8> {
        let new_line = match self.representation {
            RepresentationType::Ebcdic(..) => ebcdic::NEW_LINE,
            RepresentationType::Ascii(_) | RepresentationType::Image => b'\n',
        };
        (self.structure == Structure::Record).then_some(new_line)
    }

    /// What compressed mode takes for filling: a space of the type's, or zero.
    fn filler(&self) -> u8 {
        match self.representation {
            RepresentationType::Ascii(_) => b' ',
            RepresentationType::Ebcdic(..) => ebcdic::SPACE,
            RepresentationType::Image => 0,
        }
    }
}

/// The network's lines to those of this host, on the way out: what listings are made of.
#[derive(Debug, Default)]
struct HostLines(AsciiDecoder);

impl Encoder for HostLines {
    fn encode(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        // It takes every stream.
        let _ = self.0.decode(chunk, out);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let _ = self.0.finish(out);
    }
}

impl Inbound {
    pub(crate) fn new(parameters: &TransferParameters) -> Inbound {
        let mut stages = Inbound(Vec::new());
        let (filler, new_line) = (parameters.filler(), parameters.record_end());
        match (parameters.mode, new_line) {
            (TransferMode::Stream, None) => (),
            (TransferMode::Stream, Some(new_line)) => stages.add(RecordDecoder::new(new_line)),
            (TransferMode::Block, _) => stages.add(BlockDecoder::new(new_line)),
            (TransferMode::Compressed, _) => stages.add(CompressedDecoder::new(filler, new_line)),
        }
        match (parameters.representation, parameters.structure) {
            (RepresentationType::Ascii(_), Structure::File) => stages.add(AsciiDecoder::default()),
            (RepresentationType::Ascii(_), Structure::Record) | (RepresentationType::Image, _) => (),
            (RepresentationType::Ebcdic(..), _) => stages.add(Translation::from_ebcdic(parameters.page)),
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

    /// Appends to `out` what `chunk`, the next bytes of the stream, means. Where the file ends,
    /// that is all of it.
    pub(crate) fn decode(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<Step, CodecError> {
        let step = decode_through(&mut self.0, chunk, out)?;
        if matches!(step, Step::EndOfFile { .. })
            && let [_, rest @ ..] = &mut self.0[..]
        {
            finish_through(rest, out)?;
        }
        Ok(step)
    }

    /// The stream has ended: appends what that leaves to be written, or says why it is no file.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        finish_through(&mut self.0, out)
    }
}

/// The stage next to the data connection says where in the chunk the file ends.
fn decode_through(
    stages: &mut [Layer<dyn Decoder>],
    chunk: &[u8],
    out: &mut Vec<u8>,
) -> Result<Step, CodecError> {
    match stages {
        [] => {
            out.extend_from_slice(chunk);
            Ok(Step::More)
        }
        [last] => last.stage.decode(chunk, out),
        [first, rest @ ..] => {
            first.made.clear();
            let step = first.stage.decode(chunk, &mut first.made)?;
            pass_on(&first.made, rest, out)?;
            Ok(step)
        }
    }
}

fn finish_through(mut stages: &mut [Layer<dyn Decoder>], out: &mut Vec<u8>) -> Result<(), CodecError> {
    while let [first, rest @ ..] = stages {
        first.made.clear();
        first.stage.finish(&mut first.made)?;
        pass_on(&first.made, rest, out)?;
        stages = rest;
    }
    Ok(())
}

/// What one stage has made goes through the next ones, which must take all of it.
fn pass_on(made: &[u8], rest: &mut [Layer<dyn Decoder>], out: &mut Vec<u8>) -> Result<(), CodecError> {
    match decode_through(rest, made, out)? {
        Step::EndOfFile { taken } if taken < made.len() => {
            Err(CodecError::Malformed("there is more after the end of the file"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
