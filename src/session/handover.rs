//! REIN and USER after a login: the connection goes on, on a fresh thread.
//!
//! A thread that has become an account cannot become another, and never goes back to the pool.
//! It packs up what the client keeps ([`Handover`]) and ends; the main thread gives that to a
//! thread that is nobody's yet. What belonged to the old login ends with the old thread: its
//! place among its user's sessions, its record in wtmp, its name in `who`. The client's own place,
//! its number, its failed logins and what it has moved go along.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::state::{Login, Parameters};
use super::stop::{Stop, refused};
use super::{Client, Protection, Session, Totals};
use crate::account::VirtualHost;
use crate::events::What;
use crate::logging::SessionLines;
use crate::proto::reply::{Reply, ReplyCode};
use crate::proto::telnet::LineReader;
use crate::sys::identity;
use crate::tls::TlsConnection;

/// A client keeps this when a fresh thread goes on with its connection.
pub(crate) struct Handover {
    /// The client has sent this already.
    reader: LineReader,
    tls: Option<Box<TlsConnection>>,
    protection: Protection,
    failures: u32,
    totals: Totals,
    cause: Cause,
}

/// REIN or USER, and what only one of them leaves as it is.
enum Cause {
    /// Answered with a greeting; transfer parameters and virtual host are as at the beginning
    /// (RFC 959 section 4.1.1, RFC 7151 section 3.3).
    Rein,
    /// The line is answered by the fresh thread; all the rest stays.
    User { line: Vec<u8>, parameters: Box<Parameters>, virtual_host: Option<Arc<VirtualHost>> },
}

impl Session {
    /// REIN: as if just connected.
    pub(super) fn rein(&mut self) -> Result<Reply, Stop> {
        self.may_log_out()?;
        if self.identity_changed {
            return Err(self.start_over(None));
        }
        self.forget_login();
        self.parameters = Parameters::new(&self.services.config);
        self.leftover.restart_at = 0;
        self.forget_host();
        self.protection.begin_again();
        Ok(self.greeting())
    }

    /// USER, where this thread cannot become that user any more.
    pub(super) fn user_on_fresh_thread(&self, line: Vec<u8>) -> Stop {
        self.start_over(Some(line))
    }

    /// Whoever is logged in may end that only where there is a place for one who is not.
    pub(super) fn may_log_out(&self) -> Result<(), Stop> {
        if !matches!(self.login, Login::LoggedIn(_)) {
            return Ok(());
        }
        self.slot.may_log_out().map_err(|why| {
            let reason = why.to_string();
            self.tell(What::TurnedAway { reason: &reason });
            Stop::Close(Reply::new(ReplyCode::ServiceNotAvailable, reason))
        })
    }

    /// Nobody is logged in any more: in `who`, in wtmp, among the places of its user.
    pub(super) fn forget_login(&mut self) {
        if matches!(self.login, Login::LoggedIn(_)) {
            // The next login has its time from here on; before a login nothing moves its deadline.
            let time = self.services.config.limits.login_timeout;
            self.control.set_login_deadline(Some(Instant::now() + time));
        }
        self.login = Login::NotLoggedIn;
        if let Some(binding) = &self.protection.binding {
            binding.log_out();
        }
        self.control.presence.set_user(None);
        SessionLines::set_user(None);
    }

    /// A process that has become an account has no fresh thread to offer.
    fn start_over(&self, line: Option<Vec<u8>>) -> Stop {
        match identity::PER_THREAD {
            true => Stop::StartOver(line),
            false => refused(ReplyCode::NotLoggedIn, "Can't change user; connect again."),
        }
    }

    /// Packs up what the client keeps. `line`: the USER to be answered; `None` for REIN.
    pub(super) fn hand_over(mut self, line: Option<Vec<u8>>) -> Client {
        self.forget_login();
        let login_deadline = self.login_deadline();
        let (peer, local) = (self.control.peer, self.control.local);
        let (stream, tls, reader) = self.control.into_parts();
        let implicit_tls = self.protection.implicit;
        let cause = match line {
            None => Cause::Rein,
            Some(line) => {
                Cause::User { line, parameters: Box::new(self.parameters), virtual_host: self.virtual_host }
            }
        };
        let handover = Handover {
            reader,
            tls,
            protection: self.protection,
            failures: self.failures,
            totals: self.totals,
            cause,
        };
        Client {
            stream,
            peer,
            local,
            login_deadline,
            slot: self.slot,
            implicit_tls,
            handover: Some(Box::new(handover)),
        }
    }

    /// Goes on where the earlier thread stopped; returns the line that is still to be answered.
    pub(super) fn take_over(&mut self, handover: Handover) -> io::Result<Option<Vec<u8>>> {
        let Handover { reader, tls, protection, failures, totals, cause } = handover;
        self.control.resume(tls, reader);
        self.protection = protection;
        self.failures = failures;
        self.totals = totals;
        match cause {
            Cause::User { line, parameters, virtual_host } => {
                self.parameters = *parameters;
                self.virtual_host = virtual_host;
                Ok(Some(line))
            }
            Cause::Rein => {
                self.protection.begin_again();
                self.control.send(&self.greeting())?;
                self.change_protection()?;
                Ok(None)
            }
        }
    }
}
