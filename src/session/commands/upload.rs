//! STOR STOU APPE: RFC 959 section 4.1.3.
//!
//! An upload is decided (`decide`: what may be done, and in which way), prepared before the data
//! connection, run, and settled: its file is put in place, given back as it was, or removed.
//! A session removes, empties and replaces only what it made or holds (`stored`).

mod counting;
mod decide;
mod stored;

use std::mem;
use std::rc::Rc;
use std::sync::Arc;

use super::data::{Failure, Outcome, broken};
use super::download::bad_restart;
use crate::clients::{Count, Quota};
use crate::dtp;
use crate::events::Direction;
use crate::proto::path::VirtualPath;
use crate::proto::reply::{Reply, ReplyCode};
use crate::session::Session;
use crate::session::state::LoggedIn;
use crate::session::stop::{Stop, bad_path, file_refusal, io_refusal, refused, target_refusal};
use crate::vfs::{Create, FileError};
use decide::{Existing, Objection, Rules, Wish, decide};
use stored::{Storage, StoreError, Stored};

impl Session {
    pub(in crate::session) fn stor(&mut self, path: &[u8]) -> Result<Reply, Stop> {
        let restart = mem::take(&mut self.leftover.restart_at);
        self.upload(path, Wish::Store { restart })
    }

    pub(in crate::session) fn appe(&mut self, path: &[u8]) -> Result<Reply, Stop> {
        self.leftover.restart_at = 0;
        self.upload(path, Wish::Append)
    }

    /// A name of its own; RFC 1123 section 4.1.2.9 says how the reply names it.
    pub(in crate::session) fn stou(&mut self, path: Option<Vec<u8>>) -> Result<Reply, Stop> {
        if mem::take(&mut self.leftover.restart_at) > 0 {
            return Err(bad_restart());
        }
        self.upload(&path.unwrap_or_else(|| b"ftp".to_vec()), Wish::Unique)
    }

    fn upload(&mut self, typed: &[u8], wish: Wish) -> Result<Reply, Stop> {
        let mut stored = match self.prepare(typed, wish) {
            Ok(stored) => stored,
            Err(failure) => return self.conclude(Outcome::before(failure), None),
        };
        let outcome = self.run_upload(typed, &mut stored)?;
        let outcome = self.settle(typed, &mut stored, outcome);
        let word = if wish == Wish::Append { "append" } else { "put" };
        self.tell_transfer(&outcome, Direction::Incoming, word, &stored.target);
        let unique = stored.unique_name().map(<[u8]>::to_vec);
        self.conclude(outcome, unique)
    }

    /// All that can be refused before there is a data connection is refused here. Nothing is made
    /// yet under a name that others see, but for STOU's, which the preliminary reply names.
    fn prepare(&mut self, typed: &[u8], wish: Wish) -> Result<Stored, Failure> {
        let login = self.logged_in()?;
        let wanted = login.cwd.join(typed).map_err(|_| target_refusal(bad_path()))?;
        login.may_make(&wanted, typed)?;
        self.check_space(&wanted, typed)?;
        let quota = self.tally(typed, 1)?;
        let services = Arc::clone(&self.services);
        let config = &services.config;
        let parameters = self.parameters.transfer;
        let login = self.logged_in()?;
        let limits = &config.limits;
        let rules = Rules {
            rights: login.rights,
            atomic: config.files.atomic_uploads,
            limited: quota.is_some() || limits.max_file_size.is_some() || limits.min_free_space.is_some(),
        };
        let how = match wish {
            Wish::Append => Create::Append,
            Wish::Store { restart: 1.. } if dtp::offset_is_read(&parameters) => Create::UpdateText,
            Wish::Store { restart: 1.. } => Create::Update,
            Wish::Store { .. } | Wish::Unique => Create::Replace,
        };
        let refusal = |error: StoreError| store_refusal(typed, error);
        let (existing, file) = login.look(&wanted, wish, how).map_err(refusal)?;
        let plan = decide(wish, existing, &rules).map_err(|objection| objected(objection, typed))?;
        let place = Storage {
            vfs: Rc::clone(&login.vfs),
            mode: login.new_file_mode(&config.files),
            rights: login.rights,
            quota,
            delete_aborted: config.files.delete_aborted,
            sync: config.files.sync_uploads,
        };
        let mut stored = Stored::prepare(place, wanted, plan, file).map_err(refusal)?;
        if let Wish::Store { restart: restart @ 1.. } = wish {
            let found = stored.seek(|file, size| self.file_offset(file, size, restart, Direction::Incoming));
            if !found.map_err(Failure::Broken)? {
                return Err(bad_restart().into());
            }
        }
        Ok(stored)
    }

