//! The man page, the usage text, HELP, FEAT and README name the same flags and commands; the sources
//! keep the order of the modules; and what strangers send is read without a panic.

#[expect(dead_code, reason = "tests/wire needs the rest")]
#[path = "../wire/client.rs"]
mod client;
#[expect(dead_code, reason = "tests/wire needs the rest")]
#[path = "../wire/server.rs"]
mod server;
#[allow(dead_code, reason = "unit tests need the rest")]
#[path = "../../src/test_support.rs"]
mod test_support;

mod layers;
mod probe;
mod source;

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

/// What `macro_name` marks on the `.It` lines of an mdoc page, as in
/// `.It Fl P Ar port , Fl -port`: the words up to the next macro.
fn marked<'a>(page: &'a str, macro_name: &str) -> Vec<Vec<&'a str>> {
    let is_macro =
        |word: &str| word == "|" || word.len() == 2 && word.starts_with(|c: char| c.is_ascii_uppercase());
    let mut found = Vec::new();
    for line in page.lines().filter_map(|line| line.strip_prefix(".It ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for (n, _) in words.iter().enumerate().filter(|(_, word)| **word == macro_name) {
            let marked = words[n + 1..].iter().copied().take_while(|word| !is_macro(word));
            found.push(marked.filter(|&word| word != ",").collect());
        }
    }
    found
}

fn flags_of_man(page: &str) -> BTreeSet<String> {
    let flags = marked(page, "Fl").into_iter().flatten();
    flags.map(|flag| format!("-{}", flag.trim_start_matches("\\&"))).collect()
}

/// The verbs with and without the `Ns *` of "not implemented", and the commands of SITE.
fn verbs_of_man(page: &str) -> [BTreeSet<String>; 3] {
    let [mut working, mut starred, mut site] = [const { BTreeSet::new() }; 3];
    for line in page.lines().filter_map(|line| line.strip_prefix(".It Ic ")) {
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            [verb, "Ns", "*"] => starred.insert(verb.to_string()),
            ["SITE", verb] => site.insert(verb.to_string()),
            [verb, ..] => working.insert(verb.to_string()),
            [] => false,
        };
    }
    [working, starred, site]
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

#[test]
fn the_man_page_and_the_usage_text_name_the_same_flags() {
    let usage = run_to_its_end(&["--help"]).stdout;
    let page = read("man/ferryd.8");
    let (usage, page) = (flags_of_usage(&usage), flags_of_man(&page));
    assert!(usage.len() > 60, "{usage:?}");
    assert_same("flags", ("--help", &usage), ("the man page", &page));
}

/// mdoc takes a bare full stop for the end of a sentence, and moves it to the word in front.
#[test]
fn no_example_of_the_manual_loses_its_dot() {
    for name in ["man/ferryd.8", "man/ferryd-files.5"] {
        let eaten: Vec<_> = read(name)
            .lines()
            .filter(|line| line.starts_with(".Dl ") && line.split(' ').any(|word| word == "."))
            .map(str::to_owned)
            .collect();
        assert!(eaten.is_empty(), "{name}: {eaten:?}");
    }
}

#[test]
fn the_man_page_and_help_name_the_same_commands() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let (working, starred) = verbs_of_help(&client.send("HELP").expect(214));
    let (site, _) = verbs_of_help(&client.send("SITE HELP").expect(214));
    let of_man = verbs_of_man(&read("man/ferryd.8"));
    for (what, of_help, of_man) in [
        ("commands", working, &of_man[0]),
        ("commands that do not work", starred, &of_man[1]),
        ("SITE commands", site, &of_man[2]),
    ] {
        assert_same(what, ("HELP", &of_help), ("the man page", of_man));
    }
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

/// Adding a command touches its row, its variant and its handler: no other file of the source spells a verb.
#[test]
fn no_verb_is_spelt_outside_its_row() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let mut verbs = BTreeSet::new();
    for (table, prefix) in [("HELP", ""), ("SITE HELP", "SITE ")] {
        let (working, starred) = verbs_of_help(&client.send(table).expect(214));
        verbs.extend(working.iter().chain(&starred).map(|verb| format!("{prefix}{verb}")));
    }
    assert!(verbs.contains("XCWD") && verbs.contains("ADAT") && verbs.contains("SITE CHMOD"), "{verbs:?}");
    let mut spelt = Vec::new();
    for file in source::sources() {
        // The table of commands; and that of the flags, where PORT and SIZE stand for values.
        if file.name.starts_with("proto/command/") || file.name == "cli/options.rs" {
            continue;
        }
        for token in file.without_tests().tokens {
            let verb = token.literal.filter(|literal| verbs.contains(literal.trim()));
            spelt.extend(verb.map(|verb| format!("src/{}:{}: {verb}", file.name, token.line)));
        }
    }
    assert!(spelt.is_empty(), "These verbs are not asked of their rows:\n{}", spelt.join("\n"));
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
    // Lines that run other programs have those programs' flags.
    let others = ["cargo ", "useradd ", "install ", "systemctl ", "launchctl "];
    for line in readme.lines().filter(|line| !others.iter().any(|program| line.starts_with(program))) {
        for word in line.split(|c: char| c.is_whitespace() || "`|()=,;:".contains(c)) {
            if word.starts_with("--")
                && word.len() > 3
                && word[2..].starts_with(|c: char| c.is_ascii_lowercase())
            {
                assert!(flags.contains(word), "README has {word}, the man page does not");
            }
        }
    }
}
