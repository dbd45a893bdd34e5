//! What ftpusers and ftpchroot say of one account, and what -C says of them.

use std::path::Path;

use crate::ground::{DENIED, Ground, NO_SHELL, ONE, TWO, TestAccount, log_in, ownership};
use crate::server::{Outcome, run_to_its_end};

fn check(ground: &Ground, user: &str, more: &[&str]) -> Outcome {
    let etc = ground.path("etc");
    let mut args = vec!["-C", user, "-c", etc.to_str().expect("a plain path")];
    args.extend(more);
    run_to_its_end(&args)
}

#[test]
fn options_of_ftpchroot_are_the_accounts_alone() {
    let Some(ground) = Ground::new() else { return };
    let one = ground.folder_of(ONE, 0o755);
    let two = ground.folder_of(TWO, 0o755);
    ground.configure(
        "ftpchroot",
        &format!("ferrytest1 {one} ro hide=*.key\nferrytest2\t{two}\tumask=007,quota=1k\n"),
    );
    crate::ground::write(&one, "a.key", "x", ONE, 0o644);
    crate::ground::write(&one, "b", "x", ONE, 0o644);
    let server = ground.start(&[]);
    let mut first = log_in(&server, ONE);
    assert_eq!(first.names(""), ["b"]);
    first.send("STOR new").expect(550);
    let mut second = log_in(&server, TWO);
    second.stor("new", "x".repeat(1024));
    assert_eq!(ownership(&format!("{two}/new")).2, 0o660);
    second.send("ALLO 1").expect(552);
    second.send("DELE new").expect(250);
    second.stor("other", "x");
}

#[test]
fn the_members_of_a_group_may_have_options() {
    let Some(ground) = Ground::new() else { return };
    ground.configure("ftpusers", "@ferrygroup allow ro\nferrydenied\n");
    let server = ground.start(&[]);
    let folder = ground.folder_of(ONE, 0o777);
    let mut first = log_in(&server, ONE);
    first.send(format!("MKD {folder}/x")).expect(550);
    let folder = ground.folder_of(TWO, 0o777);
    log_in(&server, TWO).send(format!("MKD {folder}/x")).expect(257);
}

#[test]
fn a_line_that_cannot_be_understood_refuses_the_account_it_is_about() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&[]);
    for (line, reason) in
        [("ferrytest1 /srv rate=fast", "rate=fast"), ("ferrytest1 ../up", "not a directory")]
    {
        ground.configure("ftpchroot", &format!("# comment\n{line}\n"));
        let mut client = server.connect();
        client.send("USER ferrytest1").expect(331);
        client.send(format!("PASS {}", ONE.password)).expect(421);
        let logged = server.log.wait_for("ftpchroot:2: ");
        assert!(logged.contains("ftpchroot:2: "), "{logged}");
        let outcome = check(&ground, "ferrytest1", &["-d"]);
        assert_eq!(outcome.code, Some(1));
        assert!(
            outcome.stdout.contains(reason) && outcome.stdout.contains("ftpchroot:2: "),
            "{}",
            outcome.stdout
        );
        log_in(&server, TWO);
    }
}

#[test]
fn ftpusers_of_tnftpd_mean_here_what_they_mean_there() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&[]);
    let may_log_in = |account: TestAccount| {
        let mut client = server.connect();
        client.send(format!("USER {}", account.name)).expect(331);
        client.send(format!("PASS {}", account.password)).expect_any(&[230, 530]).code == 230
    };
    for (ftpusers, one, two) in [
        ("*", false, false),
        ("* deny", false, false),
        ("*:ferrygroup allow\n* deny\n", true, false),
        ("ferry*:ferry* deny\n", false, false),
        ("ferrytest[2-9] no\n", true, false),
        ("ferrytest1@192.0.2.0/24 deny\nferrytest2@127.* deny\n", true, false),
        ("\u{feff}ferrytest2\n", true, false),
        ("\"ferrytest2\" deny\n", true, false),
        // These can mean nobody: it is not known whom they were meant for.
        ("@domain users", false, false),
        ("*@*.example.org deny", false, false),
        ("ferrytest1 allow\n\"ferry", true, false),
    ] {
        ground.configure("ftpusers", ftpusers);
        assert_eq!((may_log_in(ONE), may_log_in(TWO)), (one, two), "{ftpusers}");
    }
    server.log.wait_for("(there is no group domain)");
    ground.configure("ftpusers", "ferrytest1 allow chroot\n");
    assert_eq!(log_in(&server, ONE).send("PWD").expect(257).quoted_path(), b"/");
}

#[test]
fn a_broken_file_tells_nobody_which_accounts_exist() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&[]);
    for name in ["ftpusers", "ftphosts", "ftpchroot", "shells"] {
        std::fs::create_dir(ground.path("etc").join(name)).expect("our own folder");
        for user in [ONE.name, NO_SHELL.name, "no-such-account", "root"] {
            let mut client = server.connect();
            client.send(format!("USER {user}")).expect(331);
            client.send("PASS wrong").expect(421);
        }
        std::fs::remove_dir(ground.path("etc").join(name)).expect("our own folder");
    }
}

#[test]
fn a_quota_needs_a_directory_that_it_is_for() {
    let Some(ground) = Ground::new() else { return };
    ground.configure("ftpusers", "ferrytest1 allow quota=1M\n");
    let server = ground.start(&[]);
    let mut client = server.connect();
    client.send("USER ferrytest1").expect(331);
    client.send(format!("PASS {}", ONE.password)).expect(421);
    server.log.wait_for("quota=");
}

