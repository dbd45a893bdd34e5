//! A change of a file's permission bits: the mode of SITE CHMOD, octal or in the clauses of chmod(1).

use super::argument::{Argument, SyntaxError, octal};

/// A change of a file's permission bits: SITE CHMOD's argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ModeChange {
    Octal(u32),
    /// chmod(1)'s clauses: who (a mask of 07777), the operator, and the permissions asked for.
    Symbolic(Vec<Clause>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clause {
    who: u32,
    /// `who` was given: the umask does not matter.
    explicit: bool,
    operator: u8,
    bits: u32,
    /// `X`: execute only where somebody may already, or a directory.
    execute_if_any: bool,
    /// `u`, `g` or `o`: what these may now.
    copy_from: Option<u8>,
}

impl Argument<'_> {
    /// SITE CHMOD's `mode path-name`.
    pub(crate) fn mode_and_path(self) -> Result<(ModeChange, Vec<u8>), SyntaxError> {
        let (mode, path) = self.split_once();
        if mode.is_empty() {
            return Err(SyntaxError::Missing);
        }
        let mode = ModeChange::parse(mode)
            .ok_or(SyntaxError::Malformed("The mode is octal, up to 7777, or as chmod(1) takes it."))?;
        Ok((mode, path.required()?))
    }
}

impl ModeChange {
    /// Octal up to 7777, or clauses of chmod(1) such as `u+rwx,go-w`.
    pub(crate) fn parse(text: &[u8]) -> Option<ModeChange> {
        if text.first()?.is_ascii_digit() {
            return octal(text).filter(|&mode| mode <= 0o7777).map(ModeChange::Octal);
        }
        let clauses: Option<Vec<Vec<Clause>>> = text.split(|&byte| byte == b',').map(Clause::parse).collect();
        Some(ModeChange::Symbolic(clauses?.concat()))
    }

    /// The new permission bits of a file that has `mode`; `umask` counts where a clause names nobody.
    pub(crate) fn apply(&self, mode: u32, is_directory: bool, umask: u32) -> u32 {
        match self {
            ModeChange::Octal(new) => *new,
            ModeChange::Symbolic(clauses) => {
                clauses.iter().fold(mode & 0o7777, |mode, clause| clause.apply(mode, is_directory, umask))
            }
        }
    }
}

impl Clause {
    /// `[ugoa]*([-+=][rwxXst]*|[-+=][ugo])+`
    fn parse(text: &[u8]) -> Option<Vec<Clause>> {
        let split = text.iter().position(|byte| b"+-=".contains(byte))?;
        let (names, mut rest) = text.split_at(split);
        let mut who = 0;
        for name in names {
            who |= match name {
                b'u' => 0o4700,
                b'g' => 0o2070,
                b'o' => 0o0007,
                b'a' => 0o6777,
                _ => return None,
            };
        }
        let explicit = who != 0;
        // The sticky bit is nobody's own; it is changed when all are meant.
        let who = if !explicit || who & 0o777 == 0o777 { 0o7777 } else { who };
        let mut clauses = Vec::new();
        while let Some((&operator, tail)) = rest.split_first() {
            let end = tail.iter().position(|byte| b"+-=".contains(byte)).unwrap_or(tail.len());
            let (letters, next) = tail.split_at(end);
            let mut clause =
                Clause { who, explicit, operator, bits: 0, execute_if_any: false, copy_from: None };
            match letters {
                [from @ (b'u' | b'g' | b'o')] => clause.copy_from = Some(*from),
                _ => {
                    for letter in letters {
                        match letter {
                            b'r' => clause.bits |= 0o444,
                            b'w' => clause.bits |= 0o222,
                            b'x' => clause.bits |= 0o111,
                            b's' => clause.bits |= 0o6000,
                            b't' => clause.bits |= 0o1000,
                            b'X' => clause.execute_if_any = true,
                            _ => return None,
                        }
                    }
                }
            }
            clauses.push(clause);
            rest = next;
        }
        Some(clauses)
    }

    fn apply(&self, mode: u32, is_directory: bool, umask: u32) -> u32 {
        let mut bits = self.bits;
        if self.execute_if_any && (is_directory || mode & 0o111 != 0) {
            bits |= 0o111;
        }
        if let Some(from) = self.copy_from {
            let triple = match from {
                b'u' => mode >> 6,
                b'g' => mode >> 3,
                _ => mode,
            } & 7;
            bits = triple << 6 | triple << 3 | triple;
        }
        let mut bits = bits & self.who;
        if !self.explicit {
            bits &= !umask;
        }
        match self.operator {
            b'+' => mode | bits,
            b'-' => mode & !bits,
            // chmod(1) keeps a directory's set-id bits unless they are named.
            _ => mode & !(self.who & if is_directory { 0o1777 } else { 0o7777 }) | bits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Random;

    #[test]
    fn modes_are_octal_or_chmods() {
        let apply = |text: &str, mode| {
            ModeChange::parse(text.as_bytes()).map(|change| change.apply(mode, false, 0o022))
        };
        assert_eq!(apply("755", 0o600), Some(0o755));
        assert_eq!(apply("u+rwx", 0o044), Some(0o744));
        assert_eq!(apply("go-rwx,u=rw", 0o777), Some(0o600));
        assert_eq!(apply("+w", 0o444), Some(0o644));
        assert_eq!(apply("a+w", 0o444), Some(0o666));
        assert_eq!(apply("g=u", 0o640), Some(0o660));
        assert_eq!(apply("a+X", 0o644), Some(0o644));
        assert_eq!(apply("a+X", 0o744), Some(0o755));
        assert_eq!(apply("u+s,+t", 0o755), Some(0o5755));
        assert_eq!(apply("u-x+w", 0o500), Some(0o600));
        for bad in ["", "8", "17777", "u", "u+q", "z+r", "u+r,", "0x7"] {
            assert_eq!(apply(bad, 0), None, "{bad}");
        }
    }

    #[test]
    fn any_bytes_are_a_mode_or_none() {
        let mut random = Random::new(1);
        for _ in 0..50_000 {
            let length = random.below(24);
            let text = random.bytes(length, b"01234567,+-=ugoarwxXst \0\xFF");
            let _ = ModeChange::parse(&text).map(|change| change.apply(0o644, true, 0o022));
        }
    }
}
