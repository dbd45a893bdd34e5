//! AUTH PBSZ PROT CCC: RFC 2228 section 3, RFC 4217.

use crate::proto::reply::{Reply, ReplyCode};
use crate::session::Session;
use crate::session::protection::ProtectionChange;
use crate::session::state::Login;
use crate::session::stop::{Stop, refused};

impl Session {
    /// The mechanisms of RFC 4217 section 17, and the names they had before it.
    pub(in crate::session) fn auth(&mut self, mechanism: &[u8]) -> Result<Reply, Stop> {
        let private = match mechanism.to_ascii_uppercase().as_slice() {
            b"TLS" | b"TLS-C" => false,
            b"SSL" | b"TLS-P" => true,
            _ => {
                return Err(refused(ReplyCode::ParameterNotImplemented, "Use AUTH TLS."));
            }
        };
        if self.control.tls().is_some() {
            return Err(refused(ReplyCode::BadSequence, "This connection is protected by TLS already."));
        }
        if matches!(self.login, Login::LoggedIn(_)) {
            return Err(refused(ReplyCode::BadSequence, "AUTH must come before USER."));
        }
        // A command that was sent in the clear may not be the client's word.
        self.login = Login::NotLoggedIn;
        self.leftover.restart_at = 0;
        self.protection.buffer_size = private;
        self.protection.next = Some(ProtectionChange::Secure { private });
        Ok(Reply::new(
            ReplyCode::SecurityExchangeComplete,
            "AUTH command successful; begin the TLS handshake.",
        ))
    }

    /// TLS has no use for a size; RFC 4217 section 9 has clients send 0.
    pub(in crate::session) fn pbsz(&mut self, _size: u64) -> Result<Reply, Stop> {
        self.require_protection()?;
        self.protection.buffer_size = true;
        Ok(Reply::new(ReplyCode::CommandOkay, "PBSZ=0"))
    }

    pub(in crate::session) fn prot(&mut self, level: u8) -> Result<Reply, Stop> {
        self.require_protection()?;
        if !self.protection.buffer_size {
            return Err(refused(ReplyCode::BadSequence, "PBSZ must come first."));
        }
        let private = match level {
            b'C' => false,
            b'P' => true,
            b'S' | b'E' => {
                let text = "TLS protects data connections wholly or not at all: PROT P or PROT C.";
                return Err(refused(ReplyCode::ProtectionNotSupported, text));
            }
            _ => return Err(refused(ReplyCode::ParameterNotImplemented, "PROT P or PROT C.")),
        };
        let before = std::mem::replace(&mut self.protection.private, private);
        if self.lacks_private_data() {
            self.protection.private = before;
            let text = "Data connections must be protected here: PROT P.";
            return Err(refused(ReplyCode::DeniedForPolicy, text));
        }
        let text = if private { "Data connections use TLS." } else { "Data connections are in the clear." };
        Ok(Reply::new(ReplyCode::CommandOkay, text))
    }

    /// For firewalls that must read PORT and 227; only once the password is past.
    pub(in crate::session) fn ccc(&mut self) -> Result<Reply, Stop> {
        if self.control.tls().is_none() {
            return Err(refused(
                ReplyCode::CommandProtectionDenied,
                "The control connection is in the clear.",
            ));
        }
        if self.protection.implicit {
            return Err(refused(ReplyCode::DeniedForPolicy, "The control connection stays protected here."));
        }
        self.logged_in()?;
        self.protection.next = Some(ProtectionChange::Clear);
        Ok(Reply::new(ReplyCode::CommandOkay, "The control connection goes on in the clear."))
    }

    fn require_protection(&self) -> Result<(), Stop> {
        match self.protection.binding {
            Some(_) => Ok(()),
            None => Err(refused(ReplyCode::BadSequence, "AUTH TLS must come first.")),
        }
    }
}
