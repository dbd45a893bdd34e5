//! PORT, EPRT, LPRT, PASV, EPSV, LPSV: where the data connection comes from, and whom it is refused.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::client::{Client, DataPort, Via, accept, connect, connect_from, eprt_command, port_command};
use crate::server::{Server, free_ports, has_ipv6, localhost, wait_until};

/// Another host, as far as addresses go.
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[test]
fn every_kind_of_data_port_carries_a_file() {
    let server = Server::start(&[]);
    server.write("file", "content");
    let mut client = server.log_in();
    for via in [Via::Pasv, Via::Epsv, Via::Lpsv, Via::Port, Via::Eprt, Via::Lprt] {
        client.via = via;
        assert_eq!(client.retr("file"), b"content", "{via:?}");
        client.stor("stored", format!("{via:?}"));
        assert_eq!(server.read("stored"), format!("{via:?}").as_bytes());
    }
}

#[test]
fn every_kind_of_data_port_carries_a_file_over_ipv6() {
    let Some(server) = Server::start_v6(&[]) else { return };
    server.write("file", "content");
    let mut client = server.log_in();
    for via in [Via::Epsv, Via::Lpsv, Via::Eprt, Via::Lprt] {
        client.via = via;
        assert_eq!(client.retr("file"), b"content", "{via:?}");
        client.stor("stored", format!("{via:?}"));
        assert_eq!(server.read("stored"), format!("{via:?}").as_bytes());
    }
}

#[test]
fn commands_of_ipv4_are_refused_over_ipv6() {
    let Some(server) = Server::start_v6(&[]) else { return };
    let mut client = server.log_in();
    client.send("PASV").expect_refusal();
    client.send("PORT 127,0,0,1,200,1").expect_refusal();
    client.send("EPRT |1|127.0.0.1|51201|").expect(522);
    client.send("EPSV 1").expect(522);
    client.send("EPSV 2").expect(229);
    client.names("");
}

#[test]
fn pasv_tells_the_address_that_the_client_came_to() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    assert_eq!(client.pasv().ip(), client.server_address().ip());
    let reply = client.send("PASV").expect(227).text();
    assert!(reply.starts_with("227 Entering Passive Mode (") || reply.contains('('), "{reply}");
}

#[test]
fn epsv_knows_its_families() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.epsv_with("EPSV");
    client.epsv_with("EPSV 1");
    client.epsv_with("epsv 1");
    let reply = client.send("EPSV 2").expect(522).text();
    assert!(reply.contains("(1)") || reply.contains("(1,2)"), "522 names what works: {reply}");
    client.send("EPSV 3").expect(522);
    client.send("EPSV x").expect_any(&[500, 501, 522]);
    client.send("EPSV 1 1").expect_any(&[500, 501, 522]);
}

#[test]
fn eprt_knows_its_families() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let reply = client.send("EPRT |3|127.0.0.1|51201|").expect(522).text();
    assert!(reply.contains("(1") || reply.contains("1)"), "522 names what works: {reply}");
    client.send("EPRT |2|::1|51201|").expect(522);
    client.send("EPRT !1!127.0.0.1!51201!").expect(200);
    client.send("EPRT +1+127.0.0.1+51201+").expect(200);
}

#[test]
fn after_epsv_all_nothing_else_is_accepted() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    client.send("EPSV ALL").expect(200);
    for command in
        ["PASV", "PORT 127,0,0,1,200,1", "EPRT |1|127.0.0.1|51201|", "LPSV", "LPRT 4,4,127,0,0,1,2,200,1"]
    {
        client.send(command).expect_refusal();
    }
    client.via = Via::Epsv;
    assert_eq!(client.retr("file"), b"x");
    client.send("EPSV all").expect(200);
}

#[test]
fn epsv_all_ends_with_the_login() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("EPSV ALL").expect(200);
    client.send("REIN").expect(220);
    client.log_in();
    client.pasv();
}

