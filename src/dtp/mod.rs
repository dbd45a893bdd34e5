//! The server-DTP: data connections, and what moves over them.
//!
//! `open` makes a data connection of a data port, and `ports` lends the passive ones;
//! `transfer` moves a file or a listing over it. The session learns of all this by `error`'s
//! values, and dtp of the session by asking a `Watch`. RFC 959 sections 2.3 and 3.

mod connection;
mod error;
mod flow;
mod open;
mod ports;
mod restart;
mod transfer;
mod watch;

pub(crate) use connection::{DataConnection, TurnedAway};
pub(crate) use error::{OpenError, TransferError, TransferFailure, TransferLimits};
pub(crate) use open::{ControlPair, DataPort};
pub(crate) use ports::{PortAllocator, PortLease};
pub(crate) use restart::{ascii_file_size, file_offset, offset_is_read};
pub(crate) use transfer::{Allowance, Outgoing, Range, Source, Target, receive, send};
pub(crate) use watch::{Progress, Verdict, Watch};

#[cfg(test)]
mod tests;
