//! What a server that runs reads anew: everything on SIGHUP, the logs alone on SIGUSR2.
//!
//! It is one piece of work, in order, on a thread of its own: names are looked up, and a disk may
//! be slow. A signal that comes meanwhile has its turn afterwards, so that two reloads never
//! cross; several that come meanwhile are one.

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

/// The main thread's end.
pub(super) struct Reloads {
    services: Arc<Services>,
    wake: Arc<Wake>,
    running: Option<Running>,
    /// What was asked for since that began.
    asked: Option<Work>,
}

/// The greater one includes the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Work {
    /// SIGUSR2.
    Logs,
    /// SIGHUP.
    Everything,
}

struct Running {
    work: Work,
    is_over: Arc<AtomicBool>,
}

impl Reloads {
    /// `wake` wakes the main thread, which then calls [`Reloads::go_on`].
    pub(super) fn new(services: Arc<Services>, wake: Arc<Wake>) -> Reloads {
        Reloads { services, wake, running: None, asked: None }
    }

    pub(super) fn ask(&mut self, work: Work) {
        self.asked = self.asked.max(Some(work));
    }

    /// Sees whether the thread is done, and begins what was asked for. The service manager
    /// hears of a reload before it begins, and when it is done; `None` is one that hears nothing.
    pub(super) fn go_on(&mut self, manager: Option<&Notifier>, status: impl Fn() -> String) {
        if self.running.as_ref().is_some_and(|running| !running.is_over.load(Ordering::SeqCst)) {
            return;
        }
        let tell_done = |work| match manager {
            Some(manager) if work == Work::Everything => manager.ready(&status()),
            _ => (),
        };
        if let Some(running) = self.running.take() {
            tell_done(running.work);
        }
        let Some(work) = self.asked.take() else { return };
        if let (Some(manager), Work::Everything) = (manager, work) {
            manager.reloading();
        }
        match self.start(work) {
            Ok(running) => self.running = Some(running),
            Err(err) => {
                log::error!("nothing is read anew: {err}");
                tell_done(work);
            }
        }
    }

    fn start(&self, work: Work) -> io::Result<Running> {
        let (services, is_over) = (Arc::clone(&self.services), Arc::new(AtomicBool::new(false)));
        let end = End { is_over: Arc::clone(&is_over), wake: Arc::clone(&self.wake) };
        thread::Builder::new().name("reload".to_owned()).spawn(move || {
            let _end = end;
            let _ = process::block_signals(); // At worst they interrupt a call, which is tried again.
            match work {
                Work::Logs => {
                    log::info!("reopening logs");
                    reopen_logs(&services);
                }
                Work::Everything => reload(&services),
            }
        })?;
        Ok(Running { work, is_over })
    }
}

/// The end of the work, also of one that a bug has ended.
struct End {
    is_over: Arc<AtomicBool>,
    wake: Arc<Wake>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.wake.wake();
    }
}

/// The sessions come last: who may stay depends on what was read before.
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

/// Checks each session that is logged in against the administrator's files, as they are now.
/// One that may not stay may finish its command. A file that cannot be read ends no session.
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