    fn run_upload(&mut self, typed: &[u8], stored: &mut Stored) -> Result<Outcome, Stop> {
        let opening = match stored.unique_name() {
            Some(name) => Reply::new(self.opening_code(), [b"FILE: ", name].concat()),
            None => self.opening(typed, None),
        };
        let rate = self.logged_in()?.rates.upload;
        let (parameters, limits) = (self.parameters.transfer, self.transfer_limits(rate));
        self.control.presence.begin_transfer(stored.target.as_bytes());
        Ok(self.transfer(&opening, Direction::Incoming, |connection, watch| {
            let target =
                stored.begin().map_err(|error| (0, Failure::Refused(store_refusal(typed, error))))?;
            dtp::receive(connection, &target, &parameters, &limits, watch).map_err(broken)
        }))
    }

    /// Success is said after the last error could come.
    fn settle(&mut self, typed: &[u8], stored: &mut Stored, mut outcome: Outcome) -> Outcome {
        if outcome.result.is_ok() && self.services.config.files.strict_uploads && self.client_is_gone() {
            let gone = std::io::ErrorKind::ConnectionAborted.into();
            outcome.result = Err(Failure::Broken(dtp::TransferError::ControlLost(gone)));
        }
        if outcome.result.is_ok() {
            outcome.result = stored.complete().map_err(|error| match error {
                StoreError::Write(error) => Failure::Broken(error),
                error => Failure::Refused(store_refusal(typed, error)),
            });
        }
        if let Err(failure) = &outcome.result {
            stored.undo(failure, outcome.moved);
        }
        outcome
    }

    /// The control connection has ended, and not with QUIT.
    fn client_is_gone(&mut self) -> bool {
        let lost = self.control.wants_input() && self.control.take_input().is_err();
        (lost || self.control.is_ended()) && !self.control.has_quit()
    }

    /// The bytes of the files of an account with a quota; `None` for others. Counted before the first
    /// upload, and again when there is no room for `wanted` bytes: others than us remove files too.
    pub(super) fn tally(&mut self, path: &[u8], wanted: u64) -> Result<Option<Quota>, Stop> {
        let services = Arc::clone(&self.services);
        let login = self.logged_in()?;
        let Some(most) = login.account.options.quota else { return Ok(None) };
        let count = || login.vfs.usage().map(Count::from);
        let known = login.tally.take().or_else(|| services.quotas.known(&login.account.name));
        let tally = match known {
            Some(tally) => tally,
            None => {
                let count = count().map_err(|error| io_refusal(path, &error))?;
                services.quotas.begin(&login.account.name, count)
            }
        };
        login.tally = Some(Arc::clone(&tally));
        let quota = Quota { tally, most };
        if quota.left() < wanted {
            quota.tally.recount(count).map_err(|error| io_refusal(path, &error))?;
        }
        Ok(Some(quota))
    }

    /// No upload begins on a file system that is fuller than it may become.
    fn check_space(&mut self, target: &VirtualPath, path: &[u8]) -> Result<(), Stop> {
        let Some(kept) = self.services.config.limits.min_free_space else { return Ok(()) };
        let login = self.logged_in()?;
        let space = login.vfs.free_space(&target.parent()).map_err(|error| io_refusal(path, &error))?;
        if space.above(kept) == 0 {
            let text = "The file system is as full as it may become.";
            return Err(refused(ReplyCode::InsufficientStorage, text));
        }
        Ok(())
    }
}

impl LoggedIn {
    /// Looks for a file at `path`, and opens it if it may be written to.
    fn look(
        &self,
        path: &VirtualPath,
        wish: Wish,
        how: Create,
    ) -> Result<(Existing, Option<std::fs::File>), StoreError> {
        if wish == Wish::Unique {
            return Ok((Existing::Nothing, None));
        }
        if !self.rights.overwrite {
            return match self.vfs.stat(path) {
                Ok(stat) if stat.is_file() => Ok((Existing::File, None)),
                Ok(_) => Ok((Existing::Other, None)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok((Existing::Nothing, None)),
                Err(error) => Err(error.into()),
            };
        }
        match self.vfs.open_to_write(path, how) {
            Ok(open) => Ok((Existing::File, Some(open.file))),
            Err(FileError::NotPlainFile) => Ok((Existing::Other, None)),
            Err(FileError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok((Existing::Nothing, None))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn objected(objection: Objection, typed: &[u8]) -> Stop {
    let text: &[u8] = match objection {
        Objection::NoSuchPlace => return bad_restart(),
        Objection::Denied => b": Permission denied.",
        Objection::Exists => b": File exists.",
        Objection::NotPlainFile => b": Not a plain file.",
    };
    refused(ReplyCode::NameNotAllowed, [typed, text].concat())
}

/// The refusal of an upload to `typed`: 553 for what is wrong with the name, and else by the error.
fn store_refusal(typed: &[u8], error: StoreError) -> Stop {
    match error {
        StoreError::File(error) => target_refusal(file_refusal(typed, &error)),
        StoreError::Exists => objected(Objection::Exists, typed),
        StoreError::Busy => {
            refused(ReplyCode::FileBusy, [typed, b": Another session is storing to this file."].concat())
        }
        StoreError::Replaced => {
            let text = b": The file was removed or replaced meanwhile.";
            refused(ReplyCode::LocalError, [typed, &text[..]].concat())
        }
        StoreError::Write(error) => super::data::transfer_refusal(error),
    }
}
