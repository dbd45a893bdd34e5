//! The facts of a file, as MLST and MLSD give them: RFC 3659 section 7.
//!
//! `vfs` and `session::rights` find out the value of `perm`.

use super::calendar::CivilTime;
use super::ls_line::{EntryKind, write_decimal, write_name, write_word};

/// A file, as far as its facts depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// Of a link, the kind of the file it leads to; `Symlink` if it leads nowhere.
    pub kind: EntryKind,
    /// In bytes.
    pub size: u64,
    /// In UTC.
    pub modified: CivilTime,
    pub perm: Perm,
    pub dev: u64,
    pub ino: u64,
    /// Permission bits, 0 to 0o7777.
    pub mode: u32,
    pub owner: &'a [u8],
    pub group: &'a [u8],
    /// The numbers of the owner and the group. `None`: this client must not see them.
    pub ids: Option<(u32, u32)>,
}

/// A set of letters of the fact `perm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Letters(u32);

impl Letters {
    /// The set with `letters` added to it, each one of `a` to `z`.
    pub(crate) fn with(self, letters: &[u8]) -> Letters {
        Letters(letters.iter().fold(self.0, |set, letter| set | 1 << (letter - b'a')))
    }

    pub(crate) fn contains(self, letter: u8) -> bool {
        self.0 & 1 << (letter - b'a') != 0
    }
}

/// The client's rights on a file. With the kind of file they make the letters of `perm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Perm {
    pub read: bool,
    pub write: bool,
    /// Search: of directories alone.
    pub enter: bool,
    /// Remove and rename: the directory decides that the file is in.
    pub remove: bool,
    /// Letters of all that this login may not do, whatever the system allows.
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
    /// Appends the facts of `set`, a space and `name`. If `set` is empty, the space and the name are
    /// all, as RFC 3659 section 7.8 has it.
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

    /// Appends the value of one fact; `false` if this file has none.
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

/// The facts that MLST and MLSD give: all of them, or those that the client chose with OPTS MLST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FactSet(u16);

impl FactSet {
    pub(crate) const ALL: FactSet = FactSet((1 << Fact::ALL.len()) - 1);

    /// Reads the argument of `OPTS MLST`: names in upper or lower case, each followed by a semicolon.
    /// Unknown names are left out, and without any name the set is empty (RFC 3659 section 7.9). The
    /// last semicolon may be missing after a name that is known, and `None` is returned after any other.
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

    /// The line of FEAT after `MLST `: all facts, with a star after those of the set.
    pub(crate) fn feat_line(self) -> String {
        let star = |fact: Fact| if self.has(fact) { "*" } else { "" };
        Fact::ALL.iter().map(|&fact| format!("{}{};", fact.name(), star(fact))).collect()
    }

    /// The facts of the set, as the reply to `OPTS MLST` repeats them.
    pub(crate) fn names(self) -> String {
        self.iter().map(|fact| format!("{};", fact.name())).collect()
    }

    /// Whether `perm` is in the set: to find it out takes system calls.
    pub(crate) fn needs_perm(self) -> bool {
        self.has(Fact::Perm)
    }

    /// Appends what there is to say of a file of which only the kind is known.
    pub(crate) fn write_kind_alone(self, out: &mut Vec<u8>, kind: EntryKind, name: &[u8]) {
        if self.iter().any(|fact| fact == Fact::Type) {
            out.extend_from_slice(match kind {
                EntryKind::Directory => b"type=dir;",
                EntryKind::File => b"type=file;",
                _ => b"",
            });
        }
        out.push(b' ');
        write_name(out, name);
    }

