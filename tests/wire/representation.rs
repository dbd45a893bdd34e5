//! TYPE E, STRU R and MODE C, alone and together: RFC 959 sections 3.1 and 3.4.

use std::io::Write;
use std::net::TcpStream;

use crate::client::Client;
use crate::server::Server;

fn client(server: &Server, parameters: &[&str]) -> Client {
    let mut client = server.log_in();
    for command in parameters {
        client.send(command).expect(200);
    }
    client
}

/// Sends `content` as it is, and closes the data connection.
fn store(client: &mut Client, name: &str, content: &[u8]) -> u16 {
    let mut data: TcpStream = client.start(format!("STOR {name}"));
    data.write_all(content).expect("the server takes it");
    drop(data);
    client.reply().code
}

#[test]
fn text_travels_in_ebcdic() {
    let server = Server::start(&[]);
    server.write("f", "Hi [0]\n");
    let mut client = client(&server, &["TYPE E"]);
    assert_eq!(client.download("RETR f"), b"\xC8\x89\x40\xAD\xF0\xBD\x15");
    assert_eq!(store(&mut client, "g", b"\xC8\x89\x40\xAD\xF0\xBD\x15"), 226);
    assert_eq!(server.read("g"), b"Hi [0]\n");
    client.send("SIZE f").expect(213);
    client.send("REST 3").expect(350);
    assert_eq!(client.download("RETR f"), b"\xAD\xF0\xBD\x15");
    // A listing is text too.
    assert_eq!(client.download("NLST"), b"\x86\x15\x87\x15");
    let other = Server::start(&["--ebcdic=037"]);
    other.write("f", "[");
    let mut client = self::client(&other, &["TYPE E N"]);
    assert_eq!(client.download("RETR f"), b"\xBA");
}

#[test]
fn records_are_lines_in_stream_mode() {
    let server = Server::start(&[]);
    server.write("f", b"one\n\nt\xFFwo");
    for parameters in [&["TYPE A", "STRU R"], &["TYPE I", "STRU R"]] {
        let mut client = client(&server, parameters);
        assert_eq!(client.download("RETR f"), b"one\xFF\x01\xFF\x01t\xFF\xFFwo\xFF\x02");
        assert_eq!(store(&mut client, "g", b"one\xFF\x01\xFF\x01t\xFF\xFFwo\xFF\x03"), 226);
        assert_eq!(server.read("g"), b"one\n\nt\xFFwo\n");
        // Without its end mark it is not the whole file.
        assert_eq!(store(&mut client, "h", b"one\xFF\x01"), 426);
        client.send("SIZE f").expect(504);
        client.send("REST 1").expect(504);
        client.send("STRU F").expect(200);
        client.send("TYPE I").expect(200);
        assert_eq!(client.retr("f"), server.read("f"));
    }
}

#[test]
fn compressed_mode_counts_runs_and_keeps_the_data_connection() {
    let server = Server::start(&[]);
    server.write("f", [&b"ab"[..], &[b' '; 10], b"c\n"].concat());
    let mut client = client(&server, &["TYPE A", "MODE C"]);
    let mut data = client.start("RETR f");
    let mut expect = |stream: &[u8]| {
        let mut bytes = vec![0; stream.len()];
        std::io::Read::read_exact(&mut data, &mut bytes).expect("it comes");
        assert_eq!(bytes, stream);
    };
    expect(b"\x02ab\xCA\x03c\r\n\x00\x40\xC0");
    client.expect_any(&[226, 250]);
    // The next one takes the same data connection.
    client.send("RETR f").expect(125);
    expect(b"\x02ab\xCA\x03c\r\n\x00\x40\xC0");
    client.expect_any(&[226, 250]);
    client.send("STOR g").expect(125);
    data.write_all(b"\x02ab\x8Ax\xC3\x02\r\n\x00\x40\xC0").expect("the server takes it");
    client.expect_any(&[226, 250]);
    assert_eq!(server.read("g"), [&b"ab"[..], &[b'x'; 10], b"   \n"].concat());
    client.send("STRU R").expect(200);
    client.send("STOR h").expect(125);
    data.write_all(b"\x00\x80\x03one\x03two\x00\x80\xC0\x00\x40\xC0").expect("the server takes it");
    client.expect_any(&[226, 250]);
    assert_eq!(server.read("h"), b"one\ntwo\n");
    client.send("SIZE f").expect(504);
}

#[test]
fn every_composition_gives_a_file_back() {
    let server = Server::start(&[]);
    let text: Vec<u8> = (0..5000_u32)
        .flat_map(|n| format!("line {n}{}\n", " ".repeat(n as usize % 90)).into_bytes())
        .collect();
    server.write("f", &text);
    for kind in ["A", "E", "I"] {
        for structure in ["F", "R"] {
            for mode in ["S", "B", "C"] {
                let parameters =
                    [format!("TYPE {kind}"), format!("STRU {structure}"), format!("MODE {mode}")];
                let mut client = client(&server, &parameters.each_ref().map(String::as_str));
                // Of the modes that keep the data connection, a new data port ends it.
                let mut data = client.start("RETR f");
                client.expect_any(&[226, 250]);
                client.send("MODE S").expect(200);
                let mut stream = Vec::new();
                std::io::Read::read_to_end(&mut data, &mut stream).expect("it comes");
                client.send(&parameters[2]).expect(200);
                assert_eq!(store(&mut client, "g", &stream) / 100, 2, "{parameters:?}");
                assert!(server.read("g") == text, "{parameters:?}");
            }
        }
    }
}

#[test]
fn what_there_is_not_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("STRU P").expect(504);
    client.send("MODE Z").expect(504);
    client.send("TYPE E X").expect(501);
    client.send("TYPE E C").expect(200);
    let status = client.send("STAT").expect(211).text();
    assert!(status.contains("TYPE: EBCDIC, FORM: Carriage Control"), "{status}");
}
