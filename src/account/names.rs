//! The name at the beginning of a line of ftpusers, ftpchroot or ftphosts, and the users it means.
//!
//! FreeBSD's ftpd knows an account (`joe`), the members of a group (`@staff`) and everybody (`@`).
//! tnftpd knows `user[:group][@host]`, with wildcards in each part. Letters between quotes stand
//! for themselves, and so does a blank with a backslash in front.

use std::net::IpAddr;
use std::{io, str};

use super::Trail;
use super::admin_file::{AdminFile, Fault};
use crate::config::Cidr;
use crate::logging;
use crate::proto::glob::{Pattern, is_pattern};
use crate::sys::accounts;

/// The user that is looked for in a file.
pub(super) struct Subject<'a> {
    /// The name that the client gave, and the one that the account database has for it. In some
    /// databases upper and lower case are the same; in these files they are not.
    pub names: &'a [&'a [u8]],
    /// The account's groups, the primary one among them.
    pub groups: &'a [u32],
    /// The client's address. `None`: it is not known, and no line about addresses counts.
    pub peer: Option<IpAddr>,
}

/// Whether a line is about a user.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Yes,
    No,
    /// The line is about this user at other addresses.
    Elsewhere,
    /// The line can be about nobody, or it cannot be told about whom. The reason.
    Unclear(String),
}

/// A line that is about the user, or may be.
pub(super) struct Hit<'a> {
    pub line: usize,
    /// The rest of the line, after the name.
    pub rest: &'a [u8],
    /// Why it cannot be told about whom the line is.
    pub unclear: Option<String>,
}

impl AdminFile {
    /// The first line that is about `subject`, or may be. An unclear line is left out if
    /// `is_harmless` says so of the rest of the line.
    ///
    /// # Errors
    /// Those of `lines`; a group could not be looked up.
    pub(super) fn find(
        &self,
        subject: &Subject<'_>,
        trail: &mut Trail,
        is_harmless: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Hit<'_>>, Fault> {
        for (line, text) in self.lines()? {
            let (meaning, rest) = match Who::split_off(text) {
                Ok((who, rest)) => (self.means(line, &who, subject)?, rest),
                Err(reason) => (Meaning::Unclear(reason), &b""[..]),
            };
            let unclear = match meaning {
                Meaning::Yes => None,
                Meaning::No => continue,
                Meaning::Elsewhere => {
                    let why = match subject.peer {
                        Some(_) => "is for other addresses",
                        None => "depends on the client's address, which was not given",
                    };
                    trail.say(|| format!("{}: {why}", self.rule(line)));
                    continue;
                }
                Meaning::Unclear(reason) if is_harmless(rest) => {
                    trail.say(|| format!("{}: left out: {reason}", self.rule(line)));
                    continue;
                }
                Meaning::Unclear(reason) => Some(reason),
            };
            return Ok(Some(Hit { line, rest, unclear }));
        }
        Ok(None)
    }

    /// Whether the name on a line means `subject`.
    ///
    /// # Errors
    /// A group could not be looked up.
    pub(super) fn means(&self, line: usize, who: &Who, subject: &Subject<'_>) -> Result<Meaning, Fault> {
        let failed = |error| self.fault(line, &format!("the group cannot be looked up: {error}"));
        who.means(subject).map_err(failed)
    }
}

/// The first word of a line: `user[:group][@host]`, `@group` or `@`.
pub(super) struct Who {
    user: Named,
    group: Option<Word>,
    host: Origin,
}

enum Named {
    Anybody,
    Account {
        name: Word,
        /// The name with the part after the `@`: some accounts have an `@` in their name.
        whole: Word,
    },
    /// No account can have this name; the reason.
    Impossible(String),
}

enum Origin {
    Any,
    Network(Cidr),
    /// Addresses by their text, such as `192.0.2.*`.
    Like(Pattern),
    /// Names are not looked up: the owner of an address decides about its name.
    Name(Word),
}

