//! LIST NLST MLSD MLST, and STAT of a path: RFC 959 section 4.1.3, RFC 3659 section 7.

use std::rc::Rc;

use crate::dtp::{Outgoing, TransferError};
use crate::events::Direction;
use crate::proto::command::{Access, CommandSpec};
use crate::proto::reply::{Reply, ReplyCode};
use crate::session::Session;
use crate::session::commands::data::{Failure, broken};
use crate::session::stop::{Stop, bad_path, file_refusal, io_refusal, refused};
use crate::vfs::{FileError, ListKind, ListLimits, ListRequest, ListingError};

/// The most that STAT of a path sends over the control connection, in bytes.
const STATUS_SIZE: usize = 1 << 20;

impl Session {
    pub(in crate::session) fn list(&mut self, argument: &[u8]) -> Result<Reply, Stop> {
        self.send_listing(ListKind::List, argument, "file list")
    }

    pub(in crate::session) fn nlst(&mut self, argument: &[u8]) -> Result<Reply, Stop> {
        self.send_listing(ListKind::Names, argument, "file list")
    }

    pub(in crate::session) fn mlsd(
        &mut self,
        path: Option<Vec<u8>>,
        spec: &CommandSpec,
    ) -> Result<Reply, Stop> {
        let facts = self.parameters.choices.facts;
        self.send_listing(ListKind::Facts(facts), &path.unwrap_or_default(), spec.verb)
    }

    /// `shown` is what the preliminary reply calls it.
    fn send_listing(&mut self, kind: ListKind, argument: &[u8], shown: &str) -> Result<Reply, Stop> {
        // A REST was for this transfer or for none: it must not turn up at a later one.
        self.leftover.restart_at = 0;
        let request = ListRequest { kind, argument, limits: self.list_limits() };
        let login = self.logged_in()?;
        let (vfs, cwd, rate) = (Rc::clone(&login.vfs), login.cwd.clone(), login.rates.download);
        let listing = vfs.listing(&cwd, request).map_err(|error| listing_refusal(argument, &error))?;
        let opening = self.opening(shown.as_bytes(), None);
        let (parameters, limits) = (self.parameters.transfer, self.transfer_limits(rate));
        let mut truncated = false;
        let outcome = self.transfer(&opening, Direction::Outgoing, |connection, watch| {
            let mut outgoing = Outgoing::new(connection, &parameters, &limits, watch);
            match listing.write(&mut |piece| outgoing.write(piece)) {
                Ok(listed) => truncated = listed.truncated,
                Err(ListingError::Files(error)) => {
                    return Err((outgoing.moved(), Failure::Broken(TransferError::FileRead(error))));
                }
                Err(ListingError::Sink(error)) => {
                    return Err((outgoing.moved(), Failure::Broken(error)));
                }
            }
            outgoing.finish().map_err(broken)
        });
        let reply = self.conclude(outcome, None)?;
        if truncated && !reply.is_negative() {
            return Ok(Reply::new(
                reply.code(),
                "Transfer complete; there are more files than may be listed.",
            ));
        }
        Ok(reply)
    }

    /// The facts of one file, over the control connection.
    pub(in crate::session) fn mlst(&mut self, path: Option<Vec<u8>>) -> Result<Reply, Stop> {
        let facts = self.parameters.choices.facts;
        let login = self.logged_in()?;
        let typed = path.unwrap_or_default();
        let target = login.cwd.join(&typed).map_err(|_| bad_path())?;
        let line =
            login.vfs.facts(&target, target.as_bytes(), facts).map_err(|error| io_refusal(&typed, &error))?;
        let first = [b"Listing ", target.as_bytes()].concat();
        Ok(Reply::with_lines(ReplyCode::FileActionOkay, first, [line], "End"))
    }

    /// The listing that LIST would send, over the control connection.
    pub(in crate::session) fn stat_path(&mut self, argument: &[u8]) -> Result<Reply, Stop> {
        let request = ListRequest { kind: ListKind::List, argument, limits: self.list_limits() };
        self.allow(Access::LoggedIn)?;
        let login = self.logged_in()?;
        let is_directory = login
            .cwd
            .join(argument)
            .ok()
            .and_then(|path| login.vfs.stat(&path).ok())
            .is_some_and(|stat| stat.is_dir());
        let listing =
            login.vfs.listing(&login.cwd, request).map_err(|error| listing_refusal(argument, &error))?;
        let mut text = Vec::new();
        let written = listing.write(&mut |piece: &[u8]| {
            text.extend_from_slice(piece);
            if text.len() > STATUS_SIZE { Err(()) } else { Ok(()) }
        });
        match written {
            Ok(_) => (),
            Err(ListingError::Files(error)) => return Err(io_refusal(argument, &error)),
            Err(ListingError::Sink(())) => {
                return Err(refused(ReplyCode::FileUnavailable, "Too much for STAT; use LIST."));
            }
        }
        let code = if is_directory { ReplyCode::DirectoryStatus } else { ReplyCode::FileStatus };
        let lines = lines_of(&text);
        Ok(Reply::with_lines(code, [b"Status of ", argument, b":"].concat(), lines, "End of status"))
    }

    fn list_limits(&self) -> ListLimits {
        let limits = &self.services.config.limits;
        ListLimits { files: limits.list_files, depth: limits.list_depth }
    }
}

/// MLSD of something that is no directory is an invalid argument (RFC 3659 section 7.2.1).
fn listing_refusal(argument: &[u8], error: &FileError) -> Stop {
    match error {
        FileError::NotDirectory => {
            refused(ReplyCode::ArgumentError, [argument, b": Not a directory."].concat())
        }
        _ => file_refusal(argument, error),
    }
}

/// The lines of a listing; only CR LF ends one.
fn lines_of(text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    lines
}
