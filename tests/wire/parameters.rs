//! TYPE, STRU, MODE, and the small commands that set or tell something.

use crate::server::Server;

#[test]
fn the_types_that_work_are_accepted() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for command in [
        "TYPE A", "TYPE A N", "TYPE A T", "TYPE A C", "TYPE E", "TYPE E N", "type e t", "TYPE I", "TYPE L 8",
        "type i", "TYPE a n", "TYPE l 8",
    ] {
        client.send(command).expect(200);
    }
}

#[test]
fn the_types_that_do_not_work_are_refused() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for command in ["TYPE L 36", "TYPE L 7", "TYPE L 9"] {
        client.send(command).expect(504);
    }
    for command in ["TYPE X", "TYPE A X", "TYPE AB", "TYPE L x", "TYPE I 8 8", "TYPE L 99999999999999999999"]
    {
        client.send(command).expect_any(&[501, 504]);
    }
}

#[test]
fn a_refused_type_leaves_the_one_before() {
    let server = Server::start(&[]);
    server.write("text", "a\n");
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    client.send("TYPE L 7").expect(504);
    client.send("TYPE A X").expect_any(&[501, 504]);
    assert_eq!(client.retr("text"), b"a\n");
    client.send("TYPE A").expect(200);
    client.send("TYPE L 36").expect(504);
    assert_eq!(client.retr("text"), b"a\r\n");
}

#[test]
fn local_bytes_of_eight_bits_are_an_image() {
    let server = Server::start(&[]);
    server.write("text", "a\n");
    let mut client = server.log_in();
    client.send("TYPE L 8").expect(200);
    assert_eq!(client.retr("text"), b"a\n");
}

#[test]
fn files_are_files_and_streams_are_streams() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("STRU F").expect(200);
    client.send("stru f").expect(200);
    client.send("MODE S").expect(200);
    client.send("STRU P").expect(504);
    for command in ["STRU X", "MODE X", "STRU FF", "MODE SS"] {
        client.send(command).expect_any(&[501, 504]);
    }
}

#[test]
fn noop_does_nothing_and_syst_names_the_system() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("NOOP").expect(200);
    client.send("noop").expect(200);
    assert_eq!(client.send("SYST").expect(215).first(), "UNIX Type: L8");
}

#[test]
fn stat_tells_of_the_session() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    let reply = client.send("STAT").expect(211);
    assert!(reply.lines.len() > 2, "{}", reply.text());
    assert!(reply.text().to_lowercase().contains("image"), "{}", reply.text());
}

#[test]
fn clients_may_name_themselves_and_ask_for_utf8() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("CLNT test 1.0").expect(200);
    client.send("OPTS UTF8 ON").expect(200);
    client.send("opts utf8 on").expect(200);
    client.send("OPTS UTF-8 ON").expect_any(&[200, 501, 504]);
    client.send("OPTS NONE").expect_any(&[501, 504]);
    client.send("OPTS").expect_any(&[500, 501]);
}

#[test]
fn utf8_may_be_asked_for_before_the_login() {
    // Total Commander and others do.
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send("OPTS UTF8 ON").expect_any(&[200, 530]);
    client.log_in();
}

#[test]
fn the_language_is_english() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("LANG").expect(200);
    client.send("LANG en").expect(200);
    client.send("LANG tlh").expect(504);
    client.send("NOOP").expect(200);
}
