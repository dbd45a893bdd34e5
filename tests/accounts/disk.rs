//! A full disk: told with 452, and the session goes on.

use std::fs;
use std::io::Write;
use std::process::Command;

use crate::client::Client;
use crate::ground::{Ground, ONE, give, log_in};

/// A file system of one mebibyte, unmounted on drop.
struct SmallDisk(String);

impl SmallDisk {
    /// `None` in a container that may not mount.
    fn new(ground: &Ground) -> Option<SmallDisk> {
        let path = ground.folder_of(ONE, 0o755);
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs", &path]).status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("left out: this container may not mount a file system");
            return None;
        }
        give(path.as_ref(), ONE, 0o755);
        Some(SmallDisk(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server that may still have a file open there ends after us.
        let _ = Command::new("umount").args(["-l", &self.0]).status();
    }
}

/// More than the disk holds; the code that ends it.
fn overfill(client: &mut Client, command: &str) -> u16 {
    let mut data = client.start(command);
    for _ in 0..64 {
        // The server may hang up before it has all of it.
        if data.write_all(&[b'x'; 65_536]).is_err() {
            break;
        }
    }
    drop(data);
    client.reply().code
}

#[test]
fn a_full_disk_is_told_and_the_session_lives() {
    let Some(ground) = Ground::new() else { return };
    let Some(disk) = SmallDisk::new(&ground) else { return };
    let server = ground.start(&[]);
    let mut client = log_in(&server, ONE);
    client.send(format!("CWD {}", disk.0)).expect(250);
    for representation in ["I", "A"] {
        client.send(format!("TYPE {representation}")).expect(200);
        for command in ["STOR big", "APPE big", "STOU big"] {
            assert_eq!(overfill(&mut client, command), 452, "{command} in TYPE {representation}");
            client.send("NOOP").expect(200);
        }
        // What arrived is left: it may be taken up again elsewhere.
        assert!(fs::metadata(format!("{}/big", disk.0)).expect("it is there").len() > 0);
        for name in fs::read_dir(&disk.0).expect("a folder").flatten() {
            client.send(format!("DELE {}", name.file_name().to_string_lossy())).expect(250);
        }
    }
    client.stor("small", "x");
    assert_eq!(fs::read(format!("{}/small", disk.0)).expect("it is there"), b"x");
}

#[test]
fn a_full_disk_makes_no_folders() {
    let Some(ground) = Ground::new() else { return };
    let Some(disk) = SmallDisk::new(&ground) else { return };
    let server = ground.start(&["--delete-aborted"]);
    let mut client = log_in(&server, ONE);
    client.send(format!("CWD {}", disk.0)).expect(250);
    client.send("TYPE I").expect(200);
    assert_eq!(overfill(&mut client, "STOR big"), 452);
    assert_eq!(fs::read_dir(&disk.0).expect("a folder").count(), 0, "--delete-aborted");
    // Folders until there is room for no more: tmpfs counts them in its own way.
    let made = (0..5000).take_while(|n| client.send(format!("MKD {n}")).reply().code == 257).count();
    if made < 5000 {
        client.send("MKD one-more").expect_any(&[452, 550, 553]);
    }
    client.send("NOOP").expect(200);
}

#[test]
fn allo_knows_how_small_the_disk_is() {
    let Some(ground) = Ground::new() else { return };
    let Some(disk) = SmallDisk::new(&ground) else { return };
    let server = ground.start(&[]);
    let mut client = log_in(&server, ONE);
    client.send(format!("CWD {}", disk.0)).expect(250);
    client.send("ALLO 500000").expect(200);
    client.send("ALLO 2000000").expect_any(&[452, 552]);
    assert_eq!(overfill(&mut client, "STOR big"), 452);
    client.send("ALLO 500000").expect_any(&[452, 552]);
}

#[test]
fn space_that_must_stay_free_is_not_written_to() {
    let Some(ground) = Ground::new() else { return };
    let Some(disk) = SmallDisk::new(&ground) else { return };
    let server = ground.start(&["--min-free-space", "60%"]);
    let mut client = log_in(&server, ONE);
    client.send(format!("CWD {}", disk.0)).expect(250);
    client.send("TYPE I").expect(200);
    client.stor("fits", vec![b'x'; 200_000]);
    client.send("ALLO 100000").expect(200);
    client.send("ALLO 300000").expect_any(&[452, 552]);
    match client.try_start("STOR big") {
        Ok(mut data) => {
            let _ = data.write_all(&vec![b'x'; 700_000]);
            drop(data);
            client.expect_any(&[452, 552]);
        }
        Err(reply) => assert!([452, 552].contains(&reply.code), "{}", reply.text()),
    }
    client.send("NOOP").expect(200);
    let size = fs::metadata(format!("{}/big", disk.0)).map_or(0, |meta| meta.len());
    // What is in the server's buffers when it looks may go over.
    assert!(size < 600_000, "{size} bytes of the disk's 1,048,576 were written");
}
