//! Wildcards in LIST, NLST and STAT: `*`, `?`, `[a-z]`, `[!a-z]` and `\x`.
//!
//! No braces and no `~`: both have let one short line of a client's keep servers busy
//! for hours. Matching goes back to the last `*` alone, which takes linear time in the
//! name for each part of the pattern; what an expansion may find, and look for, is
//! limited.

use std::ops::ControlFlow;
use std::os::fd::AsFd;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{FileError, Vfs};
use crate::proto::path::VirtualPath;
use crate::sys::files::{self, DirBuffer, Kind};

/// Directories that one expansion opens, and names that it looks at.
const MAX_DIRECTORIES: usize = 10_000;
const MAX_NAMES: usize = 5_000_000;

/// Whether there is anything in it that does not stand for itself.
pub(super) fn is_pattern(path: &[u8]) -> bool {
    path.iter().any(|byte| b"*?[\\".contains(byte))
}

/// A file that a pattern found: where it is, and its name as the pattern was written.
pub(super) struct Match {
    pub path: VirtualPath,
    pub shown: Vec<u8>,
}

impl Vfs {
    /// All that `pattern` matches, in the order of the bytes; never nothing (ENOENT).
    pub(super) fn expand(
        &self,
        cwd: &VirtualPath,
        pattern: &[u8],
        limit: usize,
    ) -> Result<Vec<Match>, FileError> {
        let (start, shown) = match pattern.starts_with(b"/") {
            true => (VirtualPath::root(), b"/".to_vec()),
            false => (cwd.clone(), Vec::new()),
        };
        let mut search = Search { vfs: self, limit, directories: 0, names: 0, buffer: DirBuffer::default() };
        let mut found = vec![Match { path: start, shown }];
        let mut components = pattern.split(|&byte| byte == b'/').filter(|part| !part.is_empty()).peekable();
        while let Some(component) = components.next() {
            let pattern = Pattern::new(component);
            found = match pattern.literal() {
                Some(name) => found.iter().filter_map(|place| place.join(&name)).collect(),
                None => search.step(&found, &pattern, components.peek().is_some())?,
            };
        }
        found.retain(|place| self.stat_link(&place.path).is_ok());
        found.sort_by(|one, other| one.shown.cmp(&other.shown));
        if found.is_empty() { Err(Errno::NOENT.into()) } else { Ok(found) }
    }
}

impl Match {
    fn join(&self, name: &[u8]) -> Option<Match> {
        let slash: &[u8] = if matches!(self.shown.last(), None | Some(b'/')) { b"" } else { b"/" };
        Some(Match { path: self.path.join(name).ok()?, shown: [&self.shown, slash, name].concat() })
    }
}

struct Search<'a> {
    vfs: &'a Vfs,
    limit: usize,
    directories: usize,
    names: usize,
    buffer: DirBuffer,
}

impl Search<'_> {
    /// What matches one component in each of the places found so far.
    fn step(&mut self, places: &[Match], pattern: &Pattern, more: bool) -> Result<Vec<Match>, FileError> {
        let mut found = Vec::new();
        for place in places {
            self.directories += 1;
            if self.directories > MAX_DIRECTORIES {
                return Err(FileError::TooMany);
            }
            // What is no directory, or not for this user, has no matches in it.
            let Ok(dir) = self.vfs.open_dir(place.path.relative(), OFlags::empty()) else { continue };
            let window = self.vfs.window(place.path.clone());
            let (vfs, names, limit) = (self.vfs, &mut self.names, self.limit);
            let read = files::read_dir(dir.as_fd(), &mut self.buffer, |name, kind| {
                *names += 1;
                let is_way = matches!(kind, Kind::Directory | Kind::Symlink | Kind::Unknown);
                if (is_way || !more)
                    && pattern.matches(name.to_bytes())
                    && vfs.shows(&window, name.to_bytes(), kind)
                {
                    found.extend(place.join(name.to_bytes()));
                }
                match found.len() > limit || *names > MAX_NAMES {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
            if let Ok(ControlFlow::Break(())) = read {
                return Err(FileError::TooMany);
            }
        }
        Ok(found)
    }
}

/// One component of a path with wildcards in it.
pub(super) struct Pattern {
    tokens: Vec<Token>,
}

enum Token {
    Char(u32),
    AnyChar,
    /// Any characters, or none.
    Star,
    Class {
        negated: bool,
        ranges: Vec<(u32, u32)>,
    },
}

impl Pattern {
    pub(super) fn new(pattern: &[u8]) -> Pattern {
        let mut tokens = Vec::new();
        let mut rest = pattern;
        while let Some((char, after)) = next_char(rest) {
            rest = after;
            let token = match u8::try_from(char) {
                Ok(b'*') if matches!(tokens.last(), Some(Token::Star)) => continue,
                Ok(b'*') => Token::Star,
                Ok(b'?') => Token::AnyChar,
                Ok(b'[') => match class(after) {
                    Some((class, after)) => {
                        rest = after;
                        class
                    }
                    None => Token::Char(char), // `[` without its `]` stands for itself.
                },
                Ok(b'\\') => match next_char(after) {
                    Some((quoted, after)) => {
                        rest = after;
                        Token::Char(quoted)
                    }
                    None => Token::Char(char),
                },
                _ => Token::Char(char),
            };
            tokens.push(token);
        }
        Pattern { tokens }
    }

    /// The only name that it can match, if it has no wildcards.
    fn literal(&self) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        for token in &self.tokens {
            let Token::Char(code) = *token else { return None };
            push_char(&mut name, code);
        }
        Some(name)
    }

    /// Whether the whole of `name` matches. A dot in front is matched by a dot alone.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        let hidden = name.starts_with(b".") && !matches!(self.tokens.first(), Some(Token::Char(DOT)));
        !hidden && self.matches_any(name)
    }

    /// Whether the whole of `name` matches; a dot in front is a character like others.
    pub(super) fn matches_any(&self, name: &[u8]) -> bool {
        let (mut at, mut rest) = (0, name);
        // Where to go on when what follows the last star does not match: one character later.
        let mut retry: Option<(usize, &[u8])> = None;
        loop {
            let matched = match (self.tokens.get(at), next_char(rest)) {
                (None, None) => return true,
                (Some(Token::Star), _) => {
                    at += 1;
                    retry = Some((at, rest));
                    continue;
                }
                (Some(token), Some((char, after))) if token.matches(char) => Some(after),
                // The name is used up, and a later start would only use it up sooner.
                (Some(_), None) => return false,
                _ => None,
            };
            match (matched, retry) {
                (Some(after), _) => (at, rest) = (at + 1, after),
                (None, Some((after_star, from))) => {
                    let Some((_, from)) = next_char(from) else { return false };
                    retry = Some((after_star, from));
                    (at, rest) = (after_star, from);
                }
                (None, None) => return false,
            }
        }
    }
}

