//! Who is on, and what each session is doing: for `--who`, for the names of the
//! threads, and to tell a session that it must go.
//!
//! The session writes a few atomics and, once for each command, a small record
//! that nobody else holds for long.

use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use crate::log::json::{self, Object};
use crate::log::{text, word};
use crate::sys::process;

/// An unknown size.
const UNKNOWN: u64 = u64::MAX;

/// One client, from its arrival to its end.
pub(crate) struct Guest {
    pub id: u64,
    host: IpAddr,
    arrived: SystemTime,
    clock: Instant,
    /// A second descriptor of the control connection, to end it from outside.
    stream: Mutex<Option<TcpStream>>,
    doing: Mutex<Doing>,
    /// When the last command began or ended, in milliseconds of `clock`.
    active: AtomicU64,
    /// Bytes of the file, and how many there are.
    done: AtomicU64,
    total: AtomicU64,
    leave: AtomicU8,
}

#[derive(Default)]
struct Doing {
    user: Option<User>,
    /// A verb of ours; the client's own words do not come here.
    verb: &'static str,
    /// The one that the thread is called after.
    named: &'static str,
    busy: bool,
    file: Vec<u8>,
    /// Since when bytes move.
    moving: Option<Instant>,
    reason: &'static str,
}

/// Who logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub name: String,
    pub anonymous: bool,
}

/// When a session must go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// When the command that it is at has ended.
    Soon,
    Now,
}

/// What comes before a transfer gives the thread no name: many small files, one after
/// the other, then cost no system call more.
const PREPARATIONS: [&str; 8] = ["EPSV", "PASV", "LPSV", "EPRT", "PORT", "LPRT", "TYPE", "REST"];

const STAY: u8 = 0;
const SOON: u8 = 1;
const NOW: u8 = 2;

// The session's side.
impl Guest {
    pub(super) fn new(id: u64, host: IpAddr) -> Guest {
        Guest {
            id,
            host,
            arrived: SystemTime::now(),
            clock: Instant::now(),
            stream: Mutex::default(),
            doing: Mutex::default(),
            active: AtomicU64::new(0),
            done: AtomicU64::new(0),
            total: AtomicU64::new(UNKNOWN),
            leave: AtomicU8::new(STAY),
        }
    }

    /// How it can be reached from outside. Without it, it leaves in its own time.
    pub(super) fn attach(&self, stream: &TcpStream) {
        *self.stream.lock() = stream.try_clone().ok();
    }

    pub(super) fn detach(&self) {
        self.stream.lock().take();
    }

    /// It is on the calling thread now, and nobody yet: it is new, or begins anew.
    pub(crate) fn arrives(&self) {
        let mut doing = self.doing.lock();
        (doing.user, doing.verb, doing.named) = (None, "", "");
        process::name_thread(&thread_name(&doing, self.host));
    }

    /// Who it is from now on.
    pub(crate) fn is_user(&self, user: Option<User>) {
        self.doing.lock().user = user;
    }

    /// A command begins. The thread is called after it, as `ps -L` shows it.
    pub(crate) fn begins(&self, verb: &'static str) {
        let mut doing = self.doing.lock();
        doing.busy = true;
        doing.verb = verb;
        if doing.named != verb && !PREPARATIONS.contains(&verb) {
            doing.named = verb;
            process::name_thread(&thread_name(&doing, self.host));
        }
        self.touch();
    }

    /// The command was answered.
    pub(crate) fn ends(&self) {
        let mut doing = self.doing.lock();
        doing.busy = false;
        doing.moving = None;
        doing.file.clear();
        self.touch();
    }

