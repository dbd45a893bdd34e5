//! Asks a helper process whether a password is right.
//!
//! A helper checks one password at a time. One that dies or does not answer in
//! time is replaced by the thread that noticed, which is still root's; the
//! login it was busy with fails as unavailable, the others go on.

use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io};

use parking_lot::{Condvar, Mutex};

use super::process::HELPER_ARG;
use super::protocol::{Answer, Request};
use crate::sys::helper::{Channel, executable, spawn};

/// The helpers of one server.
pub(crate) struct Helpers {
    /// Those that are idle; `None` is the place of one that could not be
    /// replaced, which the next login tries again.
    idle: Mutex<Vec<Option<Helper>>>,
    returned: Condvar,
    launch: Box<dyn Fn() -> io::Result<Helper> + Send + Sync>,
    /// For one request, the wait for a helper included.
    deadline: Duration,
}

/// A PAM session; it ends when this is dropped (its clones too), or with this process.
#[derive(Clone, Debug)]
pub(crate) struct PamSession {
    /// Never written or read: a process waits for its end.
    _held: Arc<OwnedFd>,
}

/// Why there is no answer; for the log.
#[derive(Debug)]
pub(crate) enum Failure {
    /// None of the helpers became idle.
    Busy,
    /// There was none, and none could be started.
    Start(io::Error),
    /// It died, or did not answer in time, or not in words.
    Helper(io::Error),
}

impl Helpers {
    /// Starts `count` helpers. `deadline` is for each request.
    ///
    /// # Errors
    /// A helper could not be started.
    pub(crate) fn start(count: usize, deadline: Duration) -> io::Result<Helpers> {
        Helpers::with(count, deadline, Box::new(|| Helper::start(itself()?)))
    }

    fn with(
        count: usize,
        deadline: Duration,
        launch: Box<dyn Fn() -> io::Result<Helper> + Send + Sync>,
    ) -> io::Result<Helpers> {
        let idle = (0..count.max(1)).map(|_| launch().map(Some)).collect::<io::Result<Vec<_>>>()?;
        Ok(Helpers { idle: Mutex::new(idle), returned: Condvar::new(), launch, deadline })
    }

    /// The answer to `request`, and the PAM session, if that was asked for and opened.
    pub(crate) fn ask(&self, request: &Request) -> Result<(Answer, Option<PamSession>), Failure> {
        let deadline = Instant::now() + self.deadline;
        let mut place = self.take(deadline)?;
        // One that died in peace is replaced without anybody's noticing.
        if !place.helper.as_ref().is_some_and(|helper| helper.channel.is_quiet()) {
            place.helper = None;
            place.helper = Some((self.launch)().map_err(Failure::Start)?);
        }
        let helper = place.helper.as_ref().expect("the place was filled above");
        match helper.ask(request, deadline) {
            Ok(answer) => Ok(answer),
            Err(error) => {
                place.helper = None; // Killed, so that a late answer is not the next login's.
                place.helper = (self.launch)().inspect_err(|error| log::error!("auth helper: {error}")).ok();
                Err(Failure::Helper(error))
            }
        }
    }

    /// An idle helper's place, ours until dropped.
    fn take(&self, deadline: Instant) -> Result<Place<'_>, Failure> {
        let mut idle = self.idle.lock();
        loop {
            if let Some(helper) = idle.pop() {
                return Ok(Place { helper, helpers: self });
            }
            if self.returned.wait_until(&mut idle, deadline).timed_out() && idle.is_empty() {
                return Err(Failure::Busy);
            }
        }
    }
}

/// A helper taken from the pool; given back when dropped.
struct Place<'a> {
    helper: Option<Helper>,
    helpers: &'a Helpers,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.helpers.idle.lock().push(self.helper.take());
        self.helpers.returned.notify_one();
    }
}

/// One helper process; killed when dropped.
struct Helper {
    channel: Channel,
    process: Child,
}

impl Helper {
    fn start(program: Command) -> io::Result<Helper> {
        let (channel, theirs) = Channel::pair()?;
        Ok(Helper { channel, process: spawn(program, theirs)? })
    }

