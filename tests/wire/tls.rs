//! TLS on the control connection and on data connections (RFC 2228 and 4217), and
//! what somebody in between may try.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use rustls::HandshakeKind;

use crate::client::{Via, connect};
use crate::server::{ANONYMOUS_USER, DEADLINE, Server, is_root, localhost, run_to_its_end, wait_until};
use crate::tls_client::{
    Pems, TlsClient, VERSIONS, certificate, close, config, config_with_certificate, expect_in_the_clear,
    secure,
};

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n * 7 % 251) as u8).collect()
}

// What works

#[test]
fn files_and_listings_move_under_tls_in_both_versions_and_both_directions() {
    let pems = Pems::new();
    let server = pems.serve(&["rsa"], &["--tls=require"]);
    let bytes = content(3_000_000);
    server.write("file", &bytes);
    for version in VERSIONS {
        for via in [Via::Epsv, Via::Eprt] {
            let mut client = TlsClient::log_in(&server, config(&[version]));
            client.via = via;
            assert!(client.receive("RETR file") == bytes, "{version:?} {via:?}");
            client.store("STOR up", &bytes);
            assert!(server.read("up") == bytes);
            client.store("APPE up", b"more");
            assert_eq!(server.read("up").len(), bytes.len() + 4);
            client.store("STOR empty", b"");
            assert_eq!(client.receive("RETR empty"), b"");
            client.send("REST 2999990").expect(350);
            assert_eq!(client.receive("RETR file"), &bytes[2_999_990..]);
            assert!(String::from_utf8_lossy(&client.receive("MLSD")).contains("size=3000000;"));
            assert_eq!(client.receive("NLST"), b"empty\r\nfile\r\nup\r\n");
            client.send("TYPE A").expect(200);
            client.store("STOR text", b"one\r\ntwo\r\n");
            assert_eq!(server.read("text"), b"one\ntwo\n");
            client.send("DELE text").expect(250);
            client.send("DELE empty").expect(250);
            client.send("DELE up").expect(250);
            client.send("QUIT").expect(221);
            assert!(client.reply().is_err());
        }
    }
}

#[test]
fn data_connections_resume_the_session_of_the_control_connection() {
    let pems = Pems::new();
    let server = pems.serve(&["ecdsa"], &["--tls=require"]);
    server.write("file", "x");
    for version in VERSIONS {
        let mut client = TlsClient::log_in(&server, config(&[version]));
        let data = client.start("RETR file");
        assert_eq!(data.conn.handshake_kind(), Some(HandshakeKind::Resumed));
        close(data);
        client.expect(226);
    }
}

#[test]
fn a_client_that_uses_each_ticket_once_has_enough_of_them() {
    let pems = Pems::new();
    let server = pems.serve(&["ecdsa"], &["--tls=require"]);
    server.write("file", "x");
    // What this library does with tickets of TLS 1.3.
    let mut client = TlsClient::log_in(&server, config(&[VERSIONS[1]]));
    for n in 0..8 {
        client.store(&format!("STOR {n}"), b"x");
    }
    let mut client = TlsClient::log_in(&server, config(&[VERSIONS[1]]));
    for _ in 0..40 {
        assert_eq!(client.receive("RETR file"), b"x");
    }
    client.store("STOR last", b"x");
}

#[test]
fn tls_may_begin_with_the_first_byte() {
    let pems = Pems::new();
    let server = pems.serve(&["rsa"], &["--tls=require", "--tls-port=0"]);
    server.write("file", "x");
    let line = server.stdout.nth_with("listening on ", 1).expect("the port of --tls-port");
    let address = line.split("listening on ").nth(1).and_then(|word| word.parse().ok()).expect("an address");
    let mut client = TlsClient::on(connect(address), "localhost", config(&VERSIONS)).unwrap();
    client.expect(220);
    client.log_in_here();
    // Data connections are protected without further words.
    assert_eq!(client.receive("RETR file"), b"x");
    client.send("AUTH TLS").expect(503);
    // And REIN leaves it at that.
    client.send("REIN").expect(220);
    client.log_in_here();
    assert_eq!(client.receive("RETR file"), b"x");
}

