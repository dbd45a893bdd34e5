//! The root of the tree holds: no path, link, listing or pattern leads out of it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::client::Client;
use crate::server::{Server, is_root};

const SECRET: &str = "nobody may read this";

/// Outside lies a secret that everybody could read and change, and an empty folder.
fn server_beside_a_secret() -> Server {
    let server = Server::start(&[]);
    let outside = server.outside();
    fs::write(outside.join("secret"), SECRET).expect("our own folder");
    fs::create_dir(outside.join("empty")).expect("our own folder");
    for (name, mode) in [("", 0o777), ("secret", 0o666), ("empty", 0o777)] {
        fs::set_permissions(outside.join(name), fs::Permissions::from_mode(mode)).expect("our own file");
    }
    server.mkdir("sub");
    server.write("sub/file", "x");
    server
}

#[track_caller]
fn expect_untouched(server: &Server) {
    let outside = server.outside();
    assert_eq!(fs::read_to_string(outside.join("secret")).expect("it is there"), SECRET);
    let meta = fs::metadata(outside.join("secret")).expect("it is there");
    assert_eq!(meta.mode() & 0o777, 0o666);
    assert!(meta.mtime() > 1_500_000_000, "its time was set");
    let mut names: Vec<_> =
        fs::read_dir(&outside).expect("a folder").map(|e| e.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["empty", "secret"]);
    assert!(fs::read_dir(outside.join("empty")).expect("a folder").next().is_none());
}

/// Every command that takes a path, aimed at a folder outside that has `secret` and `empty`.
#[track_caller]
fn try_everything(client: &mut Client, folder: &str) {
    let path = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    let secret = path("secret");
    for command in [
        format!("CWD {}", path("empty")),
        format!("SIZE {secret}"),
        format!("MDTM {secret}"),
        format!("MLST {secret}"),
        format!("STAT {secret}"),
        format!("DELE {secret}"),
        format!("RMD {}", path("empty")),
        format!("MKD {}", path("made")),
        format!("MKD {}", path("empty/made")),
        format!("RNFR {secret}"),
        format!("SITE CHMOD 600 {secret}"),
        format!("MFMT 20010909014640 {secret}"),
        format!("SITE UTIME 20010909014640 {secret}"),
    ] {
        let reply = client.send(&command).reply();
        assert!((400..600).contains(&reply.code), "{command}: {}", reply.text());
    }
    for command in [
        format!("RETR {secret}"),
        format!("STOR {secret}"),
        format!("APPE {secret}"),
        format!("STOR {}", path("empty/stored")),
        format!("STOU {}", path("empty/stored")),
        format!("LIST {secret}"),
        format!("NLST {secret}"),
        format!("LIST {}", path("secre*")),
        format!("NLST {}", path("s*")),
        format!("MLSD {}", path("empty")),
        format!("LIST {}", path("empty")),
    ] {
        if let Ok(data) = client.try_start(&command) {
            client.fail(&format!("{command} was begun: {}", client.read_to_end(data).escape_ascii()));
        }
    }
    client.send("RNFR /sub/file").expect(350);
    client.send(format!("RNTO {}", path("moved"))).expect_refusal();
    client.send("RNFR /sub/file").expect(350);
    client.send(format!("RNTO {}", path("empty/moved"))).expect_refusal();
}

#[test]
fn dots_do_not_lead_out_of_the_root() {
    let server = server_beside_a_secret();
    let mut client = server.log_in();
    for folder in
        ["../outside", "/../outside", "sub/../../outside", "sub/../../../outside", ".././../outside"]
    {
        try_everything(&mut client, folder);
    }
    client.send("CWD sub").expect(250);
    try_everything(&mut client, "../../outside");
    expect_untouched(&server);
}

#[test]
fn the_real_path_is_no_path_here() {
    let server = server_beside_a_secret();
    let real = server.outside();
    try_everything(&mut server.log_in(), real.to_str().expect("a plain path"));
    expect_untouched(&server);
}

#[test]
fn links_do_not_lead_out_of_the_root() {
    let server = server_beside_a_secret();
    let outside = server.outside();
    server.symlink(&outside, "absolute");
    server.symlink("../outside", "relative");
    server.symlink("../../../../../../..", "far");
    server.symlink("absolute", "chain");
    server.symlink("../../outside", "sub/deep");
    server.symlink("/proc/self/root", "proc");
    let real = outside.to_str().expect("a plain path").to_owned();
    let mut client = server.log_in();
    for folder in ["absolute", "relative", "chain", "sub/deep", "absolute/.", "relative/../outside"] {
        try_everything(&mut client, folder);
    }
    try_everything(&mut client, &format!("far{real}"));
    try_everything(&mut client, &format!("proc{real}"));
    expect_untouched(&server);
}

