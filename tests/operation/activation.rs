//! systemd's sockets, by way of systemd-socket-activate(1).

use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::support::{Client, Folder, Process, free_port, loopback, program, wait_until};
use crate::test_support::find_program;

/// ferryd started by systemd-socket-activate with `how`, when a client comes.
fn activated(folder: &Folder, how: &[&str], ferryd: &[&str]) -> Option<Process> {
    let activate = find_program("systemd-socket-activate")?;
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let mut command = Command::new(activate);
    command.args(how).arg(program()).args(folder.options()).args(ferryd);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    Some(Process::start(&mut command))
}

fn wait_for_log(folder: &Folder, text: &str) {
    wait_until(&format!("{text:?} is logged"), || folder.read("log").contains(text).then_some(()));
}

#[test]
fn several_listening_sockets_are_served_alike() {
    let (folder, ports) = (Folder::new(), [free_port(), free_port()]);
    let v6 = format!("[::1]:{}", ports[1]);
    let has_v6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    let second = if has_v6 { v6 } else { format!("127.0.0.1:{}", ports[1]) };
    let how = ["-l", &format!("127.0.0.1:{}", ports[0]), "-l", &second, "--fdname=ftp:ftp"];
    let Some(mut process) = activated(&folder, &how, &["-F"]) else { return };
    wait_for_log(&folder, "Listening on");
    let mut first = Client::log_in(loopback(ports[0]));
    first.store("pub/a", b"some bytes");
    let mut second = Client::log_in(second.parse().unwrap());
    assert_eq!(second.retrieve("pub/a"), b"some bytes");
    process.signal(Signal::TERM);
    first.expect(421);
    second.expect(421);
    assert!(process.exit_status().success());
}

#[cfg(feature = "tls")]
#[test]
fn clients_of_a_socket_called_ftps_begin_with_tls() {
    let (folder, ports) = (Folder::new(), [free_port(), free_port()]);
    std::fs::write(folder.join("pub/a"), "some bytes").unwrap();
    let addresses = ports.map(|port| format!("127.0.0.1:{port}"));
    let how = ["-l", &addresses[0], "-l", &addresses[1], "--fdname=ftp:ftps"];
    let Some(_process) = activated(&folder, &how, &["-F", "--tls=allow", "--tls-self-signed"]) else {
        return;
    };
    let Some(curl) = find_program("curl") else { return };
    wait_for_log(&folder, "Listening on");
    for url in [format!("ftp://{}/pub/a", addresses[0]), format!("ftps://{}/pub/a", addresses[1])] {
        // -k: the certificate was made for this run.
        let output = Command::new(&curl).args(["-sSk", "--max-time", "30", &url]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "some bytes", "{url}: {output:?}");
    }
}

#[test]
fn a_connected_socket_is_one_session() {
    // Descriptor 3, and standard input, output and error, as in StandardInput=socket.
    for inetd in [&[][..], &["--inetd"]] {
        let (folder, port) = (Folder::new(), free_port());
        let address = format!("127.0.0.1:{port}");
        let how = [&["-a", "-l", &address], inetd].concat();
        let Some(_process) = activated(&folder, &how, &["-l"]) else { return };
        wait_for_log(&folder, "Listening on");
        let mut client = Client::log_in(loopback(port));
        client.store("pub/a", b"some bytes");
        assert_eq!(client.retrieve("pub/a"), b"some bytes");
        client.send("QUIT").expect(221);
        client.expect_end();
    }
}

#[test]
fn clients_of_a_server_that_does_not_start_are_told() {
    let (folder, port) = (Folder::new(), free_port());
    let how = ["-l", &format!("127.0.0.1:{port}")];
    let Some(mut process) = activated(&folder, &how, &["-F", "--umask=999"]) else { return };
    wait_for_log(&folder, "Listening on");
    // Whoever started it would start it again for a client that is left waiting.
    let mut client = Client::connect(loopback(port));
    client.expect(421);
    client.expect_end();
    assert_eq!(process.exit_status().code(), Some(2));
    wait_for_log(&folder, "-u, --umask: `999`");
}

#[test]
fn sockets_that_cannot_be_served_are_refused_before_anybody_is() {
    let (folder, port) = (Folder::new(), free_port());
    let how = ["-d", "-l", &port.to_string()];
    let Some(mut process) = activated(&folder, &how, &["-F"]) else { return };
    wait_for_log(&folder, "Listening on");
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    datagrams.send_to(b"hello", loopback(port)).unwrap();
    assert_eq!(process.exit_status().code(), Some(1));
    assert!(folder.read("log").contains("is not a TCP socket"), "{}", folder.read("log"));
}

#[test]
fn sockets_meant_for_another_process_are_left_alone() {
    let mut command = Command::new(program());
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1").stdin(Stdio::null());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "it says what to type");
    assert!(String::from_utf8_lossy(&output.stderr).contains("say -F"));
}
