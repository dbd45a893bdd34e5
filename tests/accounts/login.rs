//! Right and wrong passwords, through PAM and through the shadow file.

use std::fs;

use crate::client::Client;
use crate::ground::{
    DENIED, DOMAIN, EXPIRED, Ground, LOCKED, NO_SHELL, ODD, ONE, QUOTED, STALE, SYSTEM, TWO, TestAccount,
    children, log_in, run,
};
use crate::server::Server;

const METHODS: [&str; 2] = ["pam", "shadow"];

/// USER and PASS, which must fail; both replies, with the name left out.
#[track_caller]
fn refused(server: &Server, name: &str, password: &str) -> (String, String) {
    let mut client = server.connect();
    let user = client.send(format!("USER {name}")).expect(331).text().replace(name, "NAME");
    let pass = client.send(format!("PASS {password}")).expect(530).text().replace(name, "NAME");
    client.send("PWD").expect(530);
    (user, pass)
}

#[test]
fn an_account_logs_in_with_its_password() {
    let Some(ground) = Ground::new() else { return };
    for method in METHODS {
        let server = ground.start(&["--auth", method]);
        for account in [ONE, TWO, ODD] {
            let mut client = log_in(&server, account);
            let here = client.send("PWD").expect(257).quoted_path();
            assert_eq!(here, account.home().as_os_str().as_encoded_bytes(), "{method}");
        }
        server.log.wait_for("FTP LOGIN FROM 127.0.0.1 as ferrytest1");
    }
}

#[test]
fn names_may_be_what_the_name_service_has() {
    let Some(ground) = Ground::new() else { return };
    for method in METHODS {
        ground.configure("ftpusers", "");
        let server = ground.start(&["--auth", method]);
        for account in [QUOTED, DOMAIN] {
            log_in(&server, account);
            refused(&server, account.name, "wrong");
        }
        server.log.wait_for("FTP LOGIN FROM 127.0.0.1 as ferry\\x20o'neil");
        ground.configure("ftpusers", "\"ferry o'neil\"\nFERRY\\first deny\n");
        for account in [QUOTED, DOMAIN] {
            refused(&server, account.name, account.password);
        }
        for name in ["a/b", "-x", "a:b", "a\u{1b}b"] {
            refused(&server, name, "x");
        }
    }
}

#[test]
fn a_wrong_password_is_refused() {
    let Some(ground) = Ground::new() else { return };
    for method in METHODS {
        let server = ground.start(&["--auth", method]);
        for password in [
            "wrong",
            "",
            " ",
            "ferrytest1-secret",
            "ferrytest1-Secret ",
            " ferrytest1-Secret",
            "ferrytest1-Secre",
            "*",
            "!",
            "x",
        ] {
            let mut client = server.connect();
            client.send("USER ferrytest1").expect(331);
            client.send(format!("PASS {password}")).expect_any(&[530, 501]);
            client.send("PWD").expect(530);
        }
        refused(&server, ONE.name, TWO.password);
        server.log.wait_for("FTP LOGIN FAILED FROM 127.0.0.1");
    }
}

#[test]
fn a_name_is_not_another_name() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&[]);
    for name in ["FERRYTEST1", "Ferrytest1", "ferrytest1 ", " ferrytest1", "ferrytest", "ferrytest11", "1001"]
    {
        refused(&server, name, ONE.password);
    }
}

#[test]
fn every_refusal_looks_the_same() {
    let Some(ground) = Ground::new() else { return };
    ground.configure("ftpusers", "# nobody else\nferrydenied\n");
    for method in METHODS {
        let server = ground.start(&["--auth", method, "--min-uid", "1000"]);
        let unknown = refused(&server, "no-such-account", "x");
        assert_eq!(refused(&server, ONE.name, "wrong"), unknown);
        assert_eq!(refused(&server, "root", "wrong"), unknown);
        // Their passwords are right.
        for account in [LOCKED, EXPIRED, STALE, NO_SHELL, DENIED, SYSTEM] {
            assert_eq!(refused(&server, account.name, account.password), unknown, "{method} {account:?}");
        }
        log_in(&server, ONE);
    }
}

/// The processor time that the server's helpers have used, in ticks of the clock.
fn ticks_of_helpers(server: &Server) -> u64 {
    let ticks_of = |pid: u32| -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let times: Vec<u64> =
            stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
        Some(times.iter().sum())
    };
    children(server.pid()).into_iter().filter_map(ticks_of).sum()
}

