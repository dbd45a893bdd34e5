//! Strangers at the door: how long they may stay without a login, and how many of them.

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
