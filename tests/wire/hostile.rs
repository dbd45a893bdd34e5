//! Clients that mean no good, or speak Telnet: long lines, NULs, negotiation, patterns without end.

use std::time::Instant;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use crate::client::{connect, verb};
use crate::server::Server;
use crate::store::noise;

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;
const NOP: u8 = 241;

#[test]
fn an_endless_line_is_answered_once() {
    let server = Server::start(&[]);
    for length in [20_000, 100_000, 2_000_000] {
        let mut client = server.log_in();
        client.raw_if_open("A".repeat(length)).raw_if_open("\r\nNOOP\r\n");
        client.expect(500);
        client.expect(200);
    }
}

#[test]
fn the_rest_of_an_endless_line_is_no_command() {
    let server = Server::start(&[]);
    server.write("victim", "x");
    let mut client = server.log_in();
    for length in
        [510, 511, 512, 1023, 1024, 2047, 2048, 4095, 4096, 8191, 8192, 16_383, 16_384, 65_535, 65_536]
    {
        for before in ["\n", "", "\r", " "] {
            let mut line = vec![b'A'; length];
            line.extend(before.as_bytes());
            line.extend(b"DELE victim\r\n");
            client.raw(&line);
            client.expect_any(&[500, 501]);
            client.send("NOOP").expect(200);
        }
    }
    assert!(server.exists("victim"));
}

#[test]
fn long_paths_are_not_cut() {
    let server = Server::start(&[]);
    server.write("victim", "x");
    let mut client = server.log_in();
    let reply = client.send(format!("DELE {}victim", "./".repeat(3000))).expect_any(&[250, 500, 550, 553]);
    assert_eq!(reply.code == 250, !server.exists("victim"));
    client.send("NOOP").expect(200);
}

#[test]
fn a_nul_is_no_end_of_a_name() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    for line in [
        "DELE file\0.txt",
        "DELE file\0",
        "SIZE file\0/x",
        "\0DELE file",
        "DE\0LE file",
        "CWD /\0",
        "RNFR file\0",
    ] {
        let reply = client.raw(format!("{line}\r\n")).reply();
        assert!((500..600).contains(&reply.code), "{line:?}: {}", reply.text());
    }
    client.raw("\0\r\n").expect_any(&[500, 501]);
    client.raw("MKD a\0b\r\n").expect_refusal();
    assert_eq!(server.names(""), ["file"]);
    client.send("NOOP").expect(200);
}

#[test]
fn telnet_options_are_refused_in_telnets_words() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for (asked, answered) in [(DO, WONT), (WILL, DONT)] {
        for option in [0, 1, 3, 31, 250, 255] {
            client.raw([IAC, asked, option]);
            assert_eq!(client.take_raw(3), [IAC, answered, option]);
            client.send("NOOP").expect(200);
        }
    }
    // What is refused already needs no answer, or two ends would talk for ever.
    client.raw([IAC, DONT, 1, IAC, WONT, 1]).send("NOOP").expect(200);
}

#[test]
fn telnet_commands_within_a_command_are_taken_out() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.raw([b"NO".as_slice(), &[IAC, NOP], b"OP\r\n"].concat()).expect(200);
    client.raw([b"NO".as_slice(), &[IAC, DONT, 6], b"OP\r\n"].concat()).expect(200);
    client.raw([&[IAC, NOP, IAC, NOP][..], b"NOOP\r\n"].concat()).expect(200);
    client.raw([b"NO".as_slice(), &[IAC, DO, 6], b"OP\r\n"].concat());
    assert_eq!(client.take_raw(3), [IAC, WONT, 6]);
    client.expect(200);
}

#[test]
fn telnet_subnegotiation_does_no_harm() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.raw([&[IAC, SB, 24, 0][..], b"xterm", &[IAC, SE], b"NOOP\r\n"].concat());
    client.expect_any(&[200, 500]);
    client.send("NOOP").expect(200);
}

#[test]
fn a_doubled_iac_is_one_byte_of_a_name() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.raw(b"MKD a\xff\xffb\r\n".as_slice()).expect(257);
    assert!(server.exists(b"a\xffb"));
}

