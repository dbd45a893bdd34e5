//! HELP, FEAT and SITE HELP against the commands that really answer.

use std::collections::BTreeSet;

use crate::client::{Client, Reply};
use crate::server::Server;

/// What issue and man page promise to work.
const WORKING: &[&str] = &[
    "USER", "PASS", "ACCT", "CWD", "XCWD", "CDUP", "XCUP", "QUIT", "REIN", "PORT", "PASV", "EPRT", "EPSV",
    "LPRT", "LPSV", "TYPE", "STRU", "MODE", "RETR", "STOR", "STOU", "APPE", "ALLO", "REST", "RNFR", "RNTO",
    "ABOR", "DELE", "RMD", "XRMD", "MKD", "XMKD", "PWD", "XPWD", "LIST", "NLST", "SITE", "SYST", "STAT",
    "HELP", "NOOP", "FEAT", "OPTS", "SIZE", "MDTM", "MFMT", "MLST", "MLSD", "CLNT", "LANG", "HOST",
];

/// Known by name, and refused.
const STARRED: &[&str] = &["SMNT", "AUTH"];

/// RFC 765's mail commands.
const MAIL: &[&str] = &["MLFL", "MAIL", "MSND", "MSOM", "MSAM", "MRSQ", "MRCP"];

const SITE: &[&str] = &["CHMOD", "UMASK", "IDLE", "HELP", "UTIME"];

/// The commands of a HELP reply: those that work, and those with a star.
fn commands(reply: &Reply) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut working = BTreeSet::new();
    let mut starred = BTreeSet::new();
    for line in reply.inner() {
        for word in String::from_utf8_lossy(line).split_whitespace() {
            let name = word.trim_end_matches('*');
            if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase()) {
                if name == word { &mut working } else { &mut starred }.insert(name.to_owned());
            }
        }
    }
    (working, starred)
}

#[test]
fn help_names_the_commands_that_work_and_stars_the_others() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let (working, starred) = commands(&client.send("HELP").expect(214));
    for verb in WORKING {
        assert!(working.contains(*verb), "{verb} is not in {working:?}");
    }
    for verb in STARRED {
        assert!(starred.contains(*verb), "{verb}* is not in {starred:?}");
    }
    assert!(working.is_disjoint(&starred));
}

#[test]
fn what_help_names_is_known_and_what_it_stars_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let (working, starred) = commands(&client.send("HELP").expect(214));
    for verb in &working {
        let code = server.log_in().send(verb).reply().code;
        assert!(![500, 502].contains(&code), "{verb} is in HELP, and is answered with {code}");
    }
    for verb in &starred {
        let code = client.send(verb).reply().code;
        assert!(
            (501..=504).contains(&code) || (530..=539).contains(&code),
            "{verb}* is answered with {code}"
        );
    }
    client.send("NOOP").expect(200);
}

#[test]
fn what_help_does_not_name_is_not_understood() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for line in [
        "NONE",
        "XYZZY arg",
        "RET file",
        "RETRO file",
        "GET / HTTP/1.1",
        "",
        "X",
        "\u{e9}",
        "LISTEN",
        "TOOLONGAVERBTOBEONE x",
    ] {
        let code = client.send(line).reply().code;
        assert!(code == 500 || code == 421, "{line:?} is answered with {code}");
        if code == 421 {
            client = server.log_in();
        }
    }
}

#[test]
fn mail_was_never_carried() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for verb in MAIL {
        client.send(verb).expect(502);
        client.send(format!("{verb} joe")).expect(502);
    }
}

#[test]
fn refused_commands_are_refused_before_the_login_too() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for command in
        ["SMNT x", "AUTH TLS", "AUTH SSL", "PBSZ 0", "PROT P", "CCC", "ADAT x", "MIC x", "CONF x", "ENC x"]
    {
        let code = client.send(command).reply().code;
        assert!((500..=599).contains(&code), "{command} is answered with {code}");
    }
}

#[test]
fn help_explains_one_command() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for verb in WORKING {
        let text = client.send(format!("HELP {}", verb.to_lowercase())).expect(214).text();
        assert!(text.contains(verb), "{text}");
    }
    client.send("HELP NONE").expect_any(&[501, 502, 504]);
    for verb in STARRED {
        client.send(format!("HELP {verb}")).expect_any(&[214, 502]);
    }
}

#[test]
fn feat_lines_start_with_a_space_and_name_commands_that_answer() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let reply = client.send("FEAT").expect(211);
    let mut verbs = Vec::new();
    for line in reply.inner() {
        let line = String::from_utf8_lossy(line).into_owned();
        assert!(line.starts_with(' ') && !line.starts_with("  "), "{line:?}");
        verbs.push(line[1..].split(' ').next().unwrap_or_default().to_owned());
    }
    for verb in ["EPRT", "EPSV", "MDTM", "MFMT", "MLST", "REST", "SIZE", "TVFS", "UTF8", "LANG", "CLNT"] {
        assert!(verbs.iter().any(|feat| feat == verb), "{verb} is not in {verbs:?}");
    }
    assert!(reply.text().contains(" REST STREAM"));
    for verb in verbs.iter().filter(|verb| !["TVFS", "UTF8"].contains(&verb.as_str())) {
        let code = server.log_in().send(verb).reply().code;
        assert!(![500, 502].contains(&code), "{verb} is in FEAT, and is answered with {code}");
    }
}

#[test]
fn feat_is_answered_before_the_login() {
    let server = Server::start(&[]);
    server.connect().send("FEAT").expect(211);
}

#[test]
fn feat_does_not_name_what_an_option_turned_off() {
    let feat = |option: &str| Server::start(&[option]).log_in().send("FEAT").expect(211).text();
    assert!(!feat("-E").contains(" EPSV"));
    assert!(!feat("--no-active").contains(" EPRT"));
}

#[test]
fn site_help_names_the_site_commands_that_answer() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let (working, _) = commands(&client.send("SITE HELP").expect(214));
    for verb in SITE {
        assert!(working.contains(*verb), "{verb} is not in {working:?}");
        client.send(format!("SITE HELP {verb}")).expect(214);
    }
    assert_eq!(commands(&client.send("HELP SITE").expect(214)).0, working);
    for verb in &working {
        let code = client.send(format!("SITE {verb}")).reply().code;
        assert!(![500, 502].contains(&code), "SITE {verb} is answered with {code}");
    }
    client.send("SITE NONE").expect_any(&[500, 501, 502, 504]);
    client.send("SITE").expect_any(&[500, 501]);
    client.send("SITE HELP NONE").expect_any(&[501, 502, 504]);
}

#[test]
fn verbs_are_known_in_every_case() {
    let server = Server::start(&[]);
    let mut client: Client = server.connect();
    client.send("user anonymous").expect(331);
    client.send("PaSs x@example.org").expect(230);
    client.send("pwd").expect(257);
    client.send("nOoP").expect(200);
    client.send("site help").expect(214);
    client.send("feat").expect(211);
    client.send("quit").expect(221);
}
