//! `--tls-client-login`: logins by certificate, of accounts of the system.

use std::fs;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::ground::{DENIED, EXPIRED, Ground, LOCKED, NO_SHELL, ONE, STALE, TWO, TestAccount, run, write};
use crate::server::Server;
use crate::test_support::find_program;
use crate::tls_client::{Pems, TlsClient, VERSIONS, builder};

/// Who signs certificates for this test.
struct Authority<'a> {
    ground: &'a Ground,
}

impl Authority<'_> {
    /// `None` without openssl, which signs.
    fn new(ground: &Ground) -> Option<Authority<'_>> {
        find_program("openssl")?;
        let authority = Authority { ground };
        fs::write(authority.path("cnf"), "[req]\ndistinguished_name = dn\n[dn]\n").expect("our own folder");
        authority.sign("ca", &["-addext", "basicConstraints=critical,CA:TRUE"]);
        Some(authority)
    }

    fn path(&self, name: &str) -> String {
        self.ground.path(name).into_os_string().into_string().expect("a plain path")
    }

    fn sign(&self, name: &str, more: &[&str]) {
        let (config, subject) = (self.path("cnf"), format!("/CN={name}"));
        let (key, certificate) = (self.path(&format!("{name}.key")), self.path(&format!("{name}.pem")));
        let mut words = vec!["req", "-x509", "-config", &config, "-subj", &subject, "-days", "2", "-nodes"];
        words.extend(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        words.extend(["-keyout", &key, "-out", &certificate]);
        words.extend(more);
        run("openssl", &words);
    }

    /// A client with a certificate in this name.
    fn client_of(&self, account: TestAccount, server: &Server) -> TlsClient {
        let (ca, key) = (self.path("ca.pem"), self.path("ca.key"));
        self.sign(
            account.name,
            &["-CA", &ca, "-CAkey", &key, "-addext", "basicConstraints=critical,CA:FALSE"],
        );
        let certificate = CertificateDer::from_pem_file(self.path(&format!("{}.pem", account.name)));
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{}.key", account.name)));
        let config = builder(&VERSIONS)
            .with_client_auth_cert(vec![certificate.expect("a certificate")], key.expect("a key"))
            .expect("they fit");
        TlsClient::connect(server, config)
    }
}

#[test]
fn a_certificate_is_enough_for_an_account_that_is_valid() {
    let Some(ground) = Ground::new() else { return };
    let Some(authority) = Authority::new(&ground) else { return };
    let (pems, ca) = (Pems::new(), authority.path("ca.pem"));
    let folder = ground.folder_of(ONE, 0o700);
    write(&folder, "file", "x", ONE, 0o600);
    ground.configure("ftpusers", "ferrydenied\n");
    for more in [&["--auth=pam"][..], &["--auth=pam", "--pam-session"], &["--auth=shadow"]] {
        let options = pems.options(&["rsa"]);
        let mut words: Vec<&str> = options.iter().map(String::as_str).chain(more.iter().copied()).collect();
        words.extend(["--tls-client-login", "--tls-client-ca", &ca]);
        let server = ground.start(&words);
        let mut client = authority.client_of(ONE, &server);
        client.send(&format!("USER {}", TWO.name)).expect(331);
        client.send(&format!("USER {}", ONE.name)).expect(232);
        client.send("PBSZ 0").expect(200);
        client.send("PROT P").expect(200);
        assert_eq!(client.receive(&format!("RETR {folder}/file")), b"x");
        // The password of another goes on being asked for, and being enough.
        client.send(&format!("USER {}", TWO.name)).expect(331);
        client.send(&format!("PASS {}", TWO.password)).expect(230);
        for account in [DENIED, LOCKED, EXPIRED, STALE, NO_SHELL] {
            let mut client = authority.client_of(account, &server);
            client.send(&format!("USER {}", account.name)).expect(331);
            client.send(&format!("PASS {}", account.password)).expect(530);
            client.send("PWD").expect(530);
        }
    }
}
