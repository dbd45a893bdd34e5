//! `--test-config`: tries everything that a start would do, and prints each problem on a line.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::account::{self, Findings};
use crate::cli::{self, Options};
use crate::config::{Config, Start};
use crate::logging::{Logins, TransferLog};
use crate::server;
use crate::session;
use crate::sys::sockets;
use crate::tls;

/// The exit code when there are warnings, and nothing worse.
const WARNED: u8 = 3;

/// `--test-config`: opens what a start would open. A port in use is no problem: a running server has it.
pub(super) fn test_config(options: Options) -> Result<(), u8> {
    let start = if options.daemon { Start::Daemon } else { Start::Foreground };
    let findings = match cli::resolve(options, start) {
        Ok(config) => check(&config),
        Err(problems) => {
            let errors = problems.iter().map(ToString::to_string).collect();
            Findings { errors, warnings: Vec::new() }
        }
    };
    let errors = findings.errors.iter().map(|line| format!("ferryd: {line}\n"));
    let warnings = findings.warnings.iter().map(|line| format!("ferryd: warning: {line}\n"));
    let lines: String = errors.chain(warnings).collect();
    match (findings.errors.is_empty(), findings.warnings.is_empty()) {
        (true, true) => super::say("ferryd: no problems found\n"),
        (true, false) => super::say(&lines).and(Err(WARNED)),
        (false, _) => super::say(&lines).and(Err(super::errors::FAILURE)),
    }
}

/// The problems that would keep a server with this configuration from starting, or from letting
/// anybody in, and what would do less than it seems to: a line each, which begins with the option.
fn check(config: &Config) -> Findings {
    let mut problems = Vec::new();
    let mut keep = |option: &str, result: io::Result<()>| {
        problems.extend(result.err().map(|err| format!("{option}: {err}")));
    };
    for &address in config.listen.addresses.iter().chain(&config.listen.tls_addresses) {
        keep("-a, --bind", can_listen(address));
    }
    if config.data.passive {
        keep("--passive-ports", may_listen_at(config.data.passive_ports.0));
    }
    if let Some(path) = &config.listen.pid_file {
        keep("-p, --pidfile", named(path, is_in_a_directory(path)));
    }
    if let Some(path) = &config.control_socket {
        keep("--control-socket", named(path, is_in_a_directory(path)));
    }
    keep("-L, --xferlog", TransferLog::open(&config.logging, false).map(drop));
    keep("-c, --config-dir", named(&config.config_dir, fs::read_dir(&config.config_dir).map(drop)));
    if let Some(policy) = &config.tls {
        keep("--tls", tls::Server::new(policy, &config.greeting.host_name).map(drop));
    }
    // These errors name their file.
    let Findings { errors, mut warnings } = account::check_files(config);
    problems.extend(errors);
    if session::nologin_text(&config.config_dir).is_some() {
        problems.push("nologin: it is there, and nobody may log in".to_owned());
    }
    problems.extend(Logins::open(config.logging.wtmp).err().map(|err| err.to_string()));
    warnings.extend(super::warnings(config));
    Findings { errors: problems, warnings }
}

fn named(path: &Path, result: io::Result<()>) -> io::Result<()> {
    result.map_err(|err| io::Error::new(err.kind(), format!("{}: {err}", path.display())))
}

fn can_listen(address: SocketAddr) -> io::Result<()> {
    match sockets::listen(address, 1) {
        Ok(_) => Ok(()),
        Err(err) if err.kind() == io::ErrorKind::AddrInUse => Ok(()),
        // A start accepts that too: a machine without IPv6 still has IPv4.
        Err(err) if address.ip().is_unspecified() && server::has_no_family(&err) => Ok(()),
        Err(err) => Err(server::cannot_listen(address, &err)),
    }
}

/// Ports below 1024 are for root alone.
fn may_listen_at(port: u16) -> io::Result<()> {
    match sockets::listen(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), 1) {
        Err(err) if err.kind() == io::ErrorKind::PermissionDenied => {
            Err(io::Error::new(err.kind(), format!("port {port}: {err}")))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn is_in_a_directory(path: &Path) -> io::Result<()> {
    match path.parent().map(fs::metadata).transpose()? {
        Some(parent) if parent.is_dir() => Ok(()),
        _ => Err(io::ErrorKind::NotADirectory.into()),
    }
}
