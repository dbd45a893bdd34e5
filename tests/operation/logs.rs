//! Both logs: text and JSON, rotated, on a full disk, for systemd's journal.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::support::{Client, Folder, Process, Server, is_root, program, wait_until};
use crate::test_support::{find_program, leave_out};

/// A name that tries to be a record of its own.
const EVIL: &str = "pub/a b\"\u{202e}.txt";

#[test]
fn transfers_go_to_the_log_as_well() {
    let server = Server::start(&["-X"]);
    let mut client = server.log_in();
    client.store("pub/a b", b"some bytes");
    server.wait_for_log("xferlog: ");
    let log = server.log();
    let line = log.lines().find(|line| line.contains("xferlog: ")).unwrap();
    let record = line.split("xferlog: ").nth(1).unwrap();
    assert_eq!(record.split_whitespace().count(), 18, "{record}");
    assert!(
        record.contains(" 127.0.0.1 10 ") && record.ends_with("/pub/a_b b _ i a me@example.com ftp 0 * c")
    );
}

#[test]
fn every_record_is_a_line_of_json() {
    let folder = Folder::new();
    let xferlog = folder.join("xferlog");
    let log = format!("-L{}", xferlog.display());
    let server = Server::start_in(folder, &["-l", "-l", "-d", "-X", "--log-format=json", &log], &[]);
    let mut client = server.log_in();
    client.store(EVIL, b"some bytes");
    client.send(&format!("RNFR {EVIL}")).expect(350);
    client.send("RNTO pub/b").expect(250);
    client.send("DELE pub/b").expect(250);
    client.send("QUIT").expect(221);
    server.wait_for_log("\"event\":\"gone\"");
    let (log, transfers) = (server.log(), fs::read_to_string(xferlog).unwrap());
    for event in ["connection", "anonymous-login", "put", "rename", "delete", "transfer", "gone"] {
        let count = log.matches(&format!("\"event\":\"{event}\"")).count();
        assert_eq!(count, if event == "transfer" { 2 } else { 1 }, "{event}: {log}");
    }
    assert_eq!(transfers.lines().count(), 2);
    assert!(transfers.contains("a b\\\"\\u202e.txt\""), "{transfers}");
    let Some(python) = find_program("python3") else { return };
    let program = "import json,sys\nfor line in open(sys.argv[1]): json.loads(line)['time']";
    for name in ["log", "xferlog"] {
        let status =
            Command::new(&python).args(["-c", program]).arg(server.folder.join(name)).status().unwrap();
        assert!(status.success(), "{log}");
    }
}

#[test]
fn a_start_is_told_in_json_too_whether_it_succeeds_or_not() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (more, code, text) in
        [(&["-P", &port][..], 1, "Address already in use"), (&["-P", "x"], 2, "-P, --port")]
    {
        let folder = Folder::new();
        let mut command = Command::new(program());
        command.args(["-F", "--log-format=json", "-a", "127.0.0.1"]).args(more).args(folder.options());
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!((output.status.code(), output.stdout), (Some(code), Vec::new()), "{more:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{said}");
        assert!(said.contains("\"level\":\"error\"") && said.contains(text), "{said}");
    }
    let has_tls = cfg!(feature = "tls");
    let tls = if has_tls { &["--tls=allow", "--tls-self-signed"][..] } else { &[] };
    let mut server = Server::start(&[&["--log-format=json"], tls].concat());
    server.process.signal(Signal::TERM);
    server.process.exit_status();
    let mut said = String::new();
    server.process.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "", "a program reads both streams");
    let log = server.log();
    assert!(log.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{log}");
    assert!(log.contains(&format!("\"address\":\"{}\"", server.address)), "{log}");
    assert_eq!(log.contains("\"fingerprint\":"), has_tls, "{log}");
}

#[test]
fn rotated_logs_are_opened_anew_and_no_record_is_lost() {
    for signal in [Signal::USR2, Signal::HUP] {
        let folder = Folder::new();
        let (path, rotated) = (folder.join("xferlog"), folder.join("xferlog.1"));
        let option = format!("--xferlog={}", path.display());
        let server = Server::start_in(folder, &[&option], &[]);
        let mut client = server.log_in();
        client.store("pub/a", b"1");
        fs::rename(&path, &rotated).unwrap();
        client.store("pub/b", b"22");
        server.process.signal(signal);
        wait_until("there is a new log", || path.exists().then_some(()));
        client.store("pub/c", b"333");
        let lines = |path| fs::read_to_string(path).unwrap().lines().count();
        assert_eq!((lines(&rotated), lines(&path)), (2, 1));
    }
}

