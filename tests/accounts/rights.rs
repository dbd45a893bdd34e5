//! A session has its account's rights: all of them, and no others.

use std::fs;

use crate::client::Client;
use crate::ground::{GROUP, Ground, ONE, TWO, log_in, ownership, run, write};
use crate::server::wait_until;

#[test]
fn what_a_client_makes_belongs_to_its_account() {
    let Some(ground) = Ground::new() else { return };
    for account in [ONE, TWO] {
        let folder = ground.folder_of(account, 0o755);
        let server = ground.start(&["-u", "027"]);
        let mut client = log_in(&server, account);
        client.send(format!("CWD {folder}")).expect(250);
        client.stor("file", "x");
        client.upload("APPE appended", "x");
        client.upload("STOU", "x");
        client.send("MKD sub").expect(257);
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let mode = if entry.path().is_dir() { 0o750 } else { 0o640 };
            let path = entry.path().into_os_string().into_string().expect("plain");
            assert_eq!(ownership(&path), (account.uid(), account.gid(), mode), "{path}");
        }
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 4);
    }
}

#[test]
fn the_umask_option_is_applied_to_accounts() {
    let Some(ground) = Ground::new() else { return };
    let folder = ground.folder_of(ONE, 0o755);
    let server = ground.start(&["-u", "002"]);
    let mut client = log_in(&server, ONE);
    client.send(format!("CWD {folder}")).expect(250);
    client.stor("file", "x");
    client.send("MKD sub").expect(257);
    assert_eq!(ownership(&format!("{folder}/file")).2, 0o664);
    assert_eq!(ownership(&format!("{folder}/sub")).2, 0o775);
}

#[test]
fn no_account_reads_or_changes_the_others_files() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&[]);
    let accounts = [ONE, TWO];
    let folders = accounts.map(|account| ground.folder_of(account, 0o755));
    for (account, folder) in accounts.iter().zip(&folders) {
        write(folder, "private", account.name, *account, 0o600);
        write(folder, "public", account.name, *account, 0o644);
    }
    // Both at the same time, in one process.
    let mut clients = accounts.map(|account| log_in(&server, account));
    for (n, client) in clients.iter_mut().enumerate() {
        let (own, other) = (&folders[n], &folders[1 - n]);
        assert_eq!(client.retr(format!("{own}/private")), accounts[n].name.as_bytes());
        assert_eq!(client.retr(format!("{other}/public")), accounts[1 - n].name.as_bytes());
        client.refused(format!("RETR {other}/private"), &[550]);
        for command in ["STOR", "APPE"] {
            for name in ["private", "public", "new"] {
                client.refused(format!("{command} {other}/{name}"), &[550, 553]);
            }
        }
        for command in [
            format!("DELE {other}/public"),
            format!("MKD {other}/new"),
            format!("SITE CHMOD 666 {other}/private"),
            format!("MFMT 20010909014640 {other}/public"),
        ] {
            client.send(command).expect_any(&[550, 553]);
        }
        if client.send(format!("RNFR {other}/public")).expect_any(&[350, 550]).code == 350 {
            client.send(format!("RNTO {own}/stolen")).expect_any(&[550, 553]);
        }
        client.send("NOOP").expect(200);
    }
    for (account, folder) in accounts.iter().zip(&folders) {
        assert_eq!(ownership(&format!("{folder}/private")), (account.uid(), account.gid(), 0o600));
        assert_eq!(fs::read_dir(folder).expect("a folder").count(), 2);
    }
}

#[test]
fn what_is_roots_is_not_the_accounts() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&[]);
    let mut client = log_in(&server, ONE);
    for name in ["/etc/shadow", "/proc/1/environ", "/proc/kcore", "/root/.profile"] {
        client.refused(format!("RETR {name}"), &[550]);
    }
    for name in ["/etc/passwd", "/etc/new", "/new", "/usr/bin/new"] {
        client.refused(format!("STOR {name}"), &[550, 553]);
    }
    client.send("DELE /etc/passwd").expect(550);
    client.send("SITE CHMOD 666 /etc/passwd").expect(550);
    client.send("RNFR /etc/hostname").expect_any(&[350, 550]);
    client.send("RNTO /etc/hostname2").expect_any(&[503, 550, 553]);
}

