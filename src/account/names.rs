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

    /// For `--test-config`: the line is about an account that neither the system nor `knows` has.
    pub(super) fn unknown_account(&self, knows: impl Fn(&str) -> bool) -> Option<String> {
        let Named::Account { name, whole } = &self.user else { return None };
        if self.is_anonymous() || name.is_pattern() {
            return None;
        }
        // A name service that fails is no proof.
        let exists = |word: &Word| {
            let text = word.text();
            let own = str::from_utf8(&text).is_ok_and(&knows);
            own || accounts::c_name(&text).is_some_and(|name| !matches!(accounts::by_name(&name), Ok(None)))
        };
        (!exists(name) && !exists(whole)).then(|| format!("there is no account {}", name.shown()))
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
mod tests;
