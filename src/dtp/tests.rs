use super::ports::tests::unused_range;
use super::*;
use crate::config::DataPolicy;
use crate::sys::sockets::{self, Connecting, PollFlags};
use std::io;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The control connection as a session would see it: `A` is ABOR, the end hangs up.
pub(super) struct Control {
    ours: UnixStream,
    pub(super) seen: Vec<u8>,
    pub(super) last: Option<Progress>,
}

impl Control {
    /// And the client's end.
    pub(super) fn new() -> (Control, UnixStream) {
        let (ours, client) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Control { ours, seen: Vec::new(), last: None }, client)
    }
}

impl Watch for Control {
    fn control(&self) -> Option<BorrowedFd<'_>> {
        Some(self.ours.as_fd())
    }

    fn ready(&mut self, progress: &Progress) -> Verdict {
        self.last = Some(*progress);
        let mut byte = [0];
        match self.ours.read(&mut byte) {
            Ok(0) => return Verdict::Hangup(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => self.seen.push(byte[0]),
            Err(err) => return Verdict::Hangup(err),
        }
        match byte[0] {
            b'A' => Verdict::Abort,
            _ => Verdict::Continue,
        }
    }
}

/// The control connection of an upload whose client has gone; it may be told to leave.
#[derive(Default)]
pub(super) struct Departed {
    /// How often it was asked.
    pub(super) looks: Arc<AtomicU32>,
    /// How often it is asked before the operator wants it to go.
    pub(super) patience: Option<u32>,
}

