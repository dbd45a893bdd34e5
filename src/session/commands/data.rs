//! One data transfer, whatever moves: the preliminary reply, the bytes, the final reply; and
//! REST, ALLO and ABOR. RFC 959 sections 4.1.3 and 5.4, RFC 3659 section 5.

use std::fs::File;
use std::io;
use std::mem;
use std::time::{Duration, Instant};

use crate::config::DataPolicy;
use crate::dtp::{
    self, ControlPair, DataConnection, DataPort, OpenError, Progress, TransferError, TransferFailure,
    TransferLimits, Verdict, Watch,
};
use crate::events::{Change, ChangeKind, Direction, Paths, Transfer, What};
use crate::proto::codec::CodecError;
use crate::proto::params::{RepresentationType, Structure};
use crate::proto::path::VirtualPath;
use crate::proto::reply::{Reply, ReplyCode};
use crate::session::Session;
use crate::session::protection::DataProtection;
use crate::session::state::Login;
use crate::session::stop::{Stop, io_refusal, reason, refused};
use crate::session::watch::ControlWatch;

/// A transfer's end, good or bad.
pub(in crate::session) struct Outcome {
    /// Bytes of the file that were moved.
    pub moved: u64,
    pub elapsed: Duration,
    pub result: Result<(), Failure>,
}

impl Outcome {
    /// The end of one that did not begin.
    pub(super) fn before(failure: Failure) -> Outcome {
        Outcome { moved: 0, elapsed: Duration::ZERO, result: Err(failure) }
    }
}

/// Why a transfer ended before its time.
#[derive(Debug)]
pub(in crate::session) enum Failure {
    /// There was no data connection.
    NotOpened(OpenError),
    Broken(TransferError),
    /// The file was refused.
    Refused(Stop),
}

impl From<Stop> for Failure {
    fn from(refusal: Stop) -> Failure {
        Failure::Refused(refusal)
    }
}

impl Session {
    /// Opens the data connection, says so with `opening`, lets `run` use it, and ends it in the way that fits.
    pub(in crate::session) fn transfer(
        &mut self,
        opening: &Reply,
        direction: Direction,
        run: impl FnOnce(&mut DataConnection, &mut dyn Watch) -> Result<u64, (u64, Failure)>,
    ) -> Outcome {
        let started = Instant::now();
        let end = |moved, result| Outcome { moved, elapsed: started.elapsed(), result };
        let is_open = self.has_data_connection();
        let port = match mem::take(&mut self.parameters.data_port) {
            DataPort::Kept(_) if !is_open => DataPort::Unset,
            port => port,
        };
        let port = match port {
            // RFC 959 section 3.2: where the control connection came from.
            DataPort::Unset if self.services.config.data.active && !self.parameters.epsv_all => {
                DataPort::Active(self.control.peer)
            }
            port => port,
        };
        let pair = ControlPair { local: self.control.local, peer: self.control.peer };
        let protection = DataProtection::of(self);
        let mut watch = ControlWatch::new(&mut self.control, &self.services.offered, direction);
        let opened = open_data_connection(port, &pair, &self.services.config.data, opening, &mut watch);
        let secured = opened.and_then(|mut connection| match &protection {
            Some(protection) if !connection.is_secure() => {
                match protection.secure(&mut connection, &mut watch) {
                    Ok(()) => Ok(connection),
                    Err(error) => {
                        if error.is_refusal() {
                            self.turned_away = Some(connection.turn_away());
                        }
                        Err(error)
                    }
                }
            }
            _ => Ok(connection),
        });
        let outcome = match secured {
            Err(error) => end(0, Err(Failure::NotOpened(error))),
            Ok(mut connection) => match run(&mut connection, &mut watch) {
                Ok(moved) => {
                    self.parameters.data_port = DataPort::after(connection, self.parameters.transfer.mode);
                    end(moved, Ok(()))
                }
                Err((moved, failure)) => {
                    match &failure {
                        Failure::Broken(error) if !error.is_refusal() => connection.abandon(error),
                        _ => self.turned_away = Some(connection.turn_away()),
                    }
                    end(moved, Err(failure))
                }
            },
        };
        if protection.is_some() {
            self.control.owe_ticket();
        }
        outcome
    }

