//! The server-PI: one client, from the greeting to the goodbye.
//!
//! Reads a line, answers it, sends the reply. Where the parts meet: `account` says who
//! the client is, `vfs` finds the file, `dtp` moves its bytes; none of them knows another,
//! and none chooses a reply code.

mod commands;
mod control;
mod dispatch;
mod handover;
mod protection;
mod rights;
mod services;
mod state;
mod stop;
mod texts;
mod watch;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::account::VirtualHost;
use crate::clients::Slot;
use crate::dtp::TurnedAway;
use crate::events::What;
use crate::logging::SessionLines;
use crate::proto::host::HostName;
use crate::proto::reply::{Reply, ReplyCode};
use crate::proto::telnet::Line;
use crate::sys::process;
use control::{ControlConnection, NoLine};
use handover::Handover;
use protection::Protection;
pub(crate) use rights::Rights;
pub(crate) use services::{Client, Served, Services};
pub(crate) use state::Rates;
use state::{Leftover, Login, Parameters};
use stop::Stop;
pub(crate) use texts::nologin_text;

/// Serves one client on the calling thread, to the end or until it wants to be another.
pub(crate) fn serve(client: Client, services: &Arc<Services>) -> Served {
    let Client { stream, peer, local, login_deadline, slot, implicit_tls, handover } = client;
    let (presence, shutdown) = (Arc::clone(slot.presence()), Arc::clone(&services.shutdown));
    let control = match ControlConnection::new(stream, peer, local, presence, shutdown, login_deadline) {
        Ok(control) => control,
        Err(error) => {
            log::debug!("{}: {error}", peer.ip().to_canonical());
            return Served::default();
        }
    };
    slot.presence().appear();
    if let Some(tls) = &services.tls {
        tls.reload_if_changed(); // Here, because this thread may not read keys after the login.
    }
    let _lines = SessionLines::begin(slot.presence().number(), peer.ip().to_canonical());
    // On the heap: what stays on the stack for as long as the session lasts decides how many pages
    // of it a client that waits takes.
    let mut session = Box::new(Session::new(control, slot, Arc::clone(services)));
    session.protection.implicit = implicit_tls;
    let end = session.run(handover);
    session.close(end)
}

/// How long after a file was sent a client is left alone by a server that is going down.
const TIME_TO_READ: Duration = Duration::from_secs(3);

/// One client's session.
struct Session {
    services: Arc<Services>,
    /// The virtual host that the client connected to, or chose with HOST.
    virtual_host: Option<Arc<VirtualHost>>,
    /// The name that HOST gave.
    asked_host: Option<HostName>,
    control: ControlConnection,
    protection: Protection,
    /// Its place among the clients; given back on drop.
    slot: Slot,
    login: Login,
    parameters: Parameters,
    leftover: Leftover,
    /// Failed logins.
    failures: u32,
    /// This thread is no longer root's.
    identity_changed: bool,
    /// The stack that the login needed was given back.
    settled: bool,
    /// Files and bytes moved, for STAT and the log.
    totals: Totals,
    /// When a file was last sent.
    sent: Option<Instant>,
    /// The data connection of a transfer that was refused, until the client has the reply.
    turned_away: Option<TurnedAway>,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    files: u64,
    received: u64,
    sent: u64,
}

/// Why a session ended.
enum End {
    /// QUIT, or the client was told why it must go.
    Closed,
    /// The control connection failed.
    Hangup(io::Error),
    /// REIN, or USER after a login: a fresh thread goes on.
    StartOver(Option<Vec<u8>>),
}

impl Session {
    fn new(control: ControlConnection, slot: Slot, services: Arc<Services>) -> Session {
        let virtual_host = services.hosts.read().at(control.local.ip());
        Session {
            virtual_host,
            asked_host: None,
            parameters: Parameters::new(&services.config),
            control,
            protection: Protection::default(),
            slot,
            login: Login::NotLoggedIn,
            leftover: Leftover::default(),
            failures: 0,
            identity_changed: false,
            settled: false,
            totals: Totals::default(),
            sent: None,
            turned_away: None,
            services,
        }
    }

    /// Greets, then answers line after line.
    fn run(&mut self, handover: Option<Box<Handover>>) -> End {
        let first = match self.begin(handover) {
            Ok(line) => line,
            Err(end) => return end,
        };
        let mut next = first.map(Line::Command);
        loop {
            let line = match next.take().map_or_else(|| self.read_line(), Ok) {
                Ok(line) => line,
                Err(reason) => return self.no_line(reason),
            };
            let reply = match self.answer(line) {
                Ok(reply) | Err(Stop::Refused(reply)) => reply,
                Err(Stop::Close(reply)) => {
                    // The client may be gone already; there is nothing more to lose.
                    let _ = self.control.send(&reply);
                    return End::Closed;
                }
                // The transfer was cut off, not the client.
                Err(Stop::Hangup(_)) if self.control.presence.must_leave().is_some() => {
                    return self.no_line(NoLine::Dismissed);
                }
                Err(Stop::Hangup(error)) => return End::Hangup(error),
                Err(Stop::StartOver(line)) => return End::StartOver(line),
            };
            if let Err(error) = self.control.send(&reply).and_then(|()| self.change_protection()) {
                return End::Hangup(error);
            }
            if let Some(connection) = self.turned_away.take() {
                connection.hear_out(self.control.fd());
            }
            self.control.presence.end_command();
        }
    }

