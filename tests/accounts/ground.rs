//! What a test stands on: a server that root started, accounts, and folders that belong to them.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::client::Client;
use crate::server::{Folder, Server, is_root};
use crate::test_support::leave_out;

/// An account of scripts/test-accounts.sh.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TestAccount {
    pub(crate) name: &'static str,
    pub(crate) password: &'static str,
}

macro_rules! account {
    ($name:literal) => {
        TestAccount { name: $name, password: concat!($name, "-Secret") }
    };
}

pub(crate) const ONE: TestAccount = account!("ferrytest1");
pub(crate) const TWO: TestAccount = account!("ferrytest2");
/// Its password has spaces, quotes, colons and what is not ASCII.
pub(crate) const ODD: TestAccount =
    TestAccount { name: "ferryodd", password: "two words, \"quotes\" & :colons: -\\ ä" };
/// Its name has a blank and a quote in it.
pub(crate) const QUOTED: TestAccount = account!("ferry o'neil");
/// Its name is that of a domain's account.
pub(crate) const DOMAIN: TestAccount = account!("FERRY\\first");
/// Its shell is not in /etc/shells.
pub(crate) const NO_SHELL: TestAccount = account!("ferrynoshell");
/// For the tests' own ftpusers.
pub(crate) const DENIED: TestAccount = account!("ferrydenied");
pub(crate) const LOCKED: TestAccount = account!("ferrylocked");
/// The account is past its day, as `chage -E` set it.
pub(crate) const EXPIRED: TestAccount = account!("ferryexpired");
/// The password must be changed at the next login.
pub(crate) const STALE: TestAccount = account!("ferrystale");
/// Below the uids of people.
pub(crate) const SYSTEM: TestAccount = account!("ferrysystem");

/// The group that ferrytest1 has besides its own, and ferrytest2 has not.
pub(crate) const GROUP: &str = "ferrygroup";

impl TestAccount {
    pub(crate) fn uid(self) -> u32 {
        users::get_user_by_name(self.name).expect("scripts/test-accounts.sh made it").uid()
    }

    pub(crate) fn gid(self) -> u32 {
        users::get_user_by_name(self.name).expect("scripts/test-accounts.sh made it").primary_group_id()
    }

    pub(crate) fn home(self) -> PathBuf {
        let line = fs::read_to_string("/etc/passwd").expect("every system has it");
        let line =
            line.lines().find(|line| line.starts_with(&format!("{}:", self.name))).expect("our account");
        line.split(':').nth(5).expect("a home").into()
    }
}

/// A folder for one test, with a config directory, `etc`, whose files say nothing yet.
pub(crate) struct Ground {
    folder: Folder,
    count: Cell<u32>,
}

impl Ground {
    /// `None` where this test cannot be run.
    pub(crate) fn new() -> Option<Ground> {
        let missing = if !is_root() {
            Some("only root can start a server for accounts")
        } else if users::get_user_by_name(ONE.name).is_none() {
            Some("scripts/test-accounts.sh has not been run")
        } else {
            None
        };
        if let Some(reason) = missing {
            leave_out(reason);
            return None;
        }
        let folder = Folder::new();
        let etc = folder.path("etc");
        fs::create_dir(&etc).expect("our own folder");
        chown(folder.root(), Some(0), Some(0)).expect("root may");
        Some(Ground { folder, count: Cell::new(0) })
    }

    /// A file of the config directory: ftpusers, ftpchroot.
    pub(crate) fn configure(&self, name: &str, content: &str) {
        fs::write(self.path("etc").join(name), content).expect("our own folder");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    /// A new folder that belongs to `owner`, as a path on this machine and to unconfined clients.
    pub(crate) fn folder_of(&self, owner: TestAccount, mode: u32) -> String {
        self.count.set(self.count.get() + 1);
        let path = self.path(&format!("{}-{}", owner.name, self.count.get()));
        fs::create_dir(&path).expect("our own folder");
        give(&path, owner, mode);
        path.into_os_string().into_string().expect("a plain path")
    }

    /// A server for all accounts, without delays.
    pub(crate) fn start(&self, more: &[&str]) -> Server {
        self.start_on_port("0", more)
    }

    /// A server that listens on `listeners` addresses, those of `more` besides the usual one.
    pub(crate) fn start_with(&self, more: &[&str], listeners: usize) -> Server {
        let etc = self.path("etc");
        let etc = etc.to_str().expect("a plain path");
        let mut args = vec!["-F", "-P", "0", "-a", "127.0.0.1", "-l", "-c", etc, "--login-delay", "0"];
        args.extend(more);
        Server::start_raw_on(&args, listeners)
    }

    /// As `start`, by a program that replaces itself with the one that its last arguments name.
    pub(crate) fn start_by(&self, launcher: Command, more: &[&str]) -> Server {
        Server::start_by(launcher, Folder::new(), &self.arguments(more))
    }

    /// Those with which `start` runs ferryd.
    pub(crate) fn arguments(&self, more: &[&str]) -> Vec<OsString> {
        let usual = ["-F", "-P", "0", "-a", "127.0.0.1", "-l", "-W", "--login-delay", "0", "-c"];
        let mut args: Vec<OsString> = usual.map(OsString::from).into();
        args.push(self.path("etc").into());
        args.extend(more.iter().map(OsString::from));
        args
    }

    pub(crate) fn start_on_port(&self, port: &str, more: &[&str]) -> Server {
        let etc = self.path("etc");
        let etc = etc.to_str().expect("a plain path");
        let mut args = vec!["-F", "-P", port, "-a", "127.0.0.1", "-l", "-W", "-c", etc, "--login-delay", "0"];
        args.extend(more);
        Server::start_raw(&args)
    }
}

/// A service in /etc/pam.d, until dropped.
pub(crate) struct PamService {
    pub(crate) name: String,
}

impl PamService {
    pub(crate) fn new(name: &str, lines: &str) -> PamService {
        let service = PamService { name: format!("ferryd-test-{name}-{}", std::process::id()) };
        fs::write(service.path(), lines).expect("root may");
        service
    }

    fn path(&self) -> PathBuf {
        Path::new("/etc/pam.d").join(&self.name)
    }
}

impl Drop for PamService {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.path());
    }
}

pub(crate) fn give(path: &Path, owner: TestAccount, mode: u32) {
    chown(path, Some(owner.uid()), Some(owner.gid())).expect("root may give files away");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("root may");
}

/// A file of `owner`'s.
pub(crate) fn write(folder: &str, name: &str, content: &str, owner: TestAccount, mode: u32) -> String {
    let path = Path::new(folder).join(name);
    fs::write(&path, content).expect("our own folder");
    give(&path, owner, mode);
    path.into_os_string().into_string().expect("a plain path")
}

/// Owner, group and mode.
pub(crate) fn ownership(path: &str) -> (u32, u32, u32) {
    let meta = fs::symlink_metadata(path).unwrap_or_else(|err| panic!("{path}: {err}"));
    (meta.uid(), meta.gid(), meta.mode() & 0o7777)
}

pub(crate) fn log_in(server: &Server, account: TestAccount) -> Client {
    let mut client = server.connect();
    client.log_in_as(account.name, account.password);
    client
}

/// Runs a program of the system's, which must succeed.
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap_or_else(|err| panic!("{program}: {err}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The processes that the server started.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let parent_of = |pid: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; state and parent follow it.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let pids = fs::read_dir("/proc").expect("Linux").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&child| parent_of(child) == Some(pid)).collect()
}
