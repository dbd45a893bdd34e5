//! Clients that go amid a transfer, without QUIT: cameras, controllers, blind scripts. What such a
//! client sent before it went is the file; a download it has given up.

use std::io::Write;
use std::net::TcpStream;

use crate::client::{Client, connect, reset_on_drop};
use crate::logs::{BYTES, STATUS, TransferLog};
use crate::server::{Server, wait_until};
use crate::store::noise;

const SIZE: usize = 3_000_000;

/// How a control connection ends.
#[derive(Clone, Copy, Debug)]
enum Going {
    Closing,
    Resetting,
    /// QUIT, and a reset before its reply.
    AfterQuit,
}

impl Going {
    const ALL: [Going; 3] = [Going::Closing, Going::Resetting, Going::AfterQuit];

    fn go(self, mut client: Client) {
        match self {
            Going::Closing => drop(client),
            Going::Resetting => client.vanish(),
            Going::AfterQuit => {
                client.send("QUIT");
                client.vanish();
            }
        }
    }
}

/// `EPSV`, connect, `STOR`; no reply to it is read.
fn begin(server: &Server, name: &str) -> (Client, TcpStream) {
    let mut client = server.log_in();
    client.send("TYPE I").expect(200);
    let data = connect(client.epsv());
    client.send(format!("STOR {name}"));
    (client, data)
}

/// All `count` uploads are in the log, whole and complete.
fn expect_complete(log: &TransferLog, count: usize) {
    for record in log.records(count) {
        assert_eq!((record[BYTES].as_str(), record[STATUS].as_str()), (SIZE.to_string().as_str(), "c"));
    }
}

#[test]
fn an_upload_is_whole_whatever_became_of_the_control_connection() {
    let content = noise(SIZE);
    for options in [&[][..], &["--atomic-uploads"]] {
        let (log, server) = TransferLog::with(options);
        let mut count = 0;
        for going in Going::ALL {
            for n in 0..8 {
                let (client, mut data) = begin(&server, &format!("{going:?}{n}"));
                data.write_all(&content).expect("the server takes it");
                drop(data);
                going.go(client);
                count += 1;
            }
        }
        expect_complete(&log, count);
        for name in server.names("") {
            assert!(server.read(&name) == content, "{name}");
        }
        assert_eq!(server.names("").len(), count);
    }
}

#[test]
fn an_upload_goes_on_after_the_control_connection_has_ended() {
    let content = noise(SIZE);
    for options in [&[][..], &["--atomic-uploads"]] {
        let (log, server) = TransferLog::with(&[&["-d"], options].concat());
        for (n, going) in [Going::Closing, Going::Resetting].into_iter().enumerate() {
            let (client, mut data) = begin(&server, "file");
            data.write_all(&content[..1_000_000]).expect("the server takes it");
            going.go(client);
            server.log.nth_with("the control connection has ended", n).expect("the server has noticed");
            data.write_all(&content[1_000_000..]).expect("the server takes it");
            drop(data);
            expect_complete(&log, n + 1);
            assert!(server.read("file") == content, "{going:?}");
            std::fs::remove_file(server.path("file")).expect("it was there");
        }
    }
}

#[test]
fn appe_and_stou_are_uploads_like_others() {
    let (log, server) = TransferLog::with(&[]);
    for (n, command) in ["APPE file", "STOU file"].into_iter().enumerate() {
        let mut client = server.log_in();
        let data = connect(client.epsv());
        client.send(command);
        { data }.write_all(b"content").expect("the server takes it");
        drop(client);
        let records = log.records(n + 1);
        assert_eq!((records[n][BYTES].as_str(), records[n][STATUS].as_str()), ("7", "c"), "{command}");
    }
    assert_eq!(server.names(""), ["file", "file.1"]);
}

#[test]
fn an_upload_whose_data_connection_breaks_as_well_is_not_complete() {
    for options in [&[][..], &["--atomic-uploads"]] {
        let (log, server) = TransferLog::with(options);
        let (client, mut data) = begin(&server, "file");
        data.write_all(b"part").expect("the server takes it");
        drop(client);
        reset_on_drop(&data);
        drop(data);
        assert_eq!(log.records(1)[0][STATUS], "i");
        assert_eq!(server.exists("file"), options.is_empty());
    }
}

#[test]
fn a_download_ends_with_its_client() {
    let (log, server) = TransferLog::with(&["--max-clients", "1"]);
    server.write_sparse("big", 1 << 30);
    for (n, going) in [Going::Closing, Going::Resetting].into_iter().enumerate() {
        let mut client = server.log_in_when_there_is_room();
        client.send("TYPE I").expect(200);
        let data = client.start("RETR big");
        going.go(client);
        assert_eq!(log.records(n + 1)[n][STATUS], "i", "{going:?}");
        drop(server.log_in_when_there_is_room());
        drop(data);
    }
}

#[test]
fn a_client_that_went_before_its_data_connection_came_is_not_waited_for() {
    let server = Server::start(&["--max-clients", "1"]);
    let mut client = server.log_in();
    client.epsv();
    client.send("STOR file");
    drop(client);
    drop(server.log_in_when_there_is_room());
    wait_until("nothing is left of it", || (!server.exists("file")).then_some(()));
}
