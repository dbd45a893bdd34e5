//! The helper process: PAM, or the shadow file and crypt.
//!
//! The server starts itself again with `HELPER_ARG` and a socket as standard
//! input. A helper has one thread, answers one request at a time, and ends
//! when the socket does. It keeps nothing from one login to the next but the
//! libraries.

use std::cell::OnceCell;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{io, process};

use rustix::process::Pid;

use super::protocol::{Answer, Request, Secret};
use crate::sys::accounts::Verdict;
use crate::sys::crypt::Crypt;
use crate::sys::helper::{Channel, Forked, fork, has_ended, settle};
use crate::sys::pam::{Login, Pam, Transaction};
use crate::sys::shadow;

/// The one argument that makes this program a helper.
pub(crate) const HELPER_ARG: &str = "--auth-helper";

/// Serves until the server closes the socket on standard input.
pub(crate) fn main() -> ! {
    let served =
        settle().and_then(|()| Channel::from_stdin()).and_then(|channel| Helper::default().serve(channel));
    process::exit(if served.is_ok() { 0 } else { 1 })
}

#[derive(Default)]
struct Helper {
    libraries: Libraries,
    /// The processes that keep PAM sessions open.
    keepers: Vec<Pid>,
}

/// What checks passwords; each is loaded when it is first asked.
#[derive(Default)]
struct Libraries {
    pam: OnceCell<Option<Pam>>,
    crypt: OnceCell<Option<Crypt>>,
}

impl Helper {
    fn serve(&mut self, mut channel: Channel) -> io::Result<()> {
        while let Some(message) = channel.receive(None)? {
            self.keepers.retain(|&keeper| !has_ended(keeper));
            let request = Request::decode(&message.bytes).ok_or(io::ErrorKind::InvalidData)?;
            drop(message); // Wiped, before anything is forked.
            let (answer, session) = match request {
                Request::Pam { session: true, .. } => {
                    let (verdict, session);
                    (channel, verdict, session) = self.log_in_for_session(channel, request)?;
                    (Answer::Verdict(verdict), session)
                }
                other => (self.libraries.answer(&other), None),
            };
            channel.send(&answer.encode(), session.as_ref().map(AsFd::as_fd), None)?;
        }
        Ok(())
    }

    /// Logs in and opens a PAM session, which a process of its own keeps and
    /// closes: modules have state in the process that opened it, and the
    /// session's thread may end in any way. Gives the channel back, with what
    /// the server holds for as long as the session lasts.
    fn log_in_for_session(
        &mut self,
        channel: Channel,
        request: Request,
    ) -> io::Result<(Channel, Verdict, Option<OwnedFd>)> {
        let (verdict, transaction) = self.libraries.log_in(&request);
        drop(request); // Wiped, before anything is forked.
        let Some(mut transaction) = transaction else { return Ok((channel, verdict, None)) };
        transaction.forget_password();
        let (keeper_end, session_end) = Channel::pair()?;
        match fork()? {
            Forked::Child => {
                drop((channel, session_end));
                keep_session(transaction, &keeper_end);
            }
            Forked::Parent { child } => {
                drop(keeper_end);
                transaction.hand_on();
                self.keepers.push(child);
            }
        }
        // If the modules hang, the server replaces this helper.
        match session_end.receive(None) {
            Ok(Some(_opened)) => Ok((channel, Verdict::Right, Some(session_end.into()))),
            _ => Ok((channel, Verdict::Unavailable, None)),
        }
    }
}

impl Libraries {
    fn answer(&self, request: &Request) -> Answer {
        Answer::Verdict(match request {
            Request::Probe => {
                return Answer::Can { pam: self.pam().is_some(), crypt: self.crypt().is_some() };
            }
            Request::Pam { .. } => self.log_in(request).0,
            Request::Shadow { user, password: Some(password) } => self.shadow(user, password),
            Request::Shadow { user, password: None } => valid(user),
            Request::Hash { hash, password } => self.hash(hash, password),
            Request::Pretend { password } => {
                self.pretend(password);
                Verdict::Wrong
            }
        })
    }

