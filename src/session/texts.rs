//! The administrator's texts: ftpwelcome before the greeting, motd at the login, `.message`
//! in a directory, nologin instead of it all.
//!
//! tnftpd's escapes stand for what changes. What they expand to may be a client's own word
//! (a user name, a directory), so each is bounded, and so are the lines and the text.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Session;
use super::state::Login;
use crate::account::{self, Account, AccountKind};
use crate::proto::path::VirtualPath;
use crate::proto::reply::{Reply, ReplyCode};
use crate::vfs::Vfs;

/// Bytes of a text that are shown, before and after its escapes are expanded.
const MAX_TEXT: usize = 64 << 10;
const MAX_LINE: usize = 1024;
/// Bytes that one escape may stand for.
const MAX_VALUE: usize = 256;

/// FreeBSD's shutdown(8) and systemd say here that nobody may log in any more.
const SYSTEM_NOLOGIN: &str = "/var/run/nologin";

/// The values that the escapes stand for.
#[derive(Default)]
struct Values {
    /// `%c`
    class: &'static str,
    /// `%C`
    cwd: Vec<u8>,
    /// `%L`; empty with `-h`.
    local: String,
    /// `%M`, `%N`
    most: usize,
    now: usize,
    /// `%R`
    remote: String,
    /// `%T`
    time: String,
    /// `%U`
    user: Vec<u8>,
}

impl Session {
    /// 220, with the banner in front.
    pub(super) fn greeting(&self) -> Reply {
        let greeting = &self.services.config.greeting;
        let text = if greeting.hide_host {
            "FTP server ready.".to_owned()
        } else if greeting.hide_version {
            format!("{} FTP server ready.", self.host_name())
        } else {
            format!("{} FTP server (ferryd {}) ready.", self.host_name(), env!("CARGO_PKG_VERSION"))
        };
        let own = self.virtual_host.as_ref().and_then(|host| host.welcome.clone());
        let path = own.or_else(|| greeting.banner.clone()).unwrap_or_else(|| self.config_file("ftpwelcome"));
        Reply::after_lines(ReplyCode::ServiceReady, self.expanded(&read(&path).unwrap_or_default()), text)
    }

    /// The name of the host that the client connected to.
    pub(super) fn host_name(&self) -> &str {
        match &self.virtual_host {
            Some(host) => &host.name,
            None => &self.services.config.greeting.host_name,
        }
    }

    /// 421 or 530 with the text of nologin, while there is one. One that cannot be read
    /// keeps everybody out as well.
    pub(super) fn nologin(&self, code: ReplyCode) -> Option<Reply> {
        let text = nologin_text(&self.services.config.config_dir)?;
        Some(Reply::after_lines(code, self.expanded(&text), "System not available."))
    }

    /// The text of the login, read with the server's rights: `--motd`, ftpmotd, or motd.
    pub(super) fn motd(&self, account: &Account) -> Vec<u8> {
        let greeting = &self.services.config.greeting;
        let own = self.virtual_host.as_ref().and_then(|host| host.motd.clone());
        let named = own.or_else(|| greeting.motd.clone());
        // The system's own motd tells what system it is, and whom it is meant for.
        let system = !account.confined && !greeting.hide_host && named.is_none();
        let path = named.unwrap_or_else(|| self.config_file("ftpmotd"));
        let text = read(&path).or_else(|| system.then(|| read(&self.config_file("motd"))).flatten());
        text.unwrap_or_default()
    }

    /// 230 after `motd`; a confined session has the one of its own tree, as after chroot(2).
    pub(super) fn logged_in_reply(&self, code: ReplyCode, motd: Vec<u8>, text: String) -> Reply {
        let Login::LoggedIn(login) = &self.login else { return Reply::new(code, text) };
        let own = (login.account.confined && login.rights.read)
            .then(|| read_in(&login.vfs, &VirtualPath::root(), b"etc/ftpmotd"));
        let motd = own.flatten().unwrap_or(motd);
        Reply::after_lines(code, self.expanded(&motd), text)
    }

    /// 250, with the message of the directory that was entered in front (`--dirmessage`).
    pub(super) fn entered(&self, text: &str) -> Reply {
        let message = match (&self.services.config.greeting.dirmessage, &self.login) {
            // A login that may not read could give any file this name.
            (Some(name), Login::LoggedIn(login)) if login.rights.read => {
                read_in(&login.vfs, &login.cwd, name.as_bytes())
            }
            _ => None,
        };
        Reply::after_lines(ReplyCode::FileActionOkay, self.expanded(&message.unwrap_or_default()), text)
    }

    fn config_file(&self, name: &str) -> PathBuf {
        self.services.config.config_dir.join(name)
    }

    fn expanded(&self, text: &[u8]) -> Vec<Vec<u8>> {
        if text.is_empty() { Vec::new() } else { self.values().expand(text) }
    }

    fn values(&self) -> Values {
        let config = &self.services.config;
        let (class, cwd, user) = match &self.login {
            Login::LoggedIn(login) => {
                let class = match login.account.kind {
                    AccountKind::Anonymous { .. } => "guest",
                    AccountKind::Real if login.account.confined => "chroot",
                    AccountKind::Real => "real",
                };
                (class, login.cwd.as_bytes().to_vec(), login.account.name.clone().into_bytes())
            }
            _ => ("<unknown>", b"/".to_vec(), b"<unknown>".to_vec()),
        };
        let local = if config.greeting.hide_host { String::new() } else { self.host_name().to_owned() };
        Values {
            class,
            cwd,
            local,
            most: config.limits.max_clients,
            now: self.services.clients.clients(),
            remote: self.host().to_string(),
            time: crate::logging::local_now().ctime(),
            user,
        }
    }
}