    /// The final reply to a transfer; `unique` is the name that STOU found.
    pub(in crate::session) fn conclude(
        &mut self,
        outcome: Outcome,
        unique: Option<Vec<u8>>,
    ) -> Result<Reply, Stop> {
        let failure = match outcome.result {
            Ok(()) => {
                let text = match unique {
                    Some(name) => [b"Transfer complete (unique file name:", &name[..], b")."].concat(),
                    None => b"Transfer complete.".to_vec(),
                };
                let code = match self.parameters.data_port {
                    DataPort::Kept(_) => ReplyCode::FileActionOkay,
                    _ => ReplyCode::ClosingDataConnection,
                };
                return Ok(Reply::new(code, text));
            }
            Err(failure) => failure,
        };
        log::debug!("{}: transfer failed: {failure:?}", self.host());
        if let Failure::NotOpened(OpenError::Aborted) | Failure::Broken(TransferError::Aborted) = failure {
            let text = "Transfer aborted. Data connection closed.";
            self.send(&Reply::new(ReplyCode::TransferAborted, text))?;
            return Ok(Reply::new(ReplyCode::ClosingDataConnection, "Abort successful."));
        }
        Err(match failure {
            Failure::NotOpened(error) => open_refusal(error),
            Failure::Broken(error) => transfer_refusal(error),
            Failure::Refused(refusal) => refusal,
        })
    }

    pub(in crate::session) fn rest(&mut self, offset: u64) -> Result<Reply, Stop> {
        if offset > 0 && self.parameters.transfer.structure == Structure::Record {
            let text = "An offset counts the bytes of file structure; use STRU F.";
            return Err(refused(ReplyCode::ParameterNotImplemented, text));
        }
        self.leftover.restart_at = offset;
        let text = format!("Restarting at {offset}. Send STOR or RETR to initiate transfer.");
        Ok(Reply::new(ReplyCode::PendingInformation, text))
    }

    /// Whether so much can be stored: RFC 959 lets a server that need not reserve anything answer 202.
    pub(in crate::session) fn allo(&mut self, size: u64) -> Result<Reply, Stop> {
        if self.services.config.limits.max_file_size.is_some_and(|most| size > most) {
            return Err(refused(ReplyCode::ExceededStorage, "A file may not be so large here."));
        }
        let quota = self.tally(b".", size)?;
        if quota.is_some_and(|quota| size > quota.left()) {
            return Err(refused(ReplyCode::ExceededStorage, "That would exceed your quota."));
        }
        let login = self.logged_in()?;
        let space = login.vfs.free_space(&login.cwd).map_err(|error| io_refusal(b".", &error))?;
        let kept = self.services.config.limits.min_free_space.unwrap_or(0);
        if size > space.above(kept) {
            return Err(refused(ReplyCode::InsufficientStorage, "There is not so much space left."));
        }
        Ok(Reply::new(ReplyCode::CommandOkay, "There is room for that; nothing needs to be reserved."))
    }

    /// The byte of the file that REST's offset means. To find it may take a while, in which the
    /// client may say ABOR, and the operator that the session must go.
    pub(super) fn file_offset(
        &mut self,
        file: &File,
        size: u64,
        restart: u64,
        direction: Direction,
    ) -> Result<Option<u64>, TransferError> {
        let mut watch = ControlWatch::new(&mut self.control, &self.services.offered, direction);
        dtp::file_offset(file, size, restart, &self.parameters.transfer, &mut watch)
    }

