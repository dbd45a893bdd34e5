//! CWD, CDUP, PWD, MKD, RMD, DELE: the tree as the client sees it.

use std::fs;

use crate::server::Server;

#[test]
fn the_tree_starts_at_the_root() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    assert_eq!(client.send("PWD").expect(257).quoted_path(), b"/");
    assert_eq!(client.send("XPWD").expect(257).quoted_path(), b"/");
}

#[test]
fn cwd_and_cdup_move_about() {
    let server = Server::start(&[]);
    server.mkdir("a");
    server.mkdir("a/b");
    let mut client = server.log_in();
    let dialogue = [
        ("CWD a", "/a"),
        ("XCWD b", "/a/b"),
        ("CDUP", "/a"),
        ("CWD /a/b", "/a/b"),
        ("XCUP", "/a"),
        ("CWD ..", "/"),
        ("CDUP", "/"),
        ("CWD ..", "/"),
        ("CWD ../../..", "/"),
        ("CWD a/./b/../b//", "/a/b"),
        ("CWD .", "/a/b"),
        ("CWD ../..", "/"),
        ("CWD //a///b", "/a/b"),
        ("CWD /", "/"),
        ("cwd a", "/a"),
    ];
    for (command, now) in dialogue {
        client.send(command).expect_any(&[250, 200]);
        assert_eq!(client.send("PWD").expect(257).quoted_path(), now.as_bytes(), "{command}");
    }
}

#[test]
fn cwd_to_what_is_no_folder_changes_nothing() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.write("file", "x");
    let mut client = server.log_in();
    client.send("CWD sub").expect(250);
    for command in ["CWD none", "CWD /file", "CWD /file/", "CWD /file/..", "CWD none/..", "CWD /sub/none"] {
        let reply = client.send(command).reply();
        // `none/..` is the same folder where paths are made plain before they are looked up.
        assert!(reply.code == 550 || command.ends_with("..") && reply.code == 250, "{command}");
        if reply.code == 250 {
            client.send("CWD /sub").expect(250);
        }
        assert_eq!(client.send("PWD").expect(257).quoted_path(), b"/sub", "{command}");
    }
}

#[test]
fn mkd_tells_the_whole_path() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    assert_eq!(client.send("MKD one").expect(257).quoted_path(), b"/one");
    client.send("CWD one").expect(250);
    assert_eq!(client.send("XMKD two").expect(257).quoted_path(), b"/one/two");
    assert_eq!(client.send("MKD /one/two/three/").expect(257).quoted_path(), b"/one/two/three");
    assert_eq!(client.send("MKD ../four").expect(257).quoted_path(), b"/four");
    assert!(server.path("one/two/three").is_dir());
    assert!(server.path("four").is_dir());
}

#[test]
fn quotes_in_257_are_doubled() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let reply = client.send("MKD say \"hi\"").expect(257);
    assert!(reply.text().contains("\"/say \"\"hi\"\"\""), "{}", reply.text());
    client.send("CWD say \"hi\"").expect(250);
    let reply = client.send("PWD").expect(257);
    assert!(reply.text().contains("\"/say \"\"hi\"\"\""), "{}", reply.text());
}

#[test]
fn mkd_of_what_exists_or_has_no_parent_is_refused() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.write("file", "x");
    let mut client = server.log_in();
    for command in ["MKD sub", "MKD file", "MKD /", "MKD .", "MKD none/new", "MKD file/new", "MKD sub/.."] {
        client.send(command).expect_any(&[550, 521, 553]);
    }
    assert_eq!(server.names(""), ["file", "sub"]);
}

#[test]
fn rmd_removes_an_empty_folder_and_nothing_else() {
    let server = Server::start(&[]);
    for folder in ["empty", "empty2", "full"] {
        server.mkdir(folder);
    }
    server.write("full/file", "x");
    server.write("file", "x");
    let mut client = server.log_in();
    client.send("RMD empty").expect(250);
    client.send("XRMD /empty2/").expect(250);
    for command in ["RMD full", "RMD file", "RMD none", "RMD /", "RMD .", "RMD full/.."] {
        client.send(command).expect(550);
    }
    assert_eq!(server.names(""), ["file", "full"]);
    assert_eq!(server.names("full"), ["file"]);
}

#[test]
fn dele_removes_a_file_and_no_folder() {
    let server = Server::start(&[]);
    server.write("file", "x");
    server.mkdir("sub");
    let mut client = server.log_in();
    client.send("DELE file").expect(250);
    client.send("DELE file").expect(550);
    client.send("DELE sub").expect(550);
    client.send("DELE /").expect(550);
    assert_eq!(server.names(""), ["sub"]);
}

#[test]
fn dele_removes_a_link_and_not_what_it_points_to() {
    let server = Server::start(&[]);
    server.write("file", "x");
    server.symlink("file", "link");
    server.symlink("nowhere", "dangling");
    let mut client = server.log_in();
    client.send("DELE link").expect(250);
    client.send("DELE dangling").expect(250);
    assert_eq!(server.names(""), ["file"]);
}

#[test]
fn rmd_does_not_follow_a_link() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.symlink("sub", "link");
    let mut client = server.log_in();
    client.send("RMD link").expect(550);
    assert_eq!(server.names(""), ["link", "sub"]);
}

