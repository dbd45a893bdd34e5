//! The processes that check passwords: killed, stopped, and gone when the server is.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;
use crate::ground::{Ground, ONE, TWO, children, log_in};
use crate::server::{Server, wait_until};

fn signal_all(pids: &[u32], signal: Signal) {
    for &pid in pids {
        let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("not zero");
        let _ = kill_process(pid, signal);
    }
}

#[track_caller]
fn expect_logins_to_work_again(server: &Server) {
    wait_until("a login succeeds", || {
        let mut client = Client::connect(server.address());
        client.expect(220);
        client.send(format!("USER {}", ONE.name)).expect(331);
        let reply = client.send(format!("PASS {}", ONE.password)).expect_any(&[230, 421, 451]);
        (reply.code == 230).then_some(())
    });
    log_in(server, TWO);
}

#[test]
fn killed_helpers_are_replaced() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&[]);
    for _ in 0..3 {
        let helpers = children(server.pid());
        assert!(!helpers.is_empty(), "who checks the passwords?");
        signal_all(&helpers, Signal::KILL);
        expect_logins_to_work_again(&server);
    }
}

#[test]
fn a_helper_killed_during_a_login_costs_that_login_alone() {
    let Some(ground) = Ground::new() else { return };
    let folder = ground.folder_of(ONE, 0o755);
    let server =
        ground.start(&["--auth-helpers", "1", "--anonymous-root", &folder, "--anonymous-user", "nobody"]);
    let mut bystander = log_in(&server, TWO);
    let helpers = children(server.pid());
    signal_all(&helpers, Signal::STOP);
    let mut client = server.connect();
    client.send(format!("USER {}", ONE.name)).expect(331);
    client.send(format!("PASS {}", ONE.password));
    // While it waits, others are served.
    bystander.names("");
    server.log_in().names("");
    signal_all(&helpers, Signal::KILL);
    // Asking a new helper is as good an answer.
    client.expect_any(&[421, 451, 230]);
    bystander.send("NOOP").expect(200);
    expect_logins_to_work_again(&server);
}

#[test]
fn a_client_that_leaves_a_login_that_hangs_costs_nothing() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&["--auth-helpers", "1"]);
    let helpers = children(server.pid());
    signal_all(&helpers, Signal::STOP);
    let mut client = server.connect();
    client.send(format!("USER {}", ONE.name)).expect(331);
    client.send(format!("PASS {}", ONE.password));
    client.vanish();
    signal_all(&helpers, Signal::CONT);
    expect_logins_to_work_again(&server);
}

#[test]
fn helpers_end_with_the_server() {
    let Some(ground) = Ground::new() else { return };
    for signal in [Signal::TERM, Signal::KILL] {
        let mut server = ground.start(&[]);
        log_in(&server, ONE);
        let helpers = children(server.pid());
        server.signal(signal);
        server.exit_status();
        wait_until("the helpers have ended", || {
            helpers.iter().all(|pid| !Path::new(&format!("/proc/{pid}/cmdline")).exists()).then_some(())
        });
    }
}

#[test]
fn helpers_have_none_of_the_files_that_the_server_was_started_with() {
    let Some(ground) = Ground::new() else { return };
    ground.configure("inherited", "x");
    let mut launcher = Command::new("sh");
    launcher.args(["-c", "exec 9<\"$0\"; exec \"$@\""]).arg(ground.path("etc").join("inherited"));
    let server = ground.start_by(launcher, &[]);
    log_in(&server, ONE);
    let files_of = |pid: u32| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("root may look").flatten();
        entries.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect()
    };
    let has_it = |pid| files_of(pid).iter().any(|path| path.ends_with("etc/inherited"));
    assert!(has_it(server.pid()), "the test is one");
    let helpers = children(server.pid());
    assert!(!helpers.is_empty() && !helpers.into_iter().any(has_it));
}

#[test]
fn helpers_do_not_show_passwords() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&[]);
    log_in(&server, ONE);
    for pid in children(server.pid()) {
        for file in ["cmdline", "environ"] {
            let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            assert!(!text.contains("Secret"), "{file}: {text}");
        }
    }
}

#[test]
fn ps_says_what_helpers_are() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&[]);
    let helpers = children(server.pid());
    assert_eq!(helpers.len(), 2, "two wait for work");
    for pid in helpers {
        let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).expect("it runs");
        wait_until("it has its name", || (read("comm") == b"ftpd-auth\n").then_some(()));
        assert!(read("cmdline").starts_with(b"ftpd-auth\0"));
    }
}
