use std::convert::Infallible;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};

use super::listing::Listed;
use super::*;
use crate::proto::facts::FactSet;
use crate::test_support::Scratch;

fn vfs(scratch: &Scratch) -> Vfs {
    with(scratch, true, false)
}

fn with(scratch: &Scratch, writable: bool, hide_ids: bool) -> Vfs {
    let uid = rustix::process::geteuid().as_raw();
    Vfs::new(
        Root::open(scratch.path()).unwrap(),
        Viewer {
            uid,
            denied: if writable { Letters::default() } else { Letters::default().with(b"acdfmpw") },
            hide_ids,
        },
    )
}

fn path(name: &str) -> VirtualPath {
    VirtualPath::root().join(name.as_bytes()).unwrap()
}

fn errno<T>(result: io::Result<T>) -> Option<Errno> {
    result.err().and_then(|err| Errno::from_io_error(&err))
}

fn file_errno<T>(result: Result<T, FileError>) -> Option<Errno> {
    match result {
        Err(FileError::Io(err)) => Errno::from_io_error(&err),
        _ => None,
    }
}

fn write(vfs: &Vfs, name: &str, how: Create, text: &str) -> Result<(), FileError> {
    let mut open = vfs.create(&path(name), how, 0o644)?;
    open.file.write_all(text.as_bytes())?;
    Ok(())
}

#[test]
fn files_are_written_and_read() {
    let scratch = Scratch::new();
    let vfs = vfs(&scratch);
    write(&vfs, "/f", Create::New, "hello").unwrap();
    assert_eq!(file_errno(write(&vfs, "/f", Create::New, "")), Some(Errno::EXIST));
    write(&vfs, "/f", Create::Append, " you").unwrap();
    write(&vfs, "/f", Create::Update, "J").unwrap();
    let mut first = [0];
    let text = vfs.create(&path("/f"), Create::UpdateText, 0o600).unwrap();
    text.file.read_exact_at(&mut first, 0).unwrap();
    assert_eq!(&first, b"J");
    let mut open = vfs.open(&path("/f")).unwrap();
    let mut text = String::new();
    open.file.read_to_string(&mut text).unwrap();
    assert_eq!((open.size, text.as_str()), (9, "Jello you"));
    // Nothing is lost by an upload that never starts.
    drop(vfs.create(&path("/f"), Create::Replace, 0o600).unwrap());
    assert_eq!(vfs.stat(&path("/f")).unwrap().size, 9);
    assert_eq!(file_errno(vfs.open(&path("/none"))), Some(Errno::NOENT));
}

