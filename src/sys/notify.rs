//! What a service manager is told of the server: sd_notify(3)'s protocol, a
//! datagram of `NAME=value` lines.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// The socket of the service manager. Where there is none, nothing is said.
pub(crate) struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID have it.
    ///
    /// # Errors
    /// There is a NOTIFY_SOCKET, and nobody listens there.
    pub(crate) fn from_env() -> io::Result<Notifier> {
        let microseconds = |name| env::var(name).ok().and_then(|word| word.parse::<u64>().ok());
        let ours = microseconds("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = microseconds("WATCHDOG_USEC").filter(|&usec| usec > 0 && ours);
        let socket = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        Ok(Notifier {
            socket: socket.map(connect).transpose()?,
            watchdog: watchdog.map(Duration::from_micros),
        })
    }

    /// How often [`Notifier::alive`] is to be called: twice as often as it must.
    pub(crate) fn watchdog(&self) -> Option<Duration> {
        self.socket.as_ref().and(self.watchdog).map(|period| period / 2)
    }

    /// The server serves.
    pub(crate) fn ready(&self, status: &str) {
        self.say(&format!("READY=1\nSTATUS={status}"));
    }

    /// The server reads its files anew; [`Notifier::ready`] says that it has.
    pub(crate) fn reloading(&self) {
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_usec()));
    }

    pub(crate) fn stopping(&self, status: &str) {
        self.say(&format!("STOPPING=1\nSTATUS={status}"));
    }

    /// The thread that calls this is not stuck.
    pub(crate) fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    /// A manager that does not listen must not hold the server up.
    fn say(&self, message: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(message.as_bytes());
        }
    }
}

fn connect(name: OsString) -> io::Result<UnixDatagram> {
    let failed = |err: io::Error| io::Error::new(err.kind(), format!("NOTIFY_SOCKET: {err}"));
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => connect_abstract(&socket, name).map_err(failed)?,
        None => socket.connect(&name).map_err(failed)?,
    }
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn connect_abstract(socket: &UnixDatagram, name: &[u8]) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    socket.connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?)
}

#[cfg(not(target_os = "linux"))]
fn connect_abstract(_socket: &UnixDatagram, _name: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn monotonic_usec() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1000
}
