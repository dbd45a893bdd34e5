//! The pool with real helper processes: this test program, or a shell that behaves badly.

use std::env;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::process::{Pid, test_kill_process};

use super::*;
use crate::sys::accounts::Finding;

/// Long enough for a busy machine: no test waits for it to pass.
const AMPLE: Duration = Duration::from_secs(120);

const SHA512: &[u8] =
    b"$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1";

/// The test program as a helper: `process::tests::helper_process` serves.
fn test_helper() -> io::Result<Helper> {
    let mut program = Command::new(env::current_exe()?);
    program.args(["--exact", "helpers::process::tests::helper_process"]).env("FERRYD_TEST_HELPER", "1");
    Helper::start(program)
}

fn shell(script: &str) -> io::Result<Helper> {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]);
    Helper::start(shell)
}

/// A helper that never answers.
fn deaf() -> io::Result<Helper> {
    Helper::start(Command::new("cat"))
}

impl Helpers {
    pub(crate) fn of_tests(most: usize) -> Helpers {
        pool(most, test_helper)
    }

    fn take(&self, asker: Asker) -> Result<Loan, Failure> {
        Crew::take(&self.0, asker)
    }

    fn pids(&self) -> Vec<Pid> {
        self.0.roster.lock().idle.iter().map(|(helper, _)| helper.pid()).collect()
    }
}

impl Helper {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }
}

impl Loan {
    fn pid(&self) -> Pid {
        self.helper.as_ref().unwrap().pid()
    }
}

fn pool(most: usize, launch: impl Fn() -> io::Result<Helper> + Send + Sync + 'static) -> Helpers {
    with(Bounds { most, answer_within: AMPLE, idle_time: AMPLE }, launch)
}

fn with(bounds: Bounds, launch: impl Fn() -> io::Result<Helper> + Send + Sync + 'static) -> Helpers {
    Helpers::with(bounds, Box::new(launch)).unwrap()
}

/// Somebody of that number, with a lot of time.
fn from(host: u8) -> Asker {
    Asker { address: Some(Ipv4Addr::new(192, 0, 2, host).into()), until: Instant::now() + AMPLE }
}

/// Somebody who does not wait.
fn hasty(address: &str) -> Asker {
    Asker { address: Some(address.parse().unwrap()), until: Instant::now() }
}

fn hash_of(password: &str) -> Request {
    let password = Request::secret(password.as_bytes()).unwrap();
    Request::Hash { hash: SHA512.to_vec(), password, instead: 1 }
}

