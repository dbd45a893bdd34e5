//! Started by root's inetd, and with PAM sessions: the same accounts, the same rights.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};

use crate::client::{Client, Via};
use crate::ground::{Ground, ONE, TWO, children, log_in, ownership, write};
use crate::server::{ferryd, wait_until};

fn start(ground: &Ground) -> (Client, Child) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let ours = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    let (theirs, _) = listener.accept().expect("a client");
    let stdio = || Stdio::from(OwnedFd::from(theirs.try_clone().expect("a socket")));
    let mut command = ferryd();
    command.args(["-l", "-W", "--login-delay", "0", "-c"]).arg(ground.path("etc"));
    let child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().expect("ferryd starts");
    let mut client = Client::from_stream(ours);
    client.expect(220);
    (client, child)
}

#[test]
fn a_session_from_inetd_is_its_account() {
    let Some(ground) = Ground::new() else { return };
    let open = ground.folder_of(ONE, 0o777);
    let private = write(&open, "private", "x", ONE, 0o600);
    for account in [ONE, TWO] {
        let (mut client, mut child) = start(&ground);
        client.send(format!("USER {}", account.name)).expect(331);
        client.send("PASS wrong").expect(530);
        client.log_in_as(account.name, account.password);
        for via in [Via::Pasv, Via::Port] {
            client.via = via;
            client.stor(format!("{open}/{}", account.name), "x");
        }
        assert_eq!(ownership(&format!("{open}/{}", account.name)).0, account.uid());
        if account.name == TWO.name {
            client.refused(format!("RETR {private}"), &[550]);
        }
        client.refused("RETR /etc/shadow", &[550]);
        client.send("QUIT").expect(221);
        let status = wait_until("the process ends", || child.try_wait().expect("our child"));
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn a_session_from_inetd_may_change_accounts() {
    let Some(ground) = Ground::new() else { return };
    let open = ground.folder_of(ONE, 0o777);
    let (mut client, mut child) = start(&ground);
    client.log_in_as(ONE.name, ONE.password);
    client.stor(format!("{open}/one"), "x");
    client.send("REIN").expect(220);
    client.log_in_as(TWO.name, TWO.password);
    client.stor(format!("{open}/two"), "x");
    assert_eq!(ownership(&format!("{open}/one")).0, ONE.uid());
    assert_eq!(ownership(&format!("{open}/two")).0, TWO.uid());
    client.send("QUIT").expect(221);
    wait_until("the process ends", || child.try_wait().expect("our child"));
}

#[test]
fn pam_sessions_end_with_theirs() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&["--pam-session"]);
    let before = children(server.pid()).len();
    let open = ground.folder_of(ONE, 0o777);
    for _ in 0..3 {
        let mut clients = [log_in(&server, ONE), log_in(&server, TWO)];
        for (client, account) in clients.iter_mut().zip([ONE, TWO]) {
            client.stor(format!("{open}/{}", account.name), "x");
            assert_eq!(ownership(&format!("{open}/{}", account.name)).0, account.uid());
        }
        let [mut one, two] = clients;
        one.send("QUIT").expect(221);
        two.vanish();
    }
    wait_until("no process is left over", || (children(server.pid()).len() <= before).then_some(()));
}