#[test]
fn only_plain_files_are_opened() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.join("dir")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, scratch.join("fifo"), rustix::fs::FileType::Fifo, Mode::RWXU, 0)
        .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(scratch.join("socket")).unwrap();
    let vfs = vfs(&scratch);
    for name in ["/", "/dir", "/fifo", "/socket"] {
        assert!(matches!(vfs.open(&path(name)), Err(FileError::NotPlainFile)), "{name}");
        let created = vfs.create(&path(name), Create::Replace, 0o644);
        assert!(matches!(created, Err(FileError::NotPlainFile)), "{name}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn proc_has_no_files_for_a_session() {
    let viewer =
        Viewer { uid: rustix::process::geteuid().as_raw(), denied: Letters::default(), hide_ids: false };
    let vfs = Vfs::new(Root::open(std::path::Path::new("/")).unwrap(), viewer);
    for name in ["/proc/self/maps", "/proc/self/status", "/proc/version"] {
        let opened = vfs.open(&path(name)).map(|_| ());
        assert!(matches!(opened, Err(FileError::Io(err)) if err.kind() == io::ErrorKind::PermissionDenied));
    }
}

#[test]
fn unique_names_are_counted_up() {
    let scratch = Scratch::new();
    let vfs = vfs(&scratch);
    symlink("nowhere", scratch.join("u.1")).unwrap();
    for want in ["/u", "/u.2", "/u.3"] {
        let (name, _) = vfs.create_unique(&path("/u"), 0o644).unwrap();
        assert_eq!(name, path(want));
    }
    assert!(vfs.create_unique(&path("/"), 0o644).is_err());
}

#[test]
fn the_mode_is_what_was_asked_for() {
    let scratch = Scratch::new();
    let vfs = vfs(&scratch);
    // Whatever the umask of this process lets through.
    vfs.create(&path("/f"), Create::New, 0o600).unwrap();
    vfs.make_dir(&path("/d"), 0o700).unwrap();
    assert_eq!(vfs.stat(&path("/f")).unwrap().mode, 0o600);
    assert_eq!(vfs.stat(&path("/d")).unwrap().mode & 0o777, 0o700);
}

#[test]
fn removing_minds_what_it_is() {
    let scratch = Scratch::new();
    let vfs = vfs(&scratch);
    vfs.make_dir(&path("/d"), 0o755).unwrap();
    write(&vfs, "/d/f", Create::New, "x").unwrap();
    symlink("d", scratch.join("link")).unwrap();
    assert_eq!(errno(vfs.remove_file(&path("/d"))), Some(Errno::ISDIR));
    assert_eq!(errno(vfs.remove_dir(&path("/d/f"))), Some(Errno::NOTDIR));
    assert_eq!(errno(vfs.remove_dir(&path("/link"))), Some(Errno::NOTDIR));
    assert_eq!(errno(vfs.remove_dir(&path("/d"))), Some(Errno::NOTEMPTY));
    assert_eq!(errno(vfs.remove_file(&path("/none"))), Some(Errno::NOENT));
    vfs.remove_file(&path("/link")).unwrap(); // The link, not what it leads to.
    vfs.remove_file(&path("/d/f")).unwrap();
    vfs.remove_dir(&path("/d")).unwrap();
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn the_root_itself_stays() {
    let scratch = Scratch::new();
    let vfs = vfs(&scratch);
    let root = path("/");
    assert_eq!(errno(vfs.remove_dir(&root)), Some(Errno::BUSY));
    assert_eq!(errno(vfs.remove_file(&root)), Some(Errno::BUSY));
    assert_eq!(errno(vfs.rename(&root, &path("/x"), true)), Some(Errno::BUSY));
    assert_eq!(errno(vfs.make_dir(&root, 0o755)), Some(Errno::EXIST));
    assert!(vfs.stat(&root).unwrap().is_dir() && vfs.stat_link(&root).unwrap().is_dir());
}

#[test]
fn renaming_replaces_only_if_told_to() {
    let scratch = Scratch::new();
    let vfs = vfs(&scratch);
    for name in ["/a", "/b"] {
        write(&vfs, name, Create::New, name).unwrap();
    }
    assert_eq!(errno(vfs.rename(&path("/a"), &path("/b"), false)), Some(Errno::EXIST));
    vfs.rename(&path("/a"), &path("/c"), false).unwrap();
    vfs.rename(&path("/c"), &path("/b"), true).unwrap();
    assert_eq!(fs::read(scratch.join("b")).unwrap(), b"/a");
    symlink("b", scratch.join("link")).unwrap();
    vfs.rename(&path("/link"), &path("/link2"), true).unwrap(); // Of a link, the link.
    assert!(scratch.join("link2").is_symlink() && scratch.join("b").is_file());
}

#[test]
fn modes_and_times_follow_links_inside_the_root_only() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.join("in")).unwrap();
    fs::write(scratch.join("outside"), "").unwrap();
    fs::set_permissions(scratch.join("outside"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(scratch.join("in/f"), "").unwrap();
    symlink("/f", scratch.join("in/link")).unwrap();
    symlink(scratch.join("outside"), scratch.join("in/out")).unwrap();
    symlink("../outside", scratch.join("in/up")).unwrap();
    let viewer =
        Viewer { uid: rustix::process::geteuid().as_raw(), denied: Letters::default(), hide_ids: false };
    let vfs = Vfs::new(Root::open(&scratch.join("in")).unwrap(), viewer);
    vfs.chmod(&path("/link"), 0o000).unwrap();
    assert_eq!(vfs.stat(&path("/f")).unwrap().mode, 0);
    vfs.chmod(&path("/f"), 0o4751).unwrap(); // Without any right to read it.
    assert_eq!(vfs.stat(&path("/f")).unwrap().mode, 0o4751);
    vfs.set_times(&path("/link"), None, Some(1_000_000_000)).unwrap();
    vfs.set_times(&path("/f"), Some(-5), None).unwrap();
    let stat = vfs.stat(&path("/f")).unwrap();
    assert_eq!((stat.accessed, stat.modified), (-5, 1_000_000_000));
    for name in ["/out", "/up", "/none"] {
        assert_eq!(errno(vfs.chmod(&path(name), 0o600)), Some(Errno::NOENT), "{name}");
        assert_eq!(errno(vfs.set_times(&path(name), None, Some(0))), Some(Errno::NOENT), "{name}");
    }
    assert_eq!(fs::metadata(scratch.join("outside")).unwrap().mode() & 0o7777, 0o644);
    vfs.chmod(&path("/"), 0o711).unwrap();
    assert_eq!(vfs.stat(&path("/")).unwrap().mode, 0o711);
}

#[test]
fn a_working_directory_is_a_directory() {
    let scratch = Scratch::new();
    let vfs = vfs(&scratch);
    vfs.make_dir(&path("/d"), 0o755).unwrap();
    write(&vfs, "/f", Create::New, "").unwrap();
    symlink("d", scratch.join("link")).unwrap();
    for name in ["/", "/d", "/link"] {
        vfs.enter(&path(name)).unwrap();
    }
    assert_eq!(errno(vfs.enter(&path("/f"))), Some(Errno::NOTDIR));
    assert_eq!(errno(vfs.enter(&path("/none"))), Some(Errno::NOENT));
    vfs.chmod(&path("/d"), 0o600).unwrap();
    if !rustix::process::geteuid().is_root() {
        assert_eq!(errno(vfs.enter(&path("/d"))), Some(Errno::ACCESS));
    }
    assert!(vfs.free_space(&path("/d/none")).unwrap().total > 0);
    assert!(vfs.free_space(&path("/f")).unwrap().available > 0);
}

fn listed(vfs: &Vfs, cwd: &str, kind: ListKind, argument: &str) -> Result<String, FileError> {
    let limits = ListLimits::default();
    limited(vfs, cwd, kind, argument, limits).map(|(text, _)| text)
}

fn limited(
    vfs: &Vfs,
    cwd: &str,
    kind: ListKind,
    argument: &str,
    limits: ListLimits,
) -> Result<(String, Listed), FileError> {
    let listing = vfs.listing(&path(cwd), ListRequest { kind, argument: argument.as_bytes(), limits })?;
    let mut out = Vec::new();
    let result = listing.write::<Infallible>(&mut |piece| {
        assert!(piece.len() <= 64 * 1024);
        out.extend_from_slice(piece);
        Ok(())
    });
    Ok((String::from_utf8_lossy(&out).into_owned(), result.unwrap()))
}

fn names(vfs: &Vfs, argument: &str) -> Vec<String> {
    listed(vfs, "/", ListKind::Names, argument).unwrap().lines().map(str::to_owned).collect()
}

/// The last words of `ls -l`.
fn long_names(vfs: &Vfs, argument: &str) -> Vec<String> {
    let text = listed(vfs, "/", ListKind::List, argument).unwrap();
    assert!(text.is_empty() || text.ends_with("\r\n"));
    text.lines().map(|line| line.get(60..).unwrap_or(line).trim_start().to_owned()).collect()
}

/// d/{.hidden, e/deep, f, z}, link -> d, dangling -> nowhere, a b.txt, plain.txt
fn tree() -> Scratch {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.join("d/e")).unwrap();
    for (name, size) in
        [("d/.hidden", 1), ("d/e/deep", 2), ("d/f", 30), ("d/z", 4), ("a b.txt", 5), ("plain.txt", 6)]
    {
        fs::write(scratch.join(name), vec![b'x'; size]).unwrap();
        fs::set_permissions(scratch.join(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    symlink("d", scratch.join("link")).unwrap();
    symlink("nowhere", scratch.join("dangling")).unwrap();
    scratch
}

#[test]
fn list_shows_what_ls_shows() {
    let scratch = tree();
    let vfs = vfs(&scratch);
    assert_eq!(long_names(&vfs, ""), ["a b.txt", "d", "dangling -> nowhere", "link -> d", "plain.txt"]);
    assert_eq!(long_names(&vfs, "d"), [".hidden", "e", "f", "z"]);
    assert_eq!(long_names(&vfs, "-la d"), [".", "..", ".hidden", "e", "f", "z"]);
    assert_eq!(
        long_names(&vfs, "-a"),
        [".", "..", "a b.txt", "d", "dangling -> nowhere", "link -> d", "plain.txt"]
    );
    assert_eq!(long_names(&vfs, "-l a b.txt"), ["a b.txt"]);
    assert_eq!(long_names(&vfs, "/d/f"), ["/d/f"]);
    // What CWD would go to, and with -d the link itself.
    assert_eq!(long_names(&vfs, "link"), [".hidden", "e", "f", "z"]);
    assert_eq!(long_names(&vfs, "-d link"), ["link -> d"]);
    assert_eq!(long_names(&vfs, "-d"), ["."]);
    assert_eq!(long_names(&vfs, "dangling"), ["dangling -> nowhere"]);
    assert_eq!(long_names(&vfs, "-F d"), [".hidden", "e/", "f", "z"]);
    assert_eq!(long_names(&vfs, "-1F d"), [".hidden", "e/", "f", "z"]);
    assert_eq!(
        listed(&vfs, "/d", ListKind::List, "-1 ..").unwrap(),
        "a b.txt\r\nd\r\ndangling\r\nlink\r\nplain.txt\r\n"
    );
}

#[test]
fn list_sorts_as_told() {
    let scratch = tree();
    let vfs = vfs(&scratch);
    assert_eq!(names(&vfs, "-S d")[..3], ["d/e", "d/f", "d/z"].map(String::from)[..]);
    for (name, time) in [("/d/f", 300), ("/d/e", 100), ("/d/z", -200), ("/d/.hidden", 100)] {
        vfs.set_times(&path(name), Some(-time), Some(time)).unwrap();
    }
    assert_eq!(names(&vfs, "-t d"), ["d/f", "d/.hidden", "d/e", "d/z"]);
    assert_eq!(names(&vfs, "-tr d"), ["d/z", "d/e", "d/.hidden", "d/f"]);
    assert_eq!(names(&vfs, "-tu d"), ["d/z", "d/.hidden", "d/e", "d/f"]);
    assert_eq!(names(&vfs, "-r d"), ["d/z", "d/f", "d/e", "d/.hidden"]);
    assert_eq!(names(&vfs, "-t d/[fz]"), ["d/f", "d/z"]);
    let mut unsorted = names(&vfs, "-U d");
    unsorted.sort();
    assert_eq!(unsorted, ["d/.hidden", "d/e", "d/f", "d/z"]);
}

#[test]
fn recursion_lists_directories_below_but_follows_no_links() {
    let scratch = tree();
    symlink("..", scratch.join("d/loop")).unwrap();
    let vfs = vfs(&scratch);
    let want = [".hidden", "e", "f", "loop -> ..", "z", "", "d/e:", "deep"];
    assert_eq!(long_names(&vfs, "-R d"), want);
    let top = long_names(&vfs, "-R");
    assert_eq!(top[5..8], ["", "./d:", ".hidden"].map(String::from)[..]);
    assert_eq!(names(&vfs, "-R d"), ["d/.hidden", "d/e", "d/f", "d/loop", "d/z", "d/e/deep"]);
    assert_eq!(
        names(&vfs, "-R")[5..],
        ["d/.hidden", "d/e", "d/f", "d/loop", "d/z", "d/e/deep"].map(String::from)[..]
    );
}

#[test]
fn names_can_be_given_back() {
    let scratch = tree();
    let vfs = vfs(&scratch);
    assert_eq!(names(&vfs, ""), ["a b.txt", "d", "dangling", "link", "plain.txt"]);
    assert_eq!(names(&vfs, "."), ["a b.txt", "d", "dangling", "link", "plain.txt"]);
    assert_eq!(names(&vfs, "/")[0], "/a b.txt");
    assert_eq!(names(&vfs, "d"), ["d/.hidden", "d/e", "d/f", "d/z"]);
    assert_eq!(names(&vfs, "/d/"), ["/d/.hidden", "/d/e", "/d/f", "/d/z"]);
    assert_eq!(names(&vfs, "plain.txt"), ["plain.txt"]);
    assert_eq!(names(&vfs, "-a d")[..2], ["d/.", "d/.."].map(String::from)[..]);
    assert_eq!(names(&vfs, "-F")[1], "d/");
}

#[test]
fn wildcards_find_files() {
    let scratch = tree();
    let vfs = vfs(&scratch);
    assert_eq!(names(&vfs, "*.txt"), ["a b.txt", "plain.txt"]);
    assert_eq!(names(&vfs, "*"), ["a b.txt", "d", "dangling", "link", "plain.txt"]);
    assert_eq!(names(&vfs, "/d/[ef]"), ["/d/e", "/d/f"]);
    assert_eq!(names(&vfs, "*/e/dee?"), ["d/e/deep", "link/e/deep"]);
    assert_eq!(names(&vfs, "d/.h*"), ["d/.hidden"]);
    assert_eq!(names(&vfs, "a\\ b.*"), ["a b.txt"]);
    assert_eq!(listed(&vfs, "/d", ListKind::Names, "../p*").unwrap(), "../plain.txt\r\n");
    assert_eq!(long_names(&vfs, "*.txt"), ["a b.txt", "plain.txt"]);
    assert_eq!(long_names(&vfs, "-d d*"), ["d", "dangling -> nowhere"]);
    assert_eq!(long_names(&vfs, "[dp]"), [".hidden", "e", "f", "z"]);
    assert_eq!(
        long_names(&vfs, "[dp]*")[..4],
        ["dangling -> nowhere", "plain.txt", "", "d:"].map(String::from)[..]
    );
    for none in ["x*", "none/*", "{d,link}", "~*", "*/*/*/*/*"] {
        assert_eq!(file_errno(listed(&vfs, "/", ListKind::Names, none)), Some(Errno::NOENT), "{none}");
    }
}

#[test]
fn a_name_wins_over_its_reading_as_a_pattern() {
    let scratch = tree();
    for name in ["[a]", "*", "\\x"] {
        fs::write(scratch.join(name), "").unwrap();
        assert_eq!(names(&vfs(&scratch), name), [name]);
    }
    assert_eq!(names(&vfs(&scratch), "\\*"), ["*"]);
}

#[test]
fn wildcards_have_limits() {
    let scratch = Scratch::new();
    for number in 0..60 {
        fs::create_dir(scratch.join(format!("d{number}"))).unwrap();
    }
    let vfs = vfs(&scratch);
    let listing = |argument: &str, files| {
        let limits = ListLimits { files, depth: None };
        limited(&vfs, "/", ListKind::Names, argument, limits)
    };
    assert!(listing("*", Some(60)).is_ok());
    assert!(matches!(listing("*", Some(59)), Err(FileError::TooMany)));
    assert!(listing("*/../*", None).is_ok());
    assert!(matches!(listing("*/../*/../*/../*", None), Err(FileError::TooMany)));
    assert!(matches!(listing("*/../*/../*/../zzz*", None), Err(FileError::TooMany)));
}

#[test]
fn what_is_not_there_is_an_error_and_not_an_empty_listing() {
    let scratch = tree();
    let vfs = vfs(&scratch);
    for kind in [ListKind::List, ListKind::Names, ListKind::Facts(FactSet::ALL)] {
        for argument in ["none", "none/x", "d/none"] {
            assert_eq!(file_errno(listed(&vfs, "/", kind, argument)), Some(Errno::NOENT), "{argument}");
        }
        assert_eq!(file_errno(listed(&vfs, "/none", kind, "")), Some(Errno::NOENT));
    }
    let facts = ListKind::Facts(FactSet::ALL);
    assert!(matches!(listed(&vfs, "/", facts, "plain.txt"), Err(FileError::NotDirectory)));
    vfs.chmod(&path("/d"), 0o300).unwrap();
    if !rustix::process::geteuid().is_root() {
        for kind in [ListKind::List, ListKind::Names, facts] {
            assert_eq!(file_errno(listed(&vfs, "/", kind, "d")), Some(Errno::ACCESS));
        }
    }
    vfs.chmod(&path("/d"), 0o700).unwrap();
}

#[test]
fn names_survive_every_listing() {
    let scratch = Scratch::new();
    let vfs = vfs(&scratch);
    let mut all: Vec<Vec<u8>> = vec![b" two  blanks ".into(), b"q\"'`$".into(), b"-la".into()];
    if cfg!(target_os = "linux") {
        all.extend([b"new\nline".to_vec(), b"\xFF\xFE".to_vec(), vec![1; 255], vec![0xFF; 255]]);
    }
    for name in &all {
        fs::write(scratch.join(OsStr::from_bytes(name)), "").unwrap();
    }
    for kind in [ListKind::List, ListKind::Names, ListKind::Facts(FactSet::ALL)] {
        let request = ListRequest { kind, argument: b"", limits: ListLimits::default() };
        let mut out = Vec::new();
        let listing = vfs.listing(&path("/"), request).unwrap();
        listing
            .write::<Infallible>(&mut |piece| {
                out.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
        for name in &all {
            let line = [name, &b"\r\n"[..]].concat();
            assert!(out.windows(line.len()).any(|part| part == line), "{}", name.escape_ascii());
        }
    }
    for name in &all {
        assert!(vfs.stat(&VirtualPath::root().join(name).unwrap()).unwrap().is_file());
    }
    assert_eq!(names(&vfs, "-- -la"), ["-la"]);
}

/// CVE-2019-20176: a tree deeper than any stack, listed on a stack as small as a worker's.
#[test]
fn deep_trees_are_listed_on_a_small_stack() {
    let scratch = Scratch::new();
    let mut dir = rustix::fs::open(scratch.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..10_000 {
        rustix::fs::mkdirat(&dir, c"d", Mode::RWXU).unwrap();
        dir = rustix::fs::openat(&dir, c"d", OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let work = || {
        let vfs = vfs(&scratch);
        let text = listed(&vfs, "/", ListKind::List, "-R").unwrap();
        // As deep as a path-name can say.
        assert!(text.lines().filter(|line| line.ends_with(':')).count() > 400);
    };
    std::thread::scope(|scope| {
        std::thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, work).unwrap();
    });
    // remove_dir_all of std keeps a descriptor open for each level: it gets 200 levels at a time.
    let top = scratch.join("d");
    while fs::rename(scratch.join(["d"; 200].join("/")), scratch.join("below")).is_ok() {
        fs::remove_dir_all(&top).unwrap();
        fs::rename(scratch.join("below"), &top).unwrap();
    }
}

#[test]
fn listings_have_limits() {
    let scratch = tree();
    let vfs = vfs(&scratch);
    let facts = ListKind::Facts(FactSet::ALL);
    let three = ListLimits { files: Some(3), depth: None };
    for (kind, argument) in
        [(ListKind::List, ""), (ListKind::Names, "-R"), (facts, ""), (ListKind::List, "-Ra")]
    {
        let (_, listed) = limited(&vfs, "/", kind, argument, three).unwrap();
        assert_eq!(listed, Listed { files: 3, truncated: true });
    }
    let enough = ListLimits { files: Some(5), depth: Some(0) };
    let (text, listed) = limited(&vfs, "/", ListKind::Names, "-R", enough).unwrap();
    assert_eq!((listed, text.lines().count()), (Listed { files: 5, truncated: false }, 5));
    let flat = ListLimits { files: None, depth: Some(1) };
    let (text, _) = limited(&vfs, "/", ListKind::Names, "-R", flat).unwrap();
    assert!(text.contains("d/e\r\n") && !text.contains("deep"));
}

#[test]
fn a_sink_that_fails_ends_the_listing() {
    let scratch = tree();
    let vfs = vfs(&scratch);
    for kind in [ListKind::List, ListKind::Facts(FactSet::ALL)] {
        let request = ListRequest { kind, argument: b"", limits: ListLimits::default() };
        let result = vfs.listing(&path("/"), request).unwrap().write(&mut |_| Err("closed"));
        assert!(matches!(result, Err(ListingError::Sink("closed"))));
    }
}

fn fact(vfs: &Vfs, name: &str, set: &str) -> String {
    let line = vfs.facts(&path(name), b"x", FactSet::parse(set.as_bytes()).unwrap()).unwrap();
    String::from_utf8(line).unwrap()
}

#[test]
fn facts_tell_of_what_a_link_leads_to() {
    let scratch = tree();
    symlink("plain.txt", scratch.join("to_file")).unwrap();
    let vfs = vfs(&scratch);
    assert_eq!(fact(&vfs, "/plain.txt", "type;size"), "type=file;size=6; x");
    assert_eq!(fact(&vfs, "/to_file", "type;size"), "type=file;size=6; x");
    assert_eq!(fact(&vfs, "/to_file", "unique"), fact(&vfs, "/plain.txt", "unique"));
    assert_ne!(fact(&vfs, "/plain.txt", "unique"), fact(&vfs, "/a b.txt", "unique"));
    assert_eq!(fact(&vfs, "/link", "type;size"), "type=dir; x");
    assert_eq!(fact(&vfs, "/dangling", "type;size"), "type=OS.unix=symlink; x");
    assert_eq!(fact(&vfs, "/", "type"), "type=dir; x");
    assert_eq!(fact(&vfs, "/", ""), " x");
    assert!(vfs.facts(&path("/none"), b"x", FactSet::ALL).is_err());
    vfs.set_times(&path("/plain.txt"), None, Some(1_709_175_845)).unwrap();
    assert_eq!(fact(&vfs, "/plain.txt", "modify;UNIX.mode"), "modify=20240229030405;UNIX.mode=0644; x");
    let text = listed(&vfs, "/", ListKind::Facts(FactSet::parse(b"type;").unwrap()), "").unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    let want = [
        "type=OS.unix=symlink; dangling",
        "type=dir; d",
        "type=dir; link",
        "type=file; a b.txt",
        "type=file; plain.txt",
        "type=file; to_file",
    ];
    assert_eq!(lines, want);
    let text = listed(&vfs, "/d", ListKind::Facts(FactSet::parse(b"").unwrap()), "e").unwrap();
    assert_eq!(text, " deep\r\n");
}

#[test]
fn perm_is_what_this_user_may_do() {
    let scratch = tree();
    let vfs = vfs(&scratch);
    assert_eq!(fact(&vfs, "/plain.txt", "perm"), "perm=adfrw; x");
    assert_eq!(fact(&vfs, "/d", "perm"), "perm=cdeflmp; x");
    assert_eq!(fact(&vfs, "/", "perm"), "perm=celmp; x");
    let read_only = with(&scratch, false, false);
    assert_eq!(fact(&read_only, "/plain.txt", "perm"), "perm=r; x");
    assert_eq!(fact(&read_only, "/d", "perm"), "perm=el; x");
    if !rustix::process::geteuid().is_root() {
        vfs.chmod(&path("/plain.txt"), 0o444).unwrap();
        vfs.chmod(&path("/d"), 0o500).unwrap();
        assert_eq!(fact(&vfs, "/plain.txt", "perm"), "perm=dfr; x");
        assert_eq!(fact(&vfs, "/d", "perm"), "perm=defl; x");
        assert_eq!(fact(&vfs, "/d/f", "perm"), "perm=arw; x");
        vfs.chmod(&path("/d"), 0o700).unwrap();
    }
}

#[test]
fn rights_in_a_file_of_someone_else_are_asked_of_the_system() {
    let scratch = Scratch::new();
    fs::write(scratch.join("f"), "").unwrap();
    // Told that it is somebody else, it asks, and hears of the rights that this thread has.
    let viewer = Viewer { uid: 3_999_999_999, denied: Letters::default(), hide_ids: false };
    let vfs = Vfs::new(Root::open(scratch.path()).unwrap(), viewer);
    for (mode, want) in [(0o666, "perm=adfrw; x"), (0o644, "perm=dfr; x"), (0o600, "perm=df; x")] {
        vfs.chmod(&path("/f"), mode).unwrap();
        assert_eq!(fact(&vfs, "/f", "perm"), want);
    }
    vfs.chmod(&path("/"), 0o1777).unwrap();
    assert_eq!(fact(&vfs, "/f", "perm"), "perm=; x"); // Sticky, and neither's owner.
}

#[test]
fn hidden_ids_are_shown_nowhere() {
    let scratch = tree();
    let vfs = with(&scratch, true, true);
    let line = vfs.facts(&path("/plain.txt"), b"x", FactSet::ALL).unwrap();
    assert!(line.ends_with(b"UNIX.owner=ftp;UNIX.group=ftp; x"));
    for options in ["plain.txt", "-n plain.txt"] {
        let text = listed(&vfs, "/", ListKind::List, options).unwrap();
        assert!(text.contains(" ftp      ftp "), "{text}");
    }
}

#[test]
fn nothing_above_the_root_is_told_of() {
    let scratch = tree();
    let viewer =
        Viewer { uid: rustix::process::geteuid().as_raw(), denied: Letters::default(), hide_ids: false };
    let vfs = Vfs::new(Root::open(&scratch.join("d")).unwrap(), viewer);
    vfs.set_times(&path("/"), Some(0), Some(0)).unwrap();
    let text = listed(&vfs, "/", ListKind::List, "-a").unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0].replace(" .", " .."), lines[1]);
    assert!(listed(&vfs, "/", ListKind::Names, "../../*").unwrap().starts_with("../../e\r\n"));
}
