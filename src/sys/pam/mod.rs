//! PAM: asks the system's modules whether a password is right and the account
//! may log in, and keeps a PAM session open.
//!
//! libpam is loaded when it is first needed, so that building ferryd does not
//! need it. Modules change the identity of their process, sleep, and keep state
//! between calls: this runs in a helper process, never in the server. The
//! numbers are those of Linux-PAM, and of OpenPAM on the other systems.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::ptr;

use libloading::Library;
use zeroize::Zeroizing;

use super::accounts::Verdict;

/// The library and those of its functions that are used.
pub(crate) struct Pam {
    start: StartFn,
    end: WithHandleFn,
    set_item: SetItemFn,
    get_item: GetItemFn,
    authenticate: WithHandleFn,
    account: WithHandleFn,
    credentials: WithHandleFn,
    open_session: WithHandleFn,
    close_session: WithHandleFn,
    /// The functions are its, so it is never unloaded before them.
    _library: Library,
}

/// What is asked of PAM.
pub(crate) struct Login<'a> {
    /// The file in /etc/pam.d.
    pub service: &'a CStr,
    pub user: &'a CStr,
    /// `None`: only whether the account is valid.
    pub password: Option<&'a CStr>,
    /// The client's numeric address.
    pub remote_host: &'a CStr,
}

/// A conversation with PAM about one login; ends when dropped.
pub(crate) struct Transaction<'pam> {
    pam: &'pam Pam,
    handle: *mut c_void,
    /// What the last call returned, which pam_end(3) passes on to the modules.
    last: c_int,
    /// PAM holds its address, and its address of the answers.
    _conversation: Box<Conversation>,
    answers: Box<Answers>,
    /// There is a password to be checked.
    authenticates: bool,
    /// Another process goes on with this transaction: nothing is undone here.
    handed_on: bool,
}

type StartFn =
    unsafe extern "C" fn(*const c_char, *const c_char, *const Conversation, *mut *mut c_void) -> c_int;
type WithHandleFn = unsafe extern "C" fn(*mut c_void, c_int) -> c_int;
type SetItemFn = unsafe extern "C" fn(*mut c_void, c_int, *const c_void) -> c_int;
type GetItemFn = unsafe extern "C" fn(*const c_void, c_int, *mut *const c_void) -> c_int;

impl Pam {
    /// # Errors
    /// `NotFound` when the system has no libpam, or one without what is needed.
    pub(crate) fn load() -> io::Result<Pam> {
        let names: &[&str] = if cfg!(target_os = "macos") {
            &["libpam.2.dylib", "libpam.dylib"]
        } else {
            &["libpam.so.0", "libpam.so.6", "libpam.so"]
        };
        let library = names.iter().find_map(|name| open(name)).ok_or(io::ErrorKind::NotFound)?;
        Ok(Pam {
            start: function(&library, c"pam_start")?,
            end: function(&library, c"pam_end")?,
            set_item: function(&library, c"pam_set_item")?,
            get_item: function(&library, c"pam_get_item")?,
            authenticate: function(&library, c"pam_authenticate")?,
            account: function(&library, c"pam_acct_mgmt")?,
            credentials: function(&library, c"pam_setcred")?,
            open_session: function(&library, c"pam_open_session")?,
            close_session: function(&library, c"pam_close_session")?,
            _library: library,
        })
    }

    /// Begins to ask about `login`.
    ///
    /// # Errors
    /// PAM did not start; the modules have not been asked anything.
    pub(crate) fn begin(&self, login: &Login<'_>) -> io::Result<Transaction<'_>> {
        let answers = Box::new(Answers {
            user: login.user.to_owned(),
            password: Zeroizing::new(login.password.unwrap_or(c"").to_bytes_with_nul().to_vec()),
        });
        let conversation = Box::new(Conversation { converse, answers: &raw const *answers });
        let mut handle = ptr::null_mut();
        // SAFETY: the strings end in NUL; PAM keeps the address of the
        // conversation, which is boxed and lives in the transaction.
        let last = unsafe {
            (self.start)(
                login.service.as_ptr(),
                login.user.as_ptr(),
                &raw const *conversation,
                &raw mut handle,
            )
        };
        if last != code::SUCCESS || handle.is_null() {
            return Err(io::Error::other(format!("pam_start failed with {last}")));
        }
        let mut transaction = Transaction {
            pam: self,
            handle,
            last,
            _conversation: conversation,
            answers,
            authenticates: login.password.is_some(),
            handed_on: false,
        };
        transaction.set_text(item::REMOTE_HOST, login.remote_host)?;
        transaction.set_text(item::REMOTE_USER, login.user)?;
        transaction.set_text(item::TTY, c"ftp")?;
        transaction.take_over_delays()?;
        Ok(transaction)
    }
}

impl Transaction<'_> {
    /// Whether the password is right, if there is one, and the account may log in.
    pub(crate) fn check(&mut self) -> Verdict {
        if self.authenticates {
            // SAFETY: the handle is that of a transaction that has not ended.
            self.last = unsafe { (self.pam.authenticate)(self.handle, code::DISALLOW_NULL_AUTHTOK) };
            if self.last != code::SUCCESS {
                return verdict(self.last);
            }
        }
        // SAFETY: the handle is that of a transaction that has not ended.
        self.last = unsafe { (self.pam.account)(self.handle, code::DISALLOW_NULL_AUTHTOK) };
        if self.last != code::SUCCESS {
            // The password was right: a refusal here is the account's.
            return match verdict(self.last) {
                Verdict::Wrong => Verdict::Locked,
                other => other,
            };
        }
        // A module may have let in somebody else (a template account). Whose
        // rights the session gets was decided before PAM was asked.
        if self.user().as_deref() == Some(self.answers.user.as_c_str()) {
            Verdict::Right
        } else {
            Verdict::Locked
        }
    }

