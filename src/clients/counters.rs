//! Everything that the server has done since its start, in numbers.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::events::{Direction, Event, What};

/// Numbers that only grow.
#[derive(Default)]
pub(crate) struct Counters {
    sessions: AtomicU64,
    turned_away: AtomicU64,
    logins: AtomicU64,
    failed_logins: AtomicU64,
    /// Files that were sent or stored completely.
    downloads: AtomicU64,
    uploads: AtomicU64,
    /// Transfers that were cut off.
    incomplete: AtomicU64,
    /// Bytes of files.
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
}

impl Counters {
    /// Counts what happened.
    pub(crate) fn count(&self, event: &Event<'_>) {
        let add = |counter: &AtomicU64, count| {
            counter.fetch_add(count, Ordering::Relaxed);
        };
        match event.what {
            What::Connected => add(&self.sessions, 1),
            What::TurnedAway { .. } => add(&self.turned_away, 1),
            What::LoggedIn => add(&self.logins, 1),
            What::LoginFailed { .. } => add(&self.failed_logins, 1),
            What::Transferred(transfer) => {
                let (files, bytes) = match transfer.direction {
                    Direction::Outgoing => (&self.downloads, &self.bytes_sent),
                    Direction::Incoming => (&self.uploads, &self.bytes_received),
                };
                add(if transfer.complete { files } else { &self.incomplete }, 1);
                add(bytes, transfer.bytes);
            }
            _ => (),
        }
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        write!(
            f,
            "{} sessions and {} clients turned away, {} logins and {} that failed, \
             {} downloads ({} bytes), {} uploads ({} bytes), {} incomplete",
            read(&self.sessions),
            read(&self.turned_away),
            read(&self.logins),
            read(&self.failed_logins),
            read(&self.downloads),
            read(&self.bytes_sent),
            read(&self.uploads),
            read(&self.bytes_received),
            read(&self.incomplete)
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::events::{Paths, Transfer};

    #[test]
    fn a_transfer_counts_by_its_direction_and_its_end() {
        let counters = Counters::default();
        let nowhere = || Vec::new();
        let path = &Paths { shown: b"/f", real: &nowhere, resolved: &nowhere, cwd: b"/", statfile: None };
        for (direction, complete) in
            [(Direction::Outgoing, true), (Direction::Incoming, true), (Direction::Incoming, false)]
        {
            let elapsed = Duration::ZERO;
            let transfer =
                Transfer { word: "get", direction, path, bytes: 10, elapsed, ascii: false, complete };
            let what = What::Transferred(transfer);
            counters.count(&Event { session: None, host: "::1".parse().unwrap(), user: None, what });
        }
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        assert_eq!(
            (read(&counters.downloads), read(&counters.uploads), read(&counters.incomplete)),
            (1, 1, 1)
        );
        assert_eq!((read(&counters.bytes_sent), read(&counters.bytes_received)), (10, 20));
    }
}
