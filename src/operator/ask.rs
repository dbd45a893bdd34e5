//! The asking end: `ferryd who` and `ferryd kick`.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::{PATIENCE, Question};

/// Asks the server behind the socket, and returns its answer. The error is a line.
pub(crate) fn ask(path: &Path, question: Question) -> Result<String, String> {
    let failed = |err: io::Error| match err.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!("{}: no server runs here", path.display())
        }
        _ => format!("{}: {err}", path.display()),
    };
    let mut answer = String::new();
    let mut stream = UnixStream::connect(path).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE * 2)).map_err(failed)?;
    let line = match question {
        Question::Who { json: false } => "who\n".to_owned(),
        Question::Who { json: true } => "who json\n".to_owned(),
        Question::Kick { id } => format!("kick {id}\n"),
    };
    stream.write_all(line.as_bytes()).and_then(|()| stream.read_to_string(&mut answer)).map_err(failed)?;
    match answer.split_once('\n') {
        Some(("ok", text)) => Ok(text.to_owned()),
        Some((line, _)) => Err(line.trim_start_matches("error: ").to_owned()),
        None => Err(format!("{}: no answer", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_server_is_it_says_so() {
        let err = ask(Path::new("/no/such/socket"), Question::Who { json: false }).unwrap_err();
        assert_eq!(err, "/no/such/socket: no server runs here");
    }
}
