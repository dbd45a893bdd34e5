//! STOR, STOU, APPE: the data connection to a file.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsFd;

use super::{Allowance, CONVERT_PIECE, SMALL, Target};
use crate::dtp::connection::DataConnection;
use crate::dtp::error::{TransferError, TransferFailure, TransferLimits};
use crate::dtp::flow::Flow;
use crate::dtp::watch::Watch;
use crate::proto::codec::{Inbound, Step};
use crate::proto::params::TransferParameters;
use crate::sys::files;
use crate::sys::sockets::{self, PollFlags, SplicePipe};

/// The pipe of an upload. One of 1 MiB is hardly faster, and all sessions share
/// 64 MiB of pipes (pipe-user-pages-soft).
const PIPE: usize = 512 << 10;
/// The buffer of an upload that cannot go through a pipe.
const RECEIVE_PIECE: usize = 512 << 10;
/// How often free space is looked at.
const SPACE_CHECK: u64 = 16 << 20;

/// STOR, STOU, APPE: stores what comes, to the end of the file, in `target`;
/// returns how many bytes of the file that were. The caller has truncated the
/// file, if it should be.
pub(crate) fn receive(
    connection: &mut DataConnection,
    target: &Target<'_>,
    parameters: &TransferParameters,
    limits: &TransferLimits,
    watch: &mut dyn Watch,
) -> Result<u64, TransferFailure> {
    let mut flow = Flow::new(connection, limits, None, watch);
    let mut store = Store::new(target, limits);
    let mut stages = Inbound::new(parameters);
    let outcome =
        store.seek_to(target.range.start).and_then(|()| match stages.is_identity() && flow.is_plain() {
            true => receive_image(&mut flow, &mut store, &mut stages),
            false => receive_buffered(&mut flow, &mut store, &mut stages, CONVERT_PIECE, u64::MAX).map(drop),
        });
    let moved = flow.done();
    if outcome.is_ok() && parameters.mode.ends_with_connection() {
        flow.answer_end();
        connection.at_end = true;
    }
    outcome.map(|()| moved).map_err(|error| TransferFailure { moved, error })
}

/// Receives what goes through no stage.
fn receive_image(
    flow: &mut Flow<'_>,
    store: &mut Store<'_>,
    stages: &mut Inbound,
) -> Result<(), TransferError> {
    let ended = receive_buffered(flow, store, stages, SMALL, SMALL as u64)?
        || receive_spliced(flow, store)?
        || receive_buffered(flow, store, stages, RECEIVE_PIECE, u64::MAX)?;
    debug_assert!(ended);
    Ok(())
}

/// Receives until the file ends (`true`) or `enough` bytes were stored.
fn receive_buffered(
    flow: &mut Flow<'_>,
    store: &mut Store<'_>,
    stages: &mut Inbound,
    size: usize,
    enough: u64,
) -> Result<bool, TransferError> {
    let piece = flow.piece(size);
    let (mut chunk, mut out) = (Vec::with_capacity(piece), Vec::new());
    while flow.done() < enough {
        chunk.clear();
        match flow.read(&mut chunk) {
            Ok(0) => {
                out.clear();
                let end = stages.finish(&mut out);
                store.write_all(&out, flow)?;
                return end.map(|()| true).map_err(TransferError::NoFile);
            }
            Ok(read) => {
                if stages.is_identity() {
                    store.write_all(&chunk, flow)?;
                } else {
                    out.clear();
                    let step = stages.decode(&chunk, &mut out);
                    // What came before an error in the stream is the file's.
                    store.write_all(&out, flow)?;
                    if let Step::EndOfFile { taken } = step.map_err(TransferError::NoFile)? {
                        flow.put_back(&chunk[taken..]);
                        return Ok(true);
                    }
                }
                flow.moved(read)?;
            }
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => flow.wait_for(PollFlags::IN)?,
            Err(err) => return Err(TransferError::DataLost(err)),
        }
    }
    Ok(false)
}

/// Receives through a pipe until the stream ends (`true`); `false` when that
/// cannot be done, or not any further, with this file or on this system.
fn receive_spliced(flow: &mut Flow<'_>, store: &mut Store<'_>) -> Result<bool, TransferError> {
    // A slow transfer in small pieces has no use for it.
    if flow.piece(PIPE) < PIPE {
        return Ok(false);
    }
    let Ok(pipe) = SplicePipe::new(PIPE) else { return Ok(false) };
    loop {
        match pipe.fill(flow.data()) {
            Ok(0) => return Ok(true),
            Ok(filled) => {
                let stays = store.take_from(&pipe, filled, flow)?;
                flow.moved(filled)?;
                if !stays {
                    return Ok(false);
                }
            }
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => flow.wait_for(PollFlags::IN)?,
            Err(err) if sockets::is_unsupported(&err) => return Ok(false),
            Err(err) => return Err(TransferError::DataLost(err)),
        }
    }
}

