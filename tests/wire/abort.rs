//! While bytes flow: ABOR in all its forms, STAT, QUIT, and clients that vanish.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::client::{Client, reset_on_drop};
use crate::server::{Server, wait_until};

/// Telnet: Interpret Process; Data Mark; what introduces them.
const IAC: u8 = 255;
const IP: u8 = 244;
const DM: u8 = 242;

const BIG: u64 = 1 << 30;

fn client_with_big_file(server: &Server) -> Client {
    server.write_sparse("big", BIG);
    server.write("file", "x");
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    client
}

/// A download of which some bytes have come, and which cannot end by itself.
fn amid_download(client: &mut Client) -> TcpStream {
    let mut data = client.start("RETR big");
    data.read_exact(&mut [0; 100_000]).expect("the file comes");
    data
}

fn expect_aborted(client: &mut Client, data: TcpStream) {
    client.expect(426);
    client.expect_any(&[226, 225]);
    drain(data);
    client.send("NOOP").expect(200);
    assert_eq!(client.retr("file"), b"x");
}

/// Reads until the end, however it ends.
fn drain(mut data: TcpStream) -> u64 {
    let mut count = 0;
    let mut buffer = vec![0; 1 << 16];
    while let Ok(n @ 1..) = data.read(&mut buffer) {
        count += n as u64;
    }
    count
}

#[test]
fn abor_without_a_transfer_has_nothing_to_do() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("ABOR").expect_any(&[225, 226]);
    client.pasv();
    client.send("ABOR").expect_any(&[225, 226]);
    client.send("NOOP").expect(200);
}

#[test]
fn abor_ends_a_download() {
    let server = Server::start(&[]);
    let mut client = client_with_big_file(&server);
    let data = amid_download(&mut client);
    client.send("ABOR");
    expect_aborted(&mut client, data);
}

#[test]
fn abor_in_lower_case_ends_a_download() {
    let server = Server::start(&[]);
    let mut client = client_with_big_file(&server);
    let data = amid_download(&mut client);
    client.send("abor");
    expect_aborted(&mut client, data);
}

#[test]
fn abor_after_telnet_ip_and_synch_ends_a_download() {
    // RFC 959 section 4.1.3: IP, then the Synch whose Data Mark is urgent.
    let server = Server::start(&[]);
    let mut client = client_with_big_file(&server);
    let data = amid_download(&mut client);
    client.raw([IAC, IP]).urgent(&[IAC, DM]).send("ABOR");
    expect_aborted(&mut client, data);
}

#[test]
fn abor_as_bsd_clients_send_it_ends_a_download() {
    // They mark the IAC before the Data Mark, as 4.3BSD counted.
    let server = Server::start(&[]);
    let mut client = client_with_big_file(&server);
    let data = amid_download(&mut client);
    client.urgent(&[IAC, IP, IAC]).raw([&[DM][..], b"ABOR\r\n"].concat());
    expect_aborted(&mut client, data);
}

#[test]
fn abor_that_is_urgent_as_a_whole_ends_a_download() {
    let server = Server::start(&[]);
    let mut client = client_with_big_file(&server);
    let data = amid_download(&mut client);
    client.urgent(&[IAC, IP]).urgent(&[IAC, DM]).urgent(b"ABOR\r\n");
    expect_aborted(&mut client, data);
}

#[test]
fn abor_after_urgent_pieces_of_a_telnet_command_is_understood() {
    // What pyftpdlib's tests send: each urgent octet but the last is found in the stream again.
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.urgent(&[IP]).urgent(&[IAC]).raw(b"abor\r\n").expect_any(&[225, 226]);
    client.send("NOOP").expect(200);
}

#[test]
fn abor_after_a_synch_that_is_not_urgent_ends_a_download() {
    // As proxies pass it on.
    let server = Server::start(&[]);
    let mut client = client_with_big_file(&server);
    let data = amid_download(&mut client);
    client.raw([&[IAC, IP, IAC, DM][..], b"ABOR\r\n"].concat());
    expect_aborted(&mut client, data);
}

#[test]
fn abor_byte_by_byte_ends_a_download() {
    let server = Server::start(&[]);
    let mut client = client_with_big_file(&server);
    let data = amid_download(&mut client);
    for byte in [&[IAC, IP, IAC, DM][..], b"ABOR\r\n"].concat() {
        client.raw([byte]);
    }
    expect_aborted(&mut client, data);
}

#[test]
fn abor_ends_an_upload_and_leaves_what_arrived() {
    let server = Server::start(&[]);
    let mut client = client_with_big_file(&server);
    let mut data = client.start("STOR new");
    data.write_all(&[b'x'; 300_000]).expect("the server takes it");
    wait_until("the bytes are in the file", || {
        (server.exists("new") && server.read("new").len() == 300_000).then_some(())
    });
    client.send("ABOR");
    expect_aborted(&mut client, data);
    assert_eq!(server.read("new").len(), 300_000);
}

