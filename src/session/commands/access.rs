//! USER PASS ACCT CWD CDUP REIN QUIT: RFC 959 section 4.1.1; HOST: RFC 7151.

use std::io::{self, ErrorKind};
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::account::{Account, AccountKind, Attempt, Refusal};
use crate::clients::Guess;
use crate::events::{User, What};
use crate::logging::{self, LoginRecord, SessionLines};
use crate::proto::host::HostName;
use crate::proto::path::VirtualPath;
use crate::proto::reply::{Reply, ReplyCode};
use crate::proto::secret::Password;
use crate::session::Session;
use crate::session::rights::Rights;
use crate::session::state::{LoggedIn, Login, Rates};
use crate::session::stop::{Stop, bad_path, io_refusal, refused};
use crate::sys::identity::{self, OwnUmask};
use crate::sys::root::Root;
use crate::sys::sandbox;
use crate::tls::TlsConnection;
use crate::vfs::{DRAFTS, Filter, Vfs, Viewer};

/// The failed login from which the log says that they repeat.
const REPEATED: u32 = 5;

/// The most of a user name that a reply or the log shows.
const SHOWN_NAME: usize = 64;

impl Session {
    /// The answer is the same for every name, so that it tells nothing about any.
    pub(in crate::session) fn user(&mut self, name: Vec<u8>, line: Vec<u8>) -> Result<Reply, Stop> {
        if self.identity_changed {
            return Err(self.user_on_fresh_thread(line));
        }
        self.may_log_out()?;
        self.forget_login();
        if self.needs_tls(&name) {
            return Err(refused(ReplyCode::NotLoggedIn, "Log in under TLS: send AUTH TLS first."));
        }
        if let Some(reply) = self.log_in_by_certificate(&name)? {
            return Ok(reply);
        }
        let text = if self.services.authenticator.is_anonymous(&name) {
            b"Guest login ok, send your e-mail address as password.".to_vec()
        } else {
            [b"Password required for ", &name[..name.len().min(SHOWN_NAME)], b"."].concat()
        };
        self.login = Login::NeedPassword { user: name };
        Ok(Reply::new(ReplyCode::NeedPassword, text))
    }

    /// 232, if the client's certificate names this user, and nothing is against the account
    /// (RFC 2228 section 3). Else `None`: the password is asked for as ever.
    fn log_in_by_certificate(&mut self, name: &[u8]) -> Result<Option<Reply>, Stop> {
        let wanted = self.services.config.tls.as_ref().is_some_and(|policy| policy.client_login);
        let Some(tls) = self.control.tls().filter(|_| wanted) else { return Ok(None) };
        let named = tls.client_names().iter().any(|known| known.as_bytes() == name);
        if !named || self.slot.is_banned() || self.nologin(ReplyCode::NotLoggedIn).is_some() {
            return Ok(None);
        }
        match self.services.authenticator.log_in_certified(&self.attempt(name)) {
            Ok(account) => self.enter(account, ReplyCode::LoggedInBySecurityExchange).map(Some),
            Err(reason) => {
                log::info!("{}: the certificate of {} is not enough: {reason}", self.host(), shown(name));
                Ok(None)
            }
        }
    }

    pub(in crate::session) fn pass(&mut self, password: &Password) -> Result<Reply, Stop> {
        let user = match mem::replace(&mut self.login, Login::NotLoggedIn) {
            Login::NeedPassword { user } => user,
            other => {
                self.login = other;
                return Err(refused(ReplyCode::BadSequence, "Log in with USER first."));
            }
        };
        if let Some(reply) = self.nologin(ReplyCode::NotLoggedIn) {
            self.tell(What::LoginsClosed { user: &user, reason: "nologin" });
            return Err(reply.into());
        }
        let login_deadline = self.login_deadline();
        let go_on = || Instant::now() < login_deadline && !self.control.must_end();
        let guess = self.slot.guess(&go_on).map_err(|why| {
            let reason = why.to_string();
            self.tell(What::LoginsClosed { user: &user, reason: &reason });
            Stop::Close(Reply::new(ReplyCode::ServiceNotAvailable, reason))
        })?;
        let since = Instant::now();
        match self.services.authenticator.log_in(&self.attempt(&user), password) {
            Ok(account) => self.enter(account, ReplyCode::LoggedIn),
            Err(Refusal::Denied { reason }) => self.login_refused(&user, &reason, guess, since),
            Err(Refusal::Unavailable { reason }) => {
                log::error!("login of {} from {} not checked: {reason}", shown(&user), self.host());
                let text = "Logins cannot be checked now; closing the connection.";
                Err(Stop::Close(Reply::new(ReplyCode::ServiceNotAvailable, text)))
            }
        }
    }

    fn attempt<'a>(&'a self, user: &'a [u8]) -> Attempt<'a> {
        Attempt { user, peer: self.host(), host: self.virtual_host.as_deref(), until: self.login_deadline() }
    }

