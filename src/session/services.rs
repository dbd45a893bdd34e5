//! The beginning of a session: its client, and the things that the server has for all sessions.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::RwLock;

use super::handover::Handover;
use crate::account::{Authenticator, Hosts};
use crate::clients::{Admission, Counters, Quotas, Slot};
use crate::config::Config;
use crate::dtp::PortAllocator;
use crate::events::Event;
use crate::logging::{self, Logins, TransferLog};
use crate::proto::command::Offered;
use crate::sys::process::Broadcast;
use crate::tls;

/// A control connection on its way to a worker.
pub(crate) struct Client {
    /// Blocking, closed on exec.
    pub stream: TcpStream,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    /// When it must have logged in.
    pub login_deadline: Instant,
    /// Its place among the clients.
    pub slot: Slot,
    /// It came to the port where clients begin with TLS.
    pub implicit_tls: bool,
    /// Kept from an earlier thread, where REIN or USER has begun the session anew.
    pub handover: Option<Box<Handover>>,
}

/// The end of a session, for the pool.
#[derive(Default)]
pub(crate) struct Served {
    /// The thread is a user's now, and fit for nobody else.
    pub identity_changed: bool,
    /// The client goes on, on a thread that is nobody's yet.
    pub handover: Option<Client>,
}

/// Everything that a session needs of the server. Made once.
pub(crate) struct Services {
    pub config: Config,
    /// Which commands are turned on.
    pub offered: Offered,
    pub authenticator: Authenticator,
    /// ftphosts, as it was when it was last read.
    pub hosts: RwLock<Arc<Hosts>>,
    pub ports: Arc<PortAllocator>,
    pub clients: Arc<Admission>,
    pub quotas: Quotas,
    pub counters: Counters,
    pub log: TransferLog,
    pub logins: Arc<Logins>,
    pub shutdown: Arc<Broadcast>,
    /// `None`: no TLS.
    pub tls: Option<tls::Server>,
}

impl Services {
    /// Opens all that sessions use later, when they have no more the right to.
    /// The error says what it was.
    pub(crate) fn new(config: Config) -> io::Result<Services> {
        let statistics = config.login.anonymous.as_ref().is_some_and(|policy| policy.statfile);
        let hosts = Hosts::read(&config.config_dir, config.login.anonymous.as_ref())?;
        let log = TransferLog::open(&config.logging, statistics)?;
        log.keep_statistics(hosts.statfiles().filter(|_| statistics));
        Ok(Services {
            offered: offered(&config),
            hosts: RwLock::new(Arc::new(hosts)),
            authenticator: Authenticator::start(&config).map_err(because("password helpers"))?,
            ports: PortAllocator::new(config.data.passive_ports),
            clients: Admission::new(&config.limits),
            quotas: Quotas::default(),
            counters: Counters::default(),
            log,
            logins: Logins::open(config.logging.wtmp)?,
            shutdown: Arc::new(Broadcast::new()?),
            tls: config
                .tls
                .as_ref()
                .map(|policy| tls::Server::new(policy, &config.greeting.host_name))
                .transpose()
                .map_err(because("TLS"))?,
            config,
        })
    }

    /// Gives an event to its readers.
    pub(crate) fn tell(&self, event: &Event<'_>) {
        self.counters.count(event);
        self.log.record(event);
        logging::tell(event, self.config.logging.transfers);
    }

    /// Reads ftphosts anew, for clients to come. One that cannot be understood changes nothing.
    pub(crate) fn reload_hosts(&self) {
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

fn offered(config: &Config) -> Offered {
    Offered {
        active: config.data.active,
        passive: config.data.passive,
        extended_passive: config.data.passive && config.data.epsv,
        tls: config.tls.is_some(),
        clear: config.tls.as_ref().is_some_and(|policy| policy.allow_ccc),
        delete: !config.files.no_delete,
        rename: !config.files.no_rename,
        denied: config.denied_commands.clone(),
    }
}

fn because(what: &'static str) -> impl Fn(io::Error) -> io::Error {
    move |err| io::Error::new(err.kind(), format!("{what}: {err}"))
}
