//! Events: what happens to a client and is written down or counted.
//!
//! An event is made once, where it happens. The log (text and JSON), the transfer log, wtmp and
//! the counters are readers of it: that is how they cannot disagree. A new reader is a function of
//! an `&Event`, and one line in `session::services`.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// One thing that happened.
#[derive(Clone, Copy)]
pub(crate) struct Event<'a> {
    /// The number of the session, as `who` and the tag of its lines in the log have it; `None` for
    /// a client that got no session.
    pub session: Option<u64>,
    /// The client's address; never a name, which would be the client's own word.
    pub host: IpAddr,
    /// `None`: nobody was logged in.
    pub user: Option<&'a User>,
    pub what: What<'a>,
}

/// The user who is logged in, as the logs and `who` name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// The login name; for anonymous clients that of the account whose rights they have.
    pub name: String,
    /// The password of an anonymous client, which should be an e-mail address; `None` for an account's own login.
    pub email: Option<String>,
    /// Confined to its root.
    pub confined: bool,
}

impl User {
    pub(crate) fn is_anonymous(&self) -> bool {
        self.email.is_some()
    }
}

#[derive(Clone, Copy)]
pub(crate) enum What<'a> {
    /// A client has a session.
    Connected,
    /// A client was sent away because of a limit, a ban or nologin: before its session, or when it
    /// gave its login up.
    TurnedAway { reason: &'a str },
    /// `Event::user` is logged in.
    LoggedIn,
    /// Nobody may log in now, or not this user, or nobody from this host: nologin, a limit, a ban.
    LoginsClosed { user: &'a [u8], reason: &'a str },
    /// The password was wrong, or the account may not log in.
    LoginFailed { user: &'a [u8], reason: &'a str },
    /// So many logins of one session have failed that somebody should look.
    LoginsFailed { failures: u32 },
    /// The host is banned for its failed logins.
    Banned,
    /// A file was sent or stored, or a part of it.
    Transferred(Transfer<'a>),
    /// Files were changed without a transfer, or were to be.
    Changed(Change<'a>),
    /// Nothing came from the client for so many seconds.
    TimedOut { seconds: u64 },
    /// The operator ended the session.
    Kicked,
    /// The administrator's files do not let `Event::user` in any more.
    Revoked { reason: &'a str },
    /// The session is over.
    Gone { files: u64, sent: u64, received: u64 },
}

impl What<'_> {
    /// Bytes of a file were moved, or files changed. What was only tried is something else: a client
    /// can try without end.
    pub(crate) fn has_effect(&self) -> bool {
        match self {
            What::Transferred(transfer) => transfer.complete || transfer.bytes > 0,
            What::Changed(change) => change.failure.is_none(),
            _ => false,
        }
    }
}

/// A file that was moved over a data connection, or was to be.
#[derive(Clone, Copy)]
pub(crate) struct Transfer<'a> {
    /// `get`, `put` or `append`, as ftpd calls it.
    pub word: &'static str,
    pub direction: Direction,
    pub path: &'a Paths<'a>,
    /// Bytes of the file that went over the data connection.
    pub bytes: u64,
    pub elapsed: Duration,
    /// TYPE A, rather than image.
    pub ascii: bool,
    /// All of it was moved, and is where it should be.
    pub complete: bool,
}

/// Which way the bytes of a data connection go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// To the client.
    Outgoing,
    /// From the client.
    Incoming,
}

/// A change of a file or a directory.
#[derive(Clone, Copy)]
pub(crate) struct Change<'a> {
    pub kind: ChangeKind,
    pub path: &'a Paths<'a>,
    /// The new name, in the client's tree.
    pub to: Option<&'a [u8]>,
    /// Bytes that the file had, of one that was deleted.
    pub bytes: u64,
    /// Why nothing was changed.
    pub failure: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Rename,
    Delete,
    MakeDirectory,
    RemoveDirectory,
    Mode,
    Times,
}

/// A path, as several readers want it.
#[derive(Clone, Copy)]
pub(crate) struct Paths<'a> {
    /// In the client's tree, as the client means it.
    pub shown: &'a [u8],
    /// As the server's administrator would write it.
    pub real: &'a dyn Fn() -> Vec<u8>,
    /// In the client's tree, without links.
    pub resolved: &'a dyn Fn() -> Vec<u8>,
    /// The working directory.
    pub cwd: &'a [u8],
    /// The file for statistics of anonymous downloads, of a virtual host that has a file of its own.
    pub statfile: Option<&'a Path>,
}
