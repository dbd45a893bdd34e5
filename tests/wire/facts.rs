//! SIZE, MDTM, MFMT, MLST, MLSD and OPTS MLST: what a program reads about a file. RFC 3659.

use std::collections::BTreeSet;
use std::fs;

use crate::client::Client;
use crate::server::Server;

/// 2001-09-09 01:46:40 UTC.
const BILLION: u64 = 1_000_000_000;

#[test]
fn size_is_the_number_of_bytes() {
    let server = Server::start(&[]);
    server.write("file", vec![b'x'; 12_345]);
    server.write("empty", "");
    server.symlink("file", "link");
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    for (name, size) in [("file", "12345"), ("empty", "0"), ("link", "12345"), ("/file", "12345")] {
        assert_eq!(client.send(format!("SIZE {name}")).expect(213).first().trim(), size);
    }
}

#[test]
fn size_of_what_is_no_plain_file_is_refused() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.symlink("nowhere", "dangling");
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    for name in ["none", "sub", "/", "dangling", "none/none"] {
        client.send(format!("SIZE {name}")).expect(550);
    }
}

#[test]
fn mdtm_is_in_utc() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    for (seconds, text) in
        [(BILLION, "20010909014640"), (951_782_400, "20000229000000"), (4_102_444_799, "20991231235959")]
    {
        server.set_modified("file", seconds);
        let reply = client.send("MDTM file").expect(213).first();
        assert_eq!(&reply[..14], text, "{reply}");
    }
    client.send("MDTM none").expect(550);
}

#[test]
fn mfmt_sets_what_mdtm_tells() {
    let server = Server::start(&[]);
    server.write("file", "x");
    server.write("two words", "x");
    let mut client = server.log_in();
    let reply = client.send("MFMT 20010909014640 file").expect(213).first();
    assert!(reply.to_lowercase().starts_with("modify=20010909014640; "), "{reply}");
    assert!(reply.ends_with("file"), "{reply}");
    assert_eq!(server.modified("file"), 1_000_000_000);
    client.send("MFMT 20000229000000 two words").expect(213);
    assert_eq!(server.modified("two words"), 951_782_400);
    client.send("MFMT 19600101000000 file").expect_any(&[213, 501, 550]);
}

#[test]
fn mfmt_refuses_days_that_are_not_in_the_calendar() {
    let server = Server::start(&[]);
    server.write("file", "x");
    server.set_modified("file", BILLION);
    let mut client = server.log_in();
    for time in [
        "20010229000000",
        "20011301000000",
        "20010001000000",
        "20010100000000",
        "20010101240000",
        "20010101006000",
        "2001",
        "20010101",
        "200101010000000000000000",
        "yesterday",
        "-0010101000000",
    ] {
        client.send(format!("MFMT {time} file")).expect(501);
    }
    client.send("MFMT 20010101000000").expect(501);
    client.send("MFMT 20010101000000 none").expect(550);
    assert_eq!(server.modified("file"), 1_000_000_000);
}

#[test]
fn mlst_tells_the_facts_of_one_file() {
    let server = Server::start(&[]);
    server.write("file", "12345");
    server.set_modified("file", BILLION);
    let mut client = server.log_in();
    let facts = client.mlst("file");
    assert_eq!(facts.get("type").to_lowercase(), "file");
    assert_eq!(facts.get("size"), "5");
    assert_eq!(&facts.get("modify")[..14], "20010909014640");
    assert!(!facts.get("unique").is_empty());
    assert!(facts.name.ends_with(b"file"), "{}", facts.name.escape_ascii());
    let facts = client.mlst("");
    assert_eq!(facts.get("type").to_lowercase(), "dir");
    client.send("MLST none").expect(550);
}

#[test]
fn mlst_of_a_folder_tells_of_the_folder() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.write("sub/file", "x");
    let facts = server.log_in().mlst("sub");
    assert_eq!(facts.get("type").to_lowercase(), "dir");
    assert!(facts.name.ends_with(b"sub"), "{}", facts.name.escape_ascii());
}

#[test]
fn mlsd_tells_the_facts_of_every_entry() {
    let server = Server::start(&[]);
    server.write("file", "12345");
    server.set_modified("file", BILLION);
    server.mkdir("sub");
    server.write(".hidden", "");
    let mut client = server.log_in();
    for argument in ["", "/", "."] {
        let entries = client.mlsd(argument);
        let is_here = |kind: &str| ["cdir", "pdir"].contains(&kind.to_lowercase().as_str());
        let mut found: Vec<(String, String)> = entries
            .iter()
            .filter(|entry| !is_here(entry.get("type")))
            .map(|entry| (String::from_utf8_lossy(&entry.name).into(), entry.get("type").to_lowercase()))
            .collect();
        found.sort();
        let wanted = [(".hidden", "file"), ("file", "file"), ("sub", "dir")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(found, wanted);
        let file = entries.iter().find(|entry| entry.name == b"file").expect("it is listed");
        assert_eq!(file.get("size"), "5");
        assert_eq!(&file.get("modify")[..14], "20010909014640");
    }
}

#[test]
fn mlsd_of_what_is_no_folder_is_refused() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    client.refused("MLSD file", &[501, 550]);
    client.refused("MLSD none", &[450, 501, 550]);
    client.refused("MLSD *", &[450, 501, 550]);
}

