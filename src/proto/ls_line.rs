//! One file as a line of `ls -l`, or as a line of NLST.
//!
//! RFC 959 leaves the form of LIST to the server; clients parse `ls -l`. The caller knows the file,
//! the time now and the time zone.

use super::calendar::{self, CivilTime};
use super::ls_options::LsOptions;

/// One file, as far as a line of `ls -l` depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LsEntry<'a> {
    pub name: &'a [u8],
    pub kind: EntryKind,
    /// Permission bits, 0 to 0o7777.
    pub mode: u32,
    pub links: u64,
    pub owner: &'a [u8],
    pub group: &'a [u8],
    /// In bytes.
    pub size: u64,
    /// The time that is shown, in Unix seconds.
    pub time: i64,
    /// The same in local time.
    pub date: CivilTime,
    /// Of a symlink.
    pub target: Option<&'a [u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Directory,
    Symlink,
    /// Devices have a major and a minor number.
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
    Socket,
}

impl LsEntry<'_> {
    /// Appends the line, CRLF included. `now`, in Unix seconds, decides whether the time of day is
    /// shown or the year.
    pub(crate) fn write_long(&self, out: &mut Vec<u8>, now: i64, options: &LsOptions) {
        out.push(self.kind.letter());
        write_permissions(out, self.mode);
        out.push(b' ');
        write_column(out, 4, self.links);
        for name in [self.owner, self.group] {
            out.push(b' ');
            let start = out.len();
            write_word(out, name);
            out.resize(out.len().max(start + 8), b' ');
        }
        out.push(b' ');
        match self.kind {
            EntryKind::CharDevice(major, minor) | EntryKind::BlockDevice(major, minor) => {
                write_right(out, 12, |out| {
                    write_decimal(out, u64::from(major));
                    out.extend_from_slice(b", ");
                    write_column(out, 3, u64::from(minor));
                });
            }
            _ if options.human => write_right(out, 12, |out| write_human(out, self.size)),
            _ => write_column(out, 12, self.size),
        }
        out.push(b' ');
        self.write_date(out, now);
        out.push(b' ');
        write_name(out, self.name);
        match self.target {
            Some(target) => {
                out.extend_from_slice(b" -> ");
                write_name(out, target);
            }
            None if options.classify => out.extend(self.kind.indicator(self.mode)),
            None => (),
        }
        out.extend_from_slice(b"\r\n");
    }

    /// `Mon dd hh:mm`, or `Mon dd  yyyy` for a time that is not recent.
    fn write_date(&self, out: &mut Vec<u8>, now: i64) {
        out.extend_from_slice(self.date.month_name().as_bytes());
        out.push(b' ');
        write_column(out, 2, u64::from(self.date.day));
        out.push(b' ');
        if calendar::is_recent(self.time, now) {
            write_padded(out, u64::from(self.date.hour), 2);
            out.push(b':');
            write_padded(out, u64::from(self.date.minute), 2);
        } else {
            write_column(out, 5, self.date.year.max(0).unsigned_abs());
        }
    }
}

impl EntryKind {
    fn letter(self) -> u8 {
        match self {
            EntryKind::File => b'-',
            EntryKind::Directory => b'd',
            EntryKind::Symlink => b'l',
            EntryKind::CharDevice(..) => b'c',
            EntryKind::BlockDevice(..) => b'b',
            EntryKind::Fifo => b'p',
            EntryKind::Socket => b's',
        }
    }

    /// The sign that `ls -F` puts after the name.
    pub(crate) fn indicator(self, mode: u32) -> Option<u8> {
        match self {
            EntryKind::Directory => Some(b'/'),
            EntryKind::Symlink => Some(b'@'),
            EntryKind::Fifo => Some(b'|'),
            EntryKind::Socket => Some(b'='),
            EntryKind::File if mode & 0o111 != 0 => Some(b'*'),
            _ => None,
        }
    }
}

/// Appends a line of NLST, CRLF included: `prefix` and `name`, and the sign of `-F`.
pub(crate) fn write_name_line(out: &mut Vec<u8>, prefix: &[u8], name: &[u8], sign: Option<u8>) {
    write_name(out, prefix);
    write_name(out, name);
    out.extend(sign);
    out.extend_from_slice(b"\r\n");
}

