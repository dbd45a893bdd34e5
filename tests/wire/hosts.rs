//! ftphosts: virtual hosts by local address, and who may log in from where.

use rustix::process::Signal;

use crate::client::Client;
use crate::server::{Folder, Server, run_to_its_end};

fn start(lines: &str, more: &[&str]) -> (Folder, Server) {
    let etc = Folder::of_administrator();
    etc.write("ftphosts", lines.replace("ETC", etc.root().to_str().expect("a plain path")));
    let root = etc.root();
    let mut args = vec!["-c", root.to_str().expect("a plain path")];
    args.extend(more);
    let server = Server::listening_on(&["127.0.0.1", "127.0.0.2"], &args);
    (etc, server)
}

fn greeting(server: &Server, n: usize) -> String {
    Client::connect(server.addresses()[n]).expect(220).text()
}

#[test]
fn a_virtual_host_has_a_name_and_texts_of_its_own() {
    let (etc, server) = start("# hosts\n127.0.0.2 - - ETC/welcome2 ETC/motd2\n", &[]);
    etc.write("welcome2", "the second, %L");
    etc.write("motd2", "second motd");
    etc.write("ftpwelcome", "the first");
    assert!(greeting(&server, 0).starts_with("220-the first\n"));
    let text = greeting(&server, 1);
    assert!(text.starts_with("220-the second, 127.0.0.2\n220 127.0.0.2 FTP server "), "{text}");
    let mut client = Client::connect(server.addresses()[1]);
    client.expect(220);
    client.send("USER ftp").expect(331);
    assert!(client.send("PASS x@").expect(230).text().starts_with("230-second motd\n"));
    assert!(client.send("STAT").expect(211).text().starts_with("211-127.0.0.2 "));
}

#[test]
fn host_chooses_a_virtual_host_before_the_login() {
    let (etc, server) = start("127.0.0.2 - - ETC/welcome2 ETC/motd2\nlocalhost - - ETC/welcome1\n", &[]);
    etc.write("welcome1", "the first");
    etc.write("welcome2", "the second");
    etc.write("motd2", "second motd");
    let mut client = server.connect();
    assert!(client.send("FEAT").expect(211).text().contains("\n HOST\n"));
    let text = client.send("HOST [127.0.0.2]").expect(220).text();
    assert!(text.starts_with("220-the second\n220 127.0.0.2 FTP server "), "{text}");
    for (name, code) in [
        ("no.such.host.invalid", 504),
        ("[127.0.0.3]", 504),
        ("[::1", 501),
        ("a b", 501),
        ("[no address]", 501),
        ("", 501),
    ] {
        client.send(format!("HOST {name}")).expect(code);
    }
    assert!(client.send("STAT").expect(211).text().starts_with("211-127.0.0.2 "), "refusals change nothing");
    client.send("USER ftp").expect(331);
    client.send("HOST localhost").expect(503);
    assert!(client.send("PASS x@").expect(230).text().starts_with("230-second motd\n"));
    client.send("HOST localhost").expect(503);
    // USER leaves the choice as it is, REIN does not.
    client.send("USER ftp").expect(331);
    assert!(client.send("PASS x@").expect(230).text().starts_with("230-second motd\n"));
    client.send("REIN").expect(220);
    assert!(client.send("STAT").expect(211).text().starts_with("211-localhost "));
    client.send("HOST 127.0.0.2").expect(220);
    assert!(client.send("HOST LocalHost.").expect(220).text().starts_with("220-the first\n"));
    client.send("HOST [127.0.0.2]").expect(220);
    client.send("REIN").expect(220);
    assert!(client.send("STAT").expect(211).text().starts_with("211-localhost "));
    client.send("HOST [127.0.0.1]").expect(220);
    let (_etc, plain) = start("", &[]);
    plain.connect().send("HOST [127.0.0.1]").expect(220);
    plain.connect().send("HOST [127.0.0.2]").expect(504);
}

#[test]
fn virtual_hosts_are_read_anew_on_sighup() {
    let (etc, server) = start("", &[]);
    assert!(!greeting(&server, 1).contains("127.0.0.2"));
    etc.write("ftphosts", "127.0.0.2\n");
    server.signal(Signal::HUP);
    crate::server::wait_until("the host is known", || {
        greeting(&server, 1).contains("127.0.0.2").then_some(())
    });
    etc.write("ftphosts", "127.0.0.2 - - relative\n");
    server.signal(Signal::HUP);
    server.log.wait_for("ftphosts:1: ");
    assert!(greeting(&server, 1).contains("127.0.0.2"));
}

