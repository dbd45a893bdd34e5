//! The workers: threads that do one job at a time. A job is a client, but this file knows no FTP.
//!
//! The main thread spawns all of them: a new thread has the identity of the thread that spawns it, and a
//! worker may have become a user. Such a worker ends with its session. Some of the others are kept for
//! the next clients.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender};

use crate::sys::process::{self, Wake};

/// More than the deepest call of a session needs. Pages that are not touched cost nothing.
const STACK: usize = 256 * 1024;

/// The most workers that wait for clients. A fresh thread costs 75 microseconds.
const KEPT: usize = 64;

/// The function that does a job.
pub(super) type Work<Job> = dyn Fn(Job) -> Done<Job> + Send + Sync;

/// The result of a job.
pub(super) struct Done<Job> {
    /// The thread may do another job.
    pub fit: bool,
    /// A job that goes on, on a fresh thread.
    pub again: Option<Job>,
}

/// The workers, as the main thread has them.
pub(super) struct Pool<Job> {
    jobs: Sender<Job>,
    /// Jobs that go on, on a fresh thread.
    returned: Receiver<Job>,
    common: Arc<Common<Job>>,
}

/// The part that all workers share.
struct Common<Job> {
    jobs: Receiver<Job>,
    give_back: Sender<Job>,
    /// Workers that wait, and for which no job is on the way.
    idle: AtomicUsize,
    threads: Arc<AtomicUsize>,
    /// Wakes the main thread when a job comes back or ends.
    wake: Arc<Wake>,
    work: Box<Work<Job>>,
}

impl<Job: Send + 'static> Pool<Job> {
    pub(super) fn new(work: Box<Work<Job>>, wake: Arc<Wake>) -> Pool<Job> {
        // Their number is limited by the number of clients.
        let (jobs, receive_jobs) = crossbeam_channel::unbounded();
        let (give_back, returned) = crossbeam_channel::unbounded();
        let (idle, threads) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let common = Common { jobs: receive_jobs, give_back, idle, threads, wake, work };
        Pool { jobs, returned, common: Arc::new(common) }
    }

    /// Gives `job` to a waiting worker, or to a new one. If no thread can be had, the error has the job
    /// and the reason.
    pub(super) fn dispatch(&self, job: Job) -> Result<(), (Box<Job>, io::Error)> {
        if !self.common.claim_idle()
            && let Err(err) = self.spawn()
        {
            return Err((Box::new(job), err));
        }
        if self.jobs.send(job).is_err() {
            unreachable!("the pool itself holds a receiver");
        }
        Ok(())
    }

    /// Jobs that wait for a fresh thread.
    pub(super) fn returned(&self) -> impl Iterator<Item = Job> + '_ {
        self.returned.try_iter()
    }

    /// The number of threads, and the number of those that wait.
    pub(super) fn threads(&self) -> (usize, usize) {
        (self.common.threads.load(Ordering::SeqCst), self.common.idle.load(Ordering::SeqCst))
    }

    /// Starts a worker, which waits for the job that follows.
    fn spawn(&self) -> io::Result<()> {
        let common = Arc::clone(&self.common);
        let counted = Counted::new(&self.common.threads);
        thread::Builder::new().name("session".to_owned()).stack_size(STACK).spawn(move || {
            let _counted = counted;
            if let Err(err) = process::block_signals() {
                log::warn!("signals may interrupt a session: {err}");
            }
            common.work();
        })?;
        Ok(())
    }
}

impl<Job> Common<Job> {
    fn work(&self) {
        while let Ok(job) = self.jobs.recv() {
            if !self.do_one(job) || !self.become_idle() {
                return;
            }
        }
    }

    /// Whether the thread is fit for another job.
    fn do_one(&self, job: Job) -> bool {
        let done = panic::catch_unwind(AssertUnwindSafe(|| (self.work)(job)));
        let fit = match done {
            Ok(Done { fit, again }) => {
                if let Some(job) = again {
                    // The main thread may have ended; then the process ends too.
                    let _ = self.give_back.send(job);
                }
                fit
            }
            // The thread may have become a user by then, so it ends.
            Err(_) => {
                log::error!("session ended by a bug");
                false
            }
        };
        self.wake.wake();
        fit
    }

    /// Joins the workers that wait, unless there are enough of them.
    fn become_idle(&self) -> bool {
        let join = |idle| (idle < KEPT).then_some(idle + 1);
        self.idle.fetch_update(Ordering::SeqCst, Ordering::SeqCst, join).is_ok()
    }

    /// Takes one of the workers that wait, for one job.
    fn claim_idle(&self) -> bool {
        let leave = |idle: usize| idle.checked_sub(1);
        self.idle.fetch_update(Ordering::SeqCst, Ordering::SeqCst, leave).is_ok()
    }
}

