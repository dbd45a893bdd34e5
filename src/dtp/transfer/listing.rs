//! LIST, NLST, MLSD: what is made on the way to the data connection.

use crate::dtp::connection::DataConnection;
use crate::dtp::error::{TransferError, TransferFailure, TransferLimits};
use crate::dtp::flow::Flow;
use crate::dtp::watch::Watch;
use crate::proto::codec::Outbound;
use crate::proto::params::{TransferMode, TransferParameters};

/// Sends the pieces of a listing as they are made. They should be large ones: each is sent at once.
pub(crate) struct Outgoing<'a> {
    flow: Flow<'a>,
    stages: Outbound,
    mode: TransferMode,
    /// What the stages made of a piece.
    made: Vec<u8>,
}

impl<'a> Outgoing<'a> {
    pub(crate) fn new(
        connection: &'a mut DataConnection,
        parameters: &TransferParameters,
        limits: &TransferLimits,
        watch: &'a mut dyn Watch,
    ) -> Outgoing<'a> {
        let flow = Flow::new(connection, limits, None, watch);
        if !parameters.mode.ends_with_connection() {
            flow.write_through();
        }
        Outgoing { flow, stages: Outbound::listing(parameters), mode: parameters.mode, made: Vec::new() }
    }

    /// Sends the next piece. After an error nothing more can be sent.
    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<(), TransferError> {
        if self.stages.is_identity() {
            self.flow.write_all(piece)?;
        } else {
            self.made.clear();
            self.stages.encode(piece, &mut self.made);
            self.flow.write_all(&self.made)?;
        }
        self.flow.count(piece.len() as u64);
        Ok(())
    }

    /// Sends the end; returns how many bytes the listing had. The data connection
    /// stays open: see `DataPort::after`, or `abandon` it.
    pub(crate) fn finish(mut self) -> Result<u64, TransferFailure> {
        self.made.clear();
        self.stages.finish(&mut self.made);
        let ended = self.flow.write_all(&self.made).and_then(|()| match self.mode.ends_with_connection() {
            true => self.flow.end(),
            false => Ok(()),
        });
        match ended {
            Ok(()) => Ok(self.moved()),
            Err(error) => Err(TransferFailure { moved: self.moved(), error }),
        }
    }

    /// Bytes of the listing so far.
    pub(crate) fn moved(&self) -> u64 {
        self.flow.done()
    }
}
