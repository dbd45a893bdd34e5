//! Which users a name means, and which names are none.

use super::*;
use crate::account::admin_file::tests::file;

fn found<'a>(file: &'a AdminFile, name: &str, groups: &[u32]) -> Option<(usize, &'a [u8])> {
    let subject = Subject { names: &[name.as_bytes()], groups, peer: None };
    find(file, &subject).filter(|found| found.unclear.is_none()).map(|found| (found.line, found.rest))
}

fn find<'a>(file: &'a AdminFile, subject: &Subject<'_>) -> Option<Hit<'a>> {
    file.find(subject, &mut Trail::default(), |_| false).unwrap()
}

#[test]
fn a_line_names_an_account_a_group_or_everybody() {
    let listed = file(b"# comment\nanne\n\t bert  residue of the line\r\n@root x\n");
    assert_eq!(found(&listed, "anne", &[7]), Some((2, b"".as_slice())));
    assert_eq!(found(&listed, "bert", &[7]), Some((3, b"residue of the line".as_slice())));
    assert_eq!(found(&listed, "carl", &[7, 0]), Some((4, b"x".as_slice())));
    for stranger in ["carl", "Anne", "ann", "annee", "residue", "comment", "#", "@root"] {
        assert_eq!(found(&listed, stranger, &[7]), None, "{stranger}");
    }
    assert_eq!(found(&file(b"@ dir\n"), "anybody", &[]), Some((1, b"dir".as_slice())));
    assert_eq!(found(&file(b"@no-such-group\n"), "anybody", &[0]), None);
}

#[test]
fn only_the_first_column_makes_a_comment() {
    assert_eq!(found(&file(b" #anne\n#bert\n"), "bert", &[]), None);
    assert_eq!(found(&file(b" #anne\n"), "#anne", &[]), Some((1, b"".as_slice())));
    assert_eq!(found(&file(b"anne # comment\n"), "anne", &[]), Some((1, b"# comment".as_slice())));
}

#[test]
fn the_first_match_counts() {
    let jails = file(b"anne /one\nanne /two\n@ /three\n");
    assert_eq!(found(&jails, "anne", &[]), Some((1, b"/one".as_slice())));
    assert_eq!(found(&jails, "bert", &[]), Some((3, b"/three".as_slice())));
}

#[test]
fn either_name_of_an_account_is_enough() {
    let listed = file(b"joe\n");
    let subject = Subject { names: &[b"JOE", b"joe"], groups: &[], peer: None };
    assert!(find(&listed, &subject).is_some());
}

/// The name of the group that root has on this system: `root`, or `wheel`.
fn group_of_root() -> String {
    String::from_utf8(accounts::group_name(0).unwrap().unwrap()).unwrap()
}

fn meaning(word: &str, name: &str, groups: &[u32], peer: Option<&str>) -> Meaning {
    let peer = peer.map(|peer| peer.parse().unwrap());
    let (who, rest) = Who::split_off(word.as_bytes()).unwrap();
    assert_eq!(rest, b"", "{word}");
    who.means(&Subject { names: &[name.as_bytes()], groups, peer }).unwrap()
}

#[test]
fn names_may_have_wildcards_and_quotes() {
    for (word, name, expected) in [
        ("*", "joe", true),
        ("j*", "joe", true),
        ("j*", "ann", false),
        ("jo?", "joe", true),
        ("jo?", "jo", false),
        ("joe[1-3]", "joe2", true),
        ("joe[1-3]", "joe4", false),
        ("joe[!1-3]", "joe4", true),
        // A dot at the beginning is nothing special, as it would be in the name of a file.
        ("*", ".joe", true),
        ("J*", "joe", false),
        ("\"first last\"", "first last", true),
        ("first\\ last", "first last", true),
        ("first\" \"last", "first last", true),
        ("\"first l*\"", "first last", false),
        ("\"first l\"*", "first last", true),
        ("\"*\"", "*", true),
        ("\"*\"", "joe", false),
        ("\\\"joe\\\"", "\"joe\"", true),
        ("o'neil", "o'neil", true),
        ("DOM\\joe", "DOM\\joe", true),
        ("DOM\\*", "DOM\\joe", true),
        ("DOM\\*", "DOMjoe", false),
        ("\"DOM\\first last\"", "DOM\\first last", true),
        ("\"@staff\"", "@staff", true),
        ("j\u{f6}rg", "j\u{f6}rg", true),
        ("j?rg", "j\u{f6}rg", true),
    ] {
        let expected = if expected { Meaning::Yes } else { Meaning::No };
        assert_eq!(meaning(word, name, &[7], Some("192.0.2.1")), expected, "{word} {name}");
    }
}

