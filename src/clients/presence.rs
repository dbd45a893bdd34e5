//! Each session's user, command and transfer: for `who` and for the names of the threads. And the way to
//! tell a session that it must end.
//!
//! The session writes a few atomics and, once for each command, a small record behind a lock that is
//! held for a moment only.

use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use crate::events::{Event, User, What};
use crate::sys::process;

/// An unknown size.
const UNKNOWN: u64 = u64::MAX;

/// One client, from its arrival to its end.
pub(crate) struct Presence {
    /// Its key in the list of sessions.
    pub(super) place: u64,
    /// The number of its session; 0 before it has one.
    number: AtomicU64,
    host: IpAddr,
    arrived: SystemTime,
    clock: Instant,
    /// A second descriptor of the control connection, which ends it from another thread.
    stream: Mutex<Option<TcpStream>>,
    doing: Mutex<Doing>,
    /// The time at which the last command began or ended, in milliseconds of `clock`.
    active: AtomicU64,
    /// The bytes that were moved, and the size of the file.
    done: AtomicU64,
    total: AtomicU64,
    leave: AtomicU8,
}

#[derive(Default)]
struct Doing {
    user: Option<Arc<User>>,
    /// The verb of the command, from its row; not the client's own word.
    verb: &'static str,
    /// The verb in the name of the thread.
    named: &'static str,
    busy: bool,
    file: Vec<u8>,
    /// The time at which the transfer began.
    moving: Option<Instant>,
    reason: &'static str,
}

/// The time at which a session must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// After the command that it is executing.
    Soon,
    Now,
}

const STAY: u8 = 0;
const SOON: u8 = 1;
const NOW: u8 = 2;

