//! Who may log in: ftpusers, shells, uids, the anonymous account.

use std::fs;

use crate::ground::{DENIED, Ground, NO_SHELL, ONE, SYSTEM, TWO, TestAccount, log_in};
use crate::server::Server;

#[track_caller]
fn expect_refused(server: &Server, account: TestAccount) {
    let mut client = server.connect();
    client.send(format!("USER {}", account.name)).expect(331);
    client.send(format!("PASS {}", account.password)).expect_any(&[530, 421, 451]);
}

#[test]
fn ftpusers_names_those_who_may_not() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&[]);
    log_in(&server, DENIED);
    // The file is read at each login.
    ground.configure("ftpusers", "#ferrytest1\nsomebody\nferrydenied\n");
    expect_refused(&server, DENIED);
    log_in(&server, ONE);
    ground.configure("ftpusers", "@ferrygroup\n");
    expect_refused(&server, ONE);
    log_in(&server, TWO);
    ground.configure("ftpusers", "@\n");
    expect_refused(&server, ONE);
    expect_refused(&server, TWO);
}

#[test]
fn an_ftpusers_that_cannot_be_read_refuses_everybody() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&[]);
    log_in(&server, ONE);
    fs::create_dir(ground.path("etc/ftpusers")).expect("our own folder");
    expect_refused(&server, ONE);
    // Who does not exist is told what those are told who do.
    let mut stranger = server.connect();
    stranger.send("USER ferrynobodyatall").expect(331);
    stranger.send("PASS x").expect(421);
    fs::remove_dir(ground.path("etc/ftpusers")).expect("our own folder");
    std::os::unix::fs::symlink("ftpusers", ground.path("etc/ftpusers")).expect("a loop");
    expect_refused(&server, ONE);
    fs::remove_file(ground.path("etc/ftpusers")).expect("our own folder");
    log_in(&server, ONE);
}

#[test]
fn an_ftpusers_with_many_lines_is_read_to_the_end() {
    let Some(ground) = Ground::new() else { return };
    let others: String = (0..5000).map(|n| format!("somebody{n}\n")).collect();
    ground.configure("ftpusers", &format!("{others}ferrydenied"));
    let server = ground.start(&[]);
    expect_refused(&server, DENIED);
    log_in(&server, ONE);
}

#[test]
fn an_account_needs_a_valid_shell() {
    let Some(ground) = Ground::new() else { return };
    expect_refused(&ground.start(&[]), NO_SHELL);
    log_in(&ground.start(&["--no-shell-check"]), NO_SHELL);
}

#[test]
fn min_uid_refuses_those_below() {
    let Some(ground) = Ground::new() else { return };
    log_in(&ground.start(&[]), SYSTEM);
    let server = ground.start(&["--min-uid", "1000"]);
    expect_refused(&server, SYSTEM);
    log_in(&server, ONE);
    let uid = ONE.uid();
    log_in(&ground.start(&["--min-uid", &uid.to_string()]), ONE);
    expect_refused(&ground.start(&["--min-uid", &(uid + 1).to_string()]), ONE);
}

#[test]
fn accounts_do_not_log_in_where_anonymous_is_alone() {
    let Some(ground) = Ground::new() else { return };
    let root = ground.folder_of(ONE, 0o755);
    let server = ground.start(&["-A", "--anonymous-root", &root, "--anonymous-user", "nobody"]);
    expect_refused(&server, ONE);
    server.log_in().names("");
}

#[test]
fn ftpusers_holds_for_anonymous_too() {
    let Some(ground) = Ground::new() else { return };
    let root = ground.folder_of(ONE, 0o755);
    let server = ground.start(&["--anonymous-root", &root, "--anonymous-user", "nobody"]);
    server.log_in();
    for line in ["ftp\n", "anonymous\n"] {
        ground.configure("ftpusers", line);
        for name in ["ftp", "anonymous"] {
            let mut client = server.connect();
            client.send(format!("USER {name}")).expect(331);
            client.send("PASS x@example.org").expect(530);
        }
        log_in(&server, ONE);
    }
}

#[test]
fn anonymous_has_the_rights_of_its_account() {
    let Some(ground) = Ground::new() else { return };
    let root = ground.folder_of(ONE, 0o777);
    let private = crate::ground::write(&root, "private", "secret", ONE, 0o600);
    crate::ground::write(&root, "public", "for all", ONE, 0o644);
    let server = ground.start(&["-m", "--anonymous-root", &root, "--anonymous-user", "nobody"]);
    let mut client = server.log_in();
    client.refused("RETR private", &[550]);
    assert_eq!(client.retr("public"), b"for all");
    client.stor("stored", "x");
    let nobody = users::get_user_by_name("nobody").expect("every system has it").uid();
    assert_eq!(crate::ground::ownership(&format!("{root}/stored")).0, nobody);
    client.send("SITE CHMOD 644 private").expect(550);
    assert_eq!(crate::ground::ownership(&private).2, 0o600);
    client.refused("RETR /etc/passwd", &[550]);
}
