use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};

use super::*;
use crate::test_support::Scratch;

pub(super) fn vfs(scratch: &Scratch) -> Vfs {
    with(scratch, true, false)
}

pub(super) fn with(scratch: &Scratch, writable: bool, hide_ids: bool) -> Vfs {
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

pub(super) fn path(name: &str) -> VirtualPath {
    VirtualPath::root().join(name.as_bytes()).unwrap()
}

pub(super) fn errno<T>(result: io::Result<T>) -> Option<Errno> {
    result.err().and_then(|err| Errno::from_io_error(&err))
}

pub(super) fn file_errno<T>(result: Result<T, FileError>) -> Option<Errno> {
    match result {
        Err(FileError::Io(err)) => Errno::from_io_error(&err),
        _ => None,
    }
}

pub(super) fn write(vfs: &Vfs, name: &str, how: Create, text: &str) -> Result<(), FileError> {
    let mut open = vfs.create(&path(name), how, 0o644)?;
    open.file.write_all(text.as_bytes())?;
    Ok(())
}

/// d/{.hidden, e/deep, f, z}, link -> d, dangling -> nowhere, a b.txt, plain.txt
pub(super) fn tree() -> Scratch {
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
