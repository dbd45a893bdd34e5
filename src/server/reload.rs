//! Reloads: SIGHUP makes the server read everything again, SIGUSR2 makes it reopen its logs.
//!
//! A reload is one piece of work, in a fixed order, on a thread of its own: it looks up names, and a disk
//! may be slow. Signals that come during a reload cause one more reload after it, so that two reloads
//! cannot cross.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::account::Refusal;
use crate::clients::Leave;
use crate::events::What;
use crate::session::{self, Services};
use crate::sys::notify::Notifier;
use crate::sys::process::{self, Wake};

/// The reloads of a server, as its main thread has them.
pub(super) struct Reloads {
    services: Arc<Services>,
    wake: Arc<Wake>,
    running: Option<Running>,
    /// A signal asked for this since the running reload began.
    asked: Option<Scope>,
}

/// How much is read again. The greater one includes the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// SIGUSR2.
    Logs,
    /// SIGHUP.
    Everything,
}

struct Running {
    scope: Scope,
    is_over: Arc<AtomicBool>,
}

impl Reloads {
    /// `wake` wakes the main thread, which then calls [`Reloads::go_on`].
    pub(super) fn new(services: Arc<Services>, wake: Arc<Wake>) -> Reloads {
        Reloads { services, wake, running: None, asked: None }
    }

    pub(super) fn ask(&mut self, scope: Scope) {
        self.asked = self.asked.max(Some(scope));
    }

    /// Looks whether the thread has ended, and begins the next reload. The service manager hears of a
    /// reload before it begins and after it has ended; `None`: it hears nothing.
    pub(super) fn go_on(&mut self, manager: Option<&Notifier>, status: impl Fn() -> String) {
        if self.running.as_ref().is_some_and(|running| !running.is_over.load(Ordering::SeqCst)) {
            return;
        }
        let tell_done = |scope| match manager {
            Some(manager) if scope == Scope::Everything => manager.ready(&status()),
            _ => (),
        };
        if let Some(running) = self.running.take() {
            tell_done(running.scope);
        }
        let Some(scope) = self.asked.take() else { return };
        if let (Some(manager), Scope::Everything) = (manager, scope) {
            manager.reloading();
        }
        match self.start(scope) {
            Ok(running) => self.running = Some(running),
            Err(err) => {
                log::error!("nothing was reloaded: {err}");
                tell_done(scope);
            }
        }
    }

    fn start(&self, scope: Scope) -> io::Result<Running> {
        let (services, is_over) = (Arc::clone(&self.services), Arc::new(AtomicBool::new(false)));
        let say_over = SayOver { is_over: Arc::clone(&is_over), wake: Arc::clone(&self.wake) };
        thread::Builder::new().name("reload".to_owned()).spawn(move || {
            let _say_over = say_over;
            let _ = process::block_signals(); // A signal would interrupt a call, which is tried again.
            match scope {
                Scope::Logs => {
                    log::info!("reopening logs");
                    reopen_logs(&services);
                }
                Scope::Everything => reload(&services),
            }
        })?;
        Ok(Running { scope, is_over })
    }
}

/// Says that the reload has ended, even if a bug ended it.
struct SayOver {
    is_over: Arc<AtomicBool>,
    wake: Arc<Wake>,
}

impl Drop for SayOver {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.wake.wake();
    }
}

/// The sessions come last: whether one may stay depends on the files that were read before.
fn reload(services: &Services) {
    log::info!("reloading");
    reopen_logs(services);
    if let Some(tls) = &services.tls {
        tls.reload();
    }
    services.reload_hosts();
    check_sessions(services);
}

fn reopen_logs(services: &Services) {
    services.log.reopen();
    services.logins.reopen();
}

/// Checks each session that is logged in by the administrator's files. A session that may not stay may
/// finish its command. A file that cannot be read ends no session.
fn check_sessions(services: &Services) {
    let closed = session::nologin_text(&services.config.config_dir).is_some();
    for client in services.clients.sessions() {
        let Some(user) = client.user() else { continue };
        let reason = match closed {
            true => "nologin".to_owned(),
            false => match services.authenticator.may_stay(&user.name, user.is_anonymous()) {
                Ok(()) => continue,
                Err(Refusal::Denied { reason }) => reason,
                Err(Refusal::Unavailable { reason }) => {
                    log::error!("session {} not checked: {reason}", client.number());
                    continue;
                }
            },
        };
        client.event(What::Revoked { reason: &reason }, |event| services.tell(event));
        client.dismiss(Leave::Soon, "You may no longer log in; closing the connection.");
    }
}
