//! Quotas: never more is stored, whatever several sessions do at the same time, and all that is
//! deleted comes back.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::thread;

use crate::client::{Client, connect};
use crate::server::{Folder, Server, wait_until};
use crate::store::noise;
use crate::test_support::Random;

const QUOTA: usize = 10 << 10;

/// A server whose anonymous account may store so many bytes.
fn start(options: &[&str]) -> (Folder, Server) {
    let etc = Folder::of_administrator();
    etc.write("ftpusers", format!("ftp allow quota={QUOTA}\n"));
    let config = etc.root();
    let config = ["-c", config.to_str().expect("a plain path")];
    let server = Server::start(&[&config, options].concat());
    (etc, server)
}

fn binary(server: &Server) -> Client {
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    client
}

/// The file is asked for, and there is no data connection yet.
fn ask(client: &mut Client, command: &str) -> std::net::SocketAddr {
    let address = client.epsv();
    client.send(command).expect(150);
    address
}

/// So many bytes have come, and are in the file.
fn part(client: &mut Client, command: &str, size: usize) -> TcpStream {
    let mut data = client.start(command);
    data.write_all(&vec![b'x'; size]).expect("the server takes it");
    wait_until("they are stored", || {
        let text = client.send("STAT").expect(213).text();
        text.contains(&format!("Status: {size} bytes")).then_some(())
    });
    data
}

fn abort(client: &mut Client, data: TcpStream) {
    client.send("ABOR").expect(426);
    client.expect_any(&[225, 226]);
    drop(data);
}

fn rename(client: &mut Client, from: &str, to: &str) {
    client.send(format!("RNFR {from}")).expect(350);
    client.send(format!("RNTO {to}")).expect(250);
}

/// All files in the clients' folder, by inode, and their bytes; but for what is to take the place of one
/// of them, and has not done so yet.
fn files(server: &Server) -> Vec<(u64, u64)> {
    let mut files = Vec::new();
    let mut pending = vec![server.path("")];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(dir).expect("a folder").flatten() {
            if entry.file_name().to_string_lossy().starts_with(".ferryd-upload-") {
                continue;
            }
            // It may be gone by now.
            let Ok(meta) = entry.metadata() else { continue };
            match meta.is_dir() {
                true => pending.push(entry.path()),
                false => files.push((meta.ino(), meta.len())),
            }
        }
    }
    files.sort_unstable();
    files.dedup();
    files
}

fn stored(server: &Server) -> usize {
    files(server).iter().map(|(_, size)| *size as usize).sum()
}

/// The tally is what is stored, to the byte.
#[track_caller]
fn expect_left(server: &Server, client: &mut Client) {
    let left = QUOTA - stored(server);
    client.send(format!("ALLO {left}")).expect(200);
    client.send(format!("ALLO {}", left + 1)).expect(552);
}

#[test]
fn an_upload_that_comes_to_nothing_leaves_no_room_for_another() {
    for options in [&[][..], &["--atomic-uploads"]] {
        let (_etc, server) = start(options);
        let (mut a, mut b) = (binary(&server), binary(&server));
        a.stor("f", noise(6000));
        // The old file counts until the new one has its place.
        let data = part(&mut a, "STOR f", 5000);
        assert_eq!(b.upload_or_refusal("STOR g", &noise(QUOTA - 5000)), 552);
        abort(&mut a, data);
        expect_left(&server, &mut b);
        assert_eq!(b.upload_or_refusal("STOR g", &noise(QUOTA - 6000)), 226);
        assert_eq!(stored(&server), QUOTA);
    }
}

