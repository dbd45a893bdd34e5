//! `--test-config`: each problem on a line, and nothing is served.

use std::fs;

use crate::server::{Folder, Outcome, run_to_its_end};

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
    etc.write("ftpchroot", "joe\nann pub/./in ro\n@ / quota=1G\n");
    etc.write("ftphosts", "127.0.0.1 - - /etc/w\ndeny joe 10.0.0.0/8\n");
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