#[test]
fn mlsd_of_an_empty_folder_is_empty() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    let entries = server.log_in().mlsd("sub");
    assert!(entries.iter().all(|entry| entry.get("type").to_lowercase().ends_with("dir")));
    assert!(
        entries
            .iter()
            .all(|entry| [b"sub".as_slice(), b"/sub", b".", b"..", b"/"].contains(&entry.name.as_slice()))
    );
}

#[test]
fn unique_is_the_same_for_one_file_with_two_names() {
    let server = Server::start(&[]);
    server.write("one", "x");
    server.write("other", "x");
    fs::hard_link(server.path("one"), server.path("two")).expect("a hard link");
    let mut client = server.log_in();
    let unique = |client: &mut Client, name: &str| client.mlst(name).get("unique").to_owned();
    assert_eq!(unique(&mut client, "one"), unique(&mut client, "two"));
    assert_ne!(unique(&mut client, "one"), unique(&mut client, "other"));
}

#[test]
fn unix_facts_are_those_of_stat() {
    let server = Server::start(&[]);
    server.write("file", "x");
    server.set_mode("file", 0o640);
    let meta = fs::metadata(server.path("file")).expect("our own file");
    let facts = server.log_in().mlst("file");
    assert_eq!(u32::from_str_radix(facts.get("unix.mode"), 8), Ok(0o640));
    assert_eq!(facts.get("unix.uid"), std::os::unix::fs::MetadataExt::uid(&meta).to_string());
    assert_eq!(facts.get("unix.gid"), std::os::unix::fs::MetadataExt::gid(&meta).to_string());
    assert!(!facts.get("unix.owner").is_empty() && !facts.get("unix.group").is_empty());
}

#[test]
fn perm_is_what_this_client_may_do() {
    let server = Server::start(&[]);
    server.write("file", "x");
    server.mkdir("sub");
    server.write("unreadable", "x");
    server.set_mode("unreadable", 0);
    server.mkdir("fixed");
    server.write("fixed/file", "x");
    server.set_mode("fixed", 0o555);
    let mut client = server.log_in();
    let perm = |client: &mut Client, name: &str| -> BTreeSet<char> {
        client.mlst(name).get("perm").to_lowercase().chars().collect()
    };
    let set = |text: &str| -> BTreeSet<char> { text.chars().collect() };
    assert_eq!(perm(&mut client, "file"), set("adfrw"));
    assert_eq!(perm(&mut client, "sub"), set("cdeflmp"));
    assert_eq!(perm(&mut client, "unreadable"), set("df"));
    let fixed = perm(&mut client, "fixed");
    assert!(fixed.is_superset(&set("el")) && !fixed.contains(&'c') && !fixed.contains(&'m'), "{fixed:?}");
    let inside = perm(&mut client, "fixed/file");
    assert!(inside.contains(&'r') && !inside.contains(&'d') && !inside.contains(&'f'), "{inside:?}");
    // MLSD tells the same.
    for entry in client.mlsd("") {
        let name = String::from_utf8(entry.name.clone()).expect("text");
        let listed: BTreeSet<char> = entry.get("perm").to_lowercase().chars().collect();
        assert_eq!(listed, perm(&mut client, &name), "{name}");
    }
}

#[test]
fn perm_allows_nothing_that_an_option_forbids() {
    let server = Server::start(&["-r"]);
    server.write("file", "x");
    server.mkdir("sub");
    let mut client = server.log_in();
    assert_eq!(client.mlst("file").get("perm").to_lowercase(), "r");
    let perm: BTreeSet<char> = client.mlst("sub").get("perm").to_lowercase().chars().collect();
    assert_eq!(perm, ['e', 'l'].into());

    for (option, file, folder) in [
        ("--no-delete", "afrw", "cefm"),
        ("--no-rename", "adrw", "cdemp"),
        ("--no-overwrite", "dfr", "cdefmp"),
        ("-M", "adfrw", "cdefp"),
        ("-o", "adfw", "cdefmp"),
    ] {
        let server = Server::start(&[option]);
        server.write("file", "x");
        server.mkdir("sub");
        let mut client = server.log_in();
        let perm = |client: &mut Client, name: &str| {
            let mut perm: Vec<char> = client.mlst(name).get("perm").to_lowercase().chars().collect();
            // Whether a list may be had where files may not is a matter of taste.
            perm.retain(|&letter| letter != 'l');
            perm.sort_unstable();
            perm.into_iter().collect::<String>()
        };
        assert_eq!(perm(&mut client, "file"), file, "{option}");
        assert_eq!(perm(&mut client, "sub"), folder, "{option}");
    }
}