#[test]
fn what_is_to_be_replaced_and_is_deleted_meanwhile_gives_its_room_once() {
    for options in [&[][..], &["--atomic-uploads"]] {
        let (_etc, server) = start(options);
        let (mut a, mut b) = (binary(&server), binary(&server));
        a.stor("f", noise(6000));
        let data = part(&mut a, "STOR f", 5000);
        b.send("DELE f").expect(250);
        assert_eq!(b.upload_or_refusal("STOR g", &noise(6000)), 226);
        drop(data);
        // There is no room any more.
        a.expect(552);
        assert_eq!(server.names(""), ["g"], "{options:?}");
        expect_left(&server, &mut a);
    }
}

#[test]
fn a_file_that_is_deleted_while_it_is_stored_gives_all_of_its_room_back() {
    for options in [&[][..], &["--atomic-uploads"], &["--delete-aborted"]] {
        for command in ["STOR f", "APPE f", "STOU f"] {
            for late in ["the end", "ABOR", "another file"] {
                let (_etc, server) = start(options);
                let (mut a, mut b) = (binary(&server), binary(&server));
                if command == "APPE f" {
                    a.stor("f", noise(1000));
                }
                let mut data = part(&mut a, command, 3000);
                if late == "another file" {
                    b.stor("other", "x");
                    rename(&mut b, "other", "f");
                } else {
                    b.send("DELE f").expect_any(&[250, 550]);
                }
                data.write_all(&noise(2000)).expect("the server takes it");
                if late == "ABOR" {
                    abort(&mut a, data);
                } else {
                    drop(data);
                    a.expect_any(&[226, 451, 550, 553]);
                }
                expect_left(&server, &mut b);
                for name in server.names("") {
                    b.send(format!("DELE {name}")).expect(250);
                }
                b.send(format!("ALLO {QUOTA}")).expect(200);
            }
        }
    }
}

#[test]
fn a_file_has_its_bytes_once_however_many_names_it_has() {
    let (_etc, server) = start(&[]);
    server.write("f", noise(6000));
    std::fs::hard_link(server.path("f"), server.path("g")).expect("our own file");
    let mut client = binary(&server);
    expect_left(&server, &mut client);
    // A rename takes the old name away, also where the new one is of the same file.
    rename(&mut client, "f", "g");
    assert_eq!(server.names(""), ["g"]);
    rename(&mut client, "g", "g");
    assert_eq!(server.read("g").len(), 6000);
    std::fs::hard_link(server.path("g"), server.path("f")).expect("our own file");
    client.send("DELE f").expect(250);
    expect_left(&server, &mut client);
    // What replaces one of two names takes room of its own.
    std::fs::hard_link(server.path("g"), server.path("f")).expect("our own file");
    assert_eq!(client.upload_or_refusal("STOR f", &noise(6000)), 552);
    assert_eq!(client.upload_or_refusal("STOR f", &noise(4000)), 226);
    expect_left(&server, &mut client);
}

#[test]
fn what_an_account_keeps_from_being_counted_counts_as_all() {
    for mode in ["000", "300", "311", "400", "600"] {
        let (_etc, server) = start(&[]);
        let mut client = binary(&server);
        for folder in ["outer", "outer/inner", "outer/inner/last"] {
            client.send(format!("MKD {folder}")).expect(257);
        }
        client.stor("outer/inner/last/f", noise(6000));
        client.send("QUIT").expect(221);
        drop(client);
        for hidden in ["outer/inner", "outer"] {
            // Root's eyes are kept out by nothing, but a session is never root's.
            let mut client = wait_until("the last session is forgotten", || Some(binary(&server)));
            client.send(format!("SITE CHMOD {mode} {hidden}")).expect(200);
            drop(client);
            let mut client = binary(&server);
            assert_eq!(client.upload_or_refusal("STOR g", &noise(6000)), 552, "{mode} {hidden}");
            client.send(format!("SITE CHMOD 755 {hidden}")).expect(200);
            assert_eq!(client.upload_or_refusal("STOR g", &noise(4000)), 226, "{mode} {hidden}");
            expect_left(&server, &mut client);
        }
    }
}

