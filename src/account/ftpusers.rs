//! ftpusers: users who may not log in, and options of those who may.

use std::path::Path;

use super::admin_file::{AdminFile, Fault};
use super::authenticator::Refusal;
use super::names::{Hit, Subject};
use super::{Trail, UserOptions};

/// What a line says of a user whom it lets in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Permit {
    pub options: UserOptions,
    pub class: Class,
}

/// The classes of tnftpd that need no ftpd.conf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Class {
    #[default]
    Real,
    /// Kept in the home directory, as by a line of ftpchroot.
    Chroot,
    /// The class of the anonymous login; for no other user.
    Guest,
}

/// Refuses a user whom the file keeps out; else what it says of this one.
pub(super) fn check_ftpusers(
    path: &Path,
    subject: &Subject<'_>,
    trail: &mut Trail,
) -> Result<Permit, Refusal> {
    let file = AdminFile::read(path).map_err(Refusal::unavailable)?;
    match listed(&file, subject, trail).map_err(Refusal::unavailable)? {
        Listed::Denied(line, unclear) => {
            let because = unclear.map(|reason| format!(" ({reason})")).unwrap_or_default();
            trail.say(|| format!("{}: keeps this account out{because}", file.rule(line)));
            Err(Refusal::denied(format!("listed in {}:{line}{because}", path.display())))
        }
        Listed::Not => {
            trail.say(|| file.silence());
            Ok(Permit::default())
        }
        Listed::Allowed(line, permit) => {
            trail.say(|| format!("{}: allows this account", file.rule(line)));
            Ok(permit)
        }
    }
}

/// What ftpusers says of a user.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Listed {
    Not,
    /// The number of the line; and, if it cannot be told about whom that is, the reason.
    Denied(usize, Option<String>),
    /// The number of the line. The word `allow` follows the name, as in tnftpd's ftpusers.
    Allowed(usize, Permit),
}

/// # Errors
/// The file could not be understood.
fn listed(file: &AdminFile, subject: &Subject<'_>, trail: &mut Trail) -> Result<Listed, Fault> {
    match file.find(subject, trail, |rest| permission(rest).is_some())? {
        Some(Hit { line, unclear: Some(reason), .. }) => Ok(Listed::Denied(line, Some(reason))),
        Some(Hit { line, rest, unclear: None }) => means_of_ftpusers(file, line, rest),
        None => Ok(Listed::Not),
    }
}

/// The meaning of `rest`, which follows the name on a line of ftpusers.
pub(super) fn means_of_ftpusers(file: &AdminFile, line: usize, rest: &[u8]) -> Result<Listed, Fault> {
    // Other servers ignore any other word after the name: the line keeps the user out.
    let Some(rest) = permission(rest) else { return Ok(Listed::Denied(line, None)) };
    let split = UserOptions::split_off(without_comment(rest));
    let (class, options) = split.map_err(|reason| file.fault(line, &reason))?;
    let class = match class {
        b"" | b"real" => Class::Real,
        b"chroot" => Class::Chroot,
        b"guest" => Class::Guest,
        _ => {
            let what = "only options may follow `allow`, and a class (real, chroot or guest): \
                        ro, wo, rate=, umask=, quota=, hide=";
            return Err(file.fault(line, what));
        }
    };
    Ok(Listed::Allowed(line, Permit { options, class }))
}

/// The text after the word `allow`. `None`: the first word is another one.
fn permission(rest: &[u8]) -> Option<&[u8]> {
    let (word, rest) = first_word(rest);
    [&b"allow"[..], b"yes"].iter().any(|allow| word.eq_ignore_ascii_case(allow)).then_some(rest)
}

/// The first word, and the rest.
pub(super) fn first_word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_ascii())
}