    /// Establishes credentials and opens the session. For the process that
    /// stays until the session ends, after `check` said `Right`.
    ///
    /// # Errors
    /// A module refused the session; credentials are deleted again.
    pub(crate) fn open_session(&mut self) -> io::Result<()> {
        // SAFETY: the handle is that of a transaction that has not ended.
        self.last = unsafe { (self.pam.credentials)(self.handle, code::ESTABLISH_CRED) };
        if self.last != code::SUCCESS {
            return Err(io::Error::other(format!("pam_setcred failed with {}", self.last)));
        }
        // SAFETY: as above.
        self.last = unsafe { (self.pam.open_session)(self.handle, 0) };
        if self.last != code::SUCCESS {
            let failure = self.last;
            self.delete_credentials();
            return Err(io::Error::other(format!("pam_open_session failed with {failure}")));
        }
        Ok(())
    }

    pub(crate) fn close_session(&mut self) {
        // SAFETY: the handle is that of a transaction that has not ended.
        self.last = unsafe { (self.pam.close_session)(self.handle, 0) };
        self.delete_credentials();
    }

    /// A fork of this process goes on with the transaction: here its end must
    /// not undo what that one does.
    pub(crate) fn hand_on(mut self) {
        self.handed_on = true;
    }

    /// The modules that need the password later have kept it; libpam wipes its own copy.
    pub(crate) fn forget_password(&mut self) {
        self.answers.password = Zeroizing::new(vec![0]);
    }

    fn delete_credentials(&mut self) {
        // SAFETY: the handle is that of a transaction that has not ended.
        self.last = unsafe { (self.pam.credentials)(self.handle, code::DELETE_CRED) };
    }

    /// The account that PAM would log in.
    fn user(&self) -> Option<CString> {
        let mut user = ptr::null();
        // SAFETY: the handle and the place for the answer are live.
        let found = unsafe { (self.pam.get_item)(self.handle, item::USER, &raw mut user) };
        if found != code::SUCCESS || user.is_null() {
            return None;
        }
        // SAFETY: PAM_USER is a string that ends in NUL, and PAM's until the next call.
        Some(unsafe { CStr::from_ptr(user.cast()) }.to_owned())
    }

