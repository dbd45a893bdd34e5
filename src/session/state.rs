//! The memory of a session: the login, the transfer parameters, and what one command
//! leaves for the next.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::account::{Account, AccountKind};
use crate::clients::{Tally, UserSlot};
use crate::config::{Config, FilePolicy, Limits};
use crate::dtp::DataPort;
use crate::logging::LoginRecord;
use crate::proto::codec::CodePage;
use crate::proto::command::Choices;
use crate::proto::facts::FactSet;
use crate::proto::params::TransferParameters;
use crate::proto::path::VirtualPath;
use crate::proto::reply::ReplyCode;
use crate::session::rights::Rights;
use crate::session::stop::{Stop, refused};
use crate::sys::files;
use crate::sys::identity::OwnUmask;
use crate::vfs::Vfs;

/// The client's login. USER and REIN may come at any time, so the states form a loop.
pub(crate) enum Login {
    /// No USER yet, or REIN undid it.
    NotLoggedIn,
    /// USER was answered 331; PASS must follow.
    NeedPassword {
        user: Vec<u8>,
    },
    LoggedIn(Box<LoggedIn>),
}

/// An account at work.
pub(crate) struct LoggedIn {
    pub account: Account,
    pub rights: Rights,
    /// Shared with the listing that is being sent.
    pub vfs: Rc<Vfs>,
    pub cwd: VirtualPath,
    /// Permission bits that new files lack.
    pub umask: u32,
    /// The kernel takes them, for this thread alone.
    pub own_umask: Option<OwnUmask>,
    /// Bytes a second.
    pub rates: Rates,
    /// The bytes of its files, once they have been counted for its quota.
    pub tally: Option<Arc<Tally>>,
    /// Its record in wtmp; dropping it records the end.
    pub _record: Option<LoginRecord>,
    /// Its place among the sessions of its user; given back on drop.
    pub _slot: UserSlot,
}

/// Bytes a second that a login may move; `None`: as fast as can be.
#[derive(Clone, Copy)]
pub(crate) struct Rates {
    pub download: Option<u64>,
    pub upload: Option<u64>,
}

impl Rates {
    /// The rate of this account counts, else that of anonymous ones, else that of all.
    pub(crate) fn of(account: &Account, limits: &Limits) -> Rates {
        if let Some(rate) = account.options.rate {
            let rate = (rate > 0).then_some(rate);
            return Rates { download: rate, upload: rate };
        }
        let anonymous = matches!(account.kind, AccountKind::Anonymous { .. });
        let (download, upload) = match anonymous {
            true => (limits.anonymous_rate_download, limits.anonymous_rate_upload),
            false => (None, None),
        };
        Rates {
            download: download.unwrap_or(limits.rate_download),
            upload: upload.unwrap_or(limits.rate_upload),
        }
    }
}

/// The permission bits of new files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewFile {
    /// The file is made with these.
    pub bits: u32,
    /// It is given these afterwards (`--upload-mode`), whatever umask and directory say.
    exact: Option<u32>,
}

impl NewFile {
    /// Gives a new file the bits that it is to have.
    pub(crate) fn fix(self, file: &File) -> io::Result<()> {
        self.exact.map_or(Ok(()), |mode| files::set_mode(file.as_fd(), mode))
    }
}

/// TYPE, STRU and MODE, the data port, and the options of OPTS.
pub(crate) struct Parameters {
    pub transfer: TransferParameters,
    pub data_port: DataPort,
    /// EPSV ALL was sent: no other way to a data connection is taken any more (RFC 2428 section 4).
    pub epsv_all: bool,
    /// Set by OPTS.
    pub choices: Choices,
    pub idle_timeout: Duration,
}

impl Parameters {
    pub(crate) fn new(config: &Config) -> Parameters {
        let page = CodePage::by_number(config.data.ebcdic).unwrap_or_default();
        let idle_timeout = config.limits.idle_timeout;
        Parameters {
            transfer: TransferParameters { page, ..TransferParameters::default() },
            data_port: DataPort::Unset,
            epsv_all: false,
            choices: Choices { facts: FactSet::ALL },
            idle_timeout,
        }
    }
}

/// Left by one command for the next. It is taken, not looked at, so that it cannot outlive its turn.
#[derive(Default)]
pub(crate) struct Leftover {
    /// RNFR's, for the RNTO that follows at once.
    pub rename_from: Option<VirtualPath>,
    /// REST's. Clients send REST before PASV, so it lives until the next transfer.
    pub restart_at: u64,
}

impl LoggedIn {
    /// 553 for a name that `--deny-files` lets nobody make; `typed` as the client wrote it.
    pub(crate) fn may_make(&self, path: &VirtualPath, typed: &[u8]) -> Result<(), Stop> {
        if !self.vfs.is_denied(path) {
            return Ok(());
        }
        Err(refused(ReplyCode::NameNotAllowed, [typed, b": Permission denied."].concat()))
    }

    /// The permission bits of new files.
    pub(crate) fn new_file_mode(&self, policy: &FilePolicy) -> NewFile {
        NewFile { bits: 0o666, exact: policy.upload_mode }
    }

    /// The permission bits that new files lack from now on. Where the thread has a umask of its own the
    /// kernel takes them, and knows of directories with default ACLs, where they do not count.
    pub(crate) fn set_umask(&mut self, umask: u32) {
        self.umask = umask;
        match &self.own_umask {
            Some(own) => own.set(umask),
            None => self.vfs.mask_by_hand(umask),
        }
    }

    /// The path as the server's administrator would write it.
    pub(crate) fn real_path(&self, path: &VirtualPath) -> Vec<u8> {
        let root = self.account.root.as_os_str().as_encoded_bytes();
        let root = root.strip_suffix(b"/").unwrap_or(root);
        if path.is_root() && !root.is_empty() { root.to_vec() } else { [root, path.as_bytes()].concat() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::UserOptions;

    fn rates(kind: AccountKind, rate: Option<u64>, limits: &Limits) -> (Option<u64>, Option<u64>) {
        let account = Account {
            name: "joe".into(),
            kind,
            identity: None,
            root: "/".into(),
            confined: false,
            start: b"/".to_vec(),
            options: UserOptions { rate, ..UserOptions::default() },
            session: None,
        };
        let rates = Rates::of(&account, limits);
        (rates.download, rates.upload)
    }

    #[test]
    fn the_rate_of_an_account_goes_before_that_of_anonymous_ones_and_that_of_all() {
        let anonymous = || AccountKind::Anonymous { email: String::new() };
        let limits = Limits { rate_download: Some(10), rate_upload: Some(20), ..Limits::default() };
        assert_eq!(rates(AccountKind::Real, None, &limits), (Some(10), Some(20)));
        assert_eq!(rates(anonymous(), None, &limits), (Some(10), Some(20)));
        let limits =
            Limits { anonymous_rate_download: Some(Some(1)), anonymous_rate_upload: Some(None), ..limits };
        assert_eq!(rates(AccountKind::Real, None, &limits), (Some(10), Some(20)));
        assert_eq!(rates(anonymous(), None, &limits), (Some(1), None));
        assert_eq!(rates(anonymous(), Some(7), &limits), (Some(7), Some(7)));
        assert_eq!(rates(AccountKind::Real, Some(0), &limits), (None, None));
    }
}
