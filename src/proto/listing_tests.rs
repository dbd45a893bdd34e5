use super::*;

/// 2024-11-21 12:00:00 UTC.
const NOW: i64 = 1_732_190_400;

fn date(year: i64, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> CivilTime {
    CivilTime { year, month, day, hour, minute, second }
}

fn file() -> Entry<'static> {
    Entry {
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

fn long(entry: &Entry<'_>, options: &[u8]) -> String {
    let mut out = Vec::new();
    entry.write_long(&mut out, NOW, &LsOptions::parse(options, true).0);
    String::from_utf8(out).unwrap()
}

fn words(line: &str) -> Vec<&str> {
    line.split_ascii_whitespace().collect()
}

#[test]
fn a_long_line_is_that_of_ls() {
    assert_eq!(long(&file(), b""), "-rw-r--r--    1 joe      staff            1234 Nov 21 11:00 a.txt\r\n");
}

#[test]
fn a_long_line_keeps_its_columns_apart_whatever_is_in_them() {
    let entry =
        Entry { links: 1_000_000, owner: b"a very long owner;name", group: b"", size: u64::MAX, ..file() };
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
        let line = long(&Entry { time, date, ..file() }, b"");
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
        assert_eq!(words(&long(&Entry { kind, mode, ..file() }, b""))[0], want);
    }
    let line = long(&Entry { kind: EntryKind::CharDevice(1, 3), ..file() }, b"");
    assert!(line.contains(" staff          1,   3 Nov"), "{line}");
    let line = long(&Entry { kind: EntryKind::BlockDevice(259, 1_048_575), ..file() }, b"");
    assert!(line.starts_with("brw-") && line.contains(" 259, 1048575 Nov"), "{line}");
}

#[test]
fn names_are_bytes_and_a_cr_is_no_line_end() {
    let mut out = Vec::new();
    let entry = Entry { name: b" a\"\xFF\n\rb ", target: Some(b"\xC3\r"), ..file() };
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
        assert!(long(&Entry { kind, mode, ..file() }, b"-F").ends_with(want));
    }
}

#[test]
fn options_are_bundles_in_front_of_the_path() {
    let parse = |argument: &'static str| {
        let (options, path) = LsOptions::parse(argument.as_bytes(), true);
        (options, std::str::from_utf8(path).unwrap())
    };
    let all = LsOptions { dots: true, ..LsOptions::new(true) };
    assert_eq!(parse(""), (LsOptions::new(true), ""));
    assert_eq!(parse("-la"), (all, ""));
    assert_eq!(parse("-l -a"), (all, ""));
    assert_eq!(parse("-l  -a "), (all, ""));
    assert_eq!(parse("-alR dir"), (LsOptions { recursive: true, ..all }, "dir"));
    assert_eq!(parse("-la dir with space "), (all, "dir with space "));
    assert_eq!(parse("-a  led by a space"), (all, " led by a space"));
    assert_eq!(parse(" led by a space"), (LsOptions::new(true), " led by a space"));
    assert_eq!(parse("-aZGbq x"), (all, "x"));
    assert_eq!(parse("-- -la"), (LsOptions::new(true), "-la"));
    assert_eq!(parse("-a -- -la x"), (all, "-la x"));
    assert_eq!(parse("-a --"), (all, ""));
    for path in ["-", "-x.txt", "-la.txt", "--all", "-é", "dir -la", "-5"] {
        assert_eq!(parse(path), (LsOptions::new(true), path));
    }
    assert_eq!(parse("-l -x.txt"), (LsOptions::new(true), "-x.txt"));
}

#[test]
fn options_mean_what_they_do_for_ls() {
    let parse = |argument: &str| LsOptions::parse(argument.as_bytes(), true).0;
    assert!(!parse("-1").long && parse("-1l").long && !parse("-l1").long);
    assert!(parse("-d").directory && parse("-F").classify && parse("-h").human);
    assert!(parse("-n").numeric && parse("-n").long);
    assert_eq!((parse("-t").sort, parse("-tr").reverse), (Sort::Time, true));
    assert_eq!(parse("-S").sort, Sort::Size);
    assert_eq!((parse("-f").sort, parse("-f").dots), (Sort::Unsorted, true));
    assert_eq!((parse("-u").time, parse("-c").time), (TimeShown::Accessed, TimeShown::Changed));
    assert!(!parse("-aA").dots);
    assert!(!LsOptions::new(false).long && LsOptions::parse(b"-l", false).0.long);
}

#[test]
fn any_bytes_are_an_argument() {
    let mut seed = 7_u32;
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..10)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                b"- -al1\xFF;\0="[(seed >> 16) as usize % 10]
            })
            .collect();
        let (_, path) = LsOptions::parse(&bytes, true);
        assert!(path.is_empty() || bytes.ends_with(path));
        let _ = FactSet::parse(&bytes);
    }
}

fn facts() -> Facts<'static> {
    Facts {
        kind: EntryKind::File,
        size: 1_234_567_890_123,
        modified: date(2024, 2, 29, 3, 4, 5),
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
    let everything = Perm { read: true, write: true, enter: true, remove: true, denied: Letters::default() };
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