#[test]
fn an_iac_that_is_not_doubled_is_one_byte_of_a_name_too() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    // As clients write names in cp1251 or latin-1, also where the line arrives in pieces.
    for (sent, made) in [
        (&b"MKD a\xff"[..], &b"a\xff"[..]),
        (b"MKD a\xff\xff", b"a\xff"),
        (b"MKD \xff\xe1x", b"\xff\xe1x"),
        (b"MKD \xff", b"\xff"),
        (b"MKD \xff\xe1\xff y", b"\xff\xe1\xff y"),
    ] {
        client.raw([sent, b"\r\n"].concat()).expect(257);
        assert!(server.exists(made), "{}", sent.escape_ascii());
        client.send(verb("RMD", made)).expect(250);
        for byte in sent {
            client.raw([*byte]);
        }
        client.urgent(b"\r").raw("\n").expect(257);
        client.send(verb("RMD", made)).expect(250);
        let (first, last) = sent.split_at(sent.len() - 1);
        client.raw(first).urgent(last).raw("\r\n").expect(257);
        client.send(verb("RMD", made)).expect(250);
    }
    for name in [&b"a\xff"[..], b"a\xff\xfdb", b"a\xff\xfbb", b"a\xff\xfab"] {
        let address = client.epsv();
        client.raw([b"STOR ", name, b"\r\n"].concat());
        let data = connect(address);
        // Nothing stands in front of it.
        assert_eq!(client.take_raw(4), b"150 ");
        while client.take_raw(1) != b"\n" {}
        drop(data);
        client.expect(226);
    }
    assert!(server.exists(b"a\xff"));
}

#[test]
fn a_connection_that_ends_within_a_telnet_command_does_no_harm() {
    let server = Server::start(&["--max-clients", "1"]);
    for end in [&[IAC][..], &[IAC, DO], &[IAC, SB], &[IAC, SB, 1, IAC], b"NOOP\r", b"NO"] {
        let mut client = server.log_in_when_there_is_room();
        client.raw(end);
    }
    server.log_in_when_there_is_room().send("NOOP").expect(200);
}

#[test]
fn a_bare_line_feed_at_the_end_of_what_was_sent_ends_the_line() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.raw("NOOP\n").expect(200);
    client.raw("PWD\n").expect(257);
    client.send("NOOP").expect(200);
    client.raw("NOOP\n").expect(200);
}

#[test]
fn a_client_of_bare_line_feeds_can_do_its_work() {
    // printf and netcat.
    let server = Server::start(&[]);
    let mut client = server.connect();
    for (line, code) in [
        ("USER anonymous\n", 331),
        ("PASS x@example.org\n", 230),
        ("MKD sub\n", 257),
        ("CWD sub\n", 250),
        ("QUIT\n", 221),
    ] {
        client.raw(line).expect(code);
    }
    assert_eq!(server.names(""), ["sub"]);
}

#[test]
fn a_bare_carriage_return_ends_nothing() {
    let server = Server::start(&[]);
    server.write("victim", "x");
    let mut client = server.log_in();
    client.raw("NOOP\rDELE victim\r\n").expect_any(&[200, 500, 501]);
    client.raw("CWD /\rDELE victim\r\n").expect_any(&[500, 501, 550, 553]);
    client.send("NOOP").expect(200);
    assert!(server.exists("victim"));
}

#[test]
fn commands_may_come_byte_by_byte() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for byte in b"USER anonymous\r\nPASS x@example.org\r\nMKD a\xff\xffb\r\nNOOP\r\n" {
        client.raw([*byte]);
    }
    for code in [331, 230, 257, 200] {
        client.expect(code);
    }
    assert!(server.exists(b"a\xffb"));
}

#[test]
fn a_thousand_commands_at_once_are_answered_in_order() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let commands = [
        ("NOOP", 200),
        ("PWD", 257),
        ("SYST", 215),
        ("RNTO x", 503),
        ("SIZE none", 550),
        ("XYZZY", 500),
        ("TYPE L 7", 504),
    ];
    let script: Vec<_> = commands.iter().cycle().take(1000).collect();
    client.raw(script.iter().map(|(line, _)| format!("{line}\r\n")).collect::<String>());
    for (_, code) in script {
        client.expect(*code);
    }
}

#[test]
fn pipelined_changes_happen_in_order() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.raw("MKD a\r\nCWD a\r\nMKD b\r\nRNFR b\r\nRNTO c\r\nCDUP\r\nRMD a/c\r\nRMD a\r\n");
    for code in [257, 250, 257, 350, 250, 250, 250, 250] {
        client.expect(code);
    }
    assert!(server.names("").is_empty());
}

#[test]
fn a_command_without_its_end_is_not_executed() {
    let server = Server::start(&["--max-clients", "1"]);
    server.write("victim", "x");
    let mut client = server.log_in();
    client.raw("DELE victim");
    client.close_sending_half();
    client.expect_end();
    drop(client);
    let mut client = server.log_in_when_there_is_room();
    client.raw("DELE victim");
    client.vanish();
    server.log_in_when_there_is_room();
    assert!(server.exists("victim"));
}

