//! PORT PASV EPRT EPSV LPRT LPSV TYPE STRU MODE: RFC 959 section 4.1.2, RFC 1639, RFC 2428.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::dtp::{DataPort, PortLease};
use crate::proto::address::ExtendedPassive;
use crate::proto::command::CommandSpec;
use crate::proto::params::{FormatControl, RepresentationType, Structure, TransferMode};
use crate::proto::reply::{Reply, ReplyCode};
use crate::session::Session;
use crate::session::stop::{Stop, protocol_refusal, reason, refused};

/// Below it are the ports of other servers, which a client must not make this one talk to (RFC 2577 section 3).
const FIRST_UNPRIVILEGED: u16 = 1024;

impl Session {
    /// PORT, EPRT and LPRT; `family_refusal` answers one that names the other family of addresses.
    pub(in crate::session) fn port(
        &mut self,
        address: SocketAddr,
        spec: &CommandSpec,
        family_refusal: fn(&[u8]) -> Stop,
    ) -> Result<Reply, Stop> {
        let verb = spec.verb;
        self.refuse_after_epsv_all()?;
        self.parameters.data_port = DataPort::Unset;
        let (peer, named) = (self.host(), address.ip().to_canonical());
        if peer.is_ipv4() != named.is_ipv4() {
            return Err(family_refusal(&[if peer.is_ipv4() { 1 } else { 2 }]));
        }
        // lftp names `::` where it listens on the loopback interface; it can only mean itself.
        let named = if named == Ipv6Addr::UNSPECIFIED { peer } else { named };
        if !self.services.config.data.foreign && (peer != named || address.port() < FIRST_UNPRIVILEGED) {
            log::warn!("{peer}: refused {verb} to {address}");
            return Err(refused(ReplyCode::SyntaxError, format!("Illegal {verb} address or port rejected.")));
        }
        if address.port() == 0 {
            return Err(refused(ReplyCode::ArgumentError, "Port 0 cannot be connected to."));
        }
        let mut address = SocketAddr::new(named, address.port());
        if let (SocketAddr::V6(address), SocketAddr::V6(peer)) = (&mut address, self.control.peer)
            && address.ip() == peer.ip()
        {
            // A link-local address means nothing without the interface it is on.
            address.set_scope_id(peer.scope_id());
        }
        self.parameters.data_port = DataPort::Active(address);
        Ok(Reply::new(ReplyCode::CommandOkay, format!("{verb} command successful.")))
    }

    pub(in crate::session) fn pasv(&mut self) -> Result<Reply, Stop> {
        self.refuse_after_epsv_all()?;
        let IpAddr::V4(address) = self.advertised_address() else {
            let text = "PASV cannot name an IPv6 address; use EPSV.";
            return Err(refused(ReplyCode::CannotOpenDataConnection, text));
        };
        let ([a, b, c, d], [high, low]) = (address.octets(), self.listen()?.to_be_bytes());
        let text = format!("Entering Passive Mode ({a},{b},{c},{d},{high},{low})");
        Ok(Reply::new(ReplyCode::EnteringPassiveMode, text))
    }

    pub(in crate::session) fn epsv(&mut self, protocol: ExtendedPassive) -> Result<Reply, Stop> {
        let ours = if self.host().is_ipv4() { ExtendedPassive::Ipv4 } else { ExtendedPassive::Ipv6 };
        match protocol {
            ExtendedPassive::All => {
                self.parameters.epsv_all = true;
                return Ok(Reply::new(ReplyCode::CommandOkay, "EPSV ALL command successful."));
            }
            ExtendedPassive::Ipv4 | ExtendedPassive::Ipv6 if protocol != ours => {
                return Err(protocol_refusal(&[if ours == ExtendedPassive::Ipv4 { 1 } else { 2 }]));
            }
            _ => (),
        }
        let port = self.listen()?;
        let text = format!("Entering Extended Passive Mode (|||{port}|)");
        Ok(Reply::new(ReplyCode::EnteringExtendedPassiveMode, text))
    }

