//! The facts of a file for MLST and MLSD: what it is, and what this client may do with it.
//!
//! How a fact is written is `proto::facts`' business.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::Access;

use super::Vfs;
use crate::proto::calendar::CivilTime;
use crate::proto::facts::{FactSet, Facts, Perm};
use crate::proto::ls_line::EntryKind;
use crate::proto::path::VirtualPath;
use crate::sys::files::{self, Kind, Stat};

/// The directory that a file is in, as far as it decides what may be done with the file's name.
pub(super) struct Parent {
    dev: u64,
    owner: u32,
    sticky: bool,
    /// The client may remove and rename files in it.
    changeable: bool,
    /// Its file system is mounted read-only.
    read_only: bool,
}

impl Parent {
    /// For facts that do not depend on it: of the root, and without `perm`.
    fn unknown() -> Parent {
        Parent { dev: 0, owner: 0, sticky: false, changeable: false, read_only: false }
    }
}

impl Vfs {
    /// The facts of one file for MLST: facts, a space and `shown`, without the space in front and the CRLF.
    pub(crate) fn facts(&self, path: &VirtualPath, shown: &[u8], set: FactSet) -> io::Result<Vec<u8>> {
        self.permit(path)?;
        let mut line = Vec::new();
        if path.is_root() {
            let stat = files::stat(self.root().fd())?;
            let parent = Parent::unknown();
            self.write_facts(&mut line, set, &parent, self.root().fd(), c".", &stat, b".", shown);
            return Ok(line);
        }
        let (dir, name) = self.root().parent(path.relative())?;
        let stat = files::stat_at(dir.as_fd(), &name)?;
        let parent = if set.needs_perm() { self.as_parent(dir.as_fd())? } else { Parent::unknown() };
        self.write_facts(&mut line, set, &parent, dir.as_fd(), &name, &stat, path.relative(), shown);
        Ok(line)
    }

    /// Looks at a directory, once for the facts of all files in it.
    pub(super) fn as_parent(&self, dir: BorrowedFd<'_>) -> io::Result<Parent> {
        let stat = files::stat(dir)?;
        Ok(Parent {
            dev: stat.dev,
            owner: stat.uid,
            sticky: stat.mode & 0o1000 != 0,
            changeable: files::may(dir, c".", Access::WRITE_OK | Access::EXEC_OK),
            read_only: files::is_read_only(dir),
        })
    }

    /// Appends the facts of `name` in `dir`; `stat` is its own state, a link's if it is one. A link
    /// has the facts of the file it leads to, which a client wants to know before RETR or CWD, and
    /// those of a link if it leads nowhere. It is looked up by `path`.
    #[allow(
        clippy::too_many_arguments,
        reason = "all of them describe one file; a struct would be made for this call alone"
    )]
    pub(super) fn write_facts(
        &self,
        out: &mut Vec<u8>,
        set: FactSet,
        parent: &Parent,
        dir: BorrowedFd<'_>,
        name: &CStr,
        stat: &Stat,
        path: &[u8],
        shown: &[u8],
    ) {
        let led_to = if stat.is_symlink() { self.follow(path) } else { None };
        let (target_dir, target_name, target) = match &led_to {
            Some((dir, name, stat)) => (dir.as_fd(), &**name, stat),
            None => (dir, name, stat),
        };
        let mut perm = Perm::default();
        if set.needs_perm() {
            let read_only =
                if target.dev == parent.dev { parent.read_only } else { files::is_read_only(target_dir) };
            perm = self.perm_of(target_dir, target_name, target, read_only);
            perm.remove = self.may_remove(parent, stat);
        }
        let mut owners = self.owners.borrow_mut();
        let (owner, group) = if set.needs_names() {
            owners.names(target.uid, target.gid, false)
        } else {
            (&b""[..], &b""[..])
        };
        let facts = Facts {
            kind: entry_kind(target),
            size: target.size,
            modified: CivilTime::utc(target.modified),
            perm,
            dev: target.dev,
            ino: target.ino,
            mode: target.mode,
            owner,
            group,
            ids: (!self.viewer.hide_ids).then_some((target.uid, target.gid)),
        };
        facts.write(out, set, shown);
    }

    fn follow(&self, path: &[u8]) -> Option<(OwnedFd, CString, Stat)> {
        let (dir, name) = self.root().locate(path).ok()?;
        let stat = files::stat_at(dir.as_fd(), &name).ok()?;
        Some((dir, name, stat))
    }

    /// To remove a file takes the right to write to its directory. If that is sticky, the client must
    /// also own the file or the directory.
    fn may_remove(&self, parent: &Parent, stat: &Stat) -> bool {
        let uid = self.viewer.uid;
        parent.changeable && (!parent.sticky || [0, parent.owner, stat.uid].contains(&uid))
    }

    /// The rights on the file itself. For its owner the mode bits decide. For others the system is
    /// asked, which knows the groups and access control lists, unless the mode bits already say no.
    fn perm_of(&self, dir: BorrowedFd<'_>, name: &CStr, stat: &Stat, read_only: bool) -> Perm {
        let uid = self.viewer.uid;
        let granted = match stat.uid == uid {
            _ if uid == 0 => 7,
            true => stat.mode >> 6,
            // An access control list grants no more than the group's bits.
            false => stat.mode >> 3 | stat.mode,
        };
        let mut perm = Perm {
            read: granted & 4 != 0,
            write: granted & 2 != 0 && !read_only,
            enter: granted & 1 != 0 && stat.is_dir(),
            remove: false,
            denied: self.viewer.denied,
        };
        if stat.uid == uid && uid != 0 {
            return perm;
        }
        let wanted =
            [(perm.read, Access::READ_OK), (perm.write, Access::WRITE_OK), (perm.enter, Access::EXEC_OK)];
        let all = wanted.iter().filter(|(want, _)| *want).fold(Access::empty(), |all, (_, one)| all | *one);
        if all.is_empty() || files::may(dir, name, all) {
            return perm;
        }
        let several = all.bits().count_ones() > 1;
        let [read, write, enter] = wanted.map(|(want, one)| want && several && files::may(dir, name, one));
        (perm.read, perm.write, perm.enter) = (read, write, enter);
        perm
    }
}

