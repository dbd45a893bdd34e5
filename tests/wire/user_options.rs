//! What ftpusers says of one account: ro, wo, umask=, quota=, hide=.

use crate::client::{Client, Reply};
use crate::server::{Folder, Server};

/// A server whose ftpusers has this line for the anonymous account.
fn start(line: &str, more: &[&str]) -> (Folder, Server) {
    let etc = Folder::new();
    etc.write("ftpusers", format!("# a comment\nsomebody\nftp {line}\n"));
    let root = etc.root();
    let mut args = vec!["-c", root.to_str().expect("a plain path")];
    args.extend(more);
    let server = Server::start(&args);
    (etc, server)
}

/// STOR, APPE or STOU of so many bytes, and the reply that ends it.
fn store(client: &mut Client, command: &str, size: usize) -> Reply {
    use std::io::Write;
    match client.try_start(command) {
        Err(reply) => reply,
        Ok(mut data) => {
            // The server closes the connection when it has enough.
            let _ = data.write_all(&vec![b'x'; size]);
            drop(data);
            client.reply()
        }
    }
}

#[test]
fn a_name_alone_is_denied_as_ever() {
    for line in ["", "deny", "ro", "at night", "allowed"] {
        let (_etc, server) = start(line, &[]);
        let mut client = server.connect();
        client.send("USER anonymous").expect(331);
        client.send("PASS x@").expect(530);
    }
}

#[test]
fn who_is_allowed_may_be_kept_from_changing_or_having_files() {
    let (_etc, server) = start("allow ro", &[]);
    server.write("f", "x");
    let mut client = server.log_in();
    assert_eq!(client.retr("f"), b"x");
    for command in [
        "STOR new",
        "APPE f",
        "STOU",
        "DELE f",
        "RNFR f",
        "MKD d",
        "SITE CHMOD 600 f",
        "MFMT 20200101000000 f",
    ] {
        client.send(command).expect(550);
    }
    assert!(!client.mlst("f").get("perm").contains('w'));
    let (_etc, server) = start("allow wo", &[]);
    let mut client = server.log_in();
    client.stor("f", "x");
    client.send("RETR f").expect(550);
}

#[test]
fn a_umask_and_hidden_files_may_be_an_accounts_own() {
    let (_etc, server) =
        start("allow umask=077,hide=*.key hide=/dir/x", &["--hide-files", "*.old", "-u", "022"]);
    server.mkdir("dir");
    for name in ["a.key", "b.old", "c", "dir/x", "dir/y"] {
        server.write(name, "x");
    }
    let mut client = server.log_in();
    assert_eq!(client.names(""), ["c", "dir"]);
    assert_eq!(client.names("dir"), ["dir/y"]);
    client.stor("new", "x");
    assert_eq!(server.mode("new"), 0o600);
}

#[test]
fn a_quota_holds_whatever_the_command() {
    quota_holds(&[]);
}

#[test]
fn a_quota_holds_for_atomic_uploads_too() {
    quota_holds(&["--atomic-uploads"]);
}

fn quota_holds(more: &[&str]) {
    let (_etc, server) = start("allow quota=10k", more);
    server.mkdir("dir");
    server.write("dir/old", "x".repeat(4096));
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    client.send("ALLO 6144").expect(200);
    client.send("ALLO 6145").expect(552);
    assert_eq!(store(&mut client, "STOR a", 4096).code, 226);
    assert_eq!(store(&mut client, "APPE a", 2048).code, 226);
    for command in ["STOR b", "APPE a", "STOU b", "APPE dir/old"] {
        assert_eq!(store(&mut client, command, 1).code, 552, "{command}");
    }
    // What is written anew costs nothing, what it grows by does.
    client.send("REST 4096").expect(350);
    assert_eq!(store(&mut client, "STOR a", 2048).code, 226);
    client.send("REST 4096").expect(350);
    assert_eq!(store(&mut client, "STOR a", 2049).code, 552);
    assert_eq!(store(&mut client, "STOR a", 6144).code, 226);
    assert_eq!(server.path("a").metadata().expect("a file").len(), 6144);
    // Another session of the account has no quota of its own.
    let mut other = server.log_in();
    assert_eq!(store(&mut other, "STOR c", 1).code, 552);
    // Room is made by removing, by replacing and by shrinking.
    client.send("DELE dir/old").expect(250);
    assert_eq!(store(&mut other, "STOR c", 4096).code, 226);
    client.send("RNFR c").expect(350);
    client.send("RNTO a").expect(250);
    assert_eq!(store(&mut other, "STOR d", 6144).code, 226);
    assert_eq!(store(&mut other, "STOR e", 1).code, 552);
    assert_eq!(store(&mut client, "STOR d", 1).code, 226);
    assert_eq!(store(&mut client, "STOR e", 6143).code, 226);
    // And by others than the server.
    std::fs::remove_file(server.path("e")).expect("our own file");
    assert_eq!(store(&mut client, "STOR f", 6143).code, 226);
}

#[test]
fn options_that_cannot_be_understood_keep_out_whom_they_are_about() {
    for (line, reason) in [
        ("allow rate=fast", "rate=fast"),
        ("allow roo=1", "roo=1"),
        ("allow for now", "only options may follow"),
        ("allow ro umask=9", "umask=9"),
    ] {
        let (etc, server) = start(line, &[]);
        let mut client = server.connect();
        client.send("USER anonymous").expect(331);
        client.send("PASS x@").expect(421);
        let logged = server.log.wait_for("ftpusers:3: ");
        assert!(logged.contains(reason) && logged.contains("etc") | logged.contains("root"), "{logged}");
        etc.write("ftpusers", "ftp allow\n");
        server.log_in();
    }
}
