//! SIGTERM and SIGINT let transfers finish; a second one does not. SIGHUP, SIGUSR1 and the signals of
//! calls and limits end nothing.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use rustix::process::Signal;

use crate::client::Client;
use crate::server::{Folder, Server, anonymous_options, wait_until};
use crate::test_support::Scratch;

/// A download of which the server has most still to send.
fn amid_download(server: &Server) -> (Client, TcpStream) {
    server.write_sparse("big", 64 << 20);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    let mut data = client.start("RETR big");
    data.read_exact(&mut [0; 1000]).expect("it comes");
    (client, data)
}

#[test]
fn a_server_without_clients_ends_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&[]);
        server.signal(signal);
        assert_eq!(server.exit_status().code(), Some(0));
    }
}

#[test]
fn idle_clients_are_told_and_the_server_ends() {
    let mut server = Server::start(&[]);
    let mut clients = [server.connect(), server.log_in(), server.log_in()];
    server.signal(Signal::TERM);
    for client in &mut clients {
        client.expect(421);
        client.expect_end();
    }
    assert_eq!(server.exit_status().code(), Some(0));
}

#[test]
fn a_running_download_finishes() {
    let mut server = Server::start(&[]);
    let mut idle = server.log_in();
    let (mut client, data) = amid_download(&server);
    server.signal(Signal::TERM);
    idle.expect(421);
    assert!(server.is_running());
    assert_eq!(client.read_to_end(data).len(), (64 << 20) - 1000);
    client.expect(226);
    client.expect_end();
    assert_eq!(server.exit_status().code(), Some(0));
}

#[test]
fn a_running_upload_finishes() {
    let mut server = Server::start(&[]);
    let mut idle = server.log_in();
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    let mut data = client.start("STOR new");
    data.write_all(&[b'x'; 1000]).expect("the server takes it");
    server.signal(Signal::TERM);
    idle.expect(421);
    data.write_all(&[b'y'; 1000]).expect("the server takes it");
    drop(data);
    client.expect(226);
    client.expect_end();
    assert_eq!(server.exit_status().code(), Some(0));
    assert_eq!(server.read("new").len(), 2000);
}

#[test]
fn nobody_new_is_served_while_the_server_goes_down() {
    let mut server = Server::start(&[]);
    let mut idle = server.log_in();
    let (mut client, data) = amid_download(&server);
    server.signal(Signal::TERM);
    idle.expect(421);
    if let Ok(stream) = TcpStream::connect(server.address()) {
        let mut greeting = Vec::new();
        let _ = (&stream).read_to_end(&mut greeting);
        assert!(greeting.is_empty() || greeting.starts_with(b"421"), "{}", greeting.escape_ascii());
    }
    client.read_to_end(data);
    client.expect(226);
    server.exit_status();
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&[]);
        let mut idle = server.log_in();
        let (_client, _data) = amid_download(&server);
        server.signal(Signal::TERM);
        idle.expect(421);
        assert!(server.is_running());
        server.signal(signal);
        server.exit_status();
    }
}

#[test]
fn a_client_in_the_middle_of_its_login_is_told() {
    let mut server = Server::start(&[]);
    let mut client = server.connect();
    client.send("USER anonymous").expect(331);
    server.signal(Signal::TERM);
    client.expect(421);
    client.expect_end();
    assert_eq!(server.exit_status().code(), Some(0));
}

#[test]
fn a_client_that_waits_for_a_data_connection_does_not_hold_the_server_up() {
    let mut server = Server::start(&["--data-timeout", "2"]);
    let mut client = server.log_in();
    server.write("file", "x");
    client.pasv();
    client.send("RETR file");
    server.signal(Signal::TERM);
    assert_eq!(server.exit_status().code(), Some(0));
}

#[test]
fn a_client_that_does_not_read_its_421_does_not_hold_the_server_up() {
    let mut server = Server::start(&[]);
    let mut client = server.log_in();
    // Enough replies that nobody reads to fill the sockets' buffers; the server may stop reading first.
    let mut stream = TcpStream::connect(server.address()).expect("the server accepts");
    stream.set_nonblocking(true).expect("a socket");
    let lines = "HELP\r\n".repeat(1000);
    let mut stuck = 0;
    wait_until("the server is stuck with its replies", || {
        match stream.write(lines.as_bytes()) {
            Ok(_) => stuck = 0,
            Err(_) => stuck += 1,
        }
        (stuck > 40).then_some(())
    });
    server.signal(Signal::TERM);
    client.expect(421);
    server.signal(Signal::TERM);
    server.exit_status();
}

