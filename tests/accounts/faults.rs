//! A disk that fails: the n-th call of each kind that an upload makes says that the disk is full,
//! that the quota is used up, that it is broken, read-only or gone. The reply, both logs, the files
//! and what is left of the quota tell one story each time.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::Command;

use rustix::io::Errno;

use crate::calls::{Call, Disk, Fault, Watched};
use crate::client::Client;
use crate::ground::{Ground, ONE, log_in};
use crate::server::ferryd;

const ERRORS: [Errno; 5] = [Errno::NOSPC, Errno::IO, Errno::DQUOT, Errno::ROFS, Errno::STALE];

/// The calls that an upload cannot do without: if one fails, the client must learn of it.
const VITAL: [Call; 9] = [
    Call::Open,
    Call::Create,
    Call::Write,
    Call::Truncate,
    Call::Close,
    Call::Sync,
    Call::SyncDir,
    Call::Rename,
    Call::Link,
];

/// The others: the client may learn of it or not, but what it learns is so.
const OTHERS: [Call; 4] = [Call::Unlink, Call::Chmod, Call::Lock, Call::Stat];

/// More than two pieces of what the server reads at once.
const SIZE: usize = 200_000;
const QUOTA: u64 = 1 << 20;
const OLD: &[u8] = b"what was there";

/// The commands of an upload, and whether there is a file of that name before.
struct Upload {
    rest: Option<&'static str>,
    verb: &'static str,
    exists: bool,
}

const UPLOADS: [Upload; 5] = [
    Upload { rest: None, verb: "STOR", exists: false },
    Upload { rest: None, verb: "STOR", exists: true },
    Upload { rest: None, verb: "APPE", exists: true },
    Upload { rest: Some("REST 8"), verb: "STOR", exists: true },
    Upload { rest: None, verb: "STOU", exists: false },
];

impl Upload {
    /// What the file is to be.
    fn result(&self, content: &[u8]) -> Vec<u8> {
        match (self.rest, self.verb) {
            (Some(_), _) => [&OLD[..8], content].concat(),
            (None, "APPE") => [OLD, content].concat(),
            _ => content.to_vec(),
        }
    }

    /// What the log calls it.
    fn word(&self) -> &'static str {
        if self.verb == "APPE" { "append" } else { "put" }
    }
}

/// What decides how an upload is written.
#[derive(Clone, Copy)]
struct Manner {
    options: &'static [&'static str],
    quota: bool,
    disk: Disk,
    /// Root runs the server, and the session becomes an account.
    by_root: bool,
}

impl Manner {
    const PLAIN: Manner = Manner { options: &[], quota: false, disk: Disk::Own, by_root: true };

    fn has(&self, option: &str) -> bool {
        self.options.contains(&option)
    }

    /// Nobody sees such an upload before it is complete.
    fn is_drafted(&self, upload: &Upload) -> bool {
        self.has("--atomic-uploads") || self.quota && upload.exists && upload.verb != "APPE"
    }
}

/// A server, a client of it, and where the files go.
struct Stage {
    _ground: Ground,
    watched: Watched,
    client: Client,
    folder: String,
    xferlog: String,
    manner: Manner,
    count: usize,
}

/// What an upload came to.
struct Outcome {
    /// The fault has come about.
    failed: bool,
    /// It is in the transfer log.
    began: bool,
    code: u16,
}

impl Stage {
    fn new(manner: Manner) -> Option<Stage> {
        let ground = Ground::new()?;
        let folder = ground.folder_of(ONE, 0o755);
        let xferlog = format!("{}/xferlog", ground.folder_of(ONE, 0o755));
        if manner.quota {
            let names = if manner.by_root { ONE.name } else { "ftp" };
            ground.configure("ftpusers", &format!("{names} allow quota={QUOTA}\n"));
        }
        ground.configure("ftpchroot", &format!("{} {folder}\n", ONE.name));
        let mut options = [&["-l", "-L", &xferlog], manner.options].concat();
        let (mut launcher, mut arguments) =
            (Command::new("env"), &["-A", "-m", "--anonymous-root", &folder][..]);
        match manner.by_root {
            true => arguments = &[],
            false => launcher = as_ordinary_user(&ground),
        }
        options.extend(arguments);
        let watched = Watched::start(launcher, ground.arguments(&options), folder.as_ref(), manner.disk)?;
        let mut client = match manner.by_root {
            true => log_in(&watched.server, ONE),
            false => watched.server.log_in(),
        };
        client.send("TYPE I").expect(200);
        Some(Stage { _ground: ground, watched, client, folder, xferlog, manner, count: 0 })
    }

