//! USER, PASS, ACCT, REIN: the anonymous login, and all that is refused in the same words.

use std::time::Instant;

use crate::client::Client;
use crate::server::Server;

#[test]
fn anonymous_logs_in_with_any_password() {
    let server = Server::start(&[]);
    for password in ["test@example.org", "x", "-wget@", "guest", "a b c", "\"", "%s%n", "\u{fc}\u{f6}"] {
        let mut client = server.connect();
        client.log_in_as("anonymous", password);
        client.send("PWD").expect(257);
    }
}

#[test]
fn ftp_is_the_other_name_of_anonymous_and_case_does_not_matter() {
    let server = Server::start(&[]);
    for name in ["ftp", "anonymous", "FTP", "Anonymous", "ANONYMOUS"] {
        server.connect().log_in_as(name, "test@example.org");
    }
}

#[test]
fn every_other_name_is_refused_after_its_password_and_not_before() {
    let server = Server::start(&[]);
    for name in ["root", "nobody", "no-such-user", "ftp2", "a b", "%n", "'; --", "..", "/"] {
        let mut client = server.connect();
        client.send(format!("USER {name}")).expect(331);
        client.send("PASS secret").expect(530);
        client.send("PWD").expect(530);
    }
}

#[test]
fn the_replies_do_not_tell_which_accounts_exist() {
    let server = Server::start(&["--max-login-attempts", "0"]);
    let mut client = server.connect();
    let mut dialogue = |name: &str| {
        let user = client.send(format!("USER {name}")).expect(331).text().replace(name, "NAME");
        (user, client.send("PASS secret").expect(530).text())
    };
    let unknown = dialogue("no-such-user");
    assert_eq!(dialogue("root"), unknown);
    assert_eq!(dialogue("nobody"), unknown);
}

#[test]
fn pass_without_user_is_a_bad_sequence() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send("PASS secret").expect(503);
    client.log_in();
}

#[test]
fn a_refused_password_asks_for_user_again() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send("USER joe").expect(331);
    client.send("PASS wrong").expect(530);
    client.send("PASS wrong").expect(503);
    client.log_in();
}

#[test]
fn the_last_user_before_pass_is_the_one_who_logs_in() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send("USER joe").expect(331);
    client.log_in();
}

#[test]
fn other_commands_between_user_and_pass_do_not_log_in() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send("USER anonymous").expect(331);
    client.send("PWD").expect(530);
    client.send("NOOP").expect_any(&[200, 530]);
    client.send("RETR x").expect(530);
}

#[test]
fn user_needs_a_name() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send("USER").expect_any(&[500, 501]);
    client.send("USER ").expect_any(&[500, 501]);
    client.log_in();
}

#[test]
fn a_second_user_command_undoes_the_login() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    let mut client = server.log_in();
    client.send("CWD sub").expect(250);
    client.send("USER anonymous").expect(331);
    client.send("PWD").expect(530);
    client.send("PASS test@example.org").expect(230);
    assert_eq!(client.send("PWD").expect(257).quoted_path(), b"/");
}

#[test]
fn a_second_user_command_that_fails_leaves_nobody_logged_in() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("USER joe").expect(331);
    client.send("PASS wrong").expect(530);
    client.send("PWD").expect(530);
    client.log_in();
}

#[test]
fn rein_undoes_the_login_and_every_parameter() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.write("text", "a\nb\n");
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    client.send("CWD sub").expect(250);
    client.send("RNFR /text").expect(350);
    client.send("REST 3").expect(350);
    client.send("REIN").expect_any(&[220, 120]);
    client.send("PWD").expect(530);
    client.log_in();
    assert_eq!(client.send("PWD").expect(257).quoted_path(), b"/");
    client.send("RNTO /moved").expect(503);
    assert_eq!(client.retr("text"), b"a\r\nb\r\n");
}

#[test]
fn rein_works_before_a_login_and_many_times() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send("REIN").expect(220);
    for _ in 0..20 {
        client.log_in();
        client.send("REIN").expect(220);
    }
}

#[test]
fn what_was_sent_along_with_rein_is_not_lost() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.raw("REIN\r\nUSER anonymous\r\nPASS x@example.org\r\nPWD\r\n");
    client.expect(220);
    client.expect(331);
    client.expect(230);
    client.expect(257);
}