impl Who {
    /// The name at the beginning of a line, and the rest of the line.
    ///
    /// # Errors
    /// The reason why the line has no name.
    pub(super) fn split_off(line: &[u8]) -> Result<(Who, &[u8]), String> {
        let (word, rest) = Word::split_off(line)?;
        Ok((Who::of(word), rest.trim_ascii()))
    }

    fn of(word: Word) -> Who {
        let (anybody, any) = (Named::Anybody, Origin::Any);
        if let Some((b'@', false)) = word.0.first() {
            let group = Word(word.0[1..].to_vec());
            return Who { user: anybody, group: (!group.0.is_empty()).then_some(group), host: any };
        }
        let (before, host) = match word.0.iter().rposition(|&letter| letter == (b'@', false)) {
            Some(at) => (Word(word.0[..at].to_vec()), Origin::of(Word(word.0[at + 1..].to_vec()))),
            None => (word.clone(), any),
        };
        let (name, group) = match before.0.iter().position(|&letter| letter == (b':', false)) {
            Some(at) => (Word(before.0[..at].to_vec()), Some(Word(before.0[at + 1..].to_vec()))),
            None => (before, None),
        };
        let user = match is_plausible_name(&name.text()).is_none() && !name.is_pattern() {
            true => Named::Impossible(format!("`{}` cannot be the name of an account", name.shown())),
            false => Named::Account { name, whole: word },
        };
        Who { user, group, host }
    }

    fn means(&self, subject: &Subject<'_>) -> io::Result<Meaning> {
        match &self.user {
            Named::Anybody => (),
            Named::Impossible(reason) => return Ok(Meaning::Unclear(reason.clone())),
            Named::Account { whole, .. } if whole.is_any_of(subject.names) => return Ok(Meaning::Yes),
            Named::Account { name, .. } if name.matches_any_of(subject.names) => (),
            Named::Account { .. } => return Ok(Meaning::No),
        }
        let group = match &self.group {
            Some(group) => group.means_group_of(subject)?,
            None => Meaning::Yes,
        };
        Ok(match (group, self.host.means(subject.peer)) {
            (Meaning::Yes, host) => host,
            (Meaning::Unclear(_), Meaning::Elsewhere) => Meaning::Elsewhere,
            (group, _) => group,
        })
    }

    /// Whether the name is that of the anonymous login.
    pub(super) fn is_anonymous(&self) -> bool {
        matches!(&self.user, Named::Account { name, .. } if name.is_any_of(&[b"ftp", b"anonymous"]))
    }

    /// Why the line can be about nobody, or why it cannot be told about whom. For `--test-config`.
    pub(super) fn complaint(&self) -> Option<String> {
        let group = || match self.group.as_ref()?.gid() {
            Ok(Err(reason)) => Some(reason),
            Ok(Ok(_)) | Err(_) => None,
        };
        match (&self.user, &self.host) {
            (Named::Impossible(reason), _) => Some(reason.clone()),
            (_, Origin::Name(name)) => Some(not_an_address(name)),
            _ => group(),
        }
    }
}

impl Origin {
    fn of(Word(letters): Word) -> Origin {
        let word = Word(letters.iter().map(|(byte, quoted)| (byte.to_ascii_lowercase(), *quoted)).collect());
        let text = word.text();
        let network = str::from_utf8(&text).ok().and_then(Cidr::parse);
        let only = |letters: &[u8]| text.iter().all(|byte| letters.contains(byte));
        match network {
            Some(network) => Origin::Network(network),
            None if text.is_empty() || !word.is_pattern() => Origin::Name(word),
            None if only(b"0123456789.*?[]-!^") => Origin::Like(word.pattern()),
            None if text.contains(&b':') && only(b"0123456789abcdef.:*?[]-!^") => {
                Origin::Like(word.pattern())
            }
            None => Origin::Name(word),
        }
    }

