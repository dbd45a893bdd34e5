//! STOR STOU APPE: RFC 959 section 4.1.3.

use std::fs::File;
use std::io;
use std::mem;
use std::sync::Arc;

use crate::dtp::{self, Allowance, Quota, Range, Tally, Target, TransferError, TransferFailure};
use crate::events::Direction;
use crate::proto::path::VirtualPath;
use crate::proto::reply::{Reply, ReplyCode};
use crate::session::Session;
use crate::session::commands::data::Failure;
use crate::session::commands::download::bad_restart;
use crate::session::state::LoggedIn;
use crate::session::stop::{Stop, bad_path, file_refusal, io_refusal, refused, target_refusal};
use crate::tls::Flow;
use crate::vfs::{Create, Draft, FileError, OpenFile, Stat};

/// How an upload treats what is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Upload {
    Replace,
    Append,
    Unique,
}

impl Session {
    pub(in crate::session) fn stor(&mut self, path: &[u8]) -> Result<Reply, Stop> {
        self.upload(path, Upload::Replace)
    }

    pub(in crate::session) fn appe(&mut self, path: &[u8]) -> Result<Reply, Stop> {
        self.upload(path, Upload::Append)
    }

    /// A name of its own; RFC 1123 section 4.1.2.9 says how the reply names it.
    pub(in crate::session) fn stou(&mut self, path: Option<Vec<u8>>) -> Result<Reply, Stop> {
        self.upload(&path.unwrap_or_else(|| b"ftp".to_vec()), Upload::Unique)
    }

    fn upload(&mut self, path: &[u8], how: Upload) -> Result<Reply, Stop> {
        let restart = mem::take(&mut self.leftover.restart_at);
        let config = &self.services.config;
        let atomic = config.files.atomic_uploads;
        let upload_mode = config.files.upload_mode;
        let login = self.logged_in()?;
        let rights = login.rights;
        let (guarded, no_overwrite) = (rights.own_names, !rights.overwrite);
        let wanted = login.cwd.join(path).map_err(|_| target_refusal(bad_path()))?;
        login.may_make(&wanted, path)?;
        let mode = upload_mode.unwrap_or(0o666 & !login.umask);
        let existing = login.vfs.stat(&wanted).ok();
        // Nothing is made for a restart inside what is not there.
        if restart > 0 && (how == Upload::Unique || how == Upload::Replace && existing.is_none()) {
            return Err(bad_restart());
        }
        let how = match (how, &existing) {
            (Upload::Replace, Some(_)) if guarded && restart == 0 => Upload::Unique,
            (Upload::Replace | Upload::Append, Some(_)) if guarded => {
                return Err(refused(ReplyCode::NameNotAllowed, [path, b": Permission denied."].concat()));
            }
            (Upload::Replace | Upload::Append, Some(stat)) if no_overwrite && stat.is_file() => {
                return Err(refused(ReplyCode::NameNotAllowed, [path, b": File exists."].concat()));
            }
            _ => how,
        };
        self.check_space(&wanted, path)?;
        let tally = self.tally(path)?;
        let offset_is_read = dtp::offset_is_read(&self.parameters.transfer);
        let login = self.logged_in()?;
        let rate = login.rates.upload;
        let quota = tally.as_deref().zip(login.account.options.quota);
        let quota = quota.map(|(used, most)| Quota { used, most });
        let allowance = quota.as_ref().map(|quota| quota as &dyn Allowance);
        let mut draft = None;
        let update = if offset_is_read { Create::UpdateText } else { Create::Update };
        let opened = match how {
            _ if atomic => {
                let begun = login.begin_draft(&wanted, how, restart, existing.as_ref(), mode);
                begun.map(|(target, begun, file)| {
                    draft = Some(begun);
                    (target, file)
                })
            }
            Upload::Unique => login.vfs.create_unique(&wanted, mode),
            Upload::Append => {
                login.vfs.create(&wanted, Create::Append, mode).map(|file| (wanted.clone(), file))
            }
            Upload::Replace if restart > 0 => {
                login.vfs.create(&wanted, update, mode).map(|file| (wanted.clone(), file))
            }
            Upload::Replace if guarded => {
                login.vfs.create(&wanted, Create::New, mode).map(|file| (wanted.clone(), file))
            }
            Upload::Replace => {
                login.vfs.create(&wanted, Create::Replace, mode).map(|file| (wanted.clone(), file))
            }
        };
        let (mut target, OpenFile { file, size, .. }) =
            opened.map_err(|error| target_refusal(file_refusal(path, &error)))?;
        let offset = match how {
            Upload::Append => size,
            _ => self.file_offset(&file, size, restart, path)?,
        };
        let mut unique = (how == Upload::Unique).then(|| target.file_name().unwrap_or_default().to_vec());
        let opening = match &unique {
            Some(name) => Reply::new(self.opening_code(), [b"FILE: ", &name[..]].concat()),
            None => self.opening(path, None),
        };
        let parameters = self.parameters.transfer;
        let limits = self.transfer_limits(rate);
        let truncate = draft.is_none() && how == Upload::Replace && restart == 0 && size > 0;
        // What takes the place of a file may have its bytes, but for those that it begins with as a copy.
        let replaced = existing.filter(|_| draft.is_some() && how != Upload::Unique);
        let replaced = replaced.map_or(0, |stat| stat.size.saturating_sub(size));
        tally.iter().for_each(|tally| tally.give_back(replaced));
        self.control.presence.begin_transfer(target.as_bytes());
        let mut outcome = self.transfer(&opening, Flow::FromClient, |connection, watch| {
            // Only now: a data connection that never came must not cost the file that was there.
            if truncate {
                let emptied = file.set_len(0);
                emptied
                    .map_err(|error| TransferFailure { moved: 0, error: TransferError::FileWrite(error) })?;
                tally.iter().for_each(|tally| tally.give_back(size));
            }
            dtp::receive(
                connection,
                &Target { file: &file, range: Range::from(offset), allowance },
                &parameters,
                &limits,
                watch,
            )
        });
        let left = file.metadata().map_or(0, |metadata| metadata.len());
        let is_draft = draft.is_some();
        if let Some(draft) = draft {
            let mut published = false;
            if outcome.result.is_ok() {
                let replace = how != Upload::Unique && !guarded && !no_overwrite;
                match self.logged_in()?.publish(draft, &file, &target, replace, how) {
                    Ok(name) => {
                        target = name;
                        unique = unique.and(target.file_name().map(<[u8]>::to_vec));
                        published = true;
                    }
                    Err(error) => outcome.result = Err(Failure::Broken(TransferError::FileWrite(error))),
                }
            }
            if let Some(tally) = tally.as_deref().filter(|_| !published) {
                tally.give_back(left.saturating_sub(size));
                tally.add(replaced);
            }
        }
        drop(file);
        let failed = outcome.result.is_err() && !is_draft;
        let never_began = matches!(outcome.result, Err(Failure::NotOpened(_)));
        let created = existing.is_none() || how == Upload::Unique;
        if failed
            && (never_began && created || self.services.config.files.delete_aborted && (created || truncate))
        {
            // What cannot be removed stays; the reply says already that the upload failed.
            if self.logged_in()?.vfs.remove_file(&target).is_ok() {
                tally.iter().for_each(|tally| tally.give_back(left));
            }
        }
        let word = if how == Upload::Append { "append" } else { "put" };
        self.tell_transfer(&outcome, Direction::Incoming, word, &target);
        self.conclude(outcome, unique)
    }

