//! What a service manager is told: sd_notify(3).

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;

use crate::support::{DEADLINE, Folder, Server};

struct Manager(UnixDatagram);

impl Manager {
    fn in_folder(folder: &Folder) -> (Manager, String) {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        (Manager(socket), path.to_str().unwrap().to_owned())
    }

    fn hears(&self, what: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let length = self.0.recv(&mut buffer).unwrap_or_else(|err| panic!("{what}: {err}"));
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.lines().any(|line| line == what) {
                return message;
            }
        }
    }
}

#[test]
fn a_manager_hears_of_the_start_the_reload_and_the_end() {
    let folder = Folder::new();
    let (manager, path) = Manager::in_folder(&folder);
    let mut server = Server::start_in(folder, &[], &[("NOTIFY_SOCKET", &path)]);
    let ready = manager.hears("READY=1");
    assert!(ready.contains(&format!("STATUS=listening on {}", server.address)), "{ready}");
    let mut client = server.log_in();
    server.process.signal(Signal::HUP);
    assert!(manager.hears("RELOADING=1").contains("MONOTONIC_USEC="));
    manager.hears("READY=1");
    client.send("NOOP").expect(200);
    server.process.signal(Signal::TERM);
    manager.hears("STOPPING=1");
    client.expect(421);
    assert!(server.process.exit_status().success());
}

#[test]
fn the_watchdog_is_fed_while_nothing_happens() {
    let folder = Folder::new();
    let (manager, path) = Manager::in_folder(&folder);
    let env = [("NOTIFY_SOCKET", path.as_str()), ("WATCHDOG_USEC", "50000")];
    let _server = Server::start_in(folder, &[], &env);
    for _ in 0..3 {
        manager.hears("WATCHDOG=1");
    }
}

#[test]
fn a_manager_that_has_gone_does_not_matter() {
    let folder = Folder::new();
    let (manager, path) = Manager::in_folder(&folder);
    let mut server = Server::start_in(folder, &[], &[("NOTIFY_SOCKET", &path)]);
    drop(manager);
    server.process.signal(Signal::HUP);
    server.log_in().send("NOOP").expect(200);
    server.process.signal(Signal::TERM);
    assert!(server.process.exit_status().success());
}