#[test]
fn a_group_may_be_named_in_both_ways_and_with_wildcards() {
    let root = group_of_root();
    let beginning = &root[..root.len() - 1];
    for (word, groups, expected) in [
        ("*:GROUP", &[7, 0][..], true),
        ("*:GROUP", &[7], false),
        ("j*:GROUP", &[0], true),
        ("a*:GROUP", &[0], false),
        ("*:BEGIN*", &[7, 0], true),
        ("*:BEGIN?", &[0], true),
        ("*:x-BEGIN*", &[0], false),
        ("@GROUP", &[0], true),
        ("@BEGIN*", &[0], true),
        ("@\"GROUP\"", &[0], true),
    ] {
        let word = word.replace("GROUP", &root).replace("BEGIN", beginning);
        let expected = if expected { Meaning::Yes } else { Meaning::No };
        assert_eq!(meaning(&word, "joe", groups, None), expected, "{word} {groups:?}");
    }
}

#[test]
fn a_name_may_be_for_some_addresses_alone() {
    for (word, peer, expected) in [
        ("joe@192.0.2.1", "192.0.2.1", Meaning::Yes),
        ("joe@192.0.2.1", "192.0.2.2", Meaning::Elsewhere),
        ("ann@192.0.2.1", "192.0.2.1", Meaning::No),
        ("*@192.0.2.0/24", "192.0.2.77", Meaning::Yes),
        ("*@192.0.2.0/24", "::ffff:192.0.2.77", Meaning::Yes),
        ("*@192.0.2.0/24", "192.0.3.77", Meaning::Elsewhere),
        ("*@10.*", "10.1.2.3", Meaning::Yes),
        ("*@10.?.2.[1-3]", "10.1.2.3", Meaning::Yes),
        ("*@10.*", "110.1.2.3", Meaning::Elsewhere),
        ("*@*", "2001:db8::1", Meaning::Yes),
        ("*@2001:DB8:*", "2001:db8::1", Meaning::Yes),
        ("*@2001:db8::/32", "2001:db8::1", Meaning::Yes),
        ("*@2001:db8:*", "2001:db9::1", Meaning::Elsewhere),
        ("a*@*.example.org", "192.0.2.1", Meaning::No),
        // It may be an account with a domain in its name, or joe at some host.
        ("joe@example.org", "192.0.2.1", Meaning::Unclear(String::new())),
    ] {
        let meaning = match meaning(word, "joe", &[], Some(peer)) {
            Meaning::Unclear(_) => Meaning::Unclear(String::new()),
            meaning => meaning,
        };
        assert_eq!(meaning, expected, "{word} {peer}");
    }
    assert_eq!(meaning("joe@10.*", "joe", &[], None), Meaning::Elsewhere);
    assert_eq!(meaning("joe@example.org", "joe@example.org", &[], None), Meaning::Yes);
    assert_eq!(meaning("joe@example.org@10.*", "joe@example.org", &[], Some("10.1.1.1")), Meaning::Yes);
}

