//! A session in a process of its own, for systems where a thread cannot become a user for good.
//!
//! On such a system, a worker of a server that root started runs this program again, with the client on
//! its standard input, as inetd does, and waits for its end. The whole process becomes the account. Linux
//! needs none of this.

use std::env;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Start;
use crate::session::{Client, Served, Services};
use crate::sys::dialogue::{self, Woken};
use crate::sys::identity;
use crate::sys::process::{self, Broadcast, orphans};

/// Every wait has a deadline; after this one the wait begins again.
const A_WHILE: Duration = Duration::from_secs(3600);

/// Whether the sessions of this server need processes.
pub(super) fn is_needed(start: Start) -> bool {
    !identity::PER_THREAD && identity::is_root() && start != Start::Connected
}

/// Serves `client` in a process of its own, to the end.
pub(super) fn serve(client: Client, services: &Services) -> Served {
    let host = client.peer.ip();
    let presence = Arc::clone(client.slot.presence());
    let outcome = env::current_exe().and_then(|program| {
        let mut command = Command::new(program);
        // With the same options; the client on its standard input makes it serve that client alone.
        command.args(env::args_os().skip(1));
        run(command, client.stream.into(), &services.shutdown, |number| presence.set_number(number))
    });
    if let Err(error) = outcome {
        log::error!("{host} is not served, because there is no process for it: {error}");
    }
    Served::default()
}

/// Runs `command` with `stream` on its standard input, gives the number of the process to `started`, and
/// waits for its end. When the server shuts down, the process gets a SIGTERM.
fn run(
    mut command: Command,
    stream: OwnedFd,
    shutdown: &Broadcast,
    started: impl FnOnce(u64),
) -> io::Result<()> {
    // Nothing is written to its standard output; the end of that pipe is the end of the process.
    let mut child = orphans::spawn(command.stdin(Stdio::from(stream)).stdout(Stdio::piped()))?;
    started(child.id().into());
    drop(command); // It holds our descriptor of the connection.
    let waited = wait(&child, shutdown);
    if waited.is_err() || matches!(waited, Ok(Woken::Other)) {
        process::terminate(child.id())?;
    }
    child.wait().map(drop)
}

fn wait(child: &Child, shutdown: &Broadcast) -> io::Result<Woken> {
    let Some(output) = &child.stdout else { return Ok(Woken::Readable) };
    loop {
        let deadline = Instant::now() + A_WHILE;
        match dialogue::wait(output.as_fd(), Some(shutdown.fd()), deadline)? {
            Woken::TimedOut => (),
            woken => return Ok(woken),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn a_process_has_the_client_on_its_standard_input_and_is_waited_for() {
        let (mut client, server) = pair();
        client.write_all(b"hello\n").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "read line; echo \"$line\" >&0"]);
        run(command, server.into(), &Broadcast::new().unwrap(), drop).unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello\n");
    }

    #[test]
    fn a_process_is_told_of_the_shutdown() {
        let (_client, server) = pair();
        let shutdown = Broadcast::new().unwrap();
        shutdown.announce();
        let mut command = Command::new("sh");
        command.args(["-c", "read line"]);
        run(command, server.into(), &shutdown, drop).unwrap();
    }
}
