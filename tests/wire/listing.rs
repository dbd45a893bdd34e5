//! LIST, NLST and STAT of a path: options, wildcards, order, and what is refused.

use std::os::unix::fs::symlink;

use crate::client::{Client, Via};
use crate::server::Server;

fn long_names(client: &mut Client, argument: &str) -> Vec<String> {
    client.list(argument).into_iter().map(|line| line.name).collect()
}

#[test]
fn list_is_what_ls_prints() {
    let server = Server::start(&[]);
    server.write("file", "12345");
    server.set_mode("file", 0o640);
    server.mkdir("sub");
    server.set_mode("sub", 0o755);
    server.symlink("file", "link");
    let mut client = server.log_in();
    let lines = client.list("");
    let line = |name: &str| lines.iter().find(|line| line.name == name).expect("it is listed");
    assert_eq!(line("file").mode, "-rw-r-----");
    assert_eq!(line("file").size, 5);
    assert_eq!(line("sub").mode, "drwxr-xr-x");
    assert!(line("link -> file").mode.starts_with('l'));
    assert!(!line("file").owner.is_empty() && !line("file").group.is_empty());
}

#[test]
fn dates_have_the_time_of_day_when_recent_and_else_the_year() {
    let server = Server::start(&[]);
    server.write("new", "");
    server.write("old", "");
    server.set_modified("old", 1_000_000_000);
    let lines = server.log_in().list("");
    let date = |name: &str| lines.iter().find(|line| line.name == name).expect("it is listed").date.clone();
    assert!(["Sep 9 2001", "Sep 8 2001"].contains(&date("old").as_str()), "{}", date("old"));
    assert!(date("new").contains(':'), "{}", date("new"));
}

#[test]
fn special_bits_are_shown_as_ls_shows_them() {
    let server = Server::start(&[]);
    for (name, mode) in [("suid", 0o4755), ("sgid", 0o2745), ("none", 0), ("all", 0o777)] {
        server.write(name, "");
        server.set_mode(name, mode);
    }
    server.mkdir("sticky");
    server.set_mode("sticky", 0o1777);
    let lines = server.log_in().list("");
    let mode = |name: &str| lines.iter().find(|line| line.name == name).expect("it is listed").mode.clone();
    assert_eq!(mode("suid"), "-rwsr-xr-x");
    assert_eq!(mode("sgid"), "-rwxr-Sr-x");
    assert_eq!(mode("none"), "----------");
    assert_eq!(mode("all"), "-rwxrwxrwx");
    assert_eq!(mode("sticky"), "drwxrwxrwt");
}

#[test]
fn list_takes_a_folder_or_a_file() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.write("sub/file", "12345");
    let mut client = server.log_in();
    assert_eq!(long_names(&mut client, "sub"), ["file"]);
    assert_eq!(long_names(&mut client, "/sub/"), ["file"]);
    let lines = client.list("sub/file");
    assert_eq!(lines.len(), 1);
    assert!(lines[0].name.ends_with("file"));
    assert_eq!(lines[0].size, 5);
}

#[test]
fn a_listing_of_what_is_not_there_is_refused_before_it_begins() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for command in
        ["LIST none", "NLST none", "LIST -la none", "LIST none/none", "NLST none/*", "LIST *.none", "NLST ?"]
    {
        client.refused(command, &[450, 550]);
    }
    client.send("STAT none").expect_any(&[450, 550]);
}

#[test]
fn a_listing_of_an_empty_folder_is_empty() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    let mut client = server.log_in();
    assert!(client.list("sub").is_empty());
    assert!(client.nlst("sub").is_empty());
    assert!(client.list("-la sub").iter().all(|line| [".", ".."].contains(&line.name.as_str())));
}

#[test]
fn names_come_in_the_order_of_their_bytes() {
    let server = Server::start(&[]);
    for name in ["b", "a", "B", "A", "_", "10", "9", "\u{e9}", "z"] {
        server.write(name, "");
    }
    let mut client = server.log_in();
    assert_eq!(long_names(&mut client, ""), ["10", "9", "A", "B", "_", "a", "b", "z", "\u{e9}"]);
    let names = client.nlst("");
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(names, sorted);
}