// The session's side.
impl Presence {
    pub(super) fn new(place: u64, host: IpAddr) -> Presence {
        Presence {
            place,
            number: AtomicU64::new(0),
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

    /// Lets [`Presence::dismiss`] wake the session; without it the session ends a little later.
    pub(crate) fn attach(&self, stream: &TcpStream) {
        *self.stream.lock() = stream.try_clone().ok();
    }

    pub(super) fn detach(&self) {
        self.stream.lock().take();
    }

    /// The session is on the calling thread now, and nobody is logged in: it is new, or starts over. A new
    /// one gets its number here: that of the thread, which no other session of the machine has then.
    pub(crate) fn appear(&self) {
        self.set_number(process::thread_number());
        let mut doing = self.doing.lock();
        (doing.user, doing.verb, doing.named) = (None, "", "");
        process::name_thread(&thread_name(&doing, self.host));
    }

    /// Gives it a number, unless it has one.
    pub(crate) fn set_number(&self, number: u64) {
        let _ = self.number.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The user who is logged in from now on.
    pub(crate) fn set_user(&self, user: Option<Arc<User>>) {
        self.doing.lock().user = user;
    }

    /// A command begins. It becomes part of the name of the thread, which `ps -L` shows; but not one that
    /// only prepares a transfer, so that many small files in a row cost no additional system calls.
    pub(crate) fn begin_command(&self, verb: &'static str, prepares: bool) {
        let mut doing = self.doing.lock();
        doing.busy = true;
        doing.verb = verb;
        if doing.named != verb && !prepares {
            doing.named = verb;
            process::name_thread(&thread_name(&doing, self.host));
        }
        self.touch();
    }

    /// The command was answered.
    pub(crate) fn end_command(&self) {
        let mut doing = self.doing.lock();
        doing.busy = false;
        doing.moving = None;
        doing.file.clear();
        self.touch();
    }

    /// A transfer of `file`, a path in the client's tree, begins.
    pub(crate) fn begin_transfer(&self, file: &[u8]) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(UNKNOWN, Ordering::Relaxed);
        let mut doing = self.doing.lock();
        doing.file.clear();
        doing.file.extend_from_slice(file);
        doing.moving = Some(Instant::now());
    }

    /// The bytes that were moved so far.
    pub(crate) fn set_progress(&self, done: u64, total: Option<u64>) {
        self.done.store(done, Ordering::Relaxed);
        self.total.store(total.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    fn touch(&self) {
        let now = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.active.store(now, Ordering::Relaxed);
    }

    /// Whether the session was told to end.
    pub(crate) fn must_leave(&self) -> Option<Leave> {
        match self.leave.load(Ordering::SeqCst) {
            STAY => None,
            SOON => Some(Leave::Soon),
            _ => Some(Leave::Now),
        }
    }

    /// The text of its last reply.
    pub(crate) fn farewell(&self) -> &'static str {
        self.doing.lock().reason
    }
}

// The operator's side.
impl Presence {
    /// The number of its session, as the log has it; 0 before it has one.
    pub(crate) fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    /// Makes an event of this session's, for its readers.
    pub(crate) fn event(&self, what: What<'_>, tell: impl FnOnce(&Event<'_>)) {
        let user = self.user();
        let session = Some(self.number()).filter(|&number| number != 0);
        tell(&Event { session, host: self.host, user: user.as_deref(), what });
    }

    pub(crate) fn user(&self) -> Option<Arc<User>> {
        self.doing.lock().user.clone()
    }

    /// Tells the session to end, and why. The session sees the end of its input, which wakes it from
    /// every wait.
    pub(crate) fn dismiss(&self, when: Leave, reason: &'static str) {
        self.doing.lock().reason = reason;
        let order = if when == Leave::Now { NOW } else { SOON };
        self.leave.fetch_max(order, Ordering::SeqCst);
        if let Some(stream) = &*self.stream.lock() {
            let _ = stream.shutdown(Shutdown::Read); // It may have gone already.
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
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
            id: self.number(),
            host: self.host,
            arrived: self.arrived,
            user: doing.user.clone(),
            idle: if doing.busy { Duration::ZERO } else { self.clock.elapsed().saturating_sub(active) },
            verb: doing.verb,
            moving,
        }
    }
}

/// The state of a session at one moment.
pub(crate) struct Snapshot {
    pub id: u64,
    pub host: IpAddr,
    pub arrived: SystemTime,
    pub user: Option<Arc<User>>,
    pub idle: Duration,
    pub verb: &'static str,
    pub moving: Option<Moving>,
}

/// The transfer of a session.
pub(crate) struct Moving {
    pub file: Vec<u8>,
    pub done: u64,
    pub total: Option<u64>,
    pub elapsed: Duration,
}

impl Moving {
    /// `None` if the size is not known.
    pub(crate) fn per_cent(&self) -> Option<u64> {
        let total = self.total.filter(|&total| total > 0)?;
        Some(u64::try_from(u128::from(self.done) * 100 / u128::from(total)).unwrap_or(100).min(100))
    }

    /// Bytes a second.
    pub(crate) fn rate(&self) -> u64 {
        (self.done as f64 / self.elapsed.as_secs_f64().max(0.001)) as u64
    }
}

/// `user@host/COMMAND`, in the 15 bytes that Linux allows. Of a long address it has the end, which tells
/// more than the beginning.
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

    fn user(name: &str) -> Arc<User> {
        Arc::new(User { name: name.to_owned(), email: None, confined: false })
    }

    fn presence() -> Presence {
        let presence = Presence::new(7, "192.0.2.1".parse().unwrap());
        presence.set_user(Some(user("joe")));
        presence.begin_command("RETR", false);
        presence
    }

    #[test]
    fn a_thread_is_named_in_fifteen_bytes() {
        let mut doing = Doing { verb: "RETR", ..Doing::default() };
        let name = |doing: &Doing, host: &str| thread_name(doing, host.parse().unwrap());
        assert_eq!(name(&doing, "10.0.0.1"), "?@10.0.0.1/RETR");
        doing.user = Some(user("josephine\u{e9}"));
        assert_eq!(name(&doing, "2001:db8::17"), "joseph@:17/RETR");
        doing.user = Some(user("a\u{e9}"));
        assert_eq!(name(&doing, "192.0.2.1"), "a?@2.0.2.1/RETR");
        for verb in ["", "A", "EPSV", "LONGER"] {
            doing.verb = verb;
            assert!(name(&doing, "2001:db8:1:2:3:4:5:6").len() <= 15);
        }
    }

    #[test]
    fn who_must_leave_now_does_not_get_longer() {
        let presence = presence();
        assert_eq!(presence.must_leave(), None);
        presence.dismiss(Leave::Now, "Go.");
        presence.dismiss(Leave::Soon, "Go.");
        assert_eq!(presence.must_leave(), Some(Leave::Now));
    }
}
