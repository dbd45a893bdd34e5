//! ferryd as process 1, which it is in a container without an init: it collects orphans, and
//! leaves its helpers to those who wait for them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;
use crate::ground::{Ground, ONE, children, run};
use crate::server::{ferryd, wait_until};

/// A server in a PID namespace of its own; it ends with the value.
struct Container {
    unshare: Child,
    address: SocketAddr,
    /// Its number outside of the namespace.
    pid: u32,
}

impl Container {
    fn start(ground: &Ground, args: &[&str]) -> Container {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"]);
        // The first orphan ends before anybody can collect it.
        command.arg("(sleep 0 &); sleep 0.2; exec \"$0\" \"$@\"").arg(ferryd().get_program());
        command.args(["-F", "-P", "0", "-a", "127.0.0.1", "-W", "--login-delay", "0", "-c"]);
        command.arg(ground.path("etc")).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut unshare = command.spawn().expect("util-linux is there");
        let mut line = String::new();
        BufReader::new(unshare.stdout.take().expect("piped")).read_line(&mut line).expect("it starts");
        let address = line.trim().strip_prefix("listening on ").and_then(|word| word.parse().ok());
        let pid = children(unshare.id())[0];
        Container { unshare, address: address.unwrap_or_else(|| panic!("{line:?}")), pid }
    }

    /// The names of its children that have ended and were not collected.
    fn zombies(&self) -> Vec<String> {
        let stat = |pid: u32| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let stats = children(self.pid).into_iter().map(stat);
        stats.filter(|stat| stat.contains(") Z ")).collect()
    }

    /// One whose parent ends first.
    fn make_orphan(&self) {
        let target = self.pid.to_string();
        run("nsenter", &["--target", &target, "--pid", "sh", "-c", "(sleep 0.1 &)"]);
    }

    fn log_in(&self) -> bool {
        let mut client = Client::connect(self.address);
        client.expect(220);
        client.send(format!("USER {}", ONE.name)).expect(331);
        client.send(format!("PASS {}", ONE.password)).expect_any(&[230, 421, 451]).code == 230
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("not zero");
    let _ = kill_process(pid, Signal::KILL); // It may have been an orphan that has ended.
}

#[test]
fn the_first_process_collects_orphans_and_replaces_helpers() {
    let Some(ground) = Ground::new() else { return };
    let server = Container::start(&ground, &["--auth-helpers", "1"]);
    wait_until("the orphan of before the start is collected", || server.zombies().is_empty().then_some(()));
    for _ in 0..3 {
        assert!(server.log_in());
        for _ in 0..5 {
            server.make_orphan();
        }
        // Those that check passwords end too; they are for others to collect.
        children(server.pid).into_iter().for_each(kill);
        wait_until("another login succeeds", || server.log_in().then_some(()));
        wait_until("the orphans are collected", || {
            server.zombies().iter().all(|stat| !stat.contains("sleep")).then_some(())
        });
    }
}