    /// ABOR between transfers: the one it was meant for is over.
    pub(in crate::session) fn abor(&mut self) -> Result<Reply, Stop> {
        self.leftover.restart_at = 0;
        Ok(match mem::take(&mut self.parameters.data_port) {
            // RFC 959 section 4.1.3; aioftp's client takes nothing else.
            DataPort::Unset => Reply::new(ReplyCode::ClosingDataConnection, "No transfer is in progress."),
            _ => Reply::new(ReplyCode::NoTransfer, "ABOR command successful; no transfer was in progress."),
        })
    }

    /// 150 in the words that clients read the size from; 125 when there is a data connection already.
    pub(in crate::session) fn opening(&self, path: &[u8], size: Option<u64>) -> Reply {
        let mode = match self.parameters.transfer.representation {
            RepresentationType::Ascii(_) => "ASCII",
            RepresentationType::Ebcdic(_) => "EBCDIC",
            RepresentationType::Image => "BINARY",
        };
        let code = self.opening_code();
        let verb = if code == ReplyCode::FileStatusOkay { "Opening" } else { "Using the open" };
        let mut text = format!("{verb} {mode} mode data connection for '").into_bytes();
        text.extend_from_slice(path);
        text.push(b'\'');
        if let Some(size) = size {
            text.extend_from_slice(format!(" ({size} bytes)").as_bytes());
        }
        text.push(b'.');
        Reply::new(code, text)
    }

    pub(super) fn opening_code(&self) -> ReplyCode {
        match self.has_data_connection() {
            true => ReplyCode::DataConnectionOpen,
            false => ReplyCode::FileStatusOkay,
        }
    }

    /// Whether the last transfer left a data connection, fit for the next one.
    fn has_data_connection(&self) -> bool {
        self.parameters.data_port.is_open(self.protection.private)
    }

    fn send(&mut self, reply: &Reply) -> Result<(), Stop> {
        self.control.send(reply).map_err(Stop::Hangup)
    }

    pub(in crate::session) fn transfer_limits(&self, rate: Option<u64>) -> TransferLimits {
        let limits = &self.services.config.limits;
        TransferLimits {
            timeout: self.services.config.data.timeout,
            rate,
            max_size: limits.max_file_size,
            min_free: limits.min_free_space,
        }
    }

    /// Counts and tells of the transfer of `target`, however it ended; `word` as ftpd calls it.
    pub(super) fn tell_transfer(
        &mut self,
        outcome: &Outcome,
        direction: Direction,
        word: &'static str,
        target: &VirtualPath,
    ) {
        let (bytes, complete) = (outcome.moved, outcome.result.is_ok());
        match direction {
            Direction::Outgoing => {
                self.totals.sent += bytes;
                self.sent = Some(Instant::now());
            }
            Direction::Incoming => self.totals.received += bytes,
        }
        self.totals.files += u64::from(complete);
        let (elapsed, ascii) = (outcome.elapsed, self.parameters.transfer.representation.is_text());
        self.with_paths(target, |path| {
            let transfer = Transfer { word, direction, path, bytes, elapsed, ascii, complete };
            self.tell(What::Transferred(transfer));
        });
    }

    /// Tells of a change of `target`, made or refused; `bytes` that a deleted file had.
    pub(super) fn tell_change(
        &self,
        kind: ChangeKind,
        target: &VirtualPath,
        to: Option<&VirtualPath>,
        result: &Result<u64, io::Error>,
    ) {
        let failure = result.as_ref().err().map(reason);
        let (bytes, failure) = (*result.as_ref().unwrap_or(&0), failure.as_deref());
        let to = to.map(VirtualPath::as_bytes);
        self.with_paths(target, |path| {
            self.tell(What::Changed(Change { kind, path, to, bytes, failure }));
        });
    }

