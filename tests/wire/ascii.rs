//! TYPE A: lines end with CRLF on the wire and with LF in the file, and nothing else changes
//! but that a file's own CRLF is one already.

use std::io::Write;

use crate::server::Server;
use crate::store::noise;

#[test]
fn ascii_is_what_a_session_starts_with() {
    let server = Server::start(&[]);
    server.write("text", "one\ntwo\n");
    assert_eq!(server.log_in().retr("text"), b"one\r\ntwo\r\n");
}

#[test]
fn lines_are_converted_on_their_way_out() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for (file, wire) in [
        ("", ""),
        ("\n", "\r\n"),
        ("\n\n\n", "\r\n\r\n\r\n"),
        ("no end", "no end"),
        ("a\nb", "a\r\nb"),
        // A line end of another system's is one already.
        ("a\r\nb\r", "a\r\nb\r"),
        ("a\r\r\n\nb", "a\r\r\n\r\nb"),
    ] {
        server.write("text", file);
        assert_eq!(client.retr("text"), wire.as_bytes(), "{file:?}");
    }
}

#[test]
fn lines_are_converted_on_their_way_in() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for (wire, file) in [
        ("", ""),
        ("\r\n", "\n"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("no end", "no end"),
        ("bare\nlf", "bare\nlf"),
        ("bare\rcr", "bare\rcr"),
        ("a\r\r\nb", "a\r\nb"),
        ("last\r", "last\r"),
        ("\r\r\r", "\r\r\r"),
    ] {
        client.stor("text", wire);
        assert_eq!(server.read("text"), file.as_bytes(), "{wire:?}");
    }
}

#[test]
fn a_line_end_cut_in_two_is_still_one() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let mut data = client.start("STOR text");
    data.set_nodelay(true).expect("a socket");
    for byte in b"one\r\ntwo\r\rthree\r\n\r" {
        data.write_all(&[*byte]).expect("the server takes it");
    }
    drop(data);
    client.expect(226);
    assert_eq!(server.read("text"), b"one\ntwo\r\rthree\n\r");
}

#[test]
fn long_texts_survive_both_ways() {
    // CR and LF in every combination, at every place of every buffer.
    let text: Vec<u8> = noise(3_000_000).iter().map(|byte| b"\r\n\n\rab"[usize::from(byte % 6)]).collect();
    let (mut wire, mut back) = (Vec::new(), Vec::new());
    for &byte in &text {
        if byte == b'\n' && wire.last() != Some(&b'\r') {
            wire.push(b'\r');
        }
        wire.push(byte);
    }
    for &byte in &wire {
        // Each LF of the wire has its CR.
        if byte == b'\n' {
            back.pop();
        }
        back.push(byte);
    }
    let server = Server::start(&[]);
    server.write("text", &text);
    let mut client = server.log_in();
    assert!(client.retr("text") == wire, "RETR");
    client.stor("back", &wire);
    assert!(server.read("back") == back, "STOR");
}

#[test]
fn appe_converts_as_stor_does() {
    let server = Server::start(&[]);
    server.write("text", "one\n");
    let mut client = server.log_in();
    client.upload("APPE text", "two\r\n");
    assert_eq!(server.read("text"), b"one\ntwo\n");
}

#[test]
fn size_in_ascii_is_what_retr_sends_or_no_number_at_all() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for text in ["", "\n", "a\nb\n", "a\r\nb", &"line\n".repeat(50_000)] {
        server.write("text", text);
        let reply = client.send("SIZE text").expect_any(&[213, 550]);
        if reply.code == 213 {
            let size: usize = reply.first().trim().parse().expect("a number");
            assert_eq!(size, client.retr("text").len(), "{:?}", &text[..text.len().min(20)]);
        }
    }
}

#[test]
fn listings_end_their_lines_with_crlf_in_every_type() {
    let server = Server::start(&[]);
    server.write("a", "");
    server.write("b", "");
    let mut client = server.log_in();
    for representation in ["A", "I"] {
        client.send(format!("TYPE {representation}")).expect(200);
        for command in ["LIST", "NLST", "MLSD", "LIST a", "NLST a"] {
            client.lines(command);
        }
    }
}