    fn set_text(&mut self, item: c_int, text: &CStr) -> io::Result<()> {
        // SAFETY: the handle is live; PAM copies the string, which ends in NUL.
        self.last = unsafe { (self.pam.set_item)(self.handle, item, text.as_ptr().cast()) };
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

/// struct pam_conv: whom a module asks when it wants to know something.
#[repr(C)]
struct Conversation {
    converse: unsafe extern "C" fn(c_int, *const *const Message, *mut *mut Response, *const Answers) -> c_int,
    answers: *const Answers,
}

struct Answers {
    user: CString,
    /// With the NUL at its end.
    password: Zeroizing<Vec<u8>>,
}

/// struct pam_message.
#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

/// struct pam_response; memory of malloc(3), which the module frees.
#[repr(C)]
struct Response {
    text: *mut c_char,
    unused: c_int,
}

/// A prompt that hides what is typed gets the password, one that shows it gets
/// the user name; texts have nobody to read them.
unsafe extern "C" fn converse(
    count: c_int,
    messages: *const *const Message,
    responses: *mut *mut Response,
    answers: *const Answers,
) -> c_int {
    /// PAM_MAX_NUM_MSG.
    const MOST: usize = 32;
    let count = usize::try_from(count).unwrap_or(0);
    if count == 0 || count > MOST || messages.is_null() || responses.is_null() || answers.is_null() {
        return code::CONV_ERR;
    }
    // SAFETY: the pointer is the one given to pam_start, to what the transaction owns.
    let answers = unsafe { &*answers };
    // SAFETY: calloc may be called with any numbers; null is looked for.
    let array: *mut Response = unsafe { libc::calloc(count, size_of::<Response>()) }.cast();
    if array.is_null() {
        return code::BUF_ERR;
    }
    for index in 0..count {
        // SAFETY: PAM passes `count` pointers to messages.
        let style = unsafe { (**messages.add(index)).style };
        let text = match style {
            style::PROMPT_ECHO_OFF => answers.password.as_ptr().cast(),
            style::PROMPT_ECHO_ON => answers.user.as_ptr(),
            style::ERROR_MSG | style::TEXT_INFO => continue,
            _ => ptr::null(), // strdup is not for it; the module gets an error.
        };
        let copy = if text.is_null() {
            ptr::null_mut()
        } else {
            // SAFETY: both answers end in NUL.
            unsafe { libc::strdup(text) }
        };
        if copy.is_null() {
            // SAFETY: the array has `count` elements, those not yet set are zero.
            unsafe { free_responses(array, count) };
            return code::CONV_ERR;
        }
        // SAFETY: the array has `count` elements.
        unsafe { (*array.add(index)).text = copy };
    }
    // SAFETY: PAM passes a place for the array, and frees it.
    unsafe { *responses = array };
    code::SUCCESS
}

/// # Safety
/// `array` came from calloc with `count` elements, whose texts are null or from strdup.
unsafe fn free_responses(array: *mut Response, count: usize) {
    for index in 0..count {
        // SAFETY: the array has `count` elements.
        let text = unsafe { (*array.add(index)).text };
        if !text.is_null() {
            // SAFETY: the text ends in NUL.
            let length = unsafe { libc::strlen(text) };
            // SAFETY: so many bytes are ours; one of them may be a password's.
            unsafe { ptr::write_bytes(text, 0, length) };
            // SAFETY: it came from strdup.
            unsafe { libc::free(text.cast()) };
        }
    }
    // SAFETY: it came from calloc.
    unsafe { libc::free(array.cast()) };
}

fn verdict(result: c_int) -> Verdict {
    match result {
        code::SUCCESS => Verdict::Right,
        code::AUTH_ERR
        | code::USER_UNKNOWN
        | code::CRED_INSUFFICIENT
        | code::MAXTRIES
        | code::AUTHTOK_ERR => Verdict::Wrong,
        code::PERM_DENIED | code::CRED_ERR => Verdict::Locked,
        code::ACCT_EXPIRED | code::CRED_EXPIRED => Verdict::AccountExpired,
        code::NEW_AUTHTOK_REQD | code::AUTHTOK_EXPIRED => Verdict::PasswordExpired,
        _ => Verdict::Unavailable,
    }
}

fn open(name: &str) -> Option<Library> {
    // SAFETY: the constructors of libpam and of what it needs may run in this
    // process; the name is not anybody's but ours.
    unsafe { Library::new(name) }.ok()
}

fn function<F: Copy>(library: &Library, name: &CStr) -> io::Result<F> {
    // SAFETY: F is the type of the function of that name, in the one place that names both.
    let symbol = unsafe { library.get::<F>(name) };
    symbol.map(|symbol| *symbol).map_err(|_| io::ErrorKind::NotFound.into())
}

/// The items of a transaction, the same in both implementations.
mod item {
    use std::ffi::c_int;

    pub(super) const USER: c_int = 2;
    pub(super) const TTY: c_int = 3;
    pub(super) const REMOTE_HOST: c_int = 4;
    pub(super) const REMOTE_USER: c_int = 8;
}

/// The kinds of messages, the same in both implementations.
mod style {
    use std::ffi::c_int;

    pub(super) const PROMPT_ECHO_OFF: c_int = 1;
    pub(super) const PROMPT_ECHO_ON: c_int = 2;
    pub(super) const ERROR_MSG: c_int = 3;
    pub(super) const TEXT_INFO: c_int = 4;
}

/// Results and flags of Linux-PAM, security/_pam_types.h.
#[cfg(target_os = "linux")]
mod code {
    use std::ffi::c_int;

    pub(super) const SUCCESS: c_int = 0;
    pub(super) const BUF_ERR: c_int = 5;
    pub(super) const PERM_DENIED: c_int = 6;
    pub(super) const AUTH_ERR: c_int = 7;
    pub(super) const CRED_INSUFFICIENT: c_int = 8;
    pub(super) const USER_UNKNOWN: c_int = 10;
    pub(super) const MAXTRIES: c_int = 11;
    pub(super) const NEW_AUTHTOK_REQD: c_int = 12;
    pub(super) const ACCT_EXPIRED: c_int = 13;
    pub(super) const CRED_EXPIRED: c_int = 16;
    pub(super) const CRED_ERR: c_int = 17;
    pub(super) const CONV_ERR: c_int = 19;
    pub(super) const AUTHTOK_ERR: c_int = 20;
    pub(super) const AUTHTOK_EXPIRED: c_int = 27;

    pub(super) const DISALLOW_NULL_AUTHTOK: c_int = 1;
    pub(super) const ESTABLISH_CRED: c_int = 2;
    pub(super) const DELETE_CRED: c_int = 4;
    pub(super) const DATA_SILENT: c_int = 0x4000_0000;
}

/// Results and flags of OpenPAM, security/pam_constants.h.
#[cfg(not(target_os = "linux"))]
mod code {
    use std::ffi::c_int;

    pub(super) const SUCCESS: c_int = 0;
    pub(super) const BUF_ERR: c_int = 5;
    pub(super) const CONV_ERR: c_int = 6;
    pub(super) const PERM_DENIED: c_int = 7;
    pub(super) const MAXTRIES: c_int = 8;
    pub(super) const AUTH_ERR: c_int = 9;
    pub(super) const NEW_AUTHTOK_REQD: c_int = 10;
    pub(super) const CRED_INSUFFICIENT: c_int = 11;
    pub(super) const USER_UNKNOWN: c_int = 13;
    pub(super) const CRED_EXPIRED: c_int = 15;
    pub(super) const CRED_ERR: c_int = 16;
    pub(super) const ACCT_EXPIRED: c_int = 17;
    pub(super) const AUTHTOK_EXPIRED: c_int = 18;
    pub(super) const AUTHTOK_ERR: c_int = 20;

    pub(super) const DISALLOW_NULL_AUTHTOK: c_int = 1;
    pub(super) const ESTABLISH_CRED: c_int = 1;
    pub(super) const DELETE_CRED: c_int = 2;
    /// OpenPAM has no such flag.
    pub(super) const DATA_SILENT: c_int = 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(styles: &[c_int]) -> (c_int, Vec<Option<CString>>) {
        let answers = Answers { user: c"joe".to_owned(), password: Zeroizing::new(b"secret\0".to_vec()) };
        let messages: Vec<Message> =
            styles.iter().map(|&style| Message { style, text: c"?".as_ptr() }).collect();
        let pointers: Vec<*const Message> = messages.iter().map(|message| &raw const *message).collect();
        let mut responses = ptr::null_mut();
        // SAFETY: as many pointers as are said, a place for the answer, and live answers.
        let result = unsafe {
            converse(styles.len() as c_int, pointers.as_ptr(), &raw mut responses, &raw const answers)
        };
        if responses.is_null() {
            return (result, Vec::new());
        }
        let texts = (0..styles.len())
            .map(|index| {
                // SAFETY: there is a response to every message.
                let text = unsafe { (*responses.add(index)).text };
                // SAFETY: what is not null ends in NUL.
                (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_owned())
            })
            .collect();
        // SAFETY: the array is the one that was answered, and not used again.
        unsafe { free_responses(responses, styles.len()) };
        (result, texts)
    }

    #[test]
    fn a_hidden_prompt_gets_the_password_and_a_shown_one_the_name() {
        let (result, texts) =
            ask(&[style::TEXT_INFO, style::PROMPT_ECHO_OFF, style::PROMPT_ECHO_ON, style::ERROR_MSG]);
        assert_eq!(result, code::SUCCESS);
        assert_eq!(texts, [None, Some(c"secret".to_owned()), Some(c"joe".to_owned()), None]);
    }

    #[test]
    fn an_unknown_or_endless_conversation_is_an_error() {
        assert_eq!(ask(&[style::PROMPT_ECHO_OFF, 99]), (code::CONV_ERR, vec![]));
        assert_eq!(ask(&[]), (code::CONV_ERR, vec![]));
        assert_eq!(ask(&[style::TEXT_INFO; 33]), (code::CONV_ERR, vec![]));
    }

    #[test]
    fn only_success_is_right() {
        assert_eq!(verdict(code::SUCCESS), Verdict::Right);
        assert_eq!(verdict(code::AUTH_ERR), Verdict::Wrong);
        assert_eq!(verdict(code::ACCT_EXPIRED), Verdict::AccountExpired);
        assert_eq!(verdict(code::NEW_AUTHTOK_REQD), Verdict::PasswordExpired);
        assert!((1..64).all(|result| verdict(result) != Verdict::Right));
        assert_eq!(verdict(-1), Verdict::Unavailable);
    }
}
