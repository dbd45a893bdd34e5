//! Who is on, by whom they are sent away, and what a reload does to them.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;

use crate::support::{Folder, Server, program, wait_until};
use crate::test_support::find_program;

fn ask(server: &Server, words: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.arg(server.control_socket()).args(words).stdin(Stdio::null());
    command.output().unwrap()
}

fn who(server: &Server) -> String {
    let output = ask(server, &["who"]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The line of the session that does `what`, once it does.
fn line_with(server: &Server, what: &str) -> String {
    wait_until(what, || who(server).lines().find(|line| line.contains(what)).map(str::to_owned))
}

fn big_file(folder: &Folder) {
    let file = fs::File::create(folder.join("pub/big")).unwrap();
    file.set_len(64 << 20).unwrap();
}

#[test]
fn a_session_is_seen_from_its_arrival_to_its_end() {
    let server = Server::start(&[]);
    assert_eq!(who(&server).lines().count(), 1, "the head of the table");
    let mut client = server.log_in();
    let line = line_with(&server, "TYPE");
    assert!(line.contains(" ftp (anon) ") && line.contains(" 127.0.0.1 "), "{line}");
    big_file(&server.folder);
    let mut data = client.data();
    client.send("RETR pub/big").expect(150);
    data.read_exact(&mut [0; 1 << 20]).unwrap();
    let line = line_with(&server, "RETR /pub/big ");
    assert!(line.contains("% ") && line.contains("bytes, ") && line.contains(" 0s "), "{line}");
    if cfg!(target_os = "linux") {
        let tasks = fs::read_dir(format!("/proc/{}/task", server.process.0.id())).unwrap();
        let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
        let names: Vec<String> = names.collect();
        assert!(names.iter().any(|name| name.ends_with("0.1/RETR\n") && name.contains('@')), "{names:?}");
    }
    let json = ask(&server, &["--who", "--json"]);
    let text = String::from_utf8(json.stdout).unwrap();
    assert!(text.contains(r#""file":"/pub/big""#) && text.contains(r#""total":67108864"#), "{text}");
    if let Some(python) = find_program("python3") {
        let program = "import json,sys; assert json.loads(sys.argv[1])[0]['percent'] < 100";
        assert!(Command::new(python).args(["-c", program, &text]).status().unwrap().success());
    }
    drop(data);
    client.reply();
    client.send("QUIT").expect(221);
    wait_until("it is gone", || (who(&server).lines().count() == 1).then_some(()));
}

#[test]
fn the_operator_ends_one_session_and_no_other() {
    let server = Server::start(&[]);
    big_file(&server.folder);
    let (mut idle, mut busy, mut other) = (server.log_in(), server.log_in(), server.log_in());
    idle.send("PWD").expect(257);
    let mut data = busy.data();
    busy.send("RETR pub/big").expect(150);
    for what in ["PWD", "RETR"] {
        let line = line_with(&server, what);
        let id = line.split_whitespace().next().unwrap();
        assert!(ask(&server, &["kick", id]).status.success());
    }
    idle.expect(421);
    idle.expect_end();
    busy.expect(421);
    busy.expect_end();
    let mut rest = Vec::new();
    let _ = data.read_to_end(&mut rest);
    assert!(rest.len() < 64 << 20, "the transfer was cut off");
    other.send("NOOP").expect(200);
    server.wait_for_log("ended by the operator");
    let nobody = ask(&server, &["--kick=4711"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&nobody.stderr), "ferryd: there is no session 4711\n");
}

#[test]
fn the_operator_ends_an_upload_whose_client_is_gone() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let mut data = client.data();
    client.send("STOR pub/new").expect(150);
    drop(client);
    let line = line_with(&server, "STOR");
    assert!(ask(&server, &["kick", line.split_whitespace().next().unwrap()]).status.success());
    // Whatever comes would keep the session otherwise.
    let cut_off = || data.write_all(&[b'x'; 100]).err();
    wait_until("it is cut off", cut_off);
    wait_until("it is gone", || (who(&server).lines().count() == 1).then_some(()));
}

#[cfg(feature = "tls")]
#[test]
fn a_protected_session_hears_why_it_must_go_too() {
    let Some(python) = find_program("python3") else { return };
    let server = Server::start(&["--tls=allow", "--tls-self-signed"]);
    // It says NOOP, and then waits for what the server says of its own accord.
    let program = "import ftplib, ssl, sys\n\
        ftp = ftplib.FTP_TLS(context=ssl._create_unverified_context())\n\
        ftp.connect('127.0.0.1', int(sys.argv[1]))\n\
        ftp.login('ftp', 'me@example.com')\n\
        ftp.sendcmd('NOOP')\n\
        try: ftp.getresp()\n\
        except ftplib.error_temp as error: print(error)";
    let mut command = Command::new(python);
    command.args(["-c", program, &server.address.port().to_string()]).stdout(Stdio::piped());
    let client = command.spawn().unwrap();
    let line = line_with(&server, "NOOP");
    assert!(ask(&server, &["kick", line.split_whitespace().next().unwrap()]).status.success());
    let output = client.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("421 "), "{output:?}");
}

#[test]
fn signals_cost_neither_a_byte_nor_a_client() {
    let server = Server::start(&[]);
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|number| ((number * 7) >> 3) as u8).collect();
    let mut busy = server.log_in();
    let mut data = busy.data();
    busy.send("STOR pub/a").expect(150);
    for (number, chunk) in bytes.chunks(50_000).enumerate() {
        let signals = [Signal::HUP, Signal::USR1, Signal::USR2];
        server.process.signal(signals[number % signals.len()]);
        data.write_all(chunk).unwrap();
        server.log_in().send("QUIT").expect(221);
    }
    // The running transfer is finished after the signal that ends the server, too.
    server.process.signal(Signal::TERM);
    server.wait_for_log("shutting down");
    data.write_all(b"the end").unwrap();
    drop(data);
    busy.expect(226);
    busy.expect(421);
    let stored = fs::read(server.folder.join("pub/a")).unwrap();
    assert!(stored == [&bytes[..], b"the end"].concat());
}

#[test]
fn who_is_not_wanted_any_more_finishes_the_transfer_and_goes() {
    for file in ["ftpusers", "nologin"] {
        let folder = Folder::new();
        let config_dir = format!("--config-dir={}", folder.path().display());
        let server = Server::start_in(folder, &[&config_dir], &[]);
        let (mut idle, mut busy) = (server.log_in(), server.log_in());
        let mut data = busy.data();
        busy.send("STOR pub/a").expect(150);
        data.write_all(b"some ").unwrap();
        server.process.signal(Signal::HUP);
        server.wait_for_log("reloading");
        idle.send("NOOP").expect(200); // Nothing has changed for it.
        fs::write(server.folder.join(file), "ftp\n").unwrap();
        server.process.signal(Signal::HUP);
        idle.expect(421);
        idle.expect_end();
        server.wait_for_log("session of ftp@127.0.0.1 ends");
        data.write_all(b"bytes").unwrap();
        drop(data);
        busy.expect(226);
        busy.expect(421);
        busy.expect_end();
        assert_eq!(server.folder.read("pub/a"), "some bytes");
        fs::remove_file(server.folder.join(file)).unwrap();
        server.log_in().send("NOOP").expect(200);
    }
}

#[test]
fn a_file_that_cannot_be_understood_ends_no_session() {
    let folder = Folder::new();
    let config_dir = format!("--config-dir={}", folder.path().display());
    let server = Server::start_in(folder, &[&config_dir], &[]);
    let mut client = server.log_in();
    fs::write(server.folder.join("ftpusers"), b"\0\n").unwrap();
    server.process.signal(Signal::HUP);
    server.wait_for_log("not checked: ");
    client.send("NOOP").expect(200);
}

#[test]
fn a_socket_that_a_killed_server_left_is_taken_over_and_a_living_one_is_not() {
    let mut first = Server::start(&[]);
    let socket = first.control_socket();
    let words = ["-F", "-a", "127.0.0.1", "-P", "0", &socket];
    let second = Command::new(program()).args(first.folder.options()).args(words).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(
        text.contains("ferryd: --control-socket: ") && text.contains("already running as process"),
        "{text}"
    );
    first.process.signal(Signal::KILL);
    first.process.exit_status();
    assert!(first.folder.join("control").exists());
    let third = Server::start(&[&socket]);
    let output = Command::new(program()).args([&socket, "--who"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    drop(third);
}

#[test]
fn without_a_server_there_is_nobody_to_ask() {
    let output = Command::new(program()).args(["--control-socket=/no/such/socket", "who"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "ferryd: /no/such/socket: no server runs here\n");
    for words in [&["who", "there"][..], &["kick"], &["kick", "x"], &["--json"], &["--who", "--kick=1"]] {
        assert_eq!(Command::new(program()).args(words).output().unwrap().status.code(), Some(2), "{words:?}");
    }
}
