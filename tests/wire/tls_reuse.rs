//! Which TLS sessions prove whose a data connection is: any number of transfers by clients that
//! use each ticket once, and what is refused.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::client::Resumption;

use crate::client::{connect, connect_from};
use crate::server::{Folder, Server, localhost};
use crate::tls::back_in_the_clear;
use crate::tls_client::{
    AnyName, NewestTicket, Pems, TlsClient, VERSIONS, close, config, expect_in_the_clear, secure,
};
use crate::user_file::{PASSWORD, start_with_accounts};

/// As OpenSSL's clients do in TLS 1.3: curl, PHP and those of their kind.
fn by_newest_ticket() -> ClientConfig {
    let mut config = config(&[VERSIONS[1]]);
    config.resumption = Resumption::store(Arc::new(NewestTicket::default()));
    config
}

#[test]
fn uploads_and_downloads_go_on_for_a_client_that_uses_its_newest_ticket_once() {
    let pems = Pems::new();
    let server = pems.serve(&["ecdsa"], &["--tls=require"]);
    server.write("file", "x");
    let mut client = TlsClient::log_in(&server, by_newest_ticket());
    for n in 0..50 {
        client.store(&format!("STOR {n}"), b"x");
    }
    for _ in 0..5 {
        assert_eq!(client.receive("RETR file"), b"x");
        client.store("STOR more", b"x");
        // No ticket is used up for these, and the next transfer has one all the same.
        client.send("RETR none").expect(550);
        client.epsv();
        client.send("ABOR").expect(225);
    }
}

/// Some accounts, each with a file that is called `file` and has the name of its account in it.
fn with_accounts(folder: &Folder, pems: &Pems, more: &[&str]) -> Server {
    let mut options = pems.options(&["ecdsa"]);
    options.extend(["--tls=require", "--tls-allow-ccc"].iter().chain(more).map(|&word| word.to_owned()));
    start_with_accounts(folder, &["one", "two", "three", "four"], &options)
}

fn logged_in(server: &Server, config: &ClientConfig, name: &str) -> TlsClient {
    let mut client = TlsClient::connect(server, config.clone());
    client.log_in_as(name, PASSWORD);
    client
}

/// `client` comes to its data port with the newest session of `config`, whosever that is; the
/// code of its last reply.
fn retrieve_by(client: &mut TlsClient, config: &ClientConfig) -> String {
    let data = client.start_clear("RETR file");
    let mut bytes = Vec::new();
    if let Ok(mut data) = secure(&Arc::new(config.clone()), "localhost", data) {
        let _ = data.read_to_end(&mut bytes);
    }
    let code = client.reply().unwrap()[..3].to_owned();
    assert_eq!(bytes.is_empty(), code != "226", "{code}");
    code
}

#[test]
fn connections_of_one_account_from_one_address_may_share_a_cache_of_sessions() {
    let (folder, pems) = (Folder::new(), Pems::new());
    let server = with_accounts(&folder, &pems, &[]);
    for config in [by_newest_ticket(), config(&[VERSIONS[0]]), config(&[VERSIONS[1]])] {
        let mut clients = [(); 4].map(|()| logged_in(&server, &config, "one"));
        for _ in 0..3 {
            for client in &mut clients {
                client.store("STOR up", b"x");
            }
            for client in clients.iter_mut().rev() {
                assert_eq!(client.receive("RETR file"), b"one");
            }
        }
    }
}

#[test]
fn sessions_of_another_account_or_address_or_of_a_connection_that_has_ended_prove_nothing() {
    let (folder, pems) = (Folder::new(), Pems::new());
    let server = with_accounts(&folder, &pems, &[]);
    for version in VERSIONS {
        let own = config(&[version]);
        let mut client = logged_in(&server, &own, "one");
        let elsewhere = connect_from([127, 0, 0, 2].into(), server.address()).unwrap();
        let theirs = [config(&[version]), config(&[version]), config(&[version]), config(&[version])];
        let mut far = TlsClient::begin(elsewhere, theirs[0].clone());
        far.log_in_as("one", PASSWORD);
        let mut other = logged_in(&server, &theirs[1], "two");
        logged_in(&server, &theirs[2], "one").send("QUIT").expect(221);
        // Logged in as the same account, and as somebody else since.
        let mut changed = logged_in(&server, &theirs[3], "one");
        changed.log_in_as("two", PASSWORD);
        for theirs in &theirs {
            assert_eq!(retrieve_by(&mut client, theirs), "522");
        }
        assert_eq!(client.receive("RETR file"), b"one");
        for other in [&mut far, &mut other, &mut changed] {
            other.send("NOOP").expect(200);
        }
    }
}

