//! Addresses and ports: names of hosts and services become numbers.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use super::{Problem, problem};
use crate::cli::Options;

/// `-P none`: clients begin with TLS, or not at all.
pub(super) const NO_PORT: &str = "none";

/// The addresses of `-a`, or the wildcards, with the port; in the families asked for.
pub(super) fn listen_addresses(options: &Options) -> Result<Vec<SocketAddr>, Problem> {
    match options.port.as_str() {
        NO_PORT => Ok(Vec::new()),
        word => addresses_at(options, port("-P, --port", word)?),
    }
}

pub(super) fn addresses_at(options: &Options, port: u16) -> Result<Vec<SocketAddr>, Problem> {
    let both = options.ipv4 == options.ipv6;
    let wanted = |address: &SocketAddr| both || address.is_ipv4() == options.ipv4;
    if options.bind.is_empty() {
        let wildcards: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        return Ok(wildcards.map(|ip| SocketAddr::new(ip, port)).into_iter().filter(wanted).collect());
    }
    let mut addresses = Vec::new();
    for name in &options.bind {
        let found = match (name.as_str(), port).to_socket_addrs() {
            Ok(found) => found.filter(wanted),
            Err(err) => return problem("-a, --bind", format!("`{name}`: {err}")),
        };
        let before = addresses.len();
        addresses.extend(found);
        if addresses.len() == before {
            return problem("-a, --bind", format!("`{name}` has no address of the family asked for"));
        }
    }
    let mut seen = std::collections::HashSet::new();
    addresses.retain(|address| seen.insert(*address));
    Ok(addresses)
}

/// Of two sockets on one port, the second cannot listen.
pub(super) fn one_port_once(addresses: &[SocketAddr], tls_addresses: &[SocketAddr]) -> Result<(), Problem> {
    let clash = |one: &SocketAddr, other: &SocketAddr| {
        let (a, b) = (one.ip(), other.ip());
        let same = a == b || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified()));
        same && one.port() == other.port() && one.port() != 0
    };
    if let Some(address) = tls_addresses.iter().find(|one| addresses.iter().any(|other| clash(one, other))) {
        return problem("--tls-port", format!("port {} is that of -P, --port", address.port()));
    }
    for (at, one) in addresses.iter().enumerate() {
        if let Some(other) = addresses[..at].iter().find(|other| clash(one, other)) {
            return problem("-a, --bind", format!("{} and {} are the same port twice", other.ip(), one.ip()));
        }
    }
    Ok(())
}

/// A number, or the name of a service.
pub(super) fn port(option: &'static str, word: &str) -> Result<u16, Problem> {
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        return word.parse().or_else(|_| problem(option, format!("`{word}` is not a port from 0 to 65535")));
    }
    let services = fs::read_to_string("/etc/services").unwrap_or_default();
    match tcp_service(&services, word) {
        Some(port) => Ok(port),
        // Small systems have no such file.
        None if word == "ftp" => Ok(21),
        None if word == "ftps" => Ok(990),
        None => problem(option, format!("`{word}` is neither a number nor a service in /etc/services")),
    }
}

/// The port of a TCP service in a file of the form of services(5).
fn tcp_service(services: &str, name: &str) -> Option<u16> {
    services.lines().find_map(|line| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let official = words.next()?;
        let port = words.next()?.strip_suffix("/tcp")?;
        (official == name || words.any(|alias| alias == name)).then(|| port.parse().ok())?
    })
}

/// The reply 227 can name IPv4 addresses only, so of the addresses of a host name these come first.
pub(super) fn passive_address(name: &str) -> Result<IpAddr, Problem> {
    const OPTION: &str = "--passive-address";
    let found: Vec<IpAddr> = match (name, 0).to_socket_addrs() {
        Ok(found) => found.map(|address| address.ip()).collect(),
        Err(err) => return problem(OPTION, format!("`{name}`: {err}")),
    };
    match found.iter().find(|ip| ip.is_ipv4()).or(found.first()) {
        Some(ip) if !ip.is_unspecified() => Ok(*ip),
        _ => problem(OPTION, format!("`{name}` is no address that a client can connect to")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_names_and_aliases() {
        let file = "# ftp 1/tcp\nftp-data 20/tcp\nftp\t\t21/udp\nftp\t\t21/tcp fsp # alias\nbad x/tcp\n";
        assert_eq!(tcp_service(file, "ftp"), Some(21));
        assert_eq!(tcp_service(file, "fsp"), Some(21));
        assert_eq!(tcp_service(file, "alias"), None);
        assert_eq!(tcp_service(file, "bad"), None);
    }
}
