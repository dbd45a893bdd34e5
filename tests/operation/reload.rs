//! A reload is one piece of work, in order, away from the clients: two of them do not cross, and the
//! service manager hears of its beginning and of its end.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{DEADLINE, Folder, Server, wait_until};

/// A certificate with its key, as the tests on the wire have it.
fn certificate() -> Vec<u8> {
    let data = std::env::var("FERRYD_TEST_DATA")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data").to_owned());
    let read = |name| fs::read(format!("{data}/tls/{name}")).unwrap_or_else(|err| panic!("{name}: {err}"));
    [read("ecdsa.pem"), read("ecdsa.key")].concat()
}

/// A server whose reload stops half-way, at its certificate, until it is let go.
struct SlowServer {
    server: Server,
    manager: UnixDatagram,
    certificate: PathBuf,
}

impl SlowServer {
    fn start() -> SlowServer {
        let folder = Folder::new();
        let (certificate_file, notify) = (folder.join("certificate"), folder.join("notify"));
        let manager = UnixDatagram::bind(&notify).unwrap();
        manager.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut options = OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(options.create_new(true).write(true), 0o600);
        options.open(&certificate_file).unwrap().write_all(&certificate()).unwrap();
        let args = [
            format!("--config-dir={}", folder.path().display()),
            format!("--xferlog={}", folder.join("xferlog").display()),
            format!("--tls-cert={}", certificate_file.display()),
            "--tls=allow".to_owned(),
        ];
        let args = args.each_ref().map(String::as_str);
        let env = [("NOTIFY_SOCKET", notify.to_str().unwrap().to_owned())];
        let server =
            Server::start_in(folder, &args, &env.each_ref().map(|(name, value)| (*name, &value[..])));
        let server = SlowServer { server, manager, certificate: certificate_file };
        assert_eq!(server.next_message().as_deref(), Some("READY=1"));
        server
    }

    /// What the service manager is told next; `None` when that is nothing for a while.
    fn next_message(&self) -> Option<String> {
        let mut buffer = [0; 4096];
        let length = self.manager.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).lines().next().unwrap_or_default().to_owned())
    }

    fn expect_silence(&self) {
        self.manager.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        assert_eq!(self.next_message(), None);
        self.manager.set_read_timeout(Some(DEADLINE)).unwrap();
    }

    /// Sends SIGHUP; the reload then waits for whoever writes its certificate.
    fn reload_half(&self) {
        fs::remove_file(&self.certificate).unwrap();
        assert!(
            Command::new("mkfifo").args(["-m", "600"]).arg(&self.certificate).status().unwrap().success()
        );
        fs::rename(self.server.folder.join("xferlog"), self.server.folder.join("xferlog.1")).unwrap();
        self.server.process.signal(Signal::HUP);
        assert_eq!(self.next_message().as_deref(), Some("RELOADING=1"));
        wait_until("the logs are opened", || self.server.folder.join("xferlog").exists().then_some(()));
    }

    /// Lets the reload go on; the next one finds an ordinary file.
    fn let_go(&self) {
        let new = self.server.folder.join("new");
        fs::write(&new, certificate()).unwrap();
        fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let mut fifo = OpenOptions::new().write(true).open(&self.certificate).unwrap();
        fs::rename(&new, &self.certificate).unwrap();
        fifo.write_all(&certificate()).unwrap();
    }
}

#[test]
fn signals_that_come_during_a_reload_are_one_reload_afterwards() {
    let slow = SlowServer::start();
    let mut client = slow.server.log_in();
    fs::write(slow.server.folder.join("ftpusers"), "nobody-we-know\n").unwrap();
    slow.reload_half();
    for _ in 0..3 {
        slow.server.process.signal(Signal::HUP);
        slow.server.process.signal(Signal::USR2);
        // The main thread is not held up by a reload that is.
        slow.server.log_in().send("QUIT").expect(221);
    }
    slow.expect_silence();
    assert_eq!(slow.server.log().matches("reloading").count(), 1);
    slow.let_go();
    for message in ["READY=1", "RELOADING=1", "READY=1"] {
        assert_eq!(slow.next_message().as_deref(), Some(message));
    }
    slow.expect_silence();
    let log = slow.server.log();
    assert_eq!(log.matches("reloading").count(), 2, "{log}");
    assert_eq!(log.matches("reopening logs").count(), 0, "a reload includes it: {log}");
    client.send("NOOP").expect(200);
}

#[test]
fn sessions_are_checked_after_everything_is_read() {
    let slow = SlowServer::start();
    let mut client = slow.server.log_in();
    slow.reload_half();
    fs::write(slow.server.folder.join("ftpusers"), "ftp\n").unwrap();
    slow.expect_silence();
    client.send("NOOP").expect(200);
    slow.let_go();
    client.expect(421);
    client.expect_end();
    assert_eq!(slow.next_message().as_deref(), Some("READY=1"));
}

#[test]
fn a_server_that_stops_does_not_wait_for_a_reload() {
    let mut slow = SlowServer::start();
    slow.reload_half();
    slow.server.process.signal(Signal::TERM);
    assert_eq!(slow.next_message().as_deref(), Some("STOPPING=1"));
    assert!(slow.server.process.exit_status().success());
    slow.expect_silence();
}
