//! PAM: asks the system's modules whether a password is right and the account
//! may log in, and keeps a PAM session open.
//!
//! libpam is loaded when it is first needed, so that building ferryd does not
//! need it. Modules change the identity of their process, sleep, and keep state
//! between calls: this runs in a helper process, never in the server. The
//! numbers are those of Linux-PAM, and of OpenPAM on the other systems.

use std::ffi::{CStr, CString, c_int, c_void};
use std::{fmt, io, ptr};

use zeroize::Zeroizing;

use super::accounts::Finding;

mod conversation;
mod functions;
mod numbers;

use conversation::{Answers, Conversation, Lent};
use functions::Functions;
use numbers::{NAMES, TextItem, code};

/// The system's PAM library.
pub(crate) struct Pam(Functions);

/// What is asked of PAM.
pub(crate) struct Inquiry<'a> {
    /// The file in /etc/pam.d.
    pub service: &'a CStr,
    pub user: &'a CStr,
    /// `None`: only whether the account is valid.
    pub password: Option<&'a CStr>,
    /// The client's numeric address.
    pub remote_host: &'a CStr,
    /// What stands for the terminal: the name of the service, where there is none.
    pub tty: &'a CStr,
}

/// A conversation with PAM about one login; ends when dropped.
pub(crate) struct Transaction<'pam> {
    pam: &'pam Functions,
    handle: *mut c_void,
    /// What the last call returned, which pam_end(3) passes on to the modules.
    last: c_int,
    answers: Lent<Answers>,
    _conversation: Lent<Conversation>,
    /// There is a password to be checked.
    authenticates: bool,
    outcomes: Vec<Outcome>,
    /// Another process goes on with this transaction: nothing is undone here.
    handed_on: bool,
}

/// The questions that PAM is asked about a login, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Authenticate,
    Account,
    Credentials,
    Session,
}

/// What PAM said at one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub stage: Stage,
    /// The number that PAM returned; 0 is a yes.
    pub code: i32,
}

impl Outcome {
    /// `PAM_AUTH_ERR` and the like.
    pub(crate) fn name(self) -> &'static str {
        let index = usize::try_from(self.code).unwrap_or(usize::MAX);
        NAMES.get(index).copied().unwrap_or("an unknown number")
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Authenticate => "authenticate",
            Stage::Account => "account",
            Stage::Credentials => "credentials",
            Stage::Session => "session",
        })
    }
}

impl Pam {
    /// # Errors
    /// `NotFound` when the system has no libpam, or one without what is needed.
    pub(crate) fn load() -> io::Result<Pam> {
        Functions::load().map(Pam)
    }

    /// Begins to ask about `login`.
    ///
    /// # Errors
    /// PAM did not start; the modules have not been asked anything.
    pub(crate) fn begin(&self, login: &Inquiry<'_>) -> io::Result<Transaction<'_>> {
        let answers = Lent::new(Answers {
            user: login.user.to_owned(),
            password: Zeroizing::new(login.password.unwrap_or(c"").to_bytes_with_nul().to_vec()),
        });
        let conversation = Lent::new(Conversation::new(&answers));
        let (service, user) = (login.service.as_ptr(), login.user.as_ptr());
        let mut handle = ptr::null_mut();
        // SAFETY: the strings end in NUL; the conversation and its answers live until after
        // pam_end(3), in the transaction.
        let last = unsafe { (self.0.start)(service, user, conversation.as_ptr(), &raw mut handle) };
        if last != code::SUCCESS || handle.is_null() {
            return Err(io::Error::other(format!("pam_start failed with {last}")));
        }
        let mut transaction = Transaction {
            pam: &self.0,
            handle,
            last,
            answers,
            _conversation: conversation,
            authenticates: login.password.is_some(),
            outcomes: Vec::new(),
            handed_on: false,
        };
        transaction.set_text(TextItem::RemoteHost, login.remote_host)?;
        transaction.set_text(TextItem::RemoteUser, login.user)?;
        transaction.set_text(TextItem::Tty, login.tty)?;
        transaction.take_over_delays()?;
        Ok(transaction)
    }
}

impl Transaction<'_> {
    /// Whether the password is right, if there is one, and the account may log in.
    pub(crate) fn check(&mut self) -> Finding {
        if self.authenticates {
            // SAFETY: the handle is that of a transaction that has not ended.
            let result = unsafe { (self.pam.authenticate)(self.handle, code::DISALLOW_NULL_AUTHTOK) };
            if !self.is_past(Stage::Authenticate, result) {
                return finding(result);
            }
        }
        // SAFETY: the handle is that of a transaction that has not ended.
        let result = unsafe { (self.pam.account)(self.handle, code::DISALLOW_NULL_AUTHTOK) };
        if !self.is_past(Stage::Account, result) {
            // The password was right: a refusal here is the account's.
            return match finding(result) {
                Finding::Wrong => Finding::Locked,
                other => other,
            };
        }
        // A module may have let in somebody else (a template account). Whose
        // rights the session gets was decided before PAM was asked.
        if self.user().as_deref() == Some(self.answers.get().user.as_c_str()) {
            Finding::Right
        } else {
            Finding::Locked
        }
    }

