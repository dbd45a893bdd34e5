//! RNFR RNTO DELE MKD RMD PWD SIZE MDTM MFMT, SITE CHMOD and UTIME: RFC 959 section 4.1.3, RFC 3659.

use std::io;
use std::sync::Arc;

use crate::dtp;
use crate::events::ChangeKind;
use crate::proto::calendar::CivilTime;
use crate::proto::command;
use crate::proto::file_mode::ModeChange;
use crate::proto::params::{RepresentationType, Structure};
use crate::proto::path::VirtualPath;
use crate::proto::reply::{Reply, ReplyCode};
use crate::session::Session;
use crate::session::stop::{Stop, bad_path, file_refusal, io_refusal, refused, target_refusal};
use crate::vfs::{FileError, Vfs};

/// The largest file whose size in ASCII is counted: it must be read from end to end.
const COUNTED_SIZE: u64 = 256 << 20;

impl Session {
    pub(in crate::session) fn rnfr(&mut self, path: &[u8]) -> Result<Reply, Stop> {
        let login = self.logged_in()?;
        let from = not_the_root(login.cwd.join(path).map_err(|_| bad_path())?)?;
        login.vfs.stat_link(&from).map_err(|error| io_refusal(path, &error))?;
        self.leftover.rename_from = Some(from);
        Ok(Reply::new(ReplyCode::PendingInformation, "File exists, ready for destination name."))
    }

    pub(in crate::session) fn rnto(&mut self, from: Option<VirtualPath>, path: &[u8]) -> Result<Reply, Stop> {
        let from = from.ok_or_else(|| refused(ReplyCode::BadSequence, "RNFR must come first."))?;
        let login = self.logged_in()?;
        let to =
            login.cwd.join(path).map_err(|_| bad_path()).and_then(not_the_root).map_err(target_refusal)?;
        login.may_make(&to, path)?;
        let replace = login.rights.overwrite;
        let renamed = self.releasing(&to, |vfs| vfs.rename(&from, &to, replace))?;
        self.changed(ChangeKind::Rename, &from, Some(&to), renamed)
            .map_err(|error| target_refusal(io_refusal(path, &error)))?;
        Ok(Reply::new(ReplyCode::FileActionOkay, "RNTO command successful."))
    }

    pub(in crate::session) fn dele(&mut self, path: &[u8]) -> Result<Reply, Stop> {
        let login = self.logged_in()?;
        let target = not_the_root(login.cwd.join(path).map_err(|_| bad_path())?)?;
        let size = login.vfs.stat_link(&target).map_or(0, |stat| stat.size);
        let deleted = self.releasing(&target, |vfs| vfs.remove_file(&target))?.map(|()| size);
        self.tell_change(ChangeKind::Delete, &target, None, &deleted);
        deleted.map_err(|error| io_refusal(path, &error))?;
        Ok(Reply::new(ReplyCode::FileActionOkay, "DELE command successful."))
    }

    pub(in crate::session) fn rmd(&mut self, path: &[u8]) -> Result<Reply, Stop> {
        let login = self.logged_in()?;
        let target = not_the_root(login.cwd.join(path).map_err(|_| bad_path())?)?;
        let removed = login.vfs.remove_dir(&target);
        self.changed(ChangeKind::RemoveDirectory, &target, None, removed)
            .map_err(|error| io_refusal(path, &error))?;
        Ok(Reply::new(ReplyCode::FileActionOkay, "RMD command successful."))
    }

    pub(in crate::session) fn mkd(&mut self, path: &[u8]) -> Result<Reply, Stop> {
        let login = self.logged_in()?;
        if !login.rights.mkdir {
            return Err(refused(ReplyCode::FileUnavailable, "Permission denied."));
        }
        let target = login.cwd.join(path).map_err(|_| bad_path())?;
        login.may_make(&target, path)?;
        let made = login.vfs.make_dir(&target, 0o777);
        self.changed(ChangeKind::MakeDirectory, &target, None, made)
            .map_err(|error| io_refusal(path, &error))?;
        Ok(Reply::pathname(target.as_bytes(), "directory created."))
    }

    pub(in crate::session) fn pwd(&mut self) -> Result<Reply, Stop> {
        Ok(Reply::pathname(self.logged_in()?.cwd.as_bytes(), "is current directory."))
    }

    /// How many bytes RETR would send now (RFC 3659 section 4).
    pub(in crate::session) fn size(&mut self, path: &[u8]) -> Result<Reply, Stop> {
        let parameters = self.parameters.transfer;
        if !parameters.mode.ends_with_connection() || parameters.structure == Structure::Record {
            let text = "SIZE counts the bytes of stream mode and file structure alone.";
            return Err(refused(ReplyCode::ParameterNotImplemented, text));
        }
        let login = self.logged_in()?;
        let target = login.cwd.join(path).map_err(|_| bad_path())?;
        let size = match parameters.representation {
            RepresentationType::Image | RepresentationType::Ebcdic(_) => {
                let stat = login.vfs.stat(&target).map_err(|error| io_refusal(path, &error))?;
                if !stat.is_file() {
                    return Err(file_refusal(path, &FileError::NotPlainFile));
                }
                stat.size
            }
            RepresentationType::Ascii(_) => {
                let file = login.vfs.open(&target).map_err(|error| file_refusal(path, &error))?;
                if file.size > COUNTED_SIZE {
                    let text = "Too large to count in ASCII; use TYPE I.";
                    return Err(refused(ReplyCode::FileUnavailable, text));
                }
                dtp::ascii_file_size(&file.file).map_err(|error| io_refusal(path, &error))?
            }
        };
        Ok(Reply::new(ReplyCode::FileStatus, size.to_string()))
    }

