//! --atomic-uploads and --upload-mode.

use std::io::Write;

use crate::client::Client;
use crate::server::{Server, wait_until};

/// Begins an upload that has brought some bytes, which the server has read.
fn begin(client: &mut Client, command: &str, content: &str) -> std::net::TcpStream {
    let mut data = client.start(command);
    data.write_all(content.as_bytes()).expect("the server takes it");
    // 213 says how many bytes have been written down.
    wait_until("the bytes are there", || {
        let text = client.send("STAT").expect(213).text();
        text.contains(&format!(" {} bytes transferred", content.len())).then_some(())
    });
    data
}

#[test]
fn an_upload_is_there_once_it_is_complete() {
    let server = Server::start(&["--atomic-uploads"]);
    server.write("old", "old content");
    let (mut client, mut other) = (server.log_in(), server.log_in());
    client.send("TYPE I").expect(200);
    for name in ["new", "old"] {
        let before = server.names("");
        let data = begin(&mut client, &format!("STOR {name}"), "new content");
        assert_eq!(server.names(""), before);
        assert_eq!(other.names(""), before);
        assert_eq!(server.read("old"), b"old content");
        drop(data);
        client.expect(226);
        assert_eq!(server.read(name), b"new content");
    }
    assert_eq!(server.names(""), ["new", "old"]);
}

#[test]
fn an_upload_that_is_cut_off_leaves_everything_as_it_was() {
    let server = Server::start(&["--atomic-uploads"]);
    server.write("old", "old content");
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    for command in ["STOR new", "STOR old", "APPE old", "STOU old", "STOU"] {
        let data = begin(&mut client, command, "part");
        client.send("ABOR").expect(426);
        client.expect(226);
        drop(data);
        assert_eq!(server.names(""), ["old"], "{command}");
        assert_eq!(server.read("old"), b"old content", "{command}");
    }
    // Both connections gone with their client; of one that ends its data connection see departed.rs.
    let mut gone = server.log_in();
    let data = begin(&mut gone, "STOR new", "part");
    gone.vanish();
    crate::client::reset_on_drop(&data);
    drop(data);
    let mut next = server.log_in();
    assert_eq!(next.names(""), ["old"]);
}

#[test]
fn restart_and_append_are_made_in_a_copy() {
    let server = Server::start(&["--atomic-uploads"]);
    server.write("f", "0123456789");
    server.set_mode("f", 0o640);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    let data = begin(&mut client, "APPE f", "abc");
    assert_eq!(server.read("f"), b"0123456789");
    drop(data);
    client.expect(226);
    assert_eq!(server.read("f"), b"0123456789abc");
    client.send("REST 5").expect(350);
    client.stor("f", "XY");
    assert_eq!(server.read("f"), b"01234XY789abc");
    assert_eq!(server.mode("f"), 0o640);
    client.send("REST 100").expect(350);
    client.refused("STOR f", &[554]);
    assert_eq!(server.names(""), ["f"]);
    client.upload("APPE new", "x");
    assert_eq!(server.read("new"), b"x");
    client.send("TYPE A").expect(200);
    server.write("lines", "a\nb\n");
    client.send("REST 3").expect(350);
    client.stor("lines", "c\r\n");
    assert_eq!(server.read("lines"), b"a\nc\n");
}

#[test]
fn what_may_not_be_overwritten_is_not_replaced() {
    let server = Server::start(&["--atomic-uploads", "--no-overwrite"]);
    server.write("f", "old");
    server.mkdir("dir");
    let mut client = server.log_in();
    client.refused("STOR f", &[553]);
    client.refused("STOR dir", &[550, 553]);
    let data = begin(&mut client, "STOR late", "mine");
    server.write("late", "theirs");
    drop(data);
    client.expect_any(&[451, 550, 553]);
    assert_eq!(server.read("late"), b"theirs");
    let unique = Server::start_by_default(&["--atomic-uploads"]);
    let (mut first, mut second) = (unique.log_in(), unique.log_in());
    let one = begin(&mut first, "STOU f", "one");
    let other = begin(&mut second, "STOU f", "two");
    drop(one);
    first.expect(226);
    drop(other);
    assert!(second.expect(226).text().contains("f.1"));
    assert_eq!((unique.read("f"), unique.read("f.1")), (b"one".to_vec(), b"two".to_vec()));
    assert!(first.upload("STOR f", "three").text().contains("f.2"));
}

#[test]
fn a_link_stays_one_and_what_it_leads_to_is_replaced() {
    let server = Server::start(&["--atomic-uploads"]);
    server.mkdir("dir");
    server.write("dir/f", "old");
    server.symlink("/dir/f", "link");
    let mut client = server.log_in();
    client.stor("link", "new");
    assert_eq!(server.read("dir/f"), b"new");
    assert!(server.path("link").symlink_metadata().expect("a link").is_symlink());
    client.refused("STOR dir", &[550, 553]);
}

#[test]
fn an_upload_has_the_mode_that_was_asked_for() {
    for atomic in [false, true] {
        let mut args = vec!["--upload-mode", "604", "-u", "077"];
        args.extend(atomic.then_some("--atomic-uploads"));
        let server = Server::start(&args);
        server.write("old", "x");
        server.set_mode("old", 0o660);
        let mut client = server.log_in();
        for name in ["new", "old"] {
            client.stor(name, "y");
        }
        client.upload("APPE more", "y");
        client.upload("STOU new", "y");
        client.send("MKD dir").expect(257);
        for (name, mode) in
            [("new", 0o604), ("old", 0o660), ("more", 0o604), ("new.1", 0o604), ("dir", 0o700)]
        {
            assert_eq!(server.mode(name), mode, "{name}");
        }
    }
}
