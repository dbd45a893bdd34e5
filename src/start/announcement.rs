//! The lines that are said when the server listens: where, and how to try it.

use std::net::SocketAddr;

use crate::config::{Config, LogFormat, Start};

/// The lines that are said when the server listens.
pub(super) struct Announcement {
    form: Form,
    /// A server for anonymous clients that somebody other than root tries out.
    trial: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `-F`: lines on standard output, for the person who typed the command.
    Lines,
    /// The same with `--log-format=json`: records of the log, because a program reads the output.
    Records,
    /// A daemon that chose its port (port 0) names it.
    ChosenPorts,
    Nothing,
}

impl Announcement {
    pub(super) fn new(config: &Config) -> Announcement {
        let chosen = config.listen.addresses.iter().any(|address| address.port() == 0);
        let form = match (config.listen.start, config.logging.format) {
            (Start::Foreground, LogFormat::Text) => Form::Lines,
            (Start::Foreground, LogFormat::Json) => Form::Records,
            _ if chosen => Form::ChosenPorts,
            _ => Form::Nothing,
        };
        let trial = config.login.anonymous.is_some() && !rustix::process::geteuid().is_root();
        Announcement { form, trial }
    }

    pub(super) fn make(&self, addresses: &[SocketAddr], fingerprint: Option<String>) {
        match self.form {
            Form::Records => log_all(addresses, fingerprint.as_deref()),
            Form::Nothing => addresses.iter().for_each(|address| log::debug!("listening on {address}")),
            Form::Lines | Form::ChosenPorts => {
                addresses.iter().for_each(|address| log::debug!("listening on {address}"));
                // Standard output may be closed; clients are served all the same.
                let _ = super::say(&self.text(addresses, fingerprint.as_deref()));
            }
        }
    }

    fn text(&self, addresses: &[SocketAddr], fingerprint: Option<&str>) -> String {
        let mut text: String = addresses.iter().map(|address| format!("listening on {address}\n")).collect();
        if let (Form::Lines, true, Some(first)) = (self.form, self.trial, addresses.first()) {
            text += &format!("try: curl {}\n", url(first));
        }
        if let Some(fingerprint) = fingerprint {
            text += &format!("{SELF_SIGNED}:\n{fingerprint}\n");
        }
        text
    }
}

/// The words before its fingerprint.
const SELF_SIGNED: &str =
    "a self-signed certificate, for trying out and nothing else; its SHA-256 fingerprint";

fn log_all(addresses: &[SocketAddr], fingerprint: Option<&str>) {
    for address in addresses {
        log::info!(event = "listening", address = address.to_string().as_str(); "listening on {address}");
    }
    if let Some(fingerprint) = fingerprint {
        log::info!(event = "self-signed", fingerprint = fingerprint; "{SELF_SIGNED}: {fingerprint}");
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