#[test]
fn another_user_and_rein_go_on_as_rfc_4217_says() {
    let pems = Pems::new();
    let server = pems.serve(&["rsa"], &["--tls=allow"]);
    server.write("file", "x");
    let mut client = TlsClient::log_in(&server, config(&VERSIONS));
    assert_eq!(client.receive("RETR file"), b"x");
    // On a fresh thread, where a thread had become the account.
    client.log_in_here();
    assert_eq!(client.receive("RETR file"), b"x");
    client.send("REIN").expect(220);
    back_in_the_clear(client);
}

#[test]
fn ccc_gives_the_protection_up_where_that_is_allowed() {
    let pems = Pems::new();
    let server = pems.serve(&["rsa"], &["--tls=allow"]);
    let mut client = TlsClient::log_in(&server, config(&VERSIONS));
    client.send("CCC").expect(502);

    let server = pems.serve(&["rsa"], &["--tls=require", "--tls-allow-ccc"]);
    server.write("file", "x");
    for version in VERSIONS {
        let mut client = TlsClient::connect(&server, config(&[version]));
        client.send("CCC").expect(530);
        client.log_in_here();
        client.send("PBSZ 0").expect(200);
        client.send("PROT P").expect(200);
        client.send("CCC").expect(200);
        let config = client.config.clone();
        let mut clear = back_in_the_clear(client);
        // Data connections stay protected.
        clear.write_all(b"EPSV\r\n").unwrap();
        let reply = expect_in_the_clear(&mut clear, "229");
        let data = connect(localhost(reply.split('|').nth(3).unwrap().parse().unwrap()));
        clear.write_all(b"RETR file\r\n").unwrap();
        expect_in_the_clear(&mut clear, "150");
        let mut data = secure(&config, "localhost", data).unwrap();
        let mut bytes = String::new();
        data.read_to_string(&mut bytes).unwrap();
        assert_eq!(bytes, "x");
        expect_in_the_clear(&mut clear, "226");
    }
}

/// Both say close_notify; then there is no TLS any more.
pub(crate) fn back_in_the_clear(client: TlsClient) -> TcpStream {
    let mut control = client.control;
    let mut nothing = Vec::new();
    control.read_to_end(&mut nothing).expect("close_notify");
    assert_eq!(nothing, b"");
    control.conn.send_close_notify();
    control.conn.write_tls(&mut control.sock).unwrap();
    let mut clear = control.sock;
    clear.write_all(b"NOOP\r\n").unwrap();
    expect_in_the_clear(&mut clear, "200");
    clear
}

#[test]
fn abor_stat_and_quit_are_heard_while_a_protected_file_moves() {
    let pems = Pems::new();
    let server = pems.serve(&["rsa"], &["--tls=require"]);
    server.write_sparse("big", 1 << 30);
    server.write("file", "x");
    for version in VERSIONS {
        let mut client = TlsClient::log_in(&server, config(&[version]));
        let mut data = client.start("RETR big");
        data.read_exact(&mut [0; 100_000]).unwrap();
        let status = client.send("STAT").expect(213);
        assert!(status.contains("of 1073741824 bytes"), "{status}");
        client.send("ABOR").expect(426);
        client.expect(226);
        drop(data);
        assert_eq!(client.receive("RETR file"), b"x");

        let mut data = client.start("STOR up");
        data.write_all(b"some").unwrap();
        data.flush().unwrap();
        client.send("QUIT");
        data.write_all(b"thing").unwrap();
        close(data);
        client.expect(226);
        client.expect(221);
        assert_eq!(server.read("up"), b"something");
    }
}

