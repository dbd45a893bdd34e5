//! Logins and logouts in wtmp.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::RwLock;

use crate::config::WtmpUse;
use crate::sys::wtmp::Wtmp;

/// The system's record of logins, opened at start, or nothing.
pub(crate) struct Logins {
    wtmp: RwLock<Option<Wtmp>>,
    /// Sessions are told apart by the line they would have on a terminal.
    next_line: AtomicU32,
}

impl Logins {
    /// Fails only if the record was asked for. The error names the option.
    pub(crate) fn open(wanted: WtmpUse) -> io::Result<Arc<Logins>> {
        let wtmp = match wanted {
            WtmpUse::Off => None,
            WtmpUse::IfThere => Wtmp::open().ok(),
            WtmpUse::Required => {
                Some(Wtmp::open().map_err(|err| io::Error::new(err.kind(), format!("-w, --wtmp: {err}")))?)
            }
        };
        Ok(Arc::new(Logins { wtmp: RwLock::new(wtmp), next_line: AtomicU32::new(1) }))
    }

    /// Records that `user` logged in from `host`, and the logout when the value
    /// is dropped.
    pub(crate) fn record(self: &Arc<Self>, user: &str, host: IpAddr) -> LoginRecord {
        // Servers started by inetd number their only session alike, so that the process is part of it.
        let number = self.next_line.fetch_add(1, Ordering::Relaxed);
        let line = format!("ftpd{}.{number}", std::process::id());
        self.write(|wtmp| wtmp.login(&line, user, host));
        LoginRecord { logins: Arc::clone(self), line }
    }

    /// Opens the record anew, after it was rotated. If that fails, the old one goes on.
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
