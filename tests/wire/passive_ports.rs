//! A small range of passive ports: who gets one, and when it is free again.

use std::net::TcpStream;

use crate::client::{Client, Via, connect};
use crate::server::{Server, free_ports, wait_until};

fn two_ports(more: &[&str]) -> (Server, u16) {
    let low = free_ports(2);
    let range = format!("{low}-{}", low + 1);
    let server = Server::start(&[&["--passive-ports", range.as_str()], more].concat());
    server.write("file", "x");
    (server, low)
}

/// PASV until a port is free.
fn pasv_in_the_end(client: &mut Client) {
    wait_until("a port is free", || {
        client.send("PASV");
        (client.expect_any(&[227, 425, 421, 450, 451]).code == 227).then_some(())
    });
}

#[test]
fn a_range_without_a_free_port_is_told_and_recovers() {
    let (server, _) = two_ports(&[]);
    let mut clients: Vec<Client> = (0..3).map(|_| server.log_in()).collect();
    clients[0].pasv();
    clients[1].epsv();
    clients[2].send("PASV").expect(425);
    clients[2].send("EPSV").expect(425);
    clients[2].send("NOOP").expect(200);

    clients[0].send("QUIT").expect(221);
    pasv_in_the_end(&mut clients[2]);
    // The one who has a port may ask again.
    clients[1].pasv();
}

#[test]
fn a_session_that_asks_again_and_again_uses_one_port() {
    let (server, _) = two_ports(&[]);
    let mut one = server.log_in();
    let mut two = server.log_in();
    for _ in 0..20 {
        one.pasv();
        two.epsv();
    }
}

#[test]
fn a_transfer_gives_its_port_back() {
    let (server, _) = two_ports(&[]);
    let mut clients: Vec<Client> = (0..6).map(|_| server.log_in()).collect();
    for _ in 0..5 {
        for client in &mut clients {
            assert_eq!(client.retr("file"), b"x");
        }
    }
}

#[test]
fn a_client_that_vanishes_gives_its_port_back() {
    let (server, _) = two_ports(&[]);
    let mut third = server.log_in();
    for _ in 0..3 {
        let mut one = server.log_in();
        let mut two = server.log_in();
        pasv_in_the_end(&mut one);
        pasv_in_the_end(&mut two);
        one.vanish();
        drop(two);
        pasv_in_the_end(&mut third);
        third.send("RETR none").expect_any(&[425, 550]);
        third.send("PORT 127,0,0,1,200,1").expect(200);
    }
}

#[test]
fn a_client_that_vanishes_amid_a_transfer_gives_its_port_back() {
    let (server, _) = two_ports(&[]);
    server.write_sparse("big", 1 << 30);
    for _ in 0..2 {
        for command in ["RETR big", "STOR new"] {
            let mut one = server.log_in();
            let mut two = server.log_in();
            let transfers = [&mut one, &mut two].map(|client| {
                wait_until("a port is free", || {
                    client.send("PASV");
                    let reply = client.expect_any(&[227, 425]);
                    (reply.code == 227).then(|| {
                        let numbers = reply.numbers();
                        crate::server::localhost(numbers[4] * 256 + numbers[5])
                    })
                })
            });
            let data: Vec<TcpStream> = transfers.into_iter().map(connect).collect();
            one.send(command).expect(150);
            two.send(command).expect(150);
            one.vanish();
            two.vanish();
            drop(data);
        }
    }
    pasv_in_the_end(&mut server.log_in());
}

#[test]
fn another_kind_of_data_port_gives_the_passive_one_back() {
    let (server, _) = two_ports(&[]);
    let mut one = server.log_in();
    let mut two = server.log_in();
    let mut three = server.log_in();
    one.pasv();
    two.pasv();
    let _listener = one.active(Via::Port);
    pasv_in_the_end(&mut three);
    two.send("REIN").expect(220);
    pasv_in_the_end(&mut one);
}

#[test]
fn active_transfers_go_on_when_no_passive_port_is_free() {
    let (server, _) = two_ports(&[]);
    let mut holders: Vec<Client> = (0..2).map(|_| server.log_in()).collect();
    for holder in &mut holders {
        holder.pasv();
    }
    let mut client = server.log_in().via(Via::Port);
    assert_eq!(client.retr("file"), b"x");
}

#[test]
fn a_connection_meant_for_one_session_does_not_reach_the_next() {
    let port = free_ports(1);
    let server = Server::start(&["--passive-ports", &format!("{port}-{port}")]);
    server.write("secret", "for the second client alone");
    let mut first = server.log_in();
    let address = first.pasv();
    // Left over in the listener's queue when the port changes hands.
    let stray = connect(address);
    first.send("QUIT").expect(221);
    let mut second = server.log_in();
    pasv_in_the_end(&mut second);
    second.send("RETR secret");
    let data = connect(address);
    second.expect_any(&[125, 150]);
    assert_eq!(second.read_to_end(data), b"for the second client alone");
    second.expect(226);
    let mut got = Vec::new();
    let _ = std::io::Read::read_to_end(&mut { stray }, &mut got);
    assert!(got.is_empty(), "the first client's connection got {}", got.escape_ascii());
}

#[test]
fn small_files_in_a_row_do_not_run_out_of_ports() {
    let (server, _) = two_ports(&[]);
    let mut client = server.log_in();
    for n in 0..200 {
        client.stor(format!("file{n}"), "x");
    }
    assert_eq!(client.nlst("").len(), 201);
}
