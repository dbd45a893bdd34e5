//! What the administrator reads: the log on standard error, and the transfer log.

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;

use crate::client::verb;
use crate::server::{Folder, Server, wait_until};

#[test]
fn sessions_are_logged_with_l() {
    let server = Server::start(&["-l"]);
    let _client = server.log_in();
    server.log.wait_for("connection from 127.0.0.1");
    server.log.wait_for("ANONYMOUS FTP LOGIN FROM 127.0.0.1, test@example.org");
}

#[test]
fn every_command_that_moves_or_changes_a_file_is_logged_with_two_l() {
    let server = Server::start(&["-l", "-l"]);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    client.stor("one", "12345");
    client.retr("one");
    client.upload("APPE one", "678");
    client.send("RNFR one").expect(350);
    client.send("RNTO two").expect(250);
    client.send("MKD sub").expect(257);
    client.send("RMD sub").expect(250);
    client.send("DELE two").expect(250);
    for (verb, name, more) in [
        ("put", "one", "= 5 bytes"),
        ("get", "one", "= 5 bytes"),
        ("append", "one", "= 3 bytes"),
        ("rename", "one", "two"),
        ("mkdir", "sub", ""),
        ("rmdir", "sub", ""),
        ("delete", "two", ""),
    ] {
        server.log.wait_for(verb);
        let lines = server.log.all();
        let line = lines
            .iter()
            .find(|line| line.contains(&format!("{verb} ")) && line.contains(name) && line.contains(more));
        assert!(line.is_some(), "{verb} {name} {more} is not in {lines:#?}");
    }
}

#[test]
fn every_line_of_a_session_has_its_host_and_user() {
    let server = Server::start(&["-l", "-l", "-d"]);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    client.stor("one", "12345");
    client.send("DELE one").expect(250);
    client.send("QUIT").expect(221);
    server.log.wait_for(" gone: ");
    let mut lines = server.log.all().into_iter().skip_while(|line| !line.contains("connection from "));
    let connection = lines.next().expect("the session begins");
    let tag = connection.split(": ").next().and_then(|tag| tag.rsplit(' ').next()).expect("a tag").to_owned();
    let of_session: Vec<String> = lines.filter(|line| line.contains(&tag)).collect();
    assert!(of_session.len() > 8, "{of_session:#?}");
    let (before, after) = of_session
        .split_at(of_session.iter().position(|line| line.contains("ANONYMOUS FTP LOGIN")).expect("a login"));
    for line in before {
        assert!(line.contains("127.0.0.1"), "{line}");
    }
    for line in &after[1..] {
        assert!(line.contains("ftp@127.0.0.1"), "{line}");
    }
}

#[test]
fn commands_are_not_logged_with_one_l() {
    let server = Server::start(&["-l"]);
    let mut client = server.log_in();
    client.stor("a-name-of-its-own", "12345");
    client.send("QUIT").expect(221);
    // Whatever was written before this line has come when it has.
    let mut other = server.connect();
    other.send("USER joe").expect(331);
    other.send("PASS wrong").expect(530);
    server.log.wait_for("FTP LOGIN FAILED FROM 127.0.0.1");
    assert!(!server.log.all().iter().any(|line| line.contains("a-name-of-its-own")));
}

#[test]
fn failed_logins_are_logged_and_the_fifth_as_fail2ban_reads_it() {
    let server = Server::start(&["-l", "--max-login-attempts", "0"]);
    let mut client = server.connect();
    for _ in 0..5 {
        client.send("USER joe").expect(331);
        client.send("PASS wrong").expect(530);
    }
    let line = server.log.wait_for("FTP LOGIN FAILED FROM 127.0.0.1");
    assert!(line.contains("joe"), "{line}");
    server.log.wait_for("repeated login failures from 127.0.0.1 (");
}

#[test]
fn passwords_are_never_logged() {
    let server = Server::start(&["-l", "-l", "-d", "-d", "-d"]);
    let mut client = server.connect();
    client.send("PASS Early-Secret").expect(503);
    client.send("USER joe").expect(331);
    client.send("PASS Wrong-Secret").expect(530);
    client.send("pass Lower-Secret").expect(503);
    client.send("PASSX Other-Secret").expect(500);
    client.send("ACCT Account-Secret").reply();
    client.raw("PASS Wrong\0Nul-Secret\r\n");
    client.reply();
    client.log_in();
    client.send("MKD the-end").expect(257);
    server.log.wait_for("mkdir");
    let lines = server.log.all();
    assert!(!lines.iter().any(|line| line.contains("Secret")), "{lines:#?}");
}

