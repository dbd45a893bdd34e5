//! The names that lines of ftpusers, ftpchroot and ftphosts begin with, and whom they mean.
//!
//! A line names an account (`joe`), a group (`@staff`) or everybody (`@`). The first line that
//! matches counts.

use std::str;

use super::admin_file::{AdminFile, Fault};
use crate::sys::accounts;

/// Whom a line may mean.
pub(super) struct Subject<'a> {
    /// The name the client gave, and the one the account database has for it:
    /// some databases do not mind the case, these files do.
    pub names: &'a [&'a [u8]],
    /// The account's groups, the primary one among them.
    pub groups: &'a [u32],
}

impl AdminFile {
    /// What follows the name on the first line that means `subject`, and its number.
    ///
    /// # Errors
    /// As for `lines`; a group that could not be looked up.
    pub(super) fn find(&self, subject: &Subject<'_>) -> Result<Option<(usize, &[u8])>, Fault> {
        for (number, line) in self.lines()? {
            let (name, rest) = name_and_rest(line);
            if self.means(number, name, subject)? {
                return Ok(Some((number, rest)));
            }
        }
        Ok(None)
    }

    /// Whether the name on a line is that of `subject`, of a group of its, or everybody's.
    pub(super) fn means(&self, number: usize, name: &[u8], subject: &Subject<'_>) -> Result<bool, Fault> {
        match name.split_first() {
            Some((b'@', b"")) => Ok(true),
            Some((b'@', group)) => self.is_member(number, group, subject),
            _ => Ok(subject.names.contains(&name)),
        }
    }

    fn is_member(&self, number: usize, group: &[u8], subject: &Subject<'_>) -> Result<bool, Fault> {
        let Some(name) = accounts::c_name(group) else { return Ok(false) };
        match accounts::group_by_name(&name) {
            Ok(gid) => Ok(gid.is_some_and(|gid| subject.groups.contains(&gid))),
            Err(error) => Err(self.fault(number, &format!("the group cannot be looked up: {error}"))),
        }
    }
}

/// The first word of a line, and what follows it.
pub(super) fn name_and_rest(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    (&line[..end], line[end..].trim_ascii())
}

/// Whether a name can be an account's: letters and digits, and `.`, `_`, `-`,
/// `@`, `+`, `\` and `$` after the first. Anything else is refused before any
/// database, PAM module or log sees it.
pub(super) fn is_plausible_name(name: &[u8]) -> Option<&str> {
    const MAX_NAME: usize = 128;
    let name = str::from_utf8(name).ok().filter(|name| name.len() <= MAX_NAME)?;
    let first = name.chars().next()?;
    let fits = |letter: char| letter.is_alphanumeric() || "._-@+\\$".contains(letter);
    ((first.is_alphanumeric() || first == '_') && name.chars().all(fits)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::admin_file::tests::file;

    fn found<'a>(file: &'a AdminFile, name: &str, groups: &[u32]) -> Option<(usize, &'a [u8])> {
        file.find(&Subject { names: &[name.as_bytes()], groups }).unwrap()
    }

    #[test]
    fn a_line_names_an_account_a_group_or_everybody() {
        let listed = file(b"# comment\nanne\n\t bert  residue of the line\r\n@root x\n");
        assert_eq!(found(&listed, "anne", &[7]), Some((2, b"".as_slice())));
        assert_eq!(found(&listed, "bert", &[7]), Some((3, b"residue of the line".as_slice())));
        assert_eq!(found(&listed, "carl", &[7, 0]), Some((4, b"x".as_slice())));
        for stranger in ["carl", "Anne", "ann", "annee", "residue", "comment", "#", "@root"] {
            assert_eq!(found(&listed, stranger, &[7]), None, "{stranger}");
        }
        assert_eq!(found(&file(b"@ dir\n"), "anybody", &[]), Some((1, b"dir".as_slice())));
        assert_eq!(found(&file(b"@no-such-group\n"), "anybody", &[0]), None);
    }

    #[test]
    fn only_the_first_column_makes_a_comment() {
        assert_eq!(found(&file(b" #anne\n#bert\n"), "bert", &[]), None);
        assert_eq!(found(&file(b" #anne\n"), "#anne", &[]), Some((1, b"".as_slice())));
        assert_eq!(found(&file(b"anne # comment\n"), "anne", &[]), Some((1, b"# comment".as_slice())));
    }

    #[test]
    fn the_first_match_counts() {
        let jails = file(b"anne /one\nanne /two\n@ /three\n");
        assert_eq!(found(&jails, "anne", &[]), Some((1, b"/one".as_slice())));
        assert_eq!(found(&jails, "bert", &[]), Some((3, b"/three".as_slice())));
    }

    #[test]
    fn either_name_of_an_account_is_enough() {
        let listed = file(b"joe\n");
        let subject = Subject { names: &[b"JOE", b"joe"], groups: &[] };
        assert!(listed.find(&subject).unwrap().is_some());
    }

    #[test]
    fn strange_names_are_refused_before_anybody_sees_them() {
        for name in
            ["joe", "joe.doe", "_svc", "anne-marie", "HOST$", "DOM\\joe", "joe@example.org", "jörg", "1joe"]
        {
            assert_eq!(is_plausible_name(name.as_bytes()), Some(name));
        }
        let long = "x".repeat(129);
        for name in [
            "",
            " ",
            "joe ",
            "a b",
            "joe\n",
            "joe\r\nUSER x",
            "joe\"",
            "joe'",
            "joe`",
            "joe:x",
            "../joe",
            "/joe",
            "-joe",
            "@joe",
            "+",
            "~joe",
            "$joe",
            "joe;x",
            "joe=1",
            "joe\u{1b}[",
            "joe\u{a0}x",
            "#joe",
            "joe%s",
            "*",
            &long,
        ] {
            assert_eq!(is_plausible_name(name.as_bytes()), None, "{name:?}");
        }
        assert_eq!(is_plausible_name(b"joe\xff"), None);
        assert_eq!(is_plausible_name(b"joe\0"), None);
    }
}