    /// Gives `tell` the paths of `target`, where somebody is logged in.
    fn with_paths(&self, target: &VirtualPath, tell: impl FnOnce(&Paths<'_>)) {
        let Login::LoggedIn(login) = &self.login else { return };
        let paths = Paths {
            shown: target.as_bytes(),
            real: &|| login.real_path(target),
            resolved: &|| login.vfs.resolved(target).as_ref().unwrap_or(target).as_bytes().to_vec(),
            cwd: login.cwd.as_bytes(),
            statfile: self.virtual_host.as_ref().and_then(|host| host.statfile.as_deref()),
        };
        tell(&paths);
    }
}

/// A client that listens is connected to before 150 is sent, so that 425 can stand in its place;
/// one that connects may wait for the 150 to do so.
fn open_data_connection(
    port: DataPort,
    pair: &ControlPair,
    policy: &DataPolicy,
    opening: &Reply,
    watch: &mut ControlWatch<'_>,
) -> Result<DataConnection, OpenError> {
    // ABOR may have come together with the command it aborts.
    match watch.look(&Progress::new(None)) {
        Verdict::Continue | Verdict::Gone => (),
        Verdict::Abort => return Err(OpenError::Aborted),
        Verdict::Hangup(error) => return Err(OpenError::ControlLost(error)),
    }
    let passive = matches!(port, DataPort::Passive(_));
    if passive {
        watch.announce(opening).map_err(OpenError::ControlLost)?;
    }
    let connection = port.open(pair, policy, watch)?;
    if !passive {
        watch.announce(opening).map_err(OpenError::ControlLost)?;
    }
    Ok(connection)
}

/// A transfer that dtp has ended before its time.
pub(super) fn broken(failure: TransferFailure) -> (u64, Failure) {
    (failure.moved, Failure::Broken(failure.error))
}

/// Why there is no data connection, as a reply.
fn open_refusal(error: OpenError) -> Stop {
    let cannot = |text: &str| refused(ReplyCode::CannotOpenDataConnection, text);
    match error {
        OpenError::Aborted => refused(ReplyCode::TransferAborted, "Transfer aborted."),
        OpenError::ControlLost(error) => Stop::Hangup(error),
        OpenError::NotSet => cannot("Use PORT or PASV first."),
        OpenError::TimedOut => cannot("Can't open data connection: timed out."),
        OpenError::OnlyStrangers => {
            cannot("Can't open data connection: it must come from the address of this one.")
        }
        OpenError::Failed(error) => cannot(&format!("Can't open data connection: {}", reason(&error))),
        OpenError::Handshake(error) => cannot(&format!("Can't secure data connection: {error}.")),
        OpenError::NotResumed => refused(
            ReplyCode::ProtocolNotSupported,
            "The data connection must resume the TLS session of the control connection: \
             set your client to reuse TLS sessions.",
        ),
    }
}

/// Why a transfer ended before its time, as a reply.
pub(super) fn transfer_refusal(error: TransferError) -> Stop {
    use ReplyCode::{ExceededStorage, InsufficientStorage, LocalError, TransferAborted};
    match error {
        TransferError::Aborted => refused(TransferAborted, "Transfer aborted."),
        TransferError::ControlLost(error) => Stop::Hangup(error),
        TransferError::DataLost(error) => {
            refused(TransferAborted, format!("Data connection: {}", reason(&error)))
        }
        TransferError::NoFile(CodecError::Truncated) => {
            refused(TransferAborted, "The data connection ended before the file did.")
        }
        TransferError::NoFile(CodecError::Malformed(why)) => {
            refused(TransferAborted, format!("Not a file in this transfer mode: {why}."))
        }
        TransferError::TimedOut => refused(TransferAborted, "Data connection timed out."),
        TransferError::CutShort => refused(LocalError, "The file became shorter while it was sent."),
        TransferError::FileRead(error) => {
            refused(LocalError, format!("Error reading file: {}", reason(&error)))
        }
        TransferError::FileWrite(error) => {
            refused(LocalError, format!("Error writing to file: {}", reason(&error)))
        }
        TransferError::TooLarge => refused(ExceededStorage, "The file would be too large."),
        TransferError::DiskFull | TransferError::NoSpace => {
            refused(InsufficientStorage, "No space left on device.")
        }
        TransferError::OverQuota => refused(ExceededStorage, "Disk quota exceeded."),
    }
}