#[test]
fn a_full_disk_costs_records_and_nothing_else() {
    if !std::path::Path::new("/dev/full").exists() {
        return eprintln!("not tested: there is no /dev/full");
    }
    let server = Server::start(&["--xferlog=/dev/full"]);
    let mut client = server.log_in();
    client.store("pub/a", b"some bytes");
    assert_eq!(client.retrieve("pub/a"), b"some bytes");
    server.wait_for_log("/dev/full: No space left on device");
    client.send("QUIT").expect(221);
}

#[test]
fn the_log_itself_may_be_lost() {
    let folder = Folder::new();
    let Ok(full) = fs::File::create("/dev/full") else {
        return eprintln!("not tested: there is no /dev/full");
    };
    let mut command = Command::new(program());
    command.args(["-F", "-dd", "-ll", "-a", "127.0.0.1", "-P", "0"]).args(folder.options());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(full);
    let mut process = Process::start(&mut command);
    let mut client = Client::log_in(crate::support::announced(&mut process));
    client.store("pub/a", b"some bytes");
    process.signal(Signal::TERM);
    client.expect(421);
    assert!(process.exit_status().success());
}

#[test]
fn the_journal_gets_priorities_and_no_second_time_stamp() {
    let folder = Folder::new();
    let log = fs::File::create(folder.join("journal")).unwrap();
    let meta = log.metadata().unwrap();
    let mut command = Command::new(program());
    command.args(["-F", "-l", "-a", "127.0.0.1", "-P", "0"]).args(folder.options());
    command.env("JOURNAL_STREAM", format!("{}:{}", meta.dev(), meta.ino()));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    let mut process = Process::start(&mut command);
    Client::log_in(crate::support::announced(&mut process)).send("QUIT").expect(221);
    // The tag is the process's, so the line has the session's number.
    let line = "<6>connection from 127.0.0.1 [";
    wait_until("the journal has it", || {
        let journal = folder.read("journal");
        let number = journal
            .lines()
            .find_map(|found| found.strip_prefix(line)?.strip_suffix(']')?.parse::<u64>().ok());
        let of_session = |line: &str| line.contains(&format!("[{} ", number.unwrap_or(0)));
        journal.lines().any(|line| line.contains(" gone: ") && of_session(line)).then_some(())
    });
}

#[test]
fn a_fifo_that_nobody_reads_holds_nobody_up() {
    let folder = Folder::new();
    let fifo = folder.join("xferlog");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let option = format!("--xferlog={}", fifo.display());
    let server = Server::start_in(folder, &[&option], &[]);
    let mut client = server.log_in();
    client.store("pub/a", b"some bytes");
    for signal in [Signal::USR2, Signal::HUP] {
        server.process.signal(signal);
        server.log_in().store("pub/b", b"more bytes");
    }
    server.wait_for_log("nobody reads from this FIFO yet");
    let mut reader = BufReader::new(fs::File::open(&fifo).unwrap());
    for name in ["/pub/a", "/pub/b", "/pub/b"] {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.contains(name), "{line}");
    }
}

#[test]
fn no_log_is_written_where_another_account_could_lead_it_elsewhere() {
    if !is_root() {
        return leave_out("only root can make another account's directory");
    }
    let folder = Folder::new();
    let home = folder.join("home");
    fs::create_dir(&home).unwrap();
    let (log, secret) = (home.join("xferlog"), folder.join("secret"));
    fs::write(&secret, "").unwrap();
    let option = format!("--xferlog={}", log.display());
    let server = Server::start_in(folder, &[&option], &[]);
    let mut client = server.log_in();
    // The directory becomes another account's, and that account puts a link there.
    std::os::unix::fs::chown(&home, Some(65_534), None).unwrap();
    fs::rename(&log, home.join("old")).unwrap();
    std::os::unix::fs::symlink(&secret, &log).unwrap();
    server.process.signal(Signal::USR2);
    server.wait_for_log("another account (uid 65534)");
    client.store("pub/a", b"some bytes");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "");
    assert!(fs::read_to_string(home.join("old")).unwrap().contains("/pub/a "), "the old file goes on");
    let words = ["-F", "-a", "127.0.0.1", "-P", "0", &option];
    let second = Command::new(program()).args(server.folder.options()).args(words).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(text.contains(&format!("ferryd: {}: ", log.display())) && text.contains("uid 65534"), "{text}");
}
