//! Events in the log, in the words of FreeBSD's ftpd.
//!
//! The text is for people and log filters; the parts, by name, are for `--log-format=json`.

use log::kv::{Key, Value};
use log::{Level, Record};

use super::{text, word};
use crate::events::{Change, ChangeKind, Event, Transfer, What};

/// What marks files that were moved or changed: each is written, however many they are.
pub(super) const FILES: &str = concat!(module_path!(), "::files");

/// The most of a name from the network that a line shows.
const SHOWN_NAME: usize = 64;

/// An event as a record of the log.
struct Line {
    level: Level,
    /// `event` in JSON.
    name: &'static str,
    text: String,
    parts: Vec<(&'static str, Part)>,
}

enum Part {
    Text(String),
    Number(u64),
    Truth(bool),
}

/// Writes `event` to the log. `detail` is how often `-l` was given: without it sessions are only
/// logged for debugging; commands that move or change files are logged with two.
pub(crate) fn tell(event: &Event<'_>, detail: u8) {
    let Some(line) = line_of(event, detail).filter(|line| line.level <= log::max_level()) else { return };
    let mut parts: Vec<(&str, Value<'_>)> = vec![("event", Value::from(line.name))];
    parts.extend(event.session.map(|session| ("session", Value::from(session))));
    let host = event.host.to_string();
    parts.push(("host", Value::from(host.as_str())));
    for (name, part) in &line.parts {
        parts.push((name, part.value()));
    }
    let (level, target) = (line.level, if event.what.has_effect() { FILES } else { module_path!() });
    log::logger().log(
        &Record::builder()
            .level(level)
            .target(target)
            .key_values(&parts)
            .args(format_args!("{}", line.text))
            .build(),
    );
}

impl Part {
    fn value(&self) -> Value<'_> {
        match self {
            Part::Text(text) => Value::from(text.as_str()),
            Part::Number(number) => Value::from(*number),
            Part::Truth(truth) => Value::from(*truth),
        }
    }
}

/// What the text of a record says of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// It ends as those who read it expect, and nothing may follow.
    WholeLine,
    HostAndUser,
    Less,
}

/// What the text of `record` says of its session. Known by the event: a client may write any host
/// into a name.
pub(super) fn names(record: &Record<'_>) -> Names {
    let event = record.key_values().get(Key::from_str("event"));
    match event.map(|event| event.to_string()).as_deref() {
        _ if record.target() == super::transfers::TARGET => Names::WholeLine,
        Some("login-failures") => Names::WholeLine,
        None | Some("timeout" | "gone") => Names::Less,
        Some(_) => Names::HostAndUser,
    }
}

fn line_of(event: &Event<'_>, detail: u8) -> Option<Line> {
    let host = event.host;
    let sessions = if detail >= 1 { Level::Info } else { Level::Debug };
    let user = event.user.map_or("", |user| user.name.as_str());
    let line = |level, name, text, parts| Some(Line { level, name, text, parts });
    let name = |user: &[u8]| ("user", lossy(user));
    let why = |reason: &str| ("reason", Part::Text(reason.to_owned()));
    match event.what {
        What::Connected => line(sessions, "connection", format!("connection from {host}"), vec![]),
        What::TurnedAway { reason } => {
            let text = format!("connection from {host} refused: {reason}");
            line(sessions, "refused", text, vec![why(reason)])
        }
        What::LoggedIn => match event.user.and_then(|user| user.email.as_deref()) {
            Some(email) => {
                let text = format!("ANONYMOUS FTP LOGIN FROM {host}, {}", shown(email.as_bytes()));
                line(sessions, "anonymous-login", text, vec![("email", Part::Text(email.to_owned()))])
            }
            None => {
                let text = format!("FTP LOGIN FROM {host} as {}", shown(user.as_bytes()));
                line(sessions, "login", text, vec![name(user.as_bytes())])
            }
        },
        What::LoginsClosed { user, reason } => {
            let text = format!("FTP LOGIN REFUSED FROM {host}, {} ({reason})", shown(user));
            let parts = vec![name(user), why(reason)];
            line(Level::Info, "login-refused", text, parts)
        }
        What::LoginFailed { user, reason } => {
            let text = format!("FTP LOGIN FAILED FROM {host}, {} ({reason})", shown(user));
            let parts = vec![name(user), why(reason)];
            line(Level::Warn, "login-failed", text, parts)
        }
        What::LoginsFailed { failures } => {
            let text = format!("repeated login failures from {host} ({host})");
            line(Level::Warn, "login-failures", text, vec![("failures", Part::Number(failures.into()))])
        }
        What::Banned => {
            line(Level::Warn, "banned", format!("{host} is banned for its failed logins"), vec![])
        }
        What::Transferred(transfer) if detail >= 2 => Some(transferred(event, &transfer)),
        What::Changed(change) if detail >= 2 => Some(changed(event, &change)),
        What::Transferred(_) | What::Changed(_) => None,
        What::TimedOut { seconds } => {
            let text = format!("User {} timed out after {seconds} seconds", shown(user.as_bytes()));
            line(
                Level::Info,
                "timeout",
                text,
                vec![name(user.as_bytes()), ("seconds", Part::Number(seconds))],
            )
        }
        What::Kicked => {
            let text = format!("session of {} ended by the operator", by(event));
            line(Level::Info, "kicked", text, vec![])
        }
        What::Revoked { reason } => {
            let text = format!("session of {} ends: {reason}", by(event));
            let parts = vec![name(user.as_bytes()), why(reason)];
            line(Level::Info, "revoked", text, parts)
        }
        What::Gone { files, sent, received } => {
            let text = format!("{host} gone: {files} files, {sent} bytes sent, {received} received");
            let parts = vec![
                ("files", Part::Number(files)),
                ("sent", Part::Number(sent)),
                ("received", Part::Number(received)),
            ];
            line(sessions, "gone", text, parts)
        }
    }
}

