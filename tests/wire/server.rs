//! A ferryd for one test: a loopback port, a folder, stopped on drop.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;
use crate::test_support::Scratch;

/// Nothing that a test waits for takes longer, or the test fails. It is no
/// promise about speed: the machine may have a dozen tests to run at once.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// The account whose rights an anonymous client has when the tests run as root.
pub(crate) const ANONYMOUS_USER: &str = "nobody";

pub(crate) struct Server {
    child: Child,
    addresses: Vec<SocketAddr>,
    folder: Folder,
    /// What it wrote to its standard output and its standard error.
    pub(crate) stdout: Lines,
    pub(crate) log: Lines,
}

impl Server {
    /// Serves an empty folder to anonymous clients, who may change everything in it
    /// but for what `args` forbid.
    pub(crate) fn start(args: &[&str]) -> Server {
        Server::listening_on(&["127.0.0.1"], &with("-m", args))
    }

    /// As `start`, with the rights that anonymous clients have of root's server when nothing is
    /// said about them: they may add to the folder, and change nothing that is there.
    pub(crate) fn start_by_default(args: &[&str]) -> Server {
        Server::listening_on(&["127.0.0.1"], &with("--anonymous-write", args))
    }

    /// As `start`, with nothing said about the rights of anonymous clients.
    pub(crate) fn start_plain(args: &[&str]) -> Server {
        Server::listening_on(&["127.0.0.1"], args)
    }

    /// As `start`, on ::1; `None` where the machine has no IPv6.
    pub(crate) fn start_v6(args: &[&str]) -> Option<Server> {
        has_ipv6().then(|| Server::listening_on(&["::1"], &with("-m", args)))
    }

    /// As `start`, on a port that the test chose.
    pub(crate) fn start_on_port(port: u16, args: &[&str]) -> Server {
        let folder = Folder::new();
        let port = port.to_string();
        let mut all: Vec<OsString> =
            ["-F", "-A", "-a", "127.0.0.1", "-P", &port, "-m"].map(OsString::from).into();
        all.extend(anonymous_options(&folder));
        all.extend(args.iter().map(OsString::from));
        Server::run(folder, &all, 1)
    }

    /// As `start`, with a folder that is there already.
    pub(crate) fn start_in(folder: Folder, args: &[&str]) -> Server {
        let mut all: Vec<OsString> =
            ["-F", "-A", "-P", "0", "-a", "127.0.0.1", "-m"].map(OsString::from).into();
        all.extend(anonymous_options(&folder));
        all.extend(args.iter().map(OsString::from));
        Server::run(folder, &all, 1)
    }

    /// ferryd with these arguments and no others.
    pub(crate) fn start_raw(args: &[&str]) -> Server {
        Server::start_raw_on(args, 1)
    }

    /// The same, of so many listeners.
    pub(crate) fn start_raw_on(args: &[&str], listeners: usize) -> Server {
        let all: Vec<OsString> = args.iter().map(OsString::from).collect();
        Server::run(Folder::new(), &all, listeners)
    }

    pub(crate) fn listening_on(addresses: &[&str], args: &[&str]) -> Server {
        let folder = Folder::new();
        let mut all: Vec<OsString> = ["-F", "-A", "-P", "0"].map(OsString::from).into();
        for address in addresses {
            all.extend(["-a", address].map(OsString::from));
        }
        all.extend(anonymous_options(&folder));
        all.extend(args.iter().map(OsString::from));
        Server::run(folder, &all, addresses.len())
    }

    /// ferryd with these arguments, by the program `launcher`, which replaces itself with the one
    /// that its last arguments name.
    pub(crate) fn start_by(mut launcher: Command, folder: Folder, args: &[OsString]) -> Server {
        launcher.arg(ferryd().get_program()).env_remove("RUST_LOG");
        Server::run_by(launcher, folder, args, 1)
    }

    fn run(folder: Folder, args: &[OsString], listeners: usize) -> Server {
        Server::run_by(ferryd(), folder, args, listeners)
    }

