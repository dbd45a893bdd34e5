//! Writes a listing as it is made: headings, lines, facts, and with `-R` one directory after another.
//!
//! Recursion is a list of directories that are still to be listed, and follows no links: neither a
//! deep tree nor a loop costs stack.

use std::ffi::CStr;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;

use super::names::{Names, Order};
use super::zone::Zone;
use super::{ListKind, Listing, ListingError, ListingSummary, Operand, sort_key, time_shown};
use crate::proto::facts::FactSet;
use crate::proto::ls_line::{LsEntry, write_name_line};
use crate::proto::ls_options::{LsOptions, Sort};
use crate::proto::path::VirtualPath;
use crate::sys::clock;
use crate::sys::files::{self, DirBuffer, Kind, Stat};
use crate::vfs::Vfs;
use crate::vfs::facts::entry_kind;

/// The length from which a piece of the listing goes to the sink. The longest line, a name and the
/// target of a link, is shorter, so that no piece is longer than two of these.
const PIECE: usize = 32 * 1024;

impl Listing<'_> {
    /// Hands the listing to `sink` in pieces of 32 to 64 KiB, and a shorter last one: nobody need
    /// collect them before they are sent. A file that goes away meanwhile is left out.
    pub(crate) fn write<E>(
        self,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<ListingSummary, ListingError<E>> {
        let mut writer = Writer {
            vfs: self.vfs,
            options: self.options,
            kind: self.kind,
            depth: self.limits.depth.unwrap_or(usize::MAX),
            left: self.limits.files.unwrap_or(usize::MAX),
            listed: ListingSummary { files: 0, truncated: false },
            begun: false,
            now: clock::now(),
            zone: Zone::default(),
            piece: Vec::with_capacity(2 * PIECE),
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
    /// Directories that `-R` may go down.
    depth: usize,
    /// Files that may still be listed.
    left: usize,
    listed: ListingSummary,
    /// Something has been written: an empty line parts it from the next heading.
    begun: bool,
    now: i64,
    zone: Zone,
    /// Written, but not handed to the sink yet.
    piece: Vec<u8>,
    sink: &'s mut dyn FnMut(&[u8]) -> Result<(), E>,
    buffer: DirBuffer,
}

/// A directory whose files are being listed.
struct OpenDir<'a> {
    fd: BorrowedFd<'a>,
    /// With a slash in front; empty for the root.
    path: &'a [u8],
    /// NLST puts it in front of each name.
    prefix: &'a [u8],
}

impl OpenDir<'_> {
    fn virtual_path(&self) -> VirtualPath {
        VirtualPath::root().join(self.path).unwrap_or_default()
    }
}

/// A directory that `-R` has found and not listed yet.
struct Pending {
    /// How much of the last directory's path is that of this one's parent.
    parent_len: usize,
    name: Box<[u8]>,
    depth: usize,
}

impl<E> Writer<'_, '_, E> {
    /// A file that the client named.
    fn operand(&mut self, operand: &Operand) -> Result<(), ListingError<E>> {
        if !self.take_one() {
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
            // The one of several that cannot be opened does not keep the others back.
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
            // It is gone, this account may not read it, or its path is too long.
            let Ok(fd) = self.vfs.open_dir(&path[1..], OFlags::NOFOLLOW) else { continue };
            self.heading(&operand.shown, &path[base_len..]);
            self.directory(&operand, fd, &path, base_len, depth, &mut pending)?;
        }
        Ok(())
    }

    /// The line above a directory when there are several. NLST has none: programs read it.
    fn heading(&mut self, shown: &[u8], below: &[u8]) {
        if self.kind != ListKind::List {
            return;
        }
        if self.begun {
            self.piece.extend_from_slice(b"\r\n");
        }
        let shown = if shown.is_empty() { b"." } else { shown };
        let shown = if below.is_empty() { shown } else { shown.strip_suffix(b"/").unwrap_or(shown) };
        write_name_line(&mut self.piece, shown, below, Some(b':'));
        self.begun = true;
    }

