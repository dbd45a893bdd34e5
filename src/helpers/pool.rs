//! The helper processes of one server: a request goes in, an answer comes out.
//!
//! A helper is busy with one request at a time. Two wait for work; more are started when all
//! are busy, up to a limit, and end when they have been idle for a while. One source address
//! holds at most a quarter of the limit, so that slow logins from there leave room for others.
//!
//! A helper that dies or does not answer in time is replaced. The request that it was busy with
//! fails, the others go on. Helpers are started by the thread that asks, which is still root's
//! at that time, if the server is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use parking_lot::{Condvar, Mutex};

use super::process::HELPER_ARG;
use super::protocol::{Answer, Request};
use crate::proto::origin::Origin;
use crate::sys::helper::{Channel, executable, spawn};

/// Helpers that are kept when there is nothing to do.
const KEPT: usize = 2;

/// How long a helper beyond those is idle before it ends.
const IDLE_TIME: Duration = Duration::from_secs(60);

/// The helpers of one server.
pub(crate) struct Helpers(Arc<Crew>);

/// The client that a request is for, and how long it waits for a free helper.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    /// `None`: the server asks for itself.
    pub address: Option<IpAddr>,
    pub until: Instant,
}

/// What came of a request.
pub(crate) struct Answered {
    pub answer: Answer,
    /// `None`: no PAM session was asked for, or none was opened.
    pub session: Option<PamSession>,
    /// How long it took until a helper was free.
    pub waited: Duration,
}

/// An open PAM session. It ends when this value and its clones are dropped, and with this process.
#[derive(Clone, Debug)]
pub(crate) struct PamSession {
    /// A process waits until this is closed. Nothing is written or read.
    _held: Arc<OwnedFd>,
    /// The helper is the parent of that process: it does not end while this exists.
    _of: Arc<()>,
}

/// Why there is no answer; for the log.
#[derive(Debug)]
pub(crate) enum Failure {
    /// All helpers were busy until the time was over.
    Busy,
    /// There was no helper, and none could be started.
    Start(io::Error),
    /// The helper died, did not answer in time, or sent something that is no answer.
    Helper(io::Error),
}

struct Crew {
    roster: Mutex<Roster>,
    /// A helper is free, or there is room for one more.
    changed: Condvar,
    launch: Box<dyn Fn() -> io::Result<Helper> + Send + Sync>,
    bounds: Bounds,
}

struct Bounds {
    /// How many helpers there are at one time.
    most: usize,
    /// The time for one request, from the moment a helper has it.
    answer_within: Duration,
    idle_time: Duration,
}

#[derive(Default)]
struct Roster {
    /// Helpers without work, the one that was last busy at the end.
    idle: Vec<(Helper, Instant)>,
    /// All of them: idle, busy, and being started.
    count: usize,
    /// How many of them each host holds.
    held: HashMap<Origin, usize>,
    /// There is a thread that ends helpers that are idle for too long.
    retiring: bool,
}

impl Helpers {
    /// Starts the first helpers. There may be `most` later; each has the time `answer_within` for a request.
    ///
    /// # Errors
    /// A helper could not be started.
    pub(crate) fn start(most: usize, answer_within: Duration) -> io::Result<Helpers> {
        let bounds = Bounds { most, answer_within, idle_time: IDLE_TIME };
        Helpers::with(bounds, Box::new(|| Helper::start(itself()?)))
    }

    fn with(
        bounds: Bounds,
        launch: Box<dyn Fn() -> io::Result<Helper> + Send + Sync>,
    ) -> io::Result<Helpers> {
        let bounds = Bounds { most: bounds.most.max(1), ..bounds };
        let mut roster = Roster::default();
        for _ in 0..KEPT.min(bounds.most) {
            roster.idle.push((launch()?, Instant::now()));
            roster.count += 1;
        }
        let changed = Condvar::new();
        Ok(Helpers(Arc::new(Crew { roster: Mutex::new(roster), changed, launch, bounds })))
    }

    /// The answer to `request`.
    pub(crate) fn ask(&self, request: &Request, asker: Asker) -> Result<Answered, Failure> {
        let began = Instant::now();
        let mut loan = Crew::take(&self.0, asker)?;
        // A helper that died while it was idle is replaced, and the client does not notice.
        if !loan.helper.as_ref().is_some_and(|helper| helper.channel.is_quiet()) {
            loan.helper = None;
            loan.helper = Some((self.0.launch)().map_err(Failure::Start)?);
        }
        let waited = began.elapsed();
        let helper = loan.helper.as_ref().expect("a helper was put in above");
        match helper.ask(request, Instant::now() + self.0.bounds.answer_within) {
            Ok((answer, session)) => Ok(Answered { answer, session, waited }),
            Err(error) => {
                loan.helper = None; // This kills it: its late answer must not be taken for the next login's.
                loan.helper = (self.0.launch)().inspect_err(|error| log::error!("auth helper: {error}")).ok();
                Err(Failure::Helper(error))
            }
        }
    }
}

