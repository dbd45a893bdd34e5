//! Why a command does not end in its ordinary reply, and which code an error deserves.

use std::io;

use crate::proto::argument::SyntaxError;
use crate::proto::command::ParseError;
use crate::proto::reply::{Reply, ReplyCode};
use crate::sys::{files, sockets};
use crate::vfs::FileError;

/// A handler gives this instead of a reply. There is no `From<io::Error>`: such an error does not
/// say whether the disk, the data connection or the control connection failed.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The client is told why, and the session goes on.
    Refused(Reply),
    /// The client is told, and the session ends.
    Close(Reply),
    /// The control connection failed: nobody is left to tell.
    Hangup(io::Error),
    /// The session begins anew on a fresh thread, with this line if there is one.
    StartOver(Option<Vec<u8>>),
}

impl From<Reply> for Stop {
    fn from(reply: Reply) -> Stop {
        debug_assert!(reply.is_negative(), "a refusal is 4yz or 5yz");
        Stop::Refused(reply)
    }
}

/// A refusal.
pub(crate) fn refused(code: ReplyCode, text: impl AsRef<[u8]>) -> Stop {
    Reply::new(code, text).into()
}

/// A path-name that no file can have.
pub(crate) fn bad_path() -> Stop {
    refused(ReplyCode::FileUnavailable, "Not a possible path-name.")
}

/// The refusal of a line that is no command.
pub(crate) fn explain(error: ParseError, verb: &[u8]) -> Stop {
    let syntax = |spec: &str, form: &str| format!("The form is {spec} {form}");
    match error {
        ParseError::Unknown => refused(
            ReplyCode::SyntaxError,
            [b"'", &verb[..verb.len().min(32)], b"': command not understood."].concat(),
        ),
        ParseError::UnknownIn(spec) => {
            let text = format!("This {0} command is not known; see HELP {0}.", spec.verb);
            refused(ReplyCode::SyntaxError, text)
        }
        ParseError::NotImplemented(spec) => {
            refused(ReplyCode::NotImplemented, format!("{} command not implemented.", spec.verb))
        }
        ParseError::Syntax(spec, error) => match error {
            SyntaxError::Malformed(text) => refused(ReplyCode::ArgumentError, text),
            SyntaxError::Missing => refused(ReplyCode::ArgumentError, syntax(spec.verb, spec.syntax)),
            SyntaxError::Unexpected => {
                refused(ReplyCode::ArgumentError, format!("{} takes no argument.", spec.verb))
            }
            SyntaxError::Unsupported(text) => refused(ReplyCode::ParameterNotImplemented, text),
            SyntaxError::NoCommand => refused(ReplyCode::NotImplemented, "No such command."),
            SyntaxError::Protocol => protocol_refusal(&[1, 2]),
            SyntaxError::AddressFamily => family_refusal(&[1, 2]),
        },
    }
}

/// A network protocol that does not fit; `usable` are RFC 2428's numbers of those that do.
pub(crate) fn protocol_refusal(usable: &[u8]) -> Stop {
    let text = format!("Network protocol not supported, use ({})", commas(usable.iter().copied()));
    refused(ReplyCode::ProtocolNotSupported, text)
}

/// The same for LPRT: RFC 1639 has a code of its own, and numbers protocols as IP does, 4 and 6.
pub(crate) fn family_refusal(usable: &[u8]) -> Stop {
    let families = commas(usable.iter().map(|protocol| 2 + 2 * protocol));
    refused(ReplyCode::DataConnectionRefused, format!("Supported address families are ({families})"))
}

fn commas(numbers: impl Iterator<Item = u8>) -> String {
    numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
}

/// The refusal of a name to be written to: where other commands answer 550, RFC 959 section 5.4
/// has STOR, STOU and RNTO answer 553.
pub(crate) fn target_refusal(refusal: Stop) -> Stop {
    match refusal {
        Stop::Refused(reply) if reply.code() == ReplyCode::FileUnavailable => {
            Stop::Refused(reply.with_code(ReplyCode::NameNotAllowed))
        }
        other => other,
    }
}

/// The refusal that a file's error deserves; `path` as the client typed it.
pub(crate) fn file_refusal(path: &[u8], error: &FileError) -> Stop {
    match error {
        FileError::NotPlainFile => named(ReplyCode::FileUnavailable, path, "Not a plain file."),
        FileError::NotDirectory => named(ReplyCode::FileUnavailable, path, "Not a directory."),
        FileError::TooMany => named(ReplyCode::FileUnavailable, path, "Too many files match."),
        FileError::Io(error) => io_refusal(path, error),
    }
}

/// The refusal that a system's error about `path` deserves.
pub(crate) fn io_refusal(path: &[u8], error: &io::Error) -> Stop {
    use io::ErrorKind as Kind;
    let code = match error.kind() {
        Kind::StorageFull => ReplyCode::InsufficientStorage,
        Kind::QuotaExceeded | Kind::FileTooLarge => ReplyCode::ExceededStorage,
        Kind::ExecutableFileBusy | Kind::ResourceBusy | Kind::WouldBlock => ReplyCode::FileBusy,
        // EMFILE, ENFILE, ENOMEM, EIO: our trouble, which may pass.
        _ if sockets::is_shortage(error) || files::is_broken_disk(error) => ReplyCode::LocalError,
        _ => ReplyCode::FileUnavailable,
    };
    named(code, path, &reason(error))
}

/// The system's words for an error, without its number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    format!("{words}.")
}

fn named(code: ReplyCode, path: &[u8], text: &str) -> Stop {
    refused(code, [path, b": ", text.as_bytes()].concat())
}