    /// The thread becomes the account, and the client sees the account's tree.
    fn enter(&mut self, account: Account, code: ReplyCode) -> Result<Reply, Stop> {
        let slot = self.slot.log_in(&account.name).map_err(|why| {
            let (user, reason) = (account.name.as_bytes(), why.to_string());
            self.tell(What::LoginsClosed { user, reason: &reason });
            Stop::Close(Reply::new(ReplyCode::ServiceNotAvailable, reason))
        })?;
        // A jail may stand where the account itself could not go; a home on NFS, where root could not.
        let root = match Root::open(&account.root) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied && account.identity.is_some() => None,
            other => Some(other.map_err(|error| no_root(&account, &error))?),
        };
        let motd = self.motd(&account);
        let umask = account.options.umask.unwrap_or(self.services.config.files.umask);
        let own_umask = OwnUmask::take();
        if let Some(own) = &own_umask {
            own.set(umask);
        }
        let root = self.become_account(&account, root).map_err(|error| {
            // Half an identity is none: this thread does nothing more for anybody.
            log::error!("cannot become {}: {error}", shown(account.name.as_bytes()));
            let text = "Cannot take on your account; closing the connection.";
            Stop::Close(Reply::new(ReplyCode::ServiceNotAvailable, text))
        })?;
        let config = &self.services.config;
        let rights = Rights::of(&account, &config.files, config.login.anonymous.as_ref());
        let viewer = Viewer {
            uid: account.identity.as_ref().map_or_else(identity::effective_uid, |identity| identity.uid),
            denied: rights.denied_letters(),
            hide_ids: config.files.hide_ids,
        };
        let hidden = config.files.hide_files.iter().chain(&account.options.hide).map(String::as_str);
        let drafts = [DRAFTS];
        let denied = config.files.deny_files.iter().map(String::as_str);
        let filter = Filter::new(hidden.chain(drafts), denied);
        let vfs = Rc::new(Vfs::new(root, viewer).filtered(filter));
        if own_umask.is_none() {
            vfs.mask_by_hand(umask);
        }
        let (cwd, note) = first_directory(&account, &vfs);
        let text = welcome(&account, code, note);
        let record = self.name_user(&account);
        let rates = Rates::of(&account, &config.limits);
        self.control.set_login_deadline(None);
        self.login = Login::LoggedIn(Box::new(LoggedIn {
            account,
            rights,
            vfs,
            cwd,
            umask,
            own_umask,
            rates,
            tally: None,
            _record: record,
            _slot: slot,
        }));
        Ok(self.logged_in_reply(code, motd, text))
    }

    /// The thread is the account from here on. Opens `root` with the account's rights, if it is not open yet.
    fn become_account(&mut self, account: &Account, root: Option<Root>) -> io::Result<Root> {
        if let Some(identity) = &account.identity {
            self.identity_changed = true;
            identity::become_user(identity, self.services.authenticator.server_uid())?;
        }
        let root = root.map_or_else(|| Root::open(&account.root), Ok)?;
        if self.services.config.sandbox && self.identity_changed {
            let walls = sandbox::confine_thread(account.confined.then(|| root.fd()))?;
            log::debug!("{}: {walls:?}", self.host());
        }
        Ok(root)
    }

    /// The session is this account's from here on, in the logs, in wtmp and in `who`.
    fn name_user(&self, account: &Account) -> Option<LoginRecord> {
        let email = match &account.kind {
            AccountKind::Anonymous { email } => Some(email.clone()),
            AccountKind::Real => None,
        };
        SessionLines::set_user(Some(&account.name));
        if let Some(binding) = &self.protection.binding {
            // Anonymous clients of one address need not be the same.
            binding.log_in(email.is_none().then_some(&account.name));
        }
        let user = User { name: account.name.clone(), email, confined: account.confined };
        self.control.presence.set_user(Some(Arc::new(user)));
        let mut record = None;
        self.control.presence.event(What::LoggedIn, |event| {
            record = self.services.logins.record(event);
            self.services.tell(event);
        });
        record
    }

    /// Unknown, denied, locked, expired and wrong all end here, after the same time.
    fn login_refused(
        &mut self,
        user: &[u8],
        reason: &str,
        guess: Option<Guess>,
        since: Instant,
    ) -> Result<Reply, Stop> {
        self.failures += 1;
        self.tell(What::LoginFailed { user, reason });
        let limits = &self.services.config.limits;
        let closing = limits.max_login_attempts.is_some_and(|most| self.failures >= most);
        if self.failures == REPEATED || (closing && self.failures < REPEATED) {
            self.tell(What::LoginsFailed { failures: self.failures });
        }
        if guess.is_some_and(Guess::failed) {
            self.tell(What::Banned);
        }
        self.wait_out(since, limits.login_delay);
        if closing {
            let text = "Too many login failures; closing the connection.";
            return Err(Stop::Close(Reply::new(ReplyCode::ServiceNotAvailable, text)));
        }
        Err(refused(ReplyCode::NotLoggedIn, "Login incorrect."))
    }

    /// HOST: the virtual host by its name, or by its address.
    pub(in crate::session) fn choose_host(&mut self, name: &[u8]) -> Result<Reply, Stop> {
        if !matches!(self.login, Login::NotLoggedIn) {
            return Err(refused(ReplyCode::BadSequence, "HOST must come before USER."));
        }
        let Some(name) = HostName::parse(name) else {
            return Err(refused(ReplyCode::ArgumentError, "Not a host: a name, or an address in brackets."));
        };
        let local = self.control.local.ip().to_canonical();
        let found = self.services.hosts.read().named(&name);
        let own = name.is(&self.services.config.greeting.host_name) || name == HostName::Address(local);
        if self.contradicts_tls(&name) || (found.is_none() && !own) {
            return Err(refused(ReplyCode::ParameterNotImplemented, "This host is not known here."));
        }
        self.virtual_host = found;
        self.asked_host = Some(name);
        Ok(self.greeting())
    }

    /// The client has asked for a host of another name in the TLS handshake.
    pub(in crate::session) fn contradicts_tls(&self, name: &HostName) -> bool {
        let asked = self.control.tls().and_then(TlsConnection::server_name);
        asked.is_some_and(|asked| !name.is(asked))
    }

    /// The virtual host is again that of the address that the client connected to.
    pub(in crate::session) fn forget_host(&mut self) {
        self.asked_host = None;
        self.virtual_host = self.services.hosts.read().at(self.control.local.ip());
    }

    pub(in crate::session) fn acct(&self) -> Result<Reply, Stop> {
        match self.login {
            Login::LoggedIn(_) => Ok(Reply::new(ReplyCode::Superfluous, "No account is needed.")),
            _ => Err(refused(ReplyCode::BadSequence, "Log in with USER and PASS; no account is needed.")),
        }
    }

    pub(in crate::session) fn cwd(&mut self, path: Option<Vec<u8>>) -> Result<Reply, Stop> {
        let login = self.logged_in()?;
        let target = match &path {
            Some(path) => login.cwd.join(path).map_err(|_| bad_path())?,
            None => VirtualPath::root().join(&login.account.start).map_err(|_| bad_path())?,
        };
        login.vfs.enter(&target).map_err(|error| io_refusal(path.as_deref().unwrap_or(b"~"), &error))?;
        login.cwd = target;
        Ok(self.entered("CWD command successful."))
    }

    pub(in crate::session) fn cdup(&mut self) -> Result<Reply, Stop> {
        let login = self.logged_in()?;
        let parent = login.cwd.parent();
        login.vfs.enter(&parent).map_err(|error| io_refusal(b"..", &error))?;
        login.cwd = parent;
        Ok(self.entered("CDUP command successful."))
    }

    pub(in crate::session) fn quit(&self) -> Result<Reply, Stop> {
        Err(Stop::Close(Reply::new(ReplyCode::ServiceClosing, "Goodbye.")))
    }

    /// The login, where the gate has seen that there is one.
    pub(in crate::session) fn logged_in(&mut self) -> Result<&mut LoggedIn, Stop> {
        match &mut self.login {
            Login::LoggedIn(login) => Ok(login),
            _ => Err(refused(ReplyCode::NotLoggedIn, "Please log in with USER and PASS.")),
        }
    }
}

