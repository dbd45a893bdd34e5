//! A name is bytes: each survives STOR, LIST, NLST, MLSD, MLST, RETR, RNFR and DELE.

use crate::client::{Client, verb};
use crate::server::Server;
use crate::test_support::Random;

fn awkward_names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        "two words",
        " leading",
        "trailing ",
        "   ",
        "\"quotes\"",
        "'single'",
        "a\\b",
        "-rf",
        "--",
        "-",
        "*",
        "?",
        "[a]",
        "{a,b}",
        "~",
        "~root",
        "%s%n%d",
        "$HOME",
        "`id`",
        ";ls",
        "|cat",
        "&",
        "<>",
        "#",
        "!",
        "a\tb",
        "a\nb",
        "\n",
        "a\n",
        "\nb",
        "a\rb",
        "\r",
        "a\r",
        "a\r\nb",
        "\x01\x02\x1b[31m",
        "\x7f",
        "caf\u{e9}",
        "\u{65e5}\u{672c}",
        "type=dir; x",
        "total 5",
        "226 done",
        "...",
        ".hidden",
        "..a",
        "a -> b",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.extend([
        b"\xff".to_vec(),
        b"\xff\xff".to_vec(),
        b"a\xffb".to_vec(),
        b"\xff\xf4\xff\xf2".to_vec(),
        b"\xff\xf0".to_vec(),
        b"latin\xe9".to_vec(),
        b"\xc3".to_vec(),
        b"\x80\xbf\xfe".to_vec(),
        vec![b'x'; 255],
        vec![0xFF; 255],
        vec![1; 255],
        vec![b'\r'; 255],
        vec![b'"'; 255],
    ]);
    names
}

#[test]
fn every_name_survives_the_round_trip() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for name in awkward_names() {
        file_survives(&server, &mut client, &name);
    }
}

#[test]
fn names_of_any_bytes_survive_the_round_trip() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let mut random = Random::new(10);
    // Every byte is in some of them, those that mean something to Telnet in many.
    let mut left: Vec<u8> = (1..=255).filter(|byte| !b"\r\n/".contains(byte)).collect();
    while !left.is_empty() {
        let mut name = random.bytes(6, b"\xFF\xFF\xFE\xFD\xFB\xFA\xF4\xF2\xF0\xEF\xE1 a~");
        for _ in 0..10 {
            if !left.is_empty() {
                name.insert(random.below(name.len()), left.swap_remove(random.below(left.len())));
            }
        }
        file_survives(&server, &mut client, &name);
        folder_survives(&server, &mut client, &name);
    }
}

/// NUL ends lines in no reply; CR and LF in a name are the other tests' business.
fn file_survives(server: &Server, client: &mut Client, name: &[u8]) {
    let shown = name.escape_ascii().to_string();
    client.stor(name, "content");
    assert_eq!(server.read(name), b"content", "STOR {shown}");

    assert_eq!(client.nlst(""), [name], "NLST after {shown}");
    let mlsd = client.mlsd("");
    assert!(mlsd.len() == 1 && mlsd[0].name == name, "MLSD after {shown}");
    let list = client.download("LIST");
    let line_end = [b" ".as_slice(), &as_nvt(name), b"\r\n"].concat();
    assert!(list.ends_with(&line_end), "LIST after {shown}: {}", list.escape_ascii());

    assert_eq!(client.retr(name), b"content", "RETR {shown}");
    client.send(verb("SIZE", name)).expect(213);
    client.send(verb("MDTM", name)).expect(213);
    client.send(verb("MFMT 20010909014640", name)).expect(213);
    if name.contains(&b'\n') {
        client.send(verb("MLST", name)).expect(250);
    } else {
        assert_eq!(client.mlst(name).name, [b"/", name].concat(), "MLST {shown}");
    }

    client.send(verb("RNFR", name)).expect(350);
    client.send("RNTO other").expect(250);
    client.send("RNFR other").expect(350);
    client.send(verb("RNTO", name)).expect(250);
    assert!(server.exists(name), "RNTO {shown}");
    client.upload(verb("APPE", name), "more");
    assert_eq!(server.read(name), b"contentmore", "APPE {shown}");
    client.send(verb("DELE", name)).expect(250);
    assert!(server.names("").is_empty(), "DELE {shown}");
}

#[test]
fn folders_have_every_name_too() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for name in awkward_names() {
        folder_survives(&server, &mut client, &name);
    }
}

fn folder_survives(server: &Server, client: &mut Client, name: &[u8]) {
    let shown = name.escape_ascii().to_string();
    let path = [b"/", name].concat();
    let made = client.send(verb("MKD", name)).expect(257);
    assert!(server.path(name).is_dir(), "MKD {shown}");
    client.send(verb("CWD", name)).expect(250);
    let told = client.send("PWD").expect(257);
    // A line end cannot be told.
    if !name.contains(&b'\n') {
        assert_eq!(made.quoted_path(), path, "MKD {shown}");
        assert_eq!(told.quoted_path(), path, "PWD in {shown}");
    }
    client.stor("file", "x");
    assert_eq!(client.nlst(""), [b"file"]);
    client.send("CWD /").expect(250);
    client.send(verb("DELE", [name, b"/file"].concat())).expect(250);
    client.send(verb("RMD", name)).expect(250);
}

#[test]
fn nlst_gives_awkward_names_that_retr_takes() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    for name in awkward_names() {
        server.write([b"sub/", name.as_slice()].concat(), &name);
    }
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    let names = client.nlst("sub");
    assert_eq!(names.len(), awkward_names().len());
    for name in names {
        let last = name.strip_prefix(b"sub/").expect("NLST of a folder names it");
        assert_eq!(client.retr(&name), last, "RETR {}", name.escape_ascii());
    }
}

#[test]
fn a_name_that_is_too_long_for_the_system_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let long = "x".repeat(256);
    client.refused(format!("STOR {long}"), &[550, 553]);
    client.send(format!("MKD {long}")).expect_any(&[550, 553]);
    client.send(format!("CWD {long}")).expect_any(&[550, 553]);
    client.send(format!("SIZE {long}")).expect_any(&[550, 553]);
    let deep = "x/".repeat(200);
    client.send(format!("CWD {deep}")).expect_any(&[550, 553]);
    client.send("NOOP").expect(200);
}

#[test]
fn a_reply_does_not_repeat_a_line_end_of_a_name() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for name in ["a\n230 Logged in.", "a\r\n230 Logged in.", "\r\n226 Done", "a\r226 Done"] {
        client.send(format!("DELE {name}")).expect(550);
        client.send(format!("CWD {name}")).expect(550);
        client.refused(format!("RETR {name}"), &[550]);
        client.send(format!("MKD {name}")).expect(257);
        client.send(format!("CWD {name}")).expect(250);
        client.send("PWD").expect(257);
        client.send("CWD /").expect(250);
        client.send(format!("RMD {name}")).expect(250);
        client.send("NOOP").expect(200);
    }
}

/// CR is CR NUL in NVT-ASCII.
fn as_nvt(name: &[u8]) -> Vec<u8> {
    name.iter().flat_map(|&byte| if byte == b'\r' { vec![b'\r', 0] } else { vec![byte] }).collect()
}
