//! Logs that nobody can fill: the first lines of a kind are written, the others counted.

use std::net::Ipv4Addr;

use rustix::process::Signal;

use crate::client::Client;
use crate::logs::{STATUS, TransferLog};
use crate::server::Server;

/// The lines of the log that contain `text`.
fn lines_with(server: &Server, text: &str) -> Vec<String> {
    server.log.all().into_iter().filter(|line| line.contains(text)).collect()
}

/// How many were left out, of those that contain `text`, by the line that says so.
fn left_out(server: &Server, text: &str) -> usize {
    let line = server.log.wait_for("more like this");
    assert!(line.contains(text), "{line}");
    let (count, _) = line.split_once(" more like this").expect("the line has it");
    count.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn refused_commands_of_a_session_are_written_a_few_times_and_counted() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for _ in 0..30 {
        client.raw("PORT 127,0,0,9,0,22\r\n".repeat(100));
        (0..100).for_each(|_| drop(client.expect(500)));
    }
    client.send("QUIT").expect(221);
    let left_out = left_out(&server, "refused PORT");
    let written = lines_with(&server, "refused PORT").len() - 1;
    assert!((1..=20).contains(&written), "{written}");
    assert_eq!(written + left_out, 3000);
    // The next session is heard again.
    server.log_in().send("PORT 127,0,0,9,0,23").expect(500);
    server.log.wait_for("127.0.0.9:23");
}

#[test]
fn what_an_account_tries_and_may_not_is_written_a_few_times_and_counted() {
    let server = Server::start(&["-l", "-l"]);
    let mut client = server.log_in();
    for number in 0..500 {
        client.send(format!("DELE none{number}")).expect(550);
        client.send(format!("MKD made{number}")).expect(257);
    }
    client.send("QUIT").expect(221);
    assert_eq!(left_out(&server, "delete /none"), 490);
    // Each change is there.
    assert_eq!(lines_with(&server, "mkdir /made").len(), 500);
}

#[test]
fn strangers_are_written_a_few_times_for_each_host_and_counted() {
    let mut server = Server::start(&["-l", "--max-per-ip", "1"]);
    let _inside = server.log_in();
    for _ in 0..500 {
        Client::connect(server.address()).expect(421);
    }
    let written = lines_with(&server, "from 127.0.0.1 refused").len();
    assert!((10..=320).contains(&written), "{written}");
    // Another host is heard.
    let neighbour = Ipv4Addr::new(127, 0, 0, 2);
    let _other = Client::connect_from(neighbour, server.address());
    Client::connect_from(neighbour, server.address()).expect(421);
    server.log.wait_for("from 127.0.0.2 refused");
    // What was left out is told when a minute is over, or at the end.
    server.signal(Signal::TERM);
    assert_eq!(left_out(&server, "from 127.0.0.1 refused") + written, 500);
    server.exit_status();
}

#[test]
fn failed_logins_are_written_a_few_times_for_each_host_and_counted() {
    let mut server = Server::start(&[]);
    for _ in 0..40 {
        let mut client = server.connect();
        for _ in 0..5 {
            client.send("USER joe").expect(331);
            client.send("PASS x").expect_any(&[530, 421]);
        }
    }
    let written = lines_with(&server, "FTP LOGIN FAILED").len();
    // Enough for whoever reads them to ban the host.
    assert!((20..=100).contains(&written), "{written}");
    server.signal(Signal::TERM);
    server.log.wait_for("more like this: FTP LOGIN FAILED FROM 127.0.0.1, joe");
    server.exit_status();
}

#[test]
fn nobody_logs_in_again_and_again_on_one_connection() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut logins = 0;
    while logins < 100 {
        client.raw_if_open("USER anonymous\r\nPASS x\r\n");
        match (client.try_reply(), client.try_reply()) {
            (Some(_), Some(reply)) if reply.code == 230 => logins += 1,
            _ => break,
        }
    }
    assert!((5..=30).contains(&logins), "{logins}");
    // Another connection is another matter.
    server.log_in();
}

#[test]
fn transfers_that_never_begin_do_not_fill_the_transfer_log() {
    let (log, server) = TransferLog::with(&["--no-active"]);
    server.write("file", "content");
    let mut client = server.log_in();
    for _ in 0..500 {
        client.send("RETR file").expect(425);
    }
    assert_eq!(client.retr("file"), b"content");
    client.send("QUIT").expect(221);
    server.log.wait_for("more like this: incomplete transfer of /file");
    // Ten that never began, and the one that did.
    let records = log.records(11);
    assert_eq!(records.iter().filter(|record| record[STATUS] == "c").count(), 1);
}
