//! The name of a host, as HOST has it (RFC 7151 section 3.1).

use std::net::{IpAddr, Ipv4Addr};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostName {
    /// In small letters, without the dot at its end.
    Name(String),
    Address(IpAddr),
}

impl HostName {
    /// `ftp.example.org`, `192.0.2.1`, `[192.0.2.1]` or `[2001:db8::1]`.
    pub(crate) fn parse(text: &[u8]) -> Option<HostName> {
        let text = str::from_utf8(text).ok()?;
        if let Some(literal) = text.strip_prefix('[') {
            let address: IpAddr = literal.strip_suffix(']')?.parse().ok()?;
            return Some(HostName::Address(address.to_canonical()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(HostName::Address(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let fits = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        (name.len() <= 253 && name.split('.').all(fits)).then(|| HostName::Name(name.to_ascii_lowercase()))
    }

    /// Whether this is the same name.
    pub(crate) fn is(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        matches!(self, HostName::Name(own) if own.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address() {
        let name = |name: &str| Some(HostName::Name(name.to_owned()));
        assert_eq!(HostName::parse(b"ftp.Example.org"), name("ftp.example.org"));
        assert_eq!(HostName::parse(b"localhost."), name("localhost"));
        let address = |address: &str| Some(HostName::Address(address.parse().unwrap()));
        assert_eq!(HostName::parse(b"[192.0.2.1]"), address("192.0.2.1"));
        assert_eq!(HostName::parse(b"192.0.2.1"), address("192.0.2.1"));
        assert_eq!(HostName::parse(b"[2001:db8::1]"), address("2001:db8::1"));
        assert_eq!(HostName::parse(b"[::ffff:192.0.2.1]"), address("192.0.2.1"));
        for bad in
            ["", ".", "a..b", "-a", "a-", "a b", "[", "[]", "[a]", "[::1", "::1", "a/b", "\u{e4}", "[::1]x"]
        {
            assert_eq!(HostName::parse(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(HostName::parse("a".repeat(64).as_bytes()), None);
        assert_eq!(HostName::parse("a.".repeat(127).as_bytes()), name(&["a"; 127].join(".")));
        assert_eq!(HostName::parse("a.".repeat(128).as_bytes()), None);
        assert_eq!(HostName::parse(b"a\xff"), None);
    }

    #[test]
    fn names_are_the_same_in_any_case() {
        assert!(HostName::parse(b"FTP.example.org").unwrap().is("ftp.Example.org."));
        assert!(!HostName::parse(b"[192.0.2.1]").unwrap().is("192.0.2.1"));
    }
}
