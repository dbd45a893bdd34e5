//! The codes that the tables of the RFCs allow where the others would be understood as well:
//! RFC 959 section 5.4, RFC 1639, RFC 3659.

use crate::server::Server;

#[test]
fn a_name_that_cannot_be_written_to_is_553() {
    let server = Server::start(&[]);
    server.mkdir("folder");
    server.write("file", "content");
    let mut client = server.log_in();
    for command in ["STOR folder", "STOR none/x", "STOR file/x", "STOR /", "STOU none/x", "APPE folder"] {
        client.refused(command, &[553]);
    }
    for name in ["none/x", "folder", "file/x", "/"] {
        client.send("RNFR file").expect(350);
        client.send(format!("RNTO {name}")).expect(553);
    }
    assert_eq!(server.names(""), ["file", "folder"]);
}

#[test]
fn a_name_longer_than_any_is_550_where_it_is_not_written_to() {
    let server = Server::start(&[]);
    server.write("file", "content");
    let mut client = server.log_in();
    for name in ["n".repeat(256), "n/".repeat(2200)] {
        for verb in ["CWD", "DELE", "RMD", "MKD", "RNFR", "SIZE", "MDTM", "MLST", "STAT"] {
            client.send(format!("{verb} {name}")).expect(550);
        }
        client.refused(format!("RETR {name}"), &[550]);
        client.refused(format!("STOR {name}"), &[553]);
        client.send("RNFR file").expect(350);
        client.send(format!("RNTO {name}")).expect(553);
    }
}

#[test]
fn the_root_is_refused_for_good() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("RMD /").expect(550);
    client.send("RMD .").expect(550);
    client.send("RNFR /").expect(550);
    client.send("MKD /").expect(550);
}

#[test]
fn lprt_has_a_code_of_its_own_for_other_address_families() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let reply = client.send("LPRT 9,4,127,0,0,1,2,200,1").expect(521).text();
    assert!(reply.contains("(4,6)"), "521 names what there is: {reply}");
    let reply = client.send("LPRT 6,16,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1,2,200,1").expect(521).text();
    assert!(reply.contains("(4)"), "521 names what works: {reply}");
}

#[test]
fn abor_without_a_transfer_is_226_and_225_when_a_data_port_was_set() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    client.send("ABOR").expect(226);
    client.pasv();
    client.send("ABOR").expect(225);
    client.send("ABOR").expect(226);
    client.refused("LIST none", &[450, 550]);
}

#[test]
fn any_site_command_needs_a_login() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send("SITE").expect(530);
    client.send("SITE HELP").expect(530);
    client.send("SITE NONSENSE").expect(530);
}

#[test]
fn commands_without_argument_take_none() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    for verb in ["ABOR", "CDUP", "FEAT", "NOOP", "PASV", "PWD", "QUIT", "REIN", "SYST", "XCUP", "XPWD"] {
        client.send(format!("{verb} x")).expect(501);
    }
    client.send("NOOP ").expect(200);
}

#[test]
fn opts_mlst_takes_facts_that_end_with_semicolons() {
    let server = Server::start(&[]);
    let mut client = server.log_in();
    let reply = client.send("OPTS MLST Type;SIZE;").expect(200).text();
    assert!(reply.contains("MLST OPTS type;size;"), "{reply}");
    client.send("OPTS MLST nonsense").expect(501);
    client.send("OPTS MLST fish cakes").expect(501);
    let reply = client.send("FEAT").expect(211).text();
    assert!(reply.contains("type*;size*;modify;"), "nothing has changed: {reply}");
    let reply = client.send("OPTS MLST fish;cakes;").expect(200).text();
    assert!(reply.trim_end().ends_with("MLST OPTS"), "{reply}");
}