/// The file of an upload, and the room it has.
struct Store<'a> {
    file: &'a File,
    /// Bytes it may still grow by.
    room: Option<u64>,
    min_free: Option<u8>,
    /// Bytes that were found free, until it is looked again.
    unchecked: u64,
    allowance: Option<&'a dyn Allowance>,
    /// Where the next byte goes, and the size of the file as far as the allowance has counted it.
    at: u64,
    counted: u64,
}

impl<'a> Store<'a> {
    fn new(target: &Target<'a>, limits: &TransferLimits) -> Store<'a> {
        let most = [limits.max_size, target.range.end].into_iter().flatten().min();
        Store {
            file: target.file,
            room: most.map(|most| most.saturating_sub(target.range.start)),
            min_free: limits.min_free,
            unchecked: 0,
            allowance: target.allowance,
            at: target.range.start,
            counted: target.file.metadata().map_or(0, |metadata| metadata.len()),
        }
    }

    fn seek_to(&mut self, offset: u64) -> Result<(), TransferError> {
        if offset > 0 {
            self.file.seek(SeekFrom::Start(offset)).map_err(TransferError::FileWrite)?;
        }
        Ok(())
    }

    /// Asks for the room that `count` more bytes take.
    fn claim(&mut self, count: u64) -> Result<(), TransferError> {
        if let Some(room) = &mut self.room {
            *room = room.checked_sub(count).ok_or(TransferError::TooLarge)?;
        }
        if let Some(per_cent) = self.min_free {
            if self.unchecked < count {
                let room = files::space(self.file.as_fd()).map_err(TransferError::FileWrite)?.above(per_cent);
                self.unchecked = room.min(SPACE_CHECK.max(count));
            }
            self.unchecked = self.unchecked.checked_sub(count).ok_or(TransferError::NoSpace)?;
        }
        self.at = self.at.saturating_add(count);
        if let Some(allowance) = self.allowance.filter(|_| self.at > self.counted) {
            if !allowance.take(self.at - self.counted) {
                return Err(TransferError::OverQuota);
            }
            self.counted = self.at;
        }
        Ok(())
    }

    fn write_all(&mut self, mut bytes: &[u8], flow: &mut Flow<'_>) -> Result<(), TransferError> {
        self.claim(bytes.len() as u64)?;
        while !bytes.is_empty() {
            let written =
                sockets::write(self.file, bytes).and_then(nonzero).map_err(TransferError::of_write)?;
            flow.count(written as u64);
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Moves the `count` bytes in `pipe` to the file. `false` when the kernel
    /// refused to and they went through a buffer: so it is with files opened to
    /// append, and some file systems.
    fn take_from(
        &mut self,
        pipe: &SplicePipe,
        count: usize,
        flow: &mut Flow<'_>,
    ) -> Result<bool, TransferError> {
        self.claim(count as u64)?;
        let mut left = count;
        while left > 0 {
            match pipe.empty(self.file, left).and_then(nonzero) {
                Ok(moved) => {
                    flow.count(moved as u64);
                    left -= moved;
                }
                Err(err) if sockets::is_unsupported(&err) => {
                    self.unclaim(left as u64);
                    self.read_from(pipe, left, flow)?;
                    return Ok(false);
                }
                Err(err) => return Err(TransferError::of_write(err)),
            }
        }
        Ok(true)
    }

    fn read_from(
        &mut self,
        pipe: &SplicePipe,
        mut left: usize,
        flow: &mut Flow<'_>,
    ) -> Result<(), TransferError> {
        let mut chunk = Vec::with_capacity(SMALL);
        while left > 0 {
            chunk.clear();
            let read = pipe.read(&mut chunk).and_then(nonzero).map_err(TransferError::FileWrite)?;
            self.write_all(&chunk, flow)?;
            left = left.saturating_sub(read);
        }
        Ok(())
    }

    fn unclaim(&mut self, count: u64) {
        if let Some(room) = &mut self.room {
            *room += count;
        }
        self.at -= count;
    }
}

/// A file that takes nothing and gives no reason would be tried for ever.
fn nonzero(count: usize) -> io::Result<usize> {
    if count == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(count) }
}
