//! RETR: RFC 959 section 4.1.3.

use std::mem;

use crate::dtp::{self, Range, Source};
use crate::events::Direction;
use crate::proto::reply::{Reply, ReplyCode};
use crate::session::Session;
use crate::session::commands::data::{Failure, Outcome, broken};
use crate::session::stop::{Stop, bad_path, file_refusal, refused};
use crate::vfs::OpenFile;

impl Session {
    pub(in crate::session) fn retr(&mut self, path: &[u8]) -> Result<Reply, Stop> {
        let restart = mem::take(&mut self.leftover.restart_at);
        let login = self.logged_in()?;
        let rate = login.rates.download;
        let target = login.cwd.join(path).map_err(|_| bad_path())?;
        let OpenFile { file, size, .. } =
            login.vfs.open(&target).map_err(|error| file_refusal(path, &error))?;
        let offset = match self.file_offset(&file, size, restart, Direction::Outgoing) {
            Ok(found) => found.ok_or_else(bad_restart)?,
            Err(error) => return self.conclude(Outcome::before(Failure::Broken(error)), None),
        };
        let opening = self.opening(path, Some(size));
        let parameters = self.parameters.transfer;
        let limits = self.transfer_limits(rate);
        self.control.presence.begin_transfer(target.as_bytes());
        let outcome = self.transfer(&opening, Direction::Outgoing, |connection, watch| {
            dtp::send(
                connection,
                &Source { file: &file, range: Range::from(offset), size },
                &parameters,
                &limits,
                watch,
            )
            .map_err(broken)
        });
        self.tell_transfer(&outcome, Direction::Outgoing, "get", &target);
        self.conclude(outcome, None)
    }
}

pub(super) fn bad_restart() -> Stop {
    refused(ReplyCode::InvalidRestart, "The restart offset is not a place in the file.")
}
