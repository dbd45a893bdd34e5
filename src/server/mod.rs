//! The accept loop: a client becomes a worker's job, or is told why not.
//!
//! The main thread polls the listening sockets and the signals. It never reads a
//! client's bytes and never waits for one. What a client says is `session`'s business.

mod access;
mod check;
pub(crate) mod guests;
pub(crate) mod limits;
mod listener;
pub(crate) mod operator;
mod pool;
mod process;
pub(crate) mod quotas;
mod reload;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::account::{Authenticator, Hosts};
use crate::config::{Config, Start};
use crate::dtp::PortAllocator;
use crate::log::{Logins, TransferLog};
use crate::session;
use crate::sys::activation::PassedListener;
use crate::sys::identity;
use crate::sys::notify::Notifier;
use crate::sys::process::{Broadcast, Received, Signals, Wake};
use crate::tls;
pub(crate) use access::check_access;
pub(crate) use check::check;
use limits::{Admission, Refused, Slot};
pub(crate) use listener::BACKLOG;
use listener::{Arrival, Listeners};
use operator::OperatorSocket;
use pool::Pool;

/// How long transfers may go on after SIGTERM or SIGINT.
const GRACE: Duration = Duration::from_secs(60);

/// Clients accepted from one socket before signals and other sockets are looked at.
const BATCH: usize = 64;

/// A control connection on its way to a worker.
pub(crate) struct Client {
    /// Blocking, closed on exec.
    pub stream: TcpStream,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    /// Its place among the clients.
    pub slot: Slot,
    /// It came to the port where clients begin with TLS.
    pub implicit_tls: bool,
    /// What a session that goes on as somebody else had left over.
    pub resumed: Option<Box<session::Resumed>>,
}

/// What a session leaves behind.
#[derive(Default)]
pub(crate) struct Served {
    /// The thread is a user's now, and fit for nobody else.
    pub identity_changed: bool,
    /// The client goes on, on a thread that is nobody's yet.
    pub handover: Option<Client>,
}

/// What a session needs of the server. Made once.
pub(crate) struct Shared {
    pub config: Config,
    pub authenticator: Authenticator,
    /// ftphosts, as it was when it was last read.
    pub hosts: RwLock<Arc<Hosts>>,
    pub ports: Arc<PortAllocator>,
    pub limits: Arc<Admission>,
    pub quotas: quotas::Quotas,
    pub log: TransferLog,
    pub logins: Arc<Logins>,
    pub shutdown: Broadcast,
    /// `None`: no TLS.
    pub tls: Option<tls::Server>,
}

impl Shared {
    /// Opens all that sessions use later, when they have no more the right to.
    /// The error says what it was.
    pub(crate) fn new(config: Config) -> io::Result<Shared> {
        let statistics = config.login.anonymous.as_ref().is_some_and(|policy| policy.statfile);
        let hosts = Hosts::read(&config.config_dir, config.login.anonymous.as_ref())?;
        let log = TransferLog::open(&config.logging, statistics)?;
        log.keep_statistics(hosts.statfiles().filter(|_| statistics));
        Ok(Shared {
            hosts: RwLock::new(Arc::new(hosts)),
            authenticator: Authenticator::start(&config).map_err(because("password helpers"))?,
            ports: PortAllocator::new(config.data.passive_ports),
            limits: Admission::new(&config.limits),
            quotas: quotas::Quotas::default(),
            log,
            logins: Logins::open(config.logging.wtmp)?,
            shutdown: Broadcast::new()?,
            tls: config
                .tls
                .as_ref()
                .map(|policy| tls::Server::new(policy, &config.greeting.host_name))
                .transpose()
                .map_err(because("TLS"))?,
            config,
        })
    }
}

impl Shared {
    /// Reads ftphosts anew, for clients to come. One that cannot be understood changes nothing.
    fn reload_hosts(&self) {
        let config = &self.config;
        match Hosts::read(&config.config_dir, config.login.anonymous.as_ref()) {
            Ok(hosts) => {
                if config.login.anonymous.as_ref().is_some_and(|policy| policy.statfile) {
                    self.log.keep_statistics(hosts.statfiles());
                }
                *self.hosts.write() = Arc::new(hosts);
            }
            Err(err) => log::error!("{err}; the virtual hosts stay as they were"),
        }
    }
}