pub(super) fn entry_kind(stat: &Stat) -> EntryKind {
    let (major, minor) = stat.device;
    match stat.kind {
        Kind::File | Kind::Unknown => EntryKind::File,
        Kind::Directory => EntryKind::Directory,
        Kind::Symlink => EntryKind::Symlink,
        Kind::CharDevice => EntryKind::CharDevice(major, minor),
        Kind::BlockDevice => EntryKind::BlockDevice(major, minor),
        Kind::Fifo => EntryKind::Fifo,
        Kind::Socket => EntryKind::Socket,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::proto::facts::Letters;
    use crate::sys::root::Root;
    use crate::test_support::Scratch;
    use crate::vfs::listing::tests::listed;
    use crate::vfs::tests::{path, tree, vfs, with};
    use crate::vfs::{ListKind, Viewer};

    fn fact(vfs: &Vfs, name: &str, set: &str) -> String {
        let line = vfs.facts(&path(name), b"x", FactSet::parse(set.as_bytes()).unwrap()).unwrap();
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn facts_tell_of_what_a_link_leads_to() {
        let scratch = tree();
        symlink("plain.txt", scratch.join("to_file")).unwrap();
        let vfs = vfs(&scratch);
        assert_eq!(fact(&vfs, "/plain.txt", "type;size"), "type=file;size=6; x");
        assert_eq!(fact(&vfs, "/to_file", "type;size"), "type=file;size=6; x");
        assert_eq!(fact(&vfs, "/to_file", "unique"), fact(&vfs, "/plain.txt", "unique"));
        assert_ne!(fact(&vfs, "/plain.txt", "unique"), fact(&vfs, "/a b.txt", "unique"));
        assert_eq!(fact(&vfs, "/link", "type;size"), "type=dir; x");
        assert_eq!(fact(&vfs, "/dangling", "type;size"), "type=OS.unix=symlink; x");
        assert_eq!(fact(&vfs, "/", "type"), "type=dir; x");
        assert_eq!(fact(&vfs, "/", ""), " x");
        assert!(vfs.facts(&path("/none"), b"x", FactSet::ALL).is_err());
        vfs.set_times(&path("/plain.txt"), None, Some(1_709_175_845)).unwrap();
        assert_eq!(fact(&vfs, "/plain.txt", "modify;UNIX.mode"), "modify=20240229030405;UNIX.mode=0644; x");
        let text = listed(&vfs, "/", ListKind::Facts(FactSet::parse(b"type;").unwrap()), "").unwrap();
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        let want = [
            "type=OS.unix=symlink; dangling",
            "type=dir; d",
            "type=dir; link",
            "type=file; a b.txt",
            "type=file; plain.txt",
            "type=file; to_file",
        ];
        assert_eq!(lines, want);
        let text = listed(&vfs, "/d", ListKind::Facts(FactSet::parse(b"").unwrap()), "e").unwrap();
        assert_eq!(text, " deep\r\n");
    }

    #[test]
    fn perm_is_what_this_user_may_do() {
        let scratch = tree();
        let vfs = vfs(&scratch);
        assert_eq!(fact(&vfs, "/plain.txt", "perm"), "perm=adfrw; x");
        assert_eq!(fact(&vfs, "/d", "perm"), "perm=cdeflmp; x");
        assert_eq!(fact(&vfs, "/", "perm"), "perm=celmp; x");
        let read_only = with(&scratch, false, false);
        assert_eq!(fact(&read_only, "/plain.txt", "perm"), "perm=r; x");
        assert_eq!(fact(&read_only, "/d", "perm"), "perm=el; x");
        if !rustix::process::geteuid().is_root() {
            vfs.chmod(&path("/plain.txt"), 0o444).unwrap();
            vfs.chmod(&path("/d"), 0o500).unwrap();
            assert_eq!(fact(&vfs, "/plain.txt", "perm"), "perm=dfr; x");
            assert_eq!(fact(&vfs, "/d", "perm"), "perm=defl; x");
            assert_eq!(fact(&vfs, "/d/f", "perm"), "perm=arw; x");
            vfs.chmod(&path("/d"), 0o700).unwrap();
        }
    }

    #[test]
    fn rights_in_a_file_of_someone_else_are_asked_of_the_system() {
        let scratch = Scratch::new();
        fs::write(scratch.join("f"), "").unwrap();
        // For a viewer that is not the owner the system is asked, and it knows who this thread is.
        let viewer = Viewer { uid: 3_999_999_999, denied: Letters::default(), hide_ids: false };
        let vfs = Vfs::new(Root::open(scratch.path()).unwrap(), viewer);
        for (mode, want) in [(0o666, "perm=adfrw; x"), (0o644, "perm=dfr; x"), (0o600, "perm=df; x")] {
            vfs.chmod(&path("/f"), mode).unwrap();
            assert_eq!(fact(&vfs, "/f", "perm"), want);
        }
        vfs.chmod(&path("/"), 0o1777).unwrap();
        assert_eq!(fact(&vfs, "/f", "perm"), "perm=; x"); // Sticky, and the viewer owns neither.
    }
}
