//! The process: what it inherits, how it detaches, its pid file and its signals.
//!
//! Everything here happens on the main thread, before there is another one,
//! except where a comment says otherwise.

use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};
use rustix::stdio;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::low_level::pipe;

/// Makes the process independent of what it was started with: umask 0 (every
/// creation passes its own mode), as many file descriptors as it may have, and
/// neither core dumps nor tracers, which would see passwords.
///
/// SIGPIPE is ignored already: std does that before `main`.
pub(crate) fn prepare() -> io::Result<()> {
    rustix::process::umask(Mode::empty());
    raise_fd_limit();
    refuse_tracing()
}

/// How many file descriptors the process may have; `None` when there is no limit.
pub(crate) fn fd_limit() -> Option<u64> {
    rustix::process::getrlimit(Resource::Nofile).current
}

/// How many threads the memory map has room for. Each takes up to four
/// mappings, and std aborts the process when a new thread's guard page finds
/// none, so the limit is kept well below. `None` where there is no such limit.
pub(crate) fn thread_limit() -> Option<usize> {
    let count: usize = fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()?;
    Some((count.saturating_sub(2000) / 4).max(1))
}

fn raise_fd_limit() {
    /// What macOS allows at most, whatever its hard limit says.
    const OPEN_MAX: u64 = 10_240;
    let Rlimit { maximum, .. } = rustix::process::getrlimit(Resource::Nofile);
    for current in [maximum, Some(OPEN_MAX)] {
        if rustix::process::setrlimit(Resource::Nofile, Rlimit { current, maximum }).is_ok() {
            return;
        }
    }
}

#[cfg(target_os = "linux")]
fn refuse_tracing() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(not(target_os = "linux"))]
fn refuse_tracing() -> io::Result<()> {
    Ok(rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// Whether standard error goes to systemd's journal, which has times of its own
/// (JOURNAL_STREAM, systemd.exec(5)).
pub(crate) fn stderr_is_the_journal() -> bool {
    let Ok(stat) = rustix::fs::fstat(io::stderr()) else { return false };
    std::env::var("JOURNAL_STREAM").is_ok_and(|stream| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// This host's name, as gethostname(3) gives it.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A detached process, whose caller still waits to hear how the start went.
/// Dropped without a word, the caller exits with 1.
#[must_use = "the caller waits until it is told"]
pub(crate) struct Detached(PipeWriter);

/// Leaves the terminal and the caller: returns in a grandchild that leads no
/// session. The caller stays until [`Detached::ready`] or [`Detached::fail`],
/// so that a start that fails is seen, on the standard error it still has.
///
/// To be called while there is only one thread.
pub(crate) fn detach() -> io::Result<Detached> {
    let (reader, writer) = io::pipe()?;
    if fork()? {
        drop(writer);
        process::exit(wait_for_start(reader));
    }
    drop(reader);
    rustix::process::setsid()?;
    if fork()? {
        exit_without_cleanup();
    }
    rustix::process::chdir("/")?;
    Ok(Detached(writer))
}

impl Detached {
    /// The start succeeded: lets go of standard input, output and error, and
    /// the caller exits with 0.
    pub(crate) fn ready(self) -> io::Result<()> {
        close_stdio()?;
        self.tell(0)
    }

    /// The start failed, and said why: the caller exits with `code`.
    pub(crate) fn fail(self, code: u8) {
        let _ = self.tell(code); // A caller that is gone needs no answer.
    }

    fn tell(mut self, code: u8) -> io::Result<()> {
        self.0.write_all(&[code])
    }
}

fn wait_for_start(mut reader: PipeReader) -> i32 {
    let mut code = [1];
    match reader.read_exact(&mut code) {
        Ok(()) => i32::from(code[0]),
        Err(_) => 1,
    }
}

/// True in the parent.
fn fork() -> io::Result<bool> {
    // SAFETY: there is only one thread, so the child may go on as the parent would have.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(false),
        _ => Ok(true),
    }
}

fn exit_without_cleanup() -> ! {
    // SAFETY: ends the process; what stdout has buffered belongs to the caller.
    unsafe { libc::_exit(0) }
}

/// Puts /dev/null in the place of standard input, output and error: the numbers
/// stay taken, and nothing written by mistake reaches a terminal or a client.
pub(crate) fn close_stdio() -> io::Result<()> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    stdio::dup2_stdin(&null)?;
    stdio::dup2_stdout(&null)?;
    stdio::dup2_stderr(&null)?;
    Ok(())
}

/// The pid file, locked for as long as the server runs and removed at its end.
pub(crate) struct PidFile {
    path: PathBuf,
    _file: File,
}

impl PidFile {
    /// Writes the process id to `path`. A file left behind by a server that was
    /// killed has no lock and is taken over.
    ///
    /// Fails with `AlreadyExists` when another process holds it.
    pub(crate) fn create(path: &Path) -> io::Result<PidFile> {
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644)
                .custom_flags(libc::O_NOFOLLOW)
                .open(path)?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(held_by(&file)),
                Err(err) => return Err(err.into()),
            }
            // The holder before us may have removed it between our open and our lock.
            if !is_still_at(&file, path) {
                continue;
            }
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(format!("{}\n", process::id()).as_bytes())?;
            return Ok(PidFile { path: path.to_owned(), _file: file });
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // Stale at worst, and then without a lock.
    }
}

