//! Files and directories relative to an open directory: state, times and space here;
//! permissions, names, and directories read in large batches in files of their own.
//!
//! No function here follows a symlink in the name it is given; `root` does that, and for the
//! administrator's own files `appending`.

use std::ffi::CStr;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, StatVfsMountFlags, Timespec, Timestamps};
use rustix::io::Errno;

mod access_lists;
mod appending;
mod directory;
mod holding;
mod naming;
mod permissions;

pub(crate) use access_lists::{has_default, take_permissions};
pub(crate) use appending::open_to_append;
pub(crate) use directory::{DirBuffer, read_dir};
pub(crate) use holding::{flush, hold, is_abandoned, sync, sync_all};
pub(crate) use naming::{exchange, give_name, nameless, rename_new};
pub(crate) use permissions::{chmod_at, may, set_mode};

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

/// Device and inode: what a file is, whatever its name.
pub(crate) type FileId = (u64, u64);

impl Stat {
    /// Of a file of which only the kind is known.
    pub(crate) fn of_kind(kind: Kind) -> Stat {
        Stat {
            kind,
            mode: 0,
            uid: 0,
            gid: 0,
            links: 1,
            size: 0,
            modified: 0,
            accessed: 0,
            changed: 0,
            dev: 0,
            ino: 0,
            device: (0, 0),
        }
    }

    pub(crate) fn id(&self) -> FileId {
        (self.dev, self.ino)
    }

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
    /// All of them, in the order of their declaration.
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

/// Whether the disk or the connection to it is to blame, rather than the name or the rights.
pub(crate) fn is_broken_disk(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::IO | Errno::STALE))
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
    use rustix::fs::{CWD, Mode, OFlags};

    use crate::test_support::Scratch;

    pub(super) fn open(scratch: &Scratch) -> std::os::fd::OwnedFd {
        rustix::fs::openat(CWD, scratch.path(), OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
    }
}
