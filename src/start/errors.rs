//! The errors of a start: the line that is said for each of them, the place where it is said, and the
//! exit code.

use std::fmt::Display;
use std::io::{self, Write};

use crate::cli::Problem;
use crate::config::{LogFormat, Logging, Start};
use crate::logging;

/// The exit code of a start that failed.
pub(super) const FAILURE: u8 = 1;
/// The exit code of a command line that cannot be understood.
pub(super) const USAGE: u8 = 2;

/// The place where a start that fails says why.
#[derive(Clone, Copy)]
pub(super) enum StartupErrors {
    /// Standard error: for the person who typed the command, or the service manager that keeps it.
    Stderr,
    /// Standard error is a client's connection (inetd): nothing may be written there.
    Syslog,
    /// Standard error is the log, in a form that a program reads (`--log-format=json`).
    Log,
}

impl StartupErrors {
    pub(super) fn new(stderr_is_a_client: bool) -> StartupErrors {
        if stderr_is_a_client { StartupErrors::Syslog } else { StartupErrors::Stderr }
    }

    /// The place from now on, after the log was started.
    pub(super) fn after_the_log(self, logging: &Logging, start: Start) -> StartupErrors {
        match (logging.format, start) {
            (LogFormat::Json, Start::Foreground) => StartupErrors::Log,
            _ => self,
        }
    }

    /// Says `line`, and returns `code`.
    pub(super) fn report(self, code: u8, line: impl Display) -> u8 {
        match self {
            StartupErrors::Stderr => {
                // Standard error may be closed; there is still the exit code.
                let _ = writeln!(io::stderr(), "ferryd: {line}");
            }
            StartupErrors::Syslog => {
                logging::init(&Logging::default(), Start::Connected);
                log::error!("{line}");
            }
            StartupErrors::Log => log::error!("{line}"),
        }
        code
    }

    pub(super) fn report_all(self, code: u8, problems: Vec<Problem>) -> u8 {
        problems.into_iter().fold(code, |code, problem| self.report(code, problem))
    }
}
