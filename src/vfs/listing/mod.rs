//! LIST, NLST and MLSD: finding out what is to be listed. `writer` then writes it.
//!
//! `Vfs::listing` meets every error that can be met before the first line, so that the session
//! can still refuse the command in place of its 150. MLSD lists a directory in the order in which
//! it is read. LIST and NLST are sorted, so the names of one directory are kept (`names`), and
//! nothing else of them.

mod names;
mod writer;
mod zone;

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{FileError, Vfs, glob};
use crate::proto::facts::FactSet;
use crate::proto::ls_options::{LsOptions, Sort, TimeShown};
use crate::proto::path::VirtualPath;
use crate::sys::files::Stat;

/// A listing that the client asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListRequest<'a> {
    pub kind: ListKind,
    /// The command's argument; empty if it has none.
    pub argument: &'a [u8],
    pub limits: ListLimits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// LIST, and STAT with a path-name: options, wildcards, lines of `ls -lA`.
    List,
    /// NLST: options, wildcards, names alone.
    Names,
    /// MLSD: the files of a directory and their facts; no options, no wildcards.
    Facts(FactSet),
}

/// How long one listing may get; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListLimits {
    /// Files in all. Wildcards may match as many, or 10,000 without this limit.
    pub files: Option<usize>,
    /// Directories below the first that `-R` goes down.
    pub depth: Option<usize>,
}

/// A listing that is ready to be written.
pub(crate) struct Listing<'a> {
    vfs: &'a Vfs,
    kind: ListKind,
    options: LsOptions,
    limits: ListLimits,
    /// ListingSummary themselves, in front of all directories.
    files: Vec<Operand>,
    /// Their files are listed.
    directories: Vec<Operand>,
}

/// A file or directory that the argument names or its wildcards match.
struct Operand {
    path: VirtualPath,
    /// As the client wrote it.
    shown: Vec<u8>,
    /// Of the name itself: of a link, the link's.
    stat: Stat,
    /// A directory that is already open.
    opened: Option<OwnedFd>,
}

/// How a listing went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListingSummary {
    /// Files that were listed.
    pub files: usize,
    /// The limits left some out.
    pub truncated: bool,
}

/// Why a listing broke off.
#[derive(Debug)]
pub(crate) enum ListingError<E> {
    /// A directory could not be read to its end.
    Files(io::Error),
    /// The sink failed.
    Sink(E),
}

impl Vfs {
    /// Finds what is to be listed, and opens it. A path that does not exist, or that may not be
    /// read, is an error here and not an empty listing.
    pub(crate) fn listing(
        &self,
        cwd: &VirtualPath,
        request: ListRequest<'_>,
    ) -> Result<Listing<'_>, FileError> {
        let ListRequest { kind, argument, limits } = request;
        if let ListKind::Facts(_) = kind {
            return self.facts_listing(cwd, request);
        }
        let (options, path) = LsOptions::parse(argument, kind == ListKind::List);
        let mut listing =
            Listing { vfs: self, kind, options, limits, files: Vec::new(), directories: Vec::new() };
        if let Some(operand) = self.operand(cwd, path)? {
            listing.add(operand, options.directory);
        } else {
            // With wildcards NLST is asked for the names that match, not for what is in them.
            let themselves = options.directory || kind == ListKind::Names;
            for found in self.expand(cwd, path, limits.files.unwrap_or(MAX_MATCHES))? {
                let Ok(stat) = self.stat_link(&found.path) else { continue };
                let operand = Operand { path: found.path, shown: found.shown, stat, opened: None };
                listing.add(operand, themselves);
            }
        }
        if let ([], [only]) = (&listing.files[..], &mut listing.directories[..]) {
            only.opened = Some(self.open_dir(only.path.relative(), OFlags::empty())?);
        }
        listing.sort_operands();
        Ok(listing)
    }

    fn facts_listing(&self, cwd: &VirtualPath, request: ListRequest<'_>) -> Result<Listing<'_>, FileError> {
        let path = cwd.join(request.argument).map_err(|_| Errno::NOENT)?;
        let stat = self.stat(&path)?;
        if !stat.is_dir() {
            return Err(FileError::NotDirectory);
        }
        let opened = Some(self.open_dir(path.relative(), OFlags::empty())?);
        Ok(Listing {
            vfs: self,
            kind: request.kind,
            options: LsOptions::new(false),
            limits: request.limits,
            files: Vec::new(),
            directories: vec![Operand { path, shown: Vec::new(), stat, opened }],
        })
    }

    /// The file that `path` names as it is; `None` if there is none and `path` may be a pattern.
    fn operand(&self, cwd: &VirtualPath, path: &[u8]) -> Result<Option<Operand>, FileError> {
        let looked_up = match cwd.join(path) {
            Ok(path) => self.stat_link(&path).map(|stat| (path, stat)),
            Err(_) => Err(Errno::NOENT.into()),
        };
        match looked_up {
            Ok((found, stat)) => Ok(Some(Operand { path: found, shown: path.to_vec(), stat, opened: None })),
            Err(_) if glob::is_pattern(path) => Ok(None),
            Err(err) => Err(err.into()),
        }
    }
}

impl Listing<'_> {
    /// Adds an operand, to be listed itself or to have its files listed. A link to a directory
    /// counts as the directory, as it does for CWD.
    fn add(&mut self, mut operand: Operand, themselves: bool) {
        if !themselves {
            let target = match operand.stat.is_symlink() {
                true => self.vfs.stat(&operand.path).ok(),
                false => Some(operand.stat),
            };
            if target.is_some_and(|stat| stat.is_dir()) {
                return self.directories.push(operand);
            }
        }
        if operand.shown.is_empty() {
            operand.shown = b".".to_vec();
        }
        self.files.push(operand);
    }

    /// Several come from wildcards, in the order of their names.
    fn sort_operands(&mut self) {
        let options = self.options;
        if let Sort::Time | Sort::Size = options.sort {
            self.files.sort_by_key(|operand| sort_key(&operand.stat, &options));
        }
        if options.reverse {
            self.files.reverse();
            self.directories.reverse();
        }
    }
}

/// The key by which `-t` and `-S` sort: the latest and the largest file have the lowest.
fn sort_key(stat: &Stat, options: &LsOptions) -> u64 {
    match options.sort {
        Sort::Size => !stat.size,
        // With the sign bit turned over, a time before 1970 is below all later ones.
        Sort::Time => !(time_shown(stat, options).cast_unsigned() ^ 1 << 63),
        Sort::Name | Sort::Unsorted => 0,
    }
}

fn time_shown(stat: &Stat, options: &LsOptions) -> i64 {
    match options.time {
        TimeShown::Modified => stat.modified,
        TimeShown::Accessed => stat.accessed,
        TimeShown::Changed => stat.changed,
    }
}

/// Files that wildcards may match when no limit is set.
const MAX_MATCHES: usize = 10_000;

#[cfg(test)]
pub(super) mod tests;
