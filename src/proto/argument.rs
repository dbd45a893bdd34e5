//! The argument of a command: names, words, numbers, letters and type codes.
//!
//! The addresses of data ports are in `address`, times in `calendar`, the modes of SITE CHMOD
//! in `file_mode`. RFC 959 section 5.3.2 (TYPE, ALLO).

use super::calendar::CivilTime;
use super::params::{FormatControl, RepresentationType};

/// Why an argument cannot be used: each has a reply code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyntaxError {
    /// 501: it does not read as what the command takes; the text says what that is.
    Malformed(&'static str),
    /// 501: the command needs an argument.
    Missing,
    /// 501: the command takes none.
    Unexpected,
    /// 504: RFC 959 has it, this server does not.
    Unsupported(&'static str),
    /// 502: HELP knows no such command.
    NoCommand,
    /// 522: a network protocol that this server does not speak, by RFC 2428's numbers.
    Protocol,
    /// 521: the same by RFC 1639's numbers.
    AddressFamily,
}

/// What follows a verb and its space; may be empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Argument<'a>(pub &'a [u8]);

impl<'a> Argument<'a> {
    pub(crate) fn none(self) -> Result<(), SyntaxError> {
        if self.0.iter().all(|&byte| byte == b' ') { Ok(()) } else { Err(SyntaxError::Unexpected) }
    }

    /// The argument, at least one byte; no NUL, which no name can hold.
    pub(crate) fn required(self) -> Result<Vec<u8>, SyntaxError> {
        self.optional()?.ok_or(SyntaxError::Missing)
    }

    /// The argument, or nothing.
    pub(crate) fn optional(self) -> Result<Option<Vec<u8>>, SyntaxError> {
        if self.0.contains(&0) {
            return Err(SyntaxError::Malformed("A name cannot hold a NUL."));
        }
        Ok(if self.0.is_empty() { None } else { Some(self.0.to_vec()) })
    }

    /// The words between blanks.
    pub(crate) fn words(self) -> Vec<&'a [u8]> {
        self.0.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).collect()
    }

    /// A decimal number and nothing else.
    pub(crate) fn number(self) -> Result<u64, SyntaxError> {
        if self.0.is_empty() {
            return Err(SyntaxError::Missing);
        }
        decimal(trim(self.0)).ok_or(SyntaxError::Malformed("A decimal number is needed."))
    }

    /// TYPE's codes. `L8` without its space is what some old clients send.
    pub(crate) fn representation_type(self) -> Result<RepresentationType, SyntaxError> {
        let upper = self.0.to_ascii_uppercase();
        let words = Argument(&upper).words();
        match words[..] {
            [] => Err(SyntaxError::Missing),
            [b"A"] | [b"A", b"N"] => Ok(RepresentationType::Ascii(FormatControl::NonPrint)),
            [b"A", b"T"] => Ok(RepresentationType::Ascii(FormatControl::Telnet)),
            [b"A", b"C"] => Ok(RepresentationType::Ascii(FormatControl::CarriageControl)),
            [b"I"] | [b"L", b"8"] | [b"L8"] => Ok(RepresentationType::Image),
            [b"L"] => Err(SyntaxError::Malformed("TYPE L needs a byte size.")),
            [b"L", size] if decimal(size).is_some() => Err(SyntaxError::Unsupported("Byte size must be 8.")),
            [b"E"] | [b"E", b"N"] => Ok(RepresentationType::Ebcdic(FormatControl::NonPrint)),
            [b"E", b"T"] => Ok(RepresentationType::Ebcdic(FormatControl::Telnet)),
            [b"E", b"C"] => Ok(RepresentationType::Ebcdic(FormatControl::CarriageControl)),
            _ => Err(SyntaxError::Malformed("The types are A, E, I and L 8.")),
        }
    }

    /// One letter, as STRU and MODE take it.
    pub(crate) fn letter(self) -> Result<u8, SyntaxError> {
        match trim(self.0) {
            [] => Err(SyntaxError::Missing),
            [letter] => Ok(letter.to_ascii_uppercase()),
            _ => Err(SyntaxError::Malformed("One letter is needed.")),
        }
    }

    /// ALLO's size, `n` or `n R m`; m counts records of a file that has none here.
    pub(crate) fn allocation(self) -> Result<u64, SyntaxError> {
        let error = SyntaxError::Malformed("The form is decimal-integer [R decimal-integer].");
        match self.words()[..] {
            [] => Err(SyntaxError::Missing),
            [size] => decimal(size).ok_or(error),
            [size, b"R" | b"r", record] => decimal(size).filter(|_| decimal(record).is_some()).ok_or(error),
            _ => Err(error),
        }
    }

    /// An octal mask of permission bits, or nothing.
    pub(crate) fn mask(self) -> Result<Option<u32>, SyntaxError> {
        match self.words()[..] {
            [] => Ok(None),
            [mask] => octal(mask)
                .filter(|&mask| mask <= 0o777)
                .map(Some)
                .ok_or(SyntaxError::Malformed("The mask is octal, up to 777.")),
            _ => Err(SyntaxError::Malformed("One octal mask is needed.")),
        }
    }

    /// A number of seconds, or nothing.
    pub(crate) fn seconds(self) -> Result<Option<u64>, SyntaxError> {
        match self.words()[..] {
            [] => Ok(None),
            [seconds] if decimal(seconds).is_some() => Ok(decimal(seconds)),
            _ => Err(SyntaxError::Malformed("A number of seconds is needed.")),
        }
    }

    /// MFMT's `YYYYMMDDhhmmss path-name`.
    pub(crate) fn time_and_path(self) -> Result<(CivilTime, Vec<u8>), SyntaxError> {
        let (time, path) = self.split_once();
        let time = CivilTime::parse_time_val(time)
            .filter(|_| time.len() >= 14)
            .ok_or(SyntaxError::Malformed("The form is YYYYMMDDhhmmss path-name."))?;
        Ok((time, path.required()?))
    }

    /// SITE UTIME's `YYYYMMDDhhmm[ss] path-name`, and the older `path-name atime mtime ctime UTC`:
    /// when the file was read, if that is said, and when it was modified.
    pub(crate) fn times_and_path(self) -> Result<(Option<CivilTime>, CivilTime, Vec<u8>), SyntaxError> {
        let malformed = SyntaxError::Malformed("The form is YYYYMMDDhhmm[ss] path-name.");
        let (first, rest) = self.split_once();
        if let (Some(modified), false) = (CivilTime::parse_time_val(first), rest.0.is_empty()) {
            return Ok((None, modified, rest.required()?));
        }
        let from_behind: Vec<&[u8]> = self.0.rsplitn(5, |&byte| byte == b' ').collect();
        let [zone, changed, modified, accessed, path] = from_behind[..] else { return Err(malformed) };
        let time = |text| CivilTime::parse_time_val(text).ok_or(malformed);
        time(changed)?; // No system lets a user set when the inode changed.
        if !zone.eq_ignore_ascii_case(b"UTC") {
            return Err(malformed);
        }
        Ok((Some(time(accessed)?), time(modified)?, Argument(path).required()?))
    }

    /// The first word and what follows it, blanks between them skipped.
    pub(crate) fn split_word(self) -> (&'a [u8], Argument<'a>) {
        let end = self.0.iter().position(|&byte| byte == b' ').unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        let start = rest.iter().position(|&byte| byte != b' ').unwrap_or(rest.len());
        (word, Argument(&rest[start..]))
    }

    /// The first word, and all behind the one space that ends it, which may begin with blanks of its own.
    pub(crate) fn split_once(self) -> (&'a [u8], Argument<'a>) {
        match self.0.iter().position(|&byte| byte == b' ') {
            Some(at) => (&self.0[..at], Argument(&self.0[at + 1..])),
            None => (self.0, Argument(b"")),
        }
    }
}