    /// A file, by its path in the client's tree, begins to move.
    pub(crate) fn moves(&self, file: &[u8]) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(UNKNOWN, Ordering::Relaxed);
        let mut doing = self.doing.lock();
        doing.file.clear();
        doing.file.extend_from_slice(file);
        doing.moving = Some(Instant::now());
    }

    /// So much of it has.
    pub(crate) fn moved(&self, done: u64, total: Option<u64>) {
        self.done.store(done, Ordering::Relaxed);
        self.total.store(total.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    fn touch(&self) {
        let now = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.active.store(now, Ordering::Relaxed);
    }

    /// Whether it was told to go.
    pub(crate) fn must_leave(&self) -> Option<Leave> {
        match self.leave.load(Ordering::SeqCst) {
            STAY => None,
            SOON => Some(Leave::Soon),
            _ => Some(Leave::Now),
        }
    }

    /// What it says before it goes.
    pub(crate) fn farewell(&self) -> &'static str {
        self.doing.lock().reason
    }
}

// The operator's side.
impl Guest {
    pub(crate) fn user(&self) -> Option<User> {
        self.doing.lock().user.clone()
    }

    /// Tells the session to go, and why. It sees the end of its input, and so
    /// wakes from whatever it waits for.
    pub(super) fn dismiss(&self, when: Leave, reason: &'static str) {
        self.doing.lock().reason = reason;
        let order = if when == Leave::Now { NOW } else { SOON };
        self.leave.fetch_max(order, Ordering::SeqCst);
        if let Some(stream) = &*self.stream.lock() {
            let _ = stream.shutdown(Shutdown::Read); // It may have gone already.
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let doing = self.doing.lock();
        let active = Duration::from_millis(self.active.load(Ordering::Relaxed));
        let moving = doing.moving.map(|since| {
            let total = self.total.load(Ordering::Relaxed);
            Moving {
                file: doing.file.clone(),
                done: self.done.load(Ordering::Relaxed),
                total: (total != UNKNOWN).then_some(total),
                elapsed: since.elapsed(),
            }
        });
        Snapshot {
            id: self.id,
            host: self.host,
            arrived: self.arrived,
            user: doing.user.clone(),
            idle: if doing.busy { Duration::ZERO } else { self.clock.elapsed().saturating_sub(active) },
            verb: doing.verb,
            moving,
        }
    }
}

/// A session at one moment.
pub(super) struct Snapshot {
    id: u64,
    host: IpAddr,
    arrived: SystemTime,
    user: Option<User>,
    idle: Duration,
    verb: &'static str,
    moving: Option<Moving>,
}

struct Moving {
    file: Vec<u8>,
    done: u64,
    total: Option<u64>,
    elapsed: Duration,
}

impl Moving {
    fn per_cent(&self) -> Option<u64> {
        let total = self.total.filter(|&total| total > 0)?;
        Some(u64::try_from(u128::from(self.done) * 100 / u128::from(total)).unwrap_or(100).min(100))
    }