#[test]
fn an_account_is_superfluous() {
    let server = Server::start(&[]);
    server.log_in().send("ACCT none").expect(202);
}

#[test]
fn max_login_attempts_ends_the_session() {
    let server = Server::start(&["--max-login-attempts", "3"]);
    let mut client = server.connect();
    for _ in 0..2 {
        client.send("USER joe").expect(331);
        client.send("PASS wrong").expect(530);
    }
    client.send("USER joe").expect(331);
    client.send("PASS wrong").expect_any(&[530, 421]);
    client.expect_end();
}

#[test]
fn a_client_that_does_not_log_in_is_sent_away() {
    let server = Server::start(&["--login-timeout", "1"]);
    let mut client = server.connect();
    client.expect(421);
    client.expect_end();
}

#[test]
fn talking_does_not_lengthen_the_time_to_log_in() {
    let server = Server::start(&["--login-timeout", "1"]);
    let mut client = server.connect();
    let started = Instant::now();
    loop {
        client.raw_if_open("NOOP\r\n");
        match client.try_reply() {
            Some(reply) if reply.code != 421 => (),
            _ => break,
        }
        assert!(started.elapsed() < crate::server::DEADLINE, "still there");
    }
}

#[test]
fn a_silent_client_is_sent_away() {
    let server = Server::start(&["-t", "1"]);
    let mut client = server.log_in();
    client.expect(421);
    client.expect_end();
}

#[test]
fn half_a_command_does_not_lengthen_the_time_to_be_silent() {
    let server = Server::start(&["-t", "1"]);
    let mut client = server.log_in();
    client.raw("NOO");
    client.expect(421);
    client.expect_end();
}

#[test]
fn max_per_user_counts_the_sessions_of_one_name() {
    let server = Server::start(&["--max-per-user", "2"]);
    let mut first = server.log_in();
    let _second = server.log_in();
    let mut third = server.connect();
    third.send("USER anonymous").expect(331);
    third.send("PASS x@example.org").expect_any(&[421, 530]);
    first.send("QUIT").expect(221);
    crate::server::wait_until("the place of the first is free", || {
        let mut client = server.connect();
        client.send("USER anonymous").expect(331);
        (client.send("PASS x@example.org").reply().code == 230).then_some(())
    });
}

#[test]
fn no_anonymous_refuses_anonymous_like_everybody() {
    let folder = crate::server::Folder::new();
    let root = folder.root();
    let root = root.to_str().expect("a plain path");
    let server = Server::start_raw(&[
        "-F",
        "-P",
        "0",
        "-a",
        "127.0.0.1",
        "--no-anonymous",
        "--anonymous-root",
        root,
        "--login-delay",
        "0",
    ]);
    let mut client = server.connect();
    client.send("USER anonymous").expect(331);
    client.send("PASS x@example.org").expect(530);
    client.send("PWD").expect(530);
}

#[test]
fn sessions_do_not_share_their_state() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.write("text", "a\n");
    let mut one = server.log_in();
    let mut two = server.log_in();
    one.send("CWD sub").expect(250);
    one.send("TYPE I").expect(200);
    one.send("RNFR /text").expect(350);
    assert_eq!(two.send("PWD").expect(257).quoted_path(), b"/");
    two.send("RNTO moved").expect(503);
    assert_eq!(two.retr("text"), b"a\r\n");
    one.send("RNTO moved").expect(250);
}

#[test]
fn a_closed_first_half_does_not_lose_the_replies_to_what_came_before() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.address());
    client.send("USER anonymous").send("PASS x@example.org").send("PWD");
    client.close_sending_half();
    client.expect(220);
    client.expect(331);
    client.expect(230);
    client.expect(257);
    client.expect_end();
}

/// A fresh thread goes on after REIN: what the client has moved is the session's still.
#[test]
fn rein_forgets_who_it_was_and_keeps_what_was_moved() {
    let server = Server::start(&["-l"]);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    client.stor("f", "12345");
    assert_eq!(client.retr("f"), b"12345");
    client.send("REIN").expect(220);
    let status = client.send("STAT").expect(211).text();
    assert!(status.contains("2 files, 5 bytes sent, 5 received"), "{status}");
    assert!(!status.contains("Logged in"), "{status}");
    client.log_in();
    client.send("QUIT").expect(221);
    server.log.wait_for("gone: 2 files, 5 bytes sent, 5 received");
}
