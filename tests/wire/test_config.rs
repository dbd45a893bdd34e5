//! `--test-config`: each problem on a line, and nothing is served.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::server::{Folder, Outcome, ferryd, free_ports, run_to_its_end};

fn check(etc: &Folder, more: &[&str]) -> Outcome {
    let root = etc.root();
    let root = root.to_str().expect("a plain path");
    let mut args = vec!["--test-config", "-F", "-A", "-P", "0", "-a", "127.0.0.1", "-c", root];
    args.extend(["--anonymous-root", root, "--anonymous-user", "nobody"]);
    args.extend(more);
    run_to_its_end(&args)
}

#[test]
fn what_is_well_is_said_to_be() {
    let etc = Folder::new();
    assert_eq!(check(&etc, &[]).code, Some(0));
    etc.write("ftpusers", "# accounts\nroot\nuucp at night\njoe allow ro rate=1M\n");
    etc.write("ftpchroot", "daemon\nnobody pub/./in ro\n@ / quota=1G\n");
    etc.write(
        "ftphosts",
        format!("127.0.0.1 - - {}\ndeny daemon 10.0.0.0/8\n", etc.path("ftpusers").display()),
    );
    let outcome = check(&etc, &[]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
}

#[test]
fn every_problem_of_every_file_has_a_line_of_its_own() {
    let etc = Folder::new();
    let ftpusers = "root\njoe allow rat=1M\n@no-such-group\nann allow for now\n";
    let unclear = "@domain users\n*@*.example.org deny\n*: deny\n\"joe\njoe allow guest\nftp allow guest\n";
    etc.write("ftpusers", format!("{ftpusers}{unclear}"));
    etc.write("ftpchroot", "joe ../up\nann /no/such/directory ro\nbert umask=9\n");
    etc.write("ftphosts", "127.0.0.1\nallow joe somewhere\n");
    etc.write("users", "joe\n");
    fs::create_dir(etc.path("motd")).expect("our own folder");
    let users = etc.path("users");
    let users = users.to_str().expect("a plain path");
    let outcome = check(&etc, &["--user-file", users, "-p", "/no/such/directory/pid"]);
    assert_eq!(outcome.code, Some(1));
    for part in [
        "ftpusers:2: `rat=1M`",
        "ftpusers:3: there is no group no-such-group",
        "ftpusers:4: only options may follow",
        "ftpusers:5: there is no group domain",
        "ftpusers:6: `*.example.org` is not an address",
        "ftpusers:7: there is no group",
        "ftpusers:8: a quote has no end",
        "ftpusers:9: the class `guest` is for the anonymous login alone",
        "ftpchroot:1: not a directory",
        "ftpchroot:2: /no/such/directory is not a directory",
        "ftpchroot:3: `umask=9`",
        "ftphosts:2: `somewhere`",
        "/motd: ",
        "--user-file: ",
        "--pidfile: ",
    ] {
        let lines = outcome.stdout.lines().filter(|line| line.contains(part)).count();
        assert_eq!(lines, 1, "{part}: {}", outcome.stdout);
    }
    assert!(outcome.stdout.lines().all(|line| line.starts_with("ferryd: ")), "{}", outcome.stdout);
}

/// What is found in `etc` with nothing but warnings.
#[track_caller]
fn warnings(etc: &Folder, more: &[&str]) -> String {
    let Outcome { code, stdout, .. } = check(etc, more);
    assert_eq!(code, Some(3), "{stdout}");
    assert!(stdout.lines().all(|line| line.starts_with("ferryd: warning: ")), "{stdout}");
    stdout
}

#[test]
fn a_line_about_no_account_or_a_missing_file_is_a_warning() {
    let etc = Folder::new();
    etc.write("ftpusers", "no-such-account\n");
    etc.write("ftpchroot", "daemon\nno-such-account\nno-such-* ro\n");
    etc.write("ftphosts", "127.0.0.1 - /no/statfile /no/welcome /no/motd\nallow no-such-account 10.*\n");
    let found = warnings(&etc, &[]);
    for part in [
        "ftpchroot:2: there is no account no-such-account",
        "ftphosts:1: statfile /no/statfile: ",
        "ftphosts:1: welcome /no/welcome: ",
        "ftphosts:1: motd /no/motd: ",
        "ftphosts:2: there is no account no-such-account",
    ] {
        assert_eq!(found.lines().filter(|line| line.contains(part)).count(), 1, "{part}: {found}");
    }
    assert_eq!(found.lines().count(), 5, "{found}");
}

#[test]
fn an_error_counts_more_than_a_warning() {
    let etc = Folder::new();
    etc.write("ftphosts", "127.0.0.1 no-such-account\nno.such.host.invalid\n");
    etc.write("ftpchroot", "no-such-account\n@no-such-group\n");
    let outcome = check(&etc, &[]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stdout);
    let warnings = outcome.stdout.lines().filter(|line| line.contains(": warning: ")).count();
    assert_eq!((warnings, outcome.stdout.lines().count()), (1, 4), "{}", outcome.stdout);
}

#[test]
fn a_user_of_the_user_file_who_cannot_log_in_is_told() {
    let etc = Folder::new();
    let (root, users) = (etc.root(), etc.path("users"));
    let home = root.to_str().expect("a plain path");
    // The hash of `secret`.
    let hash = "$6$ferrydferryd$zO9Eu.axrxHpDJN4RXbAsO/7Hl5FEw3WTY.P3Gcdtvy1pwtLICErs.wGJSFr9uHThsg6DYsyvZJFxCjj71ddn0";
    let lines = [
        format!("good:{hash}:{home}"),
        format!("locked:!{hash}:{home}"),
        format!("homeless:{hash}:/no/such/home"),
        format!("plain:secret:{home}"),
        format!("short:$6$salt$abc:{home}"),
        format!("lost:{hash}:{home}:no-such-account"),
    ];
    fs::write(&users, lines.join("\n")).expect("our own folder");
    fs::set_permissions(&users, fs::Permissions::from_mode(0o600)).expect("our own file");
    let found = warnings(&etc, &["--user-file", users.to_str().expect("a plain path")]);
    for part in [
        "--user-file: ",
        "users:3: homeless cannot log in: /no/such/home is not a directory",
        "users:4: plain cannot log in: no password has its hash",
        "users:5: short cannot log in: no password has its hash",
        "users:6: lost cannot log in: there is no account",
    ] {
        assert!(found.contains(part), "{part}: {found}");
    }
    assert_eq!(found.lines().count(), 4, "{found}");
}

#[test]
fn options_that_cannot_work_together_are_errors() {
    let etc = Folder::new();
    let port = free_ports(1).to_string();
    for (options, part) in [
        (&["--deny-commands", "USER"][..], "--deny-commands: without USER nobody could log in"),
        (&["--deny-commands", "DELE,pass"], "--deny-commands: without PASS nobody could log in"),
        (&["-a", "0.0.0.0", "-P", &port], "-a, --bind: 127.0.0.1 and 0.0.0.0 are the same port twice"),
        (&["--tls-client-auth", "require"], "--tls-client-auth: needs --tls-cert"),
        #[cfg(feature = "tls")]
        (&["--tls-self-signed", "-P", &port, "--tls-port", &port], "--tls-port: port "),
        #[cfg(feature = "tls")]
        (&["--tls-self-signed", "--tls-client-auth", "require"], "--tls-client-auth: needs --tls-client-ca"),
    ] {
        let outcome = check(&etc, options);
        assert_eq!(outcome.code, Some(1), "{options:?}: {}", outcome.stdout);
        assert!(outcome.stdout.contains(part), "{options:?}: {}", outcome.stdout);
    }
}

#[test]
fn what_a_start_would_log_as_a_warning_is_one() {
    let etc = Folder::new();
    assert!(warnings(&etc, &["-t", "5", "-t", "6"]).contains("-t, --timeout: given 2 times"));
    let found = warnings(&etc, &["--max-clients", "1000000"]);
    assert!(found.contains("--max-clients: "), "{found}");
    let script = "ulimit -n 100; exec \"$0\" --test-config -F -A -P 0 --anonymous-root / --max-clients 50";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(ferryd().get_program());
    let output = command.args(["--anonymous-user", "nobody"]).output().expect("sh is there");
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        found.contains("warning: --max-clients: the limit of open files, 100, may be too low"),
        "{found}"
    );
}

