//! One test per bug, with what happened in a comment.

use std::io::Read;

use crate::client::Client;
use crate::server::{Server, wait_until};

/// MLSD sent names as they are, where LIST and NLST sent CR as CR NUL: one file
/// was two entries to every client, the second with facts of its maker's choice.
#[test]
fn a_line_end_in_a_name_does_not_forge_an_entry_of_mlsd() {
    let server = Server::start(&[]);
    server.write("a\r\ntype=dir;perm=el; forged", "x");
    let entries = server.log_in().mlsd("");
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].get("type"), "file");
    assert_eq!(entries[0].name, b"a\r\ntype=dir;perm=el; forged");
}

/// FEAT had the facts without their verb, so no client used MLSD.
#[test]
fn feat_says_whose_facts_those_are() {
    let server = Server::start(&[]);
    let feat = server.log_in().send("FEAT").expect(211);
    let lines: Vec<_> = feat.inner().iter().filter(|line| line.contains(&b';')).collect();
    assert!(lines.len() == 1 && lines[0].starts_with(b" MLST type"), "{}", feat.text());
}

/// The kernel calls the root of the tree busy, and 450 told the client to try again.
#[test]
fn the_root_stays_however_often_it_is_tried() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    client.send("DELE /").expect(550);
    client.send("RMD /").expect(550);
    client.send("RNFR file").expect(350);
    client.send("RNTO /").expect_any(&[550, 553]);
}

/// A file that another program cut short while it was sent was answered 226.
#[test]
fn a_file_cut_short_while_it_is_sent_is_not_complete() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for command in ["TYPE I", "TYPE A"] {
        client.send(command).expect(200);
        server.write_sparse("big", 64 << 20);
        let mut data = client.start("RETR big");
        wait_until("the server waits for its client", || stands_still(&mut client));
        server.write("big", "short");
        let mut got = Vec::new();
        // The end of the stream would tell a client that ignores replies that this was all.
        assert!(data.read_to_end(&mut got).is_err(), "{command}");
        assert!(got.len() < 64 << 20);
        client.expect_any(&[426, 451]);
    }
}

/// Two looks at a transfer that saw the same.
fn stands_still(client: &mut Client) -> Option<()> {
    let mut look = || client.send("STAT").expect(213).text().split(" of ").next().map(str::to_owned);
    (look() == look()).then_some(())
}