#[test]
fn a_quota_is_not_given_back_by_what_frees_nothing() {
    let (_etc, server) = start(&[]);
    let mut client = binary(&server);
    client.stor("f", noise(6000));
    // Onto itself, and onto another name of the same file.
    client.send("RNFR f").expect(350);
    client.send("RNTO f").expect(250);
    std::fs::hard_link(server.path("f"), server.path("g")).expect("our own file");
    client.send("RNFR f").expect(350);
    client.send("RNTO g").expect_any(&[250, 553]);
    assert_eq!(client.upload_or_refusal("STOR h", &noise(6000)), 552);
    // Four sessions that empty one file at the same time.
    let mut sessions: Vec<Client> = (0..4).map(|_| binary(&server)).collect();
    let ports: Vec<_> = sessions.iter_mut().map(|session| ask(session, "STOR f")).collect();
    let data: Vec<TcpStream> = ports.into_iter().map(connect).collect();
    for mut data in data {
        let _ = data.write_all(b"x");
    }
    for session in &mut sessions {
        session.expect_any(&[226, 450, 451]);
    }
    for name in ["h", "i", "j", "k"] {
        client.upload_or_refusal(&format!("STOR {name}"), &noise(6000));
    }
    assert!(stored(&server) <= QUOTA, "{}", stored(&server));
}

#[test]
fn four_sessions_never_store_more_than_the_quota() {
    for options in [
        &[][..],
        &["--atomic-uploads"],
        &["--delete-aborted"],
        &["--atomic-uploads", "--sync-uploads", "--max-file-size=10k"],
    ] {
        let (_etc, server) = start(options);
        thread::scope(|scope| {
            let sessions: Vec<_> = (0..4)
                .map(|n| {
                    let server = &server;
                    scope.spawn(move || churn(&mut binary(server), &mut Random::new(n)))
                })
                .collect();
            // One buffer of a transfer is more than all of the quota here: none may be over it at all.
            while !sessions.iter().all(|session| session.is_finished()) {
                // What changes between two looks was perhaps not all there at one time.
                let (first, second) = (files(&server), files(&server));
                let used: u64 = first.iter().map(|(_, size)| size).sum();
                assert!(first != second || used <= QUOTA as u64, "{used} bytes, {options:?}");
                thread::yield_now();
            }
        });
        let mut client = binary(&server);
        expect_left(&server, &mut client);
        for name in server.names("") {
            client.send(format!("DELE {name}")).expect(250);
        }
        client.send(format!("ALLO {QUOTA}")).expect(200);
    }
}

/// Stores, replaces, appends, renames and deletes a few names again and again.
fn churn(client: &mut Client, random: &mut Random) {
    for _ in 0..30 {
        let name = random.pick(&["a", "b", "c", "d"]);
        let content = noise(random.below(7000));
        match random.below(8) {
            0 => drop(client.send(format!("DELE {name}")).expect_any(&[250, 550])),
            1 => {
                let to = random.pick(&["a", "b", "c", "d"]);
                if client.send(format!("RNFR {name}")).expect_any(&[350, 550]).code == 350 {
                    client.send(format!("RNTO {to}")).expect_any(&[250, 550, 553]);
                }
            }
            2 => {
                if let Ok(mut data) = client.try_start(format!("STOR {name}")) {
                    let _ = data.write_all(&content);
                    client.send("ABOR").expect_any(&[426, 226, 450, 451, 452, 552, 553]);
                    // Whatever the first reply was, the last one is ABOR's or says that it came too late.
                    client.expect_any(&[225, 226]);
                }
            }
            3 => {
                client.send(format!("REST {}", random.below(2000))).expect(350);
                client.upload_or_refusal(&format!("STOR {name}"), &content);
            }
            4 => drop(client.upload_or_refusal(&format!("APPE {name}"), &content)),
            5 => drop(client.upload_or_refusal(&format!("STOU {name}"), &content)),
            _ => drop(client.upload_or_refusal(&format!("STOR {name}"), &content)),
        }
    }
}
