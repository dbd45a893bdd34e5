//! Records as lines of JSON (`--log-format=json`): the text, and its parts by name, for programs.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use log::Record;
use log::kv::{self, Key, Value, VisitSource};

use super::context;

use crate::proto::calendar::CivilTime;

/// One record of the log: its time and level, its parts, and its text.
pub(super) fn record_line(record: &Record<'_>) -> String {
    let mut object = Object::now();
    object.string("level", record.level().as_str().to_ascii_lowercase().as_bytes());
    let parts = record.key_values();
    let has = |name: &str| parts.get(Key::from_str(name)).is_some();
    if let Some(session) = context::current() {
        if !has("session") {
            object.number("session", session.number);
        }
        if !has("host") {
            object.string("host", session.host.to_string().as_bytes());
        }
        if let Some(user) = session.user.filter(|_| !has("user") && !has("email")) {
            object.string("user", user.as_bytes());
        }
    }
    // The visitor below returns no error.
    let _ = parts.visit(&mut object);
    object.string("message", record.args().to_string().as_bytes());
    object.end()
}

/// A JSON object on one line, built piece by piece.
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Object {
        Object("{".to_owned())
    }

    /// An object that begins with the time and the number of the process.
    pub(crate) fn now() -> Object {
        let mut object = Object::new();
        object.string("time", timestamp(SystemTime::now()).as_bytes());
        object.number("pid", std::process::id());
        object
    }

    /// Bytes that are not UTF-8 become replacement characters; then `NAME_hex` has all bytes in
    /// hexadecimal.
    pub(crate) fn string(&mut self, name: &str, bytes: &[u8]) {
        self.name(name);
        quote(&mut self.0, &String::from_utf8_lossy(bytes));
        if std::str::from_utf8(bytes).is_err() {
            self.name(&format!("{name}_hex"));
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            quote(&mut self.0, &hex);
        }
    }

    pub(crate) fn number(&mut self, name: &str, number: impl Into<u64>) {
        self.name(name);
        self.raw(&number.into().to_string());
    }

    /// With three decimals.
    pub(crate) fn seconds(&mut self, name: &str, time: std::time::Duration) {
        self.name(name);
        self.raw(&format!("{:.3}", time.as_secs_f64()));
    }

    pub(crate) fn truth(&mut self, name: &str, value: bool) {
        self.name(name);
        self.raw(if value { "true" } else { "false" });
    }

    pub(crate) fn null(&mut self, name: &str) {
        self.name(name);
        self.raw("null");
    }

    /// The object, without a newline.
    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        quote(&mut self.0, name);
        self.0.push(':');
    }

    fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }
}

impl<'kvs> VisitSource<'kvs> for Object {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        match value.to_u64() {
            Some(number) => self.number(key.as_str(), number),
            None => self.string(key.as_str(), value.to_string().as_bytes()),
        }
        Ok(())
    }
}

/// RFC 8259 section 7. Invisible characters are escaped too, so that a terminal shows them.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' ' => out.push(c),
            _ if super::escape::is_visible(c) => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String does not fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

/// `2026-11-21T08:18:17.123Z` (RFC 3339).
pub(crate) fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    CivilTime::utc(seconds).rfc_3339(since.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn no_name_ends_its_string_or_its_line() {
        let mut object = Object::new();
        object.string("path", b"a\"b\\c\n\t\x1b[2J\xe2\x80\xae \xf0\x9f\x98\x80");
        assert_eq!(object.end(), r#"{"path":"a\"b\\c\u000a\u0009\u001b[2J\u202e 😀"}"#);
    }

    #[test]
    fn what_is_not_text_is_there_in_full() {
        let mut object = Object::new();
        object.string("path", b"a\xff");
        object.number("bytes", 7u64);
        object.truth("complete", false);
        assert_eq!(
            object.end(),
            "{\"path\":\"a\u{fffd}\",\"path_hex\":\"61ff\",\"bytes\":7,\"complete\":false}"
        );
    }

    #[test]
    fn a_record_has_its_parts_and_its_text() {
        let parts = [("user", Value::from("joe\n")), ("bytes", Value::from(12u64))];
        let args = format_args!("put \"x\"");
        let record = Record::builder().args(args).level(log::Level::Warn).key_values(&parts).build();
        let line = record_line(&record);
        assert!(line.starts_with("{\"time\":\"2"), "{line}");
        assert!(
            line.ends_with(r#","level":"warn","user":"joe\u000a","bytes":12,"message":"put \"x\""}"#),
            "{line}"
        );
    }

    #[test]
    fn times_are_those_of_rfc_3339() {
        let time = UNIX_EPOCH + Duration::from_millis(1_795_249_097_007);
        assert_eq!(timestamp(time), "2026-11-21T08:18:17.007Z");
    }
}