#[test]
fn what_a_session_proves_may_turn_out_when_its_own_connection_logs_in() {
    let (folder, pems) = (Folder::new(), Pems::new());
    let server = with_accounts(&folder, &pems, &[]);
    for version in VERSIONS {
        for (name, code) in [("one", "226"), ("two", "522")] {
            let config = config(&[version]);
            let mut client = logged_in(&server, &config, "one");
            let mut late = TlsClient::connect(&server, config.clone());
            // Reads what may be a ticket.
            late.send("NOOP").expect(200);
            let data = client.start_clear("RETR file");
            let data = secure(&client.config, "localhost", data);
            late.log_in_as(name, PASSWORD);
            let mut bytes = Vec::new();
            data.map(|mut data| data.read_to_end(&mut bytes)).unwrap().ok();
            assert_eq!(bytes, if code == "226" { &b"one"[..] } else { b"" });
            client.expect(code.parse().unwrap());
        }
        let config = config(&[version]);
        let mut client = logged_in(&server, &config, "one");
        let mut late = TlsClient::connect(&server, config.clone());
        late.send("NOOP").expect(200);
        let data = client.start_clear("RETR file");
        let data = secure(&client.config, "localhost", data);
        drop(late);
        client.expect(522);
        drop(data);
    }
}

#[test]
fn the_session_is_the_proof_whatever_name_is_asked_for() {
    let pems = Pems::new();
    let server = pems.serve(&["rsa", "ecdsa"], &["--tls=require"]);
    server.write("file", "x");
    for version in VERSIONS {
        for (on_control, on_data) in [("localhost", false), ("rsa.example", true)] {
            let mut config = config(&[version]);
            config.resumption = Resumption::store(Arc::new(AnyName::default()));
            let mut clear = connect(server.address());
            expect_in_the_clear(&mut clear, "220");
            clear.write_all(b"AUTH TLS\r\n").unwrap();
            expect_in_the_clear(&mut clear, "234");
            let mut silent = config.clone();
            silent.enable_sni = false;
            let (first, second) = if on_data { (silent, config) } else { (config, silent) };
            let mut client = TlsClient::on(clear, on_control, first).unwrap();
            client.log_in_here();
            client.send("PBSZ 0").expect(200);
            client.send("PROT P").expect(200);
            assert_eq!(client.receive("RETR file"), b"x");
            client.config = second.into();
            assert_eq!(client.receive("RETR file"), b"x", "{version:?} {on_control}");
            client.store("STOR up", b"x");
        }
    }
}

#[test]
fn uploads_go_on_after_ccc_too() {
    let pems = Pems::new();
    let server = pems.serve(&["ecdsa"], &["--tls=require", "--tls-allow-ccc"]);
    let mut client = TlsClient::log_in(&server, by_newest_ticket());
    client.send("CCC").expect(200);
    let config = client.config.clone();
    let mut clear = back_in_the_clear(client);
    for n in 0..5 {
        clear.write_all(b"EPSV\r\n").unwrap();
        let reply = expect_in_the_clear(&mut clear, "229");
        let data = connect(localhost(reply.split('|').nth(3).unwrap().parse().unwrap()));
        clear.write_all(format!("STOR {n}\r\n").as_bytes()).unwrap();
        expect_in_the_clear(&mut clear, "150");
        let mut data = secure(&config, "localhost", data).unwrap();
        data.write_all(b"x").unwrap();
        close(data);
        expect_in_the_clear(&mut clear, "226");
    }
}

