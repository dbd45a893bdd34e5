//! A shell of the user whose rights a client has, in the same directory: what the one makes has the
//! permissions that the other one's has.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::client::Client;

/// Who runs the shell; `None`: whoever runs the tests.
pub(crate) struct Shell<'a> {
    pub(crate) user: Option<&'a str>,
    /// A group that this user is in, and that is not the first one, if there is one.
    pub(crate) group: Option<&'a str>,
}

/// What is said of the directory that files are made in.
const DIRECTORIES: [&str; 7] = [
    "chmod 755 .",
    "chmod 777 .",
    "chmod 2775 .",
    "setfacl -d -m u:33:rwx,g::r-x,o::--- .",
    "setfacl -d -m u:33:rwx,g:33:rwx,m::r-x,o::r-- .",
    "chmod 2770 . && setfacl -d -m u:33:rwx,g::rwx,o::r-x .",
    "setfacl -m u:33:rwx . && setfacl -d -m u::rw-,g::---,o::--- .",
];

impl Shell<'_> {
    fn run(&self, dir: &Path, script: &str) {
        let mut command = match self.user {
            Some(user) => {
                let account = users::get_user_by_name(user).expect("there is such an account");
                let (uid, gid) = (account.uid(), account.primary_group_id());
                let mut command = Command::new("setpriv");
                command.args([&format!("--reuid={uid}"), &format!("--regid={gid}"), "--init-groups", "sh"]);
                command
            }
            None => Command::new("sh"),
        };
        let output =
            command.args(["-c", script]).current_dir(dir).output().expect("every system has a shell");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// What `client` makes in `dir`, which it calls `path`, is what this shell makes there with `umask`.
    #[track_caller]
    pub(crate) fn expect_the_same(&self, client: &mut Client, dir: &Path, path: &str, umask: &str) {
        client.send("TYPE I").expect(200);
        for (n, said) in DIRECTORIES.iter().enumerate() {
            let name = format!("of-{umask}-{n}");
            let group = self.group.map_or(String::new(), |group| format!("chgrp {group} . && "));
            self.run(dir, &format!("mkdir {name} && cd {name} && {group}{said}"));
            let dir = dir.join(&name);
            client.send(format!("CWD {path}/{name}")).expect(250);
            client.stor("stored", "content");
            client.upload("APPE appended", "content");
            client.upload("STOU unique", "content");
            client.send("MKD made").expect(257);
            self.run(&dir, &format!("umask {umask} && echo content >file && mkdir directory"));
            let what = format!("umask {umask}, {said}");
            for file in ["stored", "appended", "unique"] {
                assert_eq!(permissions(&dir.join(file)), permissions(&dir.join("file")), "{file}: {what}");
            }
            assert_eq!(permissions(&dir.join("made")), permissions(&dir.join("directory")), "{what}");
            // A file that is there keeps what it has, whatever new ones get.
            self.run(&dir, &format!("{}chmod 604 file", group.replace(" . ", " file ")));
            self.run(&dir, "cp file listed && chmod 644 listed && setfacl -m u:33:rw-,g::--- listed");
            for file in ["file", "listed"] {
                let before = permissions(&dir.join(file));
                client.stor(file, "new content");
                assert_eq!(permissions(&dir.join(file)), before, "{file} after STOR: {what}");
                client.upload(format!("APPE {file}"), "and more");
                assert_eq!(permissions(&dir.join(file)), before, "{file} after APPE: {what}");
            }
        }
    }
}

/// Owner, group, mode and access control lists.
fn permissions(path: &Path) -> String {
    let meta = path.symlink_metadata().unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    let lists = Command::new("getfacl").args(["-ncp"]).arg(path).output().expect("the package acl");
    let lists = String::from_utf8_lossy(&lists.stdout).into_owned();
    format!("{} {} {:o}\n{lists}", meta.uid(), meta.gid(), meta.mode())
}
