//! -D: what its caller sees, its pid file, its end. And starts that must fail.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Client, Folder, free_port, loopback, program, wait_until};

fn ferryd(folder: &Folder, args: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.args(folder.options()).args(args).stdin(Stdio::null());
    command.output().unwrap()
}

/// A daemon on `port`, with a pid file; ended on drop.
struct Daemon<'a> {
    folder: &'a Folder,
    pid: Pid,
}

impl Daemon<'_> {
    fn start<'a>(folder: &'a Folder, port: u16, args: &[&str]) -> Daemon<'a> {
        let pid_file = folder.join("pid");
        let port = port.to_string();
        let control = format!("--control-socket={}", folder.join("control").display());
        let own = ["-D", "-a", "127.0.0.1", "-P", &port, "-p", pid_file.to_str().unwrap(), &control];
        let output = ferryd(folder, &[&own, args].concat());
        assert!(output.status.success(), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        // The caller was let go, so the server listens and has written its number.
        let pid = folder.read("pid").trim().parse().expect("a process id");
        Daemon { folder, pid: Pid::from_raw(pid).unwrap() }
    }

    fn is_running(&self) -> bool {
        rustix::process::test_kill_process(self.pid).is_ok()
    }

    fn status(&self, field: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid.as_raw_nonzero())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = kill_process(self.pid, Signal::TERM);
        wait_until("the daemon ends", || (!self.is_running()).then_some(()));
        assert!(!self.folder.join("pid").exists(), "the pid file goes with the server");
    }
}

#[test]
fn a_daemon_serves_by_the_time_its_caller_is_let_go() {
    let (folder, port) = (Folder::new(), free_port());
    let daemon = Daemon::start(&folder, port, &[]);
    let mut client = Client::log_in(loopback(port));
    client.store("pub/a", b"some bytes");
    if cfg!(target_os = "linux") {
        assert_eq!(daemon.status("NSsid:"), daemon.status("NSpgid:"), "one session, one group");
        assert_ne!(
            daemon.status("NSsid:"),
            daemon.status("NSpid:"),
            "it leads no session, so it gets no terminal"
        );
        // Nobody but root looks into the server, not even who started it.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let pid = daemon.pid.as_raw_nonzero();
        for number in 0..3 {
            let target = fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap();
            assert_eq!(target.to_str(), Some("/dev/null"));
        }
        assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(), Some("/"));
    }
}

#[test]
fn a_second_server_is_refused_and_the_first_goes_on() {
    let (folder, port) = (Folder::new(), free_port());
    let daemon = Daemon::start(&folder, port, &[]);
    let (port, pid_file) = (port.to_string(), folder.join("pid"));
    let pid_file = pid_file.to_str().unwrap();
    let second = ferryd(&folder, &["-D", "-a", "127.0.0.1", "-P", "0", "-p", pid_file]);
    assert_eq!(second.status.code(), Some(1));
    let text = String::from_utf8_lossy(&second.stderr);
    assert_eq!(text.lines().count(), 1, "{text}");
    let pid = daemon.pid.as_raw_nonzero();
    assert!(text.contains(&format!("--pidfile: {pid_file}: already running as process {pid}")), "{text}");
    // The same without a pid file: the port.
    let third = ferryd(&folder, &["-D", "-a", "127.0.0.1", "-P", &port]);
    let text = String::from_utf8_lossy(&third.stderr);
    assert_eq!(third.status.code(), Some(1));
    assert!(text.contains(&format!("127.0.0.1:{port}: Address already in use")), "{text}");
    Client::log_in(loopback(port.parse().unwrap()));
    assert_eq!(folder.read("pid").trim(), pid.to_string());
}

#[test]
fn what_keeps_a_server_from_starting_is_one_line_and_an_exit_code() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let no_dir = folder.join("no/such/file");
    let no_dir = no_dir.to_str().unwrap();
    let here = ["-a", "127.0.0.1", "-P", "0"];
    let cases: [(&[&str], i32, &str); 7] = [
        (&["-a", "127.0.0.1", "-P", &port], 1, "Address already in use"),
        (&["-a", "192.0.2.1", "-P", "0"], 1, "192.0.2.1"),
        (&["-a", "no.such.host.invalid", "-P", "0"], 2, "-a, --bind"),
        (&[&here[..], &["-p", no_dir]].concat(), 1, "-p, --pidfile"),
        (&[&here[..], &["-L", no_dir]].concat(), 1, no_dir),
        (&[&here[..], &["-t", "x"]].concat(), 2, "-t, --timeout"),
        (&[&here[..], &["there"]].concat(), 2, "there"),
    ];
    for (args, code, text) in cases {
        for how in ["-F", "-D"] {
            let output = ferryd(&folder, &[&[how], args].concat());
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{how} {args:?}: {said}");
            // In the foreground, what is logged is there too.
            let lines: Vec<_> = said.lines().filter(|line| !line.contains("warning: ")).collect();
            assert_eq!(lines.len(), 1, "{how} {args:?}: {said}");
            assert!(lines[0].starts_with("ferryd: ") && lines[0].contains(text), "{how} {args:?}: {said}");
        }
    }
}

#[test]
fn a_pid_file_of_a_server_that_was_killed_is_taken_over() {
    let (folder, port) = (Folder::new(), free_port());
    fs::write(folder.join("pid"), "1\n").unwrap(); // A process that runs, but has no lock on it.
    let daemon = Daemon::start(&folder, port, &[]);
    assert_ne!(daemon.pid.as_raw_nonzero().get(), 1);
}
