//! RETR, STOR, STOU, APPE and ALLO: what becomes of the bytes, and of the file.

use std::io::Write;

use rustix::fs::{CWD, Mode, mkfifoat};

use crate::client::{Client, DataPort, Via};
use crate::server::Server;
use crate::test_support::Random;

/// Bytes without a pattern that a buffer's length could hide.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut random = Random::new(1);
    std::iter::repeat_with(|| random.next().to_le_bytes()[0]).take(len).collect()
}

#[test]
fn image_files_come_back_as_they_went() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    for len in [0, 1, 511, 512, 65_536, 65_537, 1 << 20, 5_000_001] {
        let content = noise(len);
        client.stor("file", &content);
        assert!(server.read("file") == content, "{len} bytes were stored otherwise");
        assert!(client.retr("file") == content, "{len} bytes came back otherwise");
    }
}

#[test]
fn the_preliminary_reply_tells_the_size() {
    let server = Server::start(&[]);
    server.write("file", vec![b'x'; 12_345]);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    let address = client.pasv();
    let data = crate::client::connect(address);
    let reply = client.send("RETR file").expect_any(&[125, 150]);
    assert!(reply.text().contains("(12345 bytes)"), "{}", reply.text());
    client.read_to_end(data);
    client.expect(226);
}

#[test]
fn retr_of_what_is_no_plain_file_is_refused_before_it_begins() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.write("file", "x");
    mkfifoat(CWD, server.path("fifo"), Mode::from_raw_mode(0o666)).expect("a new fifo");
    let mut client = server.log_in();
    for name in ["none", "sub", "/", "fifo", "file/x", "sub/none"] {
        client.refused(format!("RETR {name}"), &[550]);
    }
    client.send("NOOP").expect(200);
}

#[test]
fn stor_to_where_no_file_can_be_is_refused_before_it_begins() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.write("file", "x");
    mkfifoat(CWD, server.path("fifo"), Mode::from_raw_mode(0o666)).expect("a new fifo");
    let mut client = server.log_in();
    for verb in ["STOR", "APPE"] {
        for name in ["none/file", "sub", "/", "fifo", "file/x"] {
            client.refused(format!("{verb} {name}"), &[550, 553]);
        }
    }
    assert_eq!(server.names(""), ["fifo", "file", "sub"]);
}

#[test]
fn a_shorter_file_replaces_a_longer_one_whole() {
    let server = Server::start(&[]);
    server.write("file", "a long content");
    let mut client = server.log_in();
    client.stor("file", "short");
    assert_eq!(server.read("file"), b"short");
}

#[test]
fn a_stor_without_data_connection_leaves_the_old_content() {
    let server = Server::start(&["--data-timeout", "1"]);
    server.write("file", "old");
    let mut client = server.log_in();
    client.pasv();
    if matches!(client.send("STOR file").expect_any(&[125, 150, 425]).code, 125 | 150) {
        client.expect(425);
    }
    assert_eq!(server.read("file"), b"old");
    client.stor("file", "new");
    assert_eq!(server.read("file"), b"new");
}

#[test]
fn appe_adds_to_a_file_or_makes_it() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.upload("APPE log", "one\r\n");
    client.upload("APPE log", "two\r\n");
    client.send("TYPE I").expect(200);
    client.upload("APPE log", b"three\n");
    assert_eq!(server.read("log"), b"one\ntwo\nthree\n");
}

/// RFC 1123 section 4.1.2.9: `150 FILE: pppp`.
fn stou(client: &mut Client, command: &str, content: &[u8]) -> String {
    let address = client.pasv();
    let mut data = crate::client::connect(address);
    let reply = client.send(command).expect_any(&[125, 150]).text();
    data.write_all(content).expect("the server takes it");
    drop(data);
    client.expect(226);
    let name = reply.split_once("FILE: ").unwrap_or_else(|| panic!("a FILE: in {reply}")).1;
    name.trim_end().to_owned()
}

#[test]
fn stou_finds_a_name_and_tells_it() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let mut names = Vec::new();
    for content in ["one", "two", "three"] {
        let name = stou(&mut client, "STOU pref", content.as_bytes());
        assert_eq!(server.read(&name), content.as_bytes(), "{name}");
        names.push(name);
    }
    names.push(stou(&mut client, "STOU", b"four"));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(server.names("").len(), 4);
}

#[test]
fn stou_stores_where_the_client_is() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    let mut client = server.log_in();
    client.send("CWD sub").expect(250);
    stou(&mut client, "STOU file", b"x");
    assert_eq!(server.names("sub").len(), 1);
}

