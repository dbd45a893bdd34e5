//! -r, -o, -O, -M, -m and --no-...: what the administrator forbids.

use crate::client::Client;
use crate::server::Server;

/// Everything that changes a file, on a tree that `fill` made.
const CHANGES: &[&str] = &[
    "DELE file",
    "RMD sub",
    "XRMD sub",
    "MKD new",
    "XMKD new",
    "RNFR file",
    "SITE CHMOD 600 file",
    "MFMT 20010909014640 file",
    "SITE UTIME 20010909014640 file",
];
const UPLOADS: &[&str] = &["STOR new", "STOR file", "APPE file", "APPE new", "STOU", "STOU file"];

const REFUSALS: &[u16] = &[502, 550, 553];

fn fill(server: &Server) {
    server.write("file", "old");
    server.set_modified("file", 1);
    server.mkdir("sub");
}

#[track_caller]
fn expect_unchanged(server: &Server) {
    assert_eq!(server.names(""), ["file", "sub"]);
    assert_eq!(server.read("file"), b"old");
    assert_eq!(server.mode("file"), 0o644);
    assert_eq!(server.modified("file"), 1);
}

#[test]
fn nothing_is_changed_with_r() {
    let server = Server::start(&["-r"]);
    fill(&server);
    let mut client = server.log_in();
    for command in CHANGES {
        client.send(command).expect_any(REFUSALS);
    }
    client.send("RNTO other").expect_any(&[502, 503, 550]);
    for command in UPLOADS {
        client.refused(command, REFUSALS);
    }
    expect_unchanged(&server);
    assert_eq!(client.retr("file"), b"old");
    assert_eq!(client.names(""), ["file", "sub"]);
}

#[test]
fn nothing_is_sent_with_o() {
    let server = Server::start(&["-o"]);
    fill(&server);
    let mut client = server.log_in();
    client.refused("RETR file", REFUSALS);
    client.stor("new", "x");
    assert_eq!(server.read("new"), b"x");
}

#[test]
fn nothing_is_sent_to_anonymous_with_capital_o() {
    let server = Server::start(&["-O"]);
    fill(&server);
    let mut client = server.log_in();
    client.refused("RETR file", REFUSALS);
    client.stor("new", "x");
}

#[test]
fn anonymous_makes_no_folders_with_capital_m() {
    let server = Server::start(&["-M"]);
    let mut client = server.log_in();
    client.send("MKD new").expect_any(REFUSALS);
    client.send("XMKD new").expect_any(REFUSALS);
    client.stor("file", "x");
    assert_eq!(server.names(""), ["file"]);
}

#[test]
fn anonymous_changes_nothing_that_is_there_by_default() {
    let server = Server::start_by_default(&[]);
    fill(&server);
    let mut client = server.log_in();
    for command in [
        "DELE file",
        "RMD sub",
        "XRMD sub",
        "SITE CHMOD 600 file",
        "MFMT 20010909014640 file",
        "SITE UTIME 20010909014640 file",
    ] {
        client.send(command).expect_any(REFUSALS);
    }
    if client.send("RNFR file").expect_any(&[350, 502, 550, 553]).code == 350 {
        client.send("RNTO moved").expect_any(REFUSALS);
    }
    client.refused("APPE file", REFUSALS);
    expect_unchanged(&server);
    client.send("MKD new").expect(257);
    client.stor("added", "x");
    assert_eq!(server.read("added"), b"x");
}

#[test]
fn anonymous_does_not_rename_over_a_file_by_default() {
    let server = Server::start_by_default(&[]);
    server.write("file", "old");
    let mut client = server.log_in();
    client.stor("new", "new");
    if client.send("RNFR new").expect_any(&[350, 502, 550, 553]).code == 350 {
        client.send("RNTO file").expect_any(REFUSALS);
    }
    assert_eq!(server.read("file"), b"old");
}

#[test]
fn anonymous_does_not_write_into_a_file_by_restarting() {
    let server = Server::start_by_default(&[]);
    server.write("file", "0123456789");
    let mut client: Client = server.log_in();
    client.send("TYPE I").expect(200);
    client.send("REST 5").expect_any(&[350, 502, 550]);
    if let Ok(data) = client.try_start("STOR file") {
        drop(data);
        client.reply();
    }
    assert_eq!(server.read("file"), b"0123456789");
}

#[test]
fn no_delete_keeps_files_and_folders() {
    let server = Server::start(&["--no-delete"]);
    fill(&server);
    let mut client = server.log_in();
    for command in ["DELE file", "RMD sub", "XRMD sub"] {
        client.send(command).expect_any(REFUSALS);
    }
    expect_unchanged(&server);
    client.stor("new", "x");
}

#[test]
fn no_rename_keeps_names() {
    let server = Server::start(&["--no-rename"]);
    fill(&server);
    let mut client = server.log_in();
    client.send("RNFR file").expect_any(REFUSALS);
    client.send("RNTO other").expect_any(&[502, 503, 550]);
    expect_unchanged(&server);
    client.send("DELE file").expect(250);
}

#[test]
fn no_overwrite_keeps_content() {
    let server = Server::start(&["--no-overwrite"]);
    fill(&server);
    let mut client = server.log_in();
    for command in ["STOR file", "APPE file"] {
        client.refused(command, REFUSALS);
    }
    client.send("REST 1").expect_any(&[350, 502, 550]);
    client.refused("STOR file", REFUSALS);
    expect_unchanged(&server);
    client.stor("new", "x");
    assert_eq!(server.read("new"), b"x");
}

/// Whoever tries ferryd out in a folder does not open it to everybody's files; root's server keeps
/// the rule of every ftpd.
#[test]
fn an_ordinary_users_server_lets_anonymous_clients_read_only() {
    let is_root = rustix::process::geteuid().is_root();
    for (options, may) in [(&[][..], is_root), (&["--anonymous-write"], true)] {
        let server = Server::start_plain(options);
        server.write("there", "content");
        let mut client = server.log_in();
        client.send("TYPE I").expect(200);
        assert_eq!(client.retr("there"), b"content");
        if may {
            client.stor("new", "x");
            client.send("MKD dir").expect(257);
        } else {
            client.refused("STOR new", &[550, 553]);
            client.send("MKD dir").expect(550);
        }
        client.send("DELE there").expect(550);
    }
}