    fn ask(&self, request: &Request, deadline: Instant) -> io::Result<(Answer, Option<PamSession>)> {
        self.channel.send(&request.encode(), None, Some(deadline))?;
        let message = self.channel.receive(Some(deadline))?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let answer = Answer::decode(&message.bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok((answer, message.fd.map(|fd| PamSession { _held: Arc::new(fd) })))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It may be in the middle of anything; it holds nothing that a kill would leave behind.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// This program as a helper, with nothing of the administrator's environment.
fn itself() -> io::Result<Command> {
    let mut program = Command::new(executable()?);
    program.arg(HELPER_ARG).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
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
pub(crate) mod tests {
    use std::env;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use rustix::process::Pid;

    use super::*;
    use crate::sys::accounts::Verdict;

    /// Long enough for a busy machine: no test waits for it to pass.
    const AMPLE: Duration = Duration::from_secs(120);

    const SHA512: &[u8] =
        b"$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1";

    /// The test program as a helper: `process::tests::helper_process` serves.
    pub(crate) fn test_helper() -> io::Result<Command> {
        let mut program = Command::new(env::current_exe()?);
        program.args(["--exact", "helpers::process::tests::helper_process"]).env("FERRYD_TEST_HELPER", "1");
        Ok(program)
    }

    impl Helpers {
        pub(crate) fn of_tests(count: usize) -> Helpers {
            Helpers::with(count, AMPLE, Box::new(|| Helper::start(test_helper()?))).unwrap()
        }

        fn pids(&self) -> Vec<Pid> {
            let pid = |helper: &Option<Helper>| Pid::from_child(&helper.as_ref().unwrap().process);
            self.idle.lock().iter().map(pid).collect()
        }
    }

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    fn hash_of(password: &str) -> Request {
        Request::Hash { hash: SHA512.to_vec(), password: Request::secret(password.as_bytes()).unwrap() }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_helper_tells_right_from_wrong() {
        let helpers = Helpers::of_tests(1);
        for (password, verdict) in
            [("secret", Verdict::Right), ("Secret", Verdict::Wrong), ("secret", Verdict::Right)]
        {
            let (answer, session) = helpers.ask(&hash_of(password)).unwrap();
            assert_eq!(answer, Answer::Verdict(verdict));
            assert!(session.is_none());
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_helper_that_died_between_logins_is_replaced_unseen() {
        let helpers = Helpers::of_tests(1);
        helpers.ask(&hash_of("secret")).unwrap();
        let first = helpers.pids();
        let mut place = helpers.take(Instant::now() + AMPLE).unwrap();
        place.helper.as_mut().unwrap().process.kill().unwrap();
        place.helper.as_mut().unwrap().process.wait().unwrap();
        drop(place);
        assert_eq!(helpers.ask(&hash_of("secret")).unwrap().0, Answer::Verdict(Verdict::Right));
        assert_ne!(helpers.pids(), first);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_helper_killed_during_a_login_costs_that_login_alone() {
        // The second one, which is taken first, is killed once it has a request.
        let started = AtomicUsize::new(0);
        let launch = move || match started.fetch_add(1, Ordering::SeqCst) {
            1 => Helper::start(shell("head -c 1 >/dev/null; kill -KILL $$")),
            _ => Helper::start(test_helper()?),
        };
        let helpers = Helpers::with(2, AMPLE, Box::new(launch)).unwrap();
        let victim = helpers.pids()[1];
        let failure = helpers.ask(&hash_of("secret")).unwrap_err();
        assert!(matches!(failure, Failure::Helper(_)), "{failure}");
        assert!(!helpers.pids().contains(&victim));
        let places: Vec<_> = (0..2).map(|_| helpers.take(Instant::now()).unwrap()).collect();
        for place in &places {
            let answer = place.helper.as_ref().unwrap().ask(&hash_of("secret"), Instant::now() + AMPLE);
            assert_eq!(answer.unwrap().0, Answer::Verdict(Verdict::Right));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_login_waits_for_a_helper_that_is_busy_with_another() {
        let helpers = Arc::new(Helpers::of_tests(1));
        let place = helpers.take(Instant::now()).unwrap();
        let login = thread::spawn({
            let helpers = Arc::clone(&helpers);
            move || helpers.ask(&hash_of("secret"))
        });
        drop(place);
        assert_eq!(login.join().unwrap().unwrap().0, Answer::Verdict(Verdict::Right));
    }

    #[test]
    fn a_helper_that_hangs_is_replaced_at_the_deadline() {
        let sleeper = || {
            let mut sleep = Command::new("sleep");
            sleep.arg("1000");
            Helper::start(sleep)
        };
        let helpers = Helpers::with(1, Duration::from_millis(20), Box::new(sleeper)).unwrap();
        let first = helpers.pids();
        let failure = helpers.ask(&hash_of("secret")).unwrap_err();
        assert!(
            matches!(&failure, Failure::Helper(error) if error.kind() == io::ErrorKind::TimedOut),
            "{failure}"
        );
        assert_ne!(helpers.pids(), first);
    }

    #[test]
    fn a_helper_that_talks_nonsense_is_replaced() {
        let nonsense = "head -c 3 >/dev/null; printf '\\000\\001\\377' >&0; exec sleep 1000";
        let helpers = Helpers::with(1, AMPLE, Box::new(|| Helper::start(shell(nonsense)))).unwrap();
        let failure = helpers.ask(&hash_of("secret")).unwrap_err();
        assert!(
            matches!(&failure, Failure::Helper(error) if error.kind() == io::ErrorKind::InvalidData),
            "{failure}"
        );
    }

    #[test]
    fn a_login_does_not_wait_for_ever_for_a_busy_helper() {
        let sleeper = || Helper::start(Command::new("cat"));
        let helpers = Helpers::with(1, Duration::ZERO, Box::new(sleeper)).unwrap();
        let _taken = helpers.take(Instant::now()).unwrap();
        assert!(matches!(helpers.ask(&hash_of("secret")), Err(Failure::Busy)));
    }
}