#[test]
fn a_file_that_cannot_be_understood_keeps_the_server_from_starting() {
    for line in ["127.0.0.2 - - - - more", "no.such.host.invalid", "deny joe", "127.0.0.2 no-such-account"] {
        let etc = Folder::of_administrator();
        etc.write("ftphosts", format!("# hosts\n{line}\n"));
        let root = etc.root();
        let root = root.to_str().expect("a plain path");
        let outcome = run_to_its_end(&[
            "-F",
            "-A",
            "-P",
            "0",
            "-a",
            "127.0.0.1",
            "-c",
            root,
            "--anonymous-root",
            root,
            "--anonymous-user",
            "nobody",
        ]);
        assert_eq!(outcome.code, Some(1), "{line}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("ftphosts:2: "), "{line}: {}", outcome.stderr);
    }
}

#[test]
fn rules_say_who_may_log_in_from_where() {
    let (etc, server) = start("deny anonymous 127.0.0.1\n", &[]);
    let mut client = server.connect();
    client.send("USER anonymous").expect(331);
    client.send("PASS x@").expect(530);
    for (lines, code) in [
        ("allow ftp 10.0.0.0/8\n", 530),
        ("allow ftp 10.0.0.0/8 127.0.0.*\n", 230),
        ("allow joe 10.0.0.0/8\n", 230),
        ("deny * ::1\n", 230),
        ("deny * *\n", 530),
        ("allow anonymous 127.0.0.0/8\ndeny @ 127.0.0.1\n", 530),
    ] {
        etc.write("ftphosts", lines);
        let mut client = server.connect();
        client.send("USER anonymous").expect(331);
        client.send("PASS x@").expect(code);
    }
    etc.write("ftphosts", "\ndeny anonymous somewhere\n");
    let mut client = server.connect();
    client.send("USER anonymous").expect(331);
    client.send("PASS x@").expect(421);
    server.log.wait_for("ftphosts:2: ");
}

#[test]
fn c_knows_where_somebody_comes_from() {
    let etc = Folder::of_administrator();
    etc.write("ftphosts", "deny anonymous 192.0.2.0/24\n");
    let root = etc.root();
    let root = root.to_str().expect("a plain path");
    let ask = |who: &str| {
        run_to_its_end(&["-C", who, "-d", "-c", root, "--anonymous-root", root, "--anonymous-user", "nobody"])
    };
    assert_eq!(ask("anonymous").code, Some(0));
    assert_eq!(ask("anonymous@198.51.100.1").code, Some(0));
    let outcome = ask("anonymous@192.0.2.1");
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stdout.contains("ftphosts:1: `deny anonymous 192.0.2.0/24`"), "{}", outcome.stdout);
}

#[test]
fn a_virtual_host_may_have_statistics_of_its_own() {
    let (etc, server) = start("127.0.0.1 - ETC/stat\n", &["-S", "--anonymous-write"]);
    assert!(!etc.path("stat").exists());
    etc.write("stat", "");
    // It is written to if it was there when the file was read.
    server.signal(Signal::HUP);
    server.log.wait_for("reloading");
    server.mkdir("pub");
    server.write("pub/a!b", "content");
    server.write("empty", "");
    server.symlink("pub/a!b", "link");
    let line = crate::server::wait_until("there are statistics", || {
        let mut client = server.log_in();
        client.send("TYPE I").expect(200);
        client.retr("empty");
        client.retr("link");
        client.stor("pub/new", "x");
        let text = std::fs::read_to_string(etc.path("stat")).expect("our own file");
        text.lines().next().map(str::to_owned)
    });
    // FreeBSD's: time, who, from where, what, bytes, seconds.
    let fields: Vec<&str> = line.split('!').collect();
    assert_eq!(fields.len(), 6, "{line}");
    assert_eq!(fields[0].len(), "Nov 21 08:18:17 2026".len(), "{line}");
    assert_eq!(fields[2..], ["127.0.0.1", "/pub/a_b", "7", "1"], "{line}");
}
