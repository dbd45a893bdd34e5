//! Transfers: file to data connection and back, through a codec.
//!
//! An image transfer stays in the kernel where it can: sendfile out, splice in.
//! Everything else, and every file that the kernel cannot treat so, goes through
//! a buffer that lives as long as the transfer. RFC 959 section 3.4.1.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::time::Duration;

use super::DataConnection;
use super::flow::{Flow, TLS_PIECE, Watch};
use super::tally::Quota;
use crate::proto::codec::{Inbound, Outbound};
use crate::sys::files;
use crate::sys::sockets::{self, PollFlags, SplicePipe};

/// Bytes a sendfile: no socket takes much more at once, and other clients' turn comes.
const SEND_PIECE: usize = 1 << 20;
/// A read of a file that is converted, and of a stream: they stay in the
/// processor's cache on their way.
const CONVERT_PIECE: usize = 128 << 10;
/// What an upload brings before a pipe or a large buffer is worth its making.
const SMALL: usize = 64 << 10;
/// The pipe of an upload. One of 1 MiB is hardly faster, and all sessions share
/// 64 MiB of pipes (pipe-user-pages-soft).
const PIPE: usize = 512 << 10;
/// The buffer of an upload that cannot go through a pipe.
const RECEIVE_PIECE: usize = 512 << 10;
/// How often free space is looked at.
const SPACE_CHECK: u64 = 16 << 20;
/// What a listing collects before it is sent.
const LISTING_PIECE: usize = 64 << 10;

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

/// Why a transfer ended before its time.
#[derive(Debug)]
pub(crate) enum TransferError {
    /// The client said ABOR.
    Aborted,
    ControlLost(io::Error),
    /// The client closed or reset the data connection, or the network did.
    DataLost(io::Error),
    /// Nothing moved for `TransferLimits::timeout`.
    TimedOut,
    FileRead(io::Error),
    FileWrite(io::Error),
    /// Larger than the limits or the file system allow.
    TooLarge,
    /// The file system is full, or as full as it may become.
    NoSpace,
    /// The account has used up its share.
    OverQuota,
}

/// A transfer that ended before its time.
#[derive(Debug)]
pub(crate) struct TransferFailure {
    /// Bytes of the file that were transferred all the same.
    pub moved: u64,
    pub error: TransferError,
}

/// RETR: sends `source` to its end; returns how many bytes of the file that were.
/// The data connection stays open: `finish` or `abandon` it.
pub(crate) fn send(
    connection: &mut DataConnection,
    source: &Source<'_>,
    codec: Outbound,
    limits: &TransferLimits,
    watch: &mut dyn Watch,
) -> Result<u64, TransferFailure> {
    let total = source.size.saturating_sub(source.offset);
    let mut flow = Flow::new(connection, limits, Some(total), watch);
    let outcome = match codec {
        Outbound::Identity if flow.is_plain() => send_file(&mut flow, source),
        _ => send_buffered(&mut flow, source, source.offset, codec),
    };
    let outcome = outcome.and_then(|()| flow.end());
    outcome.map(|()| flow.done()).map_err(|error| TransferFailure { moved: flow.done(), error })
}

/// STOR, STOU, APPE: stores what comes, to the end of the stream, in `target`;
/// returns how many bytes of the file that were. The caller has truncated the
/// file, if it should be.
pub(crate) fn receive(
    connection: &mut DataConnection,
    target: &Target<'_>,
    codec: Inbound,
    limits: &TransferLimits,
    watch: &mut dyn Watch,
) -> Result<u64, TransferFailure> {
    let mut flow = Flow::new(connection, limits, None, watch);
    let mut store = Store::new(target, limits);
    let outcome = store.seek_to(target.offset).and_then(|()| match codec {
        Inbound::Identity => receive_image(&mut flow, &mut store),
        codec => receive_buffered(&mut flow, &mut store, codec, CONVERT_PIECE, u64::MAX).map(drop),
    });
    let moved = flow.done();
    if outcome.is_ok() {
        flow.answer_end();
    }
    connection.at_end = outcome.is_ok();
    outcome.map(|()| moved).map_err(|error| TransferFailure { moved, error })
}

// Sending

