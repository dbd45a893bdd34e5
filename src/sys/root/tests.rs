use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};

use super::*;
use crate::test_support::Scratch;

/// Both ways to resolve a path, where the system has both.
fn both(root: &Path) -> Vec<Root> {
    let mut roots = vec![Root::open(root).unwrap()];
    #[cfg(target_os = "linux")]
    roots.push(Root { has_openat2: false, ..Root::open(root).unwrap() });
    roots
}

fn read(root: &Root, path: &str) -> io::Result<String> {
    let fd = root.open_at(path.as_bytes(), OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
    io::read_to_string(fs::File::from(fd))
}

fn error(result: io::Result<impl Sized>) -> Option<Errno> {
    result.err().and_then(|err| Errno::from_io_error(&err))
}

/// `outside/secret` and, next to it, `in` as the root: `in/d/e/f` says "inside".
fn tree() -> Scratch {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.join("outside")).unwrap();
    fs::write(scratch.join("outside/secret"), "outside").unwrap();
    fs::create_dir_all(scratch.join("in/d/e")).unwrap();
    fs::write(scratch.join("in/d/e/f"), "inside").unwrap();
    scratch
}

#[test]
fn links_resolve_inside_the_root() {
    let scratch = tree();
    let inside = scratch.join("in");
    symlink("/d/e/f", inside.join("absolute")).unwrap();
    symlink("e/f", inside.join("d/relative")).unwrap();
    symlink("../../../../../d/e", inside.join("d/up")).unwrap();
    symlink("/", inside.join("d/slash")).unwrap();
    symlink(scratch.join("outside"), inside.join("out")).unwrap();
    symlink("../outside/secret", inside.join("out2")).unwrap();
    for root in both(&inside) {
        for path in
            ["d/e/f", "absolute", "d/relative", "d/up/f", "d/slash/d/e/f", "d/e/../e/./f", "../../d//e/f"]
        {
            assert_eq!(read(&root, path).unwrap(), "inside", "{path}");
        }
        for path in ["out", "out/secret", "out2", "../outside/secret", "none", "d/none", "none/f", ""] {
            assert_eq!(error(read(&root, path)), Some(Errno::NOENT), "{path}");
        }
        for path in ["d/e/f/g", "d/e/f/", "d/e/f/.", "d/e/f/..", "absolute/"] {
            assert_eq!(error(read(&root, path)), Some(Errno::NOTDIR), "{path}");
        }
    }
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let scratch = tree();
    let inside = scratch.join("in");
    symlink("d/e/f", inside.join("1")).unwrap();
    for number in 2..=41 {
        symlink(format!("{}", number - 1), inside.join(number.to_string())).unwrap();
    }
    symlink("loop", inside.join("loop")).unwrap();
    for root in both(&inside) {
        assert_eq!(read(&root, "40").unwrap(), "inside");
        assert_eq!(error(read(&root, "41")), Some(Errno::LOOP));
        assert_eq!(error(read(&root, "loop")), Some(Errno::LOOP));
        assert_eq!(error(read(&root, "loop/x")), Some(Errno::LOOP));
        assert_eq!(error(root.locate(b"41")), Some(Errno::LOOP));
        assert_eq!(root.locate(b"40").unwrap().1.as_c_str(), c"f");
    }
}

#[test]
fn a_file_is_created_where_a_dangling_link_leads_inside() {
    for which in 0..2 {
        let scratch = tree();
        let inside = scratch.join("in");
        symlink("/d/new", inside.join("link")).unwrap();
        symlink(scratch.join("outside/new"), inside.join("out")).unwrap();
        let roots = both(&inside);
        let Some(root) = roots.get(which) else { continue };
        let create = OFlags::WRONLY | OFlags::CREATE;
        let exclusive = root.open_at(b"link", create | OFlags::EXCL, Mode::RUSR);
        assert_eq!(error(exclusive), Some(Errno::EXIST));
        let no_follow = root.open_at(b"link", create | OFlags::NOFOLLOW, Mode::RUSR);
        assert_eq!(error(no_follow), Some(Errno::LOOP));
        root.open_at(b"link", create, Mode::RUSR | Mode::WUSR).unwrap();
        assert!(inside.join("d/new").is_file());
        assert_eq!(error(root.open_at(b"out", create, Mode::RUSR)), Some(Errno::NOENT));
        assert!(!scratch.join("outside/new").exists());
    }
}

