//! What stands behind a verb: host and port forms, type codes, modes, times, numbers.
//!
//! RFC 959 section 5.3.2 (PORT, TYPE, ALLO), RFC 2428 (EPRT, EPSV), RFC 1639 (LPRT),
//! RFC 3659 section 2.3 (time-val).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

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
    /// 522: a network protocol that this server does not speak.
    Protocol,
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

    /// PORT's `h1,h2,h3,h4,p1,p2`.
    pub(crate) fn host_port(self) -> Result<SocketAddr, SyntaxError> {
        let error = SyntaxError::Malformed("The form is h1,h2,h3,h4,p1,p2.");
        let [a, b, c, d, high, low] = octets(self.0).and_then(|all| all.try_into().ok()).ok_or(error)?;
        Ok(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low])))
    }

    /// EPRT's `|af|address|port|`, whatever the delimiter.
    pub(crate) fn extended_host_port(self) -> Result<SocketAddr, SyntaxError> {
        let error = SyntaxError::Malformed("The form is |protocol|address|port|.");
        let &[delimiter @ 33..=126, ref rest @ ..] = self.0 else { return Err(error) };
        let fields: Vec<&[u8]> = rest.split(|&byte| byte == delimiter).collect();
        let [protocol, address, port, b""] = fields[..] else { return Err(error) };
        let text = std::str::from_utf8(address).map_err(|_| error)?;
        let address: IpAddr = match decimal(protocol) {
            Some(1) => text.parse::<Ipv4Addr>().map_err(|_| error)?.into(),
            Some(2) => text.parse::<Ipv6Addr>().map_err(|_| error)?.into(),
            Some(_) => return Err(SyntaxError::Protocol),
            None => return Err(error),
        };
        let port = decimal(port).and_then(|port| u16::try_from(port).ok()).ok_or(error)?;
        Ok(SocketAddr::new(address, port))
    }

    /// LPRT's `af,hal,h1,…,pal,p1,…`.
    pub(crate) fn long_host_port(self) -> Result<SocketAddr, SyntaxError> {
        let error = SyntaxError::Malformed("The form is af,hal,h1,h2,...,pal,p1,p2.");
        let all = octets(self.0).ok_or(error)?;
        let (&[family, length], rest) = all.split_first_chunk::<2>().ok_or(error)?;
        let (host, port) = rest.split_at_checked(usize::from(length)).ok_or(error)?;
        let &[2, high, low] = port else { return Err(error) };
        let address: IpAddr = match family {
            4 => <[u8; 4]>::try_from(host).map_err(|_| error)?.into(),
            6 => <[u8; 16]>::try_from(host).map_err(|_| error)?.into(),
            _ => return Err(SyntaxError::Protocol),
        };
        Ok(SocketAddr::new(address, u16::from_be_bytes([high, low])))
    }

    /// EPSV's argument.
    pub(crate) fn extended_passive(self) -> Result<ExtendedPassive, SyntaxError> {
        match trim(self.0) {
            b"" => Ok(ExtendedPassive::Any),
            b"1" => Ok(ExtendedPassive::Ipv4),
            b"2" => Ok(ExtendedPassive::Ipv6),
            word if word.eq_ignore_ascii_case(b"ALL") => Ok(ExtendedPassive::All),
            word if decimal(word).is_some() => Err(SyntaxError::Protocol),
            _ => Err(SyntaxError::Malformed("EPSV takes a protocol number, or ALL.")),
        }
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
            [b"E"] | [b"E", b"N" | b"T" | b"C"] => Err(SyntaxError::Unsupported("Type E not implemented.")),
            _ => Err(SyntaxError::Malformed("The types are A, I and L 8.")),
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

/// What EPSV asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExtendedPassive {
    /// The protocol of the control connection.
    Any,
    Ipv4,
    Ipv6,
    /// Nothing but EPSV will follow (RFC 2428 section 4).
    All,
}

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

/// A point of time, in UTC, by its numbers: RFC 3659's time-val. Whether the calendar has it is
/// for the clock to say; a fraction of a second is read and forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeVal {
    pub year: u32,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

