//! Wildcards: `*`, `?`, `[a-z]`, `[!a-z]` and `\x`.
//!
//! Matching goes back to the last `*` alone, which takes linear time in the name for each part of
//! the pattern.

/// Whether there is anything in it that does not stand for itself.
pub(crate) fn is_pattern(path: &[u8]) -> bool {
    path.iter().any(|byte| b"*?[\\".contains(byte))
}

/// A name with wildcards in it, such as one component of a path.
pub(crate) struct Pattern {
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
    pub(crate) fn new(pattern: &[u8]) -> Pattern {
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
    pub(crate) fn literal(&self) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        for token in &self.tokens {
            let Token::Char(code) = *token else { return None };
            push_char(&mut name, code);
        }
        Some(name)
    }

    /// Whether the whole of `name` matches. A dot in front is matched by a dot alone.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        let hidden = name.starts_with(b".") && !matches!(self.tokens.first(), Some(Token::Char(DOT)));
        !hidden && self.matches_any(name)
    }

    /// Whether the whole of `name` matches; a dot in front is a character like others.
    pub(crate) fn matches_any(&self, name: &[u8]) -> bool {
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