#[test]
fn sighup_and_sigusr1_and_sigpipe_end_nothing() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    for signal in [Signal::HUP, Signal::USR1, Signal::PIPE] {
        server.signal(signal);
        assert_eq!(client.retr("file"), b"x");
        server.log_in();
    }
}

/// What `ulimit -f` allows is 64 KiB: sh counts in blocks of 512 bytes.
fn with_small_files(args: &[&str]) -> Server {
    let mut launcher = Command::new("sh");
    launcher.args(["-c", "ulimit -f 128; exec \"$@\"", "sh"]);
    let folder = Folder::new();
    let usual = ["-F", "-A", "-a", "127.0.0.1", "-P", "0", "-m"].map(OsString::from);
    let all = usual.into_iter().chain(anonymous_options(&folder)).chain(args.iter().map(OsString::from));
    let all: Vec<OsString> = all.collect();
    Server::start_by(launcher, folder, &all)
}

/// Sends more than that.
fn send_too_much(client: &mut Client, command: &str) -> u16 {
    let mut data = client.start(command);
    for _ in 0..64 {
        // The server may hang up before it has all of it.
        if data.write_all(&[b'x'; 65_536]).is_err() {
            break;
        }
    }
    drop(data);
    client.reply().code
}

#[test]
fn a_file_that_the_process_may_not_write_costs_one_transfer() {
    let server = with_small_files(&[]);
    let mut other = server.log_in();
    let mut client = server.log_in();
    for representation in ["I", "A"] {
        client.send(format!("TYPE {representation}")).expect(200);
        for command in ["STOR big", "APPE big", "STOU big"] {
            assert_eq!(send_too_much(&mut client, command), 552, "{command} in TYPE {representation}");
            client.send("NOOP").expect(200);
        }
    }
    other.send("TYPE I").expect(200);
    other.stor("small", "x");
    assert_eq!(server.read("small"), b"x");
}

#[test]
fn a_transfer_log_that_the_process_may_not_write_costs_nothing_else() {
    let scratch = Scratch::new();
    // One byte less than the limit: the next record does not fit.
    let xferlog = scratch.write("xferlog", vec![b'\n'; 65_535]);
    let mut server = with_small_files(&["-L", xferlog.to_str().expect("a plain path")]);
    let mut client = server.log_in();
    for _ in 0..3 {
        client.stor("small", "x");
        assert_eq!(client.retr("small"), b"x");
    }
    assert!(server.is_running());
    assert!(fs::metadata(&xferlog).expect("it is there").len() <= 65_536);
}

#[test]
fn signals_of_limits_and_timers_end_nothing() {
    let mut server = Server::start(&[]);
    let mut client = server.log_in();
    for signal in [Signal::XFSZ, Signal::XCPU, Signal::ALARM, Signal::VTALARM, Signal::PROF, Signal::IO] {
        server.signal(signal);
        client.send("NOOP").expect(200);
    }
    assert!(server.is_running());
}

#[test]
fn sigusr1_logs_how_many_clients_there_are() {
    let server = Server::start(&["-l"]);
    let _clients = [server.log_in(), server.log_in(), server.log_in()];
    server.signal(Signal::USR1);
    let line = server.log.wait_for("status:");
    assert!(line.contains("status: 3 of "), "{line}");
}

#[test]
fn ports_and_names_are_free_after_the_end() {
    let mut server = Server::start(&[]);
    let address = server.address();
    let mut idle = server.log_in();
    let (_client, _data) = amid_download(&server);
    server.signal(Signal::TERM);
    idle.expect(421); // Two signals sent at once are one.
    server.signal(Signal::TERM);
    server.exit_status();
    // The old connections are in TIME-WAIT; a new server listens all the same.
    let again = Server::start_on_port(address.port(), &[]);
    again.log_in();
}
