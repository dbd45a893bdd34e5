//! RETR: a file to the data connection.

use std::io;

use super::{CONVERT_PIECE, SMALL, Source};
use crate::dtp::connection::DataConnection;
use crate::dtp::error::{TransferError, TransferFailure, TransferLimits};
use crate::dtp::flow::{Flow, TLS_PIECE};
use crate::dtp::watch::Watch;
use crate::proto::codec::Outbound;
use crate::proto::params::TransferParameters;
use crate::sys::sockets::{self, PollFlags};

/// Bytes a sendfile: no socket takes much more at once, and other clients' turn comes.
pub(super) const SEND_PIECE: usize = 1 << 20;

/// RETR: sends `source`; returns how many bytes of the file that were.
/// The data connection stays open: see `DataPort::after`, or `abandon` it.
pub(crate) fn send(
    connection: &mut DataConnection,
    source: &Source<'_>,
    parameters: &TransferParameters,
    limits: &TransferLimits,
    watch: &mut dyn Watch,
) -> Result<u64, TransferFailure> {
    let total = source.len();
    let mut flow = Flow::new(connection, limits, Some(total), watch);
    let mut stages = Outbound::new(parameters);
    if !parameters.mode.ends_with_connection() {
        flow.write_through();
    }
    let outcome = match stages.is_identity() && flow.is_plain() {
        true => send_file(&mut flow, source, &mut stages),
        false => send_buffered(&mut flow, source, source.range.start, &mut stages),
    };
    let outcome = outcome.and_then(|()| match flow.done() < total {
        true => Err(TransferError::CutShort),
        false if parameters.mode.ends_with_connection() => flow.end(),
        false => Ok(()),
    });
    outcome.map(|()| flow.done()).map_err(|error| TransferFailure { moved: flow.done(), error })
}

/// Sends what goes through no stage.
fn send_file(flow: &mut Flow<'_>, source: &Source<'_>, stages: &mut Outbound) -> Result<(), TransferError> {
    let mut at = source.range.start;
    if source.len() > SMALL as u64 && flow.piece(SEND_PIECE) == SEND_PIECE {
        // Five times as fast on loopback: each page is not sent as it comes. To close pushes the rest;
        // where it cannot be set, nothing is lost but that.
        let _ = sockets::cork(flow.data());
    }
    loop {
        let piece = source.next(at, flow.piece(SEND_PIECE));
        if piece == 0 {
            return Ok(());
        }
        match sockets::send_file(flow.data(), source.file, &mut at, piece) {
            Ok(0) => return Ok(()),
            Ok(sent) => {
                flow.count(sent as u64);
                flow.moved(sent)?;
                if sent < piece && is_whole(source, at, sent) {
                    return Ok(());
                }
                // The socket is full; or the file is not what it was, and the
                // next call tells.
                if sent < piece && at != source.end() {
                    flow.wait_for(PollFlags::OUT)?;
                }
            }
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => flow.wait_for(PollFlags::OUT)?,
            Err(err) if sockets::is_unsupported(&err) => {
                return send_buffered(flow, source, at, stages);
            }
            Err(err) if sockets::is_connection_error(&err) => return Err(TransferError::DataLost(err)),
            Err(err) => return Err(TransferError::FileRead(err)),
        }
    }
}

/// Sends from `at` on through a buffer.
pub(super) fn send_buffered(
    flow: &mut Flow<'_>,
    source: &Source<'_>,
    mut at: u64,
    stages: &mut Outbound,
) -> Result<(), TransferError> {
    let piece = flow.piece(if flow.is_plain() { CONVERT_PIECE } else { TLS_PIECE });
    let (mut chunk, mut out) = (Vec::with_capacity(piece), Vec::new());
    loop {
        chunk.clear();
        sockets::read_more_at(source.file, at, &mut chunk).map_err(TransferError::FileRead)?;
        chunk.truncate(source.next(at, chunk.len()));
        let read = chunk.len();
        at += read as u64;
        let ended = read == 0 || (read < piece && is_whole(source, at, read));
        if stages.is_identity() {
            flow.write_all(&chunk)?;
        } else {
            out.clear();
            stages.encode(&chunk, &mut out);
            if ended {
                stages.finish(&mut out);
            }
            flow.write_all(&out)?;
        }
        flow.count(read as u64);
        if ended {
            return Ok(());
        }
    }
}

/// Whether the first call, which could have brought more, brought all that there
/// is to send up to `at`: small files are spared the call that finds their end.
fn is_whole(source: &Source<'_>, at: u64, read: usize) -> bool {
    at == source.end() && read as u64 == source.len()
}