    fn means(&self, peer: Option<IpAddr>) -> Meaning {
        let here = match (self, peer) {
            (Origin::Any, _) => true,
            (Origin::Name(name), _) => return Meaning::Unclear(not_an_address(name)),
            (_, None) => false,
            (Origin::Network(network), Some(peer)) => network.contains(peer),
            (Origin::Like(pattern), Some(peer)) => {
                pattern.matches_any(peer.to_canonical().to_string().as_bytes())
            }
        };
        if here { Meaning::Yes } else { Meaning::Elsewhere }
    }
}

fn not_an_address(name: &Word) -> String {
    format!("`{}` is not an address or a network, and names of hosts are not looked up", name.shown())
}

/// A word of a line: its bytes, and of each whether it was quoted and stands for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word(Vec<(u8, bool)>);

impl Word {
    /// The first word of a line, and the rest.
    fn split_off(line: &[u8]) -> Result<(Word, &[u8]), String> {
        let (mut word, mut rest, mut quoted) = (Vec::new(), line, false);
        loop {
            rest = match rest {
                [b'"', after @ ..] => {
                    quoted = !quoted;
                    after
                }
                [b'\\', escaped @ (b'"' | b' ' | b'\t'), after @ ..] => {
                    word.push((*escaped, true));
                    after
                }
                [b'\\'] => return Err("a backslash at its end does not continue a line".to_owned()),
                [] if quoted => return Err("a quote has no end".to_owned()),
                [byte, ..] if !quoted && byte.is_ascii_whitespace() => return Ok((Word(word), rest)),
                [] => return Ok((Word(word), rest)),
                [byte, after @ ..] => {
                    word.push((*byte, quoted));
                    after
                }
            };
        }
    }

    fn text(&self) -> Vec<u8> {
        self.0.iter().map(|(byte, _)| *byte).collect()
    }

    fn shown(&self) -> String {
        logging::text(&self.text()).to_string()
    }

    fn is_pattern(&self) -> bool {
        let bare: Vec<u8> = self.0.iter().filter(|(_, quoted)| !quoted).map(|(byte, _)| *byte).collect();
        // A backslash is no wildcard: it is part of names such as DOMAIN\joe.
        is_pattern(&bare) && bare.iter().any(|byte| b"*?[".contains(byte))
    }

    fn pattern(&self) -> Pattern {
        let mut pattern = Vec::new();
        for &(byte, quoted) in &self.0 {
            if byte == b'\\' || (quoted && b"*?[]".contains(&byte)) {
                pattern.push(b'\\');
            }
            pattern.push(byte);
        }
        Pattern::new(&pattern)
    }

    fn is_any_of(&self, names: &[&[u8]]) -> bool {
        !self.is_pattern() && names.contains(&self.text().as_slice())
    }

    fn matches_any_of(&self, names: &[&[u8]]) -> bool {
        match self.is_pattern() {
            true => names.iter().any(|name| self.pattern().matches_any(name)),
            false => self.is_any_of(names),
        }
    }

    fn means_group_of(&self, subject: &Subject<'_>) -> io::Result<Meaning> {
        let is_member = match self.is_pattern() {
            true => {
                let pattern = self.pattern();
                let mut names = subject.groups.iter().map(|&gid| accounts::group_name(gid));
                names.try_fold(false, |found, name| {
                    io::Result::Ok(found || name?.is_some_and(|name| pattern.matches_any(&name)))
                })?
            }
            false => match self.gid()? {
                Ok(gid) => gid.is_some_and(|gid| subject.groups.contains(&gid)),
                Err(reason) => return Ok(Meaning::Unclear(reason)),
            },
        };
        Ok(if is_member { Meaning::Yes } else { Meaning::No })
    }

