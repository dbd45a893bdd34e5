//! The logs: the text log on standard error or in syslog, the transfer log, and wtmp.
//!
//! Texts follow FreeBSD's ftpd. Bytes from a client pass through [`word`] or [`text`], so that no name
//! looks like the end of its record. If a caller forgets that, the record is still one line.

mod context;
mod escape;
mod file;
mod flood;
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
pub(crate) use flood::{left_out_at, tell_left_out};
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
                    let (severity, text) =
                        (syslog::severity(record.level()), text_of(format, record, journal));
                    writeln!(out, "<{severity}>{text}")
                }
                (LogFormat::Json, false) => writeln!(out, "{}", text_of(format, record, false)),
                (LogFormat::Text, false) => write_for_people(out, record),
            })
        }
        Start::Daemon | Start::Connected | Start::Activated => {
            builder.target(Target::Pipe(Box::new(syslog::Syslog::open()))).format(move |out, record| {
                write_for_syslog(out, facility, record, &text_of(format, record, false))
            })
        }
    };
    // A second call changes nothing: a start that fails may have started the log already.
    let _ = flood::install(builder.build());
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
    writeln!(
        out,
        "{} ferryd[{}]: {level}{}",
        local_now().stamp(),
        number_of(record),
        with_session(record, false)
    )
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
    session_of(record).unwrap_or_else(|| std::process::id().into())
}

fn session_of(record: &Record<'_>) -> Option<u64> {
    let named = record.key_values().get(Key::from_str("session")).and_then(|value| value.to_u64());
    named.or_else(|| context::current().map(|session| session.number))
}

fn text_of(format: LogFormat, record: &Record<'_>, journal: bool) -> String {
    match format {
        // It is one already.
        LogFormat::Json if record.target() != transfers::TARGET => json::record_line(record),
        _ => with_session(record, journal),
    }
}

/// The line, and in brackets what it does not say of its session: user and host; and for the
/// journal, which shows the process in the tag, the session's number.
fn with_session(record: &Record<'_>, journal: bool) -> String {
    let line = one_line(record);
    let session = context::current();
    let number = session_of(record).filter(|_| journal);
    let missing = match story::names(record) {
        // Filters and programs read these to their end.
        story::Names::WholeLine => return line,
        story::Names::HostAndUser => [number.map(|number| number.to_string()), None],
        story::Names::Less => [number.map(|number| number.to_string()), session.map(|session| session.who())],
    };
    let missing: Vec<String> = missing.into_iter().flatten().collect();
    if missing.is_empty() { line } else { format!("{line} [{}]", missing.join(" ")) }
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
    fn a_line_says_whose_it_is() {
        let line = |text: &str, event: Option<&str>, journal: bool| {
            let event = event.map(|event| [("event", event)]);
            let mut builder = Record::builder();
            if let Some(event) = &event {
                builder.key_values(event);
            }
            with_session(&builder.args(format_args!("{text}")).build(), journal)
        };
        assert_eq!(line("listening", None, true), "listening");
        let _session = SessionLines::begin(17, "192.0.2.1".parse().unwrap());
        assert_eq!(line("USER joe", None, false), "USER joe [192.0.2.1]");
        SessionLines::set_user(Some("joe"));
        assert_eq!(line("NOOP 192.0.2.1", None, false), "NOOP 192.0.2.1 [joe@192.0.2.1]");
        assert_eq!(line("NOOP", None, true), "NOOP [17 joe@192.0.2.1]");
        assert_eq!(line("gone", Some("gone"), false), "gone [joe@192.0.2.1]");
        assert_eq!(line("FTP LOGIN", Some("login"), false), "FTP LOGIN");
        assert_eq!(line("FTP LOGIN", Some("login"), true), "FTP LOGIN [17]");
        // The stock filters of fail2ban know how this one ends.
        assert_eq!(line("repeated", Some("login-failures"), true), "repeated");
    }

    #[test]
    fn a_record_is_one_line_whatever_the_caller_forgot() {
        let args = format_args!("user {}", "a\nNov  1 00:00:00 ftpd[1]: b\r");
        assert_eq!(one_line(&Record::builder().args(args).build()), "user a?Nov  1 00:00:00 ftpd[1]: b?");
    }
}
