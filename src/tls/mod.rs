//! TLS: certificates, and what ties data connections to their control connection.
//!
//! `Server` has the certificates and the rules. Each control connection gets a
//! `Binding` of its own, which makes the `TlsConnection`s of both kinds: a data
//! connection that resumes a session of the binding's cache belongs to that
//! control connection, because no other client's sessions are in there. Sessions of
//! another control connection count when the same account has logged in over it, from
//! the same address. RFC 4217; RFC 8446 section 2.2 and RFC 5077 for resumption; RFC
//! 7301 for ALPN.
//!
//! Without the feature `tls` there are the same names, and no value of any of
//! these types.

#[cfg(feature = "tls")]
mod binding;
#[cfg(feature = "tls")]
mod certificates;
#[cfg(feature = "tls")]
mod der;
#[cfg(feature = "tls")]
mod names;
#[cfg(feature = "tls")]
mod registry;
#[cfg(feature = "tls")]
mod renamed;
#[cfg(feature = "tls")]
mod self_signed;
#[cfg(feature = "tls")]
mod server;
#[cfg(feature = "tls")]
mod sessions;
#[cfg(feature = "tls")]
mod stream;
#[cfg(feature = "tls")]
mod tickets;
#[cfg(not(feature = "tls"))]
mod without;

#[cfg(feature = "tls")]
use std::io;

#[cfg(not(feature = "tls"))]
pub(crate) use without::{Binding, Server, TlsConnection};
#[cfg(feature = "tls")]
pub(crate) use {binding::Binding, names::names_in, server::Server, stream::TlsConnection};

/// The result of a look at a connection.
#[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "what TLS alone needs"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pulled {
    /// Something, perhaps with something to read in it.
    Bytes,
    /// There is nothing yet.
    Nothing,
    /// The end of the TCP stream.
    End,
}

/// What the handshake of a data connection proves about its client.
#[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "what TLS alone needs"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nothing.
    None,
    /// It has the session of another control connection from the same address. What that proves
    /// turns out when somebody logs in over that one.
    Pending,
    /// It is the client of the control connection: nobody else has the session.
    Given,
}

/// The connection ended without the close_notify that says that this was meant:
/// somebody else may have cut it off (RFC 8446 section 6.1).
#[cfg(feature = "tls")]
pub(crate) fn truncated() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "ended without TLS close_notify")
}
