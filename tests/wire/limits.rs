//! Limits of speed and space, and hosts that are sent away for a while.

use std::io::Write;
use std::net::Ipv4Addr;

use crate::client::Client;
use crate::server::{Server, free_ports};

#[test]
fn a_host_that_guesses_passwords_is_banned() {
    let server = Server::start(&["--ban", "3/60/600", "--max-login-attempts", "0"]);
    let mut bystander = server.log_in();
    let mut client = server.connect();
    for _ in 0..3 {
        client.send("USER joe").expect(331);
        // The last one may end the session too.
        if client.send("PASS wrong").expect_any(&[530, 421]).code == 421 {
            break;
        }
    }
    let mut banned = Client::connect(server.address());
    banned.expect(421);
    banned.expect_end();
    // Who is there already may stay; other hosts come and go.
    bystander.send("NOOP").expect(200);
    Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), server.address()).expect(220);
}

#[test]
fn good_logins_ban_nobody() {
    let server = Server::start(&["--ban", "3/60/600"]);
    for _ in 0..10 {
        server.log_in();
    }
}

#[test]
fn a_slowed_download_is_still_running_when_a_fast_one_would_have_ended() {
    let server = Server::start(&["--rate-download", "1k"]);
    // Little enough for the sockets' buffers to take it all at once.
    server.write("file", vec![b'x'; 100_000]);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    let data = client.start("RETR file");
    client.send("STAT").expect_any(&[211, 213]);
    client.send("ABOR");
    client.expect(426);
    client.expect_any(&[225, 226]);
    drop(data);
    client.send("NOOP").expect(200);
}

#[test]
fn a_slowed_upload_is_still_running_when_a_fast_one_would_have_ended() {
    let server = Server::start(&["--rate-upload", "1k"]);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    let mut data = client.start("STOR file");
    data.write_all(&[b'x'; 100_000]).expect("the buffers take it");
    drop(data);
    client.send("STAT").expect_any(&[211, 213]);
    client.send("ABOR");
    client.expect(426);
    client.expect_any(&[225, 226]);
    client.send("NOOP").expect(200);
}

#[test]
fn a_range_of_ports_may_be_as_long_as_the_crowd() {
    let low = free_ports(4);
    let server = Server::start(&["--max-clients", "3", "--passive-ports", &format!("{low}+")]);
    let mut clients: Vec<Client> = (0..3).map(|_| server.log_in()).collect();
    let mut ports: Vec<u16> = clients.iter_mut().map(|client| client.pasv().port()).collect();
    // The last one is one to spare.
    assert!(ports.iter().all(|port| (low..=low + 3).contains(port)), "{ports:?} in {low}+");
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 3);
}

#[test]
fn a_session_works_alike_without_its_sandbox() {
    let server = Server::start(&["--no-sandbox"]);
    let mut client = server.log_in();
    client.stor("file", "x");
    assert_eq!(client.retr("file"), b"x");
    assert_eq!(client.names(""), ["file"]);
    client.refused("RETR /etc/passwd", &[550]);
}
