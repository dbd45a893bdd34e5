//! A server that has no file descriptor left: who comes waits, and nothing spins meanwhile.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::{Client, DEADLINE, Server};

/// What `server` may open from now on; it keeps what it has.
fn limit_descriptors(server: &Server, most: u64) {
    let pid = Pid::from_child(&server.process.0);
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    prlimit(Some(pid), Resource::Nofile, Rlimit { current: Some(most), maximum }).unwrap();
}

/// The processor time that `server` has used, in hundredths of a second.
fn time_used(server: &Server) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.process.0.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn without_a_descriptor_an_operator_and_a_client_wait_and_nothing_spins() {
    let server = Server::start(&[]);
    // Fewer than it has; poll(2) wants as many as it looks at.
    limit_descriptors(&server, 10);
    let mut operator = UnixStream::connect(server.folder.join("control")).unwrap();
    operator.set_read_timeout(Some(DEADLINE)).unwrap();
    operator.write_all(b"who\n").unwrap();
    // The first few clients take the descriptor that is kept to turn them away.
    let _crowd: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    server.wait_for_log("no descriptor for an operator: ");
    let before = time_used(&server);
    std::thread::sleep(Duration::from_secs(2));
    let used = time_used(&server) - before;
    assert!(used < 40, "{used} hundredths of a second in two");
    assert!(server.log().matches("trying again").count() <= 2, "{}", server.log());
    limit_descriptors(&server, 1000);
    let mut answer = String::new();
    operator.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("ok\n"), "{answer}");
    Client::log_in(server.address);
}