#[test]
fn a_client_gets_the_certificate_of_the_name_it_asks_for() {
    let pems = Pems::new();
    let server = pems.serve(&["rsa", "ecdsa", "ed25519"], &["--tls-port=0"]);
    let line = server.stdout.nth_with("listening on ", 1).expect("the port of --tls-port");
    let address = line.split("listening on ").nth(1).and_then(|word| word.parse().ok()).expect("an address");
    for (name, pem) in [
        ("ecdsa.example", "ecdsa.pem"),
        ("ed25519.example", "ed25519.pem"),
        ("rsa.example", "rsa.pem"),
        ("another.example", "rsa.pem"),
    ] {
        let client = TlsClient::on(connect(address), name, config(&VERSIONS)).unwrap();
        assert_eq!(client.control.conn.peer_certificates().unwrap()[0], certificate(pem), "{name}");
    }
}

#[test]
fn sighup_brings_a_new_certificate_and_ends_no_session() {
    let pems = Pems::new();
    let server = pems.serve(&["rsa"], &[]);
    server.write("file", "x");
    let mut before = TlsClient::log_in(&server, config(&VERSIONS));
    std::fs::copy(pems.path("ecdsa.pem"), pems.path("rsa.pem")).unwrap();
    server.signal(Signal::HUP);
    // The key is still the old one: nothing changes.
    server.log.wait_for("the certificates stay as they were");
    std::fs::copy(pems.path("ecdsa.key"), pems.path("rsa.key")).unwrap();
    server.signal(Signal::HUP);
    wait_until("the new certificate", || {
        let client = TlsClient::connect(&server, config(&VERSIONS));
        (client.control.conn.peer_certificates()?[0] == certificate("ecdsa.pem")).then_some(())
    });
    assert_eq!(before.receive("RETR file"), b"x");
}

#[test]
fn clients_show_certificates_where_they_must() {
    let pems = Pems::new();
    let ca = pems.path("client-ca.pem");
    let ca = ca.to_str().unwrap();
    for version in VERSIONS {
        let server = pems.serve(&["rsa"], &["--tls-client-ca", ca]);
        server.write("file", "x");
        let mut client = TlsClient::log_in(&server, config_with_certificate(&[version]));
        assert_eq!(client.receive("RETR file"), b"x");
        let mut clear = greeted(&server);
        clear.write_all(b"AUTH TLS\r\n").unwrap();
        expect_in_the_clear(&mut clear, "234");
        let refused = TlsClient::on(clear, "localhost", config(&[version]))
            .and_then(|mut client| client.send("NOOP").reply());
        assert!(refused.is_err(), "{refused:?}");

        let server = pems.serve(&["rsa"], &["--tls-client-ca", ca, "--tls-client-auth=request"]);
        server.write("file", "x");
        let mut client = TlsClient::log_in(&server, config(&[version]));
        assert_eq!(client.receive("RETR file"), b"x");
    }
}