    /// Whether the owner's or the group's name is in the set: these are looked up.
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

fn write_hex(out: &mut Vec<u8>, number: u64) {
    let digits = (64 - number.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..digits).rev().map(|digit| b"0123456789abcdef"[(number >> (4 * digit) & 15) as usize]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Random;

    fn facts() -> Facts<'static> {
        Facts {
            kind: EntryKind::File,
            size: 1_234_567_890_123,
            modified: CivilTime { year: 2024, month: 2, day: 29, hour: 3, minute: 4, second: 5 },
            perm: Perm { read: true, write: true, enter: false, remove: true, denied: Letters::default() },
            dev: 0x801,
            ino: 0xabc,
            mode: 0o4644,
            owner: b"joe",
            group: b"the staff",
            ids: Some((1000, 50)),
        }
    }

    fn line(facts: &Facts<'_>, set: FactSet) -> String {
        let mut out = Vec::new();
        facts.write(&mut out, set, b" name");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn facts_are_those_of_rfc_3659() {
        assert_eq!(
            line(&facts(), FactSet::ALL),
            "type=file;size=1234567890123;modify=20240229030405;perm=adfrw;unique=801gabc;UNIX.mode=4644;\
             UNIX.owner=joe;UNIX.group=the_staff;UNIX.uid=1000;UNIX.gid=50;  name"
        );
        let hidden = Facts { ids: None, ..facts() };
        assert!(line(&hidden, FactSet::ALL).ends_with("UNIX.group=the_staff;  name"));
    }

    #[test]
    fn perm_depends_on_the_kind() {
        let set = FactSet::parse(b"perm;").unwrap();
        let everything =
            Perm { read: true, write: true, enter: true, remove: true, denied: Letters::default() };
        for (kind, perm, want) in [
            (EntryKind::Directory, everything, "cdeflmp"),
            (EntryKind::Directory, Perm { write: false, remove: false, ..everything }, "el"),
            (EntryKind::Directory, Perm { enter: false, remove: false, ..everything }, ""),
            (EntryKind::File, everything, "adfrw"),
            (EntryKind::File, Perm { read: true, ..Perm::default() }, "r"),
            (EntryKind::Symlink, everything, "df"),
            (EntryKind::Fifo, everything, "df"),
        ] {
            assert_eq!(line(&Facts { kind, perm, ..facts() }, set), format!("perm={want};  name"));
        }
    }

    #[test]
    fn types_beyond_files_and_directories_are_the_systems() {
        let set = FactSet::parse(b"type;size").unwrap();
        for (kind, want) in [
            (EntryKind::File, "type=file;size=1234567890123;"),
            (EntryKind::Directory, "type=dir;"),
            (EntryKind::Symlink, "type=OS.unix=symlink;"),
            (EntryKind::CharDevice(1, 3), "type=OS.unix=chr-1/3;"),
            (EntryKind::Fifo, "type=OS.unix=fifo;"),
        ] {
            assert_eq!(line(&Facts { kind, ..facts() }, set), format!("{want}  name"));
        }
    }

    #[test]
    fn opts_mlst_chooses_facts() {
        assert_eq!(FactSet::parse(b"Type;unix.MODE;nonsense;size").unwrap().names(), "type;size;UNIX.mode;");
        assert_eq!(FactSet::parse(b"size;size;").unwrap().names(), "size;");
        assert!(FactSet::parse(b"size;nonsense").is_none(), "neither a fact nor ended");
        assert_eq!(
            FactSet::parse(b"size;").unwrap().feat_line(),
            "type;size*;modify;perm;unique;UNIX.mode;UNIX.owner;UNIX.group;UNIX.uid;UNIX.gid;"
        );
        assert_eq!(FactSet::ALL.feat_line().matches('*').count(), 10);
    }

    #[test]
    fn no_facts_leave_a_space_and_the_name() {
        let none = FactSet::parse(b"").unwrap();
        assert_eq!(none.names(), "");
        assert_eq!(line(&facts(), none), "  name");
    }

    #[test]
    fn any_bytes_choose_facts_or_none() {
        let mut random = Random::new(7);
        for _ in 0..20_000 {
            let bytes = random.bytes(10, b"- -al1\xFF;\0=");
            let _ = FactSet::parse(&bytes);
        }
    }
}
