//! From the connect to 220, and what 220 gives away.

use std::net::{Ipv6Addr, TcpStream};

use rustix::process::Signal;

use crate::client::Client;
use crate::server::{ANONYMOUS_USER, Folder, Server, has_ipv6, is_root, localhost};

#[test]
fn a_client_is_greeted_before_it_says_anything() {
    let server = Server::start(&[]);
    Client::connect(server.address()).expect(220);
}

#[test]
fn a_client_is_greeted_over_ipv6() {
    let Some(server) = Server::start_v6(&[]) else { return };
    server.log_in().send("NOOP").expect(200);
}

#[test]
fn one_server_listens_on_both_families() {
    if !crate::server::has_ipv6() {
        return;
    }
    let server = Server::listening_on(&["127.0.0.1", "::1"], &[]);
    let families: Vec<bool> = server.addresses().iter().map(|address| address.is_ipv4()).collect();
    assert!(families.contains(&true) && families.contains(&false), "{:?}", server.addresses());
    for &address in server.addresses() {
        let mut client = Client::connect(address);
        client.expect(220);
        client.log_in();
    }
}

#[test]
fn one_family_is_listened_on_with_4_or_6() {
    let start = |option| {
        let folder = Folder::new();
        let root = folder.root();
        let mut args =
            vec!["-F", "-A", "-P", "0", option, "--anonymous-root", root.to_str().expect("a plain path")];
        if is_root() {
            args.extend(["--anonymous-user", ANONYMOUS_USER]);
        }
        Server::start_raw(&args)
    };
    let server = start("-4");
    assert!(server.address().is_ipv4());
    Client::connect(localhost(server.address().port())).expect(220);
    if has_ipv6() {
        let server = start("-6");
        assert!(server.address().is_ipv6());
        Client::connect((Ipv6Addr::LOCALHOST, server.address().port()).into()).expect(220);
        assert!(TcpStream::connect(localhost(server.address().port())).is_err());
    }
}

#[test]
fn commands_sent_before_the_greeting_are_answered_after_it() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.address());
    client.send("NOOP").send("USER anonymous").send("PASS x@example.org");
    client.expect(220);
    client.expect_any(&[200, 530]);
    client.expect(331);
    client.expect(230);
}

#[test]
fn the_version_is_not_told_with_q() {
    let version = env!("CARGO_PKG_VERSION");
    let server = Server::start(&["-q"]);
    let greeting = Client::connect(server.address()).expect(220).text();
    assert!(!greeting.contains(version), "{greeting}");
}

#[test]
fn neither_host_nor_version_nor_system_is_told_with_h() {
    let version = env!("CARGO_PKG_VERSION");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let server = Server::start(&["-h"]);
    let mut client = Client::connect(server.address());
    let mut told = client.expect(220).text();
    client.log_in();
    for command in ["STAT", "HELP"] {
        told += &client.send(command).reply().text();
    }
    assert!(!told.contains(version), "{told}");
    assert!(host.len() < 4 || host == "localhost" || !told.contains(host), "{host:?} in {told}");
    let system = client.send("SYST").expect(215).text();
    assert!(!system.contains("UNIX"), "{system}");
}

#[test]
fn quit_is_answered_and_the_connection_closed() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send("QUIT").expect(221);
    assert!(client.try_reply().is_none());
    let mut client = server.log_in();
    client.send("QUIT").expect(221);
    assert!(client.try_reply().is_none());
}

#[test]
fn commands_after_quit_are_not_answered() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.raw("QUIT\r\nMKD made\r\nNOOP\r\n");
    client.expect(221);
    assert!(client.try_reply().is_none());
    assert!(!server.exists("made"));
}

#[test]
fn a_client_that_leaves_without_quit_costs_nothing() {
    let mut server = Server::start(&["--max-clients", "1"]);
    for _ in 0..5 {
        server.log_in_when_there_is_room();
        server.log_in_when_there_is_room().vanish();
    }
    assert!(server.is_running());
    server.signal(Signal::TERM);
    assert_eq!(server.exit_status().code(), Some(0));
}