#[test]
fn before_the_login_no_command_does_anything() {
    let server = Server::start(&[]);
    server.write("file", "content");
    server.mkdir("sub");
    let mut client = server.connect();
    for command in [
        "CWD sub",
        "XCWD sub",
        "CDUP",
        "XCUP",
        "PWD",
        "XPWD",
        "MKD new",
        "XMKD new",
        "RMD sub",
        "XRMD sub",
        "DELE file",
        "RNFR file",
        "RNTO other",
        "RETR file",
        "STOR new",
        "STOU",
        "STOU new",
        "APPE file",
        "ALLO 1",
        "REST 1",
        "LIST",
        "NLST",
        "MLSD",
        "MLST",
        "MLST file",
        "STAT file",
        "SIZE file",
        "MDTM file",
        "MFMT 20010909014640 file",
        "PORT 127,0,0,1,200,1",
        "EPRT |1|127.0.0.1|51201|",
        "LPRT 4,4,127,0,0,1,2,200,1",
        "PASV",
        "EPSV",
        "EPSV ALL",
        "LPSV",
        "SITE CHMOD 600 file",
        "SITE UMASK 0",
        "SITE IDLE 1",
        "SITE UTIME 20010909014640 file",
        "SITE HELP",
        "ABOR",
        "TYPE I",
        "STRU F",
        "MODE S",
    ] {
        let reply = client.send(command).reply();
        let harmless = ["TYPE I", "STRU F", "MODE S", "SITE HELP", "ABOR"].contains(&command);
        let refused = [530, 503, 500, 501, 502].contains(&reply.code);
        assert!(refused || harmless, "{command} before the login: {}", reply.text());
    }
    assert_eq!(server.names(""), ["file", "sub"]);
    assert_eq!(server.read("file"), b"content");
    assert_eq!(server.mode("file"), 0o644);
    client.log_in();
}

#[test]
fn between_user_and_pass_no_command_does_anything() {
    let server = Server::start(&[]);
    server.write("file", "content");
    let mut client = server.connect();
    for command in ["DELE file", "RNFR file", "MKD new", "PASV", "CWD /", "LIST", "SITE CHMOD 600 file"] {
        client.send("USER anonymous").expect(331);
        client.send(command).expect_any(&[530, 503]);
    }
    assert_eq!(server.names(""), ["file"]);
}

#[test]
fn web_browsers_requests_are_not_executed() {
    let server = Server::start(&[]);
    server.write("victim", "x");
    let mut client = server.connect();
    client.raw("POST / HTTP/1.1\r\nHost: x\r\n\r\nUSER anonymous\r\nPASS x\r\nDELE victim\r\n");
    // Hanging up at once is the best answer; refusing each line is none the worse
    // as long as a browser cannot be made to log in from a script.
    loop {
        match client.try_reply() {
            None => break,
            Some(reply) if reply.code == 421 => break,
            Some(reply) if reply.code == 230 => {
                // What is known to be weak: a form in a browser can log in as anonymous.
                break;
            }
            Some(_) => (),
        }
    }
}

#[test]
fn patterns_without_end_are_answered() {
    let server = Server::start(&["--max-clients", "3"]);
    server.write("a".repeat(250), "");
    for n in 0..20 {
        server.write(format!("{}{n}", "a".repeat(200)), "");
    }
    let started = Instant::now();
    for pattern in [
        "a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
        &"a*".repeat(100),
        &format!("{}b", "*a".repeat(120)),
        &"*".repeat(4000),
        &"?*".repeat(500),
        &"[a-z]*".repeat(300),
        &"{a,b}".repeat(60),
        &"*/../".repeat(100),
        &"/*/..".repeat(100),
        &"~".repeat(500),
        "[",
        "[a",
        "[!",
        "[]",
        "[a-",
        "\\",
        "*\\",
        "[[[[[[",
        &"[".repeat(3000),
    ] {
        let mut client = server.log_in_when_there_is_room();
        for verb in ["NLST", "LIST", "STAT"] {
            if verb == "STAT" {
                client.send(format!("STAT {pattern}")).reply();
                continue;
            }
            if let Ok(data) = client.try_start(format!("{verb} {pattern}")) {
                client.read_to_end(data);
                client.reply();
            }
        }
        client.send("QUIT").expect(221);
    }
    assert!(started.elapsed() < crate::server::DEADLINE * 6, "patterns take {:?}", started.elapsed());
}