#[test]
fn malformed_addresses_are_syntax_errors() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for argument in [
        "1,2,3",
        "127,0,0,1,200",
        "127,0,0,1,200,1,1",
        "256,0,0,1,200,1",
        "127,0,0,1,256,1",
        "127,0,0,1,200,x",
        "a,b,c,d,e,f",
        "-127,0,0,1,200,1",
        "127.0.0.1:51201",
        ",,,,,",
        "127,0,0,1,200,",
        "99999999999,0,0,1,200,1",
        "127,0,0,1,200,1 x",
    ] {
        client.send(format!("PORT {argument}")).expect_any(&[500, 501]);
    }
    for argument in [
        "|1|127.0.0.1|51201",
        "|1|127.0.0.1|",
        "|1||51201|",
        "|1|127.0.0.1|65536|",
        "|1|127.0.0.1|-1|",
        "|1|127.0.0.1|x|",
        "|1|localhost|51201|",
        "||127.0.0.1|51201|",
        "|",
        "||",
        "||||",
        "|1|127.0.0.1.1|51201|",
        "1|127.0.0.1|51201|",
        "|1|127.0.0.1|51201|x",
        "|x|127.0.0.1|51201|",
    ] {
        client.send(format!("EPRT {argument}")).expect_any(&[500, 501, 522]);
    }
    for argument in [
        "4,4,127,0,0,1,2,200",
        "4,4,127,0,0,1,2,200,1,1",
        "4,16,127,0,0,1,2,200,1",
        "4,4,127,0,0,1,1,200",
        "x",
    ] {
        client.send(format!("LPRT {argument}")).expect_any(&[500, 501, 521]);
    }
    client.send("LPRT 9,4,127,0,0,1,2,200,1").expect_any(&[501, 521, 522]);
    client.refused("RETR none", &[550]);
}

#[test]
fn a_data_port_on_another_host_is_refused() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let bait = TcpListener::bind((OTHER, 0)).expect("another loopback address");
    let address = bait.local_addr().expect("bound");
    let mut client = server.log_in();
    client.send(port_command(address)).expect_any(&[500, 501, 504]);
    client.send(eprt_command(address)).expect_any(&[500, 501, 504]);
    client.send(crate::client::lprt_command(address)).expect_any(&[500, 501, 504, 521]);
    client.send("RETR file").expect_any(&[425, 503]);
    bait.set_nonblocking(true).expect("a listener");
    assert!(bait.accept().is_err(), "the server connected to another host");
}

#[test]
fn a_refused_data_port_forgets_the_one_before() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    let listener = client.active(Via::Port);
    client.send("PORT 127,0,0,2,200,1").expect_refusal();
    // Either is safe; what must not happen is a connection to 127.0.0.2.
    if matches!(client.send("RETR file").expect_any(&[125, 150, 425, 503]).code, 125 | 150) {
        client.read_to_end(accept(&listener));
        client.expect(226);
    }
}

#[test]
fn a_data_port_below_1024_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for port in [0, 1, 25, 80, 1023] {
        client.send(port_command(localhost(port))).expect_any(&[500, 501, 504]);
        client.send(eprt_command(localhost(port))).expect_any(&[500, 501, 504]);
    }
}

#[test]
fn foreign_data_ports_are_accepted_when_the_administrator_says_so() {
    let server = Server::start(&["-R"]);
    server.write("file", "x");
    let listener = TcpListener::bind((OTHER, 0)).expect("another loopback address");
    let mut client = server.log_in();
    client.send(port_command(listener.local_addr().expect("bound"))).expect(200);
    client.send("RETR file").expect_any(&[125, 150]);
    assert_eq!(client.read_to_end(accept(&listener)), b"x");
    client.expect(226);
    client.send("PORT 127,0,0,1,0,80").expect(200);
}

#[test]
fn the_data_connection_of_another_host_is_not_taken() {
    let server = Server::start(&["-l"]);
    server.write("secret", "content");
    let mut client = server.log_in();
    let address = client.pasv();
    let stranger = connect_from(OTHER, address).expect("the port is open");
    client.send("RETR secret");
    let data = connect(address);
    client.expect_any(&[125, 150]);
    assert_eq!(client.read_to_end(data), b"content");
    client.expect(226);
    let mut got = Vec::new();
    let _ = std::io::Read::read_to_end(&mut { stranger }, &mut got);
    assert!(got.is_empty(), "the stranger got {}", got.escape_ascii());
}