#[test]
fn a_line_that_can_mean_nobody_may_mean_anybody() {
    for word in [
        "@domain",
        "@no-such-group",
        "*:no-such-group",
        "*:",
        "*@",
        "*@no.such.host",
        "*@*.example.org",
        "*@10.0.0",
        "*@300.1.1.1",
        "*@192.0.2.0/33",
        "/etc/ftpdeny",
        "-joe",
        ":staff",
        "\"\"",
    ] {
        let meaning = meaning(word, "joe", &[0], Some("192.0.2.1"));
        assert!(matches!(meaning, Meaning::Unclear(_)), "{word}: {meaning:?}");
        let (who, _) = Who::split_off(word.as_bytes()).unwrap();
        assert!(who.complaint().is_some(), "{word}");
    }
    for line in ["\"joe", "joe\"", "joe allow\"", "jo\\"] {
        let split = Who::split_off(line.as_bytes());
        assert_eq!(split.is_err(), !line.contains("allow"), "{line}");
    }
    for word in ["joe", "*", "@", "joe@10.0.0.1", "DOM\\joe", "no-such-account"] {
        let (who, _) = Who::split_off(word.as_bytes()).unwrap();
        assert_eq!(who.complaint(), None, "{word}");
    }
}

#[test]
fn what_is_unclear_ends_the_search_unless_it_is_harmless() {
    let file = file(b"@no-such-group allow\n*@example.org x\nann\n");
    let subject = Subject { names: &[b"joe"], groups: &[], peer: None };
    let first = find(&file, &subject).unwrap();
    assert_eq!((first.line, first.unclear.is_some()), (1, true));
    let mut trail = Trail::kept();
    let next = file.find(&subject, &mut trail, |rest| rest == b"allow").unwrap().unwrap();
    assert_eq!((next.line, next.rest), (2, b"x".as_slice()));
    assert_eq!(
        trail.into_steps(),
        ["test:1: `@no-such-group allow`: left out: there is no group no-such-group"]
    );
    let ann = Subject { names: &[b"ann"], groups: &[], peer: None };
    assert_eq!(find(&file, &ann).unwrap().line, 1);
}

#[test]
fn text_may_be_quoted() {
    for (text, expected) in [
        ("/srv/a b", Some("/srv/a b")),
        ("\"/srv/a  b\"", Some("/srv/a  b")),
        ("/srv/a\\ b  c", Some("/srv/a b  c")),
        ("\"/srv", None),
        ("", Some("")),
    ] {
        let found = unquoted(text.as_bytes()).map(|found| String::from_utf8(found).unwrap());
        assert_eq!(found.as_deref(), expected, "{text}");
    }
}

#[test]
fn any_bytes_make_a_word_or_a_complaint() {
    let mut random = crate::test_support::Random::new(7);
    for _ in 0..5_000 {
        let line = random.bytes(12, b"aj*?[]@:\\\" /.1#\xFF-");
        if let Ok((who, _)) = Who::split_off(&line) {
            let subject = Subject { names: &[b"joe"], groups: &[], peer: "10.1.1.1".parse().ok() };
            who.means(&subject).unwrap();
        }
        unquoted(&line);
    }
}

#[test]
fn strange_names_are_refused_before_anybody_sees_them() {
    for name in [
        "joe",
        "joe.doe",
        "_svc",
        "anne-marie",
        "HOST$",
        "DOM\\joe",
        "joe@example.org",
        "j\u{f6}rg",
        "1joe",
        "o'neil",
        "first last",
        "DOM\\first last",
        "+joe",
        "joe;x",
        "$joe",
    ] {
        assert_eq!(is_plausible_name(name.as_bytes()), Some(name));
    }
    let long = "x".repeat(129);
    for name in [
        "",
        "joe\n",
        "joe\r\nUSER x",
        "joe:x",
        "../joe",
        "/joe",
        "joe/",
        "-joe",
        "-",
        "joe\u{1b}[",
        "joe\t",
        "\u{85}joe",
        "joe\u{7f}",
        &long,
    ] {
        assert_eq!(is_plausible_name(name.as_bytes()), None, "{name:?}");
    }
    assert_eq!(is_plausible_name(b"joe\xff"), None);
    assert_eq!(is_plausible_name(b"joe\0"), None);
}