#[test]
fn every_refusal_is_the_same_work() {
    let Some(ground) = Ground::new() else { return };
    ground.configure("ftpusers", "ferrydenied\n");
    for method in METHODS {
        let server = ground.start(&["--auth", method]);
        let work = |name: &str| {
            let before = ticks_of_helpers(&server);
            (0..12).for_each(|_| drop(refused(&server, name, "wrong")));
            ticks_of_helpers(&server) - before
        };
        // It learns from real checks and from pretended ones.
        for name in [ONE.name, "no-such-account"] {
            (0..4).for_each(|_| drop(refused(&server, name, "wrong")));
        }
        for name in ["no-such-account", DENIED.name, LOCKED.name, NO_SHELL.name] {
            // Processor time is blurred on a busy machine: a difference that is there is there each time.
            let mut rounds = Vec::new();
            let is_alike = (0..6).any(|_| {
                let (other, wrong) = (work(name), work(ONE.name));
                rounds.push((other, wrong));
                other * 3 > wrong * 2 && other * 2 < wrong * 3
            });
            assert!(is_alike, "{method}: {name} and a wrong password took these ticks: {rounds:?}");
        }
    }
}

#[test]
fn an_account_without_password_is_refused() {
    let Some(ground) = Ground::new() else { return };
    for method in METHODS {
        let server = ground.start(&["--auth", method, "--no-shell-check", "--min-uid", "0"]);
        for name in ["nobody", "daemon", "bin"] {
            for password in ["", "*", "!", "x"] {
                let mut client = server.connect();
                client.send(format!("USER {name}")).expect(331);
                client.send(format!("PASS {password}")).expect_any(&[530, 501]);
            }
        }
    }
}

/// An account with root's uid, for as long as one test takes.
struct SecondRoot(String);

impl SecondRoot {
    const NAME: &str = "ferryroot";

    fn new() -> SecondRoot {
        let _ = std::process::Command::new("userdel").args(["-f", SecondRoot::NAME]).output();
        // Nobody else is to know it.
        let password = fs::read_to_string("/proc/sys/kernel/random/uuid").expect("Linux").trim().to_owned();
        run("useradd", &["-o", "-u", "0", "-g", "0", "-M", "-d", "/", "-s", "/bin/sh", SecondRoot::NAME]);
        let script = format!("echo '{}:{password}' | chpasswd", SecondRoot::NAME);
        run("sh", &["-c", &script]);
        SecondRoot(password)
    }
}

impl Drop for SecondRoot {
    fn drop(&mut self) {
        let _ = std::process::Command::new("userdel").args(["-f", SecondRoot::NAME]).output();
    }
}

#[test]
fn whoever_has_uid_zero_is_refused() {
    let Some(ground) = Ground::new() else { return };
    let root = SecondRoot::new();
    for method in METHODS {
        for min_uid in ["0", "1"] {
            let server = ground.start(&["--auth", method, "--min-uid", min_uid]);
            refused(&server, SecondRoot::NAME, &root.0);
        }
    }
}

#[test]
fn the_attempts_of_one_session_are_counted() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&["--max-login-attempts", "3"]);
    let mut client: Client = server.connect();
    for _ in 0..2 {
        client.send("USER ferrytest1").expect(331);
        client.send("PASS wrong").expect(530);
    }
    client.send("USER ferrytest1").expect(331);
    client.send("PASS wrong").expect_any(&[530, 421]);
    client.expect_end();
    // Other sessions have attempts of their own.
    log_in(&server, ONE);
}

#[test]
fn many_accounts_log_in_at_the_same_time() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&[]);
    let accounts: Vec<TestAccount> = [ONE, TWO, ODD].iter().copied().cycle().take(12).collect();
    let mut clients: Vec<Client> = accounts.iter().map(|_| server.connect()).collect();
    for (client, account) in clients.iter_mut().zip(&accounts) {
        client.send(format!("USER {}", account.name));
        client.send(format!("PASS {}", account.password));
    }
    for (client, account) in clients.iter_mut().zip(&accounts) {
        client.expect(331);
        client.expect(230);
        let here = client.send("PWD").expect(257).quoted_path();
        assert_eq!(here, account.home().as_os_str().as_encoded_bytes());
    }
}

#[test]
fn passwords_of_accounts_are_not_logged() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&["-l", "-d", "-d"]);
    let mut client = log_in(&server, ONE);
    refused(&server, "ferrytest1-Secret", "wrong-Secret");
    client.send("MKD the-end-of-the-test").expect(257);
    client.send("RMD the-end-of-the-test").expect(250);
    server.log.wait_for("rmdir");
    let lines = server.log.all();
    // The name that was tried is logged; a password typed in its place would be too, as with every ftpd.
    let told = lines.iter().filter(|line| line.contains("Secret") && !line.contains("ferrytest1-Secret"));
    assert_eq!(told.count(), 0, "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("wrong-Secret")), "{lines:#?}");
}
