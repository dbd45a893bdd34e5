//! Two and three sessions that store to one name at the same time. Whoever is answered 226 has
//! stored the file; nobody removes, empties or replaces what is another's by then.

use std::io::Write;
use std::net::TcpStream;

use crate::client::{Client, connect};
use crate::server::{Server, wait_until};
use crate::store::noise;

/// Every combination of what decides how an upload is written.
fn option_sets() -> Vec<Vec<&'static str>> {
    let choices: [&[&str]; 4] =
        [&["--atomic-uploads"], &["--delete-aborted"], &["--no-overwrite"], &["--max-file-size=1g"]];
    (0..16)
        .map(|set| (0..4).filter(|bit| set >> bit & 1 == 1).flat_map(|bit| choices[bit]).copied().collect())
        .collect()
}

fn binary(server: &Server) -> Client {
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    client
}

/// STOR is sent, and there is no data connection yet.
fn ask(client: &mut Client, command: &str) -> std::net::SocketAddr {
    let address = client.epsv();
    client.send(command);
    client.expect(150);
    address
}

/// A half of the upload has come, and is in the file.
fn half(client: &mut Client, command: &str, content: &[u8]) -> TcpStream {
    let data = client.start(command);
    send_half(client, data, content)
}

fn send_half(client: &mut Client, mut data: TcpStream, content: &[u8]) -> TcpStream {
    let half = content.len() / 2;
    data.write_all(&content[..half]).expect("the server takes it");
    wait_until("a half is stored", || {
        let text = client.send("STAT").expect(213).text();
        text.contains(&format!("Status: {half} bytes")).then_some(())
    });
    data
}

fn rest(mut data: TcpStream, content: &[u8]) {
    data.write_all(&content[content.len() / 2..]).expect("the server takes it");
}