    /// The files of one directory. Its directories are added to `pending`, the first one last.
    fn directory(
        &mut self,
        operand: &Operand,
        fd: OwnedFd,
        path: &[u8],
        base_len: usize,
        depth: usize,
        pending: &mut Vec<Pending>,
    ) -> Result<(), ListingError<E>> {
        // A client gives NLST's names back as they are; those of LIST it reads below their heading.
        let prefix = match self.kind {
            ListKind::Names => prefix(&operand.shown, &path[base_len..]),
            ListKind::List | ListKind::Facts(_) => Vec::new(),
        };
        let dir = OpenDir { fd: fd.as_fd(), path, prefix: &prefix };
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

    /// Writes one name of a directory. Says whether it is a directory itself, which only `-R` asks.
    fn item(&mut self, dir: &OpenDir<'_>, name: &CStr, kind: Kind) -> Result<bool, ListingError<E>> {
        let options = self.options;
        let needs_stat = options.long || options.classify || (options.recursive && kind == Kind::Unknown);
        if !needs_stat {
            write_name_line(&mut self.piece, dir.prefix, name.to_bytes(), None);
            self.listed.files += 1;
            self.flush_full()?;
            return Ok(kind == Kind::Directory);
        }
        let stat = match self.stat(dir, name) {
            Ok(stat) => stat,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(false), // It has gone.
            // In a directory that may be read and not be searched, name and kind are all that is known.
            Err(_) => Stat::of_kind(kind),
        };
        self.listed.files += 1;
        let target = if options.long && stat.is_symlink() { Vfs::read_link(dir.fd, name) } else { None };
        let prefix = if options.long { b"" } else { dir.prefix };
        self.line(&stat, prefix, name.to_bytes(), target.as_deref())?;
        Ok(stat.is_dir())
    }

    /// The state of a name. `..` of the root is the root.
    fn stat(&self, dir: &OpenDir<'_>, name: &CStr) -> io::Result<Stat> {
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
            let entry = LsEntry {
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
            entry.write_long(&mut self.piece, self.now, &options);
        } else {
            let sign = if options.classify { entry_kind(stat).indicator(stat.mode) } else { None };
            write_name_line(&mut self.piece, prefix, name, sign);
        }
        self.flush_full()
    }

    /// Reads up to `allowed` names of a directory, and sorts those of the range that comes next.
    fn read_names(
        &mut self,
        dir: &OpenDir<'_>,
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
            // Broken off by the limit or not: the names up to there are listed.
            _ = files::read_dir(dir.fd, &mut buffer, |name, kind| {
                if self.vfs.shows(&window, name.to_bytes(), kind) {
                    return take(name, kind);
                }
                self.vfs.sweep(dir.fd, name);
                ControlFlow::Continue(())
            })
            .map_err(ListingError::Files)?;
        }
        self.buffer = buffer;
        self.listed.truncated |= truncated;
        names.sort();
        Ok(())
    }

    /// The key that `names` sorts a name by before it compares the names themselves.
    fn key(&self, dir: &OpenDir<'_>, name: &CStr) -> u64 {
        match self.options.sort {
            Sort::Unsorted | Sort::Name => 0,
            Sort::Time | Sort::Size => {
                self.stat(dir, name).map_or(u64::MAX, |stat| sort_key(&stat, &self.options))
            }
        }
    }

    /// MLSD: the facts of each file, in the order in which the directory is read.
    fn facts(&mut self, dir: &OpenDir<'_>, set: FactSet) -> Result<(), ListingError<E>> {
        let parent = self.vfs.as_parent(dir.fd).map_err(ListingError::Files)?;
        let mut path = dir.path.get(1..).unwrap_or_default().to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        let dir_len = path.len();
        let window = self.vfs.window(dir.virtual_path());
        let mut buffer = std::mem::take(&mut self.buffer);
        let read = files::read_dir(dir.fd, &mut buffer, |name, kind| {
            if !self.vfs.shows(&window, name.to_bytes(), kind) {
                self.vfs.sweep(dir.fd, name);
                return ControlFlow::Continue(());
            }
            let stat = match files::stat_at(dir.fd, name) {
                Err(err) if err.kind() == io::ErrorKind::NotFound => return ControlFlow::Continue(()),
                stat => stat.ok(),
            };
            if !self.take_one() {
                return ControlFlow::Break(None);
            }
            path.truncate(dir_len);
            path.extend_from_slice(name.to_bytes());
            let shown = name.to_bytes();
            match stat {
                Some(stat) => {
                    self.vfs.write_facts(&mut self.piece, set, &parent, dir.fd, name, &stat, &path, shown);
                }
                // Its directory may be read and not be searched: no other fact is known, and none is made up.
                None => set.write_kind_alone(&mut self.piece, entry_kind(&Stat::of_kind(kind)), shown),
            }
            self.piece.extend_from_slice(b"\r\n");
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

    /// Counts one file; `false` if the limit does not allow it.
    fn take_one(&mut self) -> bool {
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
        if self.piece.len() < PIECE { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), ListingError<E>> {
        if !self.piece.is_empty() {
            (self.sink)(&self.piece).map_err(ListingError::Sink)?;
            self.piece.clear();
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

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// Turns the names in a directory into path-names that the client can use: the directory as the
/// client wrote it, and the way down from there.
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