/// Removes a comment of tnftpd: a word that begins with `#`, and all after it.
fn without_comment(rest: &[u8]) -> &[u8] {
    let starts = |at: usize| at == 0 || rest[at - 1].is_ascii_whitespace();
    let comment = (0..rest.len()).find(|&at| rest[at] == b'#' && starts(at));
    rest[..comment.unwrap_or(rest.len())].trim_ascii()
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
        let listed = |name| found(&users, name, None);
        assert_eq!(listed("anne").unwrap(), Listed::Denied(1, None));
        let options = UserOptions { read_only: true, rate: Some(1024), ..UserOptions::default() };
        assert_eq!(listed("bert").unwrap(), Listed::Allowed(2, Permit { options, class: Class::Real }));
        assert_eq!(listed("carl").unwrap(), Listed::Denied(3, None));
        assert_eq!(listed("dora").unwrap_err().line, 4);
        assert_eq!(listed("emil").unwrap(), Listed::Denied(5, None));
        assert_eq!(listed("fred").unwrap(), Listed::Allowed(6, Permit::default()));
    }

    fn found(file: &AdminFile, name: &str, peer: Option<&str>) -> Result<Listed, Fault> {
        let peer = peer.map(|peer| peer.parse().unwrap());
        listed(file, &Subject { names: &[name.as_bytes()], groups: &[], peer }, &mut Trail::default())
    }

    /// What one line says of `joe`: `denied`, `unclear`, `fault`, the class if it lets him in, or `not`.
    fn says(line: &str) -> &'static str {
        match found(&file(line.as_bytes()), "joe", Some("10.1.2.3")) {
            Ok(Listed::Not) => "not",
            Ok(Listed::Denied(_, None)) => "denied",
            Ok(Listed::Denied(_, Some(_))) => "unclear",
            Ok(Listed::Allowed(_, Permit { class: Class::Real, .. })) => "real",
            Ok(Listed::Allowed(_, Permit { class: Class::Chroot, .. })) => "chroot",
            Ok(Listed::Allowed(_, Permit { class: Class::Guest, .. })) => "guest",
            Err(_) => "fault",
        }
    }

    #[test]
    fn lines_of_tnftpd_are_understood_and_what_is_not_keeps_out() {
        for (line, expected) in [
            ("*", "denied"),
            ("* deny", "denied"),
            ("j* no", "denied"),
            ("joe@10.* deny", "denied"),
            ("joe@11.* deny", "not"),
            ("* allow", "real"),
            ("* YES", "real"),
            ("joe allow real", "real"),
            ("joe\tallow\tchroot ro", "chroot"),
            ("joe allow guest", "guest"),
            ("joe allow # a friend", "real"),
            ("joe allow chroot # a friend", "chroot"),
            ("joe allow staff", "fault"),
            ("joe allow readonly", "fault"),
            ("joe allow rat=1", "fault"),
            ("joe maybe", "denied"),
            ("ann", "not"),
            // These can be about nobody.
            ("*: deny", "unclear"),
            ("@domain users", "unclear"),
            ("*:no-such-group deny", "unclear"),
            ("*@*.example.org deny", "unclear"),
            ("*@example.org", "unclear"),
            ("/etc/ftpdeny", "unclear"),
            ("\"joe", "unclear"),
            ("\"joe allow", "unclear"),
            ("ann\\", "unclear"),
            // These would let nobody in, so they may be left out.
            ("*:no-such-group allow", "not"),
            ("*@*.example.org yes", "not"),
        ] {
            assert_eq!(says(line), expected, "{line}");
        }
    }

    #[test]
    fn the_first_line_that_is_clear_counts() {
        let users = file(b"@no-such-group allow\nroot deny\nj*@10.0.0.0/8 allow ro\n*@* deny\n");
        assert_eq!(found(&users, "root", Some("10.1.1.1")).unwrap(), Listed::Denied(2, None));
        let listed = found(&users, "joe", Some("10.1.1.1")).unwrap();
        assert!(matches!(listed, Listed::Allowed(3, permit) if permit.options.read_only));
        assert_eq!(found(&users, "joe", Some("192.0.2.1")).unwrap(), Listed::Denied(4, None));
    }
}
