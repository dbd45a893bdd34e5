//! The accept loop: a client becomes the job of a worker, or is told why not.
//!
//! The main thread polls the listening sockets and the signals. It reads no client's bytes, and waits
//! neither for clients nor for disks. The dialogue with a client is in `session`.

mod listener;
mod pool;
mod process;
mod reload;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::clients::Refused;
use crate::config::{Config, Start};
use crate::events::{Event, What};
use crate::logging;
use crate::operator::{self, OperatorSocket};
use crate::session::{self, Client, Served, Services};
use crate::sys::activation::PassedListener;
use crate::sys::identity;
use crate::sys::notify::Notifier;
use crate::sys::process::{Received, Signals, Wake, orphans};
use crate::sys::sockets;
use crate::tls;
use listener::{Arrival, Listeners};
pub(crate) use listener::{BACKLOG, cannot_listen, has_no_family, refuse_waiting};
use pool::{Done, Pool};
use reload::{Reloads, Scope};

/// How long transfers may go on after SIGTERM or SIGINT.
const GRACE: Duration = Duration::from_secs(60);

/// Clients that are accepted from one socket before signals and other sockets have their turn.
const BATCH: usize = 64;

/// The socket of the operator. A server that was not told to have one also starts without it.
fn operator_socket(config: &Config) -> io::Result<Option<OperatorSocket>> {
    if config.listen.start == Start::Connected {
        return Ok(None);
    }
    match &config.control_socket {
        Some(path) => OperatorSocket::open(path)
            .map(Some)
            .map_err(|err| io::Error::new(err.kind(), format!("--control-socket: {err}"))),
        None if identity::is_root() => Ok(OperatorSocket::open(&operator::default_path())
            .inspect_err(|err| log::warn!("`ferryd who` will not find this server: {err}"))
            .ok()),
        None => Ok(None),
    }
}

/// The server, from its first client to its last.
pub(crate) struct Server {
    services: Arc<Services>,
    listeners: Listeners,
    signals: Signals,
    wake: Arc<Wake>,
    pool: Pool<Client>,
    notifier: Notifier,
    operator: Option<OperatorSocket>,
    reloads: Reloads,
    /// The time at which the service manager must hear again that the main thread is not stuck.
    watchdog: Option<Instant>,
    /// The time at which a shutdown cuts off the sessions that are left; `None` before the shutdown.
    deadline: Option<Instant>,
}

impl Server {
    /// A server that listens on the addresses of its configuration. The error begins with the address or
    /// the option that it is about.
    pub(crate) fn standalone(services: Services) -> io::Result<Server> {
        let listeners =
            Listeners::bind(&services.config.listen.addresses, &services.config.listen.tls_addresses)?;
        Server::new(services, listeners)
    }

    /// A server that listens on sockets that systemd or inetd has opened.
    pub(crate) fn activated(services: Services, sockets: Vec<PassedListener>) -> io::Result<Server> {
        let listeners = Listeners::passed(sockets, services.tls.is_some())?;
        Server::new(services, listeners)
    }

    /// A server for one client, which is connected already.
    pub(crate) fn for_one(services: Services, stream: TcpStream) -> io::Result<Server> {
        let mut server = Server::new(services, Listeners::none())?;
        let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
        let tls_port = server.services.config.tls.as_ref().and_then(|policy| policy.port);
        server.let_in(stream, peer, tls_port == Some(local.port()));
        Ok(server)
    }

    fn new(services: Services, listeners: Listeners) -> io::Result<Server> {
        let (services, wake) = (Arc::new(services), Arc::new(Wake::new()?));
        let serve = {
            let services = Arc::clone(&services);
            let apart = process::is_needed(services.config.listen.start);
            move |client| {
                let Served { identity_changed, handover } = match apart {
                    true => process::serve(client, &services),
                    false => session::serve(client, &services),
                };
                // A thread that has become a user cannot serve another client.
                Done { fit: !identity_changed, again: handover }
            }
        };
        let pool = Pool::new(Box::new(serve), Arc::clone(&wake));
        let (signals, notifier) = (Signals::install()?, Notifier::from_env()?);
        let operator = operator_socket(&services.config)?;
        let reloads = Reloads::new(Arc::clone(&services), Arc::clone(&wake));
        Ok(Server {
            services,
            listeners,
            signals,
            wake,
            pool,
            notifier,
            operator,
            reloads,
            watchdog: None,
            deadline: None,
        })
    }

