//! LIST, NLST, MLSD: what is made on the way to the data connection.

use crate::dtp::connection::DataConnection;
use crate::dtp::error::{TransferError, TransferFailure, TransferLimits};
use crate::dtp::flow::Flow;
use crate::dtp::watch::Watch;

/// What a listing collects before it is sent.
pub(super) const LISTING_PIECE: usize = 64 << 10;

/// Sends what is made on the way: LIST, NLST, MLSD.
pub(crate) struct Outgoing<'a> {
    flow: Flow<'a>,
    /// What is not sent yet.
    buffer: Vec<u8>,
}

impl<'a> Outgoing<'a> {
    pub(crate) fn new(
        connection: &'a mut DataConnection,
        limits: &TransferLimits,
        watch: &'a mut dyn Watch,
    ) -> Outgoing<'a> {
        Outgoing { flow: Flow::new(connection, limits, None, watch), buffer: Vec::new() }
    }

    /// Takes bytes to send. After an error nothing more can be sent.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), TransferError> {
        if self.buffer.len() + bytes.len() >= LISTING_PIECE {
            self.flush()?;
        }
        if bytes.len() >= LISTING_PIECE / 2 {
            return self.put(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Sends what is left; returns how many bytes there were in all. The data
    /// connection stays open: `finish` or `abandon` it.
    pub(crate) fn finish(mut self) -> Result<u64, TransferFailure> {
        match self.flush().and_then(|()| self.flow.end()) {
            Ok(()) => Ok(self.moved()),
            Err(error) => Err(TransferFailure { moved: self.moved(), error }),
        }
    }

    /// Bytes sent so far.
    pub(crate) fn moved(&self) -> u64 {
        self.flow.done()
    }

    fn flush(&mut self) -> Result<(), TransferError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.put(&buffer)?;
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), TransferError> {
        self.flow.write_all(bytes)?;
        self.flow.count(bytes.len() as u64);
        Ok(())
    }
}
