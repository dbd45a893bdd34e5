//! Transfers: file to data connection and back, through the stages of the transfer parameters.
//!
//! An image transfer stays in the kernel where it can: sendfile out, splice in.
//! Everything else, and every file that the kernel cannot treat so, goes through
//! a buffer that lives as long as the transfer. RFC 959 section 3.4.1.

mod listing;
mod receive;
mod send;

use std::fs::File;

pub(crate) use listing::Outgoing;
pub(crate) use receive::receive;
pub(crate) use send::send;

use super::tally::Quota;

/// A read of a file that is converted, and of a stream: they stay in the
/// processor's cache on their way.
const CONVERT_PIECE: usize = 128 << 10;
/// What an upload brings before a pipe or a large buffer is worth its making.
const SMALL: usize = 64 << 10;

/// A file to send, from a byte of it on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub file: &'a File,
    pub offset: u64,
    /// The size of the file when it was opened. It is sent to its end, wherever
    /// that is by then.
    pub size: u64,
}

/// A file to store to, from a byte of it on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub file: &'a File,
    /// For APPE the size of the file.
    pub offset: u64,
    /// What the file may grow by.
    pub quota: Option<Quota<'a>>,
}

#[cfg(test)]
mod tests;