    /// What the files of an account with a quota come to; `None` for others. Counted before the first
    /// upload, and again when there seems to be no room: others than us remove files too.
    pub(super) fn tally(&mut self, path: &[u8]) -> Result<Option<Arc<Tally>>, Stop> {
        let services = Arc::clone(&self.services);
        let login = self.logged_in()?;
        let Some(most) = login.account.options.quota else { return Ok(None) };
        let known = login.tally.take().or_else(|| services.quotas.known(&login.account.name));
        let count = || login.vfs.usage().map_err(|error| io_refusal(path, &error));
        let tally = match known {
            Some(tally) => {
                if (Quota { used: &tally, most }).left() == 0 {
                    tally.set(count()?);
                }
                tally
            }
            None => services.quotas.begin(&login.account.name, Tally::new(count()?)),
        };
        login.tally = Some(Arc::clone(&tally));
        Ok(Some(tally))
    }

    /// No upload begins on a file system that is fuller than it may become.
    fn check_space(&mut self, target: &VirtualPath, path: &[u8]) -> Result<(), Stop> {
        let Some(kept) = self.services.config.limits.min_free_space else { return Ok(()) };
        let login = self.logged_in()?;
        let space = login.vfs.free_space(&target.parent()).map_err(|error| io_refusal(path, &error))?;
        if space.above(kept) == 0 {
            return Err(refused(
                ReplyCode::InsufficientStorage,
                "The file system is as full as it may become.",
            ));
        }
        Ok(())
    }
}

impl LoggedIn {
    /// A draft of an upload, to what name, and the file to write to: empty, or a copy of what is to
    /// be appended to or restarted in.
    fn begin_draft(
        &self,
        wanted: &VirtualPath,
        how: Upload,
        restart: u64,
        existing: Option<&Stat>,
        mode: u32,
    ) -> Result<(VirtualPath, Draft, OpenFile), FileError> {
        let target = match how {
            Upload::Unique => self.vfs.free_name(wanted)?,
            Upload::Replace | Upload::Append => self.vfs.resolved(wanted)?,
        };
        let Some(stat) = existing.filter(|_| how != Upload::Unique) else {
            let (draft, file) = self.vfs.draft(&target, mode)?;
            return Ok((target, draft, file));
        };
        // Who may not write to the file may not put another in its place.
        self.vfs.create(&target, Create::Update, mode)?;
        let (draft, mut new) = self.vfs.draft(&target, stat.mode & 0o777)?;
        if how == Upload::Append || restart > 0 {
            let mut old = self.vfs.open(&target)?;
            new.size = io::copy(&mut old.file, &mut new.file)?;
        }
        Ok((target, draft, new))
    }

    /// Gives a complete draft its name, or the next one that is free.
    fn publish(
        &self,
        mut draft: Draft,
        file: &File,
        target: &VirtualPath,
        replace: bool,
        how: Upload,
    ) -> io::Result<VirtualPath> {
        let mut name = target.clone();
        loop {
            match self.vfs.publish(&mut draft, file, &name, replace) {
                Err(error) if how == Upload::Unique && error.kind() == io::ErrorKind::AlreadyExists => {
                    name = self.vfs.free_name(target).map_err(|_| error)?;
                }
                result => return result.map(|()| name),
            }
        }
    }
}
