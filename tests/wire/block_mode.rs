//! MODE B: blocks, their end marks, and a data connection for many files. RFC 959 section 3.4.2.

use std::io::{Read, Write};

use crate::client::{Client, Via, reset_on_drop};
use crate::server::{Server, wait_until};
use crate::store::noise;

const RECORD_ENDS: u8 = 128;
const FILE_ENDS: u8 = 64;
const SUSPECT: u8 = 32;
const MARKER: u8 = 16;

fn block(descriptor: u8, content: &[u8]) -> Vec<u8> {
    let count = u16::try_from(content.len()).expect("no block is longer");
    [&[descriptor][..], &count.to_be_bytes(), content].concat()
}

/// A file in blocks of `size`, the last of which says so.
fn blocks(file: &[u8], size: usize) -> Vec<u8> {
    let mut stream: Vec<u8> = file.chunks(size).flat_map(|part| block(0, part)).collect();
    stream.extend(block(FILE_ENDS, b""));
    stream
}

/// The next file that comes in blocks.
fn read_file(data: &mut impl Read) -> Vec<u8> {
    let mut file = Vec::new();
    loop {
        let mut header = [0; 3];
        data.read_exact(&mut header).expect("a header");
        let start = file.len();
        file.resize(start + usize::from(u16::from_be_bytes([header[1], header[2]])), 0);
        data.read_exact(&mut file[start..]).expect("the block is whole");
        assert_eq!(header[0] & !FILE_ENDS, 0, "descriptor {}", header[0]);
        if header[0] & FILE_ENDS != 0 {
            return file;
        }
    }
}

fn in_blocks(server: &Server) -> Client {
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    client.send("MODE B").expect(200);
    client
}

#[test]
fn one_data_connection_carries_many_files_both_ways() {
    let server = Server::start(&[]);
    let large = noise(3_000_000);
    server.write("large", &large);
    server.write("small", "content");
    server.write("empty", "");
    for via in [Via::Epsv, Via::Port] {
        let mut client = in_blocks(&server);
        client.via = via;
        let mut data = client.start("RETR large");
        assert!(read_file(&mut data) == large);
        client.expect(250);
        for (name, content) in [("small", "content"), ("empty", "")] {
            client.send(format!("RETR {name}")).expect(125);
            assert_eq!(read_file(&mut data), content.as_bytes());
            client.expect(250);
        }
        for (name, size) in [("a", 1), ("b", 1000), ("c", 65_535)] {
            client.send(format!("STOR {name}")).expect(125);
            data.write_all(&blocks(&large[..200_000], size)).expect("the server takes it");
            client.expect(250);
            assert!(server.read(name) == large[..200_000], "{name}");
        }
        client.send("STOR none").expect(125);
        data.write_all(&blocks(b"", 1)).expect("the server takes it");
        client.expect(250);
        assert_eq!(server.read("none"), b"");
        client.send("NLST").expect(125);
        assert_eq!(read_file(&mut data), b"a\r\nb\r\nc\r\nempty\r\nlarge\r\nnone\r\nsmall\r\n");
        client.expect(250);
        client.send("QUIT").expect(221);
        assert_eq!(client.read_to_end(data), b"");
        for name in ["a", "b", "c", "none"] {
            std::fs::remove_file(server.path(name)).expect("it was stored");
        }
    }
}

#[test]
fn a_text_has_network_lines_in_its_blocks() {
    let server = Server::start(&[]);
    let text = "a line\n".repeat(50_000);
    server.write("text", &text);
    let mut client = in_blocks(&server);
    client.send("TYPE A").expect(200);
    let mut data = client.start("RETR text");
    let sent = read_file(&mut data);
    assert!(sent == text.replace('\n', "\r\n").as_bytes());
    client.expect(250);
    client.send("STOR copy").expect(125);
    // Cut between CR and LF, too.
    data.write_all(&blocks(&sent, 7)).expect("the server takes it");
    client.expect(250);
    assert!(server.read("copy") == text.as_bytes());
}

#[test]
fn a_file_of_other_servers_descriptors_is_understood() {
    let server = Server::start(&[]);
    let mut client = in_blocks(&server);
    let stream = [
        block(RECORD_ENDS, b"one "),
        block(MARKER, b"123456"),
        block(0, b""),
        block(SUSPECT, b"two "),
        block(FILE_ENDS | RECORD_ENDS, b"three"),
    ];
    let mut data = client.start("STOR file");
    for byte in stream.concat() {
        data.write_all(&[byte]).expect("the server takes it");
    }
    client.expect(250);
    assert_eq!(server.read("file"), b"one two three");
    assert_eq!(client.send("SYST").expect(215).code, 215);
}

#[test]
fn what_follows_a_file_is_the_next_one() {
    let server = Server::start(&[]);
    let mut client = in_blocks(&server);
    let mut data = client.start("STOR one");
    client.send("STOR two").send("STOR three");
    let stream = [blocks(b"first", 2), blocks(&[b'x'; 300_000], 60_000), blocks(b"third", 5)].concat();
    data.write_all(&stream).expect("the server takes it");
    client.expect(250);
    for _ in 0..2 {
        client.expect(125);
        client.expect(250);
    }
    assert_eq!((server.read("one"), server.read("three")), (b"first".to_vec(), b"third".to_vec()));
    assert!(server.read("two") == [b'x'; 300_000]);
}

