//! The file of one upload, from its opening to its end.
//!
//! It is written in place, under a new name or in a file that is held against other sessions; or
//! as a draft, which nobody sees before it is put in place. Whatever goes wrong, only what this
//! upload made is removed, and only while it has its name still and nobody else has written to it.

use std::fs::File;
use std::io::{self, ErrorKind, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;

use super::super::data::Failure;
use super::counting::Counting;
use super::decide::{Otherwise, Plan, Way};
use crate::clients::Quota;
use crate::dtp::{Allowance, Range, Target, TransferError};
use crate::proto::path::VirtualPath;
use crate::session::rights::Rights;
use crate::session::state::NewFile;
use crate::sys::files;
use crate::vfs::{Create, Draft, FileError, Over, Vfs};

/// Tries to make or take a file whose name others change at the same time.
const TRIES: usize = 5;

/// The bits of a draft that will get those of the file whose place it takes.
const PRIVATE: u32 = 0o600;

/// The place and the rules of an upload.
pub(super) struct Storage {
    pub vfs: Rc<Vfs>,
    pub mode: NewFile,
    pub rights: Rights,
    /// The bytes of the account's files, and how many there may be.
    pub quota: Option<Quota>,
    /// `--delete-aborted`
    pub delete_aborted: bool,
    /// `--sync-uploads`
    pub sync: bool,
}

/// The file of an upload. Dropping it before its end leaves everything as it was.
pub(super) struct Stored {
    place: Storage,
    plan: Plan,
    /// The name of the file in the end.
    pub target: VirtualPath,
    /// The file that is written to; `None`: it is made once the data connection is there.
    file: Option<File>,
    /// The place of the first byte.
    start: u64,
    /// `target` is a file that this upload made.
    made: bool,
    /// The file that is written in place was there before, and is to have nothing of what it had.
    emptied: bool,
    unique: bool,
    draft: Option<DraftOf>,
    counting: Option<Counting>,
    /// It counts what is written to a file under its name.
    counts_in_place: bool,
    ended: bool,
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
}

/// Why a file cannot be stored to.
#[derive(Debug)]
pub(super) enum StoreError {
    File(FileError),
    /// There is one, and it may not be replaced.
    Exists,
    /// Another session stores to it.
    Busy,
    /// The file that was to be continued is not there any more.
    Replaced,
    Write(TransferError),
}

impl Stored {
    /// `file` is what is there, opened to be written to.
    pub(super) fn prepare(
        mut place: Storage,
        wanted: VirtualPath,
        plan: Plan,
        file: Option<File>,
    ) -> Result<Stored, StoreError> {
        let counting = place.quota.take().map(Counting::new);
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
            counting,
            counts_in_place: false,
            ended: false,
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
        (self.target, self.unique) = (name, true);
        if self.plan.draft {
            return self.begin_draft(None, Some(open.file));
        }
        self.take_new(open.file)
    }

    fn prepare_existing(&mut self, file: File) -> Result<(), StoreError> {
        let held = files::hold(file.as_fd())?;
        if !held && self.plan.way != Way::Replace {
            return Err(StoreError::Busy);
        }
        // The other session goes on with a file that has no name by then, and is told so.
        self.plan.draft |= !held;
        if self.plan.way == Way::Append {
            self.start = length(&file)?;
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
        let vfs = Rc::clone(&self.place.vfs);
        let bits = if old.is_some() { PRIVATE } else { self.place.mode.bits };
        let (draft, mut open) = match vfs.draft(&self.target, bits) {
            Ok(made) => made,
            Err(error) => {
                self.remove_reserved(reserved.as_ref());
                return Err(error.into());
            }
        };
        let continues = matches!(self.plan.way, Way::Append | Way::Update);
        let result = match &old {
            Some((old, held)) => self.be_like(&mut open.file, old, *held, continues),
            None => self.place.mode.fix(&open.file).map_err(StoreError::from),
        };
        let old = old.map(|(old, _)| old);
        // What was made is removed with `self`, also when that has failed.
        self.draft = Some(DraftOf { draft, old, continues, reserved });
        self.file = Some(open.file);
        result
    }

    /// Makes a draft what `old` is to others, and if it `continues` that, to its writer.
    fn be_like(&self, draft: &mut File, old: &File, held: bool, continues: bool) -> Result<(), StoreError> {
        files::take_permissions(draft.as_fd(), old.as_fd())?;
        if continues {
            copy(&self.place.vfs, &self.target, old, draft)?;
        } else if held && let Some(counting) = &self.counting {
            counting.expect_to_free(length(old)?);
        }
        Ok(())
    }

    /// Sets where the first byte goes; `false` if there is no such place.
    pub(super) fn seek(
        &mut self,
        offset: impl FnOnce(&File, u64) -> Result<Option<u64>, TransferError>,
    ) -> Result<bool, TransferError> {
        let Some(file) = &self.file else { return Ok(false) };
        let size = length(file).map_err(TransferError::FileRead)?;
        let found = offset(file, size)?;
        self.start = found.unwrap_or(0);
        Ok(found.is_some())
    }

    /// The data connection is there: makes or empties the file, and says where the bytes go.
    pub(super) fn begin(&mut self) -> Result<Target<'_>, StoreError> {
        if self.draft.is_none() {
            match self.plan.way {
                Way::New => self.make_or_take()?,
                Way::Unique => (),
                // A file that was removed or renamed meanwhile is not what the client means.
                Way::Replace if !self.is_in_place()? => self.make_or_take()?,
                Way::Replace => self.empty()?,
                Way::Append | Way::Update if !self.is_in_place()? => return Err(StoreError::Replaced),
                Way::Append => self.start = self.file.as_ref().map_or(Ok(0), length)?,
                Way::Update => (),
            }
        }
        let file = self.file.as_ref().ok_or(StoreError::Replaced)?;
        if self.draft.is_none()
            && let Some(counting) = &mut self.counting
        {
            counting.writes_to(file);
            self.counts_in_place = true;
        }
        let allowance = self.counting.as_ref().map(|counting| counting as &dyn Allowance);
        Ok(Target { file, range: Range::from(self.start), allowance })
    }

    fn is_in_place(&self) -> io::Result<bool> {
        self.file.as_ref().map_or(Ok(false), |file| self.place.vfs.is_at(&self.target, file))
    }

    /// Makes the file, or takes what somebody else has made meanwhile.
    fn make_or_take(&mut self) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            match self.place.vfs.create(&self.target, Create::New, self.place.mode.bits) {
                Ok(open) => return self.take_new(open.file),
                Err(FileError::Io(error)) if error.kind() == ErrorKind::AlreadyExists => (),
                Err(error) => return Err(error.into()),
            }
            if self.place.rights.own_names {
                return self.prepare_unique();
            }
            if !self.place.rights.overwrite {
                return Err(StoreError::Exists);
            }
            let (way, how, draft) = match self.plan.otherwise {
                Otherwise::Replace => (Way::Replace, Create::Replace, false),
                Otherwise::ReplaceWhole => (Way::Replace, Create::Replace, true),
                Otherwise::Append => (Way::Append, Create::Append, false),
            };
            match self.place.vfs.open_to_write(&self.target, how) {
                Ok(open) => {
                    (self.plan.way, self.plan.draft) = (way, draft);
                    self.prepare_existing(open.file)?;
                    return match way {
                        Way::Replace if !self.plan.draft => self.empty(),
                        _ => Ok(()),
                    };
                }
                // A link that leads nowhere: what it names is made.
                Err(FileError::Io(error)) if error.kind() == ErrorKind::NotFound => {
                    self.target = self.place.vfs.resolved(&self.target)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Busy)
    }

    /// A file that this upload has made, under its name.
    fn take_new(&mut self, file: File) -> Result<(), StoreError> {
        let file = self.file.insert(file);
        self.made = true;
        if !files::hold(file.as_fd())? {
            // Another session was quicker, and stores to it.
            self.made = false;
            return Err(StoreError::Busy);
        }
        Ok(self.place.mode.fix(file)?)
    }

    fn empty(&mut self) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        self.emptied = true;
        if length(file)? > 0 {
            file.set_len(0).map_err(|error| StoreError::Write(TransferError::of_write(error)))?;
        }
        Ok(())
    }

    /// All has come: hands it to the file system, and puts a draft in place.
    pub(super) fn complete(&mut self) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        let late = |error| StoreError::Write(TransferError::of_write(error));
        files::flush(file.as_fd()).map_err(late)?;
        if self.place.sync {
            files::sync(file.as_fd()).map_err(late)?;
        }
        match &self.draft {
            Some(_) => self.publish()?,
            // Somebody has removed it, or put another in its place.
            None if file.metadata().is_ok_and(|metadata| metadata.nlink() == 0) => {
                return Err(StoreError::Replaced);
            }
            None => (),
        }
        if let Some(file) = self.file.as_ref().filter(|_| self.place.sync) {
            self.place.vfs.sync_name(&self.target, file).map_err(late)?;
        }
        self.end();
        Ok(())
    }

    fn publish(&mut self) -> Result<(), StoreError> {
        let (Some(file), Some(draft)) = (&self.file, &mut self.draft) else { return Ok(()) };
        let over = match (&draft.old, &draft.reserved) {
            (_, Some(reserved)) => Over::Only(reserved),
            (Some(old), _) if draft.continues => Over::Only(old),
            _ if self.plan.otherwise == Otherwise::Append => Over::Nothing,
            _ if self.place.rights.overwrite => Over::Anything,
            _ => Over::Nothing,
        };
        let (vfs, target, otherwise) = (&self.place.vfs, &self.target, self.plan.otherwise);
        let put = |draft: &mut Draft| {
            vfs.publish(draft, file, target, &over).map_err(|error| unpublished(error, otherwise))
        };
        match &self.counting {
            None => put(&mut draft.draft)?,
            Some(counting) => {
                let in_the_way = |draft: &Draft| vfs.in_the_way(draft, target);
                counting.publish(file, &mut draft.draft, in_the_way, put)?;
            }
        }
        self.draft = None;
        Ok(())
    }

    /// The upload has failed: what was there stays, and what is not to stay goes. `written` bytes were
    /// stored before.
    pub(super) fn undo(&mut self, failure: &Failure, written: u64) {
        let refused = match failure {
            Failure::Refused(_) | Failure::NotOpened(_) => true,
            Failure::Broken(error) => error.is_over_limit(),
        };
        self.take_back(refused, written);
    }

    fn take_back(&mut self, refused: bool, written: u64) {
        if let Some(draft) = self.draft.take() {
            self.remove_reserved(draft.reserved.as_ref());
        } else if let Some(file) = &self.file {
            let to_go = self.made && (refused || self.place.delete_aborted)
                || self.emptied && self.place.delete_aborted;
            // Others than sessions may have written to it, too.
            let is_own = || length(file).is_ok_and(|length| length == self.start + written);
            // What cannot be taken away stays; the reply says already that the upload failed.
            if to_go && is_own() {
                let _ = self.place.vfs.remove_own(&self.target, file);
            } else if refused && self.plan.way == Way::Append && written > 0 && is_own() {
                let _ = file.set_len(self.start);
            }
        }
        self.end();
    }

    /// The name that was kept for a draft is free again.
    fn remove_reserved(&self, reserved: Option<&File>) {
        if let Some(reserved) = reserved.filter(|reserved| length(reserved).is_ok_and(|length| length == 0)) {
            // It is empty, and no worse than a name that is taken.
            let _ = self.place.vfs.remove_own(&self.target, reserved);
        }
    }

    /// Nothing more becomes of the file.
    fn end(&mut self) {
        self.ended = true;
        if let (Some(file), Some(counting), true) = (&self.file, &mut self.counting, self.counts_in_place) {
            counting.written(file, self.start);
        }
    }

    /// The name that was found for the file, where it is not the one that was asked for.
    pub(super) fn unique_name(&self) -> Option<&[u8]> {
        self.unique.then(|| self.target.file_name().unwrap_or_default())
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        if !self.ended {
            self.take_back(true, 0);
        }
    }
}

/// Copies what the file at `path` has, which must be `old` still.
fn copy(vfs: &Vfs, path: &VirtualPath, old: &File, to: &mut File) -> Result<(), StoreError> {
    let mut from = vfs.open(path)?.file;
    let (is, was) = (from.metadata()?, old.metadata()?);
    if (is.dev(), is.ino()) != (was.dev(), was.ino()) {
        return Err(StoreError::Busy);
    }
    let copied = io::copy(&mut from, to).and_then(|_| to.rewind());
    copied.map_err(|error| StoreError::Write(TransferError::of_write(error)))
}

fn length(file: &File) -> io::Result<u64> {
    file.metadata().map(|metadata| metadata.len())
}

/// Why a draft did not get its place.
fn unpublished(error: io::Error, otherwise: Otherwise) -> StoreError {
    match error.kind() {
        ErrorKind::StaleNetworkFileHandle => StoreError::Replaced,
        // There was nothing to append to when this began.
        ErrorKind::AlreadyExists if otherwise == Otherwise::Append => StoreError::Replaced,
        ErrorKind::AlreadyExists => StoreError::Exists,
        kind if is_about_name(kind) => StoreError::File(error.into()),
        _ => StoreError::Write(TransferError::of_write(error)),
    }
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