    /// Establishes credentials and opens the session; `false` when a module refuses either.
    /// For the process that stays until the session ends, after `check` said `Right`.
    pub(crate) fn open_session(&mut self) -> bool {
        // SAFETY: the handle is that of a transaction that has not ended.
        let result = unsafe { (self.pam.credentials)(self.handle, code::ESTABLISH_CRED) };
        if !self.is_past(Stage::Credentials, result) {
            return false;
        }
        // SAFETY: as above.
        let result = unsafe { (self.pam.open_session)(self.handle, 0) };
        let opened = self.is_past(Stage::Session, result);
        if !opened {
            self.delete_credentials();
        }
        opened
    }

    /// What the modules said at each stage so far.
    pub(crate) fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    fn is_past(&mut self, stage: Stage, result: c_int) -> bool {
        self.last = result;
        self.outcomes.push(Outcome { stage, code: result });
        result == code::SUCCESS
    }

    pub(crate) fn close_session(&mut self) {
        // SAFETY: the handle is that of a transaction that has not ended.
        self.last = unsafe { (self.pam.close_session)(self.handle, 0) };
        self.delete_credentials();
    }

    /// The child of a fork goes on with the transaction. Here it is forgotten, without
    /// undoing what the child does.
    pub(crate) fn hand_on(mut self) {
        self.handed_on = true;
    }

    /// The modules that need the password later have kept it; libpam wipes its own copy.
    pub(crate) fn forget_password(&mut self) {
        self.answers.get_mut().password = Zeroizing::new(vec![0]);
    }

    fn delete_credentials(&mut self) {
        // SAFETY: the handle is that of a transaction that has not ended.
        self.last = unsafe { (self.pam.credentials)(self.handle, code::DELETE_CRED) };
    }

    /// The account that PAM would log in.
    fn user(&self) -> Option<CString> {
        let mut user = ptr::null();
        // SAFETY: the handle and the place for the answer are live.
        let found = unsafe { (self.pam.get_item)(self.handle, TextItem::User as c_int, &raw mut user) };
        if found != code::SUCCESS || user.is_null() {
            return None;
        }
        // SAFETY: PAM_USER is a string that ends in NUL, and PAM's until the next call.
        Some(unsafe { CStr::from_ptr(user.cast()) }.to_owned())
    }

    fn set_text(&mut self, item: TextItem, text: &CStr) -> io::Result<()> {
        // SAFETY: the handle is live; PAM copies the text, which ends in NUL.
        self.last = unsafe { (self.pam.set_item)(self.handle, item as c_int, text.as_ptr().cast()) };
        if self.last == code::SUCCESS { Ok(()) } else { Err(io::Error::other("pam_set_item failed")) }
    }

    /// The session waits after a refusal, where it holds up nobody; modules
    /// would have pam_authenticate sleep for two seconds, here in the helper.
    #[cfg(target_os = "linux")]
    fn take_over_delays(&mut self) -> io::Result<()> {
        unsafe extern "C" fn no_delay(_result: c_int, _microseconds: libc::c_uint, _data: *mut c_void) {}
        const PAM_FAIL_DELAY: c_int = 10;
        let function: unsafe extern "C" fn(c_int, libc::c_uint, *mut c_void) = no_delay;
        // SAFETY: the handle is live; this item is the address of such a function.
        self.last = unsafe { (self.pam.set_item)(self.handle, PAM_FAIL_DELAY, function as *const c_void) };
        if self.last == code::SUCCESS { Ok(()) } else { Err(io::Error::other("pam_set_item failed")) }
    }

    /// OpenPAM has no delays.
    #[cfg(not(target_os = "linux"))]
    fn take_over_delays(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        let silent = if self.handed_on { code::DATA_SILENT } else { 0 };
        // SAFETY: the handle is live, and not used again.
        unsafe { (self.pam.end)(self.handle, self.last | silent) };
    }
}

fn finding(result: c_int) -> Finding {
    match result {
        code::SUCCESS => Finding::Right,
        code::AUTH_ERR
        | code::USER_UNKNOWN
        | code::CRED_INSUFFICIENT
        | code::MAXTRIES
        | code::AUTHTOK_ERR => Finding::Wrong,
        code::PERM_DENIED | code::CRED_ERR => Finding::Locked,
        code::ACCT_EXPIRED | code::CRED_EXPIRED => Finding::AccountExpired,
        code::NEW_AUTHTOK_REQD | code::AUTHTOK_EXPIRED => Finding::PasswordExpired,
        _ => Finding::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_success_is_right() {
        assert_eq!(finding(code::SUCCESS), Finding::Right);
        assert_eq!(finding(code::AUTH_ERR), Finding::Wrong);
        assert_eq!(finding(code::ACCT_EXPIRED), Finding::AccountExpired);
        assert_eq!(finding(code::NEW_AUTHTOK_REQD), Finding::PasswordExpired);
        assert!((1..64).all(|result| finding(result) != Finding::Right));
        assert_eq!(finding(-1), Finding::Unavailable);
    }

    #[test]
    fn the_numbers_have_names() {
        let name = |code| Outcome { stage: Stage::Session, code }.name();
        assert_eq!(name(code::SUCCESS), "PAM_SUCCESS");
        assert_eq!(name(code::AUTH_ERR), "PAM_AUTH_ERR");
        assert_eq!(name(code::PERM_DENIED), "PAM_PERM_DENIED");
        assert_eq!(name(code::AUTHTOK_EXPIRED), "PAM_AUTHTOK_EXPIRED");
        assert_eq!((name(-1), name(1000)), ("an unknown number", "an unknown number"));
    }
}
