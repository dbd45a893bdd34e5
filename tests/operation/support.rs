//! A folder, a server and a client for one test.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::test_support::Scratch;

/// Nothing that a test waits for takes longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The built server, or the one that FTPD names, as for the tests on the wire.
pub(crate) fn program() -> String {
    std::env::var("FTPD").unwrap_or_else(|_| env!("CARGO_BIN_EXE_ferryd").to_owned())
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Asks again and again.
pub(crate) fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < DEADLINE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port of the loopback that nobody has just now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A scratch directory with `pub`, where everybody may write.
pub(crate) struct Folder(Scratch);

impl Folder {
    pub(crate) fn new() -> Folder {
        let scratch = Scratch::new();
        fs::create_dir(scratch.join("pub")).unwrap();
        fs::set_permissions(scratch.join("pub"), fs::Permissions::from_mode(0o777)).unwrap();
        Folder(scratch)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.join(name)).unwrap_or_default()
    }

    /// What makes ferryd serve it: to anonymous clients, and without the system's wtmp.
    pub(crate) fn options(&self) -> Vec<String> {
        let root = format!("--anonymous-root={}", self.path().display());
        ["-A", "-W", "-m", &root, "--anonymous-user=nobody"].map(str::to_owned).to_vec()
    }
}

/// A process that is killed at the end of the test, if it still runs.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Process {
        Process(command.spawn().unwrap_or_else(|err| panic!("{command:?}: {err}")))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    pub(crate) fn exit_status(&mut self) -> ExitStatus {
        wait_until("the process ends", || self.0.try_wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `ferryd -F` on a port of its own.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) folder: Folder,
    pub(crate) address: SocketAddr,
    log: PathBuf,
}

impl Server {
    pub(crate) fn start(args: &[&str]) -> Server {
        Server::start_in(Folder::new(), args, &[])
    }

    /// In `folder`, with variables of the environment. What it logs goes to a file.
    pub(crate) fn start_in(folder: Folder, args: &[&str], env: &[(&str, &str)]) -> Server {
        let log = folder.join("log");
        let file = fs::File::create(&log).unwrap();
        let control = format!("--control-socket={}", folder.join("control").display());
        let mut command = Command::new(program());
        command.args(["-F", "-a", "127.0.0.1", "-P", "0", &control]).args(folder.options()).args(args);
        command.envs(env.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file);
        let mut process = Process::start(&mut command);
        let address = match args.contains(&"--log-format=json") {
            true => wait_until("the log says where it listens", || address_in(&folder.read("log"))),
            false => announced(&mut process),
        };
        Server { process, folder, address, log }
    }

    /// The option that names its control socket.
    pub(crate) fn control_socket(&self) -> String {
        format!("--control-socket={}", self.folder.join("control").display())
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn wait_for_log(&self, text: &str) {
        wait_until(&format!("{text:?} is logged"), || self.log().contains(text).then_some(()));
    }

    pub(crate) fn log_in(&self) -> Client {
        Client::log_in(self.address)
    }
}

/// Where a server in the foreground says it listens.
pub(crate) fn announced(process: &mut Process) -> SocketAddr {
    let mut line = String::new();
    let stdout = process.0.stdout.take().expect("standard output is a pipe");
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").and_then(|word| word.parse().ok());
    address.unwrap_or_else(|| panic!("it does not listen: {line:?}"))
}

/// The same, of a log in JSON.
fn address_in(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("\"event\":\"listening\",\"address\":\"")?;
    rest.split('"').next()?.parse().ok()
}

/// A user-PI.
pub(crate) struct Client {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    /// Connects as soon as somebody listens.
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = wait_until("somebody listens", || TcpStream::connect(address).ok());
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Client { reader: BufReader::new(stream.try_clone().unwrap()), stream }
    }

    pub(crate) fn log_in(address: SocketAddr) -> Client {
        let mut client = Client::connect(address);
        client.expect(220);
        client.send("USER ftp").expect(331);
        client.send("PASS me@example.com").expect(230);
        client.send("TYPE I").expect(200);
        client
    }

    pub(crate) fn send(&mut self, line: &str) -> &mut Client {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self
    }

    /// The next reply, which has this code.
    pub(crate) fn expect(&mut self, code: u16) -> String {
        let reply = self.reply();
        assert!(reply.starts_with(&code.to_string()), "{code}, not {reply:?}");
        reply
    }

    /// The next reply; "" when there is none any more.
    pub(crate) fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).unwrap() == 0 {
                return reply;
            }
            reply += &line;
            if line.as_bytes().get(3) != Some(&b'-')
                && line.as_bytes().first().is_some_and(u8::is_ascii_digit)
            {
                return reply;
            }
        }
    }

    /// A passive data connection.
    pub(crate) fn data(&mut self) -> TcpStream {
        let reply = self.send("EPSV").expect(229);
        let port = reply.split('|').nth(3).and_then(|word| word.parse().ok()).expect("a port");
        let peer = self.stream.peer_addr().unwrap();
        TcpStream::connect(SocketAddr::new(peer.ip(), port)).unwrap()
    }

    pub(crate) fn store(&mut self, name: &str, bytes: &[u8]) {
        let mut data = self.data();
        self.send(&format!("STOR {name}")).expect(150);
        data.write_all(bytes).unwrap();
        drop(data);
        self.expect(226);
    }

    pub(crate) fn retrieve(&mut self, name: &str) -> Vec<u8> {
        let mut data = self.data();
        self.send(&format!("RETR {name}")).expect(150);
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes).unwrap();
        self.expect(226);
        bytes
    }

    /// Nothing more comes, and the connection ends.
    pub(crate) fn expect_end(&mut self) {
        let mut rest = Vec::new();
        let _ = self.reader.read_to_end(&mut rest);
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    /// All that the server says of its own accord.
    pub(crate) fn everything(mut self) -> String {
        let mut rest = Vec::new();
        let _ = self.reader.read_to_end(&mut rest);
        String::from_utf8_lossy(&rest).into_owned()
    }
}
