//! The file of one upload, from its opening to its end.
//!
//! It is written in place, under a new name or in a file that is held against other sessions; or
//! as a draft, which nobody sees before it is put in place. Whatever goes wrong, only what this
//! upload made is removed, and only while it has its name still.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;

use super::super::data::Failure;
use super::decide::{Plan, Way};
use crate::clients::{Quota, UnderWay};
use crate::dtp::{Allowance, Range, Target, TransferError};
use crate::proto::path::VirtualPath;
use crate::session::rights::Rights;
use crate::session::state::NewFile;
use crate::sys::files;
use crate::vfs::{Create, Draft, FileError, Over, Vfs};

/// Tries to make or take a file whose name others change at the same time.
const TRIES: usize = 5;

/// Where and by which rules files are stored.
pub(super) struct Storage {
    pub vfs: Rc<Vfs>,
    pub mode: NewFile,
    pub rights: Rights,
    /// What the account's files come to, and may come to.
    pub quota: Option<Quota>,
    /// `--delete-aborted`
    pub delete_aborted: bool,
    /// `--sync-uploads`
    pub sync: bool,
}

/// The file of an upload.
pub(super) struct Stored {
    place: Storage,
    plan: Plan,
    /// What the file is called in the end.
    pub target: VirtualPath,
    /// What is written to; `None`: it is made once the data connection is there.
    file: Option<File>,
    /// Where the first byte goes.
    start: u64,
    /// `target` is a file that this upload made.
    made: bool,
    /// What was in the file that is written in place is gone.
    emptied: bool,
    unique: bool,
    draft: Option<DraftOf>,
    _under_way: Option<UnderWay>,
}

/// A draft, and what it is to take the place of.
struct DraftOf {
    draft: Draft,
    /// A file that is there, and held if it could be.
    old: Option<File>,
    /// Only that one may be replaced: the draft is a copy of it, with more.
    continues: bool,
    /// STOU's: the empty file that keeps the name.
    reserved: Option<File>,
    /// Bytes that the draft began with, which the tally has counted for the old file.
    copied: u64,
    /// Bytes of the old file that the tally was told not to count any more.
    credit: u64,
}

/// Why a file cannot be stored to.
#[derive(Debug)]
pub(super) enum StoreError {
    File(FileError),
    /// There is one, and it may not be replaced.
    Exists,
    /// Another session stores to it.
    Busy,
    /// What was to be continued is not there any more.
    Replaced,
    Write(TransferError),
}

impl Stored {
    /// `file` is what is there, opened to be written to.
    pub(super) fn prepare(
        place: Storage,
        wanted: VirtualPath,
        plan: Plan,
        file: Option<File>,
    ) -> Result<Stored, StoreError> {
        let under_way = place.quota.as_ref().map(|quota| quota.tally.begin());
        let mut stored = Stored {
            place,
            plan,
            target: wanted,
            file: None,
            start: 0,
            made: false,
            emptied: false,
            unique: false,
            draft: None,
            _under_way: under_way,
        };
        match (plan.way, file) {
            (Way::New, _) => stored.prepare_new()?,
            (Way::Unique, _) => stored.prepare_unique()?,
            (Way::Replace | Way::Append | Way::Update, Some(file)) => stored.prepare_existing(file)?,
            (Way::Replace | Way::Append | Way::Update, None) => return Err(StoreError::Exists),
        }
        Ok(stored)
    }

    fn prepare_new(&mut self) -> Result<(), StoreError> {
        self.place.vfs.may_create(&self.target)?;
        if self.plan.draft {
            self.target = self.place.vfs.resolved(&self.target)?;
            self.begin_draft(None, None)?;
        }
        Ok(())
    }

    fn prepare_unique(&mut self) -> Result<(), StoreError> {
        let (name, open) = self.place.vfs.create_unique(&self.target, self.place.mode.bits)?;
        (self.target, self.unique, self.made) = (name, true, true);
        self.place.mode.fix(&open.file)?;
        if self.plan.draft {
            return self.begin_draft(None, Some(open.file));
        }
        self.file = Some(open.file);
        Ok(())
    }

    fn prepare_existing(&mut self, file: File) -> Result<(), StoreError> {
        let held = files::hold(file.as_fd())?;
        match self.plan.way {
            // Whoever stores to it goes on with a file that has no name by then, and is told so.
            Way::Replace => self.plan.draft |= !held,
            _ if !held => return Err(StoreError::Busy),
            Way::Append => self.start = length(&file)?,
            _ => (),
        }
        if !self.plan.draft {
            self.file = Some(file);
            return Ok(());
        }
        self.target = self.place.vfs.resolved(&self.target)?;
        match self.begin_draft(Some((file, held)), None) {
            // The account may write into the file, and not into its directory.
            Err(StoreError::File(FileError::Io(error)))
                if !held && error.kind() == ErrorKind::PermissionDenied =>
            {
                Err(StoreError::Busy)
            }
            result => result,
        }
    }

