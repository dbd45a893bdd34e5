//! Which TLS sessions prove whose a data connection is: any number of transfers by clients that
//! use each ticket once, and what is refused.

use std::io::Write;
use std::sync::Arc;

use rustls::client::Resumption;

use crate::client::connect;
use crate::server::localhost;
use crate::tls::back_in_the_clear;
use crate::tls_client::{
    NewestTicket, Pems, TlsClient, VERSIONS, close, config, expect_in_the_clear, secure,
};

/// As OpenSSL's clients do in TLS 1.3: curl, PHP and those of their kind.
fn by_newest_ticket() -> rustls::ClientConfig {
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
