//! The addresses of data ports, as the arguments of PORT, EPRT, LPRT and EPSV write them.
//!
//! RFC 959 section 5.3.2 (PORT), RFC 2428 (EPRT, EPSV), RFC 1639 (LPRT).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::argument::{Argument, SyntaxError, decimal, trim};

/// What EPSV asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExtendedPassive {
    /// The protocol of the control connection.
    Any,
    Ipv4,
    Ipv6,
    /// Nothing but EPSV will follow (RFC 2428 section 4).
    All,
}

impl Argument<'_> {
    /// PORT's `h1,h2,h3,h4,p1,p2`.
    pub(crate) fn host_port(self) -> Result<SocketAddr, SyntaxError> {
        let error = SyntaxError::Malformed("The form is h1,h2,h3,h4,p1,p2.");
        let [a, b, c, d, high, low] = octets(self.0).and_then(|all| all.try_into().ok()).ok_or(error)?;
        Ok(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low])))
    }

    /// EPRT's `|af|address|port|`, whatever the delimiter.
    pub(crate) fn extended_host_port(self) -> Result<SocketAddr, SyntaxError> {
        let error = SyntaxError::Malformed("The form is |protocol|address|port|.");
        let &[delimiter @ 33..=126, ref rest @ ..] = self.0 else { return Err(error) };
        let fields: Vec<&[u8]> = rest.split(|&byte| byte == delimiter).collect();
        let [protocol, address, port, b""] = fields[..] else { return Err(error) };
        let text = std::str::from_utf8(address).map_err(|_| error)?;
        let address: IpAddr = match decimal(protocol) {
            Some(1) => text.parse::<Ipv4Addr>().map_err(|_| error)?.into(),
            Some(2) => text.parse::<Ipv6Addr>().map_err(|_| error)?.into(),
            Some(_) => return Err(SyntaxError::Protocol),
            None => return Err(error),
        };
        let port = decimal(port).and_then(|port| u16::try_from(port).ok()).ok_or(error)?;
        Ok(SocketAddr::new(address, port))
    }

    /// LPRT's `af,hal,h1,…,pal,p1,…`.
    pub(crate) fn long_host_port(self) -> Result<SocketAddr, SyntaxError> {
        let error = SyntaxError::Malformed("The form is af,hal,h1,h2,...,pal,p1,p2.");
        let all = octets(self.0).ok_or(error)?;
        let (&[family, length], rest) = all.split_first_chunk::<2>().ok_or(error)?;
        let (host, port) = rest.split_at_checked(usize::from(length)).ok_or(error)?;
        let &[2, high, low] = port else { return Err(error) };
        let address: IpAddr = match family {
            4 => <[u8; 4]>::try_from(host).map_err(|_| error)?.into(),
            6 => <[u8; 16]>::try_from(host).map_err(|_| error)?.into(),
            _ => return Err(SyntaxError::AddressFamily),
        };
        Ok(SocketAddr::new(address, u16::from_be_bytes([high, low])))
    }

    /// EPSV's argument.
    pub(crate) fn extended_passive(self) -> Result<ExtendedPassive, SyntaxError> {
        match trim(self.0) {
            b"" => Ok(ExtendedPassive::Any),
            b"1" => Ok(ExtendedPassive::Ipv4),
            b"2" => Ok(ExtendedPassive::Ipv6),
            word if word.eq_ignore_ascii_case(b"ALL") => Ok(ExtendedPassive::All),
            word if decimal(word).is_some() => Err(SyntaxError::Protocol),
            _ => Err(SyntaxError::Malformed("EPSV takes a protocol number, or ALL.")),
        }
    }
}

/// Numbers below 256 with commas between them.
fn octets(text: &[u8]) -> Option<Vec<u8>> {
    trim(text)
        .split(|&byte| byte == b',')
        .map(|field| decimal(trim(field)).and_then(|number| u8::try_from(number).ok()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Random;

    #[test]
    fn port_takes_six_octets() {
        assert_eq!(Argument(b"127,0,0,1,4,1").host_port(), Ok("127.0.0.1:1025".parse().unwrap()));
        for bad in
            ["", "1,2,3,4,5", "1,2,3,4,5,6,7", "1,2,3,4,5,256", "1,2,3,4,5,-6", "a,b,c,d,e,f", "1,,2,3,4,5"]
        {
            assert!(Argument(bad.as_bytes()).host_port().is_err(), "{bad}");
        }
    }

    #[test]
    fn eprt_takes_any_delimiter_and_both_families() {
        assert_eq!(
            Argument(b"|1|127.0.0.1|1025|").extended_host_port(),
            Ok("127.0.0.1:1025".parse().unwrap())
        );
        assert_eq!(Argument(b"!2!::1!1025!").extended_host_port(), Ok("[::1]:1025".parse().unwrap()));
        assert_eq!(Argument(b"|3|x|1|").extended_host_port(), Err(SyntaxError::Protocol));
        for bad in [
            "",
            "|",
            "|1|127.0.0.1|1025",
            "|1|::1|1025|",
            "|2|127.0.0.1|1|",
            "|1|127.0.0.1|65536|",
            "|x|y|z|",
        ] {
            assert!(
                matches!(Argument(bad.as_bytes()).extended_host_port(), Err(SyntaxError::Malformed(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn lprt_counts_its_octets() {
        assert_eq!(Argument(b"4,4,127,0,0,1,2,4,1").long_host_port(), Ok("127.0.0.1:1025".parse().unwrap()));
        assert_eq!(
            Argument(b"6,16,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1,2,4,1").long_host_port(),
            Ok("[::1]:1025".parse().unwrap())
        );
        for bad in ["", "4", "4,4,1,2,3,4", "4,200,1,2", "4,4,1,2,3,4,3,1,1,1", "6,4,1,2,3,4,2,1,1"] {
            assert!(
                matches!(Argument(bad.as_bytes()).long_host_port(), Err(SyntaxError::Malformed(_))),
                "{bad}"
            );
        }
        assert_eq!(Argument(b"9,1,1,2,1,1").long_host_port(), Err(SyntaxError::AddressFamily));
    }

    #[test]
    fn any_bytes_are_an_address_or_an_error() {
        let mut random = Random::new(1);
        for _ in 0..50_000 {
            let length = random.below(24);
            let text = random.bytes(length, b"0123456789,|:.ALal \0\xFF");
            let argument = Argument(&text);
            let _ = (argument.host_port(), argument.extended_host_port(), argument.long_host_port());
            let _ = argument.extended_passive();
        }
    }
}