#[test]
fn options_sort_the_list() {
    let server = Server::start(&[]);
    for (name, size, time) in [("a", 30, 300_000_000), ("b", 10, 100_000_000), ("c", 20, 200_000_000)] {
        server.write(name, vec![b'x'; size]);
        server.set_modified(name, time);
    }
    let mut client = server.log_in();
    for (argument, order) in [
        ("", "abc"),
        ("-r", "cba"),
        ("-t", "acb"),
        ("-tr", "bca"),
        ("-rt", "bca"),
        ("-S", "acb"),
        ("-Sr", "bca"),
        ("-l -t -r", "bca"),
        ("-ltr", "bca"),
        ("-la -t", "acb"),
    ] {
        let names = long_names(&mut client, argument).into_iter().filter(|name| !name.starts_with('.'));
        assert_eq!(names.collect::<String>(), order, "LIST {argument}");
    }
}

#[test]
fn hidden_names_are_listed_with_a() {
    let server = Server::start(&[]);
    server.write(".hidden", "");
    server.write("plain", "");
    let mut client = server.log_in();
    for argument in ["-a", "-la", "-al", "-A"] {
        let names = long_names(&mut client, argument);
        assert!(
            names.contains(&".hidden".into()) && names.contains(&"plain".into()),
            "LIST {argument}: {names:?}"
        );
    }
}

#[test]
fn list_goes_down_with_capital_r() {
    let server = Server::start(&[]);
    server.mkdir("one");
    server.mkdir("one/two");
    server.write("one/two/deep", "");
    server.write("top", "");
    let text = String::from_utf8(server.log_in().download("LIST -lR")).expect("text");
    for part in [" top\r\n", " one\r\n", " two\r\n", " deep\r\n", "one:\r\n", "one/two:\r\n"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

#[test]
fn list_with_d_tells_of_the_folder_itself() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.write("sub/file", "");
    let lines = server.log_in().list("-d sub");
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0].name.as_str(), lines[0].mode.starts_with('d')), ("sub", true));
}

#[test]
fn list_with_capital_f_marks_folders() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.write("file", "");
    let names = long_names(&mut server.log_in(), "-F");
    assert_eq!(names, ["file", "sub/"]);
}

#[test]
fn one_name_a_line_with_1() {
    let server = Server::start(&[]);
    server.write("a", "");
    server.write("b", "");
    let lines = server.log_in().lines("LIST -1");
    assert_eq!(lines.len(), 2);
    assert!(lines[0].ends_with(b"a") && lines[1].ends_with(b"b"));
}

#[test]
fn sizes_for_people_with_h_are_still_a_list() {
    let server = Server::start(&[]);
    server.write("file", vec![b'x'; 5000]);
    let lines = server.log_in().lines("LIST -lh");
    assert!(lines.iter().any(|line| line.ends_with(b" file")));
}

#[test]
fn options_may_come_with_a_path_that_has_spaces() {
    let server = Server::start(&[]);
    server.mkdir("two words");
    server.write("two words/a file", "");
    let mut client = server.log_in();
    for argument in ["two words", "-la two words", "-l -a two words", "-- two words", "/two words"] {
        let names = long_names(&mut client, argument);
        assert!(names.contains(&"a file".into()), "LIST {argument}: {names:?}");
    }
    assert!(long_names(&mut client, "two words/a file")[0].ends_with("a file"));
    assert_eq!(client.names("two words"), ["two words/a file"]);
}

#[test]
fn a_path_may_begin_with_a_hyphen() {
    let server = Server::start(&[]);
    server.mkdir("-la");
    server.write("-la/inside", "");
    server.write("-my file", "");
    let mut client = server.log_in();
    for argument in ["-- -la", "./-la", "-l -- -la", "/-la"] {
        assert_eq!(long_names(&mut client, argument), ["inside"], "LIST {argument}");
    }
    for argument in ["-- -my file", "-my file", "./-my file"] {
        let names = long_names(&mut client, argument);
        assert!(names.len() == 1 && names[0].ends_with("-my file"), "LIST {argument}: {names:?}");
    }
    assert_eq!(client.names("-- -la"), ["-la/inside"]);
}