impl Values {
    /// The lines of `text`, what they stand for put in.
    fn expand(&self, text: &[u8]) -> Vec<Vec<u8>> {
        let text = &text[..text.len().min(MAX_TEXT)];
        let mut room = MAX_TEXT;
        let mut lines = Vec::new();
        for line in text.strip_suffix(b"\n").unwrap_or(text).split(|&byte| byte == b'\n') {
            let line = self.expand_line(line.strip_suffix(b"\r").unwrap_or(line));
            let Some(left) = room.checked_sub(line.len()) else { break };
            room = left;
            lines.push(line);
        }
        lines
    }

    fn expand_line(&self, line: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(line.len());
        let mut rest = line;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match after.split_first().filter(|_| byte == b'%') {
                Some((&letter, after)) if self.put(letter, &mut out) => rest = after,
                _ => out.push(byte),
            }
        }
        out.truncate(MAX_LINE);
        out
    }

    /// Appends what `%letter` stands for; `false` if it is no escape.
    fn put(&self, letter: u8, out: &mut Vec<u8>) -> bool {
        let plural = self.now != 1;
        let (most, now) = (self.most.to_string(), self.now.to_string());
        let value: &[u8] = match letter {
            b'c' => self.class.as_bytes(),
            b'C' => &self.cwd,
            // The administrator's address, for which there is no option.
            b'E' => b"",
            b'L' => self.local.as_bytes(),
            b'M' => most.as_bytes(),
            b'N' => now.as_bytes(),
            b'R' => self.remote.as_bytes(),
            b's' if plural => b"s",
            b'S' if plural => b"S",
            b's' | b'S' => b"",
            b'T' => self.time.as_bytes(),
            b'U' => &self.user,
            b'%' => b"%",
            _ => return false,
        };
        out.extend_from_slice(&value[..value.len().min(MAX_VALUE)]);
        true
    }
}

/// The text of nologin, if there is one, here or where the system has it.
pub(crate) fn nologin_text(config_dir: &Path) -> Option<Vec<u8>> {
    let places = [config_dir.join("nologin"), PathBuf::from(SYSTEM_NOLOGIN)];
    places.iter().find_map(|path| match account::read_admin_file(path) {
        Ok(text) => text,
        Err(err) => {
            log::error!("{}: {err}", path.display());
            Some(Vec::new())
        }
    })
}

/// A text of the administrator's; one that cannot be read is logged, and not shown.
fn read(path: &Path) -> Option<Vec<u8>> {
    account::read_admin_file(path).unwrap_or_else(|err| {
        log::error!("{}: {err}", path.display());
        None
    })
}

/// A text in the client's tree, read with its rights.
fn read_in(vfs: &Vfs, dir: &VirtualPath, name: &[u8]) -> Option<Vec<u8>> {
    let file: fs::File = vfs.open(&dir.join(name).ok()?).ok()?.file;
    let mut text = Vec::new();
    file.take(MAX_TEXT as u64).read_to_end(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values {
            class: "real",
            cwd: b"/pub".to_vec(),
            local: "ftp.example.org".into(),
            most: 10,
            now: 1,
            remote: "192.0.2.1".into(),
            time: "Sat Nov 21 08:18:17 2026".into(),
            user: b"joe".to_vec(),
        }
    }

    fn expand(values: &Values, line: &str) -> String {
        String::from_utf8(values.expand_line(line.as_bytes())).unwrap()
    }

    #[test]
    fn the_escapes_are_tnftpds() {
        let one = values();
        assert_eq!(
            expand(&one, "%U@%R in %C (%c) on %L, %T"),
            "joe@192.0.2.1 in /pub (real) on ftp.example.org, Sat Nov 21 08:18:17 2026"
        );
        assert_eq!(expand(&one, "%N user%s, USER%S, of %M%E"), "1 user, USER, of 10");
        assert_eq!(expand(&Values { now: 2, ..values() }, "%N user%s, USER%S"), "2 users, USERS");
        assert_eq!(expand(&one, "100%% 50% %z %"), "100% 50% %z %");
    }

    #[test]
    fn neither_a_value_nor_a_text_is_without_end() {
        let long = Values { cwd: vec![b'x'; 5000], user: b"%C%C%C".to_vec(), ..values() };
        assert_eq!(expand(&long, "%C").len(), MAX_VALUE);
        assert_eq!(expand(&long, "%U"), "%C%C%C");
        assert_eq!(expand(&long, &"%C".repeat(1000)).len(), MAX_LINE);
        let lines = long.expand("%C%C%C%C\n".repeat(20_000).as_bytes());
        assert!(lines.iter().map(Vec::len).sum::<usize>() <= MAX_TEXT);
    }

    #[test]
    fn a_text_is_its_lines() {
        let lines = values().expand(b"one\r\n\ntwo");
        assert_eq!(lines, [b"one".to_vec(), b"".to_vec(), b"two".to_vec()]);
    }
}
