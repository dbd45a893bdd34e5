//! /proc as an account that is not confined sees it: nothing of the server's.

use std::io::{Read, Write};

use crate::ground::{Ground, ONE, TWO, log_in, write};

#[test]
fn what_the_server_holds_open_is_not_served() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&[]);
    let pid = server.pid();
    let mut client = log_in(&server, ONE);
    for folder in ["/proc/self".to_owned(), "/proc/thread-self".to_owned(), format!("/proc/{pid}")] {
        for n in 0..30 {
            client.refused(format!("RETR {folder}/fd/{n}"), &[550]);
            client.send(format!("CWD {folder}/fd/{n}")).expect(550);
            client.refused(format!("LIST {folder}/fd/{n}/"), &[450, 550]);
        }
        for link in ["root", "cwd", "fd", "map_files"] {
            client.send(format!("CWD {folder}/{link}")).expect(550);
            client.refused(format!("LIST {folder}/{link}/"), &[450, 550]);
            client.refused(format!("RETR {folder}/{link}/etc/shadow"), &[550]);
            client.refused(format!("RETR {folder}/{link}/etc/passwd"), &[550]);
        }
        for file in ["environ", "mem", "maps", "exe", "auxv"] {
            client.refused(format!("RETR {folder}/{file}"), &[550]);
            client.refused(format!("STOR {folder}/{file}"), &[550, 553]);
        }
        client.refused(format!("RETR {folder}/task/{pid}/environ"), &[550]);
        client.refused(format!("RETR {folder}/task/{pid}/fd/1"), &[550]);
    }
}

#[test]
fn names_of_files_that_others_have_open_are_not_told() {
    let Some(ground) = Ground::new() else { return };
    let private = ground.folder_of(TWO, 0o700);
    let server = ground.start(&[]);
    let mut owner = log_in(&server, TWO);
    owner.send("TYPE I").expect(200);
    let mut data = owner.start(format!("STOR {private}/name-of-the-file"));
    data.write_all(b"x").expect("the server takes it");
    let mut client = log_in(&server, ONE);
    let pid = server.pid();
    for folder in
        ["/proc/self", "/proc/thread-self", &format!("/proc/{pid}"), &format!("/proc/{pid}/task/{pid}")]
    {
        for command in ["LIST", "LIST -l", "LIST -L", "NLST", "MLSD", "LIST -R"] {
            for name in ["fd", "fd/", "fd/*", "map_files", "."] {
                if let Ok(data) = client.try_start(format!("{command} {folder}/{name}")) {
                    let mut told = Vec::new();
                    let _ = { data }.read_to_end(&mut told);
                    client.reply();
                    let told = String::from_utf8_lossy(&told).into_owned();
                    assert!(!told.contains("name-of-the-file"), "{command} {folder}/{name}: {told}");
                }
            }
        }
        let told = client.send(format!("STAT {folder}/fd")).reply().text();
        assert!(!told.contains("name-of-the-file"), "STAT {folder}/fd: {told}");
    }
    drop(data);
    owner.expect(226);
}

#[test]
fn devices_are_not_served() {
    let Some(ground) = Ground::new() else { return };
    let server = ground.start(&[]);
    let mut client = log_in(&server, ONE);
    for name in
        ["/dev/zero", "/dev/null", "/dev/stdin", "/dev/fd/0", "/dev/tty", "/dev/urandom", "/proc/kmsg"]
    {
        client.refused(format!("RETR {name}"), &[550]);
        client.refused(format!("STOR {name}"), &[550, 553]);
    }
    client.send("NOOP").expect(200);
}

#[test]
fn links_into_proc_are_no_way_around() {
    let Some(ground) = Ground::new() else { return };
    let folder = ground.folder_of(ONE, 0o755);
    for (name, target) in [("fd", "/proc/self/fd"), ("root", "/proc/self/root"), ("null", "/dev/null")] {
        std::os::unix::fs::symlink(target, format!("{folder}/{name}")).expect("our own folder");
    }
    write(&folder, "file", "x", ONE, 0o644);
    let server = ground.start(&[]);
    let mut client = log_in(&server, ONE);
    client.send(format!("CWD {folder}")).expect(250);
    client.send("CWD root").expect(550);
    client.refused("RETR root/etc/passwd", &[550]);
    for n in 0..30 {
        client.refused(format!("RETR fd/{n}"), &[550]);
    }
    assert_eq!(client.retr("file"), b"x");
}
