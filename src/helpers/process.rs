//! The helper process: PAM, or the shadow file and crypt.
//!
//! The server starts its own program again with `HELPER_ARG` and a socket as standard input. A
//! helper has one thread, answers one request at a time, and ends when the socket is closed.
//! From one login to the next it keeps the libraries, and nothing else.

use std::cell::OnceCell;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::{io, process};

use super::protocol::{Answer, Request, Secret};
use crate::proto::calendar;
use crate::sys::accounts::Finding;
use crate::sys::clock;
use crate::sys::crypt::Crypt;
use crate::sys::helper::{Channel, Children, settle};
use crate::sys::pam::{Inquiry, Pam, Transaction};
use crate::sys::process::{Forked, fork, name_process};
use crate::sys::shadow;

/// The one argument that makes this program a helper.
pub(crate) const HELPER_ARG: &str = "--auth-helper";

/// Serves until the server closes the socket on standard input.
pub(crate) fn main() -> ! {
    let served = settle(c"ftpd-auth")
        .and_then(|()| Channel::from_stdin())
        .and_then(|channel| Ok((channel, Children::watch()?)))
        .and_then(|(channel, children)| serve(&Libraries::default(), channel, &children));
    process::exit(if served.is_ok() { 0 } else { 1 })
}

fn serve(libraries: &Libraries, mut channel: Channel, children: &Children) -> io::Result<()> {
    libraries.load();
    loop {
        children.collect_until_readable(&channel)?;
        let Some(message) = channel.receive(None)? else { return Ok(()) };
        let request = Request::decode(&message.bytes).ok_or(io::ErrorKind::InvalidData)?;
        drop(message); // Wiped, before anything is forked.
        let (answer, session) = match request {
            Request::Pam { session: true, .. } => {
                let (answer, session);
                (channel, answer, session) = libraries.log_in_for_session(channel, request)?;
                (answer, session)
            }
            other => (libraries.answer(&other), None),
        };
        channel.send(&answer.encode(), session.as_ref().map(AsFd::as_fd), None)?;
    }
}

/// The libraries that check passwords.
#[derive(Default)]
struct Libraries {
    pam: OnceCell<Option<Pam>>,
    crypt: OnceCell<Option<Crypt>>,
}

impl Libraries {
    /// Loads them before the first request, so that this takes no longer than others.
    fn load(&self) {
        self.pam();
        self.crypt();
    }

    fn answer(&self, request: &Request) -> Answer {
        Answer::of(match request {
            Request::Probe => {
                return Answer::Can { pam: self.pam().is_some(), crypt: self.crypt().is_some() };
            }
            Request::Pam { .. } => return self.log_in(request).0,
            Request::Shadow { user, password: Some(password), instead } => {
                self.shadow(user, password, *instead)
            }
            Request::Shadow { user, password: None, .. } => valid(user),
            Request::Hash { hash, password, instead } => self.hash(hash, password, *instead),
            Request::Pretend { password, hashes } => {
                self.pretend(password, *hashes);
                Finding::Wrong
            }
        })
    }

    /// Logs in and opens a PAM session. A separate process keeps it open and closes it: modules
    /// have state in the process that opened a session, and the thread of the FTP session may end
    /// in any way. Gives the channel back, and what the server holds while the session lasts.
    fn log_in_for_session(
        &self,
        channel: Channel,
        request: Request,
    ) -> io::Result<(Channel, Answer, Option<OwnedFd>)> {
        let (answer, transaction) = self.log_in(&request);
        drop(request); // Wiped, before anything is forked.
        let Some(mut transaction) = transaction else { return Ok((channel, answer, None)) };
        transaction.forget_password();
        let (keeper_end, session_end) = Channel::pair()?;
        match fork()? {
            Forked::Child => {
                drop((channel, session_end));
                keep_session(transaction, &keeper_end);
            }
            Forked::Parent => {
                drop(keeper_end);
                transaction.hand_on();
            }
        }
        // If a module hangs, the server replaces this helper.
        let message = session_end.receive(None).ok().flatten();
        match message.and_then(|message| Answer::decode(&message.bytes)) {
            Some(answer @ Answer::Checked { finding: Finding::Right, .. }) => {
                Ok((channel, answer, Some(session_end.into())))
            }
            refused => Ok((channel, refused.unwrap_or(Answer::of(Finding::Unavailable)), None)),
        }
    }