#[test]
fn a_rule_of_libwraps_files_is_a_warning_that_names_the_line() {
    let etc = Folder::new();
    etc.write("hosts.allow", "sshd: ALL\nftpd, sshd: 192.0.2.\n");
    etc.write("hosts.deny", "# all\nALL: ALL\n");
    let found = warnings(&etc, &[]);
    for part in
        ["/hosts.allow:2: `ftpd, sshd: 192.0.2.` is not obeyed", "/hosts.deny:2: `ALL: ALL` is not obeyed"]
    {
        assert!(found.contains(part), "{part}: {found}");
    }
    assert_eq!(found.lines().count(), 2, "{found}");
}

#[test]
fn files_that_are_named_must_be_there() {
    let etc = Folder::new();
    for option in ["--banner", "--motd", "--anonymous-root", "--user-file"] {
        let outcome = check(&etc, &[option, "/no/such/file"]);
        assert_eq!(outcome.code, Some(1), "{option}: {}", outcome.stdout);
        assert!(outcome.stdout.contains(option), "{option}: {}", outcome.stdout);
    }
}

#[test]
fn a_nologin_and_a_missing_pam_service_are_told() {
    let etc = Folder::new();
    etc.write("nologin", "");
    let outcome = check(&etc, &[]);
    assert!(outcome.code == Some(1) && outcome.stdout.contains("nologin"), "{}", outcome.stdout);
    let etc = Folder::new();
    let root = etc.root();
    let root = root.to_str().expect("a plain path");
    let args =
        ["--test-config", "-F", "-P", "0", "-c", root, "--no-anonymous", "--pam-service", "no-such-service"];
    let outcome = run_to_its_end(&args);
    // Some systems have a service `ftp`, which would be asked; some have no such directory.
    let has_one = ["ftp"].iter().any(|name| std::path::Path::new("/etc/pam.d").join(name).exists());
    if std::path::Path::new("/etc/pam.d").is_dir() && !has_one {
        assert_eq!(outcome.code, Some(1), "{}", outcome.stdout);
        assert!(outcome.stdout.contains("no-such-service"), "{}", outcome.stdout);
    }
}