#[test]
fn nlst_gives_names_that_retr_takes() {
    let server = Server::start(&[]);
    server.mkdir("sub");
    server.mkdir("sub/deep");
    server.write("sub/one", "1");
    server.write("sub/two words", "2");
    server.write("top", "3");
    let mut client = server.log_in();
    assert_eq!(client.names(""), ["sub", "top"]);
    assert_eq!(client.names("sub"), ["sub/deep", "sub/one", "sub/two words"]);
    assert_eq!(client.names("/sub/"), ["/sub/deep", "/sub/one", "/sub/two words"]);
    for (argument, name, content) in [
        ("sub", "sub/one", "1"),
        ("sub", "sub/two words", "2"),
        ("/sub", "/sub/one", "1"),
        ("top", "top", "3"),
    ] {
        assert!(client.names(argument).contains(&name.to_owned()), "NLST {argument} has {name}");
        assert_eq!(client.retr(name), content.as_bytes());
    }
}

#[test]
fn wildcards_choose_names() {
    let server = Server::start(&[]);
    for name in ["a.txt", "b.txt", "c.dat", "ab.txt", "A.TXT"] {
        server.write(name, "");
    }
    server.mkdir("sub");
    server.write("sub/d.txt", "");
    server.mkdir("sub2");
    server.write("sub2/e.txt", "");
    let mut client = server.log_in();
    for (pattern, wanted) in [
        ("*.txt", "a.txt ab.txt b.txt"),
        ("?.txt", "a.txt b.txt"),
        ("[ac].*", "a.txt c.dat"),
        ("[a-b].txt", "a.txt b.txt"),
        ("[!a].txt", "b.txt"),
        ("a*", "a.txt ab.txt"),
        ("*/*.txt", "sub/d.txt sub2/e.txt"),
        ("s?b/*", "sub/d.txt"),
        ("/*.dat", "/c.dat"),
        ("sub/../*.dat", "sub/../c.dat"),
    ] {
        let names = client.names(pattern);
        // `/c.dat` and `c.dat` are the same file to RETR.
        if pattern == "sub/../*.dat" {
            assert!(names.len() == 1 && names[0].ends_with("c.dat"), "{names:?}");
        } else {
            assert_eq!(names.join(" "), wanted, "NLST {pattern}");
        }
    }
    let listed = long_names(&mut client, "*.txt");
    assert_eq!(listed, ["a.txt", "ab.txt", "b.txt"]);
}

#[test]
fn braces_and_tildes_are_no_wildcards() {
    let server = Server::start(&[]);
    server.write("{a,b}", "");
    server.write("a", "");
    server.write("b", "");
    let mut client = server.log_in();
    assert_eq!(client.names("{a,b}"), ["{a,b}"]);
    client.refused("NLST {a,c}", &[450, 550]);
    client.refused("NLST ~", &[450, 550]);
    client.refused("LIST ~root", &[450, 550]);
}

#[test]
fn a_name_with_wildcards_in_it_can_be_listed() {
    let server = Server::start(&[]);
    server.write("[x]", "");
    server.write("x", "");
    server.write("a*b", "");
    server.write("aXb", "");
    let mut client = server.log_in();
    assert_eq!(client.names("[x]"), ["[x]"]);
    assert_eq!(client.names("a*b"), ["a*b"]);
    assert_eq!(client.names("a\\*b"), ["a*b"]);
}

#[test]
fn stat_of_a_path_lists_it_on_the_control_connection() {
    let server = Server::start(&[]);
    server.write("file", "12345");
    server.mkdir("sub");
    server.write("sub/inside", "x");
    let mut client = server.log_in();
    for (command, name) in
        [("STAT file", "file"), ("STAT sub", "inside"), ("STAT /sub", "inside"), ("STAT -l sub", "inside")]
    {
        let reply = client.send(command).expect_any(&[211, 212, 213]);
        assert!(reply.inner().iter().any(|line| line.ends_with(name.as_bytes())), "{}", reply.text());
    }
    client.send("NOOP").expect(200);
}