    fn run_by(mut command: Command, folder: Folder, args: &[OsString], listeners: usize) -> Server {
        let mut child = command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ferryd starts");
        let stdout = Lines::from(child.stdout.take().expect("stdout is a pipe"));
        let log = Lines::from(child.stderr.take().expect("stderr is a pipe"));
        let mut server = Server { child, addresses: Vec::new(), folder, stdout, log };
        for n in 0..listeners {
            let Some(line) = server.stdout.nth_with("listening on ", n) else {
                panic!("ferryd {args:?} does not listen; it wrote: {:?}", server.log.all());
            };
            let after = line.split("listening on ").nth(1).expect("the line has it");
            let address = after.split_whitespace().next().unwrap_or_default().trim_end_matches([',', '.']);
            server.addresses.push(address.parse().unwrap_or_else(|_| panic!("an address in {line:?}")));
        }
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A control connection, greeted.
    pub(crate) fn connect(&self) -> Client {
        let mut client = Client::connect(self.address());
        client.expect(220);
        client
    }

    /// A control connection, logged in as anonymous.
    pub(crate) fn log_in(&self) -> Client {
        let mut client = self.connect();
        client.log_in();
        client
    }

    /// A client for a server whose last client may still be on its way out.
    pub(crate) fn log_in_when_there_is_room(&self) -> Client {
        let mut client = wait_until("a place is free", || {
            let mut client = Client::connect(self.address());
            (client.reply().code == 220).then_some(client)
        });
        client.log_in();
        client
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the server is there to be signalled");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the server is our child").is_none()
    }

    /// Kills the process, which has no time to do anything about it. The folder is left.
    pub(crate) fn kill(mut self) -> Folder {
        self.child.kill().expect("the server is there to be killed");
        self.child.wait().expect("the server is our child");
        std::mem::replace(&mut self.folder, Folder(Scratch::new()))
    }

    /// Waits for the end of the process.
    pub(crate) fn exit_status(&mut self) -> ExitStatus {
        wait_until("the server ends", || self.child.try_wait().expect("the server is our child"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("ferryd's log: {:#?}", self.log.all());
        }
    }
}

/// The folder that clients see as `/`. Names are bytes, as they are to FTP.
impl Server {
    /// Where `name` is on this machine.
    pub(crate) fn path(&self, name: impl AsRef<[u8]>) -> PathBuf {
        self.folder.path(name)
    }

    /// A folder next to the clients' root, that none of them may reach.
    pub(crate) fn outside(&self) -> PathBuf {
        self.folder.0.join("outside")
    }

    pub(crate) fn write(&self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) {
        self.folder.write(name, content);
    }

    /// A file of `size` bytes that takes no room: long enough to be caught in the middle of.
    pub(crate) fn write_sparse(&self, name: &str, size: u64) {
        self.write(name, "");
        File::options()
            .write(true)
            .open(self.path(name))
            .and_then(|f| f.set_len(size))
            .expect("a sparse file");
    }

    pub(crate) fn mkdir(&self, name: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir(&path).expect("a new folder");
        give_to_anonymous(&path);
    }

    pub(crate) fn symlink(&self, target: impl AsRef<Path>, name: impl AsRef<[u8]>) {
        let path = self.path(name);
        symlink(target, &path).expect("a new link");
        give_to_anonymous(&path);
    }

    pub(crate) fn read(&self, name: impl AsRef<[u8]>) -> Vec<u8> {
        let path = self.path(name);
        fs::read(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
    }

    pub(crate) fn exists(&self, name: impl AsRef<[u8]>) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// The names in a folder, sorted.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(folder))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Permission bits, as `ls` has them.
    pub(crate) fn mode(&self, name: impl AsRef<[u8]>) -> u32 {
        self.path(name).symlink_metadata().expect("a file").mode() & 0o7777
    }

    pub(crate) fn set_mode(&self, name: impl AsRef<[u8]>, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).expect("our own file");
    }

    /// Seconds since 1970.
    pub(crate) fn modified(&self, name: impl AsRef<[u8]>) -> i64 {
        self.path(name).symlink_metadata().expect("a file").mtime()
    }

    pub(crate) fn set_modified(&self, name: impl AsRef<[u8]>, seconds: u64) {
        let time: SystemTime = UNIX_EPOCH + Duration::from_secs(seconds);
        let file = File::open(self.path(name)).expect("a file");
        file.set_modified(time).expect("our own file");
    }
}

/// A scratch directory with `root`, which is served, and `outside` beside it, which is not.
pub(crate) struct Folder(Scratch);

impl Folder {
    /// One of the anonymous account's.
    pub(crate) fn new() -> Folder {
        let folder = Folder::of_administrator();
        give_to_anonymous(&folder.0.join("root"));
        give_to_anonymous(&folder.0.join("outside"));
        folder
    }

    /// One of whoever runs the server: logs go into no other.
    pub(crate) fn of_administrator() -> Folder {
        let scratch = Scratch::new();
        for name in ["root", "outside"] {
            let path = scratch.join(name);
            fs::create_dir(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
            fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("our own folder");
        }
        Folder(scratch)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    pub(crate) fn path(&self, name: impl AsRef<[u8]>) -> PathBuf {
        let mut path = self.root().into_os_string();
        path.push("/");
        path.push(OsStr::from_bytes(name.as_ref()));
        PathBuf::from(path)
    }

    pub(crate) fn write(&self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::write(&path, content).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("our own file");
        give_to_anonymous(&path);
    }
}

/// Lines that a process writes, kept as they come.
#[derive(Clone)]
pub(crate) struct Lines(Arc<(Mutex<Written>, Condvar)>);

#[derive(Default)]
struct Written {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn from(pipe: impl std::io::Read + Send + 'static) -> Lines {
        let lines = Lines(Arc::default());
        let shared = lines.clone();
        thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                shared.change(|written| written.lines.push(text));
                line.clear();
            }
            shared.change(|written| written.ended = true);
        });
        lines
    }

