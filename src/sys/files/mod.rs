//! Files and directories relative to an open directory: state, rights, modes, times,
//! space, and directories read in large batches.
//!
//! No function here follows a symlink in the name it is given; `root` does that.

use std::ffi::CStr;
use std::io;
use std::ops::ControlFlow;
#[cfg(target_os = "linux")]
use std::os::fd::AsFd;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Access, AtFlags, FileType, Mode, StatVfsMountFlags, Timespec, Timestamps};
use rustix::io::Errno;

/// How a directory is opened that is only passed through or operated in: search
/// permission is enough for that, read permission is not needed.
#[cfg(target_os = "linux")]
pub(crate) const SEARCH: rustix::fs::OFlags = rustix::fs::OFlags::PATH;
/// macOS has O_SEARCH: O_EXEC and O_DIRECTORY together.
#[cfg(target_os = "macos")]
pub(crate) const SEARCH: rustix::fs::OFlags = rustix::fs::OFlags::from_bits_retain(libc::O_EXEC as u32);
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(crate) const SEARCH: rustix::fs::OFlags = rustix::fs::OFlags::RDONLY;

/// What the file system says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub kind: Kind,
    /// Permission bits, 0 to 0o7777.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u64,
    /// Bytes.
    pub size: u64,
    /// Times in Unix seconds.
    pub modified: i64,
    pub accessed: i64,
    pub changed: i64,
    pub dev: u64,
    pub ino: u64,
    /// Major and minor number, of devices.
    pub device: (u32, u32),
}

impl Stat {
    pub(crate) fn is_file(&self) -> bool {
        self.kind == Kind::File
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.kind == Kind::Directory
    }

    pub(crate) fn is_symlink(&self) -> bool {
        self.kind == Kind::Symlink
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    CharDevice,
    BlockDevice,
    Fifo,
    Socket,
    /// Nothing known: a directory entry of a file system that does not say, or a whiteout.
    Unknown,
}

impl Kind {
    /// Each in its place.
    pub(crate) const ALL: [Kind; 8] = [
        Kind::File,
        Kind::Directory,
        Kind::Symlink,
        Kind::CharDevice,
        Kind::BlockDevice,
        Kind::Fifo,
        Kind::Socket,
        Kind::Unknown,
    ];
}

/// Bytes that a file system has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// Left for those who are not root.
    pub available: u64,
    pub total: u64,
}

impl Space {
    /// What may be used when `kept` per cent of it all stay free.
    pub(crate) fn above(&self, kept: u8) -> u64 {
        let reserve = u128::from(self.total) * u128::from(kept) / 100;
        self.available.saturating_sub(u64::try_from(reserve).unwrap_or(u64::MAX))
    }
}

/// The state of an open file, one opened with O_PATH included.
pub(crate) fn stat(fd: BorrowedFd<'_>) -> io::Result<Stat> {
    Ok(Stat::from(&rustix::fs::fstat(fd)?))
}

/// The state of `name` in `dir`; of the link itself, when it is one.
pub(crate) fn stat_at(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<Stat> {
    Ok(Stat::from(&rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?))
}

/// Whether the calling thread, with its effective rights, may do all of `access` to
/// `name` in `dir`. Plain access(2) would ask for the real uid, which is the server's.
pub(crate) fn may(dir: BorrowedFd<'_>, name: &CStr, access: Access) -> bool {
    let flags = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW;
    match rustix::fs::accessat(dir, name, access, flags) {
        // macOS before 13 knows EACCESS alone, Linux before 5.8 no flags at all.
        Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
            rustix::fs::accessat(dir, name, access, AtFlags::EACCESS).is_ok()
        }
        answer => answer.is_ok(),
    }
}

/// Whether the file system that holds `fd` takes no writes.
pub(crate) fn is_read_only(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstatvfs(fd).is_ok_and(|vfs| vfs.f_flag.contains(StatVfsMountFlags::RDONLY))
}

pub(crate) fn space(fd: BorrowedFd<'_>) -> io::Result<Space> {
    let vfs = rustix::fs::fstatvfs(fd)?;
    Ok(Space {
        available: vfs.f_bavail.saturating_mul(vfs.f_frsize),
        total: vfs.f_blocks.saturating_mul(vfs.f_frsize),
    })
}