    /// Asks PAM; a login that is right leaves the transaction, to open a session in.
    fn log_in(&self, request: &Request) -> (Verdict, Option<Transaction<'_>>) {
        let Request::Pam { service, user, remote_host, password, .. } = request else {
            return (Verdict::Unavailable, None);
        };
        let login = Login { service, user, remote_host, password: password.as_ref().map(Secret::as_c_str) };
        let Some(Ok(mut transaction)) = self.pam().map(|pam| pam.begin(&login)) else {
            return (Verdict::Unavailable, None);
        };
        match transaction.check() {
            Verdict::Right if password.is_none() => match not_locked(user) {
                Verdict::Right => (Verdict::Right, Some(transaction)),
                refused => (refused, None),
            },
            Verdict::Right => (Verdict::Right, Some(transaction)),
            refused => {
                drop(transaction);
                let Some(password) = password else { return (refused, None) };
                // PAM does not compute a hash for a locked password, and would
                // say by its haste which accounts are locked.
                if shadow::by_name(user).is_ok_and(|entry| entry.is_some_and(|entry| entry.is_locked())) {
                    self.pretend(password);
                }
                (refused, None)
            }
        }
    }

    fn shadow(&self, user: &CStr, password: &Secret) -> Verdict {
        let Some(crypt) = self.crypt() else { return Verdict::Unavailable };
        let entry = match shadow::by_name(user) {
            Ok(Some(entry)) if !entry.is_locked() => entry,
            Ok(_) => {
                self.pretend(password);
                return Verdict::Locked;
            }
            Err(_) => return Verdict::Unavailable,
        };
        if crypt.verify(password.as_c_str(), &entry.hash) { entry.verdict(today()) } else { Verdict::Wrong }
    }

    fn hash(&self, hash: &[u8], password: &Secret) -> Verdict {
        match self.crypt() {
            Some(crypt) if crypt.verify(password.as_c_str(), hash) => Verdict::Right,
            Some(_) => Verdict::Wrong,
            None => Verdict::Unavailable,
        }
    }

    fn pretend(&self, password: &Secret) {
        if let Some(crypt) = self.crypt() {
            crypt.pretend(password.as_c_str());
        }
    }

    fn pam(&self) -> Option<&Pam> {
        self.pam.get_or_init(|| Pam::load().ok()).as_ref()
    }

    fn crypt(&self) -> Option<&Crypt> {
        self.crypt.get_or_init(|| Crypt::load().ok()).as_ref()
    }
}

/// What the shadow file says of an account whose password is not asked for.
fn valid(user: &CStr) -> Verdict {
    match shadow::by_name(user) {
        Ok(Some(entry)) if entry.is_shut() => Verdict::Locked,
        Ok(Some(entry)) => entry.verdict(today()),
        Ok(None) => Verdict::Locked,
        Err(_) => Verdict::Unavailable,
    }
}

/// PAM leaves it to the password's check to refuse a locked account: where that is left out,
/// the shadow file says it. An account that has no entry there is not locked there.
fn not_locked(user: &CStr) -> Verdict {
    match shadow::by_name(user) {
        Ok(Some(entry)) if entry.is_shut() => Verdict::Locked,
        Ok(_) => Verdict::Right,
        // Here PAM's modules know it all.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Verdict::Right,
        Err(_) => Verdict::Unavailable,
    }
}

/// The process that has a PAM session open until the other end is closed: by
/// the session that ends, or by the end of the server.
fn keep_session(mut transaction: Transaction<'_>, other_end: &Channel) -> ! {
    let _ = rustix::process::setsid();
    let opened = transaction.open_session().is_ok();
    if opened {
        let _ = other_end.send(b"opened", None, None);
        while let Ok(Some(_)) = other_end.receive(None) {}
        transaction.close_session();
    }
    drop(transaction);
    process::exit(if opened { 0 } else { 1 })
}

/// Days since 1970.
fn today() -> i64 {
    const DAY: u64 = 24 * 60 * 60;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs() / DAY).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not a test but the helper of other tests, which start this program with
    /// the variable set.
    #[test]
    fn helper_process() {
        if std::env::var_os("FERRYD_TEST_HELPER").is_some() {
            main();
        }
    }

    #[test]
    fn a_helper_ends_with_its_socket_and_with_nonsense() {
        let (server, helper) = Channel::pair().unwrap();
        drop(server);
        assert!(Helper::default().serve(helper).is_ok());
        let (server, helper) = Channel::pair().unwrap();
        server.send(b"nonsense", None, None).unwrap();
        assert!(Helper::default().serve(helper).is_err());
    }
}
