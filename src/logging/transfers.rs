//! The transfer log: one line for each file moved, in the format of xferlog(5),
//! and FreeBSD's statistics file for anonymous downloads (`-S`).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use super::escape::is_visible;
use super::json::Object;
use super::local_now;
use crate::config::{LogFormat, Logging};
use crate::proto::calendar::CivilTime;

/// Where FreeBSD's ftpd keeps the statistics; written only if it exists.
pub(crate) const STATFILE: &str = "/var/log/ftpd";

/// One file that was moved, or was to be.
pub(crate) struct Transfer<'a> {
    pub peer: IpAddr,
    pub user: User<'a>,
    pub direction: Direction,
    /// The whole path, as the server's administrator would write it.
    pub path: &'a [u8],
    /// Finds the path in the client's tree, without links: only the statistics want it.
    pub path_in_tree: &'a dyn Fn() -> Vec<u8>,
    /// Where the statistics go, of a virtual host that has a file of its own.
    pub statfile: Option<&'a Path>,
    /// Bytes that went over the data connection.
    pub bytes: u64,
    pub elapsed: Duration,
    /// TYPE A, rather than image.
    pub ascii: bool,
    /// False when it was cut off.
    pub complete: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// To the client: RETR.
    Outgoing,
    /// From the client: STOR, STOU, APPE.
    Incoming,
    /// DELE, which some readers of the log count too.
    Deleted,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum User<'a> {
    /// The login name.
    Real(&'a [u8]),
    /// What the client gave for a password.
    Anonymous(&'a [u8]),
}

/// What marks transfers in the log (`-X`).
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

    /// Writes `transfer` down. A log that cannot be written costs no session:
    /// it is said in the other log.
    pub(crate) fn record(&self, transfer: &Transfer<'_>) {
        if self.xferlog.is_some() || self.to_log {
            let line = match self.format {
                LogFormat::Text => xferlog_line(local_now(), transfer),
                LogFormat::Json => json_line(transfer),
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
        if let (User::Anonymous(ident), Direction::Outgoing, 1..) =
            (transfer.user, transfer.direction, transfer.bytes)
        {
            let append = |file: &LogFile| file.append(&statfile_line(local_now(), transfer, ident));
            match transfer.statfile {
                None => self.statfile.iter().for_each(append),
                Some(path) => {
                    let file = self.statfiles.read().iter().find(|file| file.path == path).cloned();
                    file.iter().for_each(|file| append(file));
                }
            }
        }
    }

    /// Opens more files of statistics, those that are there, for virtual hosts.
    pub(crate) fn keep_statistics<'a>(&self, paths: impl Iterator<Item = &'a Path>) {
        for path in paths {
            if self.statfiles.read().iter().any(|file| file.path == path) {
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
fn xferlog_line(now: CivilTime, transfer: &Transfer<'_>) -> String {
    let (access, user) = match transfer.user {
        User::Real(name) => ('r', name),
        User::Anonymous(email) => ('a', email),
    };
    let direction = match transfer.direction {
        Direction::Outgoing => 'o',
        Direction::Incoming => 'i',
        Direction::Deleted => 'd',
    };
    format!(
        "{} {} {} {} {} {} _ {direction} {access} {} ftp 0 * {}",
        now.ctime(),
        whole_seconds(transfer.elapsed),
        transfer.peer,
        transfer.bytes,
        field(transfer.path, is_visible),
        if transfer.ascii { 'a' } else { 'b' },
        field(user, is_visible),
        if transfer.complete { 'c' } else { 'i' },
    )
}

/// The same as an object of JSON.
fn json_line(transfer: &Transfer<'_>) -> String {
    let mut object = Object::now();
    object.string("event", b"transfer");
    object.string("host", transfer.peer.to_string().as_bytes());
    match transfer.user {
        User::Real(name) => object.string("user", name),
        User::Anonymous(email) => object.string("email", email),
    }
    object.truth("anonymous", matches!(transfer.user, User::Anonymous(_)));
    object.string(
        "direction",
        match transfer.direction {
            Direction::Outgoing => b"download",
            Direction::Incoming => b"upload",
            Direction::Deleted => b"delete",
        },
    );
    object.string("path", transfer.path);
    object.number("bytes", transfer.bytes);
    object.seconds("seconds", transfer.elapsed);
    object.string("type", if transfer.ascii { b"ascii" } else { b"image" });
    object.truth("complete", transfer.complete);
    object.end()
}

/// FreeBSD's `"%.20s!%s!%s!%s!%jd!%ld\n"`: fields between exclamation marks.
fn statfile_line(now: CivilTime, transfer: &Transfer<'_>, ident: &[u8]) -> Vec<u8> {
    let keep = |c: char| c != '!' && (c == ' ' || is_visible(c));
    let time = now.ctime();
    format!(
        "{}!{}!{}!{}!{}!{}\n",
        &time[4..], // Without the day of the week.
        field(ident, keep),
        transfer.peer,
        field(&(transfer.path_in_tree)(), keep),
        transfer.bytes,
        whole_seconds(transfer.elapsed),
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

/// A log file that may be opened anew while others write to it.
struct LogFile {
    path: PathBuf,
    create: bool,
    file: RwLock<Arc<File>>,
}

impl LogFile {
    fn open(path: &Path, create: bool) -> io::Result<LogFile> {
        let file = RwLock::new(Arc::new(open_to_append(path, create)?));
        Ok(LogFile { path: path.to_owned(), create, file })
    }

    /// One write for each record, so that records of two sessions do not mix.
    fn append(&self, record: &[u8]) {
        let file = Arc::clone(&self.file.read());
        match (&*file).write(record) {
            Ok(length) if length == record.len() => {}
            Ok(_) => log::error!("{}: no space for a record", self.path.display()),
            Err(err) => log::error!("{}: {err}", self.path.display()),
        }
    }

    fn reopen(&self) -> io::Result<()> {
        let file = Arc::new(open_to_append(&self.path, self.create)?);
        *self.file.write() = file;
        Ok(())
    }
}

fn open_to_append(path: &Path, create: bool) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(create)
        .mode(0o640)
        .open(path)
        .map_err(|err| io::Error::new(err.kind(), format!("{}: {err}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Scratch;
    use std::fs;

    fn transfer() -> Transfer<'static> {
        Transfer {
            peer: "192.0.2.7".parse().unwrap(),
            user: User::Real(b"joe"),
            direction: Direction::Incoming,
            path: b"/home/joe/a b\n.txt",
            path_in_tree: &|| b"/a b\n.txt".to_vec(),
            statfile: None,
            bytes: 1234,
            elapsed: Duration::from_millis(1001),
            ascii: false,
            complete: true,
        }
    }

    fn time() -> CivilTime {
        CivilTime { year: 2026, month: 11, day: 1, hour: 8, minute: 18, second: 7 }
    }

    fn logging(path: &Path) -> Logging {
        Logging { xferlog: Some(path.to_owned()), ..Logging::default() }
    }

    #[test]
    fn a_record_has_eighteen_words() {
        let line = xferlog_line(time(), &transfer());
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
            let transfer = Transfer { path, user: User::Anonymous(email), ..transfer() };
            let line = xferlog_line(time(), &transfer);
            assert_eq!(line.split_whitespace().count(), 18, "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn a_transfer_in_json_has_the_name_as_it_is() {
        let line = json_line(&Transfer { path: b"/a b\n\"\xff", ..transfer() });
        assert!(
            line.ends_with(
                "\"event\":\"transfer\",\"host\":\"192.0.2.7\",\"user\":\"joe\",\"anonymous\":false,\
                 \"direction\":\"upload\",\"path\":\"/a b\\u000a\\\"\u{fffd}\",\"path_hex\":\"2f6120620a22ff\",\
                 \"bytes\":1234,\"seconds\":1.001,\"type\":\"image\",\"complete\":true}"
            ),
            "{line}"
        );
    }

    #[test]
    fn the_statistics_file_has_freebsds_format() {
        let transfer =
            Transfer { path_in_tree: &|| b"/pub/a!b".to_vec(), elapsed: Duration::ZERO, ..transfer() };
        assert_eq!(
            statfile_line(time(), &transfer, b"me@example.com"),
            b"Nov  1 08:18:07 2026!me@example.com!192.0.2.7!/pub/a_b!1234!1\n"
        );
    }

    #[test]
    fn a_rotated_log_is_written_anew_once_it_is_reopened() {
        let scratch = Scratch::new();
        let (path, rotated) = (scratch.join("xferlog"), scratch.join("xferlog.1"));
        let log = TransferLog::open_files(&logging(&path), None).unwrap();
        log.record(&transfer());
        fs::rename(&path, &rotated).unwrap();
        log.record(&transfer());
        log.reopen();
        log.record(&transfer());
        assert_eq!(fs::read_to_string(&rotated).unwrap().lines().count(), 2);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    }

    #[test]
    fn the_statistics_file_is_not_made() {
        let scratch = Scratch::new();
        let path = scratch.join("statfile");
        let log = TransferLog::open_files(&Logging::default(), Some(&path)).unwrap();
        log.record(&transfer());
        assert!(!path.exists());
    }
}