fn held_by(file: &File) -> io::Error {
    let mut pid = String::new();
    let _ = file.take(32).read_to_string(&mut pid); // The number only adorns the message.
    let whose = match pid.trim().parse::<u32>() {
        Ok(pid) => format!("already running as process {pid}"),
        Err(_) => "already running".to_owned(),
    };
    io::Error::new(io::ErrorKind::AlreadyExists, whose)
}

fn is_still_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// The signals that the server answers, as file descriptors to poll.
pub(crate) struct Signals {
    stop: UnixStream,
    reload: UnixStream,
    status: UnixStream,
    reopen: UnixStream,
}

/// What has arrived since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// How many of SIGTERM and SIGINT.
    pub stop: usize,
    /// SIGHUP.
    pub reload: bool,
    /// SIGUSR1.
    pub status: bool,
    /// SIGUSR2.
    pub reopen: bool,
}

impl Signals {
    pub(crate) fn install() -> io::Result<Signals> {
        Ok(Signals {
            stop: signals(&[SIGTERM, SIGINT])?,
            reload: signals(&[SIGHUP])?,
            status: signals(&[SIGUSR1])?,
            reopen: signals(&[SIGUSR2])?,
        })
    }

    pub(crate) fn fds(&self) -> [BorrowedFd<'_>; 4] {
        [self.stop.as_fd(), self.reload.as_fd(), self.status.as_fd(), self.reopen.as_fd()]
    }

    /// Takes what has arrived; does not wait.
    pub(crate) fn take(&self) -> Received {
        Received {
            stop: drain(&self.stop),
            reload: drain(&self.reload) > 0,
            status: drain(&self.status) > 0,
            reopen: drain(&self.reopen) > 0,
        }
    }
}

fn signals(numbers: &[i32]) -> io::Result<UnixStream> {
    let (reader, writer) = UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    writer.set_nonblocking(true)?;
    for &number in numbers {
        pipe::register(number, writer.try_clone()?)?;
    }
    Ok(reader)
}

fn drain(mut stream: &UnixStream) -> usize {
    let mut total = 0;
    let mut bytes = [0; 64];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        total += count;
    }
    total
}

/// The calling thread leaves the server's signals to the main thread, so that
/// they interrupt no session's system calls.
pub(crate) fn block_signals() -> io::Result<()> {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: makes `set` an empty signal set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2] {
        // SAFETY: `set` was made above, and these signals exist.
        unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    }
    // SAFETY: `set` is complete, and changing this thread's mask touches no other.
    match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// Gives the pages of the calling thread's stack that lie below the caller back to the system: a
/// deep call that is over, such as a login, must not cost memory for as long as the thread waits.
/// Does nothing where the system does not say where the stack is.
#[cfg(target_os = "linux")]
#[inline(never)]
pub(crate) fn release_stack() {
    /// Calls this deep go on as they are: the one below is all there is, and this frame is small.
    const KEPT: usize = 512;
    let Some(bottom) = stack_bottom() else { return };
    let here = std::hint::black_box(0_u8);
    let top = (&raw const here).addr().saturating_sub(KEPT) & !(rustix::param::page_size() - 1);
    let Some(length) = top.checked_sub(bottom) else { return };
    // SAFETY: the range is part of this thread's own stack and below everything that is in use
    // on it; the stack is grown into again with zeroed pages.
    let advised =
        unsafe { libc::madvise(std::ptr::without_provenance_mut(bottom), length, libc::MADV_DONTNEED) };
    debug_assert_eq!(advised, 0);
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn release_stack() {}

/// The lowest address of the calling thread's stack.
#[cfg(target_os = "linux")]
#[inline(never)]
fn stack_bottom() -> Option<usize> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: the pointer is to room for what the call writes; the thread is the calling one.
    if unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    let (mut bottom, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the attributes were written by pthread_getattr_np, both results are live variables.
    let found = unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut bottom, &raw mut size) };
    // SAFETY: the attributes were written by pthread_getattr_np and are not used after this.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    (found == 0).then(|| bottom.addr().next_multiple_of(rustix::param::page_size()))
}

/// What the calling thread is called, where the system shows that; cut at 15 bytes.
#[cfg(target_os = "linux")]
pub(crate) fn name_thread(name: &str) {
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = rustix::thread::set_name(&name); // Only for the eye.
    }
}

