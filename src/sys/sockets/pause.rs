//! A rest from accept(2), when the process has no descriptor left for another connection.

use std::io;
use std::time::{Duration, Instant};

/// How long a rest is: whoever connects stays in the queue that long.
const REST: Duration = Duration::from_millis(100);

/// The log is told of a row of rests once in this time.
const QUIET: Duration = Duration::from_secs(60);

/// When the next accept(2) is worth a try.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    until: Option<Instant>,
    said: Option<Instant>,
}

impl Pause {
    /// Rests from now on, because `what` failed.
    pub(crate) fn begin(&mut self, what: &str, err: &io::Error) {
        let now = Instant::now();
        self.until = Some(now + REST);
        if self.said.is_none_or(|moment| moment + QUIET <= now) {
            log::warn!("{what}: {err}; trying again");
            self.said = Some(now);
        }
    }

    /// What is left of the rest; `None` when there is none.
    pub(crate) fn left(&self) -> Option<Duration> {
        let left = self.until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}