#[test]
fn a_stream_without_its_end_is_not_complete() {
    for options in [&[][..], &["--atomic-uploads"]] {
        let server = Server::start(options);
        let mut client = in_blocks(&server);
        let whole = blocks(b"a part, and all of it", 4);
        for length in [0, 2, 3, 5, 12, whole.len() - 3, whole.len() - 1] {
            let mut data = client.start("STOR file");
            data.write_all(&whole[..length]).expect("the server takes it");
            drop(data);
            client.expect(426);
            assert_eq!(server.exists("file"), options.is_empty(), "{length}");
        }
        // Nothing is left of the connection that broke.
        client.send("RETR none").expect(550);
        client.send("LIST").expect(425);
        let mut data = client.start("STOR file");
        data.write_all(&whole).expect("the server takes it");
        client.expect(250);
        assert_eq!(server.read("file"), b"a part, and all of it");
    }
}

#[test]
fn what_is_no_block_is_told() {
    let server = Server::start(&[]);
    let mut client = in_blocks(&server);
    for garbage in [&b"GET / HTTP/1.1\r\n"[..], &[1, 0, 0], &[0, 0, 1, b'x', 255, 255, 255]] {
        let mut data = client.start("STOR file");
        data.write_all(garbage).expect("the server takes it");
        client.expect(426);
        assert!(!matches!(data.read(&mut [0]), Ok(1..)));
        client.send("NOOP").expect(200);
    }
}

#[test]
fn an_open_data_connection_ends_with_a_new_data_port_or_mode_s() {
    let server = Server::start(&[]);
    server.write("file", "content");
    let mut client = in_blocks(&server);
    for command in ["PASV", "EPSV", "MODE S", "ABOR", "REIN"] {
        client.send("MODE B").expect(200);
        let mut data = client.start("RETR file");
        assert_eq!(read_file(&mut data), b"content");
        client.expect(250);
        assert!(client.send("STAT").expect(211).text().contains("Data connection open"));
        client.send(command).expect_any(&[200, 220, 225, 227, 229]);
        assert_eq!(client.read_to_end(data), b"", "{command}");
    }
    client.log_in();
    assert_eq!(client.retr("file"), b"content");
}

#[test]
fn a_client_may_close_the_data_connection_between_two_files() {
    let server = Server::start(&[]);
    server.write("file", "content");
    let mut client = in_blocks(&server);
    for reset in [false, true] {
        let mut data = client.start("RETR file");
        assert_eq!(read_file(&mut data), b"content");
        client.expect(250);
        if reset {
            reset_on_drop(&data);
        }
        drop(data);
        // The default data port is the client's own, where nobody listens.
        wait_until("the server has noticed", || {
            (client.send("RETR file").expect_any(&[125, 150, 425, 426]).code == 425 || {
                client.expect_any(&[250, 425, 426]);
                false
            })
            .then_some(())
        });
    }
    let mut data = client.start("RETR file");
    assert_eq!(read_file(&mut data), b"content");
    client.expect(250);
}

#[test]
fn abor_ends_the_file_and_the_connection() {
    let server = Server::start(&[]);
    server.write_sparse("big", 1 << 30);
    server.write("file", "content");
    let mut client = in_blocks(&server);
    let mut data = client.start("RETR big");
    data.read_exact(&mut [0; 100_000]).expect("it comes");
    client.send("ABOR").expect(426);
    client.expect_any(&[225, 226]);
    let _ = data.read_to_end(&mut Vec::new());
    let mut data = client.start("RETR file");
    assert_eq!(read_file(&mut data), b"content");
    client.expect(250);
}

#[test]
fn stou_names_its_file_with_125_too() {
    let server = Server::start(&[]);
    let mut client = in_blocks(&server);
    let mut data = client.start("STOU new");
    data.write_all(&blocks(b"one", 9)).expect("the server takes it");
    client.expect(250);
    let reply = client.send("STOU new").expect(125).text();
    assert!(reply.contains("FILE: new.1"), "{reply}");
    data.write_all(&blocks(b"two", 9)).expect("the server takes it");
    client.expect(250);
    assert_eq!(server.read("new.1"), b"two");
}

#[test]
fn a_restarted_transfer_goes_on_where_rest_says() {
    let server = Server::start(&[]);
    server.write("file", "0123456789");
    let mut client = in_blocks(&server);
    client.send("REST 7").expect(350);
    let mut data = client.start("RETR file");
    assert_eq!(read_file(&mut data), b"789");
    client.expect(250);
    client.send("REST 5").expect(350);
    client.send("STOR file").expect(125);
    data.write_all(&blocks(b"abcdef", 4)).expect("the server takes it");
    client.expect(250);
    assert_eq!(server.read("file"), b"01234abcdef");
    // What SIZE would have to count are blocks, headers and all.
    client.send("SIZE file").expect_any(&[504, 550]);
}

#[cfg(feature = "tls")]
#[test]
fn one_protected_data_connection_carries_many_files() {
    use crate::tls_client::{Pems, TlsClient, VERSIONS, config, secure};
    let pems = Pems::new();
    let server = pems.serve(&["rsa"], &[]);
    let content = noise(300_000);
    server.write("file", &content);
    for version in VERSIONS {
        let mut client = TlsClient::log_in(&server, config(&[version]));
        client.send("MODE B").expect(200);
        let address = client.epsv();
        client.send("RETR file").expect(150);
        let mut data =
            secure(&client.config, "localhost", crate::client::connect(address)).expect("the handshake");
        assert!(read_file(&mut data) == content);
        client.expect(250);
        client.send("STOR copy").expect(125);
        client.send("STOR next");
        data.write_all(&[blocks(&content, 999), blocks(b"next", 9)].concat()).expect("the server takes it");
        data.flush().expect("the server takes it");
        client.expect(250);
        client.expect(125);
        client.expect(250);
        assert!(server.read("copy") == content && server.read("next") == b"next");
        // What was protected is not used in the clear.
        client.send("PROT C").expect(200);
        client.send("LIST").expect(425);
        let mut rest = Vec::new();
        data.read_to_end(&mut rest).expect("the end is close_notify");
        assert!(rest.is_empty());
    }
}