/// Appends a name as it is sent to a Network Virtual Terminal (RFC 854): a NUL follows a CR, which
/// then ends no line. All other bytes stay as they are.
pub(super) fn write_name(out: &mut Vec<u8>, name: &[u8]) {
    let mut rest = name;
    while let Some(at) = memchr::memchr(b'\r', rest) {
        out.extend_from_slice(&rest[..=at]);
        out.push(0);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Appends the name of an owner or a group. A byte that would end its column or fact becomes `_`.
pub(super) fn write_word(out: &mut Vec<u8>, word: &[u8]) {
    out.extend(
        word.iter().map(|&byte| if byte <= b' ' || byte == b';' || byte == 127 { b'_' } else { byte }),
    );
}

/// `rwxr-xr-x`, with the letters of setuid, setgid and the sticky bit.
fn write_permissions(out: &mut Vec<u8>, mode: u32) {
    let special = [(0o4000, b's', b'S'), (0o2000, b's', b'S'), (0o1000, b't', b'T')];
    for (class, (bit, with_execute, without)) in special.into_iter().enumerate() {
        let bits = mode >> (6 - 3 * class) & 7;
        out.push(if bits & 4 != 0 { b'r' } else { b'-' });
        out.push(if bits & 2 != 0 { b'w' } else { b'-' });
        out.push(match (mode & bit != 0, bits & 1 != 0) {
            (true, true) => with_execute,
            (true, false) => without,
            (false, true) => b'x',
            (false, false) => b'-',
        });
    }
}

/// Appends the text that `write` writes, at the right edge of a column.
fn write_right(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.resize(start + width, b' ');
    write(out);
    let written = out.len() - start - width;
    // The column was filled with blanks; the text takes the place of as many as it is long.
    out.drain(start..start + written.min(width));
}

/// Appends a number at the right edge of a column, which is at most 20 wide.
fn write_column(out: &mut Vec<u8>, width: usize, number: u64) {
    let mut text = [b' '; 20];
    let start = put_digits(&mut text, number, 1).min(text.len() - width);
    out.extend_from_slice(&text[start..]);
}

pub(super) fn write_decimal(out: &mut Vec<u8>, number: u64) {
    write_padded(out, number, 1);
}

/// Appends a number in at least `digits` digits, at most 20.
fn write_padded(out: &mut Vec<u8>, number: u64, digits: usize) {
    let mut text = [0; 20];
    let start = put_digits(&mut text, number, digits);
    out.extend_from_slice(&text[start..]);
}

/// Puts a number in at least `digits` digits at the end of `text`, and returns where it begins.
fn put_digits(text: &mut [u8; 20], mut number: u64, digits: usize) -> usize {
    let (mut at, most) = (text.len(), text.len() - digits);
    while number != 0 || at > most {
        at -= 1;
        text[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    at
}

/// Appends a size as `ls -h` shows it: at most three digits, rounded up, and a unit, each 1,024 of the one before.
fn write_human(out: &mut Vec<u8>, size: u64) {
    if size < 1024 {
        return write_decimal(out, size);
    }
    let (mut unit, mut shift) = (0, 10);
    // A size that rounds up to 1,024 of a unit is one of the next unit.
    while unit < 5 && size.div_ceil(1 << shift) >= 1024 {
        (unit, shift) = (unit + 1, shift + 10);
    }
    let tenths = (u128::from(size) * 10).div_ceil(1 << shift) as u64;
    if tenths < 100 {
        write_decimal(out, tenths / 10);
        out.push(b'.');
        write_decimal(out, tenths % 10);
    } else {
        write_decimal(out, size.div_ceil(1 << shift));
    }
    out.push(b"KMGTPE"[unit]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-11-21 12:00:00 UTC.
    const NOW: i64 = 1_732_190_400;

    fn date(year: i64, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> CivilTime {
        CivilTime { year, month, day, hour, minute, second }
    }

    fn file() -> LsEntry<'static> {
        LsEntry {
            name: b"a.txt",
            kind: EntryKind::File,
            mode: 0o644,
            links: 1,
            owner: b"joe",
            group: b"staff",
            size: 1234,
            time: NOW - 3600,
            date: date(2024, 11, 21, 11, 0, 0),
            target: None,
        }
    }

    fn long(entry: &LsEntry<'_>, options: &[u8]) -> String {
        let mut out = Vec::new();
        entry.write_long(&mut out, NOW, &LsOptions::parse(options, true).0);
        String::from_utf8(out).unwrap()
    }

    fn words(line: &str) -> Vec<&str> {
        line.split_ascii_whitespace().collect()
    }

    #[test]
    fn a_long_line_is_that_of_ls() {
        assert_eq!(
            long(&file(), b""),
            "-rw-r--r--    1 joe      staff            1234 Nov 21 11:00 a.txt\r\n"
        );
    }

    #[test]
    fn a_long_line_keeps_its_columns_apart_whatever_is_in_them() {
        let entry = LsEntry {
            links: 1_000_000,
            owner: b"a very long owner;name",
            group: b"",
            size: u64::MAX,
            ..file()
        };
        let line = long(&entry, b"");
        let want =
            ["-rw-r--r--", "1000000", "a_very_long_owner_name", "18446744073709551615", "Nov", "21", "11:00"];
        assert_eq!(words(&line)[..7], want);
    }

    #[test]
    fn the_year_takes_the_place_of_the_time_beyond_half_a_year() {
        for (time, date, want) in [
            (NOW - 3600, date(2024, 11, 21, 11, 0, 0), "Nov 21 11:00"),
            (NOW - 15_000_000, date(2024, 5, 31, 21, 20, 0), "May 31 21:20"),
            (NOW - 16_000_000, date(2024, 5, 20, 7, 33, 20), "May 20  2024"),
            (NOW + 30, date(2024, 11, 21, 12, 0, 30), "Nov 21 12:00"),
            (NOW + 3600, date(2024, 11, 21, 13, 0, 0), "Nov 21  2024"),
            (0, date(1970, 1, 1, 0, 0, 0), "Jan  1  1970"),
            (i64::MIN, date(-5, 1, 1, 0, 0, 0), "Jan  1     0"),
            (i64::MAX, date(292_277, 1, 1, 0, 0, 0), "Jan  1 292277"),
        ] {
            let line = long(&LsEntry { time, date, ..file() }, b"");
            assert!(line.contains(&format!(" {want} a.txt")), "{line}");
        }
    }

    #[test]
    fn every_kind_and_mode_has_its_letters() {
        for (kind, mode, want) in [
            (EntryKind::File, 0o4755, "-rwsr-xr-x"),
            (EntryKind::File, 0o4644, "-rwSr--r--"),
            (EntryKind::File, 0o2711, "-rwx--s--x"),
            (EntryKind::File, 0o2644, "-rw-r-Sr--"),
            (EntryKind::Directory, 0o1777, "drwxrwxrwt"),
            (EntryKind::Directory, 0o1770, "drwxrwx--T"),
            (EntryKind::Symlink, 0o777, "lrwxrwxrwx"),
            (EntryKind::Fifo, 0o600, "prw-------"),
            (EntryKind::Socket, 0, "s---------"),
        ] {
            assert_eq!(words(&long(&LsEntry { kind, mode, ..file() }, b""))[0], want);
        }
        let line = long(&LsEntry { kind: EntryKind::CharDevice(1, 3), ..file() }, b"");
        assert!(line.contains(" staff          1,   3 Nov"), "{line}");
        let line = long(&LsEntry { kind: EntryKind::BlockDevice(259, 1_048_575), ..file() }, b"");
        assert!(line.starts_with("brw-") && line.contains(" 259, 1048575 Nov"), "{line}");
    }

    #[test]
    fn names_are_bytes_and_a_cr_is_no_line_end() {
        let mut out = Vec::new();
        let entry = LsEntry { name: b" a\"\xFF\n\rb ", target: Some(b"\xC3\r"), ..file() };
        entry.write_long(&mut out, NOW, &LsOptions::new(true));
        assert!(out.ends_with(b" 11:00  a\"\xFF\n\r\0b  -> \xC3\r\0\r\n"));
        out.clear();
        write_name_line(&mut out, b"d\r/", b"\r\xFF", Some(b'*'));
        assert_eq!(out, b"d\r\0/\r\0\xFF*\r\n");
    }

    #[test]
    fn sizes_for_humans_are_rounded_up() {
        for (size, want) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0K"),
            (1025, "1.1K"),
            (10 * 1024, "10K"),
            (10_200, "10K"),
            (1024 * 1024 - 1, "1.0M"),
            (1_500_000_000, "1.4G"),
            (u64::MAX, "16E"),
        ] {
            let mut out = Vec::new();
            write_human(&mut out, size);
            assert_eq!(String::from_utf8(out).unwrap(), want, "{size}");
        }
    }

    #[test]
    fn signs_tell_kinds_apart() {
        for (kind, mode, want) in [
            (EntryKind::Directory, 0o755, "a.txt/\r\n"),
            (EntryKind::File, 0o755, "a.txt*\r\n"),
            (EntryKind::File, 0o644, "a.txt\r\n"),
            (EntryKind::Fifo, 0o644, "a.txt|\r\n"),
        ] {
            assert!(long(&LsEntry { kind, mode, ..file() }, b"-F").ends_with(want));
        }
    }
}