    /// Greets a new client, or takes over from an earlier thread, whose line may be left to answer.
    #[cold]
    fn begin(&mut self, handover: Option<Box<Handover>>) -> Result<Option<Vec<u8>>, End> {
        if let Some(handover) = handover {
            return self.take_over(*handover).map_err(End::Hangup);
        }
        self.begin_implicit().map_err(End::Hangup)?;
        if let Some(reply) = self.nologin(ReplyCode::ServiceNotAvailable) {
            self.tell(What::TurnedAway { reason: "nologin" });
            let _ = self.control.send(&reply);
            return Err(End::Closed);
        }
        self.tell(What::Connected);
        self.control.send(&self.greeting()).map_err(End::Hangup)?;
        Ok(None)
    }

    fn read_line(&mut self) -> Result<Line, NoLine> {
        if !self.settled && matches!(self.login, Login::LoggedIn(_)) {
            // A login goes deep; most sessions then wait, and there may be thousands of them.
            process::release_stack();
            self.settled = true;
        }
        let deadline = Instant::now() + self.parameters.idle_timeout;
        match self.control.read_line(deadline) {
            Err(NoLine::ShuttingDown) => self.read_last_line(deadline),
            result => result,
        }
    }

    /// The server is going down. A client that was just sent a file may still be reading it, and
    /// some give it up when they see the control connection end: it may speak first, for a while.
    fn read_last_line(&mut self, deadline: Instant) -> Result<Line, NoLine> {
        let Some(until) = self.sent.map(|sent| sent + TIME_TO_READ) else { return Err(NoLine::ShuttingDown) };
        match self.control.read_last_line(deadline.min(until)) {
            Err(NoLine::TimedOut) => Err(NoLine::ShuttingDown),
            result => result,
        }
    }

    /// Nothing more comes: says why to whoever is still there.
    #[cold]
    fn no_line(&mut self, reason: NoLine) -> End {
        let farewell = match reason {
            NoLine::Closed => return End::Closed,
            NoLine::Failed(error) => return End::Hangup(error),
            NoLine::Dismissed => self.control.presence.farewell().to_owned(),
            NoLine::ShuttingDown => "The server is shutting down; closing the connection.".to_owned(),
            NoLine::TimedOut => match &self.login {
                Login::LoggedIn(_) => {
                    let seconds = self.parameters.idle_timeout.as_secs();
                    self.tell(What::TimedOut { seconds });
                    format!("Timeout ({seconds} seconds): closing the connection.")
                }
                _ => "Login timed out; closing the connection.".to_owned(),
            },
        };
        let _ = self.control.send(&Reply::new(ReplyCode::ServiceNotAvailable, farewell));
        // Closing a socket with unread input could take the reply away from the client.
        let _ = self.control.take_input();
        End::Closed
    }

    /// Gives everything back, or hands the connection to a fresh thread.
    #[cold]
    fn close(mut self, end: End) -> Served {
        match &end {
            End::Hangup(_) | End::Closed => {
                if let End::Hangup(error) = &end {
                    log::debug!("{}: control connection lost: {error}", self.host());
                }
                let Totals { files, sent, received } = self.totals;
                self.tell(What::Gone { files, sent, received });
            }
            End::StartOver(_) => (),
        }
        let identity_changed = self.identity_changed;
        let End::StartOver(line) = end else {
            self.control.say_end();
            return Served { identity_changed, handover: None };
        };
        Served { identity_changed, handover: Some(self.hand_over(line)) }
    }

    /// The client's numeric address: a name would be the client's own word.
    fn host(&self) -> std::net::IpAddr {
        self.control.peer.ip().to_canonical()
    }

    /// When the login must be done. Whoever is logged in has as long for what takes as long.
    fn login_deadline(&self) -> Instant {
        let time = self.services.config.limits.login_timeout;
        self.control.login_deadline().unwrap_or_else(|| Instant::now() + time)
    }

    /// Gives what happened to those who write it down or count it.
    fn tell(&self, what: What<'_>) {
        self.control.presence.event(what, |event| self.services.tell(event));
    }

    /// Waits until `delay` after `since`, or twice that, or as many times as have begun: of how
    /// long a check took, the client learns no more. Nothing that it does shortens it, as long as
    /// it is there.
    fn wait_out(&self, since: Instant, delay: Duration) {
        let begun = since.elapsed().as_nanos().checked_rem(delay.as_nanos()).unwrap_or(0);
        let begun = Duration::from_nanos(u64::try_from(begun).unwrap_or(0));
        self.control.pause(Instant::now() + delay.saturating_sub(begun));
    }
}
