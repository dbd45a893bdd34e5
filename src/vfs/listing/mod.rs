//! LIST, NLST and MLSD: what is to be listed, and writing it as it is made.
//!
//! `Vfs::listing` finds out all that can be refused, so that the session can still say
//! so before its 150. `Listing::write` then sends pieces of up to 64 KiB. MLSD goes
//! through the directory as it is read. LIST and NLST are sorted, and so keep names of one
//! directory (`names`), but nothing else of them. Recursion is a list of what is still to
//! be done and follows no links, so neither a deep tree nor a loop costs any stack.

mod names;
mod zone;

use std::ffi::CStr;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::facts::entry_kind;
use super::{FileError, Vfs, glob};
use crate::proto::facts::FactSet;
use crate::proto::ls_line::{Entry, write_name_line};
use crate::proto::ls_options::{LsOptions, Sort, TimeShown};
use crate::proto::path::VirtualPath;
use crate::sys::clock;
use crate::sys::files::{self, DirBuffer, Kind, Stat};
use names::{Names, Order};
use zone::Zone;

/// What the client asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListRequest<'a> {
    pub kind: ListKind,
    /// What followed the verb, empty for nothing.
    pub argument: &'a [u8],
    pub limits: ListLimits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// LIST, and STAT with a path-name: options, wildcards, `ls -lA`.
    List,
    /// NLST: the same, names alone.
    Names,
    /// MLSD: a directory's files and their facts; no options, no wildcards.
    Facts(FactSet),
}

/// How much one listing may say; `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListLimits {
    /// Files in all. Also limits what wildcards match, 10,000 else.
    pub files: Option<usize>,
    /// Directories below the first that `-R` goes down.
    pub depth: Option<usize>,
}

/// A listing that can begin.
pub(crate) struct Listing<'a> {
    vfs: &'a Vfs,
    kind: ListKind,
    options: LsOptions,
    limits: ListLimits,
    /// Told of by their own names, before all directories.
    files: Vec<Operand>,
    /// Told of by what is in them.
    directories: Vec<Operand>,
}

/// One of the things that the argument stands for.
struct Operand {
    path: VirtualPath,
    /// As the client wrote it.
    shown: Vec<u8>,
    /// Its own state, a link's included.
    stat: Stat,
    /// A directory that is already open.
    opened: Option<OwnedFd>,
}

/// What a listing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Files told of.
    pub files: usize,
    /// There were more, but for the limits.
    pub truncated: bool,
}

/// What ended a listing that had begun.
#[derive(Debug)]
pub(crate) enum ListingError<E> {
    /// A directory could not be read to its end.
    Files(io::Error),
    /// The sink would not take it.
    Sink(E),
}

/// What wildcards may match when no limit is set.
const MAX_MATCHES: usize = 10_000;

/// A piece is sent when it has got this long. The longest line (a name and a link's
/// target) fits into as much again.
const PIECE: usize = 32 * 1024;

impl Vfs {
    /// Finds what is to be listed, and opens it. A path that does not exist, or that
    /// may not be read, is an error here and not an empty listing.
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
            // The names that wildcards match are what NLST is asked for, not what is in them.
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
        listing.sort_files();
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

    /// The one thing that `path` stands for; `None` when it can only be a pattern.
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
    /// Files an operand as one to be told of itself, or by what is in it. A link to a
    /// directory stands for the directory: it is what CWD would make of it.
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

    fn sort_files(&mut self) {
        let options = self.options;
        if let Sort::Time | Sort::Size = options.sort {
            self.files.sort_by_key(|operand| sort_key(&operand.stat, &options));
        }
        if options.reverse {
            self.files.reverse();
            self.directories.reverse();
        }
    }

