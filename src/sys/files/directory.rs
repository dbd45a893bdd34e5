//! Directories, read in large batches.

use std::ffi::CStr;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use super::Kind;

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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;

    use super::*;
    use crate::sys::files::tests::open;
    use crate::test_support::Scratch;

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
}
