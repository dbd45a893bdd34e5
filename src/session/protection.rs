//! The protection of a session: TLS on the control connection, and on its data
//! connections.
//!
//! RFC 2228 and 4217. A change takes place once the reply to the command that
//! asked for it has been sent.

use std::io;

use super::Session;
use crate::config::{ReuseRequired, TlsRequired};
use crate::dtp::{DataConnection, OpenError, Watch};
use crate::tls::Binding;

/// The protection of one session.
#[derive(Default)]
pub(crate) struct Protection {
    /// Secures data connections; there since the control connection is secure.
    pub binding: Option<Binding>,
    /// The client began with TLS, and has no other way.
    pub implicit: bool,
    /// PBSZ was sent, without which there is no PROT.
    pub buffer_size: bool,
    /// PROT P: data connections use TLS.
    pub private: bool,
    /// The change that comes after the next reply.
    pub next: Option<ProtectionChange>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProtectionChange {
    /// AUTH: the handshake; data connections as the mechanism has it.
    Secure { private: bool },
    /// CCC: the control connection goes on in the clear.
    Clear,
    /// REIN: everything does.
    ClearAll,
}

impl Protection {
    /// REIN: as if just connected; the reply is still protected (RFC 4217 section 11).
    pub(crate) fn begin_again(&mut self) {
        if self.implicit {
            (self.buffer_size, self.private) = (true, true);
        } else if self.binding.is_some() {
            self.next = Some(ProtectionChange::ClearAll);
        }
    }
}

impl Session {
    /// Does what the command before the last reply asked for.
    pub(super) fn change_protection(&mut self) -> io::Result<()> {
        match self.protection.next.take() {
            None => Ok(()),
            Some(ProtectionChange::Secure { private }) => {
                self.secure_control()?;
                self.protection.private = private;
                Ok(())
            }
            Some(ProtectionChange::Clear) => self.clear_control(),
            Some(ProtectionChange::ClearAll) => {
                self.protection = Protection::default();
                self.clear_control()
            }
        }
    }

    /// The handshake of a client that begins with it.
    pub(super) fn begin_implicit(&mut self) -> io::Result<()> {
        if self.protection.implicit {
            self.secure_control()?;
            (self.protection.buffer_size, self.protection.private) = (true, true);
        }
        Ok(())
    }

    fn secure_control(&mut self) -> io::Result<()> {
        let Some(tls) = &self.services.tls else { return Err(io::ErrorKind::Unsupported.into()) };
        let binding = tls.bind(self.host());
        let deadline = self.login_deadline();
        self.control.secure(binding.control()?, deadline)?;
        binding.seal();
        self.protection.binding = Some(binding);
        // A name that was sent in the clear may not be the client's word; this one is.
        if self.asked_host.as_ref().is_some_and(|name| self.contradicts_tls(name)) {
            self.forget_host();
        }
        if let Some(tls) = self.control.tls() {
            log::debug!("{}: {}", self.host(), tls.describe());
        }
        Ok(())
    }

    fn clear_control(&mut self) -> io::Result<()> {
        let deadline = self.login_deadline();
        self.control.clear(deadline)
    }

    /// Whether a login by this name must wait for TLS.
    pub(super) fn needs_tls(&self, name: &[u8]) -> bool {
        let Some(policy) = &self.services.config.tls else { return false };
        self.control.tls().is_none()
            && match policy.required {
                TlsRequired::No => false,
                TlsRequired::Login => !self.services.authenticator.is_anonymous(name),
                TlsRequired::All => true,
            }
    }

    /// Whether data connections must be protected, and are not.
    pub(super) fn lacks_private_data(&self) -> bool {
        let policy = self.services.config.tls.as_ref();
        !self.protection.private && policy.is_some_and(|policy| policy.required == TlsRequired::All)
    }
}

/// How the data connection of one transfer is secured.
pub(super) struct DataProtection {
    binding: Binding,
    with_ticket: bool,
    require_reuse: bool,
}

impl DataProtection {
    /// `None`: the client has not asked for any.
    pub(super) fn of(session: &Session) -> Option<DataProtection> {
        let binding = session.protection.binding.clone().filter(|_| session.protection.private)?;
        Some(DataProtection {
            require_reuse: match session.services.config.tls.as_ref().map(|policy| policy.reuse) {
                None | Some(ReuseRequired::Always) => true,
                Some(ReuseRequired::Once) => binding.has_resumed(),
                Some(ReuseRequired::Never) => false,
            },
            binding,
            // Others get one with the last reply.
            with_ticket: session.control.tls().is_none(),
        })
    }

    pub(super) fn secure(
        &self,
        connection: &mut DataConnection,
        watch: &mut dyn Watch,
    ) -> Result<(), OpenError> {
        let tls = self.binding.data(self.with_ticket).map_err(OpenError::Handshake)?;
        connection.secure(tls, self.require_reuse, watch)
    }
}
