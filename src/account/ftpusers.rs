//! ftpusers: who may not log in, and with which options the others may.

use std::path::Path;

use super::admin_file::{AdminFile, Fault};
use super::authenticator::Refusal;
use super::names::Subject;
use super::{Trail, UserOptions};

/// What the file ftpusers says of somebody whom it does not keep out.
pub(super) fn check_ftpusers(
    path: &Path,
    subject: &Subject<'_>,
    trail: &mut Trail,
) -> Result<UserOptions, Refusal> {
    let file = AdminFile::read(path).map_err(Refusal::unavailable)?;
    match listed(&file, subject).map_err(Refusal::unavailable)? {
        Listed::Denied(line) => {
            trail.say(|| format!("{}: keeps this account out", file.rule(line)));
            Err(Refusal::denied(format!("listed in {}:{line}", path.display())))
        }
        Listed::Not => {
            trail.say(|| file.silence());
            Ok(UserOptions::default())
        }
        Listed::Allowed(line, options) => {
            trail.say(|| format!("{}: allows this account", file.rule(line)));
            Ok(options)
        }
    }
}

/// What ftpusers, read into a file, says of somebody.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Listed {
    Not,
    /// On that line.
    Denied(usize),
    /// The word `allow` follows the name, as in tnftpd's ftpusers.
    Allowed(usize, UserOptions),
}

/// # Errors
/// The file could not be understood.
pub(super) fn listed(file: &AdminFile, subject: &Subject<'_>) -> Result<Listed, Fault> {
    let Some((line, rest)) = file.find(subject)? else { return Ok(Listed::Not) };
    means_of_ftpusers(file, line, rest)
}

/// What follows the name on a line of ftpusers.
pub(super) fn means_of_ftpusers(file: &AdminFile, line: usize, rest: &[u8]) -> Result<Listed, Fault> {
    let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
    let (word, rest) = rest.split_at(end);
    // Whatever else follows the name, older ftpds take no notice of it: the line keeps out.
    if word != b"allow" {
        return Ok(Listed::Denied(line));
    }
    match UserOptions::split_off(rest) {
        Ok((b"", options)) => Ok(Listed::Allowed(line, options)),
        Ok(_) => {
            Err(file.fault(line, "only options may follow `allow`: ro, wo, rate=, umask=, quota=, hide="))
        }
        Err(reason) => Err(file.fault(line, &reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::admin_file::tests::file;

    #[test]
    fn ftpusers_keeps_out_but_for_those_it_allows() {
        let users = file(
            b"anne\nbert allow ro rate=1k\ncarl denied for now\ndora allow for now\nemil allowed\n@ allow\n",
        );
        let listed = |name: &str| listed(&users, &Subject { names: &[name.as_bytes()], groups: &[] });
        assert_eq!(listed("anne").unwrap(), Listed::Denied(1));
        let options = UserOptions { read_only: true, rate: Some(1024), ..UserOptions::default() };
        assert_eq!(listed("bert").unwrap(), Listed::Allowed(2, options));
        assert_eq!(listed("carl").unwrap(), Listed::Denied(3));
        assert_eq!(listed("dora").unwrap_err().line, 4);
        assert_eq!(listed("emil").unwrap(), Listed::Denied(5));
        assert_eq!(listed("fred").unwrap(), Listed::Allowed(6, UserOptions::default()));
    }
}