#[test]
fn another_host_is_hung_up_on_at_once_and_a_client_that_does_not_come_is_told_soon() {
    let server = Server::start(&[]);
    server.write("file", "content");
    let mut client = server.log_in();
    let address = client.pasv();
    let mut stranger = connect_from(OTHER, address).expect("the port is open");
    client.send("RETR file").expect_any(&[125, 150]);
    let end = stranger.read(&mut [0]);
    let reset = |err: &std::io::Error| err.kind() == std::io::ErrorKind::ConnectionReset;
    assert!(matches!(end, Ok(0)) || end.as_ref().is_err_and(reset), "{end:?}");
    server.log.wait_for("refused: the client is 127.0.0.1");
    client.send("STAT").expect_any(&[211, 213]); // It is still waited for the client,
    assert_eq!(client.reply().code, 425); // but not as long as if nobody had come.
    assert_eq!(client.retr("file"), b"content");
}

#[test]
fn what_another_host_sends_is_not_stored() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let address = client.pasv();
    let mut stranger = connect_from(OTHER, address).expect("the port is open");
    let _ = std::io::Write::write_all(&mut stranger, b"forged");
    drop(stranger);
    client.send("STOR file");
    let mut data = connect(address);
    client.expect_any(&[125, 150]);
    std::io::Write::write_all(&mut data, b"genuine").expect("the server takes it");
    drop(data);
    client.expect(226);
    assert_eq!(server.read("file"), b"genuine");
}

#[test]
fn data_connections_of_other_hosts_are_taken_without_the_peer_check() {
    let server = Server::start(&["--data-peer-check", "off"]);
    server.write("file", "content");
    let mut client = server.log_in();
    let address = client.pasv();
    let other = connect_from(OTHER, address).expect("the port is open");
    client.send("RETR file").expect_any(&[125, 150]);
    assert_eq!(client.read_to_end(other), b"content");
    client.expect(226);
}

#[test]
fn a_transfer_needs_a_data_port() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    for command in ["RETR file", "LIST", "NLST", "MLSD", "STOR new", "APPE new", "STOU"] {
        client.send(command).expect_any(&[425, 503]);
    }
    assert!(!server.exists("new"));
    assert_eq!(client.retr("file"), b"x");
    // The data port was good for one transfer.
    client.send("RETR file").expect_any(&[425, 503]);
}

#[test]
fn the_last_data_port_counts() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    let unused = client.active(Via::Port);
    let _also_unused = client.pasv();
    let address = client.epsv();
    let data = connect(address);
    client.send("RETR file").expect_any(&[125, 150]);
    assert_eq!(client.read_to_end(data), b"x");
    client.expect(226);
    unused.set_nonblocking(true).expect("a listener");
    assert!(unused.accept().is_err());

    let _unused = client.pasv();
    client.via = Via::Port;
    assert_eq!(client.retr("file"), b"x");
}

#[test]
fn a_port_where_nobody_listens_is_told() {
    let server = Server::start(&["--data-timeout", "5"]);
    server.write("file", "x");
    let mut client = server.log_in();
    drop(client.active(Via::Port));
    let mut reply = client.send("RETR file").reply();
    if reply.code == 150 {
        reply = client.reply();
    }
    assert_eq!(reply.code, 425, "{}", reply.text());
    assert_eq!(client.retr("file"), b"x");
}

#[test]
fn a_client_that_does_not_connect_is_told() {
    for options in [&["--connect-timeout", "1"][..], &["--data-timeout", "1"]] {
        let server = Server::start(options);
        server.write("file", "x");
        let mut client = server.log_in();
        client.pasv();
        let mut reply = client.send("RETR file").reply();
        if reply.code == 150 {
            reply = client.reply();
        }
        assert_eq!(reply.code, 425, "{}", reply.text());
        assert_eq!(client.retr("file"), b"x");
    }
}

#[test]
fn a_transfer_may_take_longer_than_its_connection() {
    let server = Server::start(&["--connect-timeout", "1"]);
    let mut client = server.log_in();
    let mut data = client.start("STOR file");
    let begun = std::time::Instant::now();
    wait_until("the time to connect is over", || (begun.elapsed().as_secs() >= 2).then_some(()));
    std::io::Write::write_all(&mut data, b"late").expect("the server takes it");
    drop(data);
    client.expect(226);
    assert_eq!(server.read("file"), b"late");
}