impl Crew {
    /// A helper for `asker`, until dropped: an idle one, else a new one, else the next that becomes
    /// idle.
    fn take(crew: &Arc<Crew>, asker: Asker) -> Result<Loan, Failure> {
        let host = asker.address.map(Origin::of);
        let mut cannot_start = None;
        let mut late = false;
        let mut roster = crew.roster.lock();
        loop {
            if roster.may_hold_more(host, crew.most_of_one_host()) {
                if let Some((helper, _)) = roster.idle.pop() {
                    roster.hold(host);
                    return Ok(Loan { helper: Some(helper), host, crew: Arc::clone(crew) });
                }
                if roster.count < crew.bounds.most && cannot_start.is_none() {
                    roster.count += 1;
                    roster.hold(host);
                    drop(roster);
                    let mut loan = Loan { helper: None, host, crew: Arc::clone(crew) };
                    match (crew.launch)() {
                        Ok(helper) => {
                            loan.helper = Some(helper);
                            return Ok(loan);
                        }
                        Err(error) => cannot_start = Some(error),
                    }
                    drop(loan);
                    roster = crew.roster.lock();
                    continue;
                }
            }
            if late || (cannot_start.is_some() && roster.count == 0) {
                return Err(cannot_start.map_or(Failure::Busy, Failure::Start));
            }
            late = crew.changed.wait_until(&mut roster, asker.until).timed_out();
        }
    }

    fn most_of_one_host(&self) -> usize {
        (self.bounds.most / 4).max(1)
    }

    /// Ends helpers that have been idle for too long, until `KEPT` are left.
    fn retire(crew: &Weak<Crew>) {
        loop {
            let Some(crew) = crew.upgrade() else { return };
            let pause = crew.bounds.idle_time / 4;
            let mut roster = crew.roster.lock();
            if roster.count <= KEPT {
                roster.retiring = false;
                return;
            }
            let retired = roster.take_retired(crew.bounds.idle_time);
            drop(roster);
            drop(retired); // This waits until they have ended, so it is not done under the lock.
            drop(crew);
            thread::sleep(pause);
        }
    }
}

impl Roster {
    fn may_hold_more(&self, host: Option<Origin>, most: usize) -> bool {
        host.is_none_or(|host| self.held.get(&host).is_none_or(|&held| held < most))
    }

    fn hold(&mut self, host: Option<Origin>) {
        host.into_iter().for_each(|host| *self.held.entry(host).or_default() += 1);
    }

    fn release(&mut self, host: Option<Origin>) {
        let Some(host) = host else { return };
        match self.held.get_mut(&host) {
            Some(held) if *held > 1 => *held -= 1,
            _ => drop(self.held.remove(&host)),
        }
    }

    /// Removes helpers that have been idle for `idle_time`; `KEPT` of all helpers stay.
    fn take_retired(&mut self, idle_time: Duration) -> Vec<Helper> {
        let spare = self.count.saturating_sub(KEPT);
        let is_over =
            |(helper, since): &mut (Helper, Instant)| since.elapsed() >= idle_time && !helper.has_sessions();
        let retired: Vec<Helper> =
            self.idle.extract_if(.., is_over).take(spare).map(|(helper, _)| helper).collect();
        self.count -= retired.len();
        retired
    }
}

/// A helper taken out of the pool. It is given back when this is dropped.
struct Loan {
    /// `None`: it could not be started, and its place is free.
    helper: Option<Helper>,
    host: Option<Origin>,
    crew: Arc<Crew>,
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut roster = self.crew.roster.lock();
        roster.release(self.host);
        match self.helper.take() {
            Some(helper) => roster.idle.push((helper, Instant::now())),
            None => roster.count -= 1,
        }
        if roster.count > KEPT && !roster.retiring {
            let crew = Arc::downgrade(&self.crew);
            let retire = thread::Builder::new().name("helpers".into()).stack_size(64 << 10);
            // If there can be no thread, the helpers stay, and the next loan that ends tries again.
            roster.retiring = retire.spawn(move || Crew::retire(&crew)).is_ok();
        }
        drop(roster);
        self.crew.changed.notify_all();
    }
}

/// One helper process. It is killed when this is dropped.
struct Helper {
    channel: Channel,
    process: Child,
    /// Each PAM session that it opened has a clone of this.
    sessions: Arc<()>,
}

impl Helper {
    fn start(program: Command) -> io::Result<Helper> {
        let (channel, theirs) = Channel::pair()?;
        Ok(Helper { channel, process: spawn(program, theirs)?, sessions: Arc::default() })
    }

    fn ask(&self, request: &Request, deadline: Instant) -> io::Result<(Answer, Option<PamSession>)> {
        self.channel.send(&request.encode(), None, Some(deadline))?;
        let message = self.channel.receive(Some(deadline))?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let answer = Answer::decode(&message.bytes).ok_or(io::ErrorKind::InvalidData)?;
        let session = |fd| PamSession { _held: Arc::new(fd), _of: Arc::clone(&self.sessions) };
        Ok((answer, message.fd.map(session)))
    }

    /// Whether it is the parent of processes that keep PAM sessions open.
    fn has_sessions(&self) -> bool {
        Arc::strong_count(&self.sessions) > 1
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // The helper may be busy. It holds nothing that a kill would leave behind.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// This program as a helper, with nothing of the administrator's environment.
fn itself() -> io::Result<Command> {
    let mut program = Command::new(executable()?);
    program.arg0("ftpd-auth").arg(HELPER_ARG).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    Ok(program)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Busy => f.write_str("all auth helpers are busy"),
            Failure::Start(error) => write!(f, "an auth helper cannot be started: {error}"),
            Failure::Helper(error) if error.kind() == io::ErrorKind::TimedOut => {
                f.write_str("an auth helper did not answer in time and was replaced")
            }
            Failure::Helper(error) => write!(f, "an auth helper failed and was replaced: {error}"),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests;
