//! The transfer log: a line for each transfer, in the format of xferlog(5). And FreeBSD's statistics file
//! for anonymous downloads (`-S`).

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use super::escape::is_visible;
use super::file::LogFile;
use super::flood;
use super::json::Object;
use super::local_now;
use crate::config::{LogFormat, Logging};
use crate::events::{Change, ChangeKind, Direction, Event, Paths, Transfer, User, What};
use crate::proto::calendar::CivilTime;

/// FreeBSD's ftpd keeps the statistics here; written only if it exists.
pub(crate) const STATFILE: &str = "/var/log/ftpd";

/// A record in the making.
struct Row<'a> {
    peer: IpAddr,
    session: Option<u64>,
    user: &'a User,
    direction: Way,
    paths: &'a Paths<'a>,
    bytes: u64,
    elapsed: Duration,
    ascii: bool,
    complete: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Outgoing,
    Incoming,
    /// DELE, which some readers of the log count too.
    Deleted,
}

impl<'a> Row<'a> {
    /// `None`: nothing for this log.
    fn of(event: &Event<'a>) -> Option<Row<'a>> {
        let (peer, session, user) = (event.host, event.session, event.user?);
        match event.what {
            What::Transferred(Transfer { direction, path, bytes, elapsed, ascii, complete, .. }) => {
                let direction = match direction {
                    Direction::Outgoing => Way::Outgoing,
                    Direction::Incoming => Way::Incoming,
                };
                Some(Row { peer, session, user, direction, paths: path, bytes, elapsed, ascii, complete })
            }
            What::Changed(Change { kind: ChangeKind::Delete, path, bytes, failure: None, .. }) => Some(Row {
                peer,
                session,
                user,
                direction: Way::Deleted,
                paths: path,
                bytes,
                elapsed: Duration::ZERO,
                ascii: false,
                complete: true,
            }),
            _ => None,
        }
    }

    /// The password of an anonymous client, else the login name.
    fn name(&self) -> &'a [u8] {
        self.user.email.as_ref().unwrap_or(&self.user.name).as_bytes()
    }
}

/// The mark of transfers in the log (`-X`).
pub(super) const TARGET: &str = "xferlog";

/// The files behind `-L` and `-S`, and `-X`. Sessions write to them as whoever they are
/// by then, because the files were opened at start.
pub(crate) struct TransferLog {
    xferlog: Option<LogFile>,
    statfile: Option<LogFile>,
    /// Those of virtual hosts.
    statfiles: RwLock<Vec<Arc<LogFile>>>,
    format: LogFormat,
    to_log: bool,
}

impl TransferLog {
    /// Opens the transfer log, making it with mode 0640, and the statistics file if
    /// it is asked for and there. The error names the file.
    pub(crate) fn open(logging: &Logging, statistics: bool) -> io::Result<TransferLog> {
        TransferLog::open_files(logging, statistics.then_some(Path::new(STATFILE)))
    }

    fn open_files(logging: &Logging, statfile: Option<&Path>) -> io::Result<TransferLog> {
        let statfile = match statfile.map(|path| LogFile::open(path, false)) {
            Some(Err(err)) if err.kind() == io::ErrorKind::NotFound => None,
            other => other.transpose()?,
        };
        let xferlog = logging.xferlog.as_deref().map(|path| LogFile::open(path, true)).transpose()?;
        Ok(TransferLog {
            xferlog,
            statfile,
            statfiles: RwLock::default(),
            format: logging.format,
            to_log: logging.xferlog_syslog,
        })
    }

    /// Writes down what belongs here. A log that cannot be written costs no session:
    /// it is said in the other log.
    pub(crate) fn record(&self, event: &Event<'_>) {
        let Some(row) = Row::of(event) else { return };
        let text = || format!("incomplete transfer of {} in the transfer log", super::text(row.paths.shown));
        if !event.what.has_effect()
            && (self.xferlog.is_some() || self.to_log)
            && flood::leaves_out("xferlog", row.peer, text)
        {
            return;
        }
        if self.xferlog.is_some() || self.to_log {
            let line = match self.format {
                LogFormat::Text => xferlog_line(local_now(), &row),
                LogFormat::Json => json_line(&row),
            };
            if let Some(xferlog) = &self.xferlog {
                xferlog.append(format!("{line}\n").as_bytes());
            }
            match self.format {
                _ if !self.to_log => (),
                LogFormat::Text => log::info!(target: TARGET, "xferlog: {line}"),
                LogFormat::Json => log::info!(target: TARGET, "{line}"),
            }
        }
        // As FreeBSD's: what is empty is not counted.
        if let (Some(email), Way::Outgoing, 1..) = (&row.user.email, row.direction, row.bytes) {
            let append = |file: &LogFile| file.append(&statfile_line(local_now(), &row, email.as_bytes()));
            match row.paths.statfile {
                None => self.statfile.iter().for_each(append),
                Some(path) => {
                    let file = self.statfiles.read().iter().find(|file| file.path() == path).cloned();
                    file.iter().for_each(|file| append(file));
                }
            }
        }
    }