    /// The addresses on which it listens, with the ports that the system chose.
    pub(crate) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.listeners.addresses()
    }

    /// The fingerprint of a self-signed certificate, which was made for this run.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        self.services.tls.as_ref().and_then(tls::Server::fingerprint)
    }

    /// Serves clients until a signal ends the server, or its only client has gone.
    pub(crate) fn run(mut self) -> io::Result<()> {
        self.notifier.ready(&status(&self.listeners, &self.services));
        if orphans::are_expected() {
            orphans::collect(); // Those that ended before the signal handlers were there.
        }
        while !self.is_over() {
            self.feed_watchdog();
            let ready = self.wait()?;
            self.wake.drain();
            self.answer(self.signals.take());
            self.go_on_reloading();
            logging::tell_left_out(false);
            if let Some(operator) = &mut self.operator {
                operator.accept(&self.services);
            }
            let returned: Vec<Client> = self.pool.returned().collect();
            returned.into_iter().for_each(|client| self.hand_over(client));
            ready.into_iter().for_each(|index| self.accept(index));
        }
        logging::tell_left_out(true);
        Ok(())
    }

    /// Waits for a client, a signal, the end of a session or the end of a pause. Returns the sockets that
    /// have clients.
    fn wait(&self) -> io::Result<Vec<usize>> {
        let operator = self.operator.iter().filter_map(OperatorSocket::fd);
        let events = self.signals.fds().chain([self.wake.fd()]).chain(operator);
        let others = events.clone().count();
        let mut fds: Vec<PollFd<'_>> = events
            .chain(self.listeners.fds())
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let moments = self.deadline.into_iter().chain(self.watchdog).chain(logging::left_out_at());
        let left = moments.map(|moment| moment.saturating_duration_since(Instant::now()));
        let pauses = self.operator.iter().filter_map(OperatorSocket::pause).chain(self.listeners.pause());
        let timeout = left.chain(pauses).min();
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(err) => return Err(io::Error::from(err)),
        }
        Ok((0..)
            .zip(&fds[others..])
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|(index, _)| index)
            .collect())
    }

    fn answer(&mut self, received: Received) {
        if received.child {
            orphans::collect();
        }
        if received.status {
            self.log_status();
        }
        if received.reopen {
            self.reloads.ask(Scope::Logs);
        }
        if received.reload {
            // A server that shuts down still writes its logs, but the rest is for clients to come.
            let scope = if self.deadline.is_none() { Scope::Everything } else { Scope::Logs };
            self.reloads.ask(scope);
        }
        for _ in 0..received.stop {
            self.stop();
        }
    }

    fn go_on_reloading(&mut self) {
        // The manager must not hear READY=1 after STOPPING=1.
        let manager = self.deadline.is_none().then_some(&self.notifier);
        let status = || status(&self.listeners, &self.services);
        self.reloads.go_on(manager, status);
    }

    /// Begins the shutdown: no new clients, and the others may finish their transfers. If it has begun
    /// already, ends it.
    fn stop(&mut self) {
        let now = Instant::now();
        self.deadline = match self.deadline {
            None => {
                log::info!("shutting down; {} clients", self.services.clients.clients());
                self.listeners.close();
                self.services.shutdown.announce();
                self.notifier.stopping(&status(&self.listeners, &self.services));
                Some(now + GRACE)
            }
            Some(_) => Some(now),
        };
    }

    /// Tells the service manager, if it wants to hear it, that the main thread is not stuck.
    fn feed_watchdog(&mut self) {
        let Some(period) = self.notifier.watchdog() else { return };
        let now = Instant::now();
        if self.watchdog.is_none_or(|moment| moment <= now) {
            self.notifier.alive();
            self.watchdog = Some(now + period);
        }
    }

    fn is_over(&self) -> bool {
        let clients = self.services.clients.clients();
        // The shutdown has begun, or the server is for one client.
        let accepts_nobody = self.listeners.len() == 0;
        let cut_off = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        if cut_off && clients > 0 {
            log::warn!("{clients} sessions cut off");
        }
        cut_off || accepts_nobody && clients == 0
    }

    fn accept(&mut self, index: usize) {
        let implicit_tls = self.listeners.is_for_tls(index);
        for _ in 0..BATCH {
            match self.listeners.accept(index) {
                Arrival::Client(stream, peer) => self.let_in(stream, peer, implicit_tls),
                Arrival::Surplus(stream, peer) => self.turn_away(&stream, peer, Refused::NoResources),
                Arrival::Vanished => {}
                Arrival::Nobody => return,
            }
        }
    }

    fn let_in(&mut self, stream: TcpStream, peer: SocketAddr, implicit_tls: bool) {
        // A socket of inetd may take IPv4 clients too, and writes their addresses as IPv6.
        let peer = sockets::canonical(peer);
        let slot = match self.services.clients.admit(peer.ip()) {
            Ok(slot) => slot,
            Err(why) => return self.turn_away(&stream, peer, why),
        };
        match stream.local_addr() {
            Ok(local) => {
                slot.presence().attach(&stream);
                let local = sockets::canonical(local);
                let login_deadline = Instant::now() + self.services.config.limits.login_timeout;
                self.hand_over(Client {
                    stream,
                    peer,
                    local,
                    login_deadline,
                    slot,
                    implicit_tls,
                    handover: None,
                });
            }
            Err(err) => log::debug!("{}: {err}", peer.ip()), // It has gone.
        }
    }

    fn hand_over(&self, client: Client) {
        if let Err((client, err)) = self.pool.dispatch(client) {
            log::error!("no thread for {}: {err}", client.peer.ip());
            listener::refuse(&client.stream, Refused::NoResources);
        }
    }

    fn turn_away(&self, stream: &TcpStream, peer: SocketAddr, why: Refused) {
        listener::refuse(stream, why);
        let what = What::TurnedAway { reason: &why.to_string() };
        self.services.tell(&Event { session: None, host: peer.ip(), user: None, what });
    }

    fn log_status(&self) {
        let (census, (threads, idle)) = (self.services.clients.census(), self.pool.threads());
        log::info!(
            "status: {} of {} clients from {} hosts, {} logged in; {} threads, {idle} of them idle; {} hosts banned; \
             since the start {}",
            census.clients,
            self.services.config.limits.max_clients,
            census.hosts,
            census.logged_in,
            threads,
            census.banned,
            self.services.counters
        );
    }
}

/// The line that the service manager shows.
fn status(listeners: &Listeners, services: &Services) -> String {
    let addresses = listeners.addresses().unwrap_or_default();
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    match addresses.is_empty() {
        false => format!("listening on {}", addresses.join(", ")),
        true => format!("{} clients to finish", services.clients.clients()),
    }
}
