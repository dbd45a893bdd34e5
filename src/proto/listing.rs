//! What LIST, NLST, MLSD and MLST are asked for and what they say: the options of
//! ls(1) in an argument, and one file as a line of `ls -l`, of NLST, and as facts.
//!
//! Pure: the caller knows the files, the time now and the time zone. RFC 959 leaves
//! LIST to the server; every client parses `ls -l`. Facts are RFC 3659 section 7.

use super::calendar::{self, CivilTime};

/// One file, as far as a line of a listing tells of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub name: &'a [u8],
    pub kind: EntryKind,
    /// Permission bits, 0 to 0o7777.
    pub mode: u32,
    pub links: u64,
    pub owner: &'a [u8],
    pub group: &'a [u8],
    /// Bytes.
    pub size: u64,
    /// The time that is shown, in Unix seconds and as a date in local time.
    pub time: i64,
    pub date: CivilTime,
    /// What a symlink says.
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

impl Entry<'_> {
    /// Appends the line of `ls -l`, CRLF included. `now`, in Unix seconds, decides
    /// between the time of day and the year.
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

    /// What `ls -F` appends.
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

/// The options of ls(1) that a listing heeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LsOptions {
    /// `-l`, and `-1` the other way; the last of the two counts.
    pub long: bool,
    /// `-a`: `.` and `..` too. All other names are shown in any case, as with `-A`.
    pub dots: bool,
    /// `-d`: a directory itself, not what is in it.
    pub directory: bool,
    /// `-R`.
    pub recursive: bool,
    /// `-F`: a sign after the name for what it is.
    pub classify: bool,
    /// `-h`: sizes as `1.5K`.
    pub human: bool,
    /// `-n`: numbers for owners and groups.
    pub numeric: bool,
    pub sort: Sort,
    /// `-r`.
    pub reverse: bool,
    pub time: TimeShown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Name,
    /// `-t`: latest first.
    Time,
    /// `-S`: largest first.
    Size,
    /// `-f`, `-U`: as the directory has them.
    Unsorted,
}

/// Which time is shown, and sorted by with `-t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeShown {
    Modified,
    /// `-u`.
    Accessed,
    /// `-c`.
    Changed,
}

impl LsOptions {
    /// Without any options: `long` for LIST, not for NLST.
    pub(crate) fn new(long: bool) -> LsOptions {
        LsOptions {
            long,
            dots: false,
            directory: false,
            recursive: false,
            classify: false,
            human: false,
            numeric: false,
            sort: Sort::Name,
            reverse: false,
            time: TimeShown::Modified,
        }
    }

    /// Splits the argument of LIST or NLST into options and the path-name, which is
    /// empty when there is none and may contain spaces.
    ///
    /// Options are words in front of it such as `-la` that consist of letters of ls;
    /// those that mean nothing here are accepted. Any other word that begins with `-`
    /// is a path-name, and what follows `--` is one in any case. One space ends an
    /// option, so that names may begin with spaces as well.
    pub(crate) fn parse(argument: &[u8], long: bool) -> (LsOptions, &[u8]) {
        let mut options = LsOptions::new(long);
        let mut path = argument;
        loop {
            // Blanks are skipped in front of options, but kept in front of a path-name.
            let word_start = path.iter().position(|&byte| byte != b' ').unwrap_or(path.len());
            let word = path[word_start..].split(|&byte| byte == b' ').next().unwrap_or_default();
            let rest = &path[word_start + word.len()..];
            let rest = rest.strip_prefix(b" ").unwrap_or(rest);
            match word {
                b"--" => return (options, rest),
                [b'-', letters @ ..] if !letters.is_empty() && letters.iter().all(is_letter_of_ls) => {
                    letters.iter().for_each(|&letter| options.apply(letter));
                    path = rest;
                }
                b"" => return (options, b""),
                _ => return (options, path),
            }
        }
    }

