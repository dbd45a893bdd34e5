//! What is said on standard output once the server listens.

use std::net::SocketAddr;

use crate::config::{Config, Start};

/// What is said on standard output once the server listens.
pub(super) struct Announcement {
    /// `-F`; a daemon only names ports it was left to choose.
    foreground: bool,
    chosen: bool,
    /// Anonymous clients may log in, and nobody needs to be root for it.
    trial: bool,
}

impl Announcement {
    pub(super) fn new(config: &Config) -> Announcement {
        Announcement {
            foreground: config.listen.start == Start::Foreground,
            chosen: config.listen.addresses.iter().any(|address| address.port() == 0),
            trial: config.login.anonymous.is_some() && !rustix::process::geteuid().is_root(),
        }
    }

    pub(super) fn print(&self, addresses: &[SocketAddr], fingerprint: Option<String>) {
        addresses.iter().for_each(|address| log::debug!("listening on {address}"));
        if !self.foreground && !self.chosen {
            return;
        }
        let mut text: String = addresses.iter().map(|address| format!("listening on {address}\n")).collect();
        if let (true, true, Some(first)) = (self.foreground, self.trial, addresses.first()) {
            text += &format!("try: curl {}\n", url(first));
        }
        if let Some(fingerprint) = fingerprint {
            text += &format!(
                "a self-signed certificate, for trying out and nothing else; its SHA-256 fingerprint:\n{fingerprint}\n"
            );
        }
        // Nobody may be listening to standard output; clients are served all the same.
        let _ = super::say(&text);
    }
}

fn url(address: &SocketAddr) -> String {
    let host = match address.ip() {
        ip if ip.is_unspecified() || ip.is_loopback() => "localhost".to_owned(),
        ip if ip.is_ipv6() => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    match address.port() {
        21 => format!("ftp://{host}/"),
        port => format!("ftp://{host}:{port}/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_type_next_is_a_url_that_works() {
        for (address, expected) in [
            ("0.0.0.0:2121", "ftp://localhost:2121/"),
            ("[::1]:21", "ftp://localhost/"),
            ("192.0.2.1:21", "ftp://192.0.2.1/"),
            ("[2001:db8::1]:2121", "ftp://[2001:db8::1]:2121/"),
        ] {
            assert_eq!(url(&address.parse().unwrap()), expected);
        }
    }
}