#[test]
fn folders_in_links_in_folders_end_somewhere() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.symlink("..", "sub/up");
    server.symlink(".", "here");
    server.symlink("sub", "again");
    let mut client = server.log_in();
    for command in ["LIST -R", "LIST -laR", "NLST -R", "LIST -R .", "NLST */*/*/*/*/*/*/*"] {
        if let Ok(data) = client.try_start(command) {
            client.read_to_end(data);
            client.expect_any(&[226, 450, 451, 550]);
        }
    }
    client.send("NOOP").expect(200);
}

#[test]
fn a_deep_tree_is_walked_or_refused() {
    let server = Server::start(&[]);
    // Deeper than a path can be long.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut folder = openat(CWD, server.path(""), flags, Mode::empty()).expect("our own folder");
    let mode = Mode::from_raw_mode(0o777);
    for _ in 0..3000 {
        mkdirat(&folder, "deep", mode).expect("a new folder");
        folder = openat(&folder, "deep", flags, Mode::empty()).expect("our own folder");
    }
    let mut client = server.log_in();
    for command in ["LIST -R", "LIST -R deep/deep"] {
        if let Ok(data) = client.try_start(command) {
            client.read_to_end(data);
            client.expect_any(&[226, 450, 451, 550]);
        }
    }
    for _ in 0..200 {
        client.send("CWD deep").expect(250);
    }
    client.send("PWD").expect(257);
    client.names("");
    client.send("CWD /").expect(250);
    server.log_in().names("");
}

#[test]
fn names_with_formats_in_them_are_names() {
    let server = Server::start(&["-l", "-l"]);
    let mut client = server.log_in();
    for name in ["%s%s%s%n", "{}", "{0:?}", "\\x00", "$(id)", "%d%%"] {
        client.send(verb("MKD", name)).expect(257);
        client.send(verb("CWD", name)).expect(250);
        assert_eq!(client.send("PWD").expect(257).quoted_path(), format!("/{name}").as_bytes());
        client.send("CWD /").expect(250);
        client.send(verb("RMD", name)).expect(250);
    }
}

#[test]
fn any_bytes_at_all_do_no_harm() {
    let server = Server::start(&["--max-clients", "2"]);
    let bytes = noise(200_000);
    for part in bytes.chunks(20_000) {
        let mut client = server.log_in_when_there_is_room();
        // The replies are many; nobody reads them, and the server may hang up.
        client.raw_if_open(part).raw_if_open("\r\nQUIT\r\n");
        client.vanish();
    }
    let mut client = server.log_in_when_there_is_room();
    client.names("");
}

#[test]
fn half_understood_commands_do_no_harm() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    for line in [
        " ",
        "  NOOP",
        "\t",
        "NOOP\t",
        "RETR  ",
        "CWD \\",
        "CWD \"",
        "MKD \\\"",
        "SITE CHMOD",
        "SITE  ",
        "OPTS MLST ;;;;",
        "OPTS MLST =",
        "REST ",
        "TYPE \u{ff}",
        "PORT ,,,,,,",
        "EPRT ",
        "EPRT \u{ff}",
        "EPSV \u{ff}",
        "ALLO R R R",
        "MFMT",
        "MFMT file",
        "MLST \\",
        "HELP \u{ff}",
        "SITE \u{ff}",
        "STRU  F",
        "LANG \u{ff}",
        "SITE CHMOD 9 \"",
        "USER\u{a0}x",
    ] {
        client.send(line).reply();
    }
    client.log_in();
    assert_eq!(client.retr("file"), b"x");
}

#[test]
fn a_client_that_never_reads_its_replies_does_not_stop_the_others() {
    let server = Server::start(&["--max-clients", "2"]);
    let mut deaf = server.log_in();
    deaf.raw("HELP\r\n".repeat(2000));
    let mut other = server.log_in();
    other.names("");
    deaf.vanish();
    server.log_in_when_there_is_room();
}

#[test]
fn root_cannot_be_logged_in_as() {
    let server = Server::start(&["--max-login-attempts", "0"]);
    let mut client = server.connect();
    for name in ["root", "ROOT", "root\0", " root", "0", "toor"] {
        client.raw(format!("USER {name}\r\n")).expect_any(&[331, 500, 501]);
        client.send("PASS x").expect_any(&[530, 503]);
    }
}

#[test]
fn an_unreadable_folder_in_the_way_does_not_end_a_walk() {
    let server = Server::start(&[]);
    server.mkdir("a");
    server.mkdir("b");
    server.write("b/file", "x");
    server.set_mode("a", 0);
    let mut client = server.log_in();
    let text = String::from_utf8(client.download("LIST -R")).expect("text");
    assert!(text.contains("file"), "{text}");
    assert_eq!(client.names("*/*"), ["b/file"]);
}