    /// Writes it all into `sink`, which gets pieces of up to 64 KiB. A file that goes
    /// away meanwhile is left out.
    pub(crate) fn write<E>(
        self,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Listed, ListingError<E>> {
        let mut writer = Writer {
            vfs: self.vfs,
            options: self.options,
            kind: self.kind,
            depth: self.limits.depth.unwrap_or(usize::MAX),
            left: self.limits.files.unwrap_or(usize::MAX),
            listed: Listed { files: 0, truncated: false },
            begun: false,
            now: clock::now(),
            zone: Zone::default(),
            out: Vec::with_capacity(2 * PIECE),
            sink,
            buffer: DirBuffer::default(),
        };
        for operand in &self.files {
            writer.operand(operand)?;
        }
        let several = !self.files.is_empty() || self.directories.len() > 1;
        for operand in self.directories {
            writer.directory_operand(operand, several)?;
        }
        writer.flush()?;
        Ok(writer.listed)
    }
}

struct Writer<'a, 's, E> {
    vfs: &'a Vfs,
    options: LsOptions,
    kind: ListKind,
    depth: usize,
    /// Files that may still be told of.
    left: usize,
    listed: Listed,
    /// There are lines above, from which a heading is kept apart.
    begun: bool,
    now: i64,
    zone: Zone,
    out: Vec<u8>,
    sink: &'s mut dyn FnMut(&[u8]) -> Result<(), E>,
    buffer: DirBuffer,
}

/// A directory being listed: its descriptor, where it is, and how names in it are shown.
struct Open<'a> {
    fd: BorrowedFd<'a>,
    /// With a slash in front; empty for the root.
    path: &'a [u8],
    /// In front of each name of NLST.
    prefix: &'a [u8],
}

impl Open<'_> {
    fn virtual_path(&self) -> VirtualPath {
        VirtualPath::root().join(self.path).unwrap_or_default()
    }
}

/// A directory that `-R` has found and not listed yet.
struct Pending {
    /// How much of the path of its finder is its parent's.
    parent_len: usize,
    name: Box<[u8]>,
    depth: usize,
}

impl<E> Writer<'_, '_, E> {
    /// A file that the client named.
    fn operand(&mut self, operand: &Operand) -> Result<(), ListingError<E>> {
        if !self.take_place() {
            return Ok(());
        }
        let parent = self.vfs.root().parent(operand.path.relative());
        let target = match &parent {
            Ok((dir, name)) if operand.stat.is_symlink() => Vfs::read_link(dir.as_fd(), name),
            _ => None,
        };
        self.line(&operand.stat, b"", &operand.shown, target.as_deref())
    }

    /// A directory that the client named, and with `-R` those below it.
    fn directory_operand(&mut self, mut operand: Operand, several: bool) -> Result<(), ListingError<E>> {
        let opened = match operand.opened.take() {
            Some(fd) => fd,
            // One of several: the others are listed all the same.
            None => match self.vfs.open_dir(operand.path.relative(), OFlags::empty()) {
                Ok(fd) => fd,
                Err(_) => return Ok(()),
            },
        };
        if several {
            self.heading(&operand.shown, b"");
        }
        let mut path = if operand.path.is_root() { Vec::new() } else { operand.path.as_bytes().to_vec() };
        let base_len = path.len();
        let mut pending = Vec::new();
        self.directory(&operand, opened, &path, base_len, 0, &mut pending)?;
        while let Some(Pending { parent_len, name, depth }) = pending.pop() {
            path.truncate(parent_len);
            path.push(b'/');
            path.extend_from_slice(&name);
            // Not there any more, not for this user, or deeper than a path can say.
            let Ok(fd) = self.vfs.open_dir(&path[1..], OFlags::NOFOLLOW) else { continue };
            self.heading(&operand.shown, &path[base_len..]);
            self.directory(&operand, fd, &path, base_len, depth, &mut pending)?;
        }
        Ok(())
    }

    /// The line above a directory when there are several. Programs read NLST: none there.
    fn heading(&mut self, shown: &[u8], below: &[u8]) {
        if self.kind != ListKind::List {
            return;
        }
        if self.begun {
            self.out.extend_from_slice(b"\r\n");
        }
        let shown = if shown.is_empty() { b"." } else { shown };
        let shown = if below.is_empty() { shown } else { shown.strip_suffix(b"/").unwrap_or(shown) };
        write_name_line(&mut self.out, shown, below, Some(b':'));
        self.begun = true;
    }