    pub(in crate::session) fn lpsv(&mut self) -> Result<Reply, Stop> {
        self.refuse_after_epsv_all()?;
        let (family, host) = match self.advertised_address() {
            IpAddr::V4(v4) => (4, v4.octets().to_vec()),
            IpAddr::V6(v6) => (6, v6.octets().to_vec()),
        };
        let [high, low] = self.listen()?.to_be_bytes();
        let host_text: String = host.iter().map(|octet| format!("{octet},")).collect();
        let text = format!("Entering Long Passive Mode ({family},{},{host_text}2,{high},{low})", host.len());
        Ok(Reply::new(ReplyCode::EnteringLongPassiveMode, text))
    }

    pub(in crate::session) fn set_type(&mut self, representation: RepresentationType) -> Result<Reply, Stop> {
        self.parameters.transfer.representation = representation;
        let letter = match representation {
            RepresentationType::Ascii(FormatControl::NonPrint) => "A",
            RepresentationType::Ascii(FormatControl::Telnet) => "A T",
            RepresentationType::Ascii(FormatControl::CarriageControl) => "A C",
            RepresentationType::Ebcdic(FormatControl::NonPrint) => "E",
            RepresentationType::Ebcdic(FormatControl::Telnet) => "E T",
            RepresentationType::Ebcdic(FormatControl::CarriageControl) => "E C",
            RepresentationType::Image => "I",
        };
        Ok(Reply::new(ReplyCode::CommandOkay, format!("Type set to {letter}.")))
    }

    pub(in crate::session) fn stru(&mut self, letter: u8) -> Result<Reply, Stop> {
        let structure = match letter {
            b'F' => Structure::File,
            b'R' => Structure::Record,
            b'P' => {
                let text = "Page structure is not implemented; the structures are F and R.";
                return Err(refused(ReplyCode::ParameterNotImplemented, text));
            }
            _ => return Err(refused(ReplyCode::ArgumentError, "The structures are F, R and P.")),
        };
        self.parameters.transfer.structure = structure;
        Ok(Reply::new(ReplyCode::CommandOkay, format!("STRU {} ok.", char::from(letter))))
    }

    pub(in crate::session) fn mode(&mut self, letter: u8) -> Result<Reply, Stop> {
        let mode = match letter {
            b'S' => TransferMode::Stream,
            b'B' => TransferMode::Block,
            b'C' => TransferMode::Compressed,
            b'Z' => {
                let text = "Mode Z is not implemented; the modes are S, B and C.";
                return Err(refused(ReplyCode::ParameterNotImplemented, text));
            }
            _ => return Err(refused(ReplyCode::ArgumentError, "The modes are S, B and C.")),
        };
        self.parameters.transfer.mode = mode;
        if let DataPort::Kept(_) = self.parameters.data_port
            && mode.ends_with_connection()
        {
            self.parameters.data_port = DataPort::Unset;
        }
        Ok(Reply::new(ReplyCode::CommandOkay, format!("MODE {} ok.", char::from(letter))))
    }

    /// Borrows a passive port for the next transfer, and gives it.
    fn listen(&mut self) -> Result<u16, Stop> {
        // The port that an earlier PASV borrowed is free for this one.
        self.parameters.data_port = DataPort::Unset;
        let lease: PortLease = self.services.ports.lease(self.control.local).map_err(|error| {
            log::warn!("{}: no passive port: {error}", self.host());
            let text = format!("Can't open passive connection: {}", reason(&error));
            refused(ReplyCode::CannotOpenDataConnection, text)
        })?;
        let port = lease.port();
        self.parameters.data_port = DataPort::Passive(lease);
        Ok(port)
    }

    /// The address that 227 and 228 name: where the client reached us, or where the administrator says we are.
    fn advertised_address(&self) -> IpAddr {
        let (data, peer) = (&self.services.config.data, self.host());
        let exempt = data.passive_address_exempt.iter().any(|network| network.contains(peer));
        match data.passive_address {
            Some(address) if !exempt && address.is_ipv4() == peer.is_ipv4() => address,
            _ => self.control.local.ip().to_canonical(),
        }
    }

    fn refuse_after_epsv_all(&self) -> Result<(), Stop> {
        if self.parameters.epsv_all {
            return Err(refused(ReplyCode::ArgumentError, "Only EPSV is taken after EPSV ALL."));
        }
        Ok(())
    }
}