    /// Opens more files of statistics, those that are there, for virtual hosts.
    pub(crate) fn keep_statistics<'a>(&self, paths: impl Iterator<Item = &'a Path>) {
        for path in paths {
            if self.statfiles.read().iter().any(|file| file.path() == path) {
                continue;
            }
            match LogFile::open(path, false) {
                Ok(file) => self.statfiles.write().push(Arc::new(file)),
                Err(err) if err.kind() == io::ErrorKind::NotFound => (),
                Err(err) => log::error!("{err}"),
            }
        }
    }

    /// Opens the files anew, after they were rotated. What cannot be opened
    /// goes on in the old one.
    pub(crate) fn reopen(&self) {
        let statfiles = self.statfiles.read();
        let own = [&self.xferlog, &self.statfile].into_iter().flatten();
        for file in own.chain(statfiles.iter().map(|file| &**file)) {
            if let Err(err) = file.reopen() {
                log::error!("{err}");
            }
        }
    }
}

/// The 18 words of an xferlog record.
fn xferlog_line(now: CivilTime, row: &Row<'_>) -> String {
    let access = if row.user.is_anonymous() { 'a' } else { 'r' };
    let direction = match row.direction {
        Way::Outgoing => 'o',
        Way::Incoming => 'i',
        Way::Deleted => 'd',
    };
    format!(
        "{} {} {} {} {} {} _ {direction} {access} {} ftp 0 * {}",
        now.ctime(),
        whole_seconds(row.elapsed),
        row.peer,
        row.bytes,
        field(&(row.paths.real)(), is_visible),
        if row.ascii { 'a' } else { 'b' },
        field(row.name(), is_visible),
        if row.complete { 'c' } else { 'i' },
    )
}

/// The same as an object of JSON.
fn json_line(row: &Row<'_>) -> String {
    let mut object = Object::now();
    object.string("event", b"transfer");
    if let Some(session) = row.session {
        object.number("session", session);
    }
    object.string("host", row.peer.to_string().as_bytes());
    object.string(if row.user.is_anonymous() { "email" } else { "user" }, row.name());
    object.truth("anonymous", row.user.is_anonymous());
    object.string(
        "direction",
        match row.direction {
            Way::Outgoing => b"download",
            Way::Incoming => b"upload",
            Way::Deleted => b"delete",
        },
    );
    object.string("path", &(row.paths.real)());
    object.number("bytes", row.bytes);
    object.seconds("seconds", row.elapsed);
    object.string("type", if row.ascii { b"ascii" } else { b"image" });
    object.truth("complete", row.complete);
    object.end()
}

/// FreeBSD's `"%.20s!%s!%s!%s!%jd!%ld\n"`: fields between exclamation marks.
fn statfile_line(now: CivilTime, row: &Row<'_>, ident: &[u8]) -> Vec<u8> {
    let keep = |c: char| c != '!' && (c == ' ' || is_visible(c));
    let time = now.ctime();
    format!(
        "{}!{}!{}!{}!{}!{}\n",
        &time[4..], // Without the day of the week.
        field(ident, keep),
        row.peer,
        field(&(row.paths.resolved)(), keep),
        row.bytes,
        whole_seconds(row.elapsed),
    )
    .into_bytes()
}

/// Rounded up, and at least one: readers divide by it.
fn whole_seconds(elapsed: Duration) -> u64 {
    elapsed.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
}