    /// Each call of this kind that the upload makes fails once, in each way. Whether there was one.
    fn try_all(&mut self, upload: &Upload, call: Call, content: &[u8]) -> bool {
        let mut tries: Vec<(Errno, bool)> = ERRORS.iter().map(|&errno| (errno, false)).collect();
        match VITAL.contains(&call) {
            // A disk that is full, or broken, from then on.
            true => tries.extend(ERRORS[..2].iter().map(|&errno| (errno, true))),
            false => tries.truncate(3),
        }
        let mut any = false;
        for (errno, stays) in tries {
            for nth in 1..=4 {
                if !self.attempt(upload, Fault { call, nth, errno, stays }, content) {
                    break;
                }
                any = true;
            }
            if !any {
                break;
            }
        }
        any
    }

    /// Whether the fault has come about.
    fn attempt(&mut self, upload: &Upload, fault: Fault, content: &[u8]) -> bool {
        self.count += 1;
        let name = format!("file-{}", self.count);
        if upload.exists {
            self.client.stor(&name, OLD);
        }
        if let Some(rest) = upload.rest {
            self.client.send(rest).expect(350);
        }
        self.watched.set(Some(fault));
        let code = self.upload(&format!("{} {name}", upload.verb), content);
        let (seen, failed) = (self.watched.seen(), self.watched.has_failed());
        self.watched.set(None);
        let (options, rest, verb) = (self.manner.options.join(" "), upload.rest, upload.verb);
        let what = format!("{options} {rest:?} {verb} {fault:?}, answered {code}; the calls: {seen:?}");
        let began = self.records(&name).len() > usize::from(upload.exists);
        self.check(upload, fault, &Outcome { failed, began, code }, &name, content, &what);
        // Nothing is left over that would be in the way of the next one.
        self.client.upload(format!("STOR {name}"), content);
        assert!(self.files()[&name] == content, "{what}");
        self.client.send(format!("DELE {name}")).expect(250);
        for left in self.files().into_keys() {
            assert_eq!(fault.call, Call::Unlink, "{left} is left: {what}");
            fs::remove_file(format!("{}/{left}", self.folder)).expect("it is there");
        }
        failed
    }

    fn upload(&mut self, command: &str, content: &[u8]) -> u16 {
        match self.client.try_start(command) {
            Ok(mut data) => {
                // The server may hang up on what it does not want.
                let _ = data.write_all(content);
                drop(data);
                self.client.reply().code
            }
            Err(reply) => reply.code,
        }
    }

    fn check(
        &mut self,
        upload: &Upload,
        fault: Fault,
        outcome: &Outcome,
        name: &str,
        content: &[u8],
        what: &str,
    ) {
        if !outcome.failed {
            assert_eq!(outcome.code, 226, "{what}");
        // With the first close the file system has all of it, and says nothing new with the next.
        } else if VITAL.contains(&fault.call) && !(fault.call == Call::Close && fault.nth > 1) {
            let code = match (fault.errno, fault.call) {
                (Errno::NOSPC, _) => 452,
                (Errno::DQUOT, _) => 552,
                (Errno::ROFS, Call::Open | Call::Create | Call::Rename | Call::Link) => 553,
                _ => 451,
            };
            assert_eq!(outcome.code, code, "{what}");
        }
        let complete = outcome.code == 226;
        self.check_logs(upload, outcome.began, complete, name, what);
        let files = self.files();
        let there = files.get(name).map(Vec::as_slice);
        let result = upload.result(content);
        match complete {
            true => assert!(there == Some(&result), "{} bytes: {what}", there.map_or(0, <[u8]>::len)),
            // The name is there, and perhaps not for good.
            false if fault.call == Call::SyncDir => (),
            false => self.check_failed(upload, fault, there, &result, what),
        }
        let others: Vec<_> = files.keys().filter(|other| *other != name).collect();
        assert!(others.is_empty() || fault.call == Call::Unlink, "{others:?} are there: {what}");
        if self.manner.quota && others.is_empty() {
            let used: u64 = files.values().map(|content| content.len() as u64).sum();
            self.client.send(format!("ALLO {}", QUOTA - used)).expect(200);
            let more = self.client.send(format!("ALLO {}", QUOTA - used + 1)).reply().code;
            assert_eq!(more, 552, "{used} bytes are there: {what}");
        }
    }