/// Gives `name` in `dir` the permission bits `mode` (0 to 0o7777). A symlink has none
/// of its own and is an error; it is never followed, however quickly it appears.
pub(crate) fn chmod_at(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> io::Result<()> {
    if stat_at(dir, name)?.is_symlink() {
        return Err(Errno::LOOP.into());
    }
    chmod_no_follow(dir, name, Mode::from_raw_mode(mode as rustix::fs::RawMode))
}

#[cfg(target_os = "linux")]
fn chmod_no_follow(dir: BorrowedFd<'_>, name: &CStr, mode: Mode) -> io::Result<()> {
    match fchmodat2(dir, name, mode) {
        // Linux before 6.6; seccomp in containers says EPERM to calls it does not know.
        Err(err) if matches!(err.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            chmod_by_descriptor(dir, name, mode)
        }
        result => result,
    }
}

#[cfg(target_os = "linux")]
fn fchmodat2(dir: BorrowedFd<'_>, name: &CStr, mode: Mode) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let (flags, mode) = (libc::AT_SYMLINK_NOFOLLOW, mode.bits());
    // SAFETY: an open descriptor, a string that ends in NUL and two numbers, all alive.
    match unsafe { libc::syscall(libc::SYS_fchmodat2, dir.as_raw_fd(), name.as_ptr(), mode, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The way of older kernels: hold the file, be sure that it is no link, and reach it by
/// the name /proc has for the descriptor.
#[cfg(target_os = "linux")]
fn chmod_by_descriptor(dir: BorrowedFd<'_>, name: &CStr, mode: Mode) -> io::Result<()> {
    use rustix::fs::OFlags;
    use std::os::fd::AsRawFd;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    if stat(held.as_fd())?.is_symlink() {
        return Err(Errno::LOOP.into());
    }
    Ok(rustix::fs::chmod(format!("/proc/self/fd/{}", held.as_raw_fd()), mode)?)
}

#[cfg(not(target_os = "linux"))]
fn chmod_no_follow(dir: BorrowedFd<'_>, name: &CStr, mode: Mode) -> io::Result<()> {
    Ok(rustix::fs::chmodat(dir, name, mode, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Sets the times of `name` in `dir`, in Unix seconds; `None` leaves one as it is.
pub(crate) fn set_times_at(
    dir: BorrowedFd<'_>,
    name: &CStr,
    accessed: Option<i64>,
    modified: Option<i64>,
) -> io::Result<()> {
    let timespec = |seconds: Option<i64>| match seconds {
        Some(seconds) => Timespec { tv_sec: seconds, tv_nsec: 0 },
        None => Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
    };
    let times = Timestamps { last_access: timespec(accessed), last_modification: timespec(modified) };
    Ok(rustix::fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Renames, unless `to` is there already (EEXIST).
pub(crate) fn rename_new(
    from_dir: BorrowedFd<'_>,
    from: &CStr,
    to_dir: BorrowedFd<'_>,
    to: &CStr,
) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    match rustix::fs::renameat_with(from_dir, from, to_dir, to, rustix::fs::RenameFlags::NOREPLACE) {
        // A file system or a kernel that does not know the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => (),
        result => return Ok(result?),
    }
    match rustix::fs::statat(to_dir, to, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Err(Errno::EXIST.into()),
        Err(Errno::NOENT) => Ok(rustix::fs::renameat(from_dir, from, to_dir, to)?),
        Err(err) => Err(err.into()),
    }
}

/// A new file in `dir` that has no name, for reading and writing; `None` where the system
/// or the file system has no such files, or could not give one its name later.
pub(crate) fn nameless(dir: BorrowedFd<'_>, mode: Mode) -> io::Result<Option<OwnedFd>> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::OFlags;
        match rustix::fs::openat(dir, c".", OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC, mode) {
            // An old kernel takes it for a wish to write to the directory.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => Ok(None),
            result => Ok(Some(result?)),
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        _ = (dir, mode);
        Ok(None)
    }
}

/// Gives a file that has no name one in `dir`; EEXIST if something has it.
pub(crate) fn give_name(file: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        match rustix::fs::linkat(file, c"", dir, name, AtFlags::EMPTY_PATH) {
            // Linux before 6.10 lets only root say it so.
            Err(Errno::NOENT | Errno::PERM) => {
                let held = format!("/proc/self/fd/{}", file.as_raw_fd());
                Ok(rustix::fs::linkat(rustix::fs::CWD, held, dir, name, AtFlags::SYMLINK_FOLLOW)?)
            }
            result => Ok(result?),
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        _ = (file, dir, name);
        Err(Errno::OPNOTSUPP.into())
    }
}

/// Whether the file is one of /proc's, which tell of processes, the server's among them.
pub(crate) fn is_of_procfs(fd: BorrowedFd<'_>) -> bool {
    #[cfg(target_os = "linux")]
    return rustix::fs::fstatfs(fd).is_ok_and(|fs| fs.f_type == rustix::fs::PROC_SUPER_MAGIC);
    #[cfg(not(target_os = "linux"))]
    return {
        _ = fd;
        false
    };
}

/// Memory that directories are read into, to be kept from one to the next.
#[derive(Default)]
pub(crate) struct DirBuffer {
    #[cfg(target_os = "linux")]
    bytes: Vec<u8>,
}

/// A getdents call returns up to this many bytes: some 400 names. More are hardly faster.
#[cfg(target_os = "linux")]
const BATCH: usize = 16 * 1024;

/// Hands each entry of the directory `fd`, opened for reading, to `each`, from the first
/// one on, but not `.` and `..`; stops early when that breaks. The kind is `Unknown` where the file system
/// does not say.
pub(crate) fn read_dir<B>(
    fd: BorrowedFd<'_>,
    buffer: &mut DirBuffer,
    mut each: impl FnMut(&CStr, Kind) -> ControlFlow<B>,
) -> io::Result<ControlFlow<B>> {
    #[cfg(target_os = "linux")]
    let mut entries = {
        rustix::fs::seek(fd, rustix::fs::SeekFrom::Start(0))?;
        buffer.bytes.reserve_exact(BATCH);
        rustix::fs::RawDir::new(fd, buffer.bytes.spare_capacity_mut())
    };
    #[cfg(not(target_os = "linux"))]
    let mut entries = {
        _ = buffer;
        rustix::fs::Dir::read_from(fd)?
    };
    #[allow(clippy::while_let_on_iterator, reason = "RawDir lends its entries and is no iterator")]
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(Errno::INTR) => continue,
            Err(Errno::NOENT) => break, // Removed while we read it.
            Err(err) => return Err(err.into()),
        };
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if let ControlFlow::Break(value) = each(name, Kind::from(entry.file_type())) {
            return Ok(ControlFlow::Break(value));
        }
    }
    Ok(ControlFlow::Continue(()))
}

impl From<FileType> for Kind {
    fn from(kind: FileType) -> Kind {
        match kind {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            FileType::CharacterDevice => Kind::CharDevice,
            FileType::BlockDevice => Kind::BlockDevice,
            FileType::Fifo => Kind::Fifo,
            FileType::Socket => Kind::Socket,
            _ => Kind::Unknown,
        }
    }
}

impl From<&rustix::fs::Stat> for Stat {
    // The fields differ in width and sign from one system and processor to the next.
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless, reason = "not unnecessary on all systems")]
    fn from(stat: &rustix::fs::Stat) -> Stat {
        let mode = stat.st_mode as u32;
        let rdev = stat.st_rdev as rustix::fs::Dev;
        let kind = Kind::from(FileType::from_raw_mode(stat.st_mode as rustix::fs::RawMode));
        let is_device = matches!(kind, Kind::CharDevice | Kind::BlockDevice);
        Stat {
            kind,
            mode: mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            links: stat.st_nlink as u64,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: stat.st_mtime as i64,
            accessed: stat.st_atime as i64,
            changed: stat.st_ctime as i64,
            dev: stat.st_dev as u64,
            ino: stat.st_ino as u64,
            device: if is_device { (rustix::fs::major(rdev), rustix::fs::minor(rdev)) } else { (0, 0) },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, OFlags};

    use super::*;
    use crate::sys::root::tests::Scratch;

    fn open(scratch: &Scratch) -> std::os::fd::OwnedFd {
        rustix::fs::openat(CWD, &scratch.0, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
    }

    #[test]
    fn the_mode_of_a_link_is_nobodys() {
        let scratch = Scratch::new();
        fs::write(scratch.join("f"), "").unwrap();
        symlink("f", scratch.join("link")).unwrap();
        let dir = open(&scratch);
        chmod_at(dir.as_fd(), c"f", 0o100).unwrap();
        assert!(chmod_at(dir.as_fd(), c"link", 0o777).is_err());
        assert_eq!(stat_at(dir.as_fd(), c"f").unwrap().mode, 0o100);
        // Both ways of Linux, without the look in front that others could be quicker than.
        #[cfg(target_os = "linux")]
        {
            let mode = |bits| Mode::from_raw_mode(bits);
            assert!(chmod_no_follow(dir.as_fd(), c"link", mode(0o777)).is_err());
            assert!(chmod_by_descriptor(dir.as_fd(), c"link", mode(0o777)).is_err());
            chmod_by_descriptor(dir.as_fd(), c"f", mode(0o751)).unwrap();
            assert_eq!(stat_at(dir.as_fd(), c"f").unwrap().mode, 0o751);
        }
    }

    #[test]
    fn large_directories_are_read_whole() {
        let scratch = Scratch::new();
        let mut names: Vec<_> = (0..5000).map(|number| format!("{number}-a-name-of-some-length")).collect();
        names.iter().for_each(|name| fs::write(scratch.join(name), "").unwrap());
        let (dir, mut buffer, mut found) = (open(&scratch), DirBuffer::default(), Vec::new());
        let end = read_dir(dir.as_fd(), &mut buffer, |name, _| {
            found.push(name.to_str().unwrap().to_owned());
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(end.unwrap(), ControlFlow::Continue(()));
        found.sort();
        names.sort();
        assert_eq!(found, names);
        let first = read_dir(open(&scratch).as_fd(), &mut buffer, |_, kind| ControlFlow::Break(kind));
        assert!(matches!(first.unwrap(), ControlFlow::Break(Kind::File | Kind::Unknown)));
    }

    #[test]
    fn rights_are_those_of_the_effective_user() {
        let scratch = Scratch::new();
        fs::write(scratch.join("f"), "").unwrap();
        let dir = open(&scratch);
        assert!(may(dir.as_fd(), c"f", Access::READ_OK | Access::WRITE_OK));
        assert!(!may(dir.as_fd(), c"none", Access::READ_OK));
        assert!(!is_of_procfs(dir.as_fd()));
        if !rustix::process::geteuid().is_root() {
            chmod_at(dir.as_fd(), c"f", 0o400).unwrap();
            assert!(!may(dir.as_fd(), c"f", Access::WRITE_OK));
        }
    }
}
