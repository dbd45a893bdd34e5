//! The parts that read what strangers send, for fuzzers, benchmarks and tests outside of the crate:
//! bytes in, values out. No interface for programs: it changes without notice.

use crate::account;
use crate::proto::argument::Argument;
use crate::proto::codec::{CodePage, Inbound, Outbound, Step};
use crate::proto::command::{self, ParseError};
use crate::proto::facts::FactSet;
use crate::proto::glob::Pattern;
use crate::proto::host::HostName;
use crate::proto::ls_options::LsOptions;
use crate::proto::params::{FormatControl, RepresentationType, Structure, TransferMode, TransferParameters};
use crate::proto::path::VirtualPath;
use crate::proto::reply::{Reply, ReplyCode};
use crate::proto::telnet::{Line, LineReader};

/// What a client says on the control connection, in pieces of `cut` bytes: each line as the command
/// that it is, or as the kind of mistake. Passwords are left out.
pub fn commands(bytes: &[u8], cut: usize) -> Vec<String> {
    let mut reader = LineReader::default();
    let mut said = Vec::new();
    let mut take = |reader: &mut LineReader| {
        while let Some(line) = reader.next_line() {
            said.push(match line {
                Line::Command(line) => described(&line),
                Line::TooLong => "too long".to_owned(),
            });
        }
        reader.take_answers();
    };
    for piece in bytes.chunks(cut.max(1)) {
        reader.push(piece);
        take(&mut reader);
    }
    if reader.ends_with_bare_lf() {
        reader.end_at_bare_lf();
        take(&mut reader);
    }
    said
}

fn described(line: &[u8]) -> String {
    match command::parse(line) {
        Ok((_, command)) => format!("{command:?}"),
        Err(ParseError::Unknown | ParseError::UnknownIn(_)) => "unknown".to_owned(),
        Err(ParseError::NotImplemented(spec)) => format!("not implemented: {}", spec.verb),
        Err(ParseError::Syntax(spec, _)) => format!("syntax: {}", spec.verb),
    }
}

/// The reply whose text is `bytes`, as it goes over the wire.
pub fn reply(bytes: &[u8]) -> Vec<u8> {
    Reply::new(ReplyCode::FileUnavailable, bytes).to_wire()
}

/// The path that a client's words mean in the directory `/pub/a`; `None` if they mean none.
pub fn path_name(bytes: &[u8]) -> Option<Vec<u8>> {
    let directory = VirtualPath::root().join(b"/pub/a").ok()?;
    directory.join(bytes).ok().map(|path| path.as_bytes().to_vec())
}

/// The path-name that follows the options of LIST.
pub fn ls_options(bytes: &[u8]) -> &[u8] {
    LsOptions::parse(bytes, true).1
}

/// The facts that OPTS MLST asks for, as it is answered.
pub fn facts(bytes: &[u8]) -> Option<String> {
    FactSet::parse(bytes).map(FactSet::names)
}

/// In how many of its forms `bytes` is the address of a data port, or a host's name: PORT, EPRT,
/// LPRT, EPSV, HOST.
pub fn addresses(bytes: &[u8]) -> usize {
    let argument = Argument(bytes);
    let forms = [
        argument.host_port().is_ok(),
        argument.extended_host_port().is_ok(),
        argument.long_host_port().is_ok(),
        argument.extended_passive().is_ok(),
        HostName::parse(bytes).is_some(),
    ];
    forms.into_iter().filter(|is_one| *is_one).count()
}

/// One of the ways in which a file can travel: its type, structure and mode.
#[derive(Clone, Copy, Debug)]
pub struct Composition(TransferParameters);

impl Composition {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Composition> {
        let types = [
            RepresentationType::Image,
            RepresentationType::Ascii(FormatControl::NonPrint),
            RepresentationType::Ebcdic(FormatControl::NonPrint),
        ];
        let modes = [TransferMode::Stream, TransferMode::Block, TransferMode::Compressed];
        types.into_iter().flat_map(move |representation| {
            modes.into_iter().flat_map(move |mode| {
                [Structure::File, Structure::Record].map(|structure| {
                    let page = CodePage::default();
                    Composition(TransferParameters { representation, structure, mode, page })
                })
            })
        })
    }

    /// The bytes of a file come back as they were.
    pub fn is_faithful(self) -> bool {
        !matches!(self.0.representation, RepresentationType::Ascii(_))
            || self.0.structure == Structure::Record
    }

    /// What a file becomes on the data connection, read in pieces of `cut` bytes.
    pub fn encode(self, file: &[u8], cut: usize) -> Vec<u8> {
        let (mut stages, mut out) = (Outbound::new(&self.0), Vec::new());
        file.chunks(cut.max(1)).for_each(|piece| stages.encode(piece, &mut out));
        stages.finish(&mut out);
        out
    }

    /// The file that a stream is, which comes in pieces of `cut` bytes; `None` if it is none.
    pub fn decode(self, stream: &[u8], cut: usize) -> Option<Vec<u8>> {
        let (mut stages, mut out) = (Inbound::new(&self.0), Vec::new());
        for piece in stream.chunks(cut.max(1)) {
            if let Step::EndOfFile { .. } = stages.decode(piece, &mut out).ok()? {
                return Some(out);
            }
        }
        stages.finish(&mut out).ok()?;
        Some(out)
    }
}

/// Whether a pattern of file names means `name`.
pub fn glob(pattern: &[u8], name: &[u8]) -> bool {
    Pattern::new(pattern).matches(name)
}

/// How many faults there are in `bytes` as each of the administrator's files. Nobody is looked up.
pub fn admin_files(bytes: &[u8]) -> usize {
    account::count_faults(bytes)
}

/// Whom a certificate in DER names.
#[cfg(feature = "tls")]
pub fn certificate(der: &[u8]) -> Vec<String> {
    crate::tls::names_in(der)
}