#[cfg(target_os = "linux")]
#[test]
fn a_helper_tells_right_from_wrong() {
    let helpers = Helpers::of_tests(1);
    for (password, finding) in
        [("secret", Finding::Right), ("Secret", Finding::Wrong), ("secret", Finding::Right)]
    {
        let answered = helpers.ask(&hash_of(password), from(1)).unwrap();
        assert_eq!(answered.answer, Answer::of(finding));
        assert!(answered.session.is_none());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_helper_that_died_between_logins_is_replaced_unseen() {
    let helpers = Helpers::of_tests(1);
    helpers.ask(&hash_of("secret"), from(1)).unwrap();
    let first = helpers.pids();
    let mut loan = helpers.take(from(1)).unwrap();
    loan.helper.as_mut().unwrap().process.kill().unwrap();
    loan.helper.as_mut().unwrap().process.wait().unwrap();
    drop(loan);
    assert_eq!(helpers.ask(&hash_of("secret"), from(1)).unwrap().answer, Answer::of(Finding::Right));
    assert_ne!(helpers.pids(), first);
}

#[cfg(target_os = "linux")]
#[test]
fn a_helper_killed_during_a_login_costs_that_login_alone() {
    // The second one, which is taken first, is killed once it has a request.
    let started = AtomicUsize::new(0);
    let helpers = pool(2, move || match started.fetch_add(1, Ordering::SeqCst) {
        1 => shell("head -c 1 >/dev/null; kill -KILL $$"),
        _ => test_helper(),
    });
    let victim = helpers.pids()[1];
    let failure = helpers.ask(&hash_of("secret"), from(1)).err().unwrap();
    assert!(matches!(failure, Failure::Helper(_)), "{failure}");
    assert!(!helpers.pids().contains(&victim));
    let loans: Vec<_> = (0..2).map(|host| helpers.take(from(host)).unwrap()).collect();
    for loan in &loans {
        let answer = loan.helper.as_ref().unwrap().ask(&hash_of("secret"), Instant::now() + AMPLE);
        assert_eq!(answer.unwrap().0, Answer::of(Finding::Right));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_login_waits_for_a_helper_that_is_busy_with_another() {
    let helpers = Arc::new(Helpers::of_tests(1));
    let loan = helpers.take(from(1)).unwrap();
    let login = thread::spawn({
        let helpers = Arc::clone(&helpers);
        move || helpers.ask(&hash_of("secret"), from(2)).map(|answered| answered.answer)
    });
    drop(loan);
    assert_eq!(login.join().unwrap().unwrap(), Answer::of(Finding::Right));
}

#[test]
fn a_helper_that_hangs_is_replaced_at_the_deadline() {
    let bounds = Bounds { most: 1, answer_within: Duration::from_millis(20), idle_time: AMPLE };
    let helpers = with(bounds, deaf);
    let first = helpers.pids();
    let failure = helpers.ask(&hash_of("secret"), from(1)).err().unwrap();
    assert!(
        matches!(&failure, Failure::Helper(error) if error.kind() == io::ErrorKind::TimedOut),
        "{failure}"
    );
    assert_ne!(helpers.pids(), first);
}

#[test]
fn a_helper_that_talks_nonsense_is_replaced() {
    let helpers = pool(1, || shell("head -c 3 >/dev/null; printf '\\000\\001\\377' >&0; exec sleep 1000"));
    let failure = helpers.ask(&hash_of("secret"), from(1)).err().unwrap();
    assert!(
        matches!(&failure, Failure::Helper(error) if error.kind() == io::ErrorKind::InvalidData),
        "{failure}"
    );
}

#[test]
fn a_login_does_not_wait_for_ever_for_a_busy_helper() {
    let helpers = pool(1, deaf);
    let _taken = helpers.take(from(1)).unwrap();
    assert!(matches!(helpers.ask(&hash_of("secret"), hasty("192.0.2.2")), Err(Failure::Busy)));
}

#[test]
fn the_wait_for_a_helper_is_not_part_of_the_time_for_an_answer() {
    let answer_within = Duration::from_secs(1);
    let bounds = Bounds { most: 1, answer_within, idle_time: AMPLE };
    let helpers = Arc::new(with(bounds, || shell("head -c 3 >/dev/null; printf '\\000\\001r' >&0; cat")));
    let loan = helpers.take(from(1)).unwrap();
    let login = thread::spawn({
        let helpers = Arc::clone(&helpers);
        move || helpers.ask(&hash_of("x"), from(2)).map(|answered| (answered.answer, answered.waited))
    });
    thread::sleep(answer_within + Duration::from_millis(100));
    drop(loan);
    let (answer, waited) = login.join().unwrap().unwrap();
    assert_eq!(answer, Answer::of(Finding::Right));
    assert!(waited >= answer_within, "{waited:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn while_six_slow_logins_go_on_a_seventh_is_answered_at_once() {
    let started = AtomicUsize::new(0);
    let helpers = Arc::new(pool(32, move || match started.fetch_add(1, Ordering::SeqCst) {
        // It has what it was asked, and is in no hurry.
        0..6 => shell("head -c 3 >/dev/null; sleep 3; printf '\\000\\001w' >&0; exec sleep 1000"),
        _ => test_helper(),
    }));
    let slow = (0..6).map(|_| {
        let helpers = Arc::clone(&helpers);
        thread::spawn(move || helpers.ask(&hash_of("x"), from(1)).map(|answered| answered.answer))
    });
    let slow: Vec<_> = slow.collect();
    while helpers.0.roster.lock().held.values().sum::<usize>() < 6 {
        thread::sleep(Duration::from_millis(1));
    }
    let asked = Instant::now();
    let quick = helpers.ask(&hash_of("secret"), from(2)).unwrap();
    assert_eq!(quick.answer, Answer::of(Finding::Right));
    assert!(quick.waited < Duration::from_secs(1), "{:?}", quick.waited);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    for login in slow {
        assert_eq!(login.join().unwrap().unwrap(), Answer::of(Finding::Wrong));
    }
}

#[test]
fn one_host_holds_a_quarter_of_the_helpers() {
    let helpers = pool(8, deaf);
    let network = ["2001:db8::1", "2001:db8::2", "2001:db8::3"];
    let first = helpers.take(hasty(network[0])).unwrap();
    let _second = helpers.take(hasty(network[1])).unwrap();
    assert!(matches!(helpers.take(hasty(network[2])), Err(Failure::Busy)));
    let _others = ["192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8:0:1::1"]
        .map(|host| helpers.take(hasty(host)).unwrap());
    assert!(matches!(helpers.take(hasty("::ffff:192.0.2.1")), Err(Failure::Busy)));
    drop(first);
    let _third = helpers.take(hasty(network[2])).unwrap();
    // The server itself is no host.
    let _probe = helpers.take(Asker { address: None, until: Instant::now() }).unwrap();
    assert_eq!(helpers.0.roster.lock().count, 7);
}

#[test]
fn helpers_beyond_two_end_when_they_have_been_idle() {
    let bounds = Bounds { most: 32, answer_within: AMPLE, idle_time: Duration::from_millis(40) };
    let helpers = with(bounds, deaf);
    assert_eq!(helpers.pids().len(), 2);
    let loans: Vec<Loan> = (1..=5).map(|host| helpers.take(from(host)).unwrap()).collect();
    let pids: Vec<Pid> = loans.iter().map(Loan::pid).collect();
    // One of them has opened a PAM session.
    let session = Arc::clone(&loans[4].helper.as_ref().unwrap().sessions);
    drop(loans);
    let runs = |pid: &&Pid| test_kill_process(**pid).is_ok();
    while pids.iter().filter(runs).count() > 2 {
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(Duration::from_millis(100));
    assert_eq!((helpers.pids().len(), helpers.0.roster.lock().count), (2, 2));
    assert!(helpers.pids().contains(&pids[4]), "the parent of a session's process");
    drop(session);
    // They come back when they are needed, and go again.
    let loans: Vec<Loan> = (1..=3).map(|host| helpers.take(from(host)).unwrap()).collect();
    drop(loans);
    while helpers.0.roster.lock().count > 2 {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_login_waits_for_others_when_no_helper_can_be_started() {
    let started = AtomicUsize::new(0);
    let helpers = Arc::new(pool(8, move || match started.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => deaf(),
        _ => Err(io::Error::from_raw_os_error(11)),
    }));
    let loans = [1, 2].map(|host| helpers.take(from(host)).unwrap());
    assert!(matches!(helpers.take(hasty("192.0.2.3")), Err(Failure::Start(_))));
    let next = thread::spawn({
        let helpers = Arc::clone(&helpers);
        move || helpers.take(from(3)).map(|loan| loan.pid())
    });
    let pids: Vec<Pid> = loans.iter().map(Loan::pid).collect();
    drop(loans);
    assert!(pids.contains(&next.join().unwrap().unwrap()));
    assert_eq!(helpers.0.roster.lock().count, 2);
}
