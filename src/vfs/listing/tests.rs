use std::convert::Infallible;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use rustix::fs::Mode;

use super::*;
use crate::proto::facts::Letters;
use crate::sys::root::Root;
use crate::test_support::Scratch;
use crate::vfs::Viewer;
use crate::vfs::tests::{file_errno, path, tree, vfs, with};

pub(in crate::vfs) fn listed(
    vfs: &Vfs,
    cwd: &str,
    kind: ListKind,
    argument: &str,
) -> Result<String, FileError> {
    let limits = ListLimits::default();
    limited(vfs, cwd, kind, argument, limits).map(|(text, _)| text)
}

fn limited(
    vfs: &Vfs,
    cwd: &str,
    kind: ListKind,
    argument: &str,
    limits: ListLimits,
) -> Result<(String, ListingSummary), FileError> {
    let listing = vfs.listing(&path(cwd), ListRequest { kind, argument: argument.as_bytes(), limits })?;
    let (mut out, mut is_last) = (Vec::new(), false);
    let result = listing.write::<Infallible>(&mut |piece| {
        assert!(!is_last && (1..=64 * 1024).contains(&piece.len()), "{}", piece.len());
        is_last = piece.len() < 32 * 1024;
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
    // The directory, as for CWD; with -d the link itself.
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
        assert_eq!(listed, ListingSummary { files: 3, truncated: true });
    }
    let enough = ListLimits { files: Some(5), depth: Some(0) };
    let (text, listed) = limited(&vfs, "/", ListKind::Names, "-R", enough).unwrap();
    assert_eq!((listed, text.lines().count()), (ListingSummary { files: 5, truncated: false }, 5));
    let flat = ListLimits { files: None, depth: Some(1) };
    let (text, _) = limited(&vfs, "/", ListKind::Names, "-R", flat).unwrap();
    assert!(text.contains("d/e\r\n") && !text.contains("deep"));
}

/// `limited` looks at the pieces: only the last may be a small one.
#[test]
fn a_long_listing_comes_in_large_pieces() {
    let scratch = Scratch::new();
    for number in 0..700 {
        fs::write(scratch.join(format!("{number}-{}", "x".repeat(200))), "").unwrap();
    }
    let vfs = vfs(&scratch);
    for kind in [ListKind::List, ListKind::Names, ListKind::Facts(FactSet::ALL)] {
        let text = listed(&vfs, "/", kind, "").unwrap();
        assert!(text.len() > 140_000 && text.lines().count() == 700, "{kind:?}");
    }
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