    /// Both logs say what the reply says.
    fn check_logs(&self, upload: &Upload, began: bool, complete: bool, name: &str, what: &str) {
        assert!(began || !complete, "no record: {what}");
        if began {
            let record = self.records(name).pop().expect("it was there");
            assert_eq!(record.ends_with(" c"), complete, "{record}: {what}");
            let text = format!("{} /{name} =", upload.word());
            let earlier = usize::from(upload.exists && upload.word() == "put");
            let line = self.watched.server.log.nth_with(&text, earlier).expect("it is logged");
            assert_eq!(!line.contains("incomplete"), complete, "{line}: {what}");
        }
    }

    /// Of an upload that failed there is what was there before or, if it was written in place, a part.
    fn check_failed(&self, upload: &Upload, fault: Fault, there: Option<&[u8]>, result: &[u8], what: &str) {
        let old = upload.exists.then_some(OLD);
        let is_part = there.is_some_and(|there| {
            result.starts_with(there) || upload.rest.is_some() && there.len() >= OLD.len()
        });
        let is_removed = there.is_none() && self.manner.has("--delete-aborted");
        let may_be = there == old || !self.manner.is_drafted(upload) && (is_part || is_removed);
        assert!(may_be, "it is {:?} bytes: {what}", there.map(<[u8]>::len));
        if fault.errno == Errno::DQUOT && VITAL.contains(&fault.call) {
            if !upload.exists {
                assert_eq!(there, None, "a quota leaves nothing: {what}");
            }
            if upload.verb == "APPE" {
                assert_eq!(there, old, "a quota changes nothing: {what}");
            }
        }
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(&self.folder).expect("a folder").flatten();
        let read = |entry: &fs::DirEntry| fs::read(entry.path()).expect("a file");
        entries.map(|entry| (entry.file_name().into_string().expect("a plain name"), read(&entry))).collect()
    }

    /// The records of uploads to `name` in the transfer log.
    fn records(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(&self.xferlog).unwrap_or_default();
        let name = format!("/{name} ");
        let is_one = |line: &&str| line.contains(&name) && line.contains(" b _ i ");
        text.lines().filter(is_one).map(str::to_owned).collect()
    }
}

/// Runs a copy of the server, which the account may read, as an account.
fn as_ordinary_user(ground: &Ground) -> Command {
    let copy = ground.path("ferryd");
    fs::copy(ferryd().get_program(), &copy).expect("the server is a file");
    let identity = format!("--reuid={} --regid={} --clear-groups", ONE.uid(), ONE.gid());
    let mut launcher = Command::new("sh");
    launcher.args(["-c", &format!("shift; exec setpriv {identity} \"$0\" \"$@\"")]).arg(copy);
    launcher
}

/// Tries all there is; `expected` calls must have been among those that failed.
fn run(manner: Manner, expected: &[Call]) {
    let Some(mut stage) = Stage::new(manner) else { return };
    let content: Vec<u8> = (0..SIZE).map(|n| (n % 251) as u8).collect();
    let mut tried = Vec::new();
    for upload in &UPLOADS {
        tried.extend(VITAL.into_iter().chain(OTHERS).filter(|&call| stage.try_all(upload, call, &content)));
    }
    for call in [&[Call::Open, Call::Create, Call::Write, Call::Close], expected].concat() {
        assert!(tried.contains(&call), "no upload has come to {call:?}");
    }
}

#[test]
fn in_place() {
    run(Manner::PLAIN, &[Call::Truncate]);
}

#[test]
fn in_place_where_what_is_cut_off_is_deleted() {
    run(Manner { options: &["--delete-aborted"], ..Manner::PLAIN }, &[]);
}

#[test]
fn in_place_and_synced() {
    run(Manner { options: &["--sync-uploads"], ..Manner::PLAIN }, &[Call::Sync, Call::SyncDir]);
}

#[test]
fn with_a_quota() {
    run(Manner { quota: true, ..Manner::PLAIN }, &[Call::Link, Call::Rename]);
}

#[test]
fn atomic() {
    run(
        Manner { options: &["--atomic-uploads"], ..Manner::PLAIN },
        &[Call::Link, Call::Rename, Call::Unlink],
    );
}

#[test]
fn atomic_and_synced_with_a_quota() {
    let manner = Manner { options: &["--atomic-uploads", "--sync-uploads"], quota: true, ..Manner::PLAIN };
    run(manner, &[Call::Link, Call::Rename, Call::Sync, Call::SyncDir]);
}

#[test]
fn atomic_with_a_quota_where_every_file_has_a_name() {
    let manner = Manner { options: &["--atomic-uploads"], quota: true, disk: Disk::Plain, ..Manner::PLAIN };
    run(manner, &[Call::Rename]);
}

#[test]
fn with_a_quota_where_an_ordinary_user_runs_the_server() {
    run(Manner { quota: true, by_root: false, ..Manner::PLAIN }, &[Call::Rename]);
}
