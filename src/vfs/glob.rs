//! Wildcards in the path-name of LIST, NLST and STAT.
//!
//! There are no braces and no `~`: with these, one short line of a client's has kept servers busy
//! for hours. An expansion is limited in what it may find and in how long it may look.

use std::ops::ControlFlow;
use std::os::fd::AsFd;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{FileError, Vfs};
use crate::proto::glob::Pattern;
pub(super) use crate::proto::glob::is_pattern;
use crate::proto::path::VirtualPath;
use crate::sys::files::{self, DirBuffer, Kind};

/// The most directories that one expansion opens, and the most names that it reads.
const MAX_DIRECTORIES: usize = 10_000;
const MAX_NAMES: usize = 5_000_000;

/// A file that a pattern matches.
pub(super) struct Match {
    pub path: VirtualPath,
    /// Its path-name in the form that the pattern has: from the root, or from the working directory.
    pub shown: Vec<u8>,
}

impl Vfs {
    /// The files that `pattern` matches, sorted by the bytes of their names. ENOENT if there are none.
    pub(super) fn expand(
        &self,
        cwd: &VirtualPath,
        pattern: &[u8],
        limit: usize,
    ) -> Result<Vec<Match>, FileError> {
        let (start, shown) = match pattern.starts_with(b"/") {
            true => (VirtualPath::root(), b"/".to_vec()),
            false => (cwd.clone(), Vec::new()),
        };
        let mut search = Search { vfs: self, limit, directories: 0, names: 0, buffer: DirBuffer::default() };
        let mut found = vec![Match { path: start, shown }];
        let mut components = pattern.split(|&byte| byte == b'/').filter(|part| !part.is_empty()).peekable();
        while let Some(component) = components.next() {
            let pattern = Pattern::new(component);
            found = match pattern.literal() {
                Some(name) => found.iter().filter_map(|place| place.join(&name)).collect(),
                None => search.step(&found, &pattern, components.peek().is_some())?,
            };
        }
        found.retain(|place| self.stat_link(&place.path).is_ok());
        found.sort_by(|one, other| one.shown.cmp(&other.shown));
        if found.is_empty() { Err(Errno::NOENT.into()) } else { Ok(found) }
    }
}

impl Match {
    fn join(&self, name: &[u8]) -> Option<Match> {
        let slash: &[u8] = if matches!(self.shown.last(), None | Some(b'/')) { b"" } else { b"/" };
        Some(Match { path: self.path.join(name).ok()?, shown: [&self.shown, slash, name].concat() })
    }
}

struct Search<'a> {
    vfs: &'a Vfs,
    limit: usize,
    directories: usize,
    names: usize,
    buffer: DirBuffer,
}

impl Search<'_> {
    /// The files that one component matches in each of the places found so far. If there are `more`
    /// components, only those that can be directories.
    fn step(&mut self, places: &[Match], pattern: &Pattern, more: bool) -> Result<Vec<Match>, FileError> {
        let mut found = Vec::new();
        for place in places {
            self.directories += 1;
            if self.directories > MAX_DIRECTORIES {
                return Err(FileError::TooMany);
            }
            // Nothing matches in a file that is no directory, or that this account may not read.
            let Ok(dir) = self.vfs.open_dir(place.path.relative(), OFlags::empty()) else { continue };
            let window = self.vfs.window(place.path.clone());
            let (vfs, names, limit) = (self.vfs, &mut self.names, self.limit);
            let read = files::read_dir(dir.as_fd(), &mut self.buffer, |name, kind| {
                *names += 1;
                let is_way = matches!(kind, Kind::Directory | Kind::Symlink | Kind::Unknown);
                if (is_way || !more)
                    && pattern.matches(name.to_bytes())
                    && vfs.shows(&window, name.to_bytes(), kind)
                {
                    found.extend(place.join(name.to_bytes()));
                }
                match found.len() > limit || *names > MAX_NAMES {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
            if let Ok(ControlFlow::Break(())) = read {
                return Err(FileError::TooMany);
            }
        }
        Ok(found)
    }
}