    /// A draft of `target`, in place of `old` if there is one.
    fn begin_draft(&mut self, old: Option<(File, bool)>, reserved: Option<File>) -> Result<(), StoreError> {
        let vfs = &self.place.vfs;
        let (draft, mut open) = vfs.draft(&self.target, self.place.mode.bits)?;
        let continues = matches!(self.plan.way, Way::Append | Way::Update);
        let (mut copied, mut credit) = (0, 0);
        match &old {
            Some((old, held)) => {
                // What takes its place is what it was to others.
                files::set_mode(open.file.as_fd(), old.metadata()?.mode() & 0o777)?;
                if continues {
                    copied = copy(vfs, &self.target, old, &mut open.file)?;
                } else if *held && let Some(Quota { tally, .. }) = &self.place.quota {
                    credit = old.metadata()?.len();
                    tally.give_back(credit);
                }
            }
            None => self.place.mode.fix(&open.file)?,
        }
        let old = old.map(|(old, _)| old);
        self.draft = Some(DraftOf { draft, old, continues, reserved, copied, credit });
        self.file = Some(open.file);
        Ok(())
    }

    /// Sets where the first byte goes; `false` if there is no such place.
    pub(super) fn seek(
        &mut self,
        offset: impl FnOnce(&File, u64) -> Result<Option<u64>, TransferError>,
    ) -> Result<bool, TransferError> {
        let Some(file) = &self.file else { return Ok(false) };
        let size = file.metadata().map_err(TransferError::FileRead)?.len();
        let found = offset(file, size)?;
        self.start = found.unwrap_or(0);
        Ok(found.is_some())
    }

