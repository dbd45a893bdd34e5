//! `--test-config`: opens what a start would open, and says what cannot be.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use crate::config::Config;
use crate::log::{Logins, TransferLog};
use crate::sys::sockets;
use crate::tls;

/// Everything that would keep a server with this configuration from starting
/// or from letting anybody in; one line each, the option first.
///
/// A port in use is none of it: a running server has it.
pub(crate) fn check(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    let mut keep = |option: &str, result: io::Result<()>| {
        problems.extend(result.err().map(|err| format!("{option}: {err}")));
    };
    for &address in config.listen.addresses.iter().chain(&config.listen.tls_addresses) {
        keep("-a, --bind", can_listen(address));
    }
    if let Some(path) = &config.listen.pid_file {
        keep("-p, --pidfile", named(path, is_in_a_directory(path)));
    }
    if let Some(path) = &config.control_socket {
        keep("--control-socket", named(path, is_in_a_directory(path)));
    }
    keep("-L, --xferlog", TransferLog::open(&config.logging, false).map(drop));
    keep("-c, --config-dir", named(&config.config_dir, fs::read_dir(&config.config_dir).map(drop)));
    for name in ["ftpusers", "ftpchroot"] {
        let path = config.config_dir.join(name);
        keep("-c, --config-dir", named(&path, can_read_if_there(&path)));
    }
    if let Some(path) = &config.login.user_file {
        keep("--user-file", named(path, File::open(path).map(drop)));
    }
    if let Some(policy) = &config.tls {
        keep("--tls", tls::Server::new(policy, &config.greeting.host_name).map(drop));
    }
    // Their errors say themselves what they are about.
    problems.extend(Logins::open(config.logging.wtmp).err().map(|err| err.to_string()));
    problems
}

fn named(path: &Path, result: io::Result<()>) -> io::Result<()> {
    result.map_err(|err| io::Error::new(err.kind(), format!("{}: {err}", path.display())))
}

fn can_listen(address: SocketAddr) -> io::Result<()> {
    match sockets::listen(address, 1) {
        Ok(_) => Ok(()),
        Err(err) if err.kind() == io::ErrorKind::AddrInUse => Ok(()),
        // As at a start: a machine without IPv6 still has IPv4.
        Err(err) if address.ip().is_unspecified() && super::listener::has_no_family(&err) => Ok(()),
        Err(err) => Err(io::Error::new(err.kind(), format!("{address}: {err}"))),
    }
}

fn is_in_a_directory(path: &Path) -> io::Result<()> {
    match path.parent().map(fs::metadata).transpose()? {
        Some(parent) if parent.is_dir() => Ok(()),
        _ => Err(io::ErrorKind::NotADirectory.into()),
    }
}

fn can_read_if_there(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        _ => Ok(()),
    }
}
