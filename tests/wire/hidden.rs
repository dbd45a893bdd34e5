//! What the administrator keeps from clients: --hide-files, --deny-files, --deny-commands.

use crate::server::Server;

#[test]
fn a_hidden_file_is_not_listed_and_can_be_had() {
    let server = Server::start(&["--hide-files", "*.key", "--hide-files", "/pub/secret"]);
    server.mkdir("pub");
    server.mkdir("pub/secret");
    server.write("pub/secret/f", "in secret");
    server.write("a.key", "key");
    server.write("seen", "x");
    let mut client = server.log_in();
    for _ in 0..2 {
        assert_eq!(client.names(""), ["pub", "seen"]);
        assert_eq!(client.list("-la").iter().filter(|line| line.name.ends_with(".key")).count(), 0);
        assert!(client.mlsd("").iter().all(|facts| facts.name != b"a.key"));
        client.refused("NLST *.key", &[450, 550]);
        client.send("STAT .").expect_any(&[212, 213]);
    }
    assert_eq!(client.retr("a.key"), b"key");
    assert_eq!(client.retr("pub/secret/f"), b"in secret");
    assert!(client.names("pub").is_empty());
    let recursive = client.download("LIST -R");
    assert!(!recursive.windows(6).any(|part| part == b"secret"), "{}", recursive.escape_ascii());
}

#[test]
fn a_denied_file_is_nobodys_whatever_the_command() {
    let server = Server::start(&["--deny-files", "*.key", "--deny-files", "/pub/in"]);
    server.mkdir("pub");
    server.mkdir("pub/in");
    server.write("pub/in/f", "x");
    server.write("a.key", "key");
    server.write("seen", "x");
    server.symlink("a.key", "link");
    server.symlink("/pub/in", "way");
    let mut client = server.log_in();
    for name in [
        "a.key",
        "./a.key",
        "//a.key",
        "pub/../a.key",
        "/./pub/.././a.key",
        "link",
        "missing.key",
        "pub/in",
        "pub//in/./f",
        "way/f",
        "way",
    ] {
        for command in [
            format!("RETR {name}"),
            format!("SIZE {name}"),
            format!("MDTM {name}"),
            format!("MLST {name}"),
            format!("DELE {name}"),
            format!("RMD {name}"),
            format!("CWD {name}"),
            format!("RNFR {name}"),
            format!("STAT {name}"),
            format!("SITE CHMOD 600 {name}"),
            format!("SITE UTIME 20200101000000 {name}"),
            format!("MFMT 20200101000000 {name}"),
            format!("MDTM 20200101000000 {name}"),
        ] {
            client.send(&command).expect(550);
        }
        for command in
            [format!("STOR {name}"), format!("APPE {name}"), format!("STOU {name}"), format!("MKD {name}")]
        {
            client.send(&command).expect(553);
        }
        client.send("RNFR seen").expect(350);
        client.send(format!("RNTO {name}")).expect(553);
        for command in [format!("LIST {name}"), format!("NLST {name}"), format!("MLSD {name}")] {
            client.refused(&command, &[450, 501, 550]);
        }
    }
    assert_eq!(client.names(""), ["pub", "seen"]);
    assert!(client.names("pub").is_empty());
    assert_eq!(client.mlsd("").iter().filter(|facts| facts.name.ends_with(b".key")).count(), 0);
    client.refused("NLST *.key", &[450, 550]);
    client.refused("NLST pub/*/f", &[450, 550]);
    assert_eq!(server.read("a.key"), b"key");
    assert!(server.exists("seen") && server.exists("pub/in/f"));
}

#[test]
fn a_glob_made_to_take_long_does_not() {
    let glob = format!("{}b", "*a".repeat(200));
    let server = Server::start(&["--deny-files", &glob]);
    let mut client = server.log_in();
    let name = "a".repeat(250);
    for _ in 0..50 {
        client.send(format!("SIZE {name}")).expect(550);
    }
    client.stor("ab", "x");
}

#[test]
fn a_denied_command_is_502_and_told_of_so() {
    let server = Server::start(&["--deny-commands", "mkd,SITE CHMOD,mfmt", "--deny-commands", "STAT"]);
    server.write("f", "x");
    let mut client = server.connect();
    // Before the login too: it says nothing of the login.
    client.send("MKD x").expect(502);
    client.log_in();
    for command in [
        "MKD x",
        "XMKD x",
        "SITE CHMOD 600 f",
        "site chmod 600 f",
        "STAT",
        "STAT f",
        "MFMT 20200101000000 f",
        "MDTM 20200101000000 f",
    ] {
        client.send(command).expect(502);
    }
    client.send("SITE UMASK").expect(200);
    client.send("MDTM f").expect(213);
    let help = client.send("HELP").expect(214).text();
    let words: Vec<&str> = help.split_whitespace().collect();
    for verb in ["MKD*", "XMKD*", "STAT*", "MFMT*"] {
        assert!(words.contains(&verb), "{verb}: {help}");
    }
    assert!(client.send("SITE HELP").expect(214).text().contains("CHMOD*"));
    assert!(!client.send("FEAT").expect(211).text().contains("MFMT"));
    assert!(!server.exists("x"));
}

#[test]
fn a_command_is_denied_by_all_its_names() {
    let server = Server::start(&["--deny-commands", "xmkd, cwd", "--deny-commands", "site"]);
    let mut client = server.log_in();
    for command in ["MKD x", "XMKD x", "CWD /", "XCWD /", "SITE", "SITE UMASK", "SITE NONE", "SITE LRECL=80"]
    {
        client.send(command).expect(502);
    }
    let help = client.send("HELP").expect(214).text();
    let words: Vec<&str> = help.split_whitespace().collect();
    for verb in ["MKD*", "XMKD*", "CWD*", "XCWD*", "SITE*", "CDUP"] {
        assert!(words.contains(&verb), "{verb}: {help}");
    }
    assert!(!client.send("FEAT").expect(211).text().contains("TVFS"));
    assert!(!server.exists("x"));
}

#[test]
fn a_command_that_is_denied_is_denied_during_a_transfer() {
    let server = Server::start(&["--deny-commands", "STAT,ABOR"]);
    server.write_sparse("large", 64 << 20);
    let mut client = server.log_in();
    let data = client.start("RETR large");
    client.send("STAT");
    client.send("ABOR");
    let received = client.read_to_end(data);
    assert_eq!(received.len(), 64 << 20);
    client.expect(226);
    client.expect(502);
    client.expect(502);
}

#[test]
fn what_a_link_leads_to_is_denied_in_listings_too() {
    let server = Server::start(&["--deny-files", "/pub/in/secret", "--deny-files", "*.key"]);
    server.mkdir("pub");
    server.mkdir("pub/in");
    server.write("pub/in/secret", "x");
    server.write("pub/in/open", "x");
    server.write("pub/in/a.key", "x");
    server.symlink("pub/in", "way");
    server.symlink("/pub/in/secret", "straight");
    server.symlink("nowhere.key", "dangling");
    let mut client = server.log_in();
    assert_eq!(client.names("way"), ["way/open"]);
    assert_eq!(client.names("way/*"), ["way/open"]);
    client.send("CWD way").expect(250);
    assert_eq!(client.names(""), ["open"]);
    assert_eq!(client.list("").len(), 1);
    assert_eq!(client.mlsd("").iter().filter(|facts| facts.get("type") == "file").count(), 1);
    assert_eq!(client.names("/"), ["/pub", "/way"]);
}