    /// What is in one directory; leaves those in it in `pending`, the first one last.
    fn directory(
        &mut self,
        operand: &Operand,
        fd: OwnedFd,
        path: &[u8],
        base_len: usize,
        depth: usize,
        pending: &mut Vec<Pending>,
    ) -> Result<(), ListingError<E>> {
        // What ls says is read below a heading, what NLST says is given back as it is.
        let prefix = match self.kind {
            ListKind::Names => prefix(&operand.shown, &path[base_len..]),
            ListKind::List | ListKind::Facts(_) => Vec::new(),
        };
        let dir = Open { fd: fd.as_fd(), path, prefix: &prefix };
        if let ListKind::Facts(set) = self.kind {
            return self.facts(&dir, set);
        }
        let mut names = Names::new(order(self.options.sort), self.options.reverse);
        let allowed = self.left;
        let mut found = Vec::new();
        loop {
            self.read_names(&dir, &mut names, allowed)?;
            for (name, kind) in names.iter() {
                if !self.can_take() {
                    break;
                }
                self.left -= 1;
                let is_dir = self.item(&dir, name, kind)?;
                if is_dir && self.options.recursive && depth < self.depth && !is_dots(name) {
                    found.push(Pending {
                        parent_len: path.len(),
                        name: name.to_bytes().into(),
                        depth: depth + 1,
                    });
                }
            }
            if !names.next_range() {
                break;
            }
        }
        pending.extend(found.into_iter().rev());
        Ok(())
    }

    /// Writes one name of a directory; whether it is a directory itself, if that matters.
    fn item(&mut self, dir: &Open<'_>, name: &CStr, kind: Kind) -> Result<bool, ListingError<E>> {
        let options = self.options;
        let needs_stat = options.long || options.classify || (options.recursive && kind == Kind::Unknown);
        if !needs_stat {
            write_name_line(&mut self.out, dir.prefix, name.to_bytes(), None);
            self.listed.files += 1;
            self.flush_full()?;
            return Ok(kind == Kind::Directory);
        }
        let Ok(stat) = self.stat(dir, name) else { return Ok(false) };
        self.listed.files += 1;
        let target = if options.long && stat.is_symlink() { Vfs::read_link(dir.fd, name) } else { None };
        let prefix = if options.long { b"" } else { dir.prefix };
        self.line(&stat, prefix, name.to_bytes(), target.as_deref())?;
        Ok(stat.is_dir())
    }

    /// `..` of the root is the root, here as everywhere.
    fn stat(&self, dir: &Open<'_>, name: &CStr) -> io::Result<Stat> {
        if name.to_bytes() != b".." {
            return files::stat_at(dir.fd, name);
        }
        let parent = dir.path.iter().rposition(|&byte| byte == b'/').map_or(&b""[..], |at| &dir.path[..at]);
        self.vfs.root().stat(if parent.is_empty() { b"." } else { &parent[1..] })
    }

    fn line(
        &mut self,
        stat: &Stat,
        prefix: &[u8],
        name: &[u8],
        target: Option<&[u8]>,
    ) -> Result<(), ListingError<E>> {
        let options = self.options;
        if options.long {
            let mut owners = self.vfs.owners.borrow_mut();
            let (owner, group) = owners.names(stat.uid, stat.gid, options.numeric);
            let time = time_shown(stat, &options);
            let entry = Entry {
                name,
                kind: entry_kind(stat),
                mode: stat.mode,
                links: stat.links,
                owner,
                group,
                size: stat.size,
                time,
                date: self.zone.local(time),
                target,
            };
            entry.write_long(&mut self.out, self.now, &options);
        } else {
            let sign = if options.classify { entry_kind(stat).indicator(stat.mode) } else { None };
            write_name_line(&mut self.out, prefix, name, sign);
        }
        self.flush_full()
    }

