//! ftpchroot and --chroot: who is kept where.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::client::Client;
use crate::ground::{Ground, ONE, TWO, TestAccount, give, log_in, write};
use crate::server::Server;

/// A jail with `file` and `sub`, and `outside` next to it.
fn jail(ground: &Ground) -> String {
    let top = ground.folder_of(ONE, 0o755);
    for name in ["jail", "jail/sub", "outside"] {
        let path = Path::new(&top).join(name);
        fs::create_dir(&path).expect("our own folder");
        give(&path, ONE, 0o755);
    }
    write(&top, "jail/file", "inside", ONE, 0o644);
    write(&top, "outside/secret", "outside", ONE, 0o644);
    format!("{top}/jail")
}

#[track_caller]
fn expect_confined(client: &mut Client) {
    client.send("CWD /").expect(250);
    assert_eq!(client.retr("file"), b"inside");
    assert_eq!(client.names(""), ["file", "sub"]);
    for name in ["../outside/secret", "/../outside/secret", "/etc/passwd", "sub/../../outside/secret"] {
        client.refused(format!("RETR {name}"), &[550]);
    }
    client.send("CWD ..").expect(250);
    assert_eq!(client.send("PWD").expect(257).quoted_path(), b"/");
    client.send("CWD /etc").expect(550);
}

#[track_caller]
fn expect_free(client: &mut Client) {
    assert!(!client.retr("/etc/passwd").is_empty());
}

#[track_caller]
fn expect_refused(server: &Server, account: TestAccount) {
    let mut client = server.connect();
    client.send(format!("USER {}", account.name)).expect(331);
    client.send(format!("PASS {}", account.password)).expect_any(&[530, 550, 421, 451]);
    client.raw_if_open("RETR /etc/passwd\r\n");
    if let Some(reply) = client.try_reply() {
        assert!([421, 425, 530].contains(&reply.code), "{}", reply.text());
    }
}

#[test]
fn ftpchroot_keeps_an_account_in_a_folder() {
    let Some(ground) = Ground::new() else { return };
    let jail = jail(&ground);
    let server = ground.start(&[]);
    for line in [
        format!("ferrytest1 {jail}"),
        format!("# a comment\n\nsomebody /\nferrytest1\t{jail}\nferrytest1 /"),
        format!("@ferrygroup {jail}"),
        format!("@ferrytest1 {jail}"),
        format!("@ {jail}"),
        format!("ferrytest1 {jail}/"),
    ] {
        ground.configure("ftpchroot", &line);
        let mut client = log_in(&server, ONE);
        assert_eq!(client.send("PWD").expect(257).quoted_path(), b"/", "{line}");
        expect_confined(&mut client);
    }
}

#[test]
fn ftpchroot_keeps_those_it_names_and_no_others() {
    let Some(ground) = Ground::new() else { return };
    let jail = jail(&ground);
    let server = ground.start(&[]);
    for line in [format!("ferrytest1 {jail}"), format!("@ferrygroup {jail}"), format!("#ferrytest2 {jail}")] {
        ground.configure("ftpchroot", &line);
        expect_free(&mut log_in(&server, TWO));
    }
}

#[test]
fn a_dot_in_the_path_is_where_the_client_starts() {
    let Some(ground) = Ground::new() else { return };
    let jail = jail(&ground);
    ground.configure("ftpchroot", &format!("ferrytest1 {jail}/./sub"));
    let server = ground.start(&[]);
    let mut client = log_in(&server, ONE);
    assert_eq!(client.send("PWD").expect(257).quoted_path(), b"/sub");
    expect_confined(&mut client);
}

#[test]
fn without_a_folder_the_home_is_the_root() {
    let Some(ground) = Ground::new() else { return };
    let home = ONE.home();
    let name = format!("test-{}-home", std::process::id());
    write(home.to_str().expect("plain"), &name, "home", ONE, 0o644);
    for (file, option) in [("ferrytest1\n", "file"), ("", "all")] {
        ground.configure("ftpchroot", file);
        let server = ground.start(&["--chroot", option]);
        let mut client = log_in(&server, ONE);
        assert_eq!(client.send("PWD").expect(257).quoted_path(), b"/");
        assert_eq!(client.retr(format!("/{name}")), b"home");
        client.refused("RETR /etc/passwd", &[550]);
        client.refused(format!("RETR {}", home.join(&name).display()), &[550]);
    }
    fs::remove_file(home.join(&name)).expect("root may");
}