#[test]
fn a_link_to_a_folder_is_a_folder_with_its_own_name() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.mkdir("sub/deep");
    server.write("sub/deep/file", "x");
    server.symlink("sub/deep", "link");
    let mut client = server.log_in();
    client.send("CWD link").expect(250);
    assert_eq!(client.send("PWD").expect(257).quoted_path(), b"/link");
    assert_eq!(client.retr("file"), b"x");
    client.send("CDUP").expect_any(&[250, 200]);
    assert_eq!(client.send("PWD").expect(257).quoted_path(), b"/");
}

#[test]
fn an_absolute_link_starts_at_the_clients_root() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.write("sub/file", "inside");
    server.symlink("/sub", "link");
    server.mkdir("deep");
    server.symlink("../../../sub/file", "deep/up");
    let mut client = server.log_in();
    assert_eq!(client.retr("link/file"), b"inside");
    assert_eq!(client.retr("deep/up"), b"inside");
}

#[test]
fn a_link_that_points_to_itself_is_refused() {
    let server = Server::start(&[]);
    server.symlink("loop", "loop");
    server.symlink("pong", "ping");
    server.symlink("ping", "pong");
    let mut client = server.log_in();
    for command in ["CWD loop", "SIZE ping", "CWD ping/x", "MKD loop/x"] {
        client.send(command).expect(550);
    }
    client.refused("RETR loop", &[550]);
    client.send("DELE ping").expect(250);
}

#[test]
fn a_tilde_is_a_name_like_any_other() {
    let server = Server::start(&[]);
    server.mkdir("~");
    server.write("~/file", "x");
    let mut client = server.log_in();
    client.send("CWD ~").expect(250);
    assert_eq!(client.send("PWD").expect(257).quoted_path(), b"/~");
    assert_eq!(client.retr("/~/file"), b"x");
    client.send("CWD ~root").expect(550);
}

#[test]
fn wildcards_are_plain_characters_outside_listings() {
    let server = Server::start(&[]);
    server.write("a.txt", "a");
    server.write("b.txt", "b");
    let mut client = server.log_in();
    client.send("DELE *.txt").expect(550);
    client.send("SIZE ?.txt").expect(550);
    client.refused("RETR a*", &[550]);
    assert_eq!(server.names(""), ["a.txt", "b.txt"]);
}

#[test]
fn a_folder_removed_under_the_session_does_not_end_it() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.mkdir("sub/deep");
    server.write("file", "x");
    let mut client = server.log_in();
    client.send("CWD sub/deep").expect(250);
    fs::remove_dir_all(server.path("sub")).expect("our own folder");
    client.refused("LIST", &[450, 550]);
    client.refused("MLSD", &[450, 501, 550]);
    client.refused("STOR new", &[450, 550, 553]);
    client.send("MKD new").expect_any(&[550, 553]);
    client.send("CWD .").expect(550);
    client.send("PWD").expect_any(&[257, 550]);
    client.send("CDUP").expect_any(&[200, 250, 550]);
    client.send("CWD /").expect(250);
    assert_eq!(client.retr("file"), b"x");
}

#[test]
fn a_missing_argument_is_a_syntax_error() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for verb in [
        "MKD", "XMKD", "RMD", "XRMD", "DELE", "RNFR", "RETR", "STOR", "APPE", "SIZE", "MDTM", "REST", "TYPE",
        "STRU", "MODE", "PORT", "EPRT", "LPRT", "MFMT", "ALLO",
    ] {
        client.send(verb).expect_any(&[500, 501]);
        client.send(format!("{verb} ")).expect_any(&[500, 501]);
    }
}

#[test]
fn an_argument_to_a_command_that_has_none_is_no_reason_to_stop() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("PWD x").expect_any(&[257, 501]);
    client.send("SYST x").expect_any(&[215, 501]);
    client.send("NOOP x").expect_any(&[200, 501]);
    client.send("QUIT now").expect_any(&[221, 501]);
}

#[test]
fn permissions_are_asked_for_at_every_command() {
    let server = Server::start(&[]);
    server.mkdir("closed");
    server.write("closed/file", "secret");
    server.mkdir("closed/sub");
    server.mkdir("fixed");
    server.write("fixed/file", "x");
    server.mkdir("fixed/sub");
    server.write("unreadable", "secret");
    server.set_mode("closed", 0);
    server.set_mode("fixed", 0o555);
    server.set_mode("unreadable", 0);
    let mut client = server.log_in();
    let refusals = [550, 553, 450, 501];
    for command in [
        "CWD closed",
        "CWD closed/sub",
        "SIZE closed/file",
        "MDTM closed/file",
        "MLST closed/file",
        "DELE closed/file",
        "RMD closed/sub",
        "MKD closed/new",
        "RNFR closed/file",
        "MFMT 20200101000000 closed/file",
        "SITE CHMOD 644 closed/file",
        "STAT closed/file",
        "MKD fixed/new",
        "DELE fixed/file",
        "RMD fixed/sub",
    ] {
        client.send(command).expect_any(&refusals);
    }
    for command in [
        "LIST closed",
        "NLST closed",
        "MLSD closed",
        "LIST closed/file",
        "RETR closed/file",
        "RETR unreadable",
        "STOR closed/new",
        "STOR fixed/new",
        "APPE fixed/new",
        "STOU fixed/new",
        "APPE unreadable",
    ] {
        client.refused(command, &refusals);
    }
    client.send("RNFR fixed/file").expect_any(&[350, 550]);
    client.send("RNTO fixed/moved").expect_any(&[503, 550, 553]);
    server.set_mode("closed", 0o755);
    assert_eq!(server.names("closed"), ["file", "sub"]);
    assert_eq!(server.names("fixed"), ["file", "sub"]);
    client.send("NOOP").expect(200);
}