fn names(server: &Server) -> Vec<String> {
    let entries = std::fs::read_dir(server.path("")).expect("our own folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn an_upload_that_never_begins_leaves_the_file_of_another_session() {
    for options in option_sets() {
        for end in ["ABOR", "the end", "a reset"] {
            let server = Server::start(&options);
            let (mut a, mut b) = (binary(&server), binary(&server));
            ask(&mut a, "STOR report");
            b.stor("report", "the report of b");
            match end {
                "ABOR" => {
                    a.send("ABOR").expect(426);
                    a.expect_any(&[225, 226]);
                }
                "the end" => drop(a),
                _ => a.vanish(),
            }
            b.send("NOOP").expect(200);
            assert_eq!(server.read("report"), b"the report of b", "{options:?} {end}");
            assert_eq!(names(&server), ["report"], "{options:?} {end}");
        }
    }
}

#[test]
fn an_upload_that_is_cut_off_leaves_what_another_session_has_put_in_its_place() {
    let (first, second) = (noise(200_000), noise(150_000));
    for options in option_sets() {
        let server = Server::start(&options);
        let (mut a, mut b) = (binary(&server), binary(&server));
        let data = half(&mut a, "STOR report", &first);
        let reply = b.upload_or_refusal("STOR report", &second);
        a.send("ABOR").expect(426);
        a.expect_any(&[225, 226]);
        drop(data);
        if reply == 226 {
            assert!(server.read("report") == second, "{options:?}");
        } else {
            assert!([450, 553].contains(&reply), "{options:?}: {reply}");
        }
    }
}

#[test]
fn a_file_is_never_mixed_of_two_uploads() {
    let (first, second) = (noise(200_000), noise(150_000));
    for options in option_sets() {
        for existing in [false, true] {
            let server = Server::start(&options);
            if existing {
                server.write("report", "what was there");
            }
            let (mut a, mut b) = (binary(&server), binary(&server));
            let Ok(data) = a.try_start("STOR report") else { continue };
            let data = send_half(&mut a, data, &first);
            let b_reply = b.upload_or_refusal("STOR report", &second);
            rest(data, &first);
            let a_reply = a.reply().code;
            let content = server.read("report");
            let what = format!("{options:?} {existing} {a_reply} {b_reply}");
            assert!(content == first || content == second, "{what}: {} bytes", content.len());
            // The file is that of one who was told so; and of the last one, where both were.
            match (a_reply, b_reply) {
                (226, 226) | (226, _) => assert!(content == first, "{what}"),
                (_, 226) => assert!(content == second, "{what}"),
                _ => panic!("{what}"),
            }
        }
    }
}

#[test]
fn what_is_appended_to_is_one_sessions_at_a_time() {
    for options in [&[][..], &["--atomic-uploads"], &["--max-file-size=1g"]] {
        let server = Server::start(options);
        server.write("log", "0");
        let (mut a, mut b) = (binary(&server), binary(&server));
        let data = half(&mut a, "APPE log", b"1122");
        b.refused("APPE log", &[450]);
        b.send("REST 1").expect(350);
        b.refused("STOR log", &[450]);
        rest(data, b"1122");
        a.expect(226);
        assert_eq!(server.read("log"), b"01122", "{options:?}");
        assert_eq!(b.upload("APPE log", "3").code, 226);
        assert_eq!(server.read("log"), b"011223", "{options:?}");
    }
}

#[test]
fn nothing_is_appended_to_a_file_that_took_another_ones_place() {
    for options in [&[][..], &["--atomic-uploads"]] {
        let server = Server::start(options);
        server.write("log", "old");
        let (mut a, mut b) = (binary(&server), binary(&server));
        let data = half(&mut a, "APPE log", b"more");
        b.stor("other", "new");
        b.send("RNFR other").expect(350);
        b.send("RNTO log").expect(250);
        rest(data, b"more");
        a.expect(451);
        assert_eq!(server.read("log"), b"new", "{options:?}");
    }
}

#[test]
fn an_upload_whose_file_is_deleted_meanwhile_is_not_complete() {
    let server = Server::start(&[]);
    let (mut a, mut b) = (binary(&server), binary(&server));
    let data = half(&mut a, "STOR report", b"report");
    b.send("DELE report").expect(250);
    rest(data, b"report");
    a.expect(451);
    assert_eq!(names(&server), [""; 0]);
}

#[test]
fn a_file_that_is_renamed_before_its_upload_begins_keeps_what_it_has() {
    for options in option_sets() {
        let server = Server::start(&options);
        server.write("f", "old");
        let (mut a, mut b) = (binary(&server), binary(&server));
        if options.contains(&"--no-overwrite") {
            a.refused("STOR f", &[553]);
            continue;
        }
        let address = ask(&mut a, "STOR f");
        b.send("RNFR f").expect(350);
        b.send("RNTO g").expect(250);
        connect(address).write_all(b"new").expect("the server takes it");
        a.expect(226);
        assert_eq!((server.read("f"), server.read("g")), (b"new".to_vec(), b"old".to_vec()), "{options:?}");
        // What is to go on where the file ends must find it.
        for command in ["APPE f", "STOR f"] {
            if command == "STOR f" {
                a.send("REST 3").expect(350);
            }
            let address = ask(&mut a, command);
            b.send("RNFR f").expect(350);
            b.send("RNTO g").expect(250);
            let _ = connect(address).write_all(b"more");
            a.expect(451);
            assert_eq!(server.read("g"), b"new", "{options:?} {command}");
            b.stor("f", "new");
        }
    }
}

#[test]
fn an_append_to_a_file_that_was_not_there_spoils_none_that_is_by_then() {
    for options in option_sets() {
        let server = Server::start(&options);
        let (mut a, mut b) = (binary(&server), binary(&server));
        let address = ask(&mut a, "APPE log");
        b.stor("log", "of b");
        let _ = connect(address).write_all(b" of a");
        let reply = a.expect_any(&[226, 451, 553]).code;
        let content: &[u8] = if reply == 226 { b"of b of a" } else { b"of b" };
        assert_eq!(server.read("log"), content, "{options:?} {reply}");
        assert_eq!(names(&server), ["log"], "{options:?}");
    }
}

#[test]
fn a_limit_spares_a_file_that_was_made_meanwhile() {
    for options in [&["--max-file-size=1k"][..], &["--max-file-size=1k", "--delete-aborted"]] {
        let server = Server::start(options);
        let (mut a, mut b) = (binary(&server), binary(&server));
        let address = ask(&mut a, "STOR new");
        b.stor("new", "of b");
        let _ = connect(address).write_all(&noise(8000));
        a.expect(552);
        assert_eq!(server.read("new"), b"of b", "{options:?}");
        assert_eq!(names(&server), ["new"]);
    }
}

#[test]
fn an_upload_over_an_empty_file_is_deleted_like_any_other_when_it_is_cut_off() {
    let server = Server::start(&["--delete-aborted"]);
    server.write("f", "");
    let mut client = binary(&server);
    let _data = half(&mut client, "STOR f", b"content");
    client.send("ABOR").expect(426);
    client.expect_any(&[225, 226]);
    assert_eq!(names(&server), [""; 0]);
}

#[test]
fn what_another_program_has_added_meanwhile_is_not_taken_away() {
    let server = Server::start(&["--delete-aborted", "--max-file-size=1k"]);
    server.write("log", "line\n");
    let mut client = binary(&server);
    for command in ["APPE log", "STOR new"] {
        let name = &command[5..];
        let mut data = half(&mut client, command, &[b'x'; 1000]);
        let mut file = std::fs::File::options().append(true).open(server.path(name)).expect("it is there");
        file.write_all(b"by another\n").expect("our own file");
        let _ = data.write_all(&[b'x'; 8000]);
        drop(data);
        client.expect(552);
        let content = server.read(name);
        assert!(content.ends_with(b"xby another\n"), "{command}: {}", content.escape_ascii());
    }
}

#[test]
fn with_no_overwrite_one_of_two_gets_a_new_name() {
    for options in [&["--no-overwrite"][..], &["--no-overwrite", "--atomic-uploads"]] {
        let server = Server::start(options);
        let (mut a, mut b) = (binary(&server), binary(&server));
        let (a_port, b_port) = (ask(&mut a, "STOR new"), ask(&mut b, "STOR new"));
        let mut a_data = connect(a_port);
        a_data.write_all(b"of a").expect("the server takes it");
        drop(a_data);
        let a_reply = a.reply().code;
        let mut b_data = connect(b_port);
        let _ = b_data.write_all(b"of b");
        drop(b_data);
        let b_reply = b.reply().code;
        assert_eq!((a_reply, b_reply), (226, 553), "{options:?}");
        assert_eq!(server.read("new"), b"of a");
    }
}

#[test]
fn stou_keeps_the_name_that_it_announces() {
    for options in [&[][..], &["--atomic-uploads"]] {
        let server = Server::start(options);
        let (mut a, mut b) = (binary(&server), binary(&server));
        let address = a.epsv();
        a.send("STOU name");
        let announced = a.expect(150).text();
        assert!(announced.ends_with("FILE: name"), "{announced}");
        assert_eq!(b.upload("STOU name", "of b").code, 226);
        let mut data = connect(address);
        data.write_all(b"of a").expect("the server takes it");
        drop(data);
        a.expect(226);
        assert_eq!((server.read("name"), server.read("name.1")), (b"of a".to_vec(), b"of b".to_vec()));
        // One that comes to nothing leaves nothing.
        ask(&mut a, "STOU other");
        a.send("ABOR").expect(426);
        a.expect_any(&[225, 226]);
        assert_eq!(names(&server).len(), 2, "{options:?}");
    }
}

#[test]
fn a_limit_that_stops_an_upload_changes_nothing() {
    let server = Server::start(&["--max-file-size=1k"]);
    server.write("old", "what was there");
    let mut client = binary(&server);
    assert_eq!(client.upload_or_refusal("STOR old", &noise(8000)), 552);
    assert_eq!(server.read("old"), b"what was there");
    assert_eq!(client.upload_or_refusal("APPE old", &noise(8000)), 552);
    assert_eq!(server.read("old"), b"what was there");
    client.send("REST 4").expect(350);
    assert_eq!(client.upload_or_refusal("STOR old", &noise(8000)), 552);
    assert_eq!(server.read("old"), b"what was there");
    assert_eq!(client.upload_or_refusal("STOR new", &noise(8000)), 552);
    assert_eq!(client.upload_or_refusal("STOU new", &noise(8000)), 552);
    assert_eq!(names(&server), ["old"]);
    assert_eq!(client.upload_or_refusal("STOR old", &noise(1000)), 226);
    assert_eq!(server.read("old").len(), 1000);
}