#[test]
fn allo_asks_whether_there_is_room() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("ALLO 1000").expect_any(&[200, 202]);
    client.send("ALLO 1000 R 80").expect_any(&[200, 202]);
    client.send("ALLO 1000000000000000000").expect_any(&[452, 552]);
    client.send("ALLO 99999999999999999999999999").expect_any(&[452, 501, 504, 552]);
    client.send("ALLO much").expect_any(&[500, 501]);
    client.send("ALLO -1").expect_any(&[500, 501]);
}

#[test]
fn new_files_and_folders_have_the_umask_applied() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.stor("file", "x");
    client.send("MKD folder").expect(257);
    assert_eq!((server.mode("file"), server.mode("folder")), (0o640, 0o750));

    let server = Server::start(&["-u", "077"]);
    let mut client = server.log_in();
    client.stor("file", "x");
    client.upload("APPE appended", "x");
    stou(&mut client, "STOU unique", b"x");
    client.send("MKD folder").expect(257);
    for name in server.names("") {
        assert_eq!(server.mode(&name), if name == "folder" { 0o700 } else { 0o600 }, "{name}");
    }
}

#[test]
fn replacing_a_file_keeps_its_mode() {
    let server = Server::start(&[]);
    server.write("file", "old");
    server.set_mode("file", 0o604);
    server.log_in().stor("file", "new");
    assert_eq!(server.mode("file"), 0o604);
}

#[test]
fn a_file_is_stored_through_a_link_to_it() {
    let server = Server::start(&[]);
    server.write("file", "old");
    server.symlink("file", "link");
    server.log_in().stor("link", "new");
    assert_eq!(server.read("file"), b"new");
    assert!(server.path("link").symlink_metadata().expect("it is there").is_symlink());
}

#[test]
fn max_file_size_is_the_most_that_a_file_can_get() {
    let server = Server::start(&["--max-file-size", "1000"]);
    server.write("grown", vec![b'x'; 900]);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    client.stor("fits", noise(1000));
    for (command, before) in [("STOR new", None), ("APPE grown", None), ("STOR grown", Some("REST 900"))] {
        if let Some(before) = before {
            client.send(before).expect(350);
        }
        if let Ok(mut data) = client.try_start(command) {
            // The server may hang up before it has all of it.
            let _ = data.write_all(&noise(5000));
            drop(data);
            client.expect_any(&[552, 426, 451]);
        }
    }
    for name in server.names("") {
        assert!(server.read(&name).len() <= 1000, "{name}");
    }
    client.stor("fits", noise(999));
}

#[test]
fn two_clients_store_at_the_same_time() {
    let server = Server::start(&[]);
    let mut clients: Vec<(Client, std::net::TcpStream, Vec<u8>)> = (1..=8_usize)
        .map(|n| {
            let mut client = server.log_in();
            client.send("TYPE I").expect(200);
            let data = client.start(format!("STOR file{n}"));
            (client, data, noise(n * 100_000))
        })
        .collect();
    for part in 0..10 {
        for (_, data, content) in &mut clients {
            let piece = content.len() / 10;
            data.write_all(&content[part * piece..(part + 1) * piece]).expect("the server takes it");
        }
    }
    for (n, (mut client, data, content)) in (1..).zip(clients) {
        drop(data);
        client.expect(226);
        assert!(server.read(format!("file{n}")) == content, "file{n}");
    }
}

#[test]
fn the_data_connection_may_come_before_or_after_the_command() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    for via in [Via::Pasv, Via::Epsv] {
        client.via = via;
        let port = client.data_port();
        assert!(matches!(port, DataPort::Passive(_)));
        client.send("RETR file");
        let data = port.open();
        client.expect_any(&[125, 150]);
        assert_eq!(client.read_to_end(data), b"x");
        client.expect(226);
        assert_eq!(client.retr("file"), b"x");
    }
}

#[test]
fn a_client_that_closes_at_once_stores_an_empty_file() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.stor("empty", "");
    assert_eq!(server.read("empty"), b"");
}

#[test]
fn anonymous_adds_files_and_replaces_none_by_default() {
    let server = Server::start_by_default(&[]);
    server.write("file", "old");
    let mut client = server.log_in();
    client.stor("new", "new");
    assert_eq!(server.read("new"), b"new");
    // FreeBSD's ftpd stores it under a name of its own.
    if let Ok(mut data) = client.try_start("STOR file") {
        data.write_all(b"other").expect("the server takes it");
        drop(data);
        client.expect(226);
    }
    assert_eq!(server.read("file"), b"old");
}
