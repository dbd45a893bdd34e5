//! Where clients come from, as limits count it: what an attacker has to pay for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 address, or the /64 of an IPv6 address: who has one address of that has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Origin(IpAddr);

/// RFC 6052 section 2.1: where a translator puts the IPv4 hosts that it speaks for.
const TRANSLATED: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

impl Origin {
    pub(crate) fn of(address: IpAddr) -> Origin {
        Origin(match address.to_canonical() {
            IpAddr::V6(v6) if v6.segments()[..6] == TRANSLATED => {
                Ipv4Addr::from_bits(v6.to_bits() as u32).into()
            }
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
            v4 => v4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        Origin::of(one.parse().unwrap()) == Origin::of(other.parse().unwrap())
    }

    #[test]
    fn an_ipv6_host_is_its_64_and_an_ipv4_host_itself() {
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(!same("::1", "0.0.0.1"));
    }

    #[test]
    fn hosts_behind_a_translator_are_told_apart() {
        assert!(!same("64:ff9b::192.0.2.1", "64:ff9b::192.0.2.2"));
        assert!(same("64:ff9b::192.0.2.1", "192.0.2.1"));
    }
}
