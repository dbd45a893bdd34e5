//! Logins and logouts in wtmp.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::config::WtmpUse;
use crate::sys::wtmp::Wtmp;

/// The system's record of logins, opened at start, or nothing.
pub(crate) struct Logins {
    wtmp: Option<Wtmp>,
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
        Ok(Arc::new(Logins { wtmp, next_line: AtomicU32::new(1) }))
    }

    /// Records that `user` logged in from `host`, and the logout when the value
    /// is dropped.
    pub(crate) fn record(self: &Arc<Self>, user: &str, host: IpAddr) -> LoginRecord {
        let line = format!("ftpd{}", self.next_line.fetch_add(1, Ordering::Relaxed));
        if let Some(Err(err)) = self.wtmp.as_ref().map(|wtmp| wtmp.login(&line, user, host)) {
            log::error!("wtmp: {err}");
        }
        LoginRecord { logins: Arc::clone(self), line }
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
        if let Some(Err(err)) = self.logins.wtmp.as_ref().map(|wtmp| wtmp.logout(&self.line)) {
            log::error!("wtmp: {err}");
        }
    }
}
