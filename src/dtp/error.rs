//! Why there is no data connection, and why a transfer ended before its time.
//!
//! Which reply code that deserves is the session's business.

use std::io;
use std::time::Duration;

use super::watch::Interruption;
use crate::proto::codec::CodecError;

/// What a transfer must keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransferLimits {
    /// The longest that nothing may move.
    pub timeout: Duration,
    /// Bytes a second.
    pub rate: Option<u64>,
    /// Bytes that an upload may bring the file to.
    pub max_size: Option<u64>,
    /// Per cent of the file system that an upload leaves free.
    pub min_free: Option<u8>,
}

/// Why there is no data connection.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// No PORT or PASV came first.
    NotSet,
    /// Nobody connected or answered within `DataPolicy::connect_timeout`.
    TimedOut,
    /// Others than the client connected, and were refused.
    OnlyStrangers,
    /// The client said ABOR.
    Aborted,
    ControlLost(io::Error),
    /// Refused, unreachable, or no descriptors.
    Failed(io::Error),
    /// No TLS came about.
    Handshake(io::Error),
    /// TLS, but of a session that is not this control connection's: anybody's.
    NotResumed,
}

impl OpenError {
    /// There was a connection, and the client is still there, to be told.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, OpenError::Handshake(_) | OpenError::NotResumed)
    }
}

/// Why a transfer ended before its time.
#[derive(Debug)]
pub(crate) enum TransferError {
    /// The client said ABOR.
    Aborted,
    ControlLost(io::Error),
    /// The client closed or reset the data connection, or the network did.
    DataLost(io::Error),
    /// What came is no file in the transfer mode, or not all of one.
    NoFile(CodecError),
    /// The file had fewer bytes to send than when it was opened.
    CutShort,
    /// Nothing moved for `TransferLimits::timeout`.
    TimedOut,
    FileRead(io::Error),
    FileWrite(io::Error),
    /// Larger than the limits, the range or the file system allow.
    TooLarge,
    /// The file system is full. What arrived may be taken up again once it is not.
    DiskFull,
    /// The file system is as full as it may become.
    NoSpace,
    /// The account has used up its share.
    OverQuota,
}

impl TransferError {
    /// What an error means that writing to the file brought, or handing it over to its file system.
    pub(crate) fn of_write(err: io::Error) -> TransferError {
        match err.kind() {
            io::ErrorKind::StorageFull => TransferError::DiskFull,
            io::ErrorKind::QuotaExceeded => TransferError::OverQuota,
            io::ErrorKind::FileTooLarge => TransferError::TooLarge,
            _ => TransferError::FileWrite(err),
        }
    }

    /// It is about the file: the client is still there, to be told.
    pub(crate) fn is_refusal(&self) -> bool {
        self.is_over_limit() || matches!(self, TransferError::FileWrite(_) | TransferError::DiskFull)
    }

    /// A limit or a quota has stopped the upload, so that nothing of it is to stay.
    pub(crate) fn is_over_limit(&self) -> bool {
        matches!(self, TransferError::NoSpace | TransferError::OverQuota | TransferError::TooLarge)
    }
}

/// A transfer that ended before its time.
#[derive(Debug)]
pub(crate) struct TransferFailure {
    /// Bytes of the file that were transferred all the same.
    pub moved: u64,
    pub error: TransferError,
}

impl From<Interruption> for OpenError {
    fn from(interruption: Interruption) -> OpenError {
        match interruption {
            Interruption::Aborted => OpenError::Aborted,
            Interruption::ControlLost(err) => OpenError::ControlLost(err),
            Interruption::PollFailed(err) => OpenError::Failed(err),
        }
    }
}

impl From<Interruption> for TransferError {
    fn from(interruption: Interruption) -> TransferError {
        match interruption {
            Interruption::Aborted => TransferError::Aborted,
            Interruption::ControlLost(err) => TransferError::ControlLost(err),
            Interruption::PollFailed(err) => TransferError::DataLost(err),
        }
    }
}