    fn apply(&mut self, letter: u8) {
        match letter {
            b'l' => self.long = true,
            b'1' => self.long = false,
            b'a' => self.dots = true,
            b'A' => self.dots = false,
            b'd' => self.directory = true,
            b'R' => self.recursive = true,
            b'F' => self.classify = true,
            b'h' => self.human = true,
            b'n' => (self.long, self.numeric) = (true, true),
            b't' => self.sort = Sort::Time,
            b'S' => self.sort = Sort::Size,
            b'U' => self.sort = Sort::Unsorted,
            b'f' => (self.sort, self.dots) = (Sort::Unsorted, true),
            b'r' => self.reverse = true,
            b'u' => self.time = TimeShown::Accessed,
            b'c' => self.time = TimeShown::Changed,
            _ => (),
        }
    }
}

fn is_letter_of_ls(letter: &u8) -> bool {
    b"1aAbBcCdDfFgGhHiIklLmnNopqQrRsStTuUvwxXZ".contains(letter)
}

/// Appends a line of NLST, CRLF included: `prefix` and `name`, and the sign of `-F`.
pub(crate) fn write_name_line(out: &mut Vec<u8>, prefix: &[u8], name: &[u8], sign: Option<u8>) {
    write_name(out, prefix);
    write_name(out, name);
    out.extend(sign);
    out.extend_from_slice(b"\r\n");
}

/// What the facts of a file are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// What the file is, links followed; `Symlink` for one that leads nowhere.
    pub kind: EntryKind,
    pub size: u64,
    /// When it was modified, in UTC.
    pub modified: CivilTime,
    pub perm: Perm,
    pub dev: u64,
    pub ino: u64,
    pub mode: u32,
    pub owner: &'a [u8],
    pub group: &'a [u8],
    /// `None`: they are kept secret.
    pub ids: Option<(u32, u32)>,
}

/// A set of the letters of the fact `perm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Letters(u32);

impl Letters {
    /// With `letters` besides; each is one of `a` to `z`.
    pub(crate) fn with(self, letters: &[u8]) -> Letters {
        Letters(letters.iter().fold(self.0, |set, letter| set | 1 << (letter - b'a')))
    }

    fn contains(self, letter: u8) -> bool {
        self.0 & 1 << (letter - b'a') != 0
    }
}

/// What this client may do with a file, before its kind decides on the letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Perm {
    pub read: bool,
    pub write: bool,
    /// Search, of directories.
    pub enter: bool,
    /// Remove and rename: a right of the directory that it is in.
    pub remove: bool,
    /// What the server lets nobody, or not this login, do.
    pub denied: Letters,
}

impl Perm {
    /// The value of the fact `perm`, RFC 3659 section 7.5.5.
    fn write(self, out: &mut Vec<u8>, kind: EntryKind) {
        let (read, write, enter, remove) = (self.read, self.write, self.enter, self.remove);
        let is_dir = kind == EntryKind::Directory;
        let is_file = kind == EntryKind::File;
        for (letter, given) in [
            (b'a', is_file && write),
            (b'c', is_dir && write && enter),
            (b'd', remove),
            (b'e', is_dir && enter),
            (b'f', remove),
            (b'l', is_dir && read && enter),
            (b'm', is_dir && write && enter),
            (b'p', is_dir && write && enter),
            (b'r', is_file && read),
            (b'w', is_file && write),
        ] {
            if given && !self.denied.contains(letter) {
                out.push(letter);
            }
        }
    }
}