    /// Asks PAM. When the login is right, the transaction is left, to open a session in.
    fn log_in(&self, request: &Request) -> (Answer, Option<Transaction<'_>>) {
        let unavailable = || (Answer::of(Finding::Unavailable), None);
        let Request::Pam { service, user, remote_host, password, instead, .. } = request else {
            return unavailable();
        };
        let password_text = password.as_ref().map(Secret::as_c_str);
        let login = Inquiry { service, user, remote_host, tty: c"ftp", password: password_text };
        let Some(Ok(mut transaction)) = self.pam().map(|pam| pam.begin(&login)) else {
            return unavailable();
        };
        let finding = match (transaction.check(), password) {
            (Finding::Right, None) => not_locked(user),
            // PAM computes no hash for a locked password. The short time would tell which
            // accounts are locked.
            (Finding::Wrong | Finding::Locked, Some(password)) if is_locked(user) => {
                self.pretend(password, *instead);
                Finding::Locked
            }
            (finding, _) => finding,
        };
        let answer = answer_of(&transaction, finding);
        (answer, (finding == Finding::Right).then_some(transaction))
    }

    fn shadow(&self, user: &CStr, password: &Secret, instead: u32) -> Finding {
        let Some(crypt) = self.crypt() else { return Finding::Unavailable };
        let entry = match shadow::by_name(user) {
            Ok(entry) => entry.filter(|entry| !entry.is_locked()),
            Err(_) => return Finding::Unavailable,
        };
        match entry.map(|entry| (crypt.verify(password.as_c_str(), &entry.hash), entry)) {
            Some((Some(true), entry)) => entry.finding(today()),
            Some((Some(false), _)) => Finding::Wrong,
            Some((None, _)) | None => {
                self.pretend(password, instead);
                Finding::Locked
            }
        }
    }

    fn hash(&self, hash: &[u8], password: &Secret, instead: u32) -> Finding {
        match self.crypt().map(|crypt| crypt.verify(password.as_c_str(), hash)) {
            Some(Some(true)) => Finding::Right,
            Some(Some(false)) => Finding::Wrong,
            Some(None) => {
                self.pretend(password, instead);
                Finding::Locked
            }
            None => Finding::Unavailable,
        }
    }

    fn pretend(&self, password: &Secret, hashes: u32) {
        if let Some(crypt) = self.crypt() {
            (0..hashes).for_each(|_| crypt.pretend(password.as_c_str()));
        }
    }

    fn pam(&self) -> Option<&Pam> {
        self.pam.get_or_init(|| Pam::load().ok()).as_ref()
    }

    fn crypt(&self) -> Option<&Crypt> {
        self.crypt.get_or_init(|| Crypt::load().ok()).as_ref()
    }
}

fn answer_of(transaction: &Transaction<'_>, finding: Finding) -> Answer {
    Answer::Checked { finding, outcomes: transaction.outcomes().to_vec() }
}

fn is_locked(user: &CStr) -> bool {
    shadow::by_name(user).is_ok_and(|entry| entry.is_some_and(|entry| entry.is_locked()))
}

/// What the shadow file says of an account whose password is not asked for.
fn valid(user: &CStr) -> Finding {
    match shadow::by_name(user) {
        Ok(Some(entry)) if entry.is_shut() => Finding::Locked,
        Ok(Some(entry)) => entry.finding(today()),
        Ok(None) => Finding::Locked,
        Err(_) => Finding::Unavailable,
    }
}

/// PAM refuses a locked account when it checks the password. Without a password, the shadow file
/// tells whether the account is locked; an account without an entry there is not.
fn not_locked(user: &CStr) -> Finding {
    match shadow::by_name(user) {
        Ok(Some(entry)) if entry.is_shut() => Finding::Locked,
        Ok(_) => Finding::Right,
        // On this system there is no shadow file, and PAM alone knows.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Finding::Right,
        Err(_) => Finding::Unavailable,
    }
}

/// The process that keeps a PAM session open until the other end of the channel is closed: the
/// FTP session is over, or the server.
fn keep_session(mut transaction: Transaction<'_>, other_end: &Channel) -> ! {
    name_process(c"ftpd-session");
    let _ = rustix::process::setsid();
    let opened = transaction.open_session();
    // A module refused the session: that is a refused login, whatever the code. The log has the code.
    let finding = if opened { Finding::Right } else { Finding::Locked };
    let _ = other_end.send(&answer_of(&transaction, finding).encode(), None, None);
    if opened {
        while let Ok(Some(_)) = other_end.receive(None) {}
        transaction.close_session();
    }
    drop(transaction);
    process::exit(if opened { 0 } else { 1 })
}

/// Days since 1970, as the shadow file counts them.
fn today() -> i64 {
    calendar::day_of(clock::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not a test, but the helper of other tests: they start this program with the variable set.
    #[test]
    fn helper_process() {
        if std::env::var_os("FERRYD_TEST_HELPER").is_some() {
            main();
        }
    }

    #[test]
    fn a_helper_ends_with_its_socket_and_with_nonsense() {
        let serve = |channel| serve(&Libraries::default(), channel, &Children::watch().unwrap());
        let (server, helper) = Channel::pair().unwrap();
        drop(server);
        assert!(serve(helper).is_ok());
        let (server, helper) = Channel::pair().unwrap();
        server.send(b"nonsense", None, None).unwrap();
        assert!(serve(helper).is_err());
    }
}
