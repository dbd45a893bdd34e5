//! The administrator's texts: ftpwelcome, ftpmotd, nologin, the message of a directory.

use std::fs;

use crate::client::Client;
use crate::server::{Folder, Server};

/// A server with a config directory, whose files a test may write at any time.
struct Configured {
    etc: Folder,
    server: Server,
}

impl Configured {
    fn start(files: &[(&str, &str)], more: &[&str]) -> Configured {
        let etc = Folder::new();
        files.iter().for_each(|(name, text)| etc.write(name, text));
        let root = etc.root();
        let mut args = vec!["-c", root.to_str().expect("a plain path")];
        args.extend(more);
        let server = Server::start(&args);
        Configured { etc, server }
    }

    fn greeting(&self) -> String {
        Client::connect(self.server.address()).expect(220).text()
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn ftpwelcome_comes_before_the_greeting_and_is_read_for_each_client() {
    let ferryd = Configured::start(&[("ftpwelcome", "Welcome, %R.\n\n220 is no end, 100%\n")], &[]);
    let text = ferryd.greeting();
    let text = lines(&text);
    assert_eq!(text[..3], ["220-Welcome, 127.0.0.1.", "220-", "220-220 is no end, 100%"]);
    assert_eq!(text.len(), 4);
    assert!(text[3].starts_with("220 "));
    ferryd.etc.write("ftpwelcome", "changed");
    assert!(ferryd.greeting().starts_with("220-changed\n220 "));
    fs::remove_file(ferryd.etc.path("ftpwelcome")).expect("our own file");
    assert_eq!(lines(&ferryd.greeting()).len(), 1);
}

#[test]
fn a_banner_takes_the_place_of_ftpwelcome() {
    let other = Folder::new();
    other.write("text", "the banner of %N client%s");
    let path = other.path("text");
    let ferryd =
        Configured::start(&[("ftpwelcome", "welcome")], &["--banner", path.to_str().expect("a plain path")]);
    let text = ferryd.greeting();
    assert!(text.starts_with("220-the banner of 1 client\n220 "), "{text}");
}

#[test]
fn the_motd_comes_with_the_login() {
    let ferryd = Configured::start(&[("ftpmotd", "Hello %U (%c) in %C\n"), ("motd", "Linux")], &[]);
    let mut client = ferryd.server.connect();
    client.send("USER anonymous").expect(331);
    let text = client.send("PASS x@").expect(230).text();
    assert!(text.starts_with("230-Hello ftp (guest) in /\n230 "), "{text}");
    // A confined session has that of its own tree, and never that of the system.
    ferryd.server.mkdir("etc");
    ferryd.server.write("etc/ftpmotd", "from the tree");
    let mut client = ferryd.server.connect();
    client.send("USER anonymous").expect(331);
    assert!(client.send("PASS x@").expect(230).text().starts_with("230-from the tree\n230 "));
    fs::remove_file(ferryd.etc.path("ftpmotd")).expect("our own file");
    fs::remove_file(ferryd.server.path("etc/ftpmotd")).expect("our own file");
    let mut client = ferryd.server.connect();
    client.send("USER anonymous").expect(331);
    assert_eq!(lines(&client.send("PASS x@").expect(230).text()).len(), 1);
}

#[test]
fn a_directory_shows_its_message_when_it_is_asked_to() {
    let ferryd = Configured::start(&[], &["--dirmessage", ".message"]);
    let server = &ferryd.server;
    server.mkdir("pub");
    server.mkdir("pub/deep");
    server.write("pub/.message", "You are in %C.\r\nsecond\n");
    server.symlink("/etc/passwd", "pub/deep/.message");
    let mut client = server.log_in();
    let text = client.send("CWD pub").expect(250).text();
    assert_eq!(lines(&text)[..2], ["250-You are in /pub.", "250-second"]);
    assert_eq!(lines(&client.send("CWD deep").expect(250).text()).len(), 1);
    assert_eq!(lines(&client.send("CDUP").expect(250).text()).len(), 3);
    assert_eq!(lines(&client.send("CWD /").expect(250).text()).len(), 1);
    let silent = Server::start(&[]);
    silent.write(".message", "said by nobody");
    assert_eq!(lines(&silent.log_in().send("CWD /").expect(250).text()).len(), 1);
}

#[test]
fn nobody_logs_in_while_there_is_a_nologin() {
    let ferryd = Configured::start(&[], &[]);
    let mut early = ferryd.server.connect();
    let mut inside = ferryd.server.log_in();
    ferryd.etc.write("nologin", "Back at noon.\n");
    let mut client = Client::connect(ferryd.server.address());
    let text = client.expect(421).text();
    assert!(text.starts_with("421-Back at noon.\n421 "), "{text}");
    client.expect_end();
    early.send("USER anonymous").expect(331);
    let text = early.send("PASS x@").expect(530).text();
    assert!(text.starts_with("530-Back at noon.\n530 "), "{text}");
    inside.send("NOOP").expect(200);
    fs::remove_file(ferryd.etc.path("nologin")).expect("our own file");
    early.log_in();
}

#[test]
fn a_nologin_that_cannot_be_read_keeps_everybody_out_too() {
    let ferryd = Configured::start(&[], &[]);
    fs::create_dir(ferryd.etc.path("nologin")).expect("our own folder");
    Client::connect(ferryd.server.address()).expect(421);
    ferryd.server.log.wait_for("nologin: ");
    fs::remove_dir(ferryd.etc.path("nologin")).expect("our own folder");
    std::os::unix::fs::symlink("nologin", ferryd.etc.path("nologin")).expect("a loop");
    Client::connect(ferryd.server.address()).expect(421);
}

#[test]
fn no_text_tells_the_host_name_with_h() {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    let texts = [("ftpwelcome", "[%L]"), ("ftpmotd", "[%L]"), ("motd", "the system's")];
    let ferryd = Configured::start(&texts, &["-h", "--dirmessage", "m"]);
    ferryd.server.write("m", "[%L]");
    let mut all = String::new();
    let mut client = Client::connect(ferryd.server.address());
    all += &client.expect(220).text();
    client.send("USER anonymous");
    all += &client.expect(331).text();
    for command in ["PASS x@", "CWD /", "SYST", "STAT", "HELP", "SITE HELP", "FEAT", "REIN", "QUIT"] {
        all += &client.send(command).reply().text();
    }
    assert!(all.contains("220-[]") && all.contains("230-[]") && all.contains("250-[]"), "{all}");
    assert!(host.is_empty() || !all.contains(&host), "{all}");
    assert!(!all.contains("ferryd") && !all.contains("UNIX Type") && !all.contains("system's"), "{all}");
    let plain = Configured::start(&[("ftpwelcome", "[%L]")], &[]);
    assert!(plain.greeting().contains(&format!("[{host}")));
}

#[test]
fn long_texts_and_long_values_have_an_end() {
    let ferryd = Configured::start(&[], &[]);
    ferryd.etc.write("ftpwelcome", "%C%R%T".repeat(50_000));
    assert!(ferryd.greeting().len() < 70_000);
    ferryd.etc.write("ftpwelcome", "%T\n".repeat(100_000));
    assert!(ferryd.greeting().len() < 150_000);
    ferryd.etc.write("ftpwelcome", [b"\0\xff\x1b\r\r\n".repeat(10), b"%".to_vec()].concat());
    ferryd.greeting();
}

/// Whoever may store, but not read, could give any file the name of a message, or link one to it.
#[test]
fn a_login_that_may_not_read_is_shown_no_message() {
    let ferryd = Configured::start(&[], &["--dirmessage", ".message", "-o"]);
    ferryd.server.write(".message", "a secret");
    let mut client = ferryd.server.log_in();
    let text = client.send("CWD /").expect(250).text();
    assert!(!text.contains("secret"), "{text}");
}
