//! Logins and logouts in wtmp.

use std::io;
use std::sync::Arc;

use parking_lot::RwLock;

use super::flood;
use crate::config::WtmpUse;
use crate::events::{Event, What};
use crate::sys::wtmp::Wtmp;

/// The system's wtmp, opened at start; or nothing.
pub(crate) struct Logins {
    wtmp: RwLock<Option<Wtmp>>,
}

impl Logins {
    /// Fails only if the option demands wtmp. The error names the option.
    pub(crate) fn open(wanted: WtmpUse) -> io::Result<Arc<Logins>> {
        let wtmp = match wanted {
            WtmpUse::Off => None,
            WtmpUse::IfThere => Wtmp::open().ok(),
            WtmpUse::Required => {
                Some(Wtmp::open().map_err(|err| io::Error::new(err.kind(), format!("-w, --wtmp: {err}")))?)
            }
        };
        Ok(Arc::new(Logins { wtmp: RwLock::new(wtmp) }))
    }

    /// Records a login, and its end when the value is dropped. `None`: the event is no login, or one of
    /// too many.
    pub(crate) fn record(self: &Arc<Self>, event: &Event<'_>) -> Option<LoginRecord> {
        let (What::LoggedIn, Some(user), Some(session)) = (event.what, event.user, event.session) else {
            return None;
        };
        // Each login needs a terminal line of its own: as ftpd, we make one of the session's number.
        let line = format!("ftpd{session}");
        let text = || format!("login of {} from {} in wtmp", super::word(user.name.as_bytes()), event.host);
        let is_open = self.wtmp.read().is_some();
        if is_open && flood::leaves_out(&format!("wtmp {}", user.name), event.host, text) {
            return None;
        }
        self.write(|wtmp| wtmp.login(&line, &user.name, event.host));
        Some(LoginRecord { logins: Arc::clone(self), line })
    }

    /// Opens wtmp again, after it was rotated. If that fails, the old file is kept.
    pub(crate) fn reopen(&self) {
        let mut wtmp = self.wtmp.write();
        if wtmp.is_some() {
            match Wtmp::open() {
                Ok(new) => *wtmp = Some(new),
                Err(err) => log::error!("wtmp: {err}"),
            }
        }
    }

    fn write(&self, what: impl FnOnce(&Wtmp) -> io::Result<()>) {
        if let Some(Err(err)) = self.wtmp.read().as_ref().map(what) {
            log::error!("wtmp: {err}");
        }
    }
}

/// One login in wtmp.
#[must_use = "dropping the record is the logout"]
pub(crate) struct LoginRecord {
    logins: Arc<Logins>,
    line: String,
}

impl Drop for LoginRecord {
    fn drop(&mut self) {
        self.logins.write(|wtmp| wtmp.logout(&self.line));
    }
}
