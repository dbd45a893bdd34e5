//! REST: the rest of a file, in bytes of the representation type.

use std::io::{Read, Write};

use crate::client::reset_on_drop;
use crate::server::Server;
use crate::store::noise;

#[test]
fn retr_goes_on_from_where_rest_says() {
    let server = Server::start(&[]);
    let content = noise(300_000);
    server.write("file", &content);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    for offset in [0, 1, 4096, 65_537, 299_999, 300_000] {
        client.send(format!("REST {offset}")).expect(350);
        assert!(client.retr("file") == content[offset..], "from {offset}");
    }
}

#[test]
fn rest_may_come_before_or_after_the_data_port() {
    let server = Server::start(&[]);
    server.write("file", "0123456789");
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    client.send("REST 7").expect(350);
    let address = client.pasv();
    let data = crate::client::connect(address);
    client.send("RETR file").expect_any(&[125, 150]);
    assert_eq!(client.read_to_end(data), b"789");
    client.expect(226);

    let address = client.pasv();
    let data = crate::client::connect(address);
    client.send("REST 8").expect(350);
    client.send("RETR file").expect_any(&[125, 150]);
    assert_eq!(client.read_to_end(data), b"89");
    client.expect(226);
}

#[test]
fn rest_counts_for_one_transfer() {
    let server = Server::start(&[]);
    server.write("file", "0123456789");
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    client.send("REST 7").expect(350);
    assert_eq!(client.retr("file"), b"789");
    assert_eq!(client.retr("file"), b"0123456789");
    client.send("REST 7").expect(350);
    client.refused("RETR none", &[550]);
    assert_eq!(client.retr("file"), b"0123456789");
}

#[test]
fn rest_zero_takes_rest_back() {
    let server = Server::start(&[]);
    server.write("file", "0123456789");
    let mut client = server.log_in();
    client.send("REST 5").expect(350);
    client.send("REST 0").expect(350);
    assert_eq!(client.retr("file"), b"0123456789");
}

#[test]
fn past_the_end_of_a_file_there_is_nothing() {
    let server = Server::start(&[]);
    server.write("file", "0123456789");
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    for offset in ["11", "1000000", "9223372036854775807", "18446744073709551615"] {
        if client.send(format!("REST {offset}")).expect_any(&[350, 501, 554]).code == 350 {
            match client.try_start("RETR file") {
                Ok(data) => {
                    assert_eq!(client.read_to_end(data), b"", "from {offset}");
                    client.expect_any(&[226, 451, 550, 551, 554]);
                }
                Err(reply) => assert!([450, 451, 550, 551, 554].contains(&reply.code), "{}", reply.text()),
            }
        }
    }
    assert_eq!(client.retr("file"), b"0123456789");
}

#[test]
fn rest_wants_a_number() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for argument in ["x", "-1", "1x", "1.5", "0x10", "99999999999999999999", "+", "1 2", "\u{661}"] {
        client.send(format!("REST {argument}")).expect(501);
    }
}

#[test]
fn stor_goes_on_from_where_rest_says() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    let content = noise(200_000);
    server.write("file", &content[..100_000]);
    client.send("REST 100000").expect(350);
    client.stor("file", &content[100_000..]);
    assert!(server.read("file") == content);

    server.write("file", "0123456789");
    client.send("REST 5").expect(350);
    client.stor("file", "abcdefgh");
    assert_eq!(server.read("file"), b"01234abcdefgh");
    client.stor("file", "whole");
    assert_eq!(server.read("file"), b"whole");
}

#[test]
fn stor_keeps_what_stands_before_the_offset() {
    let server = Server::start(&[]);
    server.write("file", "0123456789");
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    client.send("REST 5").expect(350);
    client.stor("file", "abc");
    let stored = server.read("file");
    // What stood after it may stay, as with BSD's ftpd, or go.
    assert!(stored == b"01234abc" || stored == b"01234abc89", "{}", stored.escape_ascii());
}

#[test]
fn a_broken_download_is_taken_up_again() {
    let server = Server::start(&[]);
    let content = noise(8_000_000);
    server.write("file", &content);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    let mut data = client.start("RETR file");
    let mut got = vec![0; 1_000_000];
    data.read_exact(&mut got).expect("the first part comes");
    reset_on_drop(&data);
    drop(data);
    client.expect_any(&[426, 451]);
    client.send(format!("REST {}", got.len())).expect(350);
    got.extend(client.retr("file"));
    assert!(got == content);
}