#[test]
fn a_client_that_does_not_read_is_told() {
    let server = Server::start(&["--data-timeout", "1"]);
    server.write_sparse("big", 1 << 30);
    server.write("file", "x");
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    let stalled = client.start("RETR big");
    client.expect_any(&[426, 451]);
    drop(stalled);
    assert_eq!(client.retr("file"), b"x");
}

#[test]
fn a_client_that_does_not_send_is_told() {
    let server = Server::start(&["--data-timeout", "1"]);
    let mut client = server.log_in();
    let stalled = client.start("STOR file");
    client.expect_any(&[426, 451]);
    drop(stalled);
    client.stor("file", "x");
}

#[test]
fn passive_ports_are_those_of_the_range() {
    let low = free_ports(10);
    let server = Server::start(&["--passive-ports", &format!("{low}-{}", low + 9)]);
    let mut client = server.log_in();
    for _ in 0..30 {
        let ports = [client.pasv().port(), client.epsv().port(), client.lpsv().port()];
        assert!(ports.iter().all(|port| (low..low + 10).contains(port)), "{ports:?} in {low}");
    }
}

#[test]
fn passive_ports_are_not_to_be_guessed() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let mut steps: Vec<i32> = Vec::new();
    let mut last = i32::from(client.pasv().port());
    for _ in 0..8 {
        let next = i32::from(server.log_in().pasv().port());
        steps.push(next - last);
        last = next;
    }
    steps.dedup();
    assert!(steps.len() > 1, "always {} further", steps[0]);
}

#[test]
fn passive_address_is_told_in_227_alone() {
    let server = Server::start(&["--passive-address", "192.0.2.77"]);
    server.write("file", "x");
    let mut client = server.log_in();
    let told = client.pasv();
    assert_eq!(told.ip(), Ipv4Addr::new(192, 0, 2, 77));
    // It is this host that listens.
    let data = connect(SocketAddr::new(client.server_address().ip(), told.port()));
    client.send("RETR file").expect_any(&[125, 150]);
    assert_eq!(client.read_to_end(data), b"x");
    client.expect(226);
    client.via = Via::Epsv;
    assert_eq!(client.retr("file"), b"x");
}

#[test]
fn passive_address_may_be_a_name() {
    let server = Server::start(&["--passive-address", "localhost"]);
    assert!(server.log_in().pasv().ip().is_loopback());
}

#[test]
fn exempt_clients_are_told_the_real_address() {
    let server =
        Server::start(&["--passive-address", "192.0.2.77", "--passive-address-exempt", "127.0.0.0/8"]);
    assert!(server.log_in().pasv().ip().is_loopback());
}

#[test]
fn options_turn_off_kinds_of_data_ports() {
    let commands =
        [("PASV", 227), ("EPSV", 229), ("PORT 127,0,0,1,200,1", 200), ("EPRT |1|127.0.0.1|51201|", 200)];
    for (option, refused) in [
        ("-E", [false, true, false, false]),
        ("--no-active", [false, false, true, true]),
        ("--no-passive", [true, true, false, false]),
    ] {
        let server = Server::start(&[option]);
        let mut client = server.log_in();
        for ((command, code), refused) in commands.iter().zip(refused) {
            client.send(command);
            if refused { drop(client.expect_refusal()) } else { drop(client.expect(*code)) }
        }
    }
}

#[test]
fn active_connections_come_from_the_port_before_the_control_port() {
    let port = free_ports(2);
    let server = Server::start_on_port(port + 1, &[]);
    server.write("file", "x");
    let mut client = server.log_in();
    for via in [Via::Port, Via::Eprt] {
        let listener = client.active(via);
        client.send("RETR file").expect_any(&[125, 150]);
        let data = accept(&listener);
        let from = data.peer_addr().expect("connected");
        assert_eq!(from, SocketAddr::new(client.server_address().ip(), port));
        client.read_to_end(data);
        client.expect(226);
    }
}

