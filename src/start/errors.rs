//! What is said when a start fails, and to whom.

use std::fmt::Display;
use std::io::{self, Write};

use crate::cli::Problem;
use crate::config::{Logging, Start};
use crate::logging;

/// The exit code of a start that failed.
pub(super) const FAILURE: u8 = 1;
/// The exit code of a command line that cannot be understood.
pub(super) const USAGE: u8 = 2;

/// Where a start that fails says why: standard error, or syslog.
#[derive(Clone, Copy)]
pub(super) struct StartupErrors {
    /// Standard error is a client's connection (inetd): nothing may be written there.
    stderr_is_a_client: bool,
}

impl StartupErrors {
    pub(super) fn new(stderr_is_a_client: bool) -> StartupErrors {
        StartupErrors { stderr_is_a_client }
    }

    /// Says `line`, and returns `code`.
    pub(super) fn report(self, code: u8, line: impl Display) -> u8 {
        if self.stderr_is_a_client {
            logging::init(&Logging::default(), Start::Connected);
            log::error!("{line}");
        } else {
            let _ = writeln!(io::stderr(), "ferryd: {line}");
        }
        code
    }

    pub(super) fn report_all(self, code: u8, problems: Vec<Problem>) -> u8 {
        problems.into_iter().fold(code, |code, problem| self.report(code, problem))
    }
}