#[test]
fn no_name_forges_a_record() {
    let server = Server::start(&["-l", "-l", "-d", "--max-login-attempts", "0"]);
    let mut client = server.connect();
    client.send("HELP").expect(214); // A client that ends its lines with CRLF may have LF in a name.
    for forged in [
        "x\nFORGED one",
        "x\r\nFORGED two",
        "x\rFORGED three",
        "\u{1b}[2JFORGED four",
        "x\u{85}\u{2028}FORGED",
    ] {
        client.send(verb("USER", forged)).expect_any(&[331, 501]);
        client.send("PASS wrong").expect_any(&[530, 503]);
        client.send("USER anonymous").expect(331);
        client.send(verb("PASS", forged)).expect(230);
        client.send(verb("MKD", forged)).expect(257);
        client.send(verb("RMD", forged)).expect(250);
        client.send(verb("STAT", forged)).expect_any(&[450, 550]);
        client.send(verb("CLNT", forged)).expect_any(&[200, 501]);
        client.send(verb(forged, forged)).expect(500);
    }
    client.send("MKD the-end").expect(257);
    server.log.wait_for("the-end");
    for line in server.log.all() {
        assert!(!line.starts_with("FORGED"), "{line}");
        assert!(!line.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7F), "{line:?}");
    }
}

#[test]
fn the_log_names_the_file_of_a_name_that_is_no_text() {
    let server = Server::start(&["-l", "-l"]);
    let mut client = server.log_in();
    client.send(b"MKD caf\xe9\xff".as_slice()).expect(257);
    let line = server.log.wait_for("mkdir");
    assert!(line.contains("caf"), "{line}");
}

pub(crate) struct TransferLog {
    _folder: Folder,
    path: PathBuf,
}

impl TransferLog {
    fn new() -> (TransferLog, Server) {
        TransferLog::with(&[])
    }

    /// And the server that keeps it, with these options.
    pub(crate) fn with(options: &[&str]) -> (TransferLog, Server) {
        let folder = Folder::of_administrator();
        let path = folder.path("xferlog");
        let log = ["-L", path.to_str().expect("a plain path")];
        let server = Server::start(&[&log, options].concat());
        (TransferLog { _folder: folder, path }, server)
    }

    /// Waits for `count` records, and takes them apart.
    pub(crate) fn records(&self, count: usize) -> Vec<Vec<String>> {
        let text = wait_until("the transfer log has the records", || {
            let text = fs::read_to_string(&self.path).unwrap_or_default();
            (text.lines().count() >= count).then_some(text)
        });
        let records: Vec<Vec<String>> =
            text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
        assert_eq!(records.len(), count, "{text}");
        for record in &records {
            assert_eq!(record.len(), 18, "{record:?}");
        }
        records
    }
}

/// The columns of xferlog(5), less the five of the date.
const HOST: usize = 6;
pub(crate) const BYTES: usize = 7;
const FILE: usize = 8;
const TYPE: usize = 9;
const DIRECTION: usize = 11;
const ACCESS: usize = 12;
const USER: usize = 13;
pub(crate) const STATUS: usize = 17;

#[test]
fn the_transfer_log_has_a_record_for_each_transfer() {
    let (log, server) = TransferLog::new();
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    client.stor("one", "12345");
    client.retr("one");
    client.send("TYPE A").expect(200);
    client.retr("one");
    client.names("");
    client.refused("RETR none", &[550]);
    let records = log.records(3);
    let columns = [HOST, BYTES, TYPE, DIRECTION, ACCESS, STATUS];
    let picked: Vec<String> =
        records.iter().map(|record| columns.map(|column| record[column].as_str()).join(" ")).collect();
    assert_eq!(picked, ["127.0.0.1 5 b i a c", "127.0.0.1 5 b o a c", "127.0.0.1 5 a o a c"]);
    for record in &records {
        assert!(record[FILE].ends_with("/one"), "{record:?}");
        assert_eq!(record[USER], "test@example.org");
    }
}

