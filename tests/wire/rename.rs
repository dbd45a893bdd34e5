//! RNFR and RNTO.

use crate::server::Server;

#[test]
fn a_file_gets_another_name() {
    let server = Server::start(&[]);
    server.write("a.txt", "content");
    let mut client = server.log_in();
    client.send("RNFR a.txt").expect(350);
    client.send("RNTO b.txt").expect(250);
    assert_eq!(server.names(""), ["b.txt"]);
    assert_eq!(server.read("b.txt"), b"content");
}

#[test]
fn a_folder_moves_with_all_that_is_in_it() {
    let server = Server::start(&[]);
    server.mkdir("from");
    server.mkdir("to");
    server.write("from/file", "x");
    let mut client = server.log_in();
    client.send("CWD to").expect(250);
    client.send("RNFR ../from").expect(350);
    client.send("RNTO here").expect(250);
    assert_eq!(server.read("to/here/file"), b"x");
}

#[test]
fn rnto_without_rnfr_is_a_bad_sequence() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("RNTO b.txt").expect(503);
    client.send("NOOP").expect(200);
}

#[test]
fn only_rnto_straight_after_rnfr_sees_it() {
    let server = Server::start(&[]);
    server.write("a", "x");
    let mut client = server.log_in();
    client.send("RNFR a").expect(350);
    client.send("NOOP").expect(200);
    client.send("RNTO b").expect(503);
    client.send("RNFR a").expect(350);
    client.send("RNTO b").expect(250);
    client.send("RNTO c").expect(503);
    assert_eq!(server.names(""), ["b"]);
}

#[test]
fn a_second_rnfr_replaces_the_first() {
    let server = Server::start(&[]);
    server.write("a", "a");
    server.write("b", "b");
    let mut client = server.log_in();
    client.send("RNFR a").expect(350);
    client.send("RNFR b").expect(350);
    client.send("RNTO c").expect(250);
    assert_eq!(server.names(""), ["a", "c"]);
}

#[test]
fn a_failed_rnfr_forgets_the_one_before() {
    let server = Server::start(&[]);
    server.write("a", "a");
    let mut client = server.log_in();
    client.send("RNFR a").expect(350);
    client.send("RNFR none").expect(550);
    client.send("RNTO b").expect(503);
    assert_eq!(server.names(""), ["a"]);
}

#[test]
fn a_failed_rnto_forgets_its_rnfr() {
    let server = Server::start(&[]);
    server.write("a", "a");
    let mut client = server.log_in();
    client.send("RNFR a").expect(350);
    client.send("RNTO none/b").expect_any(&[550, 553]);
    client.send("RNTO b").expect(503);
    client.send("RNFR a").expect(350);
    client.send("RNTO").expect_any(&[500, 501]);
    assert_eq!(server.names(""), ["a"]);
}

#[test]
fn a_file_that_is_there_is_replaced() {
    let server = Server::start(&[]);
    server.write("a", "new");
    server.write("b", "old");
    let mut client = server.log_in();
    client.send("RNFR a").expect(350);
    client.send("RNTO b").expect(250);
    assert_eq!(server.names(""), ["b"]);
    assert_eq!(server.read("b"), b"new");
}

#[test]
fn no_overwrite_forbids_to_rename_over_a_file() {
    let server = Server::start(&["--no-overwrite"]);
    server.write("a", "new");
    server.write("b", "old");
    let mut client = server.log_in();
    client.send("RNFR a").expect(350);
    client.send("RNTO b").expect_any(&[550, 553]);
    assert_eq!(server.read("b"), b"old");
    client.send("RNFR a").expect(350);
    client.send("RNTO c").expect(250);
}

#[test]
fn a_link_is_renamed_itself() {
    let server = Server::start(&[]);
    server.write("file", "x");
    server.symlink("file", "link");
    server.symlink("nowhere", "dangling");
    let mut client = server.log_in();
    for (from, to) in [("link", "link2"), ("dangling", "dangling2")] {
        client.send(format!("RNFR {from}")).expect(350);
        client.send(format!("RNTO {to}")).expect(250);
    }
    assert_eq!(server.names(""), ["dangling2", "file", "link2"]);
    assert!(server.path("link2").symlink_metadata().expect("it is there").is_symlink());
}

#[test]
fn what_cannot_be_moved_stays() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.mkdir("full");
    server.write("full/file", "x");
    server.write("file", "x");
    let mut client = server.log_in();
    for (from, to) in [
        ("sub", "sub/deeper"),
        ("sub", "full"),
        ("sub", "file"),
        ("file", "sub"),
        ("/", "x"),
        ("file", "/"),
        (".", "x"),
    ] {
        if client.send(format!("RNFR {from}")).expect_any(&[350, 550, 553]).code == 350 {
            client.send(format!("RNTO {to}")).expect_any(&[550, 553]);
        }
    }
    assert_eq!(server.names(""), ["file", "full", "sub"]);
}

#[test]
fn a_name_that_ends_with_a_slash_is_a_folder() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    let mut client = server.log_in();
    client.send("RNFR sub/").expect(350);
    client.send("RNTO moved/").expect(250);
    assert_eq!(server.names(""), ["moved"]);
}
