//! What an operator asks of a server that runs (`--who`, `--kick`), over a UNIX socket.
//! For root, and for whoever runs the server.
//!
//! One line is asked, the rest of the connection is the answer: `ok` or
//! `error: WHY` on a line, and the text.

mod answer;
mod ask;
mod who;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use answer::OperatorSocket;
pub(crate) use ask::ask;

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an operator asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Who { json: bool },
    Kick { id: u64 },
}

/// Where it is, unless `--control-socket` says otherwise: a place for root alone.
pub(crate) fn default_path() -> PathBuf {
    let run = if Path::new("/run").is_dir() { "/run" } else { "/var/run" };
    Path::new(run).join("ferryd").join("control")
}