#[test]
fn the_parent_of_a_name_need_not_hold_it() {
    let scratch = tree();
    for root in both(&scratch.join("in")) {
        let (dir, name) = root.parent(b"d/e/none").unwrap();
        assert_eq!(name.as_c_str(), c"none");
        assert!(files::stat_at(dir.as_fd(), c"f").is_ok());
        assert_eq!(root.parent(b"d").unwrap().1.as_c_str(), c"d");
        assert_eq!(error(root.parent(b".")), Some(Errno::BUSY));
        assert_eq!(error(root.parent(b"none/x")), Some(Errno::NOENT));
        assert_eq!(error(root.parent(b"d/e/f/x")), Some(Errno::NOTDIR));
    }
}

#[test]
fn names_are_bytes_and_have_limits() {
    let scratch = tree();
    let inside = scratch.join("in");
    for root in both(&inside) {
        for name in [&b" a\n\xFF\""[..], &[b'x'; 255], &[0xFE; 255]] {
            let flags = OFlags::WRONLY | OFlags::CREATE;
            if cfg!(target_os = "linux") || std::str::from_utf8(name).is_ok() {
                root.open_at(name, flags, Mode::RUSR | Mode::WUSR).unwrap();
                assert!(root.stat(name).unwrap().is_file());
            }
        }
        assert_eq!(error(root.stat(&[b'x'; 256])), Some(Errno::NAMETOOLONG));
        assert_eq!(error(root.stat(&b"d/../".repeat(1000))), Some(Errno::NAMETOOLONG));
        assert_eq!(error(root.stat(b"a\0b")), Some(Errno::INVAL));
    }
}

#[test]
fn a_root_is_not_opened_through_a_link_of_someone_else() {
    let scratch = tree();
    symlink("in", scratch.join("link")).unwrap();
    assert!(Root::open(&scratch.join("link/d")).is_ok());
    let slash = rustix::fs::openat(CWD, c"/", DIRECTORY, Mode::empty()).unwrap();
    for path in [scratch.join("link"), scratch.join("link/d")] {
        let mut walk = Walk::new(slash.as_fd(), path.as_os_str().as_bytes());
        walk.owners = Some([u32::MAX, u32::MAX]);
        assert_eq!(error(walk.open(DIRECTORY, Mode::empty())), Some(Errno::PERM));
    }
}

#[test]
fn a_directory_moved_away_meanwhile_leads_nowhere() {
    let scratch = tree();
    let inside = scratch.join("in");
    symlink("d/e/../../../../outside/secret", inside.join("jump")).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                _ = fs::rename(inside.join("d/e"), scratch.join("outside/e"));
                _ = fs::rename(scratch.join("outside/e"), inside.join("d/e"));
            }
        });
        for root in both(&inside) {
            for _ in 0..3000 {
                assert!(read(&root, "jump").is_err());
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// The doors of /proc to what this process has open stay shut both ways.
#[cfg(target_os = "linux")]
#[test]
fn magic_links_are_not_followed() {
    for root in both(Path::new("/")) {
        for path in [
            "proc/self/exe",
            "proc/self/root/etc",
            "proc/self/cwd",
            "proc/thread-self/fd/0",
            "proc/self/ns/mnt",
        ] {
            assert_eq!(error(root.stat(path.as_bytes())), Some(Errno::LOOP), "{path}");
        }
        // Nor is told what it has open, or anything else that /proc says of it.
        for path in ["proc/self", "proc/self/fd", "proc/self/status", "proc/mounts", "proc/version"] {
            assert_eq!(error(root.stat(path.as_bytes())), Some(Errno::ACCESS), "{path}");
        }
        assert_eq!(error(root.parent(b"proc/self/fd/0")), Some(Errno::ACCESS));
        assert!(root.stat(b"proc").unwrap().is_dir());
    }
}

#[cfg(target_os = "linux")]
mod differential;
