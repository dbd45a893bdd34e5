//! Services of PAM that are slow, refuse, or open sessions.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::ground::{Ground, ONE, PamService, TWO, children, log_in};
use crate::server::wait_until;

/// What most systems have for accounts of their own.
const PASSWORDS: &str = "auth required pam_unix.so\naccount required pam_unix.so\n";

#[test]
fn while_six_slow_logins_go_on_a_quick_one_takes_its_own_time() {
    let Some(ground) = Ground::new() else { return };
    let script = ground.path("slow");
    fs::write(&script, "#!/bin/sh\n[ \"$PAM_USER\" != ferrytest1 ] || sleep 5\n").expect("our own folder");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("root may");
    let service = PamService::new(
        "slow",
        &format!("auth required pam_exec.so quiet {}\n{PASSWORDS}", script.display()),
    );
    let server = ground.start(&["--pam-service", &service.name]);
    let quick = || {
        let mut client = Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), server.address());
        client.expect(220);
        let began = Instant::now();
        client.send(format!("USER {}", TWO.name)).expect(331);
        client.send(format!("PASS {}", TWO.password)).expect(230);
        began.elapsed()
    };
    let alone = quick();
    let mut slow: Vec<Client> = (0..6).map(|_| server.connect()).collect();
    let began = Instant::now();
    for client in &mut slow {
        client.send(format!("USER {}", ONE.name)).expect(331);
        client.send(format!("PASS {}", ONE.password));
    }
    wait_until("six helpers are busy", || {
        let is_busy = |pid: &u32| !children(*pid).is_empty();
        (children(server.pid()).iter().filter(|pid| is_busy(pid)).count() == 6).then_some(())
    });
    let beside = quick();
    assert!(beside < alone + Duration::from_secs(1), "{beside:?} beside others, {alone:?} alone");
    assert!(began.elapsed() < Duration::from_secs(5), "the slow ones are still at it");
    for client in &mut slow {
        client.expect(230);
    }
    assert!(began.elapsed() < Duration::from_secs(10), "none waited for another");
}

#[test]
fn a_refusal_is_answered_after_a_whole_number_of_delays() {
    let Some(ground) = Ground::new() else { return };
    let service =
        PamService::new("late", &format!("auth required pam_exec.so quiet /bin/sleep 1\n{PASSWORDS}"));
    let server = ground.start(&["--pam-service", &service.name, "--login-delay", "900"]);
    let mut client = server.connect();
    client.send(format!("USER {}", ONE.name)).expect(331);
    let began = Instant::now();
    client.send("PASS wrong").expect(530);
    assert!(began.elapsed() >= Duration::from_millis(1800), "{:?}", began.elapsed());
}

#[test]
fn a_check_may_take_as_long_as_auth_timeout_says() {
    let Some(ground) = Ground::new() else { return };
    let service =
        PamService::new("hangs", &format!("auth required pam_exec.so quiet /bin/sleep 30\n{PASSWORDS}"));
    let server = ground.start(&["--pam-service", &service.name, "--auth-timeout", "1"]);
    let mut client = server.connect();
    client.send(format!("USER {}", ONE.name)).expect(331);
    let began = Instant::now();
    client.send(format!("PASS {}", ONE.password)).expect(421);
    assert!(began.elapsed() >= Duration::from_secs(1) && began.elapsed() < Duration::from_secs(20));
    server.log.wait_for("did not answer in time");
}

#[test]
fn a_session_that_pam_refuses_is_a_refused_login() {
    let Some(ground) = Ground::new() else { return };
    let deny = format!("{PASSWORDS}session required pam_deny.so\n");
    let service = PamService::new("deny", &deny);
    let server = ground.start(&["--pam-service", &service.name, "--pam-session"]);
    let mut client = server.connect();
    client.send(format!("USER {}", ONE.name)).expect(331);
    client.send(format!("PASS {}", ONE.password)).expect(530);
    client.send("PWD").expect(530);
    for stage in [
        "PAM authenticate FROM 127.0.0.1, ferrytest1: PAM_SUCCESS (0)",
        "PAM account FROM 127.0.0.1, ferrytest1: PAM_SUCCESS (0)",
        "PAM credentials FROM 127.0.0.1, ferrytest1: PAM_SUCCESS (0)",
        "PAM session FROM 127.0.0.1, ferrytest1: PAM_SESSION_ERR (14)",
        "FTP LOGIN FAILED FROM 127.0.0.1, ferrytest1",
    ] {
        server.log.wait_for(stage);
    }
}

#[test]
fn the_stage_that_refuses_is_in_the_log() {
    let Some(ground) = Ground::new() else { return };
    let service = PamService::new("account", "auth required pam_unix.so\naccount required pam_deny.so\n");
    let server = ground.start(&["--pam-service", &service.name]);
    let mut client = server.connect();
    client.send(format!("USER {}", ONE.name)).expect(331);
    client.send("PASS wrong").expect(530);
    server.log.wait_for("PAM authenticate FROM 127.0.0.1, ferrytest1: PAM_AUTH_ERR (7)");
    client.send(format!("USER {}", ONE.name)).expect(331);
    client.send(format!("PASS {}", ONE.password)).expect(530);
    server.log.wait_for("PAM account FROM 127.0.0.1, ferrytest1: PAM_AUTH_ERR (7)");
}

#[test]
fn a_session_that_ended_leaves_no_zombie() {
    let Some(ground) = Ground::new() else { return };
    let service = PamService::new("session", &format!("{PASSWORDS}session required pam_permit.so\n"));
    let server = ground.start(&["--pam-service", &service.name, "--pam-session"]);
    let keepers = || children(server.pid()).into_iter().flat_map(children).count();
    let clients: Vec<Client> = [ONE, TWO, ONE].map(|account| log_in(&server, account)).into();
    assert_eq!(keepers(), 3, "a process for each session");
    for mut client in clients {
        client.send("QUIT").expect(221);
    }
    // Nobody logs in meanwhile.
    wait_until("none of them is left, not even as a zombie", || (keepers() == 0).then_some(()));
}
