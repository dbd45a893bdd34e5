//! The answering end: the socket of a running server.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{PATIENCE, who};
use crate::clients::{Admission, Leave, Snapshot};
use crate::events::What;
use crate::session::Services;
use crate::sys::process::{self, PidFile};
use crate::sys::sockets::{self, Pause};
use crate::sys::unix_peer;

/// The most questions that are answered at the same time.
const MOST: usize = 4;

/// The longest question, in bytes.
const LONGEST: u64 = 256;

/// The socket of a server; it is removed on drop.
pub(crate) struct OperatorSocket {
    listener: UnixListener,
    path: PathBuf,
    /// A server has the lock as long as it runs: a socket without a lock is left over.
    _lock: PidFile,
    answering: Arc<AtomicUsize>,
    /// Nobody is let in while there is no descriptor.
    pause: Pause,
}

impl OperatorSocket {
    /// Listens at `path`, and makes its directory if there is none. Replaces the socket that a killed
    /// server has left.
    ///
    /// # Errors
    /// Another server listens there; others may write to the directory. The error begins with the path.
    pub(crate) fn open(path: &Path) -> io::Result<OperatorSocket> {
        OperatorSocket::try_open(path)
            .map_err(|err| io::Error::new(err.kind(), format!("{}: {err}", path.display())))
    }

    fn try_open(path: &Path) -> io::Result<OperatorSocket> {
        let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        if let Err(err) = DirBuilder::new().mode(0o755).create(dir)
            && err.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(err);
        }
        let meta = fs::metadata(dir)?;
        let sticky = meta.mode() & 0o1000 != 0;
        if ![0, rustix::process::geteuid().as_raw()].contains(&meta.uid())
            || meta.mode() & 0o022 != 0 && !sticky
        {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "others may write to its directory"));
        }
        let lock = PidFile::create(&path.with_added_extension("pid"))?;
        match fs::symlink_metadata(path) {
            Ok(meta) if std::os::unix::fs::FileTypeExt::is_socket(&meta.file_type()) => {
                fs::remove_file(path)?
            }
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "is not a socket")),
            Err(_) => (),
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(OperatorSocket {
            listener,
            path: path.to_owned(),
            _lock: lock,
            answering: Arc::default(),
            pause: Pause::default(),
        })
    }

    /// The descriptor to poll for input; none during a pause.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pause().is_none().then(|| self.listener.as_fd())
    }

    /// The rest of a pause; `None` when there is none.
    pub(crate) fn pause(&self) -> Option<Duration> {
        self.pause.left()
    }

    /// Answers every operator who has connected, each on a thread of its own, so that the main thread does
    /// not wait.
    pub(crate) fn accept(&mut self, services: &Arc<Services>) {
        if self.pause().is_some() {
            return;
        }
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return,
                Err(err) if sockets::is_lost_client(&err) => continue,
                // The operator stays in the queue, and the pause keeps the loop from spinning.
                Err(err) => return self.pause.begin("no descriptor for an operator", &err),
            };
            let turn = Turn::take(&self.answering);
            let (Some(turn), Ok(true)) = (turn, may_ask(&stream)) else { continue };
            let services = Arc::clone(services);
            let spawned = thread::Builder::new().name("operator".to_owned()).spawn(move || {
                let _turn = turn;
                let _ = process::block_signals();
                // If that fails, the operator has gone.
                let _ = serve(&stream, &services);
            });
            if let Err(err) = spawned {
                log::warn!("an operator gets no answer, because there is no thread: {err}");
            }
        }
    }
}

impl Drop for OperatorSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // A socket that stays has no lock, and is replaced.
    }
}

/// The turn of one operator: only so many are answered at a time.
struct Turn(Arc<AtomicUsize>);

impl Turn {
    fn take(count: &Arc<AtomicUsize>) -> Option<Turn> {
        let turn = Turn(Arc::clone(count));
        (count.fetch_add(1, Ordering::SeqCst) < MOST).then_some(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Root and the account of the server may ask. The mode of the socket says the same, but not every
/// system looks at it.
fn may_ask(stream: &UnixStream) -> io::Result<bool> {
    let uid = unix_peer::peer_uid(stream)?;
    let allowed = uid == 0 || uid == rustix::process::geteuid().as_raw();
    if !allowed {
        log::warn!("the account with uid {uid} asked a question of the operator, and got no answer");
    }
    Ok(allowed)
}

fn serve(stream: &UnixStream, services: &Services) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut line)?;
    let answer = match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["who"] => Ok(who::table(&snapshots(&services.clients))),
        ["who", "json"] => Ok(who::array(&snapshots(&services.clients))),
        ["kick", id] => kick(services, id),
        _ => Err("not understood".to_owned()),
    };
    let text = answer.map_or_else(|why| format!("error: {why}\n"), |text| format!("ok\n{text}"));
    let mut stream = stream;
    stream.write_all(text.as_bytes())
}

fn snapshots(clients: &Admission) -> Vec<Snapshot> {
    clients.sessions().iter().map(|session| session.snapshot()).collect()
}

fn kick(services: &Services, id: &str) -> Result<String, String> {
    let sessions = services.clients.sessions();
    let found = id.parse().ok().and_then(|id: u64| sessions.iter().find(|session| session.number() == id));
    let session = found.ok_or_else(|| format!("there is no session {id}"))?;
    session.event(What::Kicked, |event| services.tell(event));
    session.dismiss(Leave::Now, "The operator closed the connection.");
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Scratch;

    #[test]
    fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let dir = Scratch::new();
        let path = dir.join("control");
        drop(UnixListener::bind(&path).unwrap()); // Nobody removes it.
        let first = OperatorSocket::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let err = OperatorSocket::open(&path).err().expect("it is taken").to_string();
        assert!(err.contains("already running as process"), "{err}");
        drop(first);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
        fs::write(&path, "a file").unwrap();
        assert!(OperatorSocket::open(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "a file");
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_no_place_for_it() {
        let dir = Scratch::new();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(OperatorSocket::open(&dir.join("control")).is_err());
    }
}