impl Watch for Departed {
    fn control(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn ready(&mut self, _: &Progress) -> Verdict {
        let looks = self.looks.fetch_add(1, Ordering::Relaxed);
        match self.patience {
            Some(most) if looks >= most => Verdict::Hangup(io::ErrorKind::ConnectionAborted.into()),
            _ => Verdict::Gone,
        }
    }
}

fn policy(timeout: Duration) -> DataPolicy {
    DataPolicy {
        ebcdic: 1047,
        passive_ports: (49152, 65535),
        passive_address: None,
        passive_address_exempt: Vec::new(),
        active: true,
        passive: true,
        epsv: true,
        active_source_port: Some(0),
        peer_check: true,
        foreign: false,
        connect_timeout: timeout,
        timeout: MINUTE,
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const NEXT_TO_NOTHING: Duration = Duration::from_millis(10);

fn control_from(client: IpAddr) -> ControlPair {
    ControlPair { local: (Ipv4Addr::LOCALHOST, 21).into(), peer: (client, 40_000).into() }
}

fn localhost() -> ControlPair {
    control_from(Ipv4Addr::LOCALHOST.into())
}

fn passive() -> (DataPort, SocketAddr) {
    let ports = PortAllocator::new((30_000, 32_000));
    let lease = ports.lease(localhost().local).unwrap();
    let address = (Ipv4Addr::LOCALHOST, lease.port()).into();
    (DataPort::Passive(lease), address)
}

fn open(port: DataPort, control: &ControlPair, policy: &DataPolicy) -> Result<DataConnection, OpenError> {
    let (mut watch, _client) = Control::new();
    port.open(control, policy, &mut watch)
}

#[test]
fn without_port_or_pasv_there_is_no_connection() {
    assert!(matches!(open(DataPort::Unset, &localhost(), &policy(MINUTE)), Err(OpenError::NotSet)));
}

#[test]
fn a_client_that_has_connected_is_taken_at_once() {
    let (port, address) = passive();
    let client = TcpStream::connect(address).unwrap();
    let data = open(port, &localhost(), &policy(NEXT_TO_NOTHING)).unwrap();
    assert_eq!(data.peer().unwrap(), client.local_addr().unwrap());
}

#[test]
fn a_client_that_connects_later_is_waited_for() {
    let (port, address) = passive();
    let (mut watch, mut user) = Control::new();
    // The byte shows that the wait looks at the control connection meanwhile.
    user.write_all(b"x").unwrap();
    let client = thread::spawn(move || TcpStream::connect(address).unwrap());
    port.open(&localhost(), &policy(MINUTE), &mut watch).unwrap();
    client.join().unwrap();
}

#[test]
fn a_client_that_never_connects_runs_into_the_deadline() {
    let (port, _) = passive();
    assert!(matches!(open(port, &localhost(), &policy(NEXT_TO_NOTHING)), Err(OpenError::TimedOut)));
}

#[test]
fn abor_and_a_hang_up_end_the_wait() {
    let (mut watch, mut user) = Control::new();
    user.write_all(b"xA").unwrap();
    let outcome = passive().0.open(&localhost(), &policy(MINUTE), &mut watch);
    assert!(matches!(outcome, Err(OpenError::Aborted)));
    assert_eq!(watch.seen, b"xA");

    drop(user);
    let outcome = passive().0.open(&localhost(), &policy(MINUTE), &mut watch);
    assert!(matches!(outcome, Err(OpenError::ControlLost(_))));
}

#[test]
fn a_client_that_is_gone_has_connected_before_or_is_not_waited_for_long() {
    let (port, address) = passive();
    let client = TcpStream::connect(address).unwrap();
    let data = port.open(&localhost(), &policy(MINUTE), &mut Departed::default()).unwrap();
    assert_eq!(data.peer().unwrap(), client.local_addr().unwrap());

    let begun = Instant::now();
    let outcome = passive().0.open(&localhost(), &policy(MINUTE), &mut Departed::default());
    assert!(matches!(outcome, Err(OpenError::TimedOut)), "{outcome:?}");
    assert!(begun.elapsed() < MINUTE / 2);
}

#[test]
fn a_stranger_is_hung_up_on_and_the_client_is_waited_for() {
    let (port, address) = passive();
    let connect = |from: &str| {
        let from = SocketAddr::new(from.parse().unwrap(), 0);
        let connecting = Connecting::start(from, address).ok()?;
        assert!(sockets::wait_for(&connecting, PollFlags::OUT, sockets::deadline_in(MINUTE)).unwrap());
        Some(connecting.finish().unwrap())
    };
    let (Some(mut stranger), Some(client)) = (connect("127.0.0.9"), connect("127.0.0.8")) else {
        return; // A system on which 127.0.0.1 alone is this host.
    };
    // Such is the address on a socket that serves both families.
    let peer = "::ffff:127.0.0.8".parse().unwrap();
    let data = open(port, &control_from(peer), &policy(MINUTE)).unwrap();
    assert_eq!(data.peer().unwrap(), client.local_addr().unwrap());
    stranger.set_nonblocking(false).unwrap();
    assert!(!matches!(stranger.read(&mut [0]), Ok(1..)));

    let (port, address) = passive();
    let mut trusting = policy(MINUTE);
    trusting.peer_check = false;
    let _client = TcpStream::connect(address).unwrap();
    open(port, &control_from(peer), &trusting).unwrap();
}

#[test]
fn we_connect_to_an_active_client_from_the_port_asked_for() {
    let client = sockets::listen((Ipv4Addr::LOCALHOST, 0).into(), 8).unwrap();
    let port = || DataPort::Active(client.local_addr().unwrap());
    let free = unused_range(1).0;
    let mut from_free = policy(MINUTE);
    from_free.active_source_port = Some(free);
    let first = open(port(), &localhost(), &from_free).unwrap();
    assert_eq!(sockets::accept(&client).unwrap().1.port(), free);

    // The same two ends cannot be connected twice: another port has to do.
    let _second = open(port(), &localhost(), &from_free).unwrap();
    assert_ne!(sockets::accept(&client).unwrap().1.port(), free);
    drop(first);
}

#[test]
fn the_source_port_is_the_control_port_less_one() {
    let client = sockets::listen((Ipv4Addr::LOCALHOST, 0).into(), 8).unwrap();
    let free = unused_range(2).0;
    let mut default = policy(MINUTE);
    default.active_source_port = None;
    let mut control = localhost();
    control.local.set_port(free + 1);
    open(DataPort::Active(client.local_addr().unwrap()), &control, &default).unwrap();
    assert_eq!(sockets::accept(&client).unwrap().1.port(), free);
}

#[test]
fn an_active_client_may_name_an_address_of_the_other_family() {
    let Ok(client) = sockets::listen((Ipv6Addr::LOCALHOST, 0).into(), 8) else { return };
    let port = DataPort::Active(client.local_addr().unwrap());
    open(port, &localhost(), &policy(MINUTE)).unwrap();
    assert!(sockets::accept(&client).is_ok());
}

#[test]
fn a_client_that_does_not_listen_is_a_failure() {
    let nobody = sockets::listen((Ipv4Addr::LOCALHOST, 0).into(), 1).unwrap().local_addr().unwrap();
    let outcome = open(DataPort::Active(nobody), &localhost(), &policy(MINUTE));
    let Err(OpenError::Failed(err)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(err.kind(), io::ErrorKind::ConnectionRefused);
}

/// A data connection and the client's end of it.
pub(super) fn connection() -> (DataConnection, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = sockets::accept_nonblocking(&listener).unwrap();
    (DataConnection::new(ours, None), client)
}

#[test]
fn a_client_that_sent_what_nobody_reads_still_gets_everything() {
    let (data, mut client) = connection();
    client.write_all(&[7; 5000]).unwrap();
    // Wait until it is there: what this is about is unread bytes at the close.
    assert!(sockets::wait_for(&data, PollFlags::IN, sockets::deadline_in(MINUTE)).unwrap());
    sockets::write(&data, &[9; 5000]).unwrap();
    let reader = thread::spawn(move || {
        let mut got = Vec::new();
        client.read_to_end(&mut got).map(|_| got)
    });
    data.finish();
    assert_eq!(reader.join().unwrap().unwrap(), [9; 5000]);
}

#[test]
fn after_an_abor_the_stream_ends_and_after_a_failure_it_is_reset() {
    let (data, mut client) = connection();
    data.abandon(&TransferError::Aborted);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);

    let (data, mut client) = connection();
    data.abandon(&TransferError::TimedOut);
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}