#[test]
fn an_aborted_upload_is_deleted_on_request() {
    let server = Server::start(&["--delete-aborted"]);
    let mut client = client_with_big_file(&server);
    let mut data = client.start("STOR new");
    data.write_all(&[b'x'; 300_000]).expect("the server takes it");
    client.send("ABOR");
    expect_aborted(&mut client, data);
    assert!(!server.exists("new"));

    let mut data = client.start("STOR new");
    data.write_all(&[b'x'; 300_000]).expect("the server takes it");
    reset_on_drop(&data);
    drop(data);
    client.expect_any(&[426, 451]);
    assert!(!server.exists("new"));
}

#[test]
fn abor_ends_a_listing() {
    let server = Server::start(&[]);
    server.write("file", "x");
    server.mkdir("many");
    for n in 0..20_000 {
        let name = format!("many/{n:0200}");
        std::os::unix::fs::symlink("x", server.path(name)).expect("a new link");
    }
    let mut client = server.log_in();
    let mut data = client.start("LIST many");
    data.read_exact(&mut [0; 1000]).expect("it comes");
    client.send("ABOR");
    // A listing that fits the sockets' buffers has ended before.
    client.expect_any(&[426, 226]);
    client.expect_any(&[225, 226]);
    drain(data);
    client.send("NOOP").expect(200);
    assert_eq!(client.retr("file"), b"x");
}

#[test]
fn abor_ends_the_wait_for_a_data_connection() {
    let server = Server::start(&[]);
    let mut client = client_with_big_file(&server);
    client.pasv();
    client.send("RETR big");
    client.send("ABOR");
    let mut reply = client.reply();
    if reply.code == 150 {
        reply = client.reply();
    }
    assert!([425, 426].contains(&reply.code), "{}", reply.text());
    client.expect_any(&[225, 226]);
    assert_eq!(client.retr("file"), b"x");
}

#[test]
fn abor_and_the_end_of_the_client_end_the_search_for_a_restart() {
    // To find a byte in TYPE A, the file must be read from its beginning.
    let server = Server::start(&["--max-clients", "1"]);
    for command in ["RETR huge", "STOR huge"] {
        let mut client = server.log_in_when_there_is_room();
        server.write_sparse("huge", 1 << 42);
        client.send("TYPE A").expect(200);
        client.pasv();
        client.send(format!("REST {}", 1u64 << 41)).expect(350);
        client.send(command).send("ABOR");
        client.expect(426);
        client.expect(226);
        client.send(format!("REST {}", 1u64 << 41)).expect(350);
        client.send(command);
        drop(client);
        drop(server.log_in_when_there_is_room());
    }
}

#[test]
fn abor_after_the_end_of_a_transfer_is_answered_once() {
    let server = Server::start(&[]);
    let mut client = client_with_big_file(&server);
    assert_eq!(client.retr("file"), b"x");
    client.send("ABOR").expect_any(&[225, 226]);
    client.send("NOOP").expect(200);
}

#[test]
fn two_abors_are_two_answers() {
    let server = Server::start(&[]);
    let mut client = client_with_big_file(&server);
    let data = amid_download(&mut client);
    client.send("ABOR").send("ABOR").send("NOOP");
    client.expect(426);
    client.expect_any(&[225, 226]);
    client.expect_any(&[225, 226]);
    client.expect(200);
    drain(data);
}

#[test]
fn abor_works_many_times_in_one_session() {
    let server = Server::start(&[]);
    let mut client = client_with_big_file(&server);
    for _ in 0..20 {
        let data = amid_download(&mut client);
        client.send("ABOR");
        expect_aborted(&mut client, data);
    }
}

#[test]
fn stat_tells_how_far_a_download_is() {
    let server = Server::start(&[]);
    let mut client = client_with_big_file(&server);
    let data = amid_download(&mut client);
    let told = |client: &mut Client| {
        let reply = client.expect_any(&[211, 213]).text();
        let digits: Vec<u64> = reply
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .filter(|&number| (100_000..BIG).contains(&number))
            .collect();
        assert!(!digits.is_empty(), "how many bytes: {reply}");
    };
    client.send("STAT");
    told(&mut client);
    client.raw([IAC, IP]).urgent(&[IAC, DM]).send("STAT");
    told(&mut client);
    client.send("ABOR");
    expect_aborted(&mut client, data);
}

#[test]
fn stat_does_not_harm_an_upload() {
    let server = Server::start(&[]);
    let mut client = client_with_big_file(&server);
    let content = crate::store::noise(2_000_000);
    let mut data = client.start("STOR new");
    for part in content.chunks(200_000) {
        data.write_all(part).expect("the server takes it");
        client.send("STAT").expect_any(&[211, 213]);
    }
    drop(data);
    client.expect(226);
    assert!(server.read("new") == content);
}