    /// Reads `allowed` names of a directory, and sorts those of the range that is asked for.
    fn read_names(
        &mut self,
        dir: &Open<'_>,
        names: &mut Names,
        allowed: usize,
    ) -> Result<(), ListingError<E>> {
        let (mut left, mut truncated) = (allowed, false);
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut take = |name: &CStr, kind| {
            truncated = left == 0 || !names.push(name, kind, self.key(dir, name));
            left = left.saturating_sub(1);
            if truncated { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let dots = if self.options.dots { &[c".", c".."][..] } else { &[] };
        if dots.iter().all(|name| take(name, Kind::Directory).is_continue()) {
            let window = self.vfs.window(dir.virtual_path());
            // Broken off or not, what has been read is listed.
            _ = files::read_dir(dir.fd, &mut buffer, |name, kind| {
                if self.vfs.shows(&window, name.to_bytes(), kind) {
                    take(name, kind)
                } else {
                    ControlFlow::Continue(())
                }
            })
            .map_err(ListingError::Files)?;
        }
        self.buffer = buffer;
        self.listed.truncated |= truncated;
        names.sort();
        Ok(())
    }

    /// What a name is sorted by before its bytes are compared.
    fn key(&self, dir: &Open<'_>, name: &CStr) -> u64 {
        match self.options.sort {
            Sort::Unsorted | Sort::Name => 0,
            Sort::Time | Sort::Size => {
                self.stat(dir, name).map_or(u64::MAX, |stat| sort_key(&stat, &self.options))
            }
        }
    }

    /// MLSD: each entry as it is read.
    fn facts(&mut self, dir: &Open<'_>, set: FactSet) -> Result<(), ListingError<E>> {
        let place = self.vfs.place(dir.fd).map_err(ListingError::Files)?;
        let mut path = dir.path.get(1..).unwrap_or_default().to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        let dir_len = path.len();
        let window = self.vfs.window(dir.virtual_path());
        let mut buffer = std::mem::take(&mut self.buffer);
        let read = files::read_dir(dir.fd, &mut buffer, |name, kind| {
            if !self.vfs.shows(&window, name.to_bytes(), kind) {
                return ControlFlow::Continue(());
            }
            let Ok(stat) = files::stat_at(dir.fd, name) else { return ControlFlow::Continue(()) };
            if !self.take_place() {
                return ControlFlow::Break(None);
            }
            path.truncate(dir_len);
            path.extend_from_slice(name.to_bytes());
            let name_line = name.to_bytes();
            self.vfs.write_facts(&mut self.out, set, &place, dir.fd, name, &stat, &path, name_line);
            self.out.extend_from_slice(b"\r\n");
            match self.flush_full() {
                Ok(()) => ControlFlow::Continue(()),
                Err(err) => ControlFlow::Break(Some(err)),
            }
        });
        self.buffer = buffer;
        match read {
            Ok(ControlFlow::Break(Some(err))) => Err(err),
            Ok(_) => Ok(()),
            Err(err) => Err(ListingError::Files(err)),
        }
    }

    /// Counts one file; `false` when the limit does not allow it.
    fn take_place(&mut self) -> bool {
        if !self.can_take() {
            self.listed.truncated = true;
            return false;
        }
        self.left -= 1;
        self.listed.files += 1;
        true
    }

    fn can_take(&self) -> bool {
        self.left > 0
    }

    fn flush_full(&mut self) -> Result<(), ListingError<E>> {
        self.begun = true;
        if self.out.len() < PIECE { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), ListingError<E>> {
        if !self.out.is_empty() {
            (self.sink)(&self.out).map_err(ListingError::Sink)?;
            self.out.clear();
        }
        Ok(())
    }
}

fn order(sort: Sort) -> Order {
    match sort {
        Sort::Unsorted => Order::None,
        Sort::Name => Order::Names,
        Sort::Time | Sort::Size => Order::Keys,
    }
}

/// The latest, and the largest, have the lowest key.
fn sort_key(stat: &Stat, options: &LsOptions) -> u64 {
    match options.sort {
        Sort::Size => !stat.size,
        // With the sign bit the other way, negative times sort as the lower numbers they are.
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

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// What makes a name in a directory one that can be given back: the directory as the
/// client wrote it, and how far below it we are.
fn prefix(shown: &[u8], below: &[u8]) -> Vec<u8> {
    let below = if shown.is_empty() || shown == b"." { below.get(1..).unwrap_or_default() } else { below };
    let shown = if shown == b"." { b"" } else { shown };
    let mut prefix = match below.is_empty() {
        true => shown.to_vec(),
        false => [shown.strip_suffix(b"/").unwrap_or(shown), below].concat(),
    };
    if !matches!(prefix.last(), None | Some(b'/')) {
        prefix.push(b'/');
    }
    prefix
}