#[test]
fn a_broken_upload_is_taken_up_again() {
    let server = Server::start(&[]);
    let content = noise(3_000_000);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    let mut data = client.start("STOR file");
    data.write_all(&content[..1_234_567]).expect("the server takes it");
    crate::server::wait_until("the server has written what it has", || {
        (server.exists("file") && server.read("file").len() == 1_234_567).then_some(())
    });
    client.send("ABOR");
    client.expect_any(&[426, 226]);
    client.expect_any(&[226, 225]);
    drop(data);
    let size: usize = client.send("SIZE file").expect(213).first().parse().expect("a number");
    assert!(server.read("file") == content[..size]);
    client.send(format!("REST {size}")).expect(350);
    client.stor("file", &content[size..]);
    assert!(server.read("file") == content);
}

#[test]
fn in_ascii_rest_counts_converted_bytes_or_is_refused() {
    let server = Server::start(&[]);
    server.write("text", "one\n\ntwo\nend");
    let wire = b"one\r\n\r\ntwo\r\nend";
    let mut client = server.log_in();
    assert_eq!(client.retr("text"), wire);
    for offset in 0..=wire.len() {
        if client.send(format!("REST {offset}")).expect_any(&[350, 501, 504, 550, 554]).code == 350 {
            match client.try_start("RETR text") {
                Ok(data) => {
                    assert_eq!(
                        client.read_to_end(data).escape_ascii().to_string(),
                        wire[offset..].escape_ascii().to_string()
                    );
                    client.expect(226);
                }
                Err(reply) => assert!([501, 504, 550, 551, 554].contains(&reply.code), "{}", reply.text()),
            }
        }
    }
}

#[test]
fn in_ascii_stor_goes_on_at_the_converted_byte() {
    for options in [&[][..], &["--atomic-uploads"]] {
        let server = Server::start(options);
        let mut client = server.log_in();
        for (offset, expected) in [(0, "X\n"), (1, "aX\n\n"), (3, "a\nX\n"), (4, "a\nbX\n"), (6, "a\nb\nX\n")]
        {
            server.write("text", "a\nb\n");
            client.send(format!("REST {offset}")).expect(350);
            client.stor("text", "X\r\n");
            let stored = String::from_utf8(server.read("text")).expect("text");
            // What stood after it may stay, or go.
            assert!(stored.starts_with(expected.trim_end()), "from {offset}: {stored:?}");
        }
        server.write("text", "a\nb\n");
        for offset in [2, 5, 7] {
            client.send(format!("REST {offset}")).expect(350);
            client.refused("STOR text", &[554]);
        }
        assert_eq!(server.read("text"), b"a\nb\n");
    }
}

#[test]
fn a_long_text_that_broke_off_is_taken_up_again() {
    let server = Server::start(&[]);
    let text = "a line of some length\n".repeat(100_000);
    let wire = text.replace('\n', "\r\n");
    let mut client = server.log_in();
    server.write("text", &text.as_bytes()[..1_000_003]);
    let size: usize = client.send("SIZE text").expect(213).first().parse().expect("a number");
    client.send(format!("REST {size}")).expect(350);
    client.stor("text", &wire.as_bytes()[size..]);
    assert!(server.read("text") == text.as_bytes());
}

#[test]
fn appe_adds_at_the_end_whatever_rest_says() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for command in ["TYPE A", "TYPE I"] {
        client.send(command).expect(200);
        server.write("text", "a\nb\n");
        client.send("REST 3").expect(350);
        client.upload("APPE text", "c\r\n");
        assert!(server.read("text").starts_with(b"a\nb\nc"), "{command}");
    }
}

#[test]
fn the_restart_offset_may_be_a_large_one() {
    let server = Server::start(&[]);
    server.write_sparse("big", 5_000_000_000);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    assert_eq!(client.send("SIZE big").expect(213).first(), "5000000000");
    client.send("REST 4999999990").expect(350);
    assert_eq!(client.retr("big"), [0; 10]);
}

#[test]
fn a_restart_inside_what_is_not_there_makes_nothing() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    for command in ["STOR new", "STOU", "STOU new"] {
        client.send("REST 10").expect(350);
        client.refused(command, &[554]);
    }
    assert!(server.names("").is_empty());
    client.stor("new", "and the next upload begins at its beginning");
    assert_eq!(server.read("new"), b"and the next upload begins at its beginning");
}

#[test]
fn a_listing_uses_up_a_restart() {
    let server = Server::start(&[]);
    server.write("file", "content");
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    client.send("REST 4").expect(350);
    assert_eq!(client.names(""), ["file"]);
    assert_eq!(client.retr("file"), b"content");
}