#[test]
fn links_to_single_files_do_not_lead_out_of_the_root() {
    let server = server_beside_a_secret();
    server.symlink(server.outside().join("secret"), "link");
    server.symlink("../outside/secret", "link2");
    server.symlink("../outside/new", "dangling");
    let mut client = server.log_in();
    for name in ["link", "link2"] {
        for command in ["SIZE", "MDTM", "MFMT 20010909014640", "SITE CHMOD 600", "SITE UTIME 20010909014640"]
        {
            client.send(format!("{command} {name}")).expect_refusal();
        }
        for command in ["RETR", "APPE"] {
            client.refused(format!("{command} {name}"), &[550, 553]);
        }
    }
    for name in ["link", "link2", "dangling"] {
        // A file of that name in the client's tree would be no harm.
        if let Ok(data) = client.try_start(format!("STOR {name}")) {
            drop(data);
            client.reply();
        }
    }
    expect_untouched(&server);
}

#[test]
fn listings_do_not_follow_links_out_of_the_root() {
    let server = server_beside_a_secret();
    server.symlink(server.outside(), "absolute");
    server.symlink("../outside", "relative");
    server.symlink("..", "up");
    server.symlink("/", "down");
    let mut client = server.log_in();
    for command in [
        "LIST",
        "LIST -R",
        "LIST -laR",
        "NLST",
        "NLST *",
        "LIST *",
        "NLST */*",
        "LIST -R *",
        "MLSD",
        "LIST -L",
    ] {
        if let Ok(data) = client.try_start(command) {
            let listed = client.read_to_end(data);
            let leaks = listed.windows(6).any(|six| six == b"secret");
            assert!(!leaks, "{command}: {}", listed.escape_ascii());
            client.reply();
        }
    }
    let reply = client.send("STAT *").reply();
    assert!(!reply.text().contains("secret"));
}

#[test]
fn a_folder_that_becomes_a_link_does_not_lead_out_of_the_root() {
    let server = server_beside_a_secret();
    let mut client = server.log_in();
    client.send("CWD sub").expect(250);
    fs::rename(server.path("sub"), server.path("old")).expect("our own folder");
    server.symlink(server.outside(), "sub");
    for command in ["RETR secret", "STOR secret", "APPE secret", "LIST secret", "STOR empty/x", "MLSD empty"]
    {
        if let Ok(data) = client.try_start(command) {
            let got = client.read_to_end(data);
            client.fail(&format!("{command} was begun: {}", got.escape_ascii()));
        }
    }
    client.send("DELE secret").expect_refusal();
    client.send("MKD empty/x").expect_refusal();
    expect_untouched(&server);
}

#[test]
fn a_folder_moved_out_of_the_root_is_not_served() {
    let server = server_beside_a_secret();
    server.mkdir("sub/deep");
    let mut client = server.log_in();
    client.send("CWD sub/deep").expect(250);
    // The administrator moves the folder in which the client is, next to the secret.
    fs::rename(server.path("sub"), server.outside().join("sub")).expect("our own folder");
    for command in ["RETR ../../secret", "RETR ../../../outside/secret", "LIST ../.."] {
        if let Ok(data) = client.try_start(command) {
            let got = client.read_to_end(data);
            assert!(
                !got.windows(6).any(|six| six == b"secret" || six == b"nobody"),
                "{command}: {}",
                got.escape_ascii()
            );
            client.reply();
        }
    }
    client.send("CWD ..").reply();
    client.send("CWD ..").reply();
    client.refused("RETR secret", &[550]);
}

#[test]
fn the_servers_own_files_in_proc_are_not_served() {
    // Only a tree that holds /proc could lead there; the links that would are in the client's.
    let server = server_beside_a_secret();
    let pid = server.pid();
    for (n, target) in [
        "/proc/self/fd/0".to_owned(),
        "/proc/self/environ".to_owned(),
        "/proc/thread-self/root/etc/passwd".to_owned(),
        format!("/proc/{pid}/root/etc/passwd"),
        "/dev/stdin".to_owned(),
        "/etc/passwd".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        server.symlink(target, format!("link{n}"));
    }
    let mut client = server.log_in();
    for n in 0..6 {
        client.refused(format!("RETR link{n}"), &[550]);
    }
    client.refused("RETR /etc/passwd", &[550]);
    client.refused("RETR /proc/self/environ", &[550]);
}

#[test]
fn the_whole_file_system_may_be_the_root() {
    if is_root() {
        return; // The tests' folder is the root of the next test's account only.
    }
    let folder = crate::server::Folder::new();
    folder.write("file", "inside");
    let real = folder.path("file");
    let server = Server::start_raw(&["-F", "-A", "-P", "0", "-a", "127.0.0.1", "--anonymous-root", "/"]);
    let mut client = server.log_in();
    assert_eq!(client.retr(real.to_str().expect("a plain path")), b"inside");
    // What the process holds open is not the client's to see.
    for n in 0..20 {
        client.refused(format!("RETR /proc/self/fd/{n}"), &[550]);
        client.send(format!("CWD /proc/self/fd/{n}")).expect(550);
    }
    for path in ["/proc/self/root", "/proc/self/cwd", "/proc/thread-self/root"] {
        client.send(format!("CWD {path}")).expect(550);
    }
}
