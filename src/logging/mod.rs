//! The logs: the text log on standard error or in syslog, the transfer log, and wtmp.
//!
//! Texts follow FreeBSD's ftpd. Bytes from a client pass through [`word`] or [`text`], so that no name
//! looks like the end of its record. If a caller forgets that, the record is still one line.

mod context;
mod escape;
mod file;
pub(crate) mod json;
mod logins;
mod story;
mod syslog;
mod transfers;

use std::io::Write;
use std::panic;

use env_logger::fmt::Formatter;
use env_logger::{Builder, Target};
use log::kv::Key;
use log::{Level, LevelFilter, Record};

use crate::config::{LogFormat, Logging, Start};
use crate::proto::calendar::CivilTime;
use crate::sys::clock;
use crate::sys::process;

pub(crate) use context::SessionLines;
pub(crate) use escape::{text, word};
pub(crate) use logins::{LoginRecord, Logins};
pub(crate) use story::tell;
pub(crate) use transfers::TransferLog;

/// The name of every ftpd in syslog; log filters look for it.
const IDENT: &str = "ftpd";

/// Starts the log: on standard error in the foreground, where RUST_LOG works, else in syslog. The process
/// must still have its rights.
pub(crate) fn init(logging: &Logging, start: Start) {
    let mut builder = Builder::new();
    builder.filter_level(match logging.debug {
        0 => LevelFilter::Info,
        1 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    });
    let (format, facility) = (logging.format, logging.facility);
    match start {
        Start::Foreground => {
            let journal = process::stderr_is_the_journal();
            builder.parse_env("RUST_LOG").format(move |out, record| match (format, journal) {
                (_, true) => {
                    writeln!(out, "<{}>{}", syslog::severity(record.level()), text_of(format, record))
                }
                (LogFormat::Json, false) => writeln!(out, "{}", text_of(format, record)),
                (LogFormat::Text, false) => write_for_people(out, record),
            })
        }
        Start::Daemon | Start::Connected | Start::Activated => builder
            .target(Target::Pipe(Box::new(syslog::Syslog::open())))
            .format(move |out, record| write_for_syslog(out, facility, record, &text_of(format, record))),
    };
    // A second call changes nothing: a start that fails may have started the log already.
    let _ = builder.try_init();
    log_panics();
}

/// A panic ends one session. Its message is the only trace of the bug.
fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = info.payload_as_str().unwrap_or("no message");
        log::error!("bug at {place}: {}", text(message.as_bytes()));
    }));
}

fn write_for_people(out: &mut Formatter, record: &Record<'_>) -> std::io::Result<()> {
    let level = match record.level() {
        Level::Error => "error: ",
        Level::Warn => "warning: ",
        Level::Info | Level::Debug | Level::Trace => "",
    };
    writeln!(out, "{} ferryd[{}]: {level}{}", local_now().stamp(), number_of(record), one_line(record))
}

/// One datagram, as syslog(3) makes it: `<priority>Nov  1 08:00:00 ftpd[17]: text`.
fn write_for_syslog(
    out: &mut Formatter,
    facility: u8,
    record: &Record<'_>,
    text: &str,
) -> std::io::Result<()> {
    let priority = syslog::priority(facility, record.level());
    write!(out, "<{priority}>{} {IDENT}[{}]: {text}", local_now().stamp(), number_of(record))
}

/// The number in the tag: that of the session whose line it is, or that of this process.
fn number_of(record: &Record<'_>) -> u64 {
    let named = record.key_values().get(Key::from_str("session")).and_then(|value| value.to_u64());
    let own = || context::current().map(|session| session.number);
    named.or_else(own).unwrap_or_else(|| std::process::id().into())
}

fn text_of(format: LogFormat, record: &Record<'_>) -> String {
    match format {
        // It is one already.
        LogFormat::Json if record.target() != transfers::TARGET => json::record_line(record),
        _ => one_line(record),
    }
}

fn one_line(record: &Record<'_>) -> String {
    record.args().to_string().replace(|c: char| c.is_control(), "?")
}

/// The local time.
pub(crate) fn local_now() -> CivilTime {
    let now = clock::now();
    CivilTime::local(now, clock::utc_offset(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_whatever_the_caller_forgot() {
        let args = format_args!("user {}", "a\nNov  1 00:00:00 ftpd[1]: b\r");
        assert_eq!(one_line(&Record::builder().args(args).build()), "user a?Nov  1 00:00:00 ftpd[1]: b?");
    }
}
