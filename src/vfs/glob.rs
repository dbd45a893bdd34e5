//! Wildcards in LIST, NLST and STAT.
//!
//! No braces and no `~`: both have let one short line of a client's keep servers busy
//! for hours. What an expansion may find, and look for, is limited.

use std::ops::ControlFlow;
use std::os::fd::AsFd;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{FileError, Vfs};
use crate::proto::glob::Pattern;
pub(super) use crate::proto::glob::is_pattern;
use crate::proto::path::VirtualPath;
use crate::sys::files::{self, DirBuffer, Kind};

/// Directories that one expansion opens, and names that it looks at.
const MAX_DIRECTORIES: usize = 10_000;
const MAX_NAMES: usize = 5_000_000;

/// A file that a pattern found: where it is, and its name as the pattern was written.
pub(super) struct Match {
    pub path: VirtualPath,
    pub shown: Vec<u8>,
}

impl Vfs {
    /// All that `pattern` matches, in the order of the bytes; never nothing (ENOENT).
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
    /// What matches one component in each of the places found so far.
    fn step(&mut self, places: &[Match], pattern: &Pattern, more: bool) -> Result<Vec<Match>, FileError> {
        let mut found = Vec::new();
        for place in places {
            self.directories += 1;
            if self.directories > MAX_DIRECTORIES {
                return Err(FileError::TooMany);
            }
            // What is no directory, or not for this user, has no matches in it.
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
