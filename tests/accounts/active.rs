//! Active data connections of a server that root started: from port 20, whoever is logged in.

use std::net::TcpListener;

use crate::client::{Client, Via};
use crate::ground::{Ground, ONE, TWO, log_in, write};

#[test]
fn they_come_from_the_privileged_port_that_was_chosen() {
    let Some(ground) = Ground::new() else { return };
    let folder = ground.folder_of(ONE, 0o755);
    let file = write(&folder, "file", "content", ONE, 0o644);
    let server = ground.start(&["--active-source-port", "20"]);
    let mut transfers: Vec<(Client, std::net::TcpStream)> = [ONE, TWO, ONE, TWO]
        .into_iter()
        .map(|account| {
            let mut client = log_in(&server, account).via(Via::Port);
            let data = client.start(format!("RETR {file}"));
            assert_eq!(data.peer_addr().expect("connected").port(), 20);
            (client, data)
        })
        .collect();
    for (client, data) in transfers.drain(..) {
        let mut client = client;
        assert_eq!(client.read_to_end(data), b"content");
        client.expect(226);
    }
}

#[test]
fn they_come_from_the_port_before_the_control_port() {
    let Some(ground) = Ground::new() else { return };
    let folder = ground.folder_of(ONE, 0o755);
    let file = write(&folder, "file", "content", ONE, 0o644);
    // Two privileged ports that nobody has.
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let port = (700..1000).find(|&port| free(port) && free(port + 1)).expect("two free ports");
    let server = ground.start_on_port(&(port + 1).to_string(), &[]);
    let mut client = log_in(&server, ONE);
    for via in [Via::Port, Via::Eprt] {
        client.via = via;
        let data = client.start(format!("RETR {file}"));
        assert_eq!(data.peer_addr().expect("connected").port(), port);
        assert_eq!(client.read_to_end(data), b"content");
        client.expect(226);
    }
}