    /// RFC 3659 section 3; and, for clients older than MFMT, `MDTM YYYYMMDDhhmmss path-name` sets it.
    pub(in crate::session) fn mdtm(&mut self, path: &[u8]) -> Result<Reply, Stop> {
        let login = self.logged_in()?;
        let target = login.cwd.join(path).map_err(|_| bad_path())?;
        match login.vfs.stat(&target) {
            Ok(stat) if stat.is_file() => Ok(Reply::new(ReplyCode::FileStatus, time_val(stat.modified))),
            Ok(_) => Err(file_refusal(path, &FileError::NotPlainFile)),
            Err(error) => match path.split_at_checked(15) {
                Some((time, name)) if time.ends_with(b" ") && !name.is_empty() => {
                    let time =
                        CivilTime::parse_time_val(&time[..14]).ok_or_else(|| io_refusal(path, &error))?;
                    self.gate(&command::MFMT)?;
                    self.mfmt(time, name)
                }
                _ => Err(io_refusal(path, &error)),
            },
        }
    }

    /// draft-somers-ftp-mfxx section 3.1: the reply names the time that was set. File systems
    /// have bounds of their own, and keep the nearest time within them.
    pub(in crate::session) fn mfmt(&mut self, time: CivilTime, path: &[u8]) -> Result<Reply, Stop> {
        let asked = moment(time)?;
        let target = self.set_times(None, asked, path)?;
        let modified = self.logged_in()?.vfs.stat(&target).map_or(asked, |stat| stat.modified);
        Ok(Reply::new(ReplyCode::FileStatus, [b"Modify=", &time_val(modified)[..], b"; ", path].concat()))
    }

    pub(in crate::session) fn utime(
        &mut self,
        accessed: Option<CivilTime>,
        modified: CivilTime,
        path: &[u8],
    ) -> Result<Reply, Stop> {
        let accessed = accessed.map(moment).transpose()?;
        self.set_times(accessed, moment(modified)?, path)?;
        Ok(Reply::new(ReplyCode::CommandOkay, "UTIME command successful."))
    }

    /// Both in Unix seconds.
    fn set_times(&mut self, accessed: Option<i64>, modified: i64, path: &[u8]) -> Result<VirtualPath, Stop> {
        let login = self.logged_in()?;
        let target = login.cwd.join(path).map_err(|_| bad_path())?;
        let set = login.vfs.set_times(&target, accessed, Some(modified));
        self.changed(ChangeKind::Times, &target, None, set).map_err(|error| io_refusal(path, &error))?;
        Ok(target)
    }

    pub(in crate::session) fn chmod(&mut self, change: &ModeChange, path: &[u8]) -> Result<Reply, Stop> {
        let login = self.logged_in()?;
        if !login.rights.chmod {
            return Err(refused(ReplyCode::FileUnavailable, "Permission denied."));
        }
        let target = login.cwd.join(path).map_err(|_| bad_path())?;
        let stat = login.vfs.stat(&target).map_err(|error| io_refusal(path, &error))?;
        let mode = change.apply(stat.mode, stat.is_dir(), login.umask);
        let changed = login.vfs.chmod(&target, mode);
        self.changed(ChangeKind::Mode, &target, None, changed).map_err(|error| io_refusal(path, &error))?;
        Ok(Reply::new(ReplyCode::CommandOkay, "CHMOD command successful."))
    }

    /// Lets `change` remove or replace the file at `path`, and gives an account with a quota back what
    /// is no more.
    fn releasing(
        &mut self,
        path: &VirtualPath,
        change: impl FnOnce(&Vfs) -> io::Result<()>,
    ) -> Result<io::Result<()>, Stop> {
        let services = Arc::clone(&self.services);
        let login = self.logged_in()?;
        let quota = login.account.options.quota;
        let tally = quota.and_then(|_| services.quotas.known(&login.account.name));
        let vfs = &login.vfs;
        Ok(match tally {
            Some(tally) => {
                let alone = tally.alone();
                let (result, gone) = vfs.releasing(path, || change(vfs));
                gone.into_iter().for_each(|(file, bytes)| alone.gone(file, bytes));
                result
            }
            None => change(vfs),
        })
    }

    /// Tells of a change, made or refused, and gives its result on.
    fn changed(
        &self,
        kind: ChangeKind,
        target: &VirtualPath,
        to: Option<&VirtualPath>,
        result: io::Result<()>,
    ) -> io::Result<()> {
        let result = result.map(|()| 0);
        self.tell_change(kind, target, to, &result);
        result.map(drop)
    }
}

/// The client's tree keeps its root.
fn not_the_root(path: VirtualPath) -> Result<VirtualPath, Stop> {
    if path.is_root() {
        return Err(refused(ReplyCode::FileUnavailable, "/: The root stays where it is."));
    }
    Ok(path)
}

/// Unix seconds of a time in UTC, if the calendar has it.
fn moment(time: CivilTime) -> Result<i64, Stop> {
    time.to_unix().ok_or_else(|| refused(ReplyCode::ArgumentError, "There is no such time."))
}

/// A time-val, in UTC (RFC 3659 section 2.3), of Unix seconds.
fn time_val(seconds: i64) -> [u8; 14] {
    CivilTime::utc(seconds).time_val()
}
