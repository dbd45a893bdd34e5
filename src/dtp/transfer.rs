//! Transfers: file to data connection and back, through the stages of the transfer parameters.
//!
//! An image transfer stays in the kernel where it can: sendfile out, splice in.
//! Everything else, and every file that the kernel cannot treat so, goes through
//! a buffer that lives as long as the transfer. RFC 959 section 3.4.1.

mod listing;
mod receive;
mod send;

use std::fmt::Debug;
use std::fs::File;

pub(crate) use listing::Outgoing;
pub(crate) use receive::receive;
pub(crate) use send::send;

/// A read of a file that is converted, and of a stream: they stay in the
/// processor's cache on their way.
const CONVERT_PIECE: usize = 128 << 10;
/// What an upload brings before a pipe or a large buffer is worth its making.
const SMALL: usize = 64 << 10;

/// Bytes of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub start: u64,
    /// The byte after the last one; `None`: the range goes to where the file ends.
    pub end: Option<u64>,
}

impl Range {
    /// From `start` to the end of the file.
    pub(crate) fn from(start: u64) -> Range {
        Range { start, end: None }
    }
}

/// A file to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub file: &'a File,
    pub range: Range,
    /// The size of the file when it was opened. A file that grows meanwhile is sent to its
    /// new end; one that became shorter is not sent completely.
    pub size: u64,
}

impl Source<'_> {
    /// Where the range ends, as the file was when it was opened.
    fn end(&self) -> u64 {
        self.range.end.map_or(self.size, |end| end.min(self.size))
    }

    /// How many bytes there are to send, as the file was when it was opened.
    fn len(&self) -> u64 {
        self.end().saturating_sub(self.range.start)
    }

    /// How many bytes may be sent from `at` on, of `most`.
    fn next(&self, at: u64, most: usize) -> usize {
        let left = self.range.end.map_or(u64::MAX, |end| end.saturating_sub(at));
        usize::try_from(left).map_or(most, |left| left.min(most))
    }
}

/// What files may grow by, such as the rest of a quota.
pub(crate) trait Allowance: Debug {
    /// Counts more bytes; `false`, and nothing counted, if there is no room for them.
    fn take(&self, bytes: u64) -> bool;
}

/// A file to store to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub file: &'a File,
    /// For APPE it starts at the size of the file. More than it holds is refused.
    pub range: Range,
    /// What it may grow by; `None`: as the file system allows.
    pub allowance: Option<&'a dyn Allowance>,
}

#[cfg(test)]
mod tests;
