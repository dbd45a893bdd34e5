//! A real inetd, where there is one (Debian's openbsd-inetd), and what it does,
//! where there is none.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::support::{Client, Folder, Process, free_port, is_root, loopback, program};
use crate::test_support::{find_program, leave_out};

/// ferryd with `socket` as its standard input, output and error, as inetd starts it.
fn with_socket(socket: OwnedFd, args: &[&str], folder: &Folder) -> Process {
    let copy = || Stdio::from(socket.try_clone().unwrap());
    let mut command = Command::new(program());
    command.args(folder.options()).args(args).stdin(copy()).stdout(copy()).stderr(copy());
    Process::start(&mut command)
}

/// inetd with a line for ferryd, which waits or does not.
fn inetd(folder: &Folder, wait: &str, args: &str) -> Option<(Process, u16)> {
    if !is_root() {
        leave_out("only root may run inetd");
        return None;
    }
    let (inetd, port) = (find_program("inetd")?, free_port());
    let options = folder.options().join(" ");
    let line = format!("127.0.0.1:{port} stream tcp {wait} root {} ferryd {options} {args}\n", program());
    fs::write(folder.join("inetd.conf"), line).unwrap();
    let mut command = Command::new(inetd);
    // -i stays in the foreground.
    command.arg("-i").arg(folder.join("inetd.conf")).stdin(Stdio::null()).stderr(Stdio::null());
    Some((Process::start(&mut command), port))
}

#[test]
fn each_client_of_inetds_gets_a_server_of_its_own() {
    let folder = Folder::new();
    let Some((_inetd, port)) = inetd(&folder, "nowait", "-l -l -d") else { return };
    let mut clients = [(); 3].map(|()| Client::log_in(loopback(port)));
    for (number, client) in clients.iter_mut().enumerate() {
        let name = format!("pub/{number}");
        client.store(&name, name.as_bytes());
        assert_eq!(client.retrieve(&name), name.as_bytes());
    }
    for mut client in clients {
        client.send("QUIT").expect(221);
        client.expect_end();
    }
}

#[test]
fn one_server_serves_all_clients_of_a_socket_that_inetd_waits_for() {
    let folder = Folder::new();
    let pid_file = folder.join("pid");
    let args = format!("-l -d -p {}", pid_file.display());
    let Some((_inetd, port)) = inetd(&folder, "wait", &args) else { return };
    let mut clients = [(); 3].map(|()| Client::log_in(loopback(port)));
    let pid: i32 = folder.read("pid").trim().parse().expect("there is one server");
    clients[0].store("pub/a", b"some bytes");
    assert_eq!(clients[2].retrieve("pub/a"), b"some bytes");
    // It ends; inetd listens again and starts the next one.
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    for mut client in clients {
        client.expect(421);
        client.expect_end();
    }
    let mut client = Client::log_in(loopback(port));
    let next: i32 = folder.read("pid").trim().parse().unwrap();
    assert_ne!(pid, next);
    rustix::process::kill_process(rustix::process::Pid::from_raw(next).unwrap(), Signal::TERM).unwrap();
    client.expect(421);
}

#[test]
fn nothing_but_replies_is_ever_written_to_a_client() {
    for args in [&["-dd"][..], &["--frob"], &["--help"], &["-V"], &["-A", "--no-anonymous"]] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = Client::connect(address);
        client.send("NOPE").send("QUIT");
        let server = listener.accept().unwrap().0;
        let folder = Folder::new();
        let mut process = with_socket(server.into(), args, &folder);
        process.exit_status();
        let text = client.everything();
        for line in text.lines() {
            let code = line.get(..3).is_some_and(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
            assert!(code, "{args:?}: {line:?}");
        }
        assert_eq!(text.is_empty(), args != ["-dd"], "{args:?}: {text:?}");
    }
}

#[test]
fn a_listening_socket_as_standard_error_gets_nothing_either() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let folder = Folder::new();
    let mut process = with_socket(listener.into(), &["-d"], &folder);
    let mut client = Client::log_in(address);
    process.signal(Signal::TERM);
    client.expect(421);
    assert!(process.exit_status().success());
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn a_client_that_has_gone_ends_the_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let server = listener.accept().unwrap().0;
    rustix::net::sockopt::set_socket_linger(&client, Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    let folder = Folder::new();
    // Above all it does not listen on what is left of the connection.
    with_socket(server.into(), &[], &folder).exit_status();
}