    /// The number of the group of this name; `None` for a name with wildcards; or why there is no such group.
    fn gid(&self) -> io::Result<Result<Option<u32>, String>> {
        if self.is_pattern() {
            return Ok(Ok(None));
        }
        let text = self.text();
        let gid = match accounts::c_name(&text).filter(|_| !text.is_empty()) {
            Some(name) => accounts::group_by_name(&name)?,
            None => None,
        };
        Ok(gid.map(Some).ok_or_else(|| format!("there is no group {}", self.shown())))
    }
}

/// `text` without quotes, and without the backslashes in front of blanks. `None`: a quote has no
/// end.
pub(super) fn unquoted(text: &[u8]) -> Option<Vec<u8>> {
    let (mut whole, mut rest) = (Vec::new(), text);
    loop {
        let (word, after) = Word::split_off(rest).ok()?;
        whole.extend(word.text());
        let blanks = after.len() - after.trim_ascii_start().len();
        whole.extend_from_slice(&after[..blanks]);
        rest = &after[blanks..];
        if rest.is_empty() {
            return Some(whole);
        }
    }
}

/// The name as text, if it can be the name of an account. Whether there is such an account, the
/// name service decides: names may have blanks, quotes or a domain in them. The name service is
/// not asked about a name that would end a line, a field of passwd(5) or a path, or looks like an
/// option.
pub(super) fn is_plausible_name(name: &[u8]) -> Option<&str> {
    const MAX_NAME: usize = 128;
    let name = str::from_utf8(name).ok().filter(|name| !name.is_empty() && name.len() <= MAX_NAME)?;
    let is_strange = |letter: char| letter.is_control() || letter == '/' || letter == ':';
    (!name.starts_with('-') && !name.contains(is_strange)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::admin_file::tests::file;

    fn found<'a>(file: &'a AdminFile, name: &str, groups: &[u32]) -> Option<(usize, &'a [u8])> {
        let subject = Subject { names: &[name.as_bytes()], groups, peer: None };
        find(file, &subject).filter(|found| found.unclear.is_none()).map(|found| (found.line, found.rest))
    }

    fn find<'a>(file: &'a AdminFile, subject: &Subject<'_>) -> Option<Hit<'a>> {
        file.find(subject, &mut Trail::default(), |_| false).unwrap()
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
        let subject = Subject { names: &[b"JOE", b"joe"], groups: &[], peer: None };
        assert!(find(&listed, &subject).is_some());
    }

    /// The name of the group that root has on this system: `root`, or `wheel`.
    fn group_of_root() -> String {
        String::from_utf8(accounts::group_name(0).unwrap().unwrap()).unwrap()
    }

    fn meaning(word: &str, name: &str, groups: &[u32], peer: Option<&str>) -> Meaning {
        let peer = peer.map(|peer| peer.parse().unwrap());
        let (who, rest) = Who::split_off(word.as_bytes()).unwrap();
        assert_eq!(rest, b"", "{word}");
        who.means(&Subject { names: &[name.as_bytes()], groups, peer }).unwrap()
    }

    #[test]
    fn names_may_have_wildcards_and_quotes() {
        for (word, name, expected) in [
            ("*", "joe", true),
            ("j*", "joe", true),
            ("j*", "ann", false),
            ("jo?", "joe", true),
            ("jo?", "jo", false),
            ("joe[1-3]", "joe2", true),
            ("joe[1-3]", "joe4", false),
            ("joe[!1-3]", "joe4", true),
            // A dot at the beginning is nothing special, as it would be in the name of a file.
            ("*", ".joe", true),
            ("J*", "joe", false),
            ("\"first last\"", "first last", true),
            ("first\\ last", "first last", true),
            ("first\" \"last", "first last", true),
            ("\"first l*\"", "first last", false),
            ("\"first l\"*", "first last", true),
            ("\"*\"", "*", true),
            ("\"*\"", "joe", false),
            ("\\\"joe\\\"", "\"joe\"", true),
            ("o'neil", "o'neil", true),
            ("DOM\\joe", "DOM\\joe", true),
            ("DOM\\*", "DOM\\joe", true),
            ("DOM\\*", "DOMjoe", false),
            ("\"DOM\\first last\"", "DOM\\first last", true),
            ("\"@staff\"", "@staff", true),
            ("j\u{f6}rg", "j\u{f6}rg", true),
            ("j?rg", "j\u{f6}rg", true),
        ] {
            let expected = if expected { Meaning::Yes } else { Meaning::No };
            assert_eq!(meaning(word, name, &[7], Some("192.0.2.1")), expected, "{word} {name}");
        }
    }

    #[test]
    fn a_group_may_be_named_in_both_ways_and_with_wildcards() {
        let root = group_of_root();
        let beginning = &root[..root.len() - 1];
        for (word, groups, expected) in [
            ("*:GROUP", &[7, 0][..], true),
            ("*:GROUP", &[7], false),
            ("j*:GROUP", &[0], true),
            ("a*:GROUP", &[0], false),
            ("*:BEGIN*", &[7, 0], true),
            ("*:BEGIN?", &[0], true),
            ("*:x-BEGIN*", &[0], false),
            ("@GROUP", &[0], true),
            ("@BEGIN*", &[0], true),
            ("@\"GROUP\"", &[0], true),
        ] {
            let word = word.replace("GROUP", &root).replace("BEGIN", beginning);
            let expected = if expected { Meaning::Yes } else { Meaning::No };
            assert_eq!(meaning(&word, "joe", groups, None), expected, "{word} {groups:?}");
        }
    }

    #[test]
    fn a_name_may_be_for_some_addresses_alone() {
        for (word, peer, expected) in [
            ("joe@192.0.2.1", "192.0.2.1", Meaning::Yes),
            ("joe@192.0.2.1", "192.0.2.2", Meaning::Elsewhere),
            ("ann@192.0.2.1", "192.0.2.1", Meaning::No),
            ("*@192.0.2.0/24", "192.0.2.77", Meaning::Yes),
            ("*@192.0.2.0/24", "::ffff:192.0.2.77", Meaning::Yes),
            ("*@192.0.2.0/24", "192.0.3.77", Meaning::Elsewhere),
            ("*@10.*", "10.1.2.3", Meaning::Yes),
            ("*@10.?.2.[1-3]", "10.1.2.3", Meaning::Yes),
            ("*@10.*", "110.1.2.3", Meaning::Elsewhere),
            ("*@*", "2001:db8::1", Meaning::Yes),
            ("*@2001:DB8:*", "2001:db8::1", Meaning::Yes),
            ("*@2001:db8::/32", "2001:db8::1", Meaning::Yes),
            ("*@2001:db8:*", "2001:db9::1", Meaning::Elsewhere),
            ("a*@*.example.org", "192.0.2.1", Meaning::No),
            // It may be an account with a domain in its name, or joe at some host.
            ("joe@example.org", "192.0.2.1", Meaning::Unclear(String::new())),
        ] {
            let meaning = match meaning(word, "joe", &[], Some(peer)) {
                Meaning::Unclear(_) => Meaning::Unclear(String::new()),
                meaning => meaning,
            };
            assert_eq!(meaning, expected, "{word} {peer}");
        }
        assert_eq!(meaning("joe@10.*", "joe", &[], None), Meaning::Elsewhere);
        assert_eq!(meaning("joe@example.org", "joe@example.org", &[], None), Meaning::Yes);
        assert_eq!(meaning("joe@example.org@10.*", "joe@example.org", &[], Some("10.1.1.1")), Meaning::Yes);
    }

    #[test]
    fn a_line_that_can_mean_nobody_may_mean_anybody() {
        for word in [
            "@domain",
            "@no-such-group",
            "*:no-such-group",
            "*:",
            "*@",
            "*@no.such.host",
            "*@*.example.org",
            "*@10.0.0",
            "*@300.1.1.1",
            "*@192.0.2.0/33",
            "/etc/ftpdeny",
            "-joe",
            ":staff",
            "\"\"",
        ] {
            let meaning = meaning(word, "joe", &[0], Some("192.0.2.1"));
            assert!(matches!(meaning, Meaning::Unclear(_)), "{word}: {meaning:?}");
            let (who, _) = Who::split_off(word.as_bytes()).unwrap();
            assert!(who.complaint().is_some(), "{word}");
        }
        for line in ["\"joe", "joe\"", "joe allow\"", "jo\\"] {
            let split = Who::split_off(line.as_bytes());
            assert_eq!(split.is_err(), !line.contains("allow"), "{line}");
        }
        for word in ["joe", "*", "@", "joe@10.0.0.1", "DOM\\joe", "no-such-account"] {
            let (who, _) = Who::split_off(word.as_bytes()).unwrap();
            assert_eq!(who.complaint(), None, "{word}");
        }
    }

    #[test]
    fn what_is_unclear_ends_the_search_unless_it_is_harmless() {
        let file = file(b"@no-such-group allow\n*@example.org x\nann\n");
        let subject = Subject { names: &[b"joe"], groups: &[], peer: None };
        let first = find(&file, &subject).unwrap();
        assert_eq!((first.line, first.unclear.is_some()), (1, true));
        let mut trail = Trail::kept();
        let next = file.find(&subject, &mut trail, |rest| rest == b"allow").unwrap().unwrap();
        assert_eq!((next.line, next.rest), (2, b"x".as_slice()));
        assert_eq!(
            trail.into_steps(),
            ["test:1: `@no-such-group allow`: left out: there is no group no-such-group"]
        );
        let ann = Subject { names: &[b"ann"], groups: &[], peer: None };
        assert_eq!(find(&file, &ann).unwrap().line, 1);
    }

    #[test]
    fn text_may_be_quoted() {
        for (text, expected) in [
            ("/srv/a b", Some("/srv/a b")),
            ("\"/srv/a  b\"", Some("/srv/a  b")),
            ("/srv/a\\ b  c", Some("/srv/a b  c")),
            ("\"/srv", None),
            ("", Some("")),
        ] {
            let found = unquoted(text.as_bytes()).map(|found| String::from_utf8(found).unwrap());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn any_bytes_make_a_word_or_a_complaint() {
        let mut random = crate::test_support::Random::new(7);
        for _ in 0..5_000 {
            let line = random.bytes(12, b"aj*?[]@:\\\" /.1#\xFF-");
            if let Ok((who, _)) = Who::split_off(&line) {
                let subject = Subject { names: &[b"joe"], groups: &[], peer: "10.1.1.1".parse().ok() };
                who.means(&subject).unwrap();
            }
            unquoted(&line);
        }
    }

    #[test]
    fn strange_names_are_refused_before_anybody_sees_them() {
        for name in [
            "joe",
            "joe.doe",
            "_svc",
            "anne-marie",
            "HOST$",
            "DOM\\joe",
            "joe@example.org",
            "j\u{f6}rg",
            "1joe",
            "o'neil",
            "first last",
            "DOM\\first last",
            "+joe",
            "joe;x",
            "$joe",
        ] {
            assert_eq!(is_plausible_name(name.as_bytes()), Some(name));
        }
        let long = "x".repeat(129);
        for name in [
            "",
            "joe\n",
            "joe\r\nUSER x",
            "joe:x",
            "../joe",
            "/joe",
            "joe/",
            "-joe",
            "-",
            "joe\u{1b}[",
            "joe\t",
            "\u{85}joe",
            "joe\u{7f}",
            &long,
        ] {
            assert_eq!(is_plausible_name(name.as_bytes()), None, "{name:?}");
        }
        assert_eq!(is_plausible_name(b"joe\xff"), None);
        assert_eq!(is_plausible_name(b"joe\0"), None);
    }
}