#[test]
fn a_relative_folder_is_one_in_the_home() {
    let Some(ground) = Ground::new() else { return };
    let home = ONE.home();
    let name = format!("test-{}-relative", std::process::id());
    fs::create_dir(home.join(&name)).expect("root may");
    give(&home.join(&name), ONE, 0o755);
    write(home.to_str().expect("plain"), &format!("{name}/file"), "inside", ONE, 0o644);
    ground.configure("ftpchroot", &format!("ferrytest1 {name}"));
    let server = ground.start(&[]);
    let mut client = log_in(&server, ONE);
    assert_eq!(client.retr("/file"), b"inside");
    client.refused("RETR /etc/passwd", &[550]);
    fs::remove_dir_all(home.join(&name)).expect("root may");
}

#[test]
fn chroot_none_keeps_nobody() {
    let Some(ground) = Ground::new() else { return };
    ground.configure("ftpchroot", "@\n");
    expect_free(&mut log_in(&ground.start(&["--chroot", "none"]), ONE));
}

#[test]
fn an_ftpchroot_that_cannot_be_understood_refuses_the_login() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&[]);
    for line in ["ferrytest1 /no/such/folder", "ferrytest1 /etc/passwd"] {
        ground.configure("ftpchroot", line);
        expect_refused(&server, ONE);
        log_in(&server, TWO);
    }
    fs::remove_file(ground.path("etc/ftpchroot")).expect("our own folder");
    fs::create_dir(ground.path("etc/ftpchroot")).expect("our own folder");
    expect_refused(&server, ONE);
    expect_refused(&server, TWO);
}

#[test]
fn an_account_cannot_move_its_own_jail() {
    let Some(ground) = Ground::new() else { return };
    let top = ground.folder_of(ONE, 0o755);
    let link = format!("{top}/jail");
    symlink("/", &link).expect("our own folder");
    std::os::unix::fs::lchown(&link, Some(ONE.uid()), Some(ONE.gid())).expect("root may");
    ground.configure("ftpchroot", &format!("ferrytest1 {link}"));
    let server = ground.start(&[]);
    expect_refused(&server, ONE);
    // Nor a folder on the way to it.
    let jail = jail(&ground);
    let parent = Path::new(&jail).parent().expect("it has one").to_owned();
    symlink(&parent, format!("{top}/way")).expect("our own folder");
    std::os::unix::fs::lchown(format!("{top}/way"), Some(ONE.uid()), Some(ONE.gid())).expect("root may");
    ground.configure("ftpchroot", &format!("ferrytest1 {top}/way/jail"));
    expect_refused(&server, ONE);
}

#[test]
fn links_of_the_account_do_not_lead_out_of_its_jail() {
    let Some(ground) = Ground::new() else { return };
    let jail = jail(&ground);
    for (name, target) in [
        ("absolute", "/etc"),
        ("relative", "../outside"),
        ("proc", "/proc/self/root"),
        ("fd", "/proc/self/fd"),
        ("far", "../../../../../../../../etc"),
    ] {
        symlink(target, format!("{jail}/sub/{name}")).expect("our own folder");
    }
    ground.configure("ftpchroot", &format!("ferrytest1 {jail}"));
    let server = ground.start(&[]);
    let mut client = log_in(&server, ONE);
    for name in ["absolute", "relative", "proc", "fd", "far"] {
        client.send(format!("CWD /sub/{name}")).expect(550);
        client.refused(format!("RETR /sub/{name}/passwd"), &[550]);
        client.refused(format!("RETR /sub/{name}/secret"), &[550]);
        client.refused(format!("STOR /sub/{name}/new"), &[550, 553]);
    }
    expect_confined(&mut client);
}

#[test]
fn a_confined_account_has_its_rights_inside() {
    let Some(ground) = Ground::new() else { return };
    let jail = jail(&ground);
    ground.configure("ftpchroot", &format!("@ {jail}"));
    let server = ground.start(&[]);
    let mut owner = log_in(&server, ONE);
    owner.stor("/sub/mine", "x");
    assert_eq!(crate::ground::ownership(&format!("{jail}/sub/mine")).0, ONE.uid());
    let mut guest = log_in(&server, TWO);
    assert_eq!(guest.retr("/file"), b"inside");
    guest.refused("STOR /sub/theirs", &[550, 553]);
    guest.send("DELE /sub/mine").expect(550);
    // The listing names owners, although the jail has no /etc/passwd.
    assert_eq!(owner.list("/sub/mine")[0].owner, ONE.name);
}