fn send_file(flow: &mut Flow<'_>, source: &Source<'_>) -> Result<(), TransferError> {
    let mut at = source.offset;
    if source.size.saturating_sub(at) > SMALL as u64 && flow.piece(SEND_PIECE) == SEND_PIECE {
        // Five times as fast on loopback: each page is not sent as it comes. To close pushes the rest;
        // where it cannot be set, nothing is lost but that.
        let _ = sockets::cork(flow.data());
    }
    loop {
        let piece = flow.piece(SEND_PIECE);
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
                if sent < piece && at != source.size {
                    flow.wait_for(PollFlags::OUT)?;
                }
            }
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => flow.wait_for(PollFlags::OUT)?,
            Err(err) if sockets::is_unsupported(&err) => {
                return send_buffered(flow, source, at, Outbound::Identity);
            }
            Err(err) if sockets::is_connection_error(&err) => return Err(TransferError::DataLost(err)),
            Err(err) => return Err(TransferError::FileRead(err)),
        }
    }
}

/// Sends from `at` on through a buffer.
fn send_buffered(
    flow: &mut Flow<'_>,
    source: &Source<'_>,
    mut at: u64,
    mut codec: Outbound,
) -> Result<(), TransferError> {
    let piece = flow.piece(if flow.is_plain() { CONVERT_PIECE } else { TLS_PIECE });
    let (mut chunk, mut out) = (Vec::with_capacity(piece), Vec::new());
    loop {
        chunk.clear();
        let read = sockets::read_more_at(source.file, at, &mut chunk).map_err(TransferError::FileRead)?;
        at += read as u64;
        let ended = read == 0 || (read < piece && is_whole(source, at, read));
        if codec == Outbound::Identity {
            flow.write_all(&chunk)?;
        } else {
            out.clear();
            codec.encode(&chunk, &mut out);
            if ended {
                codec.finish(&mut out);
            }
            flow.write_all(&out)?;
        }
        flow.count(read as u64);
        if ended {
            return Ok(());
        }
    }
}

/// Whether the first call, which could have read more, brought all that there
/// is up to `at`: small files are spared the call that finds their end.
fn is_whole(source: &Source<'_>, at: u64, read: usize) -> bool {
    at == source.size && at - source.offset == read as u64
}

// Receiving

fn receive_image(flow: &mut Flow<'_>, store: &mut Store<'_>) -> Result<(), TransferError> {
    if !flow.is_plain() {
        return receive_buffered(flow, store, Inbound::Identity, CONVERT_PIECE, u64::MAX).map(drop);
    }
    let ended = receive_buffered(flow, store, Inbound::Identity, SMALL, SMALL as u64)?
        || receive_spliced(flow, store)?
        || receive_buffered(flow, store, Inbound::Identity, RECEIVE_PIECE, u64::MAX)?;
    debug_assert!(ended);
    Ok(())
}

/// Receives until the stream ends (`true`) or `enough` bytes were stored.
fn receive_buffered(
    flow: &mut Flow<'_>,
    store: &mut Store<'_>,
    mut codec: Inbound,
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
                codec.finish(&mut out);
                store.write_all(&out, flow)?;
                return Ok(true);
            }
            Ok(read) => {
                if codec == Inbound::Identity {
                    store.write_all(&chunk, flow)?;
                } else {
                    out.clear();
                    codec.decode(&chunk, &mut out);
                    store.write_all(&out, flow)?;
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
    quota: Option<Quota<'a>>,
    /// Where the next byte goes, and the size of the file as far as the quota has counted it.
    at: u64,
    counted: u64,
}

impl<'a> Store<'a> {
    fn new(target: &Target<'a>, limits: &TransferLimits) -> Store<'a> {
        Store {
            file: target.file,
            room: limits.max_size.map(|size| size.saturating_sub(target.offset)),
            min_free: limits.min_free,
            unchecked: 0,
            quota: target.quota,
            at: target.offset,
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
        if let Some(quota) = self.quota.filter(|_| self.at > self.counted) {
            if !quota.take(self.at - self.counted) {
                return Err(TransferError::OverQuota);
            }
            self.counted = self.at;
        }
        Ok(())
    }

    fn write_all(&mut self, mut bytes: &[u8], flow: &mut Flow<'_>) -> Result<(), TransferError> {
        self.claim(bytes.len() as u64)?;
        while !bytes.is_empty() {
            let written = sockets::write(self.file, bytes).and_then(nonzero).map_err(write_error)?;
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
                Err(err) => return Err(write_error(err)),
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

fn write_error(err: io::Error) -> TransferError {
    match err.kind() {
        io::ErrorKind::StorageFull => TransferError::NoSpace,
        io::ErrorKind::QuotaExceeded => TransferError::OverQuota,
        io::ErrorKind::FileTooLarge => TransferError::TooLarge,
        _ => TransferError::FileWrite(err),
    }
}

// Listings

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

#[cfg(test)]
mod tests;