fn transferred(event: &Event<'_>, transfer: &Transfer<'_>) -> Line {
    let (word, bytes) = (transfer.word, transfer.bytes);
    let path = transfer.path;
    let cut = if transfer.complete { "" } else { ", incomplete" };
    let text = format!("{word} {} = {bytes} bytes{cut}{}", text(path.shown), context(event, path.cwd));
    let parts = vec![
        ("user", lossy(user_name(event))),
        ("path", lossy(path.shown)),
        ("bytes", Part::Number(bytes)),
        ("complete", Part::Truth(transfer.complete)),
    ];
    Line { level: Level::Info, name: word, text, parts }
}

fn changed(event: &Event<'_>, change: &Change<'_>) -> Line {
    let name = word_of(change.kind);
    let path = change.path;
    let mut said = format!("{name} {}", text(path.shown));
    let mut parts = vec![("user", lossy(user_name(event))), ("path", lossy(path.shown))];
    if let Some(to) = change.to {
        said += &format!(" {}", text(to));
        parts.push(("to", lossy(to)));
    }
    if let Some(failure) = change.failure {
        said += &format!(", failed: {failure}");
        parts.push(("failure", Part::Text(failure.to_owned())));
    }
    said += &context(event, path.cwd);
    Line { level: Level::Info, name, text: said, parts }
}

/// ftpd's words for the commands that change files.
fn word_of(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Rename => "rename",
        ChangeKind::Delete => "delete",
        ChangeKind::MakeDirectory => "mkdir",
        ChangeKind::RemoveDirectory => "rmdir",
        ChangeKind::Mode => "chmod",
        ChangeKind::Times => "utime",
    }
}

/// ` by joe@192.0.2.1 (wd: DIR; chrooted)`
fn context(event: &Event<'_>, cwd: &[u8]) -> String {
    let chrooted = if event.user.is_some_and(|user| user.confined) { "; chrooted" } else { "" };
    format!(" by {} (wd: {}{chrooted})", by(event), text(cwd))
}

/// `joe@192.0.2.1`
fn by(event: &Event<'_>) -> String {
    let name = event.user.map_or("?".to_owned(), |user| shown(user.name.as_bytes()));
    format!("{name}@{}", event.host)
}

fn user_name<'a>(event: &Event<'a>) -> &'a [u8] {
    event.user.map_or(b"", |user| user.name.as_bytes())
}

fn lossy(bytes: &[u8]) -> Part {
    Part::Text(String::from_utf8_lossy(bytes).into_owned())
}

/// A name from the network, fit for a line of the log.
fn shown(name: &[u8]) -> String {
    word(&name[..name.len().min(SHOWN_NAME)]).to_string()
}