#[test]
fn perm_tells_anonymous_that_what_is_there_stays() {
    let server = Server::start_by_default(&[]);
    server.write("file", "x");
    server.mkdir("sub");
    let mut client = server.log_in();
    assert_eq!(client.mlst("file").get("perm").to_lowercase(), "r");
    let perm: BTreeSet<char> = client.mlst("sub").get("perm").to_lowercase().chars().collect();
    assert_eq!(perm, ['c', 'e', 'l', 'm'].into());
}

fn starred(client: &mut Client) -> (BTreeSet<String>, BTreeSet<String>) {
    let reply = client.send("FEAT").expect(211);
    let lines = reply.inner().iter().map(|line| String::from_utf8_lossy(line).into_owned());
    let line = lines.into_iter().find(|line| line.starts_with(" MLST ")).expect("FEAT has MLST");
    let facts: Vec<String> = line[6..].trim().split_terminator(';').map(str::to_lowercase).collect();
    let (on, off): (Vec<String>, Vec<String>) = facts.into_iter().partition(|fact| fact.ends_with('*'));
    (on.iter().map(|fact| fact.trim_end_matches('*').to_owned()).collect(), off.into_iter().collect())
}

#[test]
fn feat_names_every_fact_and_stars_those_that_are_on() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    let (on, off) = starred(&mut client);
    let wanted = [
        "type",
        "size",
        "modify",
        "perm",
        "unique",
        "unix.mode",
        "unix.owner",
        "unix.group",
        "unix.uid",
        "unix.gid",
    ];
    for fact in wanted {
        assert!(on.contains(fact) || off.contains(fact), "{fact}: {on:?} {off:?}");
    }
    let told: BTreeSet<String> = client.mlst("file").facts.into_keys().collect();
    assert_eq!(told, on);
}

#[test]
fn opts_mlst_chooses_the_facts() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    let reply = client.send("OPTS MLST Type;SIZE;no-such-fact;").expect(200).first();
    let (words, facts) = reply.rsplit_once(' ').expect("MLST OPTS, and the facts");
    assert!(words.to_uppercase().ends_with("MLST OPTS"), "{reply}");
    let chosen: BTreeSet<String> = facts.split_terminator(';').map(str::to_lowercase).collect();
    let wanted: BTreeSet<String> = ["size", "type"].map(String::from).into();
    assert_eq!(chosen, wanted);
    assert_eq!(starred(&mut client).0, wanted);
    assert_eq!(client.mlst("file").facts.into_keys().collect::<BTreeSet<_>>(), wanted);
    for entry in client.mlsd("") {
        assert!(entry.facts.keys().all(|fact| wanted.contains(fact)), "{:?}", entry.facts);
    }
}

#[test]
fn opts_mlst_without_facts_turns_all_of_them_off() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    client.send("OPTS MLST").expect(200);
    assert!(client.mlst("file").facts.is_empty());
    let entries = client.mlsd("");
    assert!(entries.iter().any(|entry| entry.name == b"file" && entry.facts.is_empty()));
    client.send("OPTS MLST no-such-fact;").expect_any(&[200, 501]);
    assert!(client.mlst("file").facts.is_empty());
}

#[test]
fn the_choice_of_facts_ends_with_the_login() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let before = starred(&mut client).0;
    client.send("OPTS MLST type;").expect(200);
    client.send("REIN").expect(220);
    client.log_in();
    assert_eq!(starred(&mut client).0, before);
}

#[test]
fn hidden_ids_are_nowhere_in_the_facts() {
    let server = Server::start(&["--hide-ids"]);
    server.write("file", "x");
    let mut client = server.log_in();
    let own = rustix::process::geteuid().as_raw().to_string();
    let facts = client.mlst("file").facts;
    for fact in ["unix.owner", "unix.group"] {
        assert!(facts.get(fact).is_none_or(|name| name == "ftp"), "{facts:?}");
    }
    assert!(own == "0" || facts.get("unix.uid") != Some(&own), "{facts:?}");
    let line = &client.list("file")[0];
    assert_eq!((line.owner.as_str(), line.group.as_str()), ("ftp", "ftp"));
}

#[test]
fn mfmt_names_the_time_that_the_file_system_keeps() {
    let server = Server::start(&[]);
    server.write("file", "x");
    let mut client = server.log_in();
    for time in ["20010909014640", "18000101000000", "99991231235959"] {
        let said = client.send(format!("MFMT {time} file")).expect(213).text();
        let kept = client.send("MDTM file").expect(213).text();
        let kept = kept.trim().trim_start_matches("213").trim();
        assert!(said.contains(&format!("Modify={kept};")), "{said} is not {kept}");
    }
}