    fn change(&self, how: impl FnOnce(&mut Written)) {
        how(&mut self.0.0.lock().expect("no test panics in here"));
        self.0.1.notify_all();
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.0.lock().expect("no test panics in here").lines.clone()
    }

    /// Waits for the first line that contains `text`.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.nth_with(text, 0).unwrap_or_else(|| panic!("no line has {text:?} among {:#?}", self.all()))
    }

    /// Waits for `n` more lines with `text` than one; `None` when the process or the time ends first.
    pub(crate) fn nth_with(&self, text: &str, n: usize) -> Option<String> {
        let end = Instant::now() + DEADLINE;
        let mut written = self.0.0.lock().expect("no test panics in here");
        loop {
            if let Some(line) = written.lines.iter().filter(|line| line.contains(text)).nth(n) {
                return Some(line.clone());
            }
            let left = end.saturating_duration_since(Instant::now());
            if written.ended || left.is_zero() {
                return None;
            }
            written = self.0.1.wait_timeout(written, left).expect("no test panics in here").0;
        }
    }
}

/// What ferryd says and how it ends when it is not going to serve: `--help`, a mistake.
pub(crate) struct Outcome {
    /// `None`: a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn run_to_its_end(args: &[&str]) -> Outcome {
    let mut child = ferryd()
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ferryd starts");
    let stdout = Lines::from(child.stdout.take().expect("stdout is a pipe"));
    let stderr = Lines::from(child.stderr.take().expect("stderr is a pipe"));
    let end = Instant::now() + DEADLINE;
    let status = loop {
        match child.try_wait().expect("ferryd is our child") {
            Some(status) => break Some(status),
            None if Instant::now() > end => break None,
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
        panic!("ferryd {args:?} does not end; it wrote {:?} and {:?}", stdout.all(), stderr.all());
    }
    for lines in [&stdout, &stderr] {
        wait_until("the pipe ends", || lines.0.0.lock().expect("no test panics in here").ended.then_some(()));
    }
    let text = |lines: Lines| lines.all().join("\n");
    Outcome { code: status.and_then(|s| s.code()), stdout: text(stdout), stderr: text(stderr) }
}

/// The built server, or the one that FTPD names; RUST_LOG of the developer's shell is not its business.
pub(crate) fn ferryd() -> Command {
    let program = std::env::var_os("FTPD").unwrap_or_else(|| env!("CARGO_BIN_EXE_ferryd").into());
    let mut command = Command::new(program);
    command.env_remove("RUST_LOG");
    command
}

/// Asks again until there is an answer. The only sleep of the tests: for what
/// sends no event, such as another process's end.
pub(crate) fn wait_until<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(Instant::now() < end, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The first of `count` consecutive ports that are free on 127.0.0.1, and outside
/// the range that the system gives to outgoing connections.
pub(crate) fn free_ports(count: u16) -> u16 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let first = 10_000 + (std::process::id() as usize * 97) % 10_000;
    loop {
        let port = first + NEXT.fetch_add(usize::from(count), Ordering::Relaxed) % 10_000;
        let port = u16::try_from(port).expect("a port is below 30,000");
        let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if (port..port + count).all(free) {
            return port;
        }
    }
}

pub(crate) fn has_ipv6() -> bool {
    let has = TcpListener::bind("[::1]:0").is_ok();
    if !has {
        eprintln!("no IPv6 here: this part of the test is left out");
    }
    has
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The port's owner is a plain number in many a reply and option.
pub(crate) fn localhost(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

pub(crate) fn anonymous_options(folder: &Folder) -> Vec<OsString> {
    let mut options = vec!["--anonymous-root".into(), folder.root().into_os_string()];
    options.extend(["--login-delay", "0"].map(OsString::from));
    if is_root() {
        options.extend(["--anonymous-user", ANONYMOUS_USER].map(OsString::from));
    }
    options
}

fn with<'a>(option: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    [&[option], args].concat()
}

/// As root, what the tests lay out must belong to the account that the sessions become.
fn give_to_anonymous(path: &Path) {
    if is_root() {
        let user = users::get_user_by_name(ANONYMOUS_USER).expect("every system has nobody");
        lchown(path, Some(user.uid()), Some(user.primary_group_id())).expect("root may give files away");
    }
}
