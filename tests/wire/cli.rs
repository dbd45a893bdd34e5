//! The command line: what is refused at the start, and what is written where.

use std::fs;
use std::net::TcpListener;

use rustix::process::Signal;

use crate::server::{ANONYMOUS_USER, Folder, Outcome, Server, is_root, run_to_its_end};

/// The shortest command line that would serve.
fn run_with(more: &[&str]) -> Outcome {
    let folder = Folder::new();
    let root = folder.root();
    let root = root.to_str().expect("a plain path");
    let mut args = vec!["-F", "-A", "-P", "0", "-a", "127.0.0.1", "--anonymous-root", root];
    if is_root() {
        args.extend(["--anonymous-user", ANONYMOUS_USER]);
    }
    args.extend(more);
    run_to_its_end(&args)
}

#[test]
fn help_goes_to_standard_output() {
    for option in ["--help", "-?"] {
        let outcome = run_to_its_end(&[option]);
        assert_eq!(outcome.code, Some(0));
        for word in ["--anonymous-root", "--passive-ports", "--read-only", "-P", "-D", "-F"] {
            assert!(outcome.stdout.contains(word), "{word} is not in {}", outcome.stdout);
        }
        assert_eq!(outcome.stderr, "");
    }
}

#[test]
fn version_is_the_packages() {
    for option in ["--version", "-V"] {
        let outcome = run_to_its_end(&[option]);
        assert_eq!(outcome.code, Some(0));
        assert!(outcome.stdout.contains(env!("CARGO_PKG_VERSION")), "{}", outcome.stdout);
    }
}

#[test]
fn an_unknown_option_is_an_error() {
    for option in ["--no-such-option", "-@", "--read-onlyy"] {
        let outcome = run_with(&[option]);
        assert_eq!(outcome.code, Some(2), "{option}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(option.trim_start_matches('-')), "{}", outcome.stderr);
    }
}

#[test]
fn a_word_that_is_no_option_is_an_error() {
    assert_eq!(run_with(&["stray"]).code, Some(2));
}

#[test]
fn an_option_that_does_nothing_yet_is_refused() {
    let outcome = run_with(&["--proxy-protocol", "10.0.0.0/8"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("--proxy-protocol: not available yet"), "{}", outcome.stderr);
}

#[test]
fn bad_values_are_found_at_the_start_and_named() {
    for (option, value) in [
        ("--port", "no-such-service"),
        ("--port", "65536"),
        ("--bind", "no-such-host.invalid"),
        ("--bind", "256.0.0.1"),
        ("--timeout", "soon"),
        ("--timeout", "-1"),
        ("--max-timeout", "x"),
        ("--umask", "999"),
        ("--umask", "x"),
        ("--passive-ports", "x"),
        ("--passive-ports", "2000-1000"),
        ("--passive-ports", "0-70000"),
        ("--passive-address-exempt", "10.0.0.0/33"),
        ("--passive-address-exempt", "x"),
        ("--active-source-port", "70000"),
        ("--data-peer-check", "maybe"),
        ("--connect-timeout", "x"),
        ("--data-timeout", "x"),
        ("--max-clients", "many"),
        ("--max-per-ip", "x"),
        ("--max-per-user", "x"),
        ("--max-login-attempts", "x"),
        ("--login-timeout", "x"),
        ("--login-delay", "x"),
        ("--rate-download", "x"),
        ("--max-file-size", "x"),
        ("--min-free-space", "200%"),
        ("--list-limit", "x"),
        ("--chroot", "maybe"),
        ("--auth", "guess"),
        ("--auth-helpers", "x"),
        ("--min-uid", "x"),
    ] {
        let outcome = run_with(&[option, value]);
        assert_eq!(outcome.code, Some(2), "{option} {value}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains(option.trim_start_matches('-')),
            "{option} {value}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn a_missing_value_is_an_error() {
    for option in ["--port", "-P", "--umask", "--passive-ports"] {
        assert_eq!(run_with(&[option]).code, Some(2), "{option}");
    }
    assert_eq!(run_with(&["--read-only=yes"]).code, Some(2));
}

#[test]
fn test_config_looks_and_does_not_serve() {
    assert_eq!(run_with(&["--test-config"]).code, Some(0));
    assert_eq!(run_with(&["--test-config", "--umask", "999"]).code, Some(2));
}

#[test]
fn a_root_that_is_not_there_is_told_at_the_start() {
    let outcome =
        run_to_its_end(&["-F", "-A", "-P", "0", "-a", "127.0.0.1", "--anonymous-root", "/no/such/folder"]);
    assert!(outcome.code.is_some_and(|code| code != 0), "{:?}", outcome.code);
    assert!(outcome.stderr.contains("/no/such/folder"), "{}", outcome.stderr);
}

#[test]
fn a_port_in_use_is_told() {
    let occupied = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = occupied.local_addr().expect("bound").port().to_string();
    let folder = Folder::new();
    let root = folder.root();
    let mut args =
        vec!["-F", "-A", "-a", "127.0.0.1", "-P", &port, "--anonymous-root", root.to_str().expect("plain")];
    if is_root() {
        args.extend(["--anonymous-user", ANONYMOUS_USER]);
    }
    let outcome = run_to_its_end(&args);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(&port), "{}", outcome.stderr);
}

#[test]
fn a_server_that_is_not_told_how_to_start_says_what_to_type() {
    // Standard input is /dev/null: neither a terminal nor a client.
    let outcome = run_to_its_end(&[]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("-F") || outcome.stderr.contains("-D"), "{}", outcome.stderr);
}

#[test]
fn the_first_lines_tell_where_it_listens_and_what_to_type_next() {
    let server = Server::start(&[]);
    let port = server.address().port();
    server.stdout.wait_for(&format!("listening on 127.0.0.1:{port}"));
    // Where logging in needs no account: not as root.
    if !is_root() {
        server.stdout.wait_for(&format!("curl ftp://localhost:{port}/"));
    }
}

#[test]
fn short_and_long_options_are_the_same() {
    let server = Server::start(&["--read-only", "--timeout=100", "--max-timeout=200", "--log", "--no-epsv"]);
    let mut client = server.log_in();
    client.refused("STOR x", &[550, 553]);
    client.send("EPSV").expect_refusal();
    let server = Server::start(&["--umask=077"]);
    let mut client = server.log_in();
    client.stor("file", "x");
    client.send("SITE UMASK").expect(200).text().find("077").expect("the mask is told");
}

#[test]
fn the_pid_file_is_there_while_the_server_is() {
    let folder = Folder::new();
    let path = folder.path("pid");
    let mut server = Server::start(&["-p", path.to_str().expect("plain")]);
    let text = fs::read_to_string(&path).expect("written before it listens");
    assert_eq!(text.trim(), server.pid().to_string());
    server.signal(Signal::TERM);
    server.exit_status();
    assert!(!path.exists() || fs::read_to_string(&path).is_ok_and(|text| text.is_empty()));
}

#[test]
fn max_clients_without_end_is_refused() {
    assert_eq!(run_with(&["--max-clients", "0"]).code, Some(2));
}
