//! Strangers at the door: how long they may stay without a login, and how many of them.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::server::{DEADLINE, Server, wait_until};

/// How long after its deadline a client may still be there, on a machine with much else to do.
const SLACK: Duration = Duration::from_secs(2);

/// Waits until the only place is free, and says how long that took.
fn until_the_place_is_free(server: &Server) -> Duration {
    let started = Instant::now();
    wait_until("the place is free", || {
        let mut client = Client::connect(server.address());
        (client.reply().code == 220).then_some(())
    });
    started.elapsed()
}

#[test]
fn rein_does_not_put_the_end_of_the_login_off() {
    let server = Server::start(&["--login-timeout", "2"]);
    let started = Instant::now();
    let mut client = server.connect();
    loop {
        client.raw_if_open("REIN\r\n");
        match client.try_reply() {
            Some(reply) if reply.code == 220 => thread::sleep(Duration::from_millis(300)),
            end => {
                assert!(end.is_none_or(|reply| reply.code == 421));
                break;
            }
        }
    }
    let took = started.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(2) + SLACK).contains(&took), "{took:?}");
}

#[test]
fn lines_sent_ahead_do_not_put_the_end_of_the_login_off() {
    let server = Server::start(&["--login-timeout", "2", "--max-clients", "1"]);
    let client = server.connect();
    let (mut stream, lines) = (client.into_stream(), "HELP\r\n".repeat(60_000));
    let mut reader = stream.try_clone().expect("a socket");
    let writer = thread::spawn(move || std::io::Write::write_all(&mut stream, lines.as_bytes()));
    // Read now and then, so that no single write takes long.
    let reader = thread::spawn(move || {
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end && matches!(std::io::Read::read(&mut reader, &mut [0; 64 << 10]), Ok(1..))
        {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let took = until_the_place_is_free(&server);
    assert!(took < Duration::from_secs(2) + SLACK, "{took:?}");
    let _ = writer.join().expect("no panic");
    reader.join().expect("no panic");
}

#[test]
fn a_client_that_reads_nothing_does_not_put_the_end_of_the_login_off() {
    let server = Server::start(&["--login-timeout", "2", "--max-clients", "1"]);
    let client = server.connect();
    let mut stream = client.into_stream();
    let reader = stream.try_clone().expect("a socket");
    let lines = "HELP\r\n".repeat(200_000);
    let writer = thread::spawn(move || std::io::Write::write_all(&mut stream, lines.as_bytes()));
    let took = until_the_place_is_free(&server);
    assert!(took < Duration::from_secs(2) + SLACK, "{took:?}");
    drop(reader);
    let _ = writer.join().expect("no panic");
}

const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// As many as are let in of so many clients of one host.
fn let_in(server: &Server, clients: usize) -> Vec<Client> {
    let clients = (0..clients).map(|_| Client::connect(server.address()));
    let mut served = Vec::new();
    for mut client in clients.collect::<Vec<_>>() {
        if client.expect_any(&[220, 421]).code == 220 {
            served.push(client);
        }
    }
    served
}

#[test]
fn a_host_that_only_connects_leaves_places_to_others() {
    let server = Server::start(&[]);
    let idle = let_in(&server, 300);
    assert!((16..=64).contains(&idle.len()), "{}", idle.len());
    let mut other = Client::connect_from(NEIGHBOUR, server.address());
    other.expect(220);
    other.log_in();
    // A place comes back with the client that had it.
    drop(idle);
    server.log_in_when_there_is_room();
}

#[test]
fn a_host_that_logs_in_again_and_again_leaves_places_to_others() {
    let server = Server::start(&[]);
    let mut clients = Vec::new();
    while clients.len() < 256 {
        let mut client = Client::connect(server.address());
        if client.expect_any(&[220, 421]).code == 421 {
            break;
        }
        client.log_in();
        clients.push(client);
    }
    assert_eq!(clients.len(), 128);
    let mut other = Client::connect_from(NEIGHBOUR, server.address());
    other.expect(220);
    other.log_in();
    // Nor does it get places by giving its logins up: all but a few are sent away.
    let given_up = clients.iter_mut().filter_map(|client| client.send("REIN").try_reply());
    let begun_again = given_up.filter(|reply| reply.code == 220).count();
    assert!((16..=64).contains(&begun_again), "{begun_again}");
    Client::connect_from(NEIGHBOUR, server.address()).expect(220);
}

#[test]
fn strangers_of_many_hosts_leave_places_to_clients_that_are_logged_in() {
    let server = Server::start(&["--max-clients", "8", "--max-per-ip", "0"]);
    let mut inside = [server.log_in(), server.log_in()];
    let strangers = (3..20).map(|n| Client::connect_from(Ipv4Addr::new(127, 0, 0, n), server.address()));
    let mut strangers: Vec<Client> = strangers.collect();
    let served = strangers.iter_mut().filter_map(|stranger| stranger.try_reply());
    assert_eq!(served.filter(|reply| reply.code == 220).count(), 6);
    inside.iter_mut().for_each(|client| drop(client.send("NOOP").expect(200)));
}

#[test]
fn the_administrator_decides_how_many_may_wait_for_their_login() {
    let server = Server::start(&["--max-before-login", "5", "--max-before-login-per-ip", "3"]);
    assert_eq!(let_in(&server, 10).len(), 3);
    let server = Server::start(&["--max-before-login", "5", "--max-before-login-per-ip", "0"]);
    assert_eq!(let_in(&server, 10).len(), 5);
    let server = Server::start(&["--max-before-login", "0", "--max-before-login-per-ip", "0"]);
    assert_eq!(let_in(&server, 128).len(), 128);
}

#[test]
fn a_ban_holds_for_connections_that_are_open() {
    let server = Server::start(&["--ban", "3/600/600", "--max-login-attempts", "0"]);
    let mut clients: Vec<Client> = (0..12).map(|_| server.connect()).collect();
    let mut tried = 0;
    for _ in 0..4 {
        for client in &mut clients {
            client.raw_if_open("USER joe\r\nPASS wrong\r\n");
            if client.try_reply().is_some_and(|reply| reply.code == 331)
                && client.try_reply().is_some_and(|reply| reply.code == 530)
            {
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 3);
    Client::connect_from(NEIGHBOUR, server.address()).expect(220);
}

#[test]
fn passwords_sent_all_at_once_are_no_more_tries_than_a_ban_allows() {
    let server = Server::start(&["--ban", "3/600/600", "--max-login-attempts", "0"]);
    let mut clients: Vec<Client> = (0..12).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.raw("USER joe\r\nPASS a\r\nUSER joe\r\nPASS b\r\nQUIT\r\n");
    }
    let tried = clients.iter_mut().map(|client| {
        let replies = std::iter::from_fn(|| client.try_reply());
        replies.filter(|reply| reply.code == 530).count()
    });
    assert_eq!(tried.sum::<usize>(), 3);
}

#[test]
fn no_place_is_lost_however_a_login_ends() {
    let server = Server::start(&["--max-clients", "4", "--max-before-login", "2"]);
    for round in 0..24 {
        let mut client = server.log_in_when_there_is_room();
        match round % 4 {
            0 => drop(client.send("REIN").expect(220)),
            1 => drop(client.send("USER anonymous").expect(331)),
            2 => {
                client.send("REIN").expect(220);
                client.log_in();
                client.vanish();
            }
            _ => drop(client.send("QUIT").expect(221)),
        }
    }
    let mut strangers = wait_until("both places are free", || {
        let strangers = let_in(&server, 2);
        (strangers.len() == 2).then_some(strangers)
    });
    Client::connect(server.address()).expect(421);
    strangers.iter_mut().for_each(Client::log_in);
    assert_eq!(let_in(&server, 4).len(), 2);
}
