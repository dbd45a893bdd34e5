//! The questions of an operator to a running server (`ferryd who`, `ferryd kick`), over a UNIX socket.
//! Root and the account of the server may ask.
//!
//! The question is one line. The answer is a line, `ok` or `error: WHY`, and a text up to the end of the
//! connection.

mod answer;
mod ask;
mod who;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use answer::OperatorSocket;
pub(crate) use ask::ask;

/// The time for which either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// A question of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Who { json: bool },
    Kick { id: u64 },
}

/// The socket of a server that root started, unless `--control-socket` names another.
pub(crate) fn default_path() -> PathBuf {
    let run = if Path::new("/run").is_dir() { "/run" } else { "/var/run" };
    Path::new(run).join("ferryd").join("control")
}