fn because(what: &'static str) -> impl Fn(io::Error) -> io::Error {
    move |err| io::Error::new(err.kind(), format!("{what}: {err}"))
}

/// Where the operator asks; a server that was not told where does without if it must.
fn operator_socket(config: &Config) -> io::Result<Option<OperatorSocket>> {
    if config.listen.start == Start::Connected {
        return Ok(None);
    }
    match &config.control_socket {
        Some(path) => OperatorSocket::open(path)
            .map(Some)
            .map_err(|err| io::Error::new(err.kind(), format!("--control-socket: {err}"))),
        None if identity::is_root() => Ok(OperatorSocket::open(&operator::default_path())
            .inspect_err(|err| log::warn!("no --who for this server: {err}"))
            .ok()),
        None => Ok(None),
    }
}

/// The server, from its first client to its last.
pub(crate) struct Server {
    shared: Arc<Shared>,
    listeners: Listeners,
    signals: Signals,
    wake: Arc<Wake>,
    pool: Pool,
    notifier: Notifier,
    operator: Option<OperatorSocket>,
    /// When the service manager must hear again that the main thread is not stuck.
    watchdog: Option<Instant>,
    /// When sessions that are still there are cut off; `None` before the shutdown.
    deadline: Option<Instant>,
}

impl Server {
    /// A server that listens on the addresses of its configuration.
    ///
    /// The error begins with what could not be had, such as an address in use.
    pub(crate) fn standalone(shared: Shared) -> io::Result<Server> {
        let listeners =
            Listeners::bind(&shared.config.listen.addresses, &shared.config.listen.tls_addresses)?;
        Server::new(shared, listeners)
    }

    /// A server that listens on sockets that systemd or inetd has opened.
    pub(crate) fn activated(shared: Shared, sockets: Vec<PassedListener>) -> io::Result<Server> {
        let listeners = Listeners::passed(sockets, shared.tls.is_some())?;
        Server::new(shared, listeners)
    }

    /// A server for one client alone, who is connected already.
    pub(crate) fn for_one(shared: Shared, stream: TcpStream) -> io::Result<Server> {
        let mut server = Server::new(shared, Listeners::none())?;
        let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
        let tls_port = server.shared.config.tls.as_ref().and_then(|policy| policy.port);
        server.let_in(stream, peer, tls_port == Some(local.port()));
        Ok(server)
    }

    fn new(shared: Shared, listeners: Listeners) -> io::Result<Server> {
        let (shared, wake) = (Arc::new(shared), Arc::new(Wake::new()?));
        let serve = {
            let shared = Arc::clone(&shared);
            let apart = process::is_needed(shared.config.listen.start);
            Box::new(move |client| match apart {
                true => process::serve(client, &shared),
                false => session::serve(client, &shared),
            })
        };
        let pool = Pool::new(serve, Arc::clone(&wake));
        let (signals, notifier) = (Signals::install()?, Notifier::from_env()?);
        let operator = operator_socket(&shared.config)?;
        Ok(Server {
            shared,
            listeners,
            signals,
            wake,
            pool,
            notifier,
            operator,
            watchdog: None,
            deadline: None,
        })
    }

