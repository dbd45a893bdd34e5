//! `-C`: who may log in, by the exit code, and with -d why.

use crate::server::{Folder, Outcome, run_to_its_end};

struct Checked {
    etc: Folder,
}

impl Checked {
    fn new(files: &[(&str, &str)]) -> Checked {
        let etc = Folder::new();
        files.iter().for_each(|(name, text)| etc.write(name, text));
        Checked { etc }
    }

    fn ask(&self, user: &str, more: &[&str]) -> Outcome {
        let root = self.etc.root();
        let root = root.to_str().expect("a plain path");
        let mut args = vec!["-C", user, "-c", root, "--anonymous-root", root, "--anonymous-user", "nobody"];
        args.extend(more);
        run_to_its_end(&args)
    }
}

#[test]
fn a_broken_ftphosts_refuses_without_an_address_too() {
    for line in ["deny joe somewhere\n", "allow @no-such-group 10.*\n"] {
        let outcome = Checked::new(&[("ftphosts", line)]).ask("daemon", &["--no-shell-check"]);
        assert_eq!(outcome.code, Some(1), "{line}: {}", outcome.stdout);
        assert!(outcome.stdout.contains("ftphosts:1: "), "{line}: {}", outcome.stdout);
    }
}

#[test]
fn the_exit_code_says_whether_an_account_may_log_in() {
    let checked = Checked::new(&[("ftpusers", "somebody\nguest\n")]);
    assert_eq!(checked.ask("anonymous", &[]).code, Some(0));
    assert_eq!(checked.ask("ftp@192.0.2.1", &[]).code, Some(0));
    assert_eq!(checked.ask("ftp", &["--no-anonymous"]).code, Some(1));
    for stranger in ["no-such-account", "root", "a b", "joe\n", "root@::1"] {
        let outcome = checked.ask(stranger, &[]);
        assert_eq!(outcome.code, Some(1), "{stranger}: {}", outcome.stdout);
        assert!(
            outcome.stdout.contains("may not log in: ") && outcome.stdout.lines().count() == 1,
            "{}",
            outcome.stdout
        );
    }
    assert_eq!(checked.ask("ftp@somewhere", &[]).code, Some(2));
    assert_eq!(checked.ask("", &[]).code, Some(2));
    checked.etc.write("ftpusers", "ftp\n");
    assert_eq!(checked.ask("anonymous", &[]).code, Some(1));
    checked.etc.write("ftpusers", "ftp allow nonsense\n");
    let outcome = checked.ask("anonymous", &[]);
    assert!(outcome.code == Some(1) && outcome.stdout.contains("ftpusers:1: "), "{}", outcome.stdout);
}

#[test]
fn with_d_it_says_which_line_decided_and_what_a_session_gets() {
    let checked = Checked::new(&[(
        "ftpusers",
        "# who may not\nroot\nftp allow ro,rate=64k umask=077 quota=1M hide=*.key\n",
    )]);
    let outcome = checked.ask("anonymous", &["-d", "--deny-files", "*.secret", "-M"]);
    assert_eq!(outcome.code, Some(0));
    let root = format!("root: {}", checked.etc.root().canonicalize().expect("our own folder").display());
    for part in [
        "ftpusers:3: `ftp allow ro,rate=64k umask=077 quota=1M hide=*.key`: allows",
        &root,
        "change anything",
        "make directories",
        "umask: 077",
        "65536 bytes a second",
        "quota: 1048576",
        "hidden files: *.key",
        "denied files: *.secret",
    ] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    checked.etc.write("nologin", "");
    let outcome = checked.ask("anonymous", &["-d"]);
    assert!(outcome.code == Some(1) && outcome.stdout.contains("nologin"), "{}", outcome.stdout);
}