#[test]
fn a_urgent_stat_during_a_slow_transfer_does_not_harm_it() {
    let server = Server::start(&[]);
    let content = crate::store::noise(3_000_000);
    server.write("noise", &content);
    let mut client = client_with_big_file(&server);
    let mut data = client.start("RETR noise");
    let mut got = vec![0; 1000];
    data.read_exact(&mut got).expect("it comes");
    client.raw([IAC, IP]).urgent(&[IAC, DM]).send("STAT");
    // The transfer may be over by the time the server sees it.
    let first = client.expect_any(&[211, 213, 226]).code;
    got.extend(client.read_to_end(data));
    client.expect_any(if first == 226 { &[211, 213] } else { &[226] });
    assert!(got == content);
}

#[test]
fn quit_during_a_transfer_waits_for_its_end() {
    let server = Server::start(&[]);
    let content = crate::store::noise(20_000_000);
    server.write("noise", &content);
    let mut client = client_with_big_file(&server);
    let mut data = client.start("RETR noise");
    let mut got = vec![0; 1000];
    data.read_exact(&mut got).expect("it comes");
    client.send("QUIT");
    got.extend(client.read_to_end(data));
    assert!(got == content);
    client.expect(226);
    client.expect(221);
    client.expect_end();
}

#[test]
fn other_commands_during_a_transfer_are_answered_after_it_in_order() {
    let server = Server::start(&[]);
    let content = crate::store::noise(20_000_000);
    server.write("noise", &content);
    let mut client = client_with_big_file(&server);
    let mut data = client.start("RETR noise");
    let mut got = vec![0; 1000];
    data.read_exact(&mut got).expect("it comes");
    client.send("PWD").send("SYST").send("RNTO x").send("NOOP");
    got.extend(client.read_to_end(data));
    assert!(got == content);
    for code in [226, 257, 215, 503, 200] {
        client.expect(code);
    }
}

#[test]
fn many_commands_during_a_transfer_do_not_stop_it() {
    let server = Server::start(&[]);
    let content = crate::store::noise(20_000_000);
    server.write("noise", &content);
    let mut client = client_with_big_file(&server);
    let mut data = client.start("RETR noise");
    let mut got = vec![0; 1000];
    data.read_exact(&mut got).expect("it comes");
    client.raw("NOOP\r\n".repeat(2000));
    got.extend(client.read_to_end(data));
    assert!(got == content);
    client.expect(226);
    for _ in 0..2000 {
        client.expect(200);
    }
}

#[test]
fn a_client_that_closes_the_data_connection_ends_the_download() {
    let server = Server::start(&[]);
    let mut client = client_with_big_file(&server);
    for reset in [false, true] {
        let data = amid_download(&mut client);
        if reset {
            reset_on_drop(&data);
        }
        drop(data);
        client.expect_any(&[426, 451]);
        assert_eq!(client.retr("file"), b"x");
    }
}

#[test]
fn a_broken_upload_leaves_what_arrived() {
    let server = Server::start(&[]);
    let mut client = client_with_big_file(&server);
    let mut data = client.start("STOR new");
    data.write_all(&[b'x'; 50_000]).expect("the server takes it");
    wait_until("the bytes are in the file", || {
        (server.exists("new") && server.read("new").len() == 50_000).then_some(())
    });
    reset_on_drop(&data);
    drop(data);
    client.expect_any(&[426, 451]);
    assert_eq!(server.read("new").len(), 50_000);
    client.stor("new", "whole");
    assert_eq!(server.read("new"), b"whole");
}

#[test]
fn a_client_that_vanishes_amid_a_transfer_gives_its_place_back() {
    let server = Server::start(&["--max-clients", "1"]);
    server.write_sparse("big", BIG);
    for command in ["RETR big", "STOR new"] {
        for how in 0..4 {
            let mut client = server.log_in_when_there_is_room();
            client.send("TYPE I").expect(200);
            let mut data = client.start(command);
            if command == "RETR big" {
                data.read_exact(&mut [0; 1000]).expect("it comes");
            }
            match how {
                0 => client.vanish(),
                1 => drop(client),
                2 => {
                    reset_on_drop(&data);
                    drop(data);
                    client.vanish();
                    continue;
                }
                // The control connection alone is gone; nobody reads or closes the data connection.
                _ => {
                    client.vanish();
                    drop(server.log_in_when_there_is_room());
                }
            }
            drop(data);
        }
    }
    server.log_in_when_there_is_room();
}

#[test]
fn a_client_that_says_goodbye_by_closing_amid_an_upload_keeps_what_it_sent() {
    let server = Server::start(&["--max-clients", "1"]);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    let mut data = client.start("STOR new");
    data.write_all(&[b'x'; 10_000]).expect("the server takes it");
    wait_until("the bytes are in the file", || {
        (server.exists("new") && server.read("new").len() == 10_000).then_some(())
    });
    client.vanish();
    drop(server.log_in_when_there_is_room());
    assert_eq!(server.read("new").len(), 10_000);
    drop(data);
}