/// The text of 230 or 232.
fn welcome(account: &Account, code: ReplyCode, note: &str) -> String {
    let restricted = if account.confined { ", access restrictions apply" } else { "" };
    match account.kind {
        AccountKind::Anonymous { .. } => format!("Guest login ok{restricted}.{note}"),
        AccountKind::Real => {
            let how = match code {
                ReplyCode::LoggedInBySecurityExchange => ", authorized by security data exchange",
                _ => "",
            };
            format!("User {} logged in{how}{restricted}.{note}", shown(account.name.as_bytes()))
        }
    }
}

/// The first working directory, and what the client is told if that is not its home.
fn first_directory(account: &Account, vfs: &Vfs) -> (VirtualPath, &'static str) {
    // It is an absolute path.
    let start = VirtualPath::root().join(&account.start).unwrap_or_else(|_| VirtualPath::root());
    let Err(error) = vfs.enter(&start) else { return (start, "") };
    let root = account.root.display().to_string();
    let (root, name) = (root.trim_end_matches('/'), shown(account.name.as_bytes()));
    log::warn!("{name} cannot enter the home directory {root}{}: {error}", logging::text(&account.start));
    let note = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            " Your home directory is not there; you start in /."
        }
        _ => " Your home directory is not accessible; you start in /.",
    };
    (VirtualPath::root(), note)
}

/// The password was right, but there is no tree to show.
fn no_root(account: &Account, error: &io::Error) -> Stop {
    log::error!("{}: {}: {error}", shown(account.name.as_bytes()), account.root.display());
    refused(ReplyCode::NotLoggedIn, "Your directory cannot be opened; you are not logged in.")
}

/// A name from the network, fit for a log line.
fn shown(name: &[u8]) -> String {
    crate::logging::word(&name[..name.len().min(SHOWN_NAME)]).to_string()
}
