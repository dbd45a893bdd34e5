//! Addresses: which of them mean the same host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Whether two addresses mean the same host; `::ffff:192.0.2.1` is 192.0.2.1.
pub(crate) fn same_host(a: IpAddr, b: IpAddr) -> bool {
    a.to_canonical() == b.to_canonical()
}

/// An IPv4-mapped address as the IPv4 address it is; others as they are, with
/// the scope that a link-local one needs.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match (address, address.ip().to_canonical()) {
        (SocketAddr::V6(_), IpAddr::V4(v4)) => SocketAddr::from((v4, address.port())),
        _ => address,
    }
}

/// "Any address" in the family of `address`.
pub(crate) fn unspecified_like(address: SocketAddr) -> IpAddr {
    if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_the_host_it_maps() {
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert!(same_host(mapped, "192.0.2.1".parse().unwrap()));
        assert!(!same_host(mapped, "192.0.2.2".parse().unwrap()));
        assert!(!same_host("::1".parse().unwrap(), "127.0.0.1".parse().unwrap()));
        assert_eq!(canonical((mapped, 7).into()), "192.0.2.1:7".parse().unwrap());
        assert_eq!(canonical("[fe80::1%3]:7".parse().unwrap()), "[fe80::1%3]:7".parse().unwrap());
    }
}