    /// Where it listens, with the ports that it got.
    pub(crate) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.listeners.addresses()
    }

    /// The fingerprint of a certificate that was made for this run alone.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        self.shared.tls.as_ref().and_then(tls::Server::fingerprint)
    }

    /// Serves clients until a signal ends it, or the one client has gone.
    pub(crate) fn run(mut self) -> io::Result<()> {
        self.notifier.ready(&self.status());
        while !self.is_over() {
            self.feed_watchdog();
            let ready = self.wait()?;
            self.answer(self.signals.take());
            self.wake.drain();
            if let Some(operator) = &self.operator {
                operator.accept(&self.shared);
            }
            let returned: Vec<Client> = self.pool.returned().collect();
            returned.into_iter().for_each(|client| self.hand_over(client));
            ready.into_iter().for_each(|index| self.accept(index));
        }
        Ok(())
    }

    /// Waits for a client, a signal, the end of a session or the end of a pause.
    /// Returns which sockets have clients.
    fn wait(&self) -> io::Result<Vec<usize>> {
        let operator = self.operator.iter().map(OperatorSocket::fd);
        let events = self.signals.fds().into_iter().chain([self.wake.fd()]).chain(operator);
        let others = events.clone().count();
        let mut fds: Vec<PollFd<'_>> = events
            .chain(self.listeners.fds())
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let moments = self.deadline.into_iter().chain(self.watchdog);
        let left = moments.map(|moment| moment.saturating_duration_since(Instant::now()));
        let timeout = left.chain(self.listeners.pause()).min();
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
        if received.status {
            self.log_status();
        }
        if received.reload {
            self.notifier.reloading();
            log::info!("reloading");
            self.reopen_logs();
            if let Some(tls) = &self.shared.tls {
                tls.reload();
            }
            self.check_guests();
            self.notifier.ready(&self.status());
        }
        if received.reopen {
            log::info!("reopening logs");
            self.reopen_logs();
        }
        for _ in 0..received.stop {
            self.stop();
        }
    }

    /// Asks of each session, away from the main thread, whether it may stay.
    fn check_guests(&self) {
        let shared = Arc::clone(&self.shared);
        let spawned = thread::Builder::new().name("reload".to_owned()).spawn(move || {
            let _ = crate::sys::process::block_signals();
            // Names are looked up, which may take a while.
            shared.reload_hosts();
            reload::check_guests(&shared);
        });
        if let Err(err) = spawned {
            log::error!("neither virtual hosts nor sessions are looked at anew: {err}");
        }
    }

    fn reopen_logs(&self) {
        self.shared.log.reopen();
        self.shared.logins.reopen();
    }

    /// The first time: no more clients, and those who are there may finish what
    /// they are at. The second time: the end.
    fn stop(&mut self) {
        let now = Instant::now();
        self.deadline = match self.deadline {
            None => {
                log::info!("shutting down; {} clients", self.shared.limits.clients());
                self.listeners.close();
                self.shared.shutdown.announce();
                self.notifier.stopping(&self.status());
                Some(now + GRACE)
            }
            Some(_) => Some(now),
        };
    }

    /// Tells the service manager, if it wants to know, that the main thread is not stuck.
    fn feed_watchdog(&mut self) {
        let Some(period) = self.notifier.watchdog() else { return };
        let now = Instant::now();
        if self.watchdog.is_none_or(|moment| moment <= now) {
            self.notifier.alive();
            self.watchdog = Some(now + period);
        }
    }

    fn is_over(&self) -> bool {
        let clients = self.shared.limits.clients();
        let waits_for_nobody = self.listeners.len() == 0; // Shutting down, or one client's server.
        let cut_off = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        if cut_off && clients > 0 {
            log::warn!("{clients} sessions cut off");
        }
        cut_off || waits_for_nobody && clients == 0
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
        let peer = canonical(peer);
        if let Some(tls) = &self.shared.tls {
            tls.reload_if_changed();
        }
        let slot = match self.shared.limits.admit(peer.ip()) {
            Ok(slot) => slot,
            Err(why) => return self.turn_away(&stream, peer, why),
        };
        match stream.local_addr() {
            Ok(local) => {
                slot.guest().attach(&stream);
                let local = canonical(local);
                self.hand_over(Client { stream, peer, local, slot, implicit_tls, resumed: None });
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
        // A crowd at the door must not fill the log unless it was asked for.
        let level =
            if self.shared.config.logging.transfers > 0 { log::Level::Info } else { log::Level::Debug };
        log::log!(level, "connection from {} refused: {why}", peer.ip());
    }

    /// For the service manager's status line.
    fn status(&self) -> String {
        let addresses = self.listeners.addresses().unwrap_or_default();
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        match addresses.is_empty() {
            false => format!("listening on {}", addresses.join(", ")),
            true => format!("{} clients to finish", self.shared.limits.clients()),
        }
    }

    fn log_status(&self) {
        let (census, (threads, idle)) = (self.shared.limits.census(), self.pool.threads());
        log::info!(
            "status: {} of {} clients from {} hosts, {} logged in; {} threads, {idle} of them idle; {} hosts banned",
            census.clients,
            self.shared.config.limits.max_clients,
            census.hosts,
            census.logged_in,
            threads,
            census.banned
        );
    }
}

/// An IPv4 client of an IPv6 socket, which inetd may have, is an IPv4 client.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip.is_ipv4() => SocketAddr::new(ip, address.port()),
        _ => address, // With its scope.
    }
}
