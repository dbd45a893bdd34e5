//! SITE CHMOD, UMASK, IDLE, UTIME.

use crate::server::Server;

#[test]
fn chmod_takes_octal_modes() {
    let server = Server::start(&[]);
    server.write("file", "x");
    server.write("two words", "x");
    server.mkdir("sub");
    let mut client = server.log_in();
    for (mode, bits) in [("600", 0o600), ("0644", 0o644), ("755", 0o755), ("0", 0), ("7", 7), ("444", 0o444)]
    {
        client.send(format!("SITE CHMOD {mode} file")).expect(200);
        assert_eq!(server.mode("file"), bits, "{mode}");
    }
    client.send("SITE CHMOD 640 two words").expect(200);
    assert_eq!(server.mode("two words"), 0o640);
    client.send("SITE CHMOD 750 sub").expect(200);
    assert_eq!(server.mode("sub"), 0o750);
    client.send("site chmod 600 file").expect(200);
}

#[test]
fn chmod_takes_symbolic_modes() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    for (before, mode, after) in [
        (0o644, "u+x", 0o744),
        (0o644, "go-r", 0o600),
        (0o644, "a+x", 0o755),
        (0o644, "u=rwx,g=rx,o=", 0o750),
        (0o666, "ug-w,o=r", 0o444),
        (0o640, "o=u", 0o646),
        (0o600, "g+rX", 0o640),
        (0o700, "g+rX", 0o750),
    ] {
        server.set_mode("file", before);
        client.send(format!("SITE CHMOD {mode} file")).expect(200);
        assert_eq!(server.mode("file"), after, "{before:o} {mode}");
    }
}

#[test]
fn chmod_refuses_what_is_no_mode() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    for command in [
        "CHMOD 888 file",
        "CHMOD 77777 file",
        "CHMOD -1 file",
        "CHMOD u+q file",
        "CHMOD +",
        "CHMOD 644",
        "CHMOD",
        "CHMOD x=r file",
    ] {
        client.send(format!("SITE {command}")).expect_any(&[500, 501]);
    }
    client.send("SITE CHMOD 644 none").expect(550);
    assert_eq!(server.mode("file"), 0o644);
}

#[test]
fn no_chmod_refuses_it() {
    let server = Server::start(&["--no-chmod"]);
    server.write("file", "x");
    let mut client = server.log_in();
    client.send("SITE CHMOD 600 file").expect_any(&[502, 550]);
    assert_eq!(server.mode("file"), 0o644);
}

#[test]
fn umask_is_the_sessions_own() {
    let server = Server::start(&[]);
    let mut one = server.log_in();
    let mut two = server.log_in();
    let told = one.send("SITE UMASK").expect(200).text();
    assert!(told.contains("027"), "{told}");
    one.send("SITE UMASK 077").expect(200);
    let told = one.send("SITE UMASK").expect(200).text();
    assert!(told.contains("077"), "{told}");
    one.stor("one", "x");
    one.send("MKD sub").expect(257);
    two.stor("two", "x");
    assert_eq!((server.mode("one"), server.mode("sub"), server.mode("two")), (0o600, 0o700, 0o640));
    for mask in ["888", "x", "-1", "77777"] {
        one.send(format!("SITE UMASK {mask}")).expect(501);
    }
    one.send("REIN").expect(220);
    one.log_in();
    one.stor("again", "x");
    assert_eq!(server.mode("again"), 0o640);
}

#[test]
fn idle_tells_and_sets_how_long_a_client_may_be_silent() {
    let server = Server::start(&["-t", "100", "-T", "200"]);
    let mut client = server.log_in();
    let told = client.send("SITE IDLE").expect(200).text();
    assert!(told.contains("100") && told.contains("200"), "{told}");
    client.send("SITE IDLE 150").expect(200);
    let told = client.send("SITE IDLE").expect(200).text();
    assert!(told.contains("150"), "{told}");
    for seconds in ["201", "0", "-1", "x", "99999999999999999999"] {
        client.send(format!("SITE IDLE {seconds}")).expect(501);
    }
}

#[test]
fn a_client_may_ask_to_be_sent_away_sooner() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    // FreeBSD's ftpd takes no less than 30 seconds; nothing here waits that long.
    if client.send("SITE IDLE 1").expect_any(&[200, 501]).code == 200 {
        client.expect(421);
        client.expect_end();
    }
}

#[test]
fn utime_sets_the_times_of_a_file() {
    let server = Server::start(&[]);
    server.write("file", "x");
    server.write("two words", "x");
    let mut client = server.log_in();
    client.send("SITE UTIME 20010909014640 file").expect(200);
    assert_eq!(server.modified("file"), 1_000_000_000);
    client.send("SITE UTIME 20000229000000 two words").expect(200);
    assert_eq!(server.modified("two words"), 951_782_400);
    // Access, modification and creation, as Pure-FTPd and ProFTPD read it.
    client.send("SITE UTIME file 20020101000000 20010909014640 20010101000000 UTC").expect(200);
    assert_eq!(server.modified("file"), 1_000_000_000);
    for argument in ["", "file", "20011301000000 file", "yesterday file", "20010909014640"] {
        client.send(format!("SITE UTIME {argument}")).expect_any(&[500, 501]);
    }
    client.send("SITE UTIME 20010909014640 none").expect(550);
}

#[test]
fn what_other_systems_clients_say_first_does_not_stop_them() {
    // z/OS sends this before each upload.
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("SITE FIXrecfm 80 LRECL=80 RECFM=FB BLKSIZE=320").expect_any(&[200, 202, 500, 501, 502, 504]);
    client.stor("file", "x");
}
