use super::ascii::tests::random_bytes;
use super::*;
use crate::proto::params::FormatControl;

fn image() -> TransferParameters {
    TransferParameters { representation: RepresentationType::Image, ..TransferParameters::default() }
}

/// Every combination that there is.
fn all() -> Vec<TransferParameters> {
    let types = [RepresentationType::Image, RepresentationType::Ascii(FormatControl::NonPrint)];
    let modes = [TransferMode::Stream];
    let combine = |mode| {
        types.map(|representation| TransferParameters { representation, structure: Structure::File, mode })
    };
    modes.into_iter().flat_map(combine).collect()
}

fn encoded(mut stages: Outbound, file: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    file.chunks(size).for_each(|chunk| stages.encode(chunk, &mut out));
    stages.finish(&mut out);
    out
}

fn decoded(parameters: &TransferParameters, stream: &[u8], size: usize) -> Vec<u8> {
    let (mut stages, mut out) = (Inbound::new(parameters), Vec::new());
    stream.chunks(size).for_each(|chunk| stages.decode(chunk, &mut out));
    stages.finish(&mut out);
    out
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
        assert!(Outbound::listing(&parameters).is_identity());
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
