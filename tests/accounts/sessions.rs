//! One control connection, several logins: each is the account's, and nobody else's.

use crate::client::Client;
use crate::ground::{Ground, ONE, TWO, TestAccount, log_in, ownership, write};
use crate::server::{Server, wait_until};

/// STOR as `account`, with whatever made it the account before.
#[track_caller]
fn expect_to_be(client: &mut Client, account: TestAccount, folder: &str, name: &str) {
    client.stor(format!("{folder}/{name}"), account.name);
    let (uid, gid, _) = ownership(&format!("{folder}/{name}"));
    assert_eq!((uid, gid), (account.uid(), account.gid()), "{name}");
}

#[test]
fn rein_lets_another_account_log_in() {
    let Some(ground) = Ground::new() else { return };
    let open = ground.folder_of(ONE, 0o777);
    let private = write(&open, "private", "x", ONE, 0o600);
    let server = ground.start(&["--max-clients", "2"]);
    let mut client = log_in(&server, ONE);
    expect_to_be(&mut client, ONE, &open, "first");
    client.send("REIN").expect(220);
    client.send("PWD").expect(530);
    client.log_in_as(TWO.name, TWO.password);
    expect_to_be(&mut client, TWO, &open, "second");
    client.refused(format!("RETR {private}"), &[550]);
    client.send("REIN").expect(220);
    client.log_in_as(ONE.name, ONE.password);
    expect_to_be(&mut client, ONE, &open, "third");
    assert_eq!(client.retr(&private), b"x");
}

#[test]
fn a_second_user_command_lets_another_account_log_in() {
    let Some(ground) = Ground::new() else { return };
    let open = ground.folder_of(ONE, 0o777);
    let server = ground.start(&["--max-clients", "2"]);
    let mut client = log_in(&server, ONE);
    expect_to_be(&mut client, ONE, &open, "first");
    client.send(format!("USER {}", TWO.name)).expect(331);
    client.send("PWD").expect(530);
    client.send(format!("PASS {}", TWO.password)).expect(230);
    expect_to_be(&mut client, TWO, &open, "second");
}

#[test]
fn a_second_login_that_fails_leaves_nobody() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&[]);
    let mut client = log_in(&server, ONE);
    client.send(format!("USER {}", TWO.name)).expect(331);
    client.send("PASS wrong").expect(530);
    client.send("PWD").expect(530);
    client.send(format!("RETR {}", ONE.home().join("x").display())).expect(530);
    client.log_in_as(ONE.name, ONE.password);
}

#[test]
fn commands_sent_along_with_rein_are_the_next_logins() {
    let Some(ground) = Ground::new() else { return };
    let open = ground.folder_of(ONE, 0o777);
    let server = ground.start(&[]);
    let mut client = log_in(&server, ONE);
    client.raw(format!(
        "REIN\r\nUSER {}\r\nPASS {}\r\nMKD {open}/made\r\nUSER {}\r\nPASS {}\r\nMKD {open}/made2\r\n",
        TWO.name, TWO.password, ONE.name, ONE.password
    ));
    for code in [220, 331, 230, 257, 331, 230, 257] {
        client.expect(code);
    }
    assert_eq!(ownership(&format!("{open}/made")).0, TWO.uid());
    assert_eq!(ownership(&format!("{open}/made2")).0, ONE.uid());
}

#[test]
fn a_session_that_changes_accounts_keeps_one_place() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&["--max-clients", "1"]);
    let mut client = log_in(&server, ONE);
    for _ in 0..5 {
        client.send("REIN").expect(220);
        client.log_in_as(TWO.name, TWO.password);
        client.send(format!("USER {}", ONE.name)).expect(331);
        client.send(format!("PASS {}", ONE.password)).expect(230);
        Client::connect(server.address()).expect(421);
    }
    client.send("QUIT").expect(221);
    wait_until("the place is free", || (Client::connect(server.address()).reply().code == 220).then_some(()));
}

#[test]
fn clients_one_after_another_are_each_their_account() {
    let Some(ground) = Ground::new() else { return };
    let open = ground.folder_of(ONE, 0o777);
    let server: Server = ground.start(&["--max-clients", "2"]);
    for n in 0..10 {
        let account = if n % 2 == 0 { ONE } else { TWO };
        let mut client = wait_until("a place is free", || {
            let mut client = Client::connect(server.address());
            (client.reply().code == 220).then_some(client)
        });
        client.log_in_as(account.name, account.password);
        expect_to_be(&mut client, account, &open, &format!("file{n}"));
        if n % 3 == 0 { client.vanish() } else { drop(client.send("QUIT").expect(221)) }
    }
}

#[test]
fn an_account_and_anonymous_take_turns() {
    let Some(ground) = Ground::new() else { return };
    let open = ground.folder_of(ONE, 0o777);
    let server = ground.start(&["--anonymous-root", &open, "--anonymous-user", "nobody"]);
    let nobody = users::get_user_by_name("nobody").expect("every system has it").uid();
    let mut client = log_in(&server, ONE);
    expect_to_be(&mut client, ONE, &open, "first");
    client.send("REIN").expect(220);
    client.log_in();
    client.stor("/second", "x");
    assert_eq!(ownership(&format!("{open}/second")).0, nobody);
    client.refused("RETR /etc/passwd", &[550]);
    client.send("REIN").expect(220);
    client.log_in_as(TWO.name, TWO.password);
    expect_to_be(&mut client, TWO, &open, "third");
    assert!(!client.retr("/etc/passwd").is_empty());
}

#[test]
fn every_client_of_a_crowd_is_its_own_account() {
    let Some(ground) = Ground::new() else { return };
    let open = ground.folder_of(ONE, 0o777);
    let server = ground.start(&[]);
    let mut clients: Vec<(TestAccount, Client)> =
        (0..12).map(|n| [ONE, TWO][n % 2]).map(|account| (account, log_in(&server, account))).collect();
    for round in 0..3 {
        for (n, (account, client)) in clients.iter_mut().enumerate() {
            expect_to_be(client, *account, &open, &format!("file{n}-{round}"));
        }
    }
}
