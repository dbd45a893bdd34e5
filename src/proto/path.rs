//! `VirtualPath`: a path-name, resolved in the tree that the client sees.

use std::fmt;

/// The most bytes that a path-name may have; the kernel's PATH_MAX.
const MAX_LEN: usize = 4095;

/// An absolute path in the tree the client sees: no `.`, no `..`, no NUL, no empty component.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct VirtualPath {
    /// The components, each with a `/` in front; empty for the root.
    bytes: Vec<u8>,
}

/// A path-name that no file can have: a NUL in it, or longer than the kernel takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadPath;

impl VirtualPath {
    pub(crate) fn root() -> VirtualPath {
        VirtualPath::default()
    }

    /// The path that `name`, as the client typed it, means in this directory.
    /// `..` is resolved by name alone and stops at the root.
    pub(crate) fn join(&self, name: &[u8]) -> Result<VirtualPath, BadPath> {
        if name.contains(&0) {
            return Err(BadPath);
        }
        let mut bytes = if name.starts_with(b"/") { Vec::new() } else { self.bytes.clone() };
        for component in name.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => (),
                b".." => bytes.truncate(bytes.iter().rposition(|&byte| byte == b'/').unwrap_or(0)),
                _ => {
                    bytes.push(b'/');
                    bytes.extend_from_slice(component);
                }
            }
        }
        if bytes.len() > MAX_LEN { Err(BadPath) } else { Ok(VirtualPath { bytes }) }
    }

    /// The path without its last component; the root is its own parent.
    pub(crate) fn parent(&self) -> VirtualPath {
        let end = self.bytes.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        VirtualPath { bytes: self.bytes[..end].to_vec() }
    }

    /// The last component; `None` for the root.
    pub(crate) fn file_name(&self) -> Option<&[u8]> {
        self.bytes.rsplit(|&byte| byte == b'/').next().filter(|name| !name.is_empty())
    }

    pub(crate) fn is_root(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The path as 257 and the log show it, `/` in front.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        if self.bytes.is_empty() { b"/" } else { &self.bytes }
    }

    /// The path below the root's file descriptor: no `/` in front, `.` for the root itself.
    pub(crate) fn relative(&self) -> &[u8] {
        if self.bytes.is_empty() { b"." } else { &self.bytes[1..] }
    }
}

impl fmt::Debug for VirtualPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> VirtualPath {
        VirtualPath::root().join(name.as_bytes()).unwrap()
    }

    #[test]
    fn dots_and_slashes_are_resolved_by_name() {
        for (cwd, name, want) in [
            ("/", "", "/"),
            ("/", "..", "/"),
            ("/", "../../etc", "/etc"),
            ("/a/b", "..", "/a"),
            ("/a/b", "../..", "/"),
            ("/a/b", "./c//d/.", "/a/b/c/d"),
            ("/a/b", "/c", "/c"),
            ("/a", "...", "/a/..."),
            ("/a", " b ", "/a/ b "),
        ] {
            let got = path(cwd).join(name.as_bytes()).unwrap();
            assert_eq!(got.as_bytes(), want.as_bytes(), "{cwd} {name}");
        }
    }

    #[test]
    fn nul_and_endless_names_are_no_path() {
        assert_eq!(VirtualPath::root().join(b"a\0b"), Err(BadPath));
        assert_eq!(VirtualPath::root().join(&[b'a'; 5000]), Err(BadPath));
    }

    #[test]
    fn a_path_knows_its_parts() {
        let long = path("/a/b/c");
        assert_eq!(long.file_name(), Some(&b"c"[..]));
        assert_eq!(long.parent(), path("/a/b"));
        assert_eq!(long.relative(), b"a/b/c");
        assert_eq!(VirtualPath::root().file_name(), None);
        assert_eq!(VirtualPath::root().parent(), VirtualPath::root());
        assert_eq!(VirtualPath::root().relative(), b".");
    }
}