    /// Bytes a second.
    fn rate(&self) -> u64 {
        (self.done as f64 / self.elapsed.as_secs_f64().max(0.001)) as u64
    }
}

/// The sessions as a table for people.
pub(super) fn table(guests: &[Snapshot]) -> String {
    let mut text =
        format!("{:>6} {:<16} {:<24} {:<20} {:>7} COMMAND\n", "ID", "USER", "HOST", "SINCE", "IDLE");
    for guest in guests {
        let user = match &guest.user {
            None => "-".to_owned(),
            Some(user) if user.anonymous => format!("{} (anon)", word(user.name.as_bytes())),
            Some(user) => word(user.name.as_bytes()).to_string(),
        };
        let since = json::timestamp(guest.arrived);
        text += &format!(
            "{:>6} {user:<16} {:<24} {:<20} {:>6}s {}",
            guest.id,
            guest.host.to_string(),
            since.replace('T', " ").split('.').next().unwrap_or_default(),
            guest.idle.as_secs(),
            if guest.verb.is_empty() { "-" } else { guest.verb },
        );
        if let Some(moving) = &guest.moving {
            let share = moving.per_cent().map(|share| format!(" {share}%")).unwrap_or_default();
            text +=
                &format!(" {}{share} {} bytes, {}/s", self::text(&moving.file), moving.done, moving.rate());
        }
        text.push('\n');
    }
    text
}

/// The sessions as an array of JSON, one on a line.
pub(super) fn array(guests: &[Snapshot]) -> String {
    let lines: Vec<String> = guests.iter().map(object).collect();
    if lines.is_empty() { "[]\n".to_owned() } else { format!("[\n{}\n]\n", lines.join(",\n")) }
}

fn object(guest: &Snapshot) -> String {
    let mut object = Object::new();
    object.number("id", guest.id);
    match &guest.user {
        Some(user) => {
            object.string("user", user.name.as_bytes());
            object.truth("anonymous", user.anonymous);
        }
        None => object.null("user"),
    }
    object.string("host", guest.host.to_string().as_bytes());
    object.string("since", json::timestamp(guest.arrived).as_bytes());
    object.seconds("idle", guest.idle);
    object.string("command", guest.verb.as_bytes());
    if let Some(moving) = &guest.moving {
        object.string("file", &moving.file);
        object.number("bytes", moving.done);
        if let Some(total) = moving.total {
            object.number("total", total);
        }
        if let Some(share) = moving.per_cent() {
            object.number("percent", share);
        }
        object.number("rate", moving.rate());
    }
    object.end()
}

/// `user@host/COMMAND`, in the 15 bytes that Linux has for it: of a long address
/// the end is shown, which tells more than its beginning.
fn thread_name(doing: &Doing, host: IpAddr) -> String {
    const ROOM: usize = 15;
    let user: String = doing.user.as_ref().map_or("?", |user| &user.name).chars().take(6).collect();
    let user = user.replace(|c: char| !c.is_ascii_graphic(), "?");
    let (verb, host) = (&doing.verb[..doing.verb.len().min(4)], host.to_string());
    let left = ROOM.saturating_sub(user.len() + verb.len() + 2);
    format!("{user}@{}/{verb}", &host[host.len().saturating_sub(left)..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest() -> Guest {
        let guest = Guest::new(7, "192.0.2.1".parse().unwrap());
        guest.is_user(Some(User { name: "joe".to_owned(), anonymous: false }));
        guest.begins("RETR");
        guest
    }

    #[test]
    fn what_a_session_does_is_seen_while_it_does_it() {
        let guest = guest();
        guest.moves(b"/a b\n");
        guest.moved(45, Some(100));
        let snapshot = [guest.snapshot()];
        let (text, json) = (table(&snapshot), array(&snapshot));
        let line = text.lines().nth(1).unwrap();
        assert!(line.contains(" joe ") && line.contains(" 192.0.2.1 "), "{text}");
        assert!(line.contains("RETR /a b\\x0a 45% 45 bytes"), "{text}");
        assert_eq!(text.lines().count(), 2);
        assert!(json.contains(r#""id":7,"user":"joe","anonymous":false,"host":"192.0.2.1""#), "{json}");
        assert!(json.contains(r#""file":"/a b\u000a","bytes":45,"total":100,"percent":45"#), "{json}");
        guest.ends();
        assert!(!table(&[guest.snapshot()]).contains('%'));
    }

    #[test]
    fn a_thread_is_named_in_fifteen_bytes() {
        let mut doing = Doing { verb: "RETR", ..Doing::default() };
        let name = |doing: &Doing, host: &str| thread_name(doing, host.parse().unwrap());
        assert_eq!(name(&doing, "10.0.0.1"), "?@10.0.0.1/RETR");
        doing.user = Some(User { name: "josephine\u{e9}".to_owned(), anonymous: false });
        assert_eq!(name(&doing, "2001:db8::17"), "joseph@:17/RETR");
        doing.user = Some(User { name: "a\u{e9}".to_owned(), anonymous: false });
        assert_eq!(name(&doing, "192.0.2.1"), "a?@2.0.2.1/RETR");
        for verb in ["", "A", "EPSV", "LONGER"] {
            doing.verb = verb;
            assert!(name(&doing, "2001:db8:1:2:3:4:5:6").len() <= 15);
        }
    }

    #[test]
    fn who_must_leave_now_does_not_get_longer() {
        let guest = guest();
        assert_eq!(guest.must_leave(), None);
        guest.dismiss(Leave::Now, "Go.");
        guest.dismiss(Leave::Soon, "Go.");
        assert_eq!(guest.must_leave(), Some(Leave::Now));
    }
}