#[test]
fn whom_a_certificate_names_needs_no_password() {
    let pems = Pems::new();
    let (ca, etc, home) = (pems.path("client-ca.pem"), pems.path("etc"), pems.path("home"));
    let users = pems.path("users");
    for dir in [&etc, &home] {
        std::fs::create_dir(dir).unwrap();
    }
    std::fs::write(home.join("file"), "x").unwrap();
    let write_users = |hash: &str| {
        let account = if is_root() { format!(":{ANONYMOUS_USER}") } else { String::new() };
        let line = |name: &str| format!("{name}:{hash}:{}{account}\n", home.display());
        std::fs::write(&users, [line("joe"), line("Joe"), line("anne")].concat()).unwrap();
        std::fs::set_permissions(&users, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write_users("*");
    let start = |more: &[&str]| {
        let options = pems.options(&["rsa"]);
        let paths = [&ca, &etc, &users].map(|path| path.to_str().unwrap());
        let mut words =
            vec!["-F", "-P", "0", "-a", "127.0.0.1", "--login-delay", "0", "--tls-client-ca", paths[0]];
        words.extend(["-c", paths[1], "--user-file", paths[2]]);
        words.extend(options.iter().map(String::as_str).chain(more.iter().copied()));
        Server::start_raw(&words)
    };
    let server = start(&["--tls-client-login", "--tls-client-auth=request"]);
    for version in VERSIONS {
        let mut client = TlsClient::connect(&server, config_with_certificate(&[version]));
        for name in ["anne", "Joe", "nobody-at-all", "anonymous", "root"] {
            client.send(&format!("USER {name}")).expect(331);
        }
        let reply = client.send("USER joe").expect(232);
        assert!(reply.contains("User joe logged in, authorized by security data exchange"), "{reply}");
        client.send("PBSZ 0").expect(200);
        client.send("PROT P").expect(200);
        assert_eq!(client.receive("RETR file"), b"x");
        client.send("USER anne").expect(331);
        client.send("USER joe").expect(232);
        assert_eq!(client.receive("RETR file"), b"x");
        let mut nobody = TlsClient::connect(&server, config(&[version]));
        nobody.send("USER joe").expect(331);
        nobody.send("PASS x").expect(530);
    }
    let asks = |server: &Server| {
        let mut client = TlsClient::connect(server, config_with_certificate(&VERSIONS));
        client.send("USER joe").expect(331);
        client.send("PASS x").expect(530);
    };
    write_users("!");
    asks(&server);
    write_users("*");
    for name in ["ftpusers", "nologin"] {
        std::fs::write(etc.join(name), "joe\n").unwrap();
        if name == "ftpusers" {
            asks(&server);
        } else {
            let mut client = TcpStream::connect(server.address()).unwrap();
            expect_in_the_clear(&mut client, "421");
        }
        std::fs::remove_file(etc.join(name)).unwrap();
    }
    let mut client = TlsClient::connect(&server, config_with_certificate(&VERSIONS));
    std::fs::write(etc.join("nologin"), "closed\n").unwrap();
    client.send("USER joe").expect(331);
    client.send("PASS x").expect(530);
    std::fs::remove_file(etc.join("nologin")).unwrap();
    client.send("USER joe").expect(232);
    asks(&start(&[]));
}

#[test]
fn host_and_sni_say_the_same() {
    let pems = Pems::new();
    let etc = pems.path("etc");
    std::fs::create_dir(&etc).unwrap();
    std::fs::write(etc.join("ftphosts"), "localhost\n127.0.0.2\n").unwrap();
    let server = pems.serve(&["rsa"], &["-c", etc.to_str().unwrap()]);
    // SNI holds no addresses: whoever connects to one does not send it.
    for (name, in_the_clear, code, host) in
        [("localhost", "[127.0.0.2]", 504, "localhost"), ("127.0.0.1", "localhost", 220, "127.0.0.2")]
    {
        let mut clear = greeted(&server);
        clear.write_all(format!("HOST {in_the_clear}\r\n").as_bytes()).unwrap();
        expect_in_the_clear(&mut clear, "220");
        clear.write_all(b"AUTH TLS\r\n").unwrap();
        expect_in_the_clear(&mut clear, "234");
        let mut client = TlsClient::on(clear, name, config(&VERSIONS)).unwrap();
        let status = client.send("STAT").expect(211);
        assert!(status.starts_with("211-localhost "), "{name}: {status}");
        client.send("HOST [127.0.0.2]").expect(code);
        let status = client.send("STAT").expect(211);
        assert!(status.starts_with(&format!("211-{host} ")), "{name}: {status}");
        client.send("HOST localhost").expect(220);
        client.log_in_here();
    }
}

fn greeted(server: &Server) -> TcpStream {
    let mut clear = connect(server.address());
    expect_in_the_clear(&mut clear, "220");
    clear
}

// What the commands answer

#[test]
fn the_commands_come_in_their_order() {
    let pems = Pems::new();
    let server = pems.serve(&["rsa"], &["--tls=require"]);
    let mut clear = server.connect();
    for (line, code) in [
        ("AUTH", 501),
        ("AUTH KERBEROS_V4", 504),
        ("PBSZ 0", 503),
        ("PROT P", 503),
        ("CCC", 502),
        ("USER anonymous", 530),
        ("PASS x", 503),
        ("ADAT x", 502),
    ] {
        clear.send(line).expect(code);
    }
    let features = clear.send("FEAT").expect(211).text();
    for feature in [" AUTH TLS", " PBSZ", " PROT"] {
        assert!(features.lines().any(|line| line == feature), "{features}");
    }
    let mut client = TlsClient::connect(&server, config(&VERSIONS));
    for (line, code) in [
        ("AUTH TLS", 503),
        ("PROT P", 503),
        ("PBSZ x", 501),
        ("PBSZ 0", 200),
        ("PROT S", 536),
        ("PROT E", 536),
        ("PROT X", 504),
        ("PROT C", 534),
        ("PROT P", 200),
    ] {
        client.send(line).expect(code);
    }
    client.log_in_here();
    let status = client.send("STAT").expect(211);
    assert!(status.contains("TLSv1.3"), "{status}");
}

#[test]
fn older_names_of_the_mechanism_say_what_becomes_of_data() {
    let pems = Pems::new();
    let server = pems.serve(&["rsa"], &["--tls=allow"]);
    server.write("file", "x");
    for (mechanism, private) in [("TLS-C", false), ("tls", false), ("SSL", true), ("TLS-P", true)] {
        let mut clear = greeted(&server);
        clear.write_all(format!("AUTH {mechanism}\r\n").as_bytes()).unwrap();
        expect_in_the_clear(&mut clear, "234");
        let mut client = TlsClient::on(clear, "localhost", config(&VERSIONS)).unwrap();
        client.log_in_here();
        let bytes = if private {
            client.receive("RETR file")
        } else {
            let mut bytes = Vec::new();
            client.start_clear("RETR file").read_to_end(&mut bytes).unwrap();
            client.expect(226);
            bytes
        };
        assert_eq!(bytes, b"x", "{mechanism}");
    }
}

#[test]
fn passwords_and_data_are_protected_as_tls_says() {
    let pems = Pems::new();
    // With a certificate, accounts need TLS; anonymous clients do not.
    let server = pems.serve(&["rsa"], &[]);
    server.write("file", "x");
    let mut client = server.log_in();
    assert_eq!(client.retr("file"), b"x");
    client.send("USER root").expect(530);
    client.send("PASS x").expect(503);

    let server = pems.serve(&["rsa"], &["--tls=require"]);
    server.connect().send("USER anonymous").expect(530);
    let mut client = TlsClient::connect(&server, config(&VERSIONS));
    client.log_in_here();
    client.epsv();
    client.send("RETR file").expect(521);
    client.send("LIST").expect(521);

    let server = pems.serve(&["rsa"], &["--tls=off"]);
    server.connect().send("AUTH TLS").expect(502);
}

// What somebody in between, or next to it, tries

#[test]
fn commands_injected_before_the_handshake_are_forgotten() {
    let pems = Pems::new();
    let server = pems.serve(&["rsa"], &["--tls=allow"]);
    for injected in
        ["AUTH TLS\r\nUSER anonymous\r\nPASS x\r\n", "AUTH TLS\r\nUSER anonymous\r\nPASS x\r\nNOO"]
    {
        let mut clear = greeted(&server);
        clear.write_all(injected.as_bytes()).unwrap();
        expect_in_the_clear(&mut clear, "234");
        let mut client = TlsClient::on(clear, "localhost", config(&VERSIONS)).unwrap();
        // The first reply is to the first command after the handshake; nobody is logged in.
        client.send("PWD").expect(530);
        client.send("PASS x").expect(503);
    }
    // A login that was begun in the clear is begun anew.
    let mut clear = greeted(&server);
    clear.write_all(b"USER anonymous\r\n").unwrap();
    expect_in_the_clear(&mut clear, "331");
    clear.write_all(b"AUTH TLS\r\n").unwrap();
    expect_in_the_clear(&mut clear, "234");
    let mut client = TlsClient::on(clear, "localhost", config(&VERSIONS)).unwrap();
    client.send("PASS x").expect(503);
}

#[test]
fn a_stolen_data_connection_gets_nothing() {
    let pems = Pems::new();
    let server = pems.serve(&["rsa"], &["--tls=require"]);
    server.write("file", "secret");
    for version in VERSIONS {
        let mut client = TlsClient::log_in(&server, config(&[version]));
        let thief = TlsClient::log_in(&server, config(&[version]));
        // One has no session at all, the other one of its own control connection.
        for config in [config(&[version]).into(), thief.config.clone()] {
            let data = client.start_clear("RETR file");
            let mut got = Vec::new();
            if let Ok(mut data) = secure(&config, "localhost", data) {
                let _ = data.read_to_end(&mut got);
            }
            let reply = client.expect(522);
            assert!(reply.contains("reuse TLS sessions"), "{reply}");
            assert_eq!(got, b"");
            // An upload of the thief's does not touch the file either.
            let data = client.start_clear("STOR file");
            if let Ok(mut data) = secure(&config, "localhost", data) {
                let _ = data.write_all(b"forged");
                data.conn.send_close_notify();
                let _ = data.flush();
            }
            client.expect(522);
            assert_eq!(server.read("file"), b"secret");
        }
        assert_eq!(client.receive("RETR file"), b"secret");
    }
    let server = pems.serve(&["rsa"], &["--tls=require", "--tls-require-reuse=no"]);
    server.write("file", "x");
    let mut client = TlsClient::log_in(&server, config(&VERSIONS));
    client.config = config(&VERSIONS).into();
    assert_eq!(client.receive("RETR file"), b"x");
}

#[test]
fn an_upload_that_is_cut_off_is_never_called_complete() {
    let pems = Pems::new();
    let server = pems.serve(&["rsa"], &["--tls=require"]);
    for version in VERSIONS {
        let mut client = TlsClient::log_in(&server, config(&[version]));
        let mut data = client.start("STOR file");
        data.write_all(&content(100_000)).unwrap();
        data.flush().unwrap();
        data.sock.shutdown(Shutdown::Write).unwrap();
        let reply = client.expect(426);
        assert!(reply.contains("close_notify"), "{reply}");
        client.send("NOOP").expect(200);
    }
}

#[test]
fn a_data_connection_in_the_clear_gets_nothing_under_prot_p() {
    let pems = Pems::new();
    let server = pems.serve(&["rsa"], &["--tls=require"]);
    server.write("file", "secret");
    let mut client = TlsClient::log_in(&server, config(&VERSIONS));
    let mut data = client.start_clear("RETR file");
    data.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut got = Vec::new();
    let _ = data.read_to_end(&mut got);
    assert!(!got.windows(6).any(|six| six == b"secret"));
    client.expect(425);
    let data = client.start_clear("RETR file");
    drop(data);
    client.expect(425);
    assert_eq!(client.receive("RETR file"), b"secret");
}

#[test]
fn other_protocols_are_sent_away() {
    let pems = Pems::new();
    let server = pems.serve(&["rsa"], &["--tls=allow"]);
    for line in ["GET / HTTP/1.1", "POST /?USER=x HTTP/1.1", "EHLO there", "SSH-2.0-OpenSSH_9.2"] {
        let mut clear = server.connect();
        clear.send(line).expect(421);
        clear.expect_end();
        let mut client = TlsClient::connect(&server, config(&VERSIONS));
        client.send(line).expect(421);
        assert!(client.reply().is_err());
    }
    for (protocol, welcome) in [("http/1.1", false), ("smtp", false), ("ftp", true)] {
        let mut clear = greeted(&server);
        clear.write_all(b"AUTH TLS\r\n").unwrap();
        expect_in_the_clear(&mut clear, "234");
        let mut config = config(&VERSIONS);
        config.alpn_protocols = vec![protocol.into()];
        assert_eq!(TlsClient::on(clear, "localhost", config).is_ok(), welcome, "{protocol}");
    }
}

#[test]
fn a_silent_handshake_ends_with_the_time_for_the_login_and_stops_nobody() {
    let pems = Pems::new();
    let server = pems.serve(&["rsa"], &["--tls=allow", "--login-timeout=2"]);
    let mut silent = greeted(&server);
    silent.write_all(b"AUTH TLS\r\n").unwrap();
    expect_in_the_clear(&mut silent, "234");
    // Half a record.
    silent.write_all(&[22, 3, 1, 1, 0]).unwrap();
    TlsClient::log_in(&server, config(&VERSIONS)).send("NOOP").expect(200);
    silent.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut rest = Vec::new();
    let ended = silent.read_to_end(&mut rest);
    assert!(ended.is_ok() || ended.is_err_and(|err| err.kind() == std::io::ErrorKind::ConnectionReset));
}

#[test]
fn garbage_instead_of_a_handshake_costs_the_session() {
    let pems = Pems::new();
    let server = pems.serve(&["rsa"], &["--tls=allow"]);
    let mut clear = greeted(&server);
    clear.write_all(b"AUTH TLS\r\n").unwrap();
    expect_in_the_clear(&mut clear, "234");
    clear.write_all(b"USER anonymous\r\nPASS x\r\n").unwrap();
    let mut rest = Vec::new();
    let _ = clear.read_to_end(&mut rest);
    // An alert at most; no reply.
    assert!(!rest.starts_with(b"331"), "{}", rest.escape_ascii());
}

// What the administrator is told

#[test]
fn a_key_that_others_may_read_is_refused() {
    let pems = Pems::new();
    let key = pems.path("rsa.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let options = pems.options(&["rsa"]);
    let mut words = vec!["-F", "-A", "-a", "127.0.0.1", "-P", "0", "--anonymous-root", "/"];
    words.extend(options.iter().map(String::as_str));
    let outcome = run_to_its_end(&words);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("rsa.key") && outcome.stderr.contains("644"), "{}", outcome.stderr);
}

#[test]
fn what_does_not_fit_together_is_found_at_the_start() {
    let pems = Pems::new();
    let rsa = pems.path("rsa.pem");
    let rsa = rsa.to_str().unwrap();
    for words in [
        &["--tls", "require"][..],
        &["--tls-port", "990"],
        &["--tls-key", rsa],
        &["--tls-cert", rsa, "--tls-client-auth", "require"],
        &["--tls-cert", rsa, "--tls-client-login"],
        &["--tls-cert", rsa, "--tls-client-ca", rsa, "--tls-client-auth=off", "--tls-client-login"],
        &["--tls-cert", rsa, "--tls-cert", rsa, "--tls-key", rsa],
        &["--tls-self-signed", "--tls-cert", rsa],
        &["--port", "none"],
    ] {
        let all: Vec<&str> = ["-F", "-A"].into_iter().chain(words.iter().copied()).collect();
        let outcome = run_to_its_end(&all);
        assert_eq!(outcome.code, Some(2), "{words:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("--tls-") || outcome.stderr.contains("--port"), "{}", outcome.stderr);
    }
}

#[test]
fn a_self_signed_certificate_is_made_and_its_fingerprint_told() {
    let server = Server::start(&["--tls-self-signed", "--tls=require"]);
    server.write("file", "x");
    server.stdout.wait_for("SHA-256 fingerprint");
    let mut client = TlsClient::log_in(&server, config(&VERSIONS));
    assert_eq!(client.receive("RETR file"), b"x");
}