impl Token {
    fn matches(&self, char: u32) -> bool {
        match self {
            Token::Char(code) => *code == char,
            Token::AnyChar | Token::Star => true,
            Token::Class { negated, ranges } => {
                ranges.iter().any(|&(low, high)| (low..=high).contains(&char)) != *negated
            }
        }
    }
}

/// Reads a class from behind its `[`; `None` when there is no `]`. One right at the
/// start is a member.
fn class(pattern: &[u8]) -> Option<(Token, &[u8])> {
    let (negated, mut rest) = match pattern {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let member = |rest| match next_char(rest)? {
        (BACKSLASH, after) => next_char(after),
        char => Some(char),
    };
    let mut ranges = Vec::new();
    loop {
        if rest.starts_with(b"]") && !ranges.is_empty() {
            return Some((Token::Class { negated, ranges }, &rest[1..]));
        }
        let (low, after) = member(rest)?;
        rest = after;
        let mut high = low;
        if let [b'-', after @ ..] = rest
            && !after.starts_with(b"]")
        {
            (high, rest) = member(after)?;
        }
        ranges.push((low, high));
    }
}

const DOT: u32 = b'.' as u32;
const BACKSLASH: u32 = b'\\' as u32;
/// Bytes that are no UTF-8 count as characters of their own, beyond all others.
const RAW: u32 = 0x11_0000;

/// The first character, and what follows it.
fn next_char(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (&first, after) = bytes.split_first()?;
    if first < 0x80 {
        return Some((u32::from(first), after));
    }
    let longest = bytes.len().min(4);
    for len in 2..=longest {
        if let Ok(text) = std::str::from_utf8(&bytes[..len])
            && let Some(char) = text.chars().next()
        {
            return Some((u32::from(char), &bytes[len..]));
        }
    }
    Some((RAW + u32::from(first), after))
}

fn push_char(out: &mut Vec<u8>, code: u32) {
    match char::from_u32(code) {
        Some(char) => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        None => out.push((code - RAW) as u8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Random;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern.as_bytes()).matches(name.as_bytes())
    }

    #[test]
    fn wildcards_match_as_in_the_shell() {
        for (pattern, name) in [
            ("*", "abc"),
            ("a*", "a"),
            ("*.txt", "b.txt"),
            ("a?c", "abc"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("[^a-c]x", "dx"),
            ("[]]", "]"),
            ("[a-]", "-"),
            ("[\\]a]", "]"),
            ("[", "["),
            ("[ab", "[ab"),
            ("\\*", "*"),
            ("a\\", "a\\"),
            ("*a*b*c*", "xxaxxbxxcxx"),
            (".*", ".profile"),
            ("?", "é"),
            ("[à-ü]", "é"),
            ("{a,b}", "{a,b}"),
            ("~", "~"),
            ("**", "x"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*", ".profile"),
            ("?profile", ".profile"),
            ("[.]profile", ".profile"),
            ("a?c", "ac"),
            ("a*b", "abc"),
            ("[a-c]", "d"),
            ("[!a-c]", "b"),
            ("\\*", "a"),
            ("{a,b}", "a"),
            ("", "a"),
            ("a", ""),
            ("*?", ""),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_match_too() {
        assert!(Pattern::new(b"a?\xFFb*").matches(b"a\xFE\xFFb\xC3"));
        assert!(Pattern::new(b"[\xFE-\xFF]").matches(b"\xFF"));
        assert!(!Pattern::new(b"\xFF").matches(b"\xFE"));
        assert_eq!(Pattern::new(b"a\xFF\\\xC3\xA9").literal().unwrap(), b"a\xFF\xC3\xA9");
    }

    /// CVE-2005-0256 and its heirs: with a matcher that tries every star again, this ends never.
    #[test]
    fn many_stars_do_not_take_forever() {
        let name = [b'a'; 255];
        for stars in [10, 50, 120] {
            let pattern = [&b"a*".repeat(stars)[..], b"b"].concat();
            assert!(!Pattern::new(&pattern).matches(&name));
            let pattern = [&b"*a".repeat(stars)[..], b"*"].concat();
            assert!(Pattern::new(&pattern).matches(&name));
        }
    }

    #[test]
    fn any_bytes_make_a_pattern() {
        let mut random = Random::new(1);
        for _ in 0..20_000 {
            let bytes = random.bytes(12, b"*?[]!^-\\a.\xFF\xC3");
            let (pattern, name) = bytes.split_at(7);
            Pattern::new(pattern).matches(name);
        }
    }
}
