//! One test per bug, with what happened in a comment.

use crate::server::Server;

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