impl Facts<'_> {
    /// Appends the facts that `set` asks for, a space and `name` as it is. With the
    /// empty set that is the space and the name, as RFC 3659 section 7.8 has it.
    pub(crate) fn write(&self, out: &mut Vec<u8>, set: FactSet, name: &[u8]) {
        for fact in set.iter() {
            let start = out.len();
            out.extend_from_slice(fact.name().as_bytes());
            out.push(b'=');
            if self.write_value(out, fact) {
                out.push(b';');
            } else {
                out.truncate(start);
            }
        }
        out.push(b' ');
        write_name(out, name);
    }

    /// Appends one value; `false` when this file has none.
    fn write_value(&self, out: &mut Vec<u8>, fact: Fact) -> bool {
        match fact {
            Fact::Type => self.write_type(out),
            Fact::Size if self.kind == EntryKind::File => write_decimal(out, self.size),
            Fact::Size => return false,
            Fact::Modify => out.extend(self.modified.time_val()),
            Fact::Perm => self.perm.write(out, self.kind),
            Fact::Unique => {
                write_hex(out, self.dev);
                out.push(b'g');
                write_hex(out, self.ino);
            }
            Fact::UnixMode => {
                out.extend([9, 6, 3, 0].map(|shift| b'0' + (self.mode >> shift & 7) as u8));
            }
            Fact::UnixOwner => write_word(out, self.owner),
            Fact::UnixGroup => write_word(out, self.group),
            Fact::UnixUid | Fact::UnixGid => match self.ids {
                Some((uid, gid)) => {
                    write_decimal(out, u64::from(if fact == Fact::UnixUid { uid } else { gid }));
                }
                None => return false,
            },
        }
        true
    }

    fn write_type(&self, out: &mut Vec<u8>) {
        let device = |out: &mut Vec<u8>, name: &[u8], major, minor| {
            out.extend_from_slice(name);
            write_decimal(out, u64::from(major));
            out.push(b'/');
            write_decimal(out, u64::from(minor));
        };
        match self.kind {
            EntryKind::File => out.extend_from_slice(b"file"),
            EntryKind::Directory => out.extend_from_slice(b"dir"),
            EntryKind::Symlink => out.extend_from_slice(b"OS.unix=symlink"),
            EntryKind::CharDevice(major, minor) => device(out, b"OS.unix=chr-", major, minor),
            EntryKind::BlockDevice(major, minor) => device(out, b"OS.unix=blk-", major, minor),
            EntryKind::Fifo => out.extend_from_slice(b"OS.unix=fifo"),
            EntryKind::Socket => out.extend_from_slice(b"OS.unix=socket"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fact {
    Type,
    Size,
    Modify,
    Perm,
    Unique,
    UnixMode,
    UnixOwner,
    UnixGroup,
    UnixUid,
    UnixGid,
}

impl Fact {
    const ALL: [Fact; 10] = [
        Fact::Type,
        Fact::Size,
        Fact::Modify,
        Fact::Perm,
        Fact::Unique,
        Fact::UnixMode,
        Fact::UnixOwner,
        Fact::UnixGroup,
        Fact::UnixUid,
        Fact::UnixGid,
    ];

    fn name(self) -> &'static str {
        match self {
            Fact::Type => "type",
            Fact::Size => "size",
            Fact::Modify => "modify",
            Fact::Perm => "perm",
            Fact::Unique => "unique",
            Fact::UnixMode => "UNIX.mode",
            Fact::UnixOwner => "UNIX.owner",
            Fact::UnixGroup => "UNIX.group",
            Fact::UnixUid => "UNIX.uid",
            Fact::UnixGid => "UNIX.gid",
        }
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// The facts that MLST and MLSD give; OPTS MLST chooses among all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FactSet(u16);

impl FactSet {
    pub(crate) const ALL: FactSet = FactSet((1 << Fact::ALL.len()) - 1);

    /// What `OPTS MLST` is given: names, each followed by a semicolon (the last one may
    /// lack it, if it is known), letter case ignored. What we do not know is left out, and of
    /// no names comes the empty set: RFC 3659 section 7.9.
    pub(crate) fn parse(names: &[u8]) -> Option<FactSet> {
        let mut set = 0;
        let mut names = names.trim_ascii().split(|&byte| byte == b';').peekable();
        while let Some(name) = names.next() {
            match Fact::ALL.iter().find(|fact| fact.name().as_bytes().eq_ignore_ascii_case(name)) {
                Some(fact) => set |= fact.bit(),
                None if names.peek().is_none() && !name.is_empty() => return None,
                None => (),
            }
        }
        Some(FactSet(set))
    }

    /// What follows `MLST ` in FEAT: all facts, a star behind those that are on.
    pub(crate) fn feat_line(self) -> String {
        let star = |fact: Fact| if self.has(fact) { "*" } else { "" };
        Fact::ALL.iter().map(|&fact| format!("{}{};", fact.name(), star(fact))).collect()
    }

    /// What the reply to `OPTS MLST` repeats: the facts that are on.
    pub(crate) fn names(self) -> String {
        self.iter().map(|fact| format!("{};", fact.name())).collect()
    }

    /// Whether telling `perm` or an owner's name is asked for at all: both cost.
    pub(crate) fn needs_perm(self) -> bool {
        self.has(Fact::Perm)
    }

    pub(crate) fn needs_names(self) -> bool {
        self.has(Fact::UnixOwner) || self.has(Fact::UnixGroup)
    }

    fn has(self, fact: Fact) -> bool {
        self.0 & fact.bit() != 0
    }

    fn iter(self) -> impl Iterator<Item = Fact> {
        Fact::ALL.into_iter().filter(move |&fact| self.has(fact))
    }
}

/// Appends a name as a Network Virtual Terminal is sent it: a CR that is no end of line
/// is followed by NUL (RFC 854). All other bytes are as they are.
fn write_name(out: &mut Vec<u8>, name: &[u8]) {
    let mut rest = name;
    while let Some(at) = memchr::memchr(b'\r', rest) {
        out.extend_from_slice(&rest[..=at]);
        out.push(0);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Appends the name of an owner or a group, without what would end its column or fact.
fn write_word(out: &mut Vec<u8>, word: &[u8]) {
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

/// Appends what `write` does, moved to the right edge of a column.
fn write_right(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.resize(start + width, b' ');
    write(out);
    let written = out.len() - start - width;
    // The blanks that the text takes the place of were written in front of it.
    out.drain(start..start + written.min(width));
}

/// A number at the right edge of a column, which is at most 20 wide.
fn write_column(out: &mut Vec<u8>, width: usize, number: u64) {
    let mut text = [b' '; 20];
    let start = put_digits(&mut text, number, 1).min(text.len() - width);
    out.extend_from_slice(&text[start..]);
}

fn write_decimal(out: &mut Vec<u8>, number: u64) {
    write_padded(out, number, 1);
}

/// Appends a number in at least `digits` digits, at most 20.
fn write_padded(out: &mut Vec<u8>, number: u64, digits: usize) {
    let mut text = [0; 20];
    let start = put_digits(&mut text, number, digits);
    out.extend_from_slice(&text[start..]);
}

/// Puts a number in at least `digits` digits at the end of `text`; says where it begins.
fn put_digits(text: &mut [u8; 20], mut number: u64, digits: usize) -> usize {
    let (mut at, most) = (text.len(), text.len() - digits);
    while number != 0 || at > most {
        at -= 1;
        text[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    at
}

fn write_hex(out: &mut Vec<u8>, number: u64) {
    let digits = (64 - number.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..digits).rev().map(|digit| b"0123456789abcdef"[(number >> (4 * digit) & 15) as usize]));
}

/// `ls -h`: three digits at most, rounded up, and a unit of 1,024s.
fn write_human(out: &mut Vec<u8>, size: u64) {
    if size < 1024 {
        return write_decimal(out, size);
    }
    let (mut unit, mut shift) = (0, 10);
    // Rounded up to whole units it may be 1,024 of them, which is one of the next.
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
#[path = "listing_tests.rs"]
mod tests;