#[test]
fn who_is_refused_reads_the_reply_and_not_a_reset() {
    let pems = Pems::new();
    let server = pems.serve(&["ecdsa"], &["--tls=require"]);
    server.write("file", "x");
    let megabytes = vec![b'x'; 30 << 20];
    for version in VERSIONS {
        let mut client = TlsClient::log_in(&server, config(&[version]));
        // A client that resumes nothing, and looks at replies only when all is sent.
        let data = client.start_clear("STOR up");
        let mut data = secure(&config(&[version]).into(), "localhost", data).unwrap();
        data.write_all(&megabytes).unwrap();
        close(data);
        client.expect(522);
        let data = client.start_clear("RETR file");
        let data = secure(&config(&[version]).into(), "localhost", data).unwrap();
        assert_eq!(close(data), b"");
        client.expect(522);
        // One that does not speak TLS.
        let mut data = client.start_clear("STOR up");
        data.write_all(&megabytes).unwrap();
        data.shutdown(Shutdown::Write).unwrap();
        let mut alert = Vec::new();
        data.read_to_end(&mut alert).unwrap();
        client.expect(425);
        assert!(!server.exists("up"));
        client.store("STOR up", b"x");
        client.send("DELE up").expect(250);
    }
}

#[test]
fn the_reply_to_who_is_refused_does_not_wait_for_the_end_of_what_it_sends() {
    let pems = Pems::new();
    let server = pems.serve(&["ecdsa"], &["--tls=require"]);
    let mut client = TlsClient::log_in(&server, config(&VERSIONS));
    let data = client.start_clear("STOR up");
    let mut data = secure(&config(&VERSIONS).into(), "localhost", data).unwrap();
    data.write_all(b"x").unwrap();
    data.flush().unwrap();
    let refused = Instant::now();
    client.expect(522);
    // Nor does the next command.
    client.send("NOOP").expect(200);
    assert!(refused.elapsed() < Duration::from_millis(900), "{:?}", refused.elapsed());
    drop(data);
}

#[test]
fn auto_asks_of_a_client_what_it_has_done_before() {
    let (folder, pems) = (Folder::new(), Pems::new());
    let server = with_accounts(&folder, &pems, &["--tls-require-reuse=auto"]);
    for version in VERSIONS {
        let resuming = config(&[version]);
        let mut never = config(&[version]);
        never.resumption = Resumption::disabled();
        // Other accounts in the second round: the server remembers those of the first.
        let (one, two) = if version == VERSIONS[0] { ("one", "two") } else { ("three", "four") };
        let mut client = logged_in(&server, &resuming, one);
        let mut second = logged_in(&server, &never, one);
        let mut other = logged_in(&server, &never, two);
        let mut far =
            TlsClient::begin(connect_from([127, 0, 0, 2].into(), server.address()).unwrap(), never.clone());
        far.log_in_as(one, PASSWORD);
        for client in [&mut client, &mut second, &mut other] {
            assert_eq!(retrieve_by(client, &never), "226");
            client.config = never.clone().into();
            client.store("STOR up", b"x");
        }
        assert_eq!(retrieve_by(&mut client, &resuming), "226");
        // From now on it is asked of it, and of all of its account from there.
        assert_eq!(retrieve_by(&mut client, &never), "522");
        assert_eq!(retrieve_by(&mut second, &never), "522");
        assert_eq!(retrieve_by(&mut logged_in(&server, &never, one), &never), "522");
        assert_eq!(retrieve_by(&mut client, &resuming), "226");
        assert_eq!(retrieve_by(&mut other, &never), "226");
        let data = connect_from([127, 0, 0, 2].into(), far.epsv()).unwrap();
        far.send("RETR file").expect(150);
        let mut bytes = Vec::new();
        secure(&far.config, "localhost", data).unwrap().read_to_end(&mut bytes).unwrap();
        far.expect(226);
    }

    // Anonymous clients do not speak for each other.
    let server = pems.serve(&["ecdsa"], &["--tls=require", "--tls-require-reuse=auto"]);
    server.write("file", "x");
    let mut never = config(&VERSIONS);
    never.resumption = Resumption::disabled();
    let mut client = TlsClient::log_in(&server, config(&VERSIONS));
    assert_eq!(client.receive("RETR file"), b"x");
    assert_eq!(retrieve_by(&mut client, &never), "522");
    assert_eq!(retrieve_by(&mut TlsClient::log_in(&server, never.clone()), &never), "226");
}