/// Decimal digits and nothing else; `None` too when the number is too large.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    digits
        .iter()
        .try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

/// Octal digits and nothing else.
pub(crate) fn octal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(|digit| (b'0'..=b'7').contains(digit)) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 8 + u32::from(digit - b'0')))
}

pub(super) fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Random;

    #[test]
    fn type_codes_are_rfc_959s() {
        use FormatControl::{CarriageControl, NonPrint, Telnet};
        use RepresentationType::{Ascii, Ebcdic, Image};
        for (text, want) in [
            ("A", Ascii(NonPrint)),
            ("a n", Ascii(NonPrint)),
            ("A T", Ascii(Telnet)),
            ("A C", Ascii(CarriageControl)),
            ("E", Ebcdic(NonPrint)),
            ("e n", Ebcdic(NonPrint)),
            ("E T", Ebcdic(Telnet)),
            ("E C", Ebcdic(CarriageControl)),
            ("I", Image),
            ("L 8", Image),
            ("l8", Image),
        ] {
            assert_eq!(Argument(text.as_bytes()).representation_type(), Ok(want), "{text}");
        }
        for text in ["L 7", "L 36"] {
            assert!(
                matches!(Argument(text.as_bytes()).representation_type(), Err(SyntaxError::Unsupported(_))),
                "{text}"
            );
        }
        for text in ["X", "A X", "L", "I N", "L x"] {
            assert!(
                matches!(Argument(text.as_bytes()).representation_type(), Err(SyntaxError::Malformed(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn any_bytes_are_an_argument_or_an_error() {
        let mut random = Random::new(1);
        for _ in 0..50_000 {
            let length = random.below(24);
            let text = random.bytes(length, b"0123456789,|:.+-=ugorwxXst AIL\0\xFF");
            let argument = Argument(&text);
            let _ =
                (argument.representation_type(), argument.allocation(), argument.number(), argument.letter());
            let _ = CivilTime::parse_time_val(&text);
        }
    }
}