/// What the calling thread is called, where the system shows that.
#[cfg(not(target_os = "linux"))]
pub(crate) fn name_thread(_name: &str) {}

/// Asks the child process `id` to end.
pub(crate) fn terminate(id: u32) -> io::Result<()> {
    let pid =
        i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::TERM)?)
}

/// Tells every waiting session that the server is going down: its file
/// descriptor is readable, and never drained, from then on.
pub(crate) struct Broadcast {
    announced: AtomicBool,
    reader: PipeReader,
    writer: PipeWriter,
}

impl Broadcast {
    pub(crate) fn new() -> io::Result<Broadcast> {
        let (reader, writer) = io::pipe()?;
        Ok(Broadcast { announced: AtomicBool::new(false), reader, writer })
    }

    /// To be polled for input, next to what the session waits for.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    pub(crate) fn announce(&self) {
        if !self.announced.swap(true, Ordering::SeqCst) {
            // One byte always fits in an empty pipe whose other end is ours.
            let _ = (&self.writer).write(&[0]);
        }
    }

    #[cfg(test)]
    pub(crate) fn is_announced(&self) -> bool {
        self.announced.load(Ordering::SeqCst)
    }
}

/// Wakes the thread that polls it. Any thread may call it.
pub(crate) struct Wake {
    reader: UnixStream,
    writer: UnixStream,
}

impl Wake {
    pub(crate) fn new() -> io::Result<Wake> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        Ok(Wake { reader, writer })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    pub(crate) fn wake(&self) {
        let _ = (&self.writer).write(&[0]); // A full pipe wakes just as well.
    }

    pub(crate) fn drain(&self) {
        drain(&self.reader);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn is_readable(fd: BorrowedFd<'_>) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&now)).unwrap() == 1
    }

    fn pid_file_path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("ferryd-{name}-{}.pid", process::id()))
    }

    #[test]
    fn a_released_stack_can_be_grown_into_again() {
        fn deep(levels: u32) -> u32 {
            let page = std::hint::black_box([levels as u8; 4096]);
            if levels == 0 { 0 } else { deep(levels - 1) + u32::from(page[17] != 0) }
        }
        let kept = vec![deep(20); 3];
        release_stack();
        assert_eq!((deep(20), kept), (20, vec![20; 3]));
    }

    #[test]
    fn a_second_server_is_refused_and_told_who_is_first() {
        let path = pid_file_path("second");
        let first = PidFile::create(&path).unwrap();
        let err = PidFile::create(&path).err().expect("the file is locked");
        assert_eq!(err.kind(), io::ErrorKind::AlreadyExists);
        assert!(err.to_string().contains(&process::id().to_string()));
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_pid_file_is_taken_over() {
        let path = pid_file_path("stale");
        fs::write(&path, "99999999 and more than the new one is long\n").unwrap();
        let file = PidFile::create(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", process::id()));
        drop(file);
    }

    #[test]
    fn a_pid_file_is_not_written_through_a_link() {
        let (path, target) = (pid_file_path("link"), pid_file_path("target"));
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(PidFile::create(&path).is_err());
        assert!(!target.exists());
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_announced_shutdown_stays_readable() {
        let shutdown = Broadcast::new().unwrap();
        assert!(!shutdown.is_announced() && !is_readable(shutdown.fd()));
        shutdown.announce();
        shutdown.announce();
        assert!(shutdown.is_announced() && is_readable(shutdown.fd()) && is_readable(shutdown.fd()));
    }

    #[test]
    fn a_wake_is_seen_once() {
        let wake = Wake::new().unwrap();
        wake.wake();
        wake.wake();
        assert!(is_readable(wake.fd()));
        wake.drain();
        assert!(!is_readable(wake.fd()));
    }

    #[test]
    fn signals_arrive_as_what_they_mean() {
        let signals = Signals::install().unwrap();
        signal_hook::low_level::raise(SIGUSR1).unwrap();
        signal_hook::low_level::raise(SIGHUP).unwrap();
        let mut seen = Received::default();
        while !(seen.reload && seen.status) {
            let mut fds = signals.fds().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
            poll(&mut fds, None).unwrap();
            let received = signals.take();
            seen.reload |= received.reload;
            seen.status |= received.status;
        }
        assert_eq!(signals.take().stop, 0);
    }

    #[test]
    fn the_start_of_a_detached_process_is_reported_by_its_exit_code() {
        for (code, expected) in [(0, 0), (2, 2)] {
            let (reader, writer) = io::pipe().unwrap();
            Detached(writer).fail(code);
            assert_eq!(wait_for_start(reader), expected);
        }
        let (reader, writer) = io::pipe().unwrap();
        drop(Detached(writer));
        assert_eq!(wait_for_start(reader), 1);
    }
}