    /// The data connection is there: makes or empties the file, and says where the bytes go.
    pub(super) fn begin(&mut self) -> Result<Target<'_>, StoreError> {
        if self.draft.is_none() {
            match self.plan.way {
                Way::New => self.make_or_take()?,
                Way::Replace => self.empty()?,
                Way::Append => self.start = self.file.as_ref().map_or(Ok(0), length)?,
                Way::Unique | Way::Update => (),
            }
        }
        let allowance = self.place.quota.as_ref().map(|quota| quota as &dyn Allowance);
        let file = self.file.as_ref().ok_or(StoreError::Replaced)?;
        Ok(Target { file, range: Range::from(self.start), allowance })
    }

    /// Makes the file, or takes what somebody else has made meanwhile.
    fn make_or_take(&mut self) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            match self.place.vfs.create(&self.target, Create::New, self.place.mode.bits) {
                Ok(open) => {
                    self.made = true;
                    self.place.mode.fix(&open.file)?;
                    let held = files::hold(open.file.as_fd())?;
                    self.file = Some(open.file);
                    return if held { Ok(()) } else { Err(StoreError::Busy) };
                }
                Err(FileError::Io(error)) if error.kind() == ErrorKind::AlreadyExists => (),
                Err(error) => return Err(error.into()),
            }
            if self.place.rights.own_names {
                return self.prepare_unique();
            }
            if !self.place.rights.overwrite {
                return Err(StoreError::Exists);
            }
            match self.place.vfs.open_to_write(&self.target, Create::Replace) {
                Ok(open) if files::hold(open.file.as_fd())? => {
                    self.file = Some(open.file);
                    return self.truncate();
                }
                Ok(_) => return Err(StoreError::Busy),
                // A link that leads nowhere: what it names is made.
                Err(FileError::Io(error)) if error.kind() == ErrorKind::NotFound => {
                    self.target = self.place.vfs.resolved(&self.target)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Busy)
    }

    /// Empties the file that is there; another, if that has its name by now.
    fn empty(&mut self) -> Result<(), StoreError> {
        match &self.file {
            Some(file) if file.metadata()?.nlink() > 0 => self.truncate(),
            _ => self.make_or_take(),
        }
    }

    fn truncate(&mut self) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        let size = length(file)?;
        if size > 0 {
            file.set_len(0).map_err(|error| StoreError::Write(TransferError::of_write(error)))?;
            self.emptied = true;
            self.give_back(size);
        }
        Ok(())
    }

    /// All has come: hands it to the file system, and puts a draft in place.
    pub(super) fn complete(&mut self) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        let late = |error| StoreError::Write(TransferError::of_write(error));
        files::flush(file.as_fd()).map_err(late)?;
        match &self.draft {
            Some(_) => self.publish()?,
            // Somebody has removed it, or put another in its place.
            None if file.metadata().is_ok_and(|metadata| metadata.nlink() == 0) => {
                return Err(StoreError::Replaced);
            }
            None => (),
        }
        match &self.file {
            Some(file) if self.place.sync => self.place.vfs.sync(&self.target, file).map_err(late),
            _ => Ok(()),
        }
    }

    fn publish(&mut self) -> Result<(), StoreError> {
        let (Some(file), Some(draft)) = (&self.file, &mut self.draft) else { return Ok(()) };
        if self.place.sync {
            files::sync(file.as_fd()).map_err(|error| StoreError::Write(TransferError::of_write(error)))?;
        }
        let over = match (&draft.old, &draft.reserved) {
            (_, Some(reserved)) => Over::Only(reserved),
            (Some(old), _) if draft.continues => Over::Only(old),
            _ if self.place.rights.overwrite => Over::Anything,
            _ => Over::Nothing,
        };
        let vfs = &self.place.vfs;
        let put = |draft: &mut Draft| vfs.publish(draft, file, &self.target, &over);
        let freed = |old: &Option<File>| {
            let old = old.as_ref().and_then(|old| old.metadata().ok());
            old.filter(|old| old.nlink() == 0).map_or(0, |old| old.len())
        };
        let published = match &self.place.quota {
            Some(Quota { tally, .. }) => {
                let before = draft.copied + draft.credit;
                tally.releasing(|| {
                    let result = put(&mut draft.draft);
                    // The draft counts whole from here on, and the old file does not, if it is gone.
                    if result.is_ok() {
                        tally.add(before);
                    }
                    let released = if result.is_ok() { freed(&draft.old) } else { 0 };
                    (result, released)
                })
            }
            None => put(&mut draft.draft),
        };
        published.map_err(|error| match error.kind() {
            ErrorKind::StaleNetworkFileHandle => StoreError::Replaced,
            ErrorKind::AlreadyExists => StoreError::Exists,
            kind if is_about_name(kind) => StoreError::File(error.into()),
            _ => StoreError::Write(TransferError::of_write(error)),
        })?;
        self.draft = None;
        Ok(())
    }

    /// The upload has failed: what was there stays, and what is not to stay goes.
    pub(super) fn undo(&mut self, failure: &Failure) {
        if let Some(draft) = self.draft.take() {
            return self.drop_draft(draft);
        }
        let Some(file) = self.file.take() else { return };
        let refused = match failure {
            Failure::Refused(_) | Failure::NotOpened(_) => true,
            Failure::Broken(error) => error.is_over_limit(),
        };
        let size = length(&file).unwrap_or(0);
        if self.made && (refused || self.place.delete_aborted) || self.emptied && self.place.delete_aborted {
            // What cannot be removed stays; the reply says already that the upload failed.
            if self.place.vfs.remove_own(&self.target, &file).is_ok_and(|gone| gone) {
                self.give_back(size);
            }
        } else if refused && self.plan.way == Way::Append && size > self.start {
            // What was added is taken away again.
            if file.set_len(self.start).is_ok() {
                self.give_back(size - self.start);
            }
        }
    }

    fn drop_draft(&mut self, draft: DraftOf) {
        if let Some(Quota { tally, .. }) = &self.place.quota {
            tally.add(draft.credit);
            let written = self.file.as_ref().map_or(0, |file| length(file).unwrap_or(0));
            tally.give_back(written.saturating_sub(draft.copied));
        }
        self.file = None;
        if let Some(reserved) = &draft.reserved
            && length(reserved).is_ok_and(|length| length == 0)
        {
            // It is empty, and no worse than a name that is taken.
            let _ = self.place.vfs.remove_own(&self.target, reserved);
        }
    }

    /// The name that was found for the file, where it is not the one that was asked for.
    pub(super) fn unique_name(&self) -> Option<&[u8]> {
        self.unique.then(|| self.target.file_name().unwrap_or_default())
    }

    fn give_back(&self, bytes: u64) {
        self.place.quota.iter().for_each(|quota| quota.tally.give_back(bytes));
    }
}

impl Allowance for Quota {
    fn take(&self, bytes: u64) -> bool {
        self.take(bytes)
    }
}

/// Copies what the file at `path` has, which must be `old` still; returns its bytes.
fn copy(vfs: &Vfs, path: &VirtualPath, old: &File, to: &mut File) -> Result<u64, StoreError> {
    let mut from = vfs.open(path)?.file;
    let (is, was) = (from.metadata()?, old.metadata()?);
    if (is.dev(), is.ino()) != (was.dev(), was.ino()) {
        return Err(StoreError::Busy);
    }
    io::copy(&mut from, to).map_err(|error| StoreError::Write(TransferError::of_write(error)))
}

fn length(file: &File) -> io::Result<u64> {
    file.metadata().map(|metadata| metadata.len())
}

/// Whether an error says something of a name, rather than of a disk.
fn is_about_name(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::IsADirectory
            | ErrorKind::NotADirectory
            | ErrorKind::InvalidFilename
            | ErrorKind::ResourceBusy
            | ErrorKind::TooManyLinks
            | ErrorKind::InvalidInput
    )
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> StoreError {
        StoreError::File(error)
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> StoreError {
        StoreError::File(error.into())
    }
}
