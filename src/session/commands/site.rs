//! SITE UMASK and IDLE; CHMOD and UTIME are with the files, HELP with the other HELP.

use std::time::Duration;

use crate::proto::reply::{Reply, ReplyCode};
use crate::session::Session;
use crate::session::stop::{Stop, refused};

/// The shortest that SITE IDLE may ask for, in seconds; ftpd's.
const SHORTEST_IDLE: u64 = 30;

impl Session {
    pub(in crate::session) fn site_umask(&mut self, mask: Option<u32>) -> Result<Reply, Stop> {
        let login = self.logged_in()?;
        let old = login.umask;
        let Some(new) = mask else {
            return Ok(Reply::new(ReplyCode::CommandOkay, format!("Current UMASK is {old:03o}")));
        };
        login.set_umask(new);
        Ok(Reply::new(ReplyCode::CommandOkay, format!("UMASK set to {new:03o} (was {old:03o})")))
    }

    pub(in crate::session) fn site_idle(&mut self, seconds: Option<u64>) -> Result<Reply, Stop> {
        let most = self.services.config.limits.max_idle_timeout.as_secs();
        let Some(seconds) = seconds else {
            let now = self.parameters.idle_timeout.as_secs();
            let text = format!("Current IDLE time limit is {now} seconds; max {most}");
            return Ok(Reply::new(ReplyCode::CommandOkay, text));
        };
        if !(SHORTEST_IDLE..=most).contains(&seconds) {
            let text = format!("Maximum IDLE time must be between {SHORTEST_IDLE} and {most} seconds");
            return Err(refused(ReplyCode::ArgumentError, text));
        }
        self.parameters.idle_timeout = Duration::from_secs(seconds);
        Ok(Reply::new(ReplyCode::CommandOkay, format!("Maximum IDLE time set to {seconds} seconds")))
    }
}