#[test]
fn many_active_connections_come_from_one_port_at_once() {
    let port = free_ports(1);
    let server = Server::start(&["--active-source-port", &port.to_string()]);
    server.write_sparse("big", 1 << 24);
    let mut transfers: Vec<(Client, std::net::TcpStream)> = (0..20)
        .map(|_| {
            let mut client = server.log_in().via(Via::Port);
            client.send("TYPE I").expect(200);
            let data = client.start("RETR big");
            assert_eq!(data.peer_addr().expect("connected").port(), port);
            (client, data)
        })
        .collect();
    for (client, data) in &mut transfers {
        let data = data.try_clone().expect("a socket");
        assert_eq!(client.read_to_end(data).len(), 1 << 24);
        client.expect(226);
    }
    // And again, while the first ones are in TIME-WAIT.
    for (client, _) in &mut transfers {
        client.names("");
    }
}

#[test]
fn any_source_port_will_do_with_zero() {
    let server = Server::start(&["--active-source-port", "0"]);
    server.write("file", "x");
    let mut client = server.log_in().via(Via::Port);
    for _ in 0..3 {
        assert_eq!(client.retr("file"), b"x");
    }
}

#[test]
fn a_source_port_in_use_is_done_without() {
    let port = free_ports(1);
    let _occupied = TcpListener::bind(localhost(port)).expect("a free port");
    let server = Server::start(&["--active-source-port", &port.to_string()]);
    server.write("file", "x");
    let mut client = server.log_in().via(Via::Port);
    assert_eq!(client.retr("file"), b"x");
}

#[test]
fn one_session_makes_many_transfers_in_a_row() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    for n in 0..300 {
        client.via = [Via::Pasv, Via::Epsv, Via::Port, Via::Eprt][n % 4];
        assert_eq!(client.retr("file"), b"x");
    }
}

#[test]
fn a_server_on_both_families_serves_each_with_its_own() {
    if !has_ipv6() {
        return;
    }
    let server = Server::listening_on(&["127.0.0.1", "::1"], &[]);
    server.write("file", "x");
    for &address in server.addresses() {
        let mut client = Client::connect(address);
        client.expect(220);
        client.log_in();
        client.via = Via::Epsv;
        assert_eq!(client.retr("file"), b"x");
        client.via = Via::Eprt;
        assert_eq!(client.retr("file"), b"x");
    }
}

#[test]
fn the_port_is_closed_after_the_transfer() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    let DataPort::Passive(address) = client.data_port() else { unreachable!("PASV is the default") };
    let data = connect(address);
    client.send("RETR file").expect_any(&[125, 150]);
    client.read_to_end(data);
    client.expect(226);
    // A connection that the server's warm listener still takes is closed again, and gets nothing.
    if let Ok(stray) = std::net::TcpStream::connect(address) {
        client.send("RETR file").expect_any(&[425, 503]);
        drop(client);
        wait_until("the stray connection is closed", || {
            stray.set_read_timeout(Some(std::time::Duration::from_millis(50))).expect("a socket");
            matches!(std::io::Read::read(&mut &stray, &mut [0; 1]), Ok(0) | Err(_)).then_some(())
        });
    }
}

#[test]
fn nobody_is_left_waiting_at_a_passive_port_that_is_given_back() {
    let server = Server::start(&[]);
    server.write("file", "content");
    let mut client = server.log_in();

    let unused = connect(client.pasv());
    client.pasv();
    assert_eq!(client.read_to_end(unused), b"", "the next PASV hangs up on it");

    let address = client.pasv();
    let (first, second) = (connect(address), connect(address));
    client.send("RETR file").expect(150);
    assert_eq!(client.read_to_end(first), b"content");
    client.expect(226);
    assert_eq!(client.read_to_end(second), b"");

    let unused = connect(client.pasv());
    client.send("QUIT").expect(221);
    assert_eq!(client.read_to_end(unused), b"");
}

#[test]
fn eprt_without_an_address_means_the_client_itself() {
    let Some(server) = Server::start_v6(&[]) else { return };
    server.write("file", "content");
    let mut client = server.log_in();
    // What lftp sends in active mode to a server on ::1.
    let listener = client.active(Via::Eprt);
    client.send(format!("EPRT |2|::|{}|", listener.local_addr().unwrap().port())).expect(200);
    client.send("RETR file");
    let data = accept(&listener);
    client.expect(150);
    assert_eq!(client.read_to_end(data), b"content");
    client.expect(226);
}