#[test]
fn a_listing_on_the_control_connection_cannot_end_its_reply() {
    let server = Server::start(&[]);
    for name in ["211 End", "212 End", "213 End of status", "a\r\n213 End", "\n213 End", "\u{ff}", "a\nb"] {
        server.write(name, "");
    }
    let mut client = server.log_in();
    for command in ["STAT .", "STAT -1 .", "STAT /"] {
        client.send(command).expect_any(&[211, 212, 213]);
        client.send("NOOP").expect(200);
    }
}

#[test]
fn a_listing_needs_no_folder_to_stay_as_it_is() {
    let server = Server::start(&[]);
    for n in 0..2000 {
        server.write(format!("file{n}"), "");
    }
    let mut client = server.log_in();
    for command in ["LIST", "MLSD", "NLST"] {
        let data = client.start(command);
        for n in (0..2000).step_by(7) {
            let _ = std::fs::remove_file(server.path(format!("file{n}")));
        }
        client.read_to_end(data);
        client.expect(226);
    }
}

#[test]
fn large_folders_are_listed_whole() {
    let server = Server::start(&[]);
    for n in 0..5000 {
        symlink("nowhere", server.path(format!("a-name-that-is-not-too-short-{n}"))).expect("a new link");
    }
    let mut client = server.log_in();
    assert_eq!(client.list("").len(), 5000);
    assert_eq!(client.nlst("").len(), 5000);
    assert_eq!(client.mlsd("").len(), 5000);
    assert_eq!(client.nlst("a*").len(), 5000);
}

#[test]
fn list_limit_bounds_one_listing() {
    let server = Server::start(&["--list-limit", "5:1"]);
    server.mkdir("one");
    server.mkdir("one/two");
    server.mkdir("one/two/three");
    server.write("one/two/three/deep", "");
    server.mkdir("many");
    for n in 0..10 {
        server.write(format!("many/{n}"), "");
    }
    let mut client = server.log_in();
    for command in ["LIST many", "NLST many", "NLST many/*"] {
        if let Ok(data) = client.try_start(command) {
            let listed = client.read_to_end(data);
            let lines = listed.iter().filter(|&&byte| byte == b'\n').count();
            assert!(lines <= 6, "{command}: {lines} lines");
            client.expect_any(&[226, 450, 451, 550]);
        }
    }
    if let Ok(data) = client.try_start("LIST -R") {
        let listed = client.read_to_end(data);
        assert!(!listed.windows(4).any(|four| four == b"deep"), "{}", listed.escape_ascii());
        client.expect_any(&[226, 450, 451, 550]);
    }
    client.send("NOOP").expect(200);
}

#[test]
fn listings_come_over_every_kind_of_data_connection() {
    let server = Server::start(&[]);
    server.write("file", "");
    let mut client = server.log_in();
    for via in [Via::Pasv, Via::Epsv, Via::Lpsv, Via::Port, Via::Eprt, Via::Lprt] {
        client.via = via;
        assert_eq!(client.names(""), ["file"], "{via:?}");
    }
}

#[test]
fn write_only_folders_cannot_be_listed() {
    let server = Server::start(&[]);
    server.mkdir("drop");
    server.set_mode("drop", 0o333);
    let mut client = server.log_in();
    for command in ["LIST drop", "NLST drop", "MLSD drop"] {
        client.refused(command, &[450, 550]);
    }
    client.stor("drop/file", "x");
}

/// The names are known, and 226 with none of them would say that there are none.
#[test]
fn a_directory_that_may_be_read_and_not_searched_is_listed_by_name() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start(&[]);
    server.mkdir("d");
    server.mkdir("d/sub");
    server.write("d/f", "content");
    let mode = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(server.path("d"), permissions).expect("our own folder");
    };
    mode(0o400);
    let mut client = server.log_in();
    assert_eq!(client.names("d").len(), 2);
    let lines = client.lines("LIST d");
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with(b"----------") && lines[0].ends_with(b" f"), "{lines:?}");
    assert!(lines[1].starts_with(b"d---------") && lines[1].ends_with(b" sub"), "{lines:?}");
    let mut facts = client.lines("MLSD d");
    facts.sort();
    assert_eq!(facts, [b"type=dir; sub".to_vec(), b"type=file; f".to_vec()]);
    mode(0o755);
}
