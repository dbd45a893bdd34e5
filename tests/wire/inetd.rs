//! Started by inetd: one client, on standard input.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};

use crate::client::{Client, Via};
use crate::server::{ANONYMOUS_USER, Folder, ferryd, is_root, wait_until};

/// ferryd with a client on its first three descriptors, as inetd gives it.
fn start(folder: &Folder, more: &[&str]) -> (Client, Child) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let ours = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    let (theirs, _) = listener.accept().expect("a client");
    let stdio = || Stdio::from(OwnedFd::from(theirs.try_clone().expect("a socket")));
    let mut command = ferryd();
    command.args(["-A", "-m", "--login-delay", "0", "--anonymous-root"]).arg(folder.root()).args(more);
    if is_root() {
        command.args(["--anonymous-user", ANONYMOUS_USER]);
    }
    let child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().expect("ferryd starts");
    (Client::from_stream(ours), child)
}

#[track_caller]
fn expect_success(mut child: Child) {
    let status = wait_until("the process ends", || child.try_wait().expect("our child"));
    assert_eq!(status.code(), Some(0));
}

#[test]
fn it_serves_one_client_and_ends() {
    let folder = Folder::new();
    folder.write("file", "content");
    let (mut client, child) = start(&folder, &[]);
    client.expect(220);
    client.log_in();
    for via in [Via::Pasv, Via::Epsv, Via::Port, Via::Eprt] {
        client.via = via;
        assert_eq!(client.retr("file"), b"content");
    }
    client.stor("stored", "x");
    assert_eq!(std::fs::read(folder.path("stored")).expect("it is there"), b"x");
    assert_eq!(client.names(""), ["file", "stored"]);
    client.send("QUIT").expect(221);
    client.expect_end();
    expect_success(child);
}

#[test]
fn it_ends_when_the_client_leaves() {
    let folder = Folder::new();
    for vanish in [false, true] {
        let (mut client, child) = start(&folder, &[]);
        client.expect(220);
        client.log_in();
        client.pasv();
        if vanish {
            client.vanish()
        } else {
            drop(client)
        }
        expect_success(child);
    }
}

#[test]
fn nothing_but_replies_reaches_the_client() {
    let folder = Folder::new();
    // Every line that comes is taken for a reply, and its form checked.
    let (mut client, child) = start(&folder, &["-l", "-l", "-d", "-d"]);
    client.expect(220);
    client.send("USER joe").expect(331);
    client.send("PASS wrong").expect(530);
    client.log_in();
    client.send("MKD sub").expect(257);
    client.send("XYZZY").expect(500);
    client.send("REIN").expect(220);
    client.log_in();
    client.send("QUIT").expect(221);
    client.expect_end();
    expect_success(child);
}

#[test]
fn a_mistake_in_its_options_does_not_look_like_a_greeting() {
    let folder = Folder::new();
    let (mut client, mut child) = start(&folder, &["--no-such-option"]);
    if let Some(reply) = client.try_reply() {
        assert!((400..600).contains(&reply.code), "{}", reply.text());
    }
    let status = wait_until("the process ends", || child.try_wait().expect("our child"));
    assert_eq!(status.code(), Some(2));
}