#[test]
fn a_transfer_that_failed_is_recorded_as_incomplete() {
    let (log, server) = TransferLog::new();
    server.write_sparse("big", 1 << 30);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    let mut data = client.start("RETR big");
    data.read_exact(&mut [0; 100_000]).expect("it comes");
    client.send("ABOR");
    client.expect(426);
    client.expect_any(&[225, 226]);
    let record = &log.records(1)[0];
    assert_eq!(record[STATUS], "i");
    let bytes: u64 = record[BYTES].parse().expect("a number");
    assert!((100_000..1 << 30).contains(&bytes), "{bytes}");
}

#[test]
fn no_name_forges_a_transfer_record() {
    let (log, server) = TransferLog::new();
    let mut client = server.connect();
    client.log_in_as("anonymous", "a b c");
    client.send("TYPE I").expect(200);
    let names = ["two words", "line\nfeed 1 2 3", "tab\tbed", "\u{1b}[2J", "cr\rcr", "c\u{a0}d\u{2028}e"];
    for name in names {
        client.stor(name, "x");
    }
    for record in log.records(names.len()) {
        assert_eq!(record[STATUS], "c", "{record:?}");
    }
    let text = fs::read(&log.path).expect("it is there");
    assert!(!text.iter().any(|&byte| byte < b' ' && byte != b'\n'), "{}", text.escape_ascii());
}

#[test]
fn the_transfer_log_of_many_clients_is_whole() {
    let (log, server) = TransferLog::new();
    let mut clients: Vec<_> = (0..8).map(|_| server.log_in()).collect();
    for round in 0..10 {
        let transfers: Vec<_> = (0..clients.len())
            .map(|n| clients[n].start(format!("STOR {}-{n}-{round}", "long".repeat(40))))
            .collect();
        for (client, mut data) in clients.iter_mut().zip(transfers) {
            data.write_all(b"x").expect("the server takes it");
            drop(data);
            client.expect(226);
        }
    }
    log.records(80);
}

/// The number in the tag of a line: `ferryd[N]: text`.
fn tag(line: &str) -> &str {
    line.split_once('[').and_then(|(_, rest)| rest.split_once("]: ")).expect("a tag").0
}

#[test]
fn one_number_tells_the_story_of_one_session() {
    let server = Server::start(&["-l", "-l"]);
    let (mut one, mut two) = (server.log_in(), server.log_in());
    one.send("MKD of-one").expect(257);
    two.send("MKD of-two").expect(257);
    one.send("REIN").expect(220);
    one.log_in();
    one.send("RMD of-one").expect(250);
    one.send("QUIT").expect(221);
    server.log.wait_for(" gone: ");
    let lines = server.log.all();
    let of = |what: &str| {
        let line = lines.iter().find(|line| line.contains(what));
        tag(line.unwrap_or_else(|| panic!("{what}: {lines:#?}")))
    };
    assert_eq!(of("mkdir /of-one by ftp@127.0.0.1"), of("rmdir /of-one"));
    assert_eq!(of("mkdir /of-one"), of(" gone: "));
    assert_ne!(of("mkdir /of-one"), of("mkdir /of-two"));
    let logins = lines.iter().filter(|line| line.contains("LOGIN FROM")).map(|line| tag(line));
    assert_eq!(logins.filter(|number| *number == of("mkdir /of-one")).count(), 2);
}

#[test]
fn a_change_that_failed_is_logged_with_its_reason() {
    let server = Server::start(&["-l", "-l"]);
    let mut client = server.log_in();
    client.send("RMD none").expect(550);
    let line = server.log.wait_for("rmdir /none");
    assert!(line.contains("failed: No such file or directory"), "{line}");
}

#[test]
fn a_root_that_may_not_be_entered_is_named_in_the_log() {
    let server = Server::start(&[]);
    let mode = server.mode("");
    server.set_mode("", 0o644);
    let mut client = server.connect();
    client.send("USER ftp").expect(331);
    let reply = client.send("PASS joe@").expect(230);
    server.set_mode("", mode);
    assert!(reply.text().contains("not accessible"), "{}", reply.text());
    let line = server.log.wait_for("cannot enter the home directory");
    assert!(line.contains(server.path("").to_str().expect("a plain path").trim_end_matches('/')), "{line}");
}