#[test]
fn shells_may_be_in_the_config_directory() {
    let Some(ground) = Ground::new() else { return };
    ground.configure("shells", "/no/such/shell\n");
    let server = ground.start(&[]);
    log_in(&server, NO_SHELL);
    let mut client = server.connect();
    client.send("USER ferrytest1").expect(331);
    client.send(format!("PASS {}", ONE.password)).expect(530);
    assert_eq!(check(&ground, "ferrynoshell", &[]).code, Some(0));
    assert_eq!(check(&ground, "ferrytest1", &[]).code, Some(1));
}

#[test]
fn the_motd_of_an_account_is_the_servers_or_that_of_its_jail() {
    let Some(ground) = Ground::new() else { return };
    ground.configure("motd", "%c %U in %C\n");
    let server = ground.start(&[]);
    let said = |password: &str| {
        let mut client = server.connect();
        client.send("USER ferrytest1").expect(331);
        client.send(format!("PASS {password}")).expect(230).text()
    };
    let text = said(ONE.password);
    assert!(text.starts_with(&format!("230-real ferrytest1 in {}\n", ONE.home().display())), "{text}");
    // The system's is not for those who are kept in a directory; ftpmotd is, unless they have one.
    ground.configure("ftpchroot", "ferrytest1\n");
    assert!(said(ONE.password).starts_with("230 "));
    ground.configure("ftpmotd", "%c\n");
    assert!(said(ONE.password).starts_with("230-chroot\n"));
}

#[test]
fn c_names_the_line_that_decided() {
    let Some(ground) = Ground::new() else { return };
    ground.configure("ftpusers", "# comment\nferrydenied\n@ferrygroup allow rate=1k\n");
    let folder = ground.folder_of(ONE, 0o755);
    ground.configure("ftpchroot", &format!("ferrytest1 {folder}/./pub\n"));
    let outcome = check(&ground, DENIED.name, &["-d"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stdout.contains("ftpusers:2: `ferrydenied`"), "{}", outcome.stdout);
    let outcome = check(&ground, ONE.name, &["-d"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
    for part in [
        "ftpusers:3: ",
        "ftpchroot:1: ",
        &format!("root: {folder}"),
        "starts in: /pub",
        &format!("uid {}", ONE.uid()),
    ] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    // What -C says is what the server does.
    let server = ground.start(&[]);
    log_in(&server, ONE);
    let mut client = server.connect();
    client.send(format!("USER {}", DENIED.name)).expect(331);
    client.send(format!("PASS {}", DENIED.password)).expect(530);
    ground.configure("ftpchroot", "ferrytest1 /no/such/directory\n");
    assert_eq!(check(&ground, ONE.name, &[]).code, Some(1));
    assert!(!Path::new("/no/such/directory").exists());
}

#[test]
fn the_anonymous_clients_of_a_virtual_host_may_have_a_home_and_rights_of_their_own() {
    let Some(ground) = Ground::new() else { return };
    let tree = ground.folder_of(ONE, 0o755);
    crate::ground::write(&tree, "first", "x", ONE, 0o644);
    ground.configure("ftphosts", "127.0.0.2 ferrytest2\n");
    let home = TWO.home();
    let home = home.to_str().expect("a plain path");
    let name = format!("only-of-two-{}", std::process::id());
    let file = crate::ground::write(home, &name, "x", TWO, 0o600);
    let args = ["-a", "127.0.0.2", "-A", "--anonymous-root", &tree, "--anonymous-user", ONE.name];
    let server = ground.start_with(&args, 2);
    let mut client = server.connect();
    client.log_in();
    assert_eq!(client.names(""), ["first"]);
    let mut client = crate::client::Client::connect(server.addresses()[1]);
    client.expect(220);
    client.log_in();
    let names = client.names("");
    let content = client.retr(&name);
    std::fs::remove_file(file).expect("our own file");
    assert!(names.contains(&name) && !names.contains(&"first".to_owned()), "{names:?}");
    assert_eq!(content, b"x");
}

#[test]
fn ftphosts_may_keep_an_account_to_some_addresses() {
    let Some(ground) = Ground::new() else { return };
    ground.configure("ftphosts", "allow ferrytest1 192.0.2.0/24\nallow ferrytest2 127.0.0.1\n");
    let server = ground.start(&[]);
    let mut client = server.connect();
    client.send("USER ferrytest1").expect(331);
    client.send(format!("PASS {}", ONE.password)).expect(530);
    log_in(&server, TWO);
    assert_eq!(check(&ground, "ferrytest1@192.0.2.7", &[]).code, Some(0));
    assert_eq!(check(&ground, "ferrytest1@::1", &[]).code, Some(1));
}

#[test]
fn options_count_wherever_the_account_is_kept() {
    let Some(ground) = Ground::new() else { return };
    ground.configure("ftpchroot", "ferrytest1 /srv ro\n");
    for chroot in ["--chroot=all", "--chroot=none", "--chroot=file"] {
        let server = ground.start(&[chroot]);
        log_in(&server, ONE).send("MKD never").expect(550);
        assert!(check(&ground, ONE.name, &["-d", chroot]).stdout.contains("change anything"), "{chroot}");
    }
    let server = ground.start(&["--chroot=all"]);
    log_in(&server, ONE).send("CWD /srv").expect(550);
}
