//! `--hide-files` and `--deny-files`: files that no listing shows, and files that no client may use.
//!
//! A pattern without a slash is compared with each name of a path. A pattern with a slash is
//! compared with the path from the root on. All that is below a directory that matches, matches
//! too. The path has no `.`, no `..` and no second slash in it. To deny a file, the path is compared
//! once more with its links followed.

use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::Vfs;
use crate::proto::glob::Pattern;
use crate::proto::path::VirtualPath;
use crate::sys::files::{Kind, SEARCH};

/// The most links that one path may lead through: as many as for the kernel.
const MAX_LINKS: u32 = 40;

/// The rules of one session.
#[derive(Default)]
pub(crate) struct Filter {
    hidden: Vec<Rule>,
    denied: Vec<Rule>,
}

/// A directory that is being listed, for `shows`.
pub(super) struct Window {
    dir: VirtualPath,
    /// Its path without links, if that is another one.
    real: Option<VirtualPath>,
}

/// One pattern.
enum Rule {
    Name(Pattern),
    Path(Vec<Pattern>),
}

impl Filter {
    pub(crate) fn new<'a>(
        hide: impl IntoIterator<Item = &'a str>,
        deny: impl IntoIterator<Item = &'a str>,
    ) -> Filter {
        Filter {
            hidden: hide.into_iter().map(|glob| Rule::new(glob.as_bytes())).collect(),
            denied: deny.into_iter().map(|glob| Rule::new(glob.as_bytes())).collect(),
        }
    }

    fn shows_all(&self) -> bool {
        self.hidden.is_empty() && self.denied.is_empty()
    }
}

impl Rule {
    fn new(glob: &[u8]) -> Rule {
        if !glob.contains(&b'/') {
            return Rule::Name(Pattern::new(glob));
        }
        let names = glob.split(|&byte| byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
        Rule::Path(names.map(Pattern::new).collect())
    }

    fn matches(&self, path: &VirtualPath) -> bool {
        let mut names = path.as_bytes().split(|&byte| byte == b'/').filter(|name| !name.is_empty());
        match self {
            Rule::Name(pattern) => names.any(|name| pattern.matches_any(name)),
            Rule::Path(patterns) => {
                patterns.iter().all(|pattern| names.next().is_some_and(|name| pattern.matches_any(name)))
            }
        }
    }
}

impl Vfs {
    /// The same tree without the files that `filter` hides and denies.
    pub(crate) fn filtered(self, filter: Filter) -> Vfs {
        Vfs { filter, ..self }
    }

    /// Whether the rules deny `path`, whether there is a file or not.
    pub(crate) fn is_denied(&self, path: &VirtualPath) -> bool {
        let denied = &self.filter.denied;
        if denied.is_empty() {
            return false;
        }
        let matches = |path: &VirtualPath| denied.iter().any(|rule| rule.matches(path));
        matches(path) || self.resolved(path).is_ok_and(|path| matches(&path))
    }

    /// EACCES if the rules deny `path`.
    pub(super) fn permit(&self, path: &VirtualPath) -> io::Result<()> {
        if self.is_denied(path) { Err(Errno::ACCESS.into()) } else { Ok(()) }
    }

    /// Gets a directory ready for `shows`, which is called for each name in it.
    pub(super) fn window(&self, dir: VirtualPath) -> Window {
        let real = match self.filter.denied.is_empty() {
            true => None,
            false => self.resolved(&dir).ok().filter(|real| *real != dir),
        };
        Window { dir, real }
    }

    /// Whether a listing shows the file `name` of a directory.
    pub(super) fn shows(&self, window: &Window, name: &[u8], kind: Kind) -> bool {
        if self.filter.shows_all() || matches!(name, b"." | b"..") {
            return true;
        }
        let Ok(path) = window.dir.join(name) else { return true };
        if self.filter.hidden.iter().any(|rule| rule.matches(&path)) {
            return false;
        }
        // A link is followed. Of any other file only the directory's path can have links in it.
        if matches!(kind, Kind::Symlink | Kind::Unknown) {
            return !self.is_denied(&path);
        }
        let real = window.real.as_ref().and_then(|dir| dir.join(name).ok());
        let is_denied = |path: &VirtualPath| self.filter.denied.iter().any(|rule| rule.matches(path));
        !is_denied(&path) && !real.is_some_and(|path| is_denied(&path))
    }

    /// The path with its links followed, the last name included. A name that does not exist stays as it is.
    pub(crate) fn resolved(&self, path: &VirtualPath) -> io::Result<VirtualPath> {
        let mut done = VirtualPath::root();
        let mut todo: Vec<Vec<u8>> = names_reversed(path.as_bytes());
        let mut links = 0;
        while let Some(name) = todo.pop() {
            let next = done.join(&name).map_err(|_| Errno::NAMETOOLONG)?;
            let target = match &name[..] {
                b"." | b".." | b"" => None,
                _ => self.link_target(&next),
            };
            match target {
                None => done = next,
                Some(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    if target.starts_with(b"/") {
                        done = VirtualPath::root();
                    }
                    todo.extend(names_reversed(&target));
                }
            }
        }
        Ok(done)
    }

    fn link_target(&self, path: &VirtualPath) -> Option<Vec<u8>> {
        let parent = path.parent();
        let dir = self.root.open_at(parent.relative(), SEARCH | OFlags::DIRECTORY, Mode::empty()).ok()?;
        let name = CString::new(path.file_name()?).ok()?;
        Vfs::read_link(dir.as_fd(), &name)
    }
}

fn names_reversed(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&byte| byte == b'/').rev().map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(glob: &str, path: &str) -> bool {
        Rule::new(glob.as_bytes()).matches(&VirtualPath::root().join(path.as_bytes()).unwrap())
    }

    #[test]
    fn a_name_matches_anywhere_and_so_does_what_is_below_it() {
        for path in ["/a.key", "/.key", "/x/y.key", "/x.key/y", "//x/.//z/../y.key"] {
            assert!(matches("*.key", path), "{path}");
        }
        for path in ["/", "/a.keys", "/a.KEY", "/key"] {
            assert!(!matches("*.key", path), "{path}");
        }
        assert!(matches(".*", "/.ssh/id") && !matches(".*", "/a.b"));
    }

    #[test]
    fn a_path_is_compared_from_the_root_on() {
        for glob in ["/pub/*.iso", "pub/*.iso", "//pub/./*.iso"] {
            assert!(matches(glob, "/pub/a.iso") && matches(glob, "/pub/a.iso/x"), "{glob}");
            assert!(
                !matches(glob, "/x/pub/a.iso") && !matches(glob, "/pub") && !matches(glob, "/pub/x/a.iso")
            );
        }
        assert!(matches("/", "/anything") && matches("/*", "/.hidden"));
        assert!(!matches("/*", "/"));
    }
}
