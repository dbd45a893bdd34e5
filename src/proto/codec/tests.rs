use super::ascii::tests::random_bytes;
use super::*;
use crate::proto::params::FormatControl;

fn image() -> TransferParameters {
    TransferParameters { representation: RepresentationType::Image, ..TransferParameters::default() }
}

/// Every combination that there is.
fn all() -> Vec<TransferParameters> {
    let form = FormatControl::NonPrint;
    let types =
        [RepresentationType::Image, RepresentationType::Ascii(form), RepresentationType::Ebcdic(form)];
    let modes = [TransferMode::Stream, TransferMode::Block, TransferMode::Compressed];
    let combine = |mode| {
        [Structure::File, Structure::Record].into_iter().flat_map(move |structure| {
            let page = CodePage::default();
            types.map(|representation| TransferParameters { representation, structure, mode, page })
        })
    };
    modes.into_iter().flat_map(combine).collect()
}

fn encoded(mut stages: Outbound, file: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    file.chunks(size).for_each(|chunk| stages.encode(chunk, &mut out));
    stages.finish(&mut out);
    out
}

/// The file that a stream is, and how much of the stream belongs to it.
fn decoded_from(
    parameters: &TransferParameters,
    stream: &[u8],
    size: usize,
) -> Result<(Vec<u8>, usize), CodecError> {
    let (mut stages, mut out, mut passed) = (Inbound::new(parameters), Vec::new(), 0);
    for chunk in stream.chunks(size) {
        match stages.decode(chunk, &mut out)? {
            Step::More => passed += chunk.len(),
            Step::EndOfFile { taken } => return Ok((out, passed + taken)),
        }
    }
    stages.finish(&mut out).map(|()| (out, passed))
}

fn decoded(parameters: &TransferParameters, stream: &[u8], size: usize) -> Vec<u8> {
    decoded_from(parameters, stream, size).unwrap().0
}

#[test]
fn only_image_file_and_stream_leave_every_byte_alone() {
    let bytes: Vec<u8> = (0..=255).chain(*b"\r\n\n\r\r\n").collect();
    for parameters in all() {
        let (out, back) = (Outbound::new(&parameters), Inbound::new(&parameters));
        assert_eq!(out.is_identity(), parameters == image(), "{parameters:?}");
        assert_eq!(back.is_identity(), parameters == image(), "{parameters:?}");
        if out.is_identity() {
            assert_eq!(encoded(out, &bytes, 7), bytes);
            assert_eq!(decoded(&parameters, &bytes, 7), bytes);
        }
    }
}

#[test]
fn ascii_turns_lines_into_network_lines_and_back() {
    let ascii = TransferParameters::default();
    assert_eq!(encoded(Outbound::new(&ascii), b"one\ntwo", 100), b"one\r\ntwo");
    assert_eq!(decoded(&ascii, b"one\r\ntwo\r", 100), b"one\ntwo\r");
}

#[test]
fn a_listing_has_its_line_ends_already() {
    for parameters in all().into_iter().filter(|parameters| parameters.mode == TransferMode::Stream) {
        let listing = || encoded(Outbound::listing(&parameters), b"a\r\nb\r\n", 2);
        match (parameters.representation, parameters.structure) {
            (RepresentationType::Ebcdic(_), Structure::File) => assert_eq!(listing(), b"\x81\x15\x82\x15"),
            (_, Structure::File) => assert!(Outbound::listing(&parameters).is_identity()),
            (RepresentationType::Ebcdic(_), Structure::Record) => {
                assert_eq!(listing(), b"\x81\xFF\x01\x82\xFF\x01\xFF\x02");
            }
            (_, Structure::Record) => assert_eq!(listing(), b"a\xFF\x01b\xFF\x01\xFF\x02"),
        }
    }
}

#[test]
fn every_composition_works_alike_however_the_bytes_are_cut() {
    for parameters in all() {
        let file = random_bytes(4, 400);
        let sent = encoded(Outbound::new(&parameters), &file, file.len());
        let stored = decoded(&parameters, &sent, sent.len());
        for size in 1..=sent.len() {
            let again = encoded(Outbound::new(&parameters), &file, size);
            assert_eq!(decoded(&parameters, &again, size), stored, "{parameters:?}, chunks of {size}");
        }
    }
}

#[test]
fn a_file_ends_at_its_mark_and_the_next_one_begins() {
    let file = b"one\ntwo\n\r";
    for parameters in all().into_iter().filter(|parameters| !parameters.mode.ends_with_connection()) {
        let sent = encoded(Outbound::new(&parameters), file, 4);
        let both = sent.repeat(2);
        for size in 1..=both.len() {
            let (first, taken) = decoded_from(&parameters, &both, size).unwrap();
            assert_eq!((&first[..], taken), (&file[..], sent.len()), "{parameters:?}, chunks of {size}");
        }
        // In compressed mode the empty string after the last descriptor may be missing.
        let needed = sent.len() - usize::from(parameters.mode == TransferMode::Compressed);
        for len in 0..needed {
            assert_eq!(decoded_from(&parameters, &sent[..len], 3), Err(CodecError::Truncated));
        }
    }
}

/// A stage that knows where its file ends.
struct UpTo(u8);

impl Decoder for UpTo {
    fn decode(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<Step, CodecError> {
        let end = chunk.iter().position(|&byte| byte == self.0);
        out.extend_from_slice(&chunk[..end.unwrap_or(chunk.len())]);
        Ok(end.map_or(Step::More, |end| Step::EndOfFile { taken: end + 1 }))
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), CodecError> {
        Ok(())
    }
}

#[test]
fn the_stage_next_to_the_connection_says_where_the_file_ends() {
    let decode = |stream: &[u8]| {
        let (mut stages, mut out) = (Inbound(Vec::new()), Vec::new());
        stages.add(UpTo(b'.'));
        stages.add(UpTo(b'!'));
        stages.add(AsciiDecoder::default());
        stages.decode(stream, &mut out).map(|step| (out, step))
    };
    let end = Step::EndOfFile { taken: 4 };
    assert_eq!(decode(b"a\r!.next"), Ok((b"a\r".to_vec(), end)));
    assert_eq!(decode(b"a\r!"), Ok((b"a".to_vec(), Step::More)));
    assert!(matches!(decode(b"a!b."), Err(CodecError::Malformed(_))));
}