#[test]
fn supplementary_groups_give_their_access() {
    let Some(ground) = Ground::new() else { return };
    let shared = ground.folder_of(ONE, 0o770);
    run("chown", &[&format!("root:{GROUP}"), &shared]);
    fs::write(format!("{shared}/file"), "for the group").expect("root may");
    run("chown", &[&format!("root:{GROUP}"), &format!("{shared}/file")]);
    run("chmod", &["640", &format!("{shared}/file")]);
    let server = ground.start(&[]);
    let mut member = log_in(&server, ONE);
    assert_eq!(member.retr(format!("{shared}/file")), b"for the group");
    member.stor(format!("{shared}/new"), "x");
    let mut stranger = log_in(&server, TWO);
    stranger.send(format!("CWD {shared}")).expect(550);
    stranger.refused(format!("RETR {shared}/file"), &[550]);
    stranger.refused(format!("STOR {shared}/new2"), &[550, 553]);
}

/// `/proc/PID/task/TID/status` of the thread that has become an account.
fn thread_of(pid: u32, uid: u32) -> String {
    wait_until("a thread has become the account", || {
        fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").flatten().find_map(|task| {
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            let effective: u32 = field(&status, "Uid:").get(1)?.parse().ok()?;
            (effective == uid).then_some(status)
        })
    })
}

fn field<'a>(status: &'a str, name: &str) -> Vec<&'a str> {
    let line =
        status.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {status}"));
    line.split_whitespace().skip(1).collect()
}

#[test]
fn a_sessions_thread_may_use_port_20_and_nothing_else_of_roots() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&[]);
    let _client: Client = log_in(&server, ONE);
    let status = thread_of(server.pid(), ONE.uid());
    let uids = field(&status, "Uid:");
    let own = ONE.uid().to_string();
    // Effective and file system: the account's. Real and saved: neither the account's, whose
    // processes could signal the thread, nor root's.
    assert_eq!((uids[1], uids[3]), (own.as_str(), own.as_str()));
    assert!([uids[0], uids[2]].iter().all(|uid| *uid != own && *uid != "0"), "{uids:?}");
    assert_eq!(field(&status, "Gid:"), [ONE.gid().to_string().as_str(); 4]);
    let group = users::get_group_by_name(GROUP).expect("our own group").gid().to_string();
    let mut groups = field(&status, "Groups:");
    let gid = ONE.gid().to_string();
    groups.retain(|&id| id != gid);
    assert_eq!(groups, [group.as_str()]);
    const NET_BIND_SERVICE: &str = "0000000000000400";
    const NONE: &str = "0000000000000000";
    assert_eq!(field(&status, "CapEff:"), [NET_BIND_SERVICE]);
    assert_eq!(field(&status, "CapPrm:"), [NET_BIND_SERVICE]);
    assert_eq!(field(&status, "CapInh:"), [NONE]);
    assert_eq!(field(&status, "CapAmb:"), [NONE]);
    assert_eq!(field(&status, "NoNewPrivs:"), ["1"]);
}

#[test]
fn perm_facts_are_those_of_the_account() {
    let Some(ground) = Ground::new() else { return };
    let folder = ground.folder_of(TWO, 0o755);
    write(&folder, "private", "x", TWO, 0o600);
    write(&folder, "public", "x", TWO, 0o644);
    let server = ground.start(&[]);
    let perm = |account, name: &str| {
        let mut perm: Vec<char> = log_in(&server, account)
            .mlst(format!("{folder}/{name}"))
            .get("perm")
            .to_lowercase()
            .chars()
            .collect();
        perm.sort_unstable();
        perm.into_iter().collect::<String>()
    };
    assert_eq!(perm(TWO, "private"), "adfrw");
    assert_eq!(perm(ONE, "private"), "");
    assert_eq!(perm(ONE, "public"), "r");
    assert_eq!(perm(ONE, ""), "el");
}
