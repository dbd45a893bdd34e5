//! Whose lines the calling thread writes: the number, the host and the user of its session.
//!
//! One number tells the story of one session. It stands in the tag of each of its lines, at every
//! level, in JSON as `session`, and in `who`.

use std::cell::RefCell;
use std::net::IpAddr;

thread_local! {
    static SESSION: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// The session of a thread.
#[derive(Clone)]
pub(super) struct Context {
    pub number: u64,
    pub host: IpAddr,
    /// Fit for a line of the log.
    pub user: Option<String>,
}

/// The calling thread's lines are those of session `number`, until this is dropped.
#[must_use = "dropping it ends the session's lines"]
pub(crate) struct SessionLines(());

impl SessionLines {
    pub(crate) fn begin(number: u64, host: IpAddr) -> SessionLines {
        SESSION.set(Some(Context { number, host, user: None }));
        SessionLines(())
    }

    /// Sets the user who is logged in from now on.
    pub(crate) fn set_user(user: Option<&str>) {
        let user = user.map(|user| super::word(user.as_bytes()).to_string());
        SESSION.with_borrow_mut(|session| session.iter_mut().for_each(|session| session.user = user.clone()));
    }
}

impl Drop for SessionLines {
    fn drop(&mut self) {
        super::flood::tell_left_out_of_session();
        // Nothing is logged of a session that is over.
        SESSION.set(None);
    }
}

impl Context {
    /// `joe@192.0.2.1`, or before a login the host alone.
    pub(super) fn who(&self) -> String {
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        format!("{user}{}", self.host)
    }
}

/// The session of the calling thread, if it has one.
pub(super) fn current() -> Option<Context> {
    // A thread that ends has none any more.
    SESSION.try_with(|session| session.borrow().clone()).ok().flatten()
}
