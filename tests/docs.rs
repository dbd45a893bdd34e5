//! The man page, the usage text, HELP, FEAT and README name the same flags and commands.

#[expect(dead_code, reason = "tests/wire needs the rest")]
#[path = "wire/client.rs"]
mod client;
#[expect(dead_code, reason = "tests/wire needs the rest")]
#[path = "wire/server.rs"]
mod server;

use std::collections::BTreeSet;
use std::fs;

use client::Reply;
use server::{Server, run_to_its_end};

fn read(name: &str) -> String {
    let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|err| panic!("{path}: {err}"))
}

#[track_caller]
fn assert_same(what: &str, one: (&str, &BTreeSet<String>), other: (&str, &BTreeSet<String>)) {
    let more: Vec<_> = one.1.difference(other.1).collect();
    let less: Vec<_> = other.1.difference(one.1).collect();
    assert!(more.is_empty(), "{what} of {} that {} lacks: {more:?}", one.0, other.0);
    assert!(less.is_empty(), "{what} of {} that {} lacks: {less:?}", other.0, one.0);
}

/// The flags that begin the lines of the usage text: `-P, --port PORT`.
fn flags_of_usage(usage: &str) -> BTreeSet<String> {
    let mut flags = BTreeSet::new();
    for line in usage.lines().map(str::trim_start).filter(|line| line.starts_with('-')) {
        for word in line.split_whitespace().take_while(|word| word.starts_with('-')) {
            let flag = word.trim_end_matches(',').split(['=', '[']).next().unwrap_or_default();
            flags.insert(flag.to_owned());
        }
    }
    flags
}

/// The words that `macro_name` marks on the `.It` lines of an mdoc page: `.It Fl P Ar port , Fl -port`.
fn marked<'a>(page: &'a str, macro_name: &str) -> Vec<Vec<&'a str>> {
    const MACROS: &[&str] =
        &["Ar", "Ns", "Op", "Oo", "Oc", "Fl", "Ic", "Cm", "Pa", "Sy", "Li", ",", "|", "No"];
    let mut found = Vec::new();
    for line in page.lines().filter_map(|line| line.strip_prefix(".It ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for (n, _) in words.iter().enumerate().filter(|(_, word)| **word == macro_name) {
            let marked: Vec<&str> =
                words[n + 1..].iter().copied().take_while(|word| !MACROS.contains(word)).collect();
            if !marked.is_empty() {
                found.push(marked);
            }
        }
    }
    found
}

fn flags_of_man(page: &str) -> BTreeSet<String> {
    let flags = marked(page, "Fl").into_iter();
    flags.map(|words| format!("-{}", words[0].replace("\\-", "-").trim_start_matches("\\&"))).collect()
}

/// The verbs with and without the `*` of "not implemented".
fn verbs_of_help(reply: &Reply) -> (BTreeSet<String>, BTreeSet<String>) {
    let words = reply.inner().iter().flat_map(|line| {
        String::from_utf8_lossy(line).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    });
    let verbs = words.filter(|word| {
        let name = word.trim_end_matches('*');
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase())
    });
    let (starred, working): (BTreeSet<String>, BTreeSet<String>) =
        verbs.partition(|word| word.ends_with('*'));
    (working, starred.iter().map(|word| word.trim_end_matches('*').to_owned()).collect())
}

fn is_verb(word: &str) -> bool {
    word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[test]
fn the_man_page_and_the_usage_text_name_the_same_flags() {
    let usage = run_to_its_end(&["--help"]).stdout;
    let page = read("man/ferryd.8");
    let (usage, page) = (flags_of_usage(&usage), flags_of_man(&page));
    assert!(usage.len() > 60, "{usage:?}");
    assert_same("flags", ("--help", &usage), ("the man page", &page));
}

#[test]
fn the_man_page_and_help_name_the_same_commands() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let (working, _) = verbs_of_help(&client.send("HELP").expect(214));
    let (site, _) = verbs_of_help(&client.send("SITE HELP").expect(214));
    let page = read("man/ferryd.8");
    let entries = marked(&page, "Ic");
    let of_page: BTreeSet<String> =
        entries.iter().filter(|words| is_verb(words[0])).map(|words| words[0].to_owned()).collect();
    let site_of_page: BTreeSet<String> = entries
        .iter()
        .filter(|words| words[0] == "SITE" && words.len() > 1)
        .map(|words| words[1].to_owned())
        .collect();
    assert_same("commands", ("HELP", &working), ("the man page", &of_page));
    assert_same("SITE commands", ("SITE HELP", &site), ("the man page", &site_of_page));
}

#[test]
fn feat_names_commands_that_help_names() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let (working, _) = verbs_of_help(&client.send("HELP").expect(214));
    let feat = client.send("FEAT").expect(211);
    for line in feat.inner() {
        let line = String::from_utf8_lossy(line).into_owned();
        let verb = line.trim_start().split(' ').next().unwrap_or_default().to_owned();
        let names_a_property = ["UTF8", "TVFS"].contains(&verb.as_str());
        assert!(names_a_property || working.contains(&verb), "{verb} is in FEAT and not in HELP");
    }
}

#[test]
fn every_flag_of_the_usage_text_is_understood() {
    let usage = run_to_its_end(&["--help"]).stdout;
    for flag in flags_of_usage(&usage) {
        // With a value where one is wanted, without one where none is.
        let outcomes =
            [run_to_its_end(&[&flag, "--no-such-option"]), run_to_its_end(&[&flag, "x", "--no-such-option"])];
        let blamed = outcomes.iter().any(|outcome| {
            outcome.code == Some(0) || (outcome.code == Some(2) && outcome.stderr.contains("no-such-option"))
        });
        assert!(blamed, "{flag}: {:?}", outcomes.map(|outcome| outcome.stderr));
    }
}

#[test]
fn the_readme_tells_the_two_commands() {
    let readme = read("README.md");
    assert!(readme.contains("cargo run --release -- -F -A -P 2121 --anonymous-root ."), "command one");
    assert!(readme.contains("cargo test"), "command two");
    let flags = flags_of_man(&read("man/ferryd.8"));
    for word in readme.split(|c: char| c.is_whitespace() || "`|()=,;:".contains(c)) {
        let long = word.starts_with("--")
            && word.len() > 3
            && word[2..].starts_with(|c: char| c.is_ascii_lowercase());
        // cargo's own flags, and other programs', stand in the README too.
        let foreign =
            ["--release", "--locked", "--root", "--path", "--bin", "--version", "--all-targets", "--check"];
        if long && !foreign.contains(&word) {
            assert!(flags.contains(word), "README has {word}, the man page does not");
        }
    }
}
