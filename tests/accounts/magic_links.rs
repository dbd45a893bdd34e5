//! /proc as an account that is not confined sees it: nothing of the server's.

use crate::ground::{Ground, ONE, log_in, write};

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
