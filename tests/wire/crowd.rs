//! Many clients: every one is told, none waits without a word, and places come back.

use std::net::Ipv4Addr;

use crate::client::Client;
use crate::server::{Server, wait_until};

/// All the clients are of one host, which may have all the places.
const ONE_HOST: &[&str] = &["--max-per-ip", "0", "--max-before-login", "0", "--max-before-login-per-ip", "0"];

#[test]
fn three_hundred_clients_are_each_greeted_or_refused() {
    let server = Server::start(&[&["--max-clients", "20"], ONE_HOST].concat());
    let mut clients: Vec<Client> = (0..300).map(|_| Client::connect(server.address())).collect();
    let mut served = Vec::new();
    for mut client in clients.drain(..) {
        let reply = client.expect_any(&[220, 421]);
        if reply.code == 220 {
            served.push(client);
        } else {
            assert!(reply.text().len() > "421 ".len(), "421 gives a reason");
            assert!(client.try_reply().is_none(), "the connection ends after 421");
        }
    }
    assert_eq!(served.len(), 20);
    for client in &mut served {
        client.log_in();
        client.names("");
    }
    drop(served);
    for _ in 0..20 {
        server.log_in_when_there_is_room().names("");
    }
}

#[test]
fn a_full_house_stays_full_until_somebody_leaves() {
    let server = Server::start(&["--max-clients", "2"]);
    let mut one = server.log_in();
    let _two = server.log_in();
    for _ in 0..10 {
        let mut client = Client::connect(server.address());
        client.expect(421);
        client.expect_end();
    }
    one.send("QUIT").expect(221);
    server.log_in_when_there_is_room();
}

#[test]
fn a_client_that_was_refused_may_say_what_it_likes() {
    let server = Server::start(&["--max-clients", "1"]);
    let mut one = server.log_in();
    for _ in 0..20 {
        let mut client = Client::connect(server.address());
        client.raw_if_open("USER anonymous\r\nPASS x\r\nMKD made\r\n");
        client.expect(421);
        drop(client);
    }
    assert!(!server.exists("made"));
    one.send("NOOP").expect(200);
}

#[test]
fn one_host_has_at_most_max_per_ip_clients() {
    let server = Server::start(&["--max-per-ip", "3"]);
    let mut clients: Vec<Client> = (0..3).map(|_| server.log_in()).collect();
    Client::connect(server.address()).expect(421);
    // Another host is another matter.
    let mut other = Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), server.address());
    other.expect(220);
    other.log_in();
    clients.pop().expect("three").vanish();
    server.log_in_when_there_is_room();
}

#[test]
fn places_come_back_however_a_client_leaves() {
    let server = Server::start(&["--max-clients", "3", "--max-per-ip", "3"]);
    server.write_sparse("big", 1 << 28);
    for round in 0..30 {
        let mut client = server.log_in_when_there_is_room();
        match round % 6 {
            0 => drop(client),
            1 => client.vanish(),
            2 => drop(client.send("QUIT").expect(221)),
            3 => {
                client.pasv();
                client.vanish();
            }
            4 => {
                client.send("USER joe");
                client.vanish();
            }
            _ => {
                let data = client.start("RETR big");
                client.vanish();
                drop(data);
            }
        }
    }
    let mut last: Vec<Client> = (0..3).map(|_| server.log_in_when_there_is_room()).collect();
    for client in &mut last {
        client.send("NOOP").expect(200);
    }
}

#[test]
fn clients_that_come_and_go_at_once_do_no_harm() {
    let server = Server::start(&["--max-clients", "10"]);
    for _ in 0..200 {
        Client::connect(server.address()).vanish();
    }
    for _ in 0..10 {
        server.log_in_when_there_is_room().names("");
    }
}

#[test]
fn a_silent_client_does_not_keep_others_waiting() {
    let server = Server::start(&[&["--max-clients", "50"], ONE_HOST].concat());
    let _silent: Vec<Client> = (0..30).map(|_| Client::connect(server.address())).collect();
    let mut halves: Vec<Client> = (0..10).map(|_| server.connect()).collect();
    for half in &mut halves {
        half.raw("USER anonym");
    }
    server.log_in().names("");
}

#[test]
fn sessions_one_after_another_are_all_served() {
    let server = Server::start(&["--max-clients", "2"]);
    server.write("file", "x");
    for _ in 0..100 {
        let mut client = server.log_in_when_there_is_room();
        assert_eq!(client.retr("file"), b"x");
        client.send("QUIT").expect(221);
    }
}

#[test]
fn half_open_data_connections_do_not_pile_up() {
    let server = Server::start(&["--max-clients", "5"]);
    server.write("file", "x");
    let mut client = server.log_in();
    for n in 0..100 {
        let address = client.pasv();
        if n % 2 == 0 {
            drop(crate::client::connect(address));
        }
    }
    assert_eq!(client.retr("file"), b"x");
    drop(client);
    wait_until("the place is free", || {
        let mut client = Client::connect(server.address());
        (client.reply().code == 220).then_some(())
    });
}