/// Clients' bytes as one field, which is never empty: an underscore for each
/// character that `keep` rejects and for each byte that is no character.
fn field(bytes: &[u8], keep: impl Fn(char) -> bool) -> String {
    let mut field = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        field.extend(chunk.valid().chars().map(|c| if keep(c) { c } else { '_' }));
        field.extend(chunk.invalid().iter().map(|_| '_'));
    }
    if field.is_empty() {
        field.push('_');
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Scratch;
    use std::fs;

    fn user(name: &str, email: Option<&str>) -> User {
        User { name: name.to_owned(), email: email.map(str::to_owned), confined: false }
    }

    fn transferred<'a>(direction: Direction, path: &'a Paths<'a>) -> What<'a> {
        let elapsed = Duration::from_millis(1001);
        let (word, bytes, ascii, complete) = ("put", 1234, false, true);
        What::Transferred(Transfer { word, direction, path, bytes, elapsed, ascii, complete })
    }

    /// Gives `look` an upload of the file that has this path, by this user.
    fn with_upload<T>(user: &User, path: &[u8], look: impl FnOnce(&Event<'_>) -> T) -> T {
        let bytes = || path.to_vec();
        let paths = Paths { shown: path, real: &bytes, resolved: &bytes, cwd: b"/", statfile: None };
        let what = transferred(Direction::Incoming, &paths);
        look(&Event { session: Some(17), host: "192.0.2.7".parse().unwrap(), user: Some(user), what })
    }

    fn record(log: &TransferLog) {
        with_upload(&user("joe", None), b"/home/joe/f", |event| log.record(event));
    }

    fn time() -> CivilTime {
        CivilTime { year: 2026, month: 11, day: 1, hour: 8, minute: 18, second: 7 }
    }

    fn logging(path: &Path) -> Logging {
        Logging { xferlog: Some(path.to_owned()), ..Logging::default() }
    }

    #[test]
    fn a_record_has_eighteen_words() {
        let joe = user("joe", None);
        let line = with_upload(&joe, b"/home/joe/a b\n.txt", |event| {
            xferlog_line(time(), &Row::of(event).expect("a transfer"))
        });
        assert_eq!(
            line,
            "Sun Nov  1 08:18:07 2026 2 192.0.2.7 1234 /home/joe/a_b_.txt b _ i r joe ftp 0 * c"
        );
        assert_eq!(line.split_whitespace().count(), 18);
    }

    #[test]
    fn neither_path_nor_password_can_forge_a_record_or_shift_its_words() {
        let evil = b"x ftp 0 * c\nSun Nov  1 08:18:07 2026 1 h 1 /f b _ o a y ftp 0 * c\r\t\xff\xc2\xa0";
        for (path, email) in [(&evil[..], &b""[..]), (&b"/f"[..], &evil[..])] {
            let guest = user("ftp", Some(&String::from_utf8_lossy(email)));
            let line =
                with_upload(&guest, path, |event| xferlog_line(time(), &Row::of(event).expect("a transfer")));
            assert_eq!(line.split_whitespace().count(), 18, "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn a_transfer_in_json_has_the_name_as_it_is() {
        let joe = user("joe", None);
        let line =
            with_upload(&joe, b"/a b\n\"\xff", |event| json_line(&Row::of(event).expect("a transfer")));
        assert!(
            line.ends_with(
                "\"event\":\"transfer\",\"session\":17,\"host\":\"192.0.2.7\",\"user\":\"joe\",\"anonymous\":false,\
                 \"direction\":\"upload\",\"path\":\"/a b\\u000a\\\"\u{fffd}\",\"path_hex\":\"2f6120620a22ff\",\
                 \"bytes\":1234,\"seconds\":1.001,\"type\":\"image\",\"complete\":true}"
            ),
            "{line}"
        );
    }

    #[test]
    fn the_statistics_file_has_freebsds_format() {
        let (real, resolved) = (|| b"/srv/ftp/pub/a!b".to_vec(), || b"/pub/a!b".to_vec());
        let path = Paths { shown: b"/link", real: &real, resolved: &resolved, cwd: b"/", statfile: None };
        let guest = user("ftp", Some("me@example.com"));
        let what = transferred(Direction::Outgoing, &path);
        let event = Event { session: None, host: "192.0.2.7".parse().unwrap(), user: Some(&guest), what };
        assert_eq!(
            statfile_line(time(), &Row::of(&event).expect("a transfer"), b"me@example.com"),
            b"Nov  1 08:18:07 2026!me@example.com!192.0.2.7!/pub/a_b!1234!2\n"
        );
    }

    #[test]
    fn a_deletion_has_the_size_of_the_file() {
        let bytes = || b"/f".to_vec();
        let path = &Paths { shown: b"/f", real: &bytes, resolved: &bytes, cwd: b"/", statfile: None };
        let joe = user("joe", None);
        let line = |failure| {
            let what = What::Changed(Change { kind: ChangeKind::Delete, path, to: None, bytes: 17, failure });
            let event = Event { session: None, host: "::1".parse().unwrap(), user: Some(&joe), what };
            Row::of(&event).map(|row| xferlog_line(time(), &row))
        };
        assert!(line(None).unwrap().contains(" ::1 17 /f b _ d r joe "));
        assert_eq!(line(Some("Permission denied.")), None);
    }

    #[test]
    fn a_rotated_log_is_written_anew_once_it_is_reopened() {
        let scratch = Scratch::new();
        let (path, rotated) = (scratch.join("xferlog"), scratch.join("xferlog.1"));
        let log = TransferLog::open_files(&logging(&path), None).unwrap();
        record(&log);
        fs::rename(&path, &rotated).unwrap();
        record(&log);
        log.reopen();
        record(&log);
        assert_eq!(fs::read_to_string(&rotated).unwrap().lines().count(), 2);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    }

    #[test]
    fn the_statistics_file_is_not_made() {
        let scratch = Scratch::new();
        let path = scratch.join("statfile");
        let log = TransferLog::open_files(&Logging::default(), Some(&path)).unwrap();
        record(&log);
        assert!(!path.exists());
    }
}