/// Counts a thread for as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(threads: &Arc<AtomicUsize>) -> Counted {
        threads.fetch_add(1, Ordering::SeqCst);
        Counted(Arc::clone(threads))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::{Admission, Slot};
    use crate::config::Limits;
    use std::collections::HashSet;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Barrier;
    use std::thread::ThreadId;

    /// A client, as far as the pool cares.
    struct Client {
        stream: TcpStream,
        _slot: Slot,
    }

    const FIT: Done<Client> = Done { fit: true, again: None };
    const UNFIT: Done<Client> = Done { fit: false, again: None };

    struct House {
        pool: Pool<Client>,
        admission: Arc<Admission>,
        wake: Arc<Wake>,
        listener: TcpListener,
    }

    impl House {
        fn new(serve: impl Fn(Client) -> Done<Client> + Send + Sync + 'static) -> House {
            let wake = Arc::new(Wake::new().unwrap());
            House {
                pool: Pool::new(Box::new(serve), Arc::clone(&wake)),
                admission: Admission::new(&Limits::default()),
                wake,
                listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            }
        }

        /// A client that a worker has been given.
        fn connect(&self) -> TcpStream {
            let local = self.listener.local_addr().unwrap();
            let user = TcpStream::connect(local).unwrap();
            let (stream, peer) = self.listener.accept().unwrap();
            let slot = self.admission.admit(peer.ip()).expect("there is room");
            self.pool.dispatch(Client { stream, _slot: slot }).ok().expect("a thread can be had");
            user
        }

        /// Waits until a worker wakes the main thread.
        fn wait(&self) {
            use rustix::event::{PollFd, PollFlags, poll};
            poll(&mut [PollFd::from_borrowed_fd(self.wake.fd(), PollFlags::IN)], None).unwrap();
            self.wake.drain();
        }

        fn wait_for_threads(&self, count: usize) {
            while self.pool.threads().0 != count {
                thread::yield_now();
            }
        }

        fn wait_for_idle(&self, count: usize) {
            while self.pool.threads().1 != count {
                thread::yield_now();
            }
        }
    }

    fn reply(mut user: &TcpStream) -> String {
        let mut reply = String::new();
        user.read_to_string(&mut reply).unwrap();
        reply
    }

    fn say_thread(client: &Client) {
        writeln!(&client.stream, "{:?}", thread::current().id()).unwrap();
    }

    #[test]
    fn a_worker_that_stays_itself_serves_the_next_client() {
        let house = House::new(|client| {
            say_thread(&client);
            FIT
        });
        let mut threads = HashSet::new();
        for _ in 0..5 {
            threads.insert(reply(&house.connect()));
            house.wait_for_idle(1);
        }
        assert_eq!(threads.len(), 1);
        assert_eq!(house.admission.clients(), 0);
    }

    #[test]
    fn a_worker_that_became_a_user_ends_with_its_session() {
        let house = House::new(|client| {
            say_thread(&client);
            UNFIT
        });
        let first = reply(&house.connect());
        house.wait_for_threads(0);
        assert_ne!(first, reply(&house.connect()));
        house.wait_for_threads(0);
    }

    #[test]
    fn clients_are_served_at_the_same_time() {
        const CLIENTS: usize = 20;
        let everybody = Barrier::new(CLIENTS);
        let house = House::new(move |client| {
            everybody.wait();
            say_thread(&client);
            FIT
        });
        let users: Vec<TcpStream> = (0..CLIENTS).map(|_| house.connect()).collect();
        let threads: HashSet<String> = users.iter().map(reply).collect();
        assert_eq!(threads.len(), CLIENTS);
        house.wait_for_idle(CLIENTS);
    }

    #[test]
    fn a_bug_costs_one_client() {
        let house = House::new(|client| {
            (&client.stream).read_exact(&mut [0; 1]).expect("the test goes away without a word");
            say_thread(&client);
            FIT
        });
        let broken = house.connect();
        broken.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(reply(&broken), "");
        house.wait_for_threads(0);
        assert_eq!(house.admission.clients(), 0);
        let mut next = house.connect();
        next.write_all(b"x").unwrap();
        assert!(reply(&next).starts_with("ThreadId"));
    }

    #[test]
    fn a_client_that_is_handed_over_keeps_its_place_and_gets_another_thread() {
        let first = parking_lot::Mutex::new(None::<ThreadId>);
        let house = House::new(move |client| {
            say_thread(&client);
            let again = first.lock().replace(thread::current().id()).is_some();
            Done { fit: false, again: (!again).then_some(client) }
        });
        let user = house.connect();
        house.wait();
        let client = house.pool.returned().next().expect("the main thread was woken for it");
        assert_eq!(house.admission.clients(), 1);
        house.pool.dispatch(client).ok().expect("a thread can be had");
        let text = reply(&user);
        let threads: HashSet<&str> = text.lines().collect();
        assert_eq!(threads.len(), 2);
        house.wait_for_threads(0);
        assert_eq!(house.admission.clients(), 0);
    }
}