impl TimeVal {
    /// `YYYYMMDDHHMMSS[.fraction]`, or without its seconds as SITE UTIME allows.
    pub(crate) fn parse(text: &[u8]) -> Option<TimeVal> {
        let (whole, fraction) = match text.iter().position(|&byte| byte == b'.') {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        if !(whole.len() == 14 || whole.len() == 12 && fraction.is_none()) {
            return None;
        }
        if fraction.is_some_and(|digits| digits.is_empty() || !digits.iter().all(u8::is_ascii_digit)) {
            return None;
        }
        let year = u32::try_from(decimal(&whole[..4])?).ok()?;
        let pair = |at: usize| match whole.get(at..at + 2) {
            Some(digits) => decimal(digits).map(|number| number as u8), // Below 100.
            None => Some(0),
        };
        Some(TimeVal {
            year,
            month: pair(4)?,
            day: pair(6)?,
            hour: pair(8)?,
            minute: pair(10)?,
            second: pair(12)?,
        })
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

/// Numbers below 256 with commas between them.
fn octets(text: &[u8]) -> Option<Vec<u8>> {
    trim(text)
        .split(|&byte| byte == b',')
        .map(|field| decimal(trim(field)).and_then(|number| u8::try_from(number).ok()))
        .collect()
}

fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_takes_six_octets() {
        assert_eq!(Argument(b"127,0,0,1,4,1").host_port(), Ok("127.0.0.1:1025".parse().unwrap()));
        for bad in
            ["", "1,2,3,4,5", "1,2,3,4,5,6,7", "1,2,3,4,5,256", "1,2,3,4,5,-6", "a,b,c,d,e,f", "1,,2,3,4,5"]
        {
            assert!(Argument(bad.as_bytes()).host_port().is_err(), "{bad}");
        }
    }

    #[test]
    fn eprt_takes_any_delimiter_and_both_families() {
        assert_eq!(
            Argument(b"|1|127.0.0.1|1025|").extended_host_port(),
            Ok("127.0.0.1:1025".parse().unwrap())
        );
        assert_eq!(Argument(b"!2!::1!1025!").extended_host_port(), Ok("[::1]:1025".parse().unwrap()));
        assert_eq!(Argument(b"|3|x|1|").extended_host_port(), Err(SyntaxError::Protocol));
        for bad in [
            "",
            "|",
            "|1|127.0.0.1|1025",
            "|1|::1|1025|",
            "|2|127.0.0.1|1|",
            "|1|127.0.0.1|65536|",
            "|x|y|z|",
        ] {
            assert!(
                matches!(Argument(bad.as_bytes()).extended_host_port(), Err(SyntaxError::Malformed(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn lprt_counts_its_octets() {
        assert_eq!(Argument(b"4,4,127,0,0,1,2,4,1").long_host_port(), Ok("127.0.0.1:1025".parse().unwrap()));
        assert_eq!(
            Argument(b"6,16,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1,2,4,1").long_host_port(),
            Ok("[::1]:1025".parse().unwrap())
        );
        for bad in ["", "4", "4,4,1,2,3,4", "4,200,1,2", "4,4,1,2,3,4,3,1,1,1", "6,4,1,2,3,4,2,1,1"] {
            assert!(
                matches!(Argument(bad.as_bytes()).long_host_port(), Err(SyntaxError::Malformed(_))),
                "{bad}"
            );
        }
        assert_eq!(Argument(b"9,1,1,2,1,1").long_host_port(), Err(SyntaxError::Protocol));
    }

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
    fn times_have_fourteen_digits_or_twelve() {
        let want = TimeVal { year: 2026, month: 11, day: 21, hour: 9, minute: 40, second: 54 };
        assert_eq!(TimeVal::parse(b"20261121094054"), Some(want));
        assert_eq!(TimeVal::parse(b"20261121094054.25"), Some(want));
        assert_eq!(TimeVal::parse(b"202611210940"), Some(TimeVal { second: 0, ..want }));
        for bad in ["", "2026", "2026112109405x", "20261121094054.", "20261121094054.x", "202611210940.5"] {
            assert_eq!(TimeVal::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn type_codes_are_rfc_959s() {
        use FormatControl::{CarriageControl, NonPrint, Telnet};
        use RepresentationType::{Ascii, Image};
        for (text, want) in [
            ("A", Ascii(NonPrint)),
            ("a n", Ascii(NonPrint)),
            ("A T", Ascii(Telnet)),
            ("A C", Ascii(CarriageControl)),
            ("I", Image),
            ("L 8", Image),
            ("l8", Image),
        ] {
            assert_eq!(Argument(text.as_bytes()).representation_type(), Ok(want), "{text}");
        }
        for text in ["E", "E N", "L 36"] {
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
        let mut seed = 88_172_645_463_325_252_u64;
        for _ in 0..50_000 {
            let text: Vec<u8> = (0..seed % 24)
                .map(|_| {
                    seed ^= seed << 13;
                    seed ^= seed >> 7;
                    seed ^= seed << 17;
                    b"0123456789,|:.+-=ugorwxXst AIL\0\xFF"[(seed >> 16) as usize % 32]
                })
                .collect();
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let argument = Argument(&text);
            let _ = (argument.host_port(), argument.extended_host_port(), argument.long_host_port());
            let _ =
                (argument.representation_type(), argument.allocation(), argument.number(), argument.letter());
            let _ = TimeVal::parse(&text);
            let _ = ModeChange::parse(&text).map(|change| change.apply(0o644, true, 0o022));
        }
    }
}
