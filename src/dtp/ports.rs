//! PortAllocator: lends the ports that PASV and EPSV listen on.
//!
//! One table holds the passive range. A port is one session's at a time, and
//! comes with a listener bound to the local address of that session's control
//! connection, so that a server with many addresses opens the port on none of
//! the others. Making a listener costs more than all else in sending a small
//! file, so some of those given back stay open ("warm") for the next session.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::sys::{random, sockets};

/// How long a session waits for a port when all are lent.
const PATIENCE: Duration = Duration::from_secs(1);
/// From this many warm listeners on, one of them is lent instead of a new one:
/// enough that the next port cannot be told from the last.
const WARM: usize = 32;
/// No more listeners than this are kept open.
const WARM_MAX: usize = 128;
/// Clients of one listener that may wait to be accepted. There should be one;
/// strangers must not be able to take its place.
const BACKLOG: i32 = 16;

/// The passive ports, and who has them.
#[derive(Debug)]
pub(crate) struct PortAllocator {
    low: u16,
    patience: Duration,
    table: Mutex<Table>,
    /// Told of every port that comes back.
    returned: Condvar,
}

/// A passive port and its listener, ours until dropped.
#[must_use = "dropping a lease gives the port back at once"]
#[derive(Debug)]
pub(crate) struct PortLease {
    port: u16,
    /// `None` only while it is being dropped.
    warm: Option<Warm>,
    allocator: Arc<PortAllocator>,
}

#[derive(Debug)]
struct Table {
    /// By port, from the lowest: neither lent nor kept warm.
    free: PortSet,
    /// Longest unused first.
    warm: VecDeque<Warm>,
    lent: usize,
}

/// An open listener.
#[derive(Debug)]
struct Warm {
    listener: TcpListener,
    /// Where it is bound, port included.
    address: SocketAddr,
}

/// What the table offers a session.
enum Offer {
    /// A listener on the right address.
    Warm(Warm),
    /// A port to bind; the listener that held it for another address, if one
    /// did, must be closed first.
    Port(u16, Option<Warm>),
}

impl PortAllocator {
    /// `range` with both ends.
    pub(crate) fn new(range: (u16, u16)) -> Arc<PortAllocator> {
        PortAllocator::with_patience(range, PATIENCE)
    }

    /// `patience`: how long `lease` waits when every port is lent.
    pub(crate) fn with_patience((low, high): (u16, u16), patience: Duration) -> Arc<PortAllocator> {
        let count = usize::from(high.saturating_sub(low)) + 1;
        let table = Table { free: PortSet::full(count), warm: VecDeque::new(), lent: 0 };
        Arc::new(PortAllocator { low, patience, table: Mutex::new(table), returned: Condvar::new() })
    }

    /// How many ports are lent now.
    #[cfg(test)]
    pub(crate) fn lent(&self) -> usize {
        self.table.lock().lent
    }

    /// Lends a port, chosen at random, that listens on the address `local` (its
    /// port does not count): the control connection's. AddrInUse when every port
    /// is lent or another program's, and stayed so for a while.
    pub(crate) fn lease(self: &Arc<Self>, local: SocketAddr) -> io::Result<PortLease> {
        let local = sockets::canonical(local);
        let deadline = Instant::now() + self.patience;
        // Ports that other programs hold.
        let mut taken = PortSet::default();
        let mut draw = random::number();
        let mut table = self.table.lock();
        loop {
            let Some(offer) = table.offer(local, self.low, &taken, draw) else {
                if self.returned.wait_until(&mut table, deadline).timed_out() {
                    return Err(io::Error::new(io::ErrorKind::AddrInUse, "every passive port is in use"));
                }
                continue;
            };
            table.lent += 1;
            drop(table);
            // Only now that the table is not locked do system calls follow.
            match self.open(offer, local) {
                Ok(lease) => return Ok(lease),
                Err((port, err)) if err.kind() == io::ErrorKind::AddrInUse => {
                    taken.insert(usize::from(port - self.low));
                    draw = random::number();
                    table = self.table.lock();
                    table.put_back(port, self.low, None);
                    // Whoever waits may have better luck with another address.
                    self.returned.notify_one();
                }
                Err((port, err)) => {
                    self.give_back(port, None);
                    return Err(err);
                }
            }
        }
    }

    /// The listener for an offer. On failure the port is still counted as lent.
    fn open(self: &Arc<Self>, offer: Offer, local: SocketAddr) -> Result<PortLease, (u16, io::Error)> {
        let port = match offer {
            Offer::Warm(warm) => match warm.drain() {
                Ok(()) => return Ok(self.lent_out(warm)),
                Err(_) => warm.address.port(),
            },
            Offer::Port(port, evicted) => {
                drop(evicted);
                port
            }
        };
        let mut address = local;
        address.set_port(port);
        let listener = sockets::listen(address, BACKLOG).map_err(|err| (port, err))?;
        Ok(self.lent_out(Warm { listener, address }))
    }

    fn lent_out(self: &Arc<Self>, warm: Warm) -> PortLease {
        PortLease { port: warm.address.port(), warm: Some(warm), allocator: Arc::clone(self) }
    }

    fn give_back(&self, port: u16, warm: Option<Warm>) {
        let surplus = self.table.lock().put_back(port, self.low, warm);
        self.returned.notify_one();
        drop(surplus);
    }
}

impl PortLease {
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The non-blocking listener.
    pub(super) fn listener(&self) -> &TcpListener {
        &self.warm.as_ref().expect("a lease has its listener until it is dropped").listener
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        // Who still waits to be accepted would wait until the port is lent again.
        let warm = self.warm.take().filter(|warm| warm.drain().is_ok());
        self.allocator.give_back(self.port, warm);
    }
}

impl Table {
    /// `draw` is a random number.
    fn offer(&mut self, local: SocketAddr, low: u16, taken: &PortSet, draw: u64) -> Option<Offer> {
        let fitting: Vec<usize> =
            (0..self.warm.len()).filter(|&at| same_place(self.warm[at].address, local)).collect();
        let free = self.free.len() - self.free.common(taken);
        if fitting.len() < WARM && free > 0 {
            let index = self.free.nth_without(below(free, draw), taken)?;
            self.free.remove(index);
            return Some(Offer::Port(low + index as u16, None));
        }
        // Enough are warm, or the range is short.
        if !fitting.is_empty() {
            return self.warm.remove(fitting[below(fitting.len(), draw)]).map(Offer::Warm);
        }
        let oldest = self.warm.pop_front()?;
        Some(Offer::Port(oldest.address.port(), Some(oldest)))
    }

    /// Takes a lent port back; returns a listener that is one too many, to be
    /// closed when the table is not locked.
    fn put_back(&mut self, port: u16, low: u16, warm: Option<Warm>) -> Option<Warm> {
        self.lent -= 1;
        let Some(warm) = warm else {
            self.free.insert(usize::from(port - low));
            return None;
        };
        self.warm.push_back(warm);
        if self.warm.len() <= WARM_MAX {
            return None;
        }
        let oldest = self.warm.pop_front()?;
        self.free.insert(usize::from(oldest.address.port() - low));
        Some(oldest)
    }
}

impl Warm {
    /// Hangs up on those who connected and nobody has accepted: they are none of
    /// the next client's. An error means that the listener is of no more use.
    fn drain(&self) -> io::Result<()> {
        loop {
            match sockets::accept_nonblocking(&self.listener) {
                Ok((_, peer)) => log::debug!("closed a stray data connection from {peer}"),
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(err) if sockets::is_lost_client(&err) => (),
                Err(err) => return Err(err),
            }
        }
    }
}

/// Whether two addresses are the same but for the port.
fn same_place(a: SocketAddr, b: SocketAddr) -> bool {
    let scope = |address| match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(v6) => v6.scope_id(),
    };
    a.ip() == b.ip() && scope(a) == scope(b)
}

/// Ports by their distance from the lowest, as bits.
#[derive(Debug, Default)]
struct PortSet(Vec<u64>);

impl PortSet {
    fn full(count: usize) -> PortSet {
        let mut set = PortSet::default();
        (0..count).for_each(|index| set.insert(index));
        set
    }

    fn insert(&mut self, index: usize) {
        if self.0.len() <= index / 64 {
            self.0.resize(index / 64 + 1, 0);
        }
        self.0[index / 64] |= 1 << (index % 64);
    }

    fn remove(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word &= !(1 << (index % 64));
        }
    }

    fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn word(&self, at: usize) -> u64 {
        self.0.get(at).copied().unwrap_or(0)
    }

    /// How many are in both sets.
    fn common(&self, other: &PortSet) -> usize {
        self.0.iter().enumerate().map(|(at, word)| (word & other.word(at)).count_ones() as usize).sum()
    }

    /// The `n`th, counted from 0, of those that are not in `other`.
    fn nth_without(&self, mut n: usize, other: &PortSet) -> Option<usize> {
        for (at, word) in self.0.iter().enumerate() {
            let mut word = word & !other.word(at);
            let count = word.count_ones() as usize;
            if n >= count {
                n -= count;
                continue;
            }
            for _ in 0..n {
                word &= word - 1;
            }
            return Some(at * 64 + word.trailing_zeros() as usize);
        }
        None
    }
}

/// Where a random number falls among so many.
fn below(bound: usize, draw: u64) -> usize {
    ((u128::from(draw) * bound as u128) >> 64) as usize
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::io::Read;
    use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU16, Ordering};
    use std::thread;

    const MINUTE: Duration = Duration::from_secs(60);

    fn local() -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 21))
    }

    /// `count` ports in a row that nobody holds, no other test either, below
    /// those the kernel gives out.
    pub(in crate::dtp) fn unused_range(count: u16) -> (u16, u16) {
        static NEXT: OnceLock<AtomicU16> = OnceLock::new();
        let next = NEXT.get_or_init(|| AtomicU16::new(10_000 + below(10_000, random::number()) as u16));
        loop {
            let low = next.fetch_add(count, Ordering::Relaxed);
            let range = (low, low + count - 1);
            if (range.0..=range.1)
                .all(|port| sockets::listen((Ipv4Addr::UNSPECIFIED, port).into(), 1).is_ok())
            {
                return range;
            }
        }
    }

    fn connect(port: u16) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()
    }

    #[test]
    fn two_ports_serve_two_sessions_and_the_third_when_one_is_given_back() {
        let ports = PortAllocator::with_patience(unused_range(2), Duration::from_millis(20));
        let first = ports.lease(local()).unwrap();
        let second = ports.lease(local()).unwrap();
        assert_ne!(first.port(), second.port());
        assert_eq!(ports.lease(local()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let freed = first.port();
        drop(first);
        let third = ports.lease(local()).unwrap();
        assert_eq!(third.port(), freed);
        assert_eq!(ports.lent(), 2);
        drop((second, third));
        assert_eq!(ports.lent(), 0);
    }

    #[test]
    fn a_session_that_waits_gets_the_port_that_comes_back() {
        let ports = PortAllocator::with_patience(unused_range(1), MINUTE);
        let first = ports.lease(local()).unwrap();
        let waiting = thread::spawn({
            let ports = Arc::clone(&ports);
            move || ports.lease(local()).unwrap().port()
        });
        let port = first.port();
        drop(first);
        assert_eq!(waiting.join().unwrap(), port);
    }

    #[test]
    fn a_lease_comes_back_from_a_session_that_panics() {
        let ports = PortAllocator::with_patience(unused_range(1), MINUTE);
        let session = thread::spawn({
            let ports = Arc::clone(&ports);
            move || {
                let _lease = ports.lease(local()).unwrap();
                std::panic::resume_unwind(Box::new("a bug"));
            }
        });
        assert!(session.join().is_err());
        assert_eq!(ports.lent(), 0);
        drop(ports.lease(local()).unwrap());
    }

    #[test]
    fn a_port_of_another_program_is_skipped() {
        let range = unused_range(3);
        let _other = sockets::listen((Ipv4Addr::UNSPECIFIED, range.0 + 1).into(), 1).unwrap();
        let ports = PortAllocator::with_patience(range, Duration::from_millis(1));
        let leases = [ports.lease(local()).unwrap(), ports.lease(local()).unwrap()];
        let got: HashSet<u16> = leases.iter().map(PortLease::port).collect();
        assert_eq!(got, HashSet::from([range.0, range.1]));
        assert_eq!(ports.lease(local()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(ports.lent(), 2);
    }

    #[test]
    fn strangers_who_came_between_two_sessions_are_hung_up_on() {
        let ports = PortAllocator::with_patience(unused_range(1), MINUTE);
        let port = ports.lease(local()).unwrap().port();
        let mut stray = connect(port); // the listener is still warm
        let lease = ports.lease(local()).unwrap();
        assert_eq!(lease.port(), port);
        assert!(!matches!(stray.read(&mut [0]), Ok(1..)));
        let client = connect(port);
        let (_, peer) = sockets::accept(lease.listener()).unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    }

    #[test]
    fn a_short_range_serves_another_local_address() {
        let ports = PortAllocator::with_patience(unused_range(1), Duration::from_millis(1));
        let bound = |lease: &PortLease| lease.listener().local_addr().unwrap();
        let v4 = ports.lease(local()).unwrap();
        assert_eq!(bound(&v4).ip(), Ipv4Addr::LOCALHOST);
        let port = v4.port();
        drop(v4);
        let Ok(v6) = ports.lease((Ipv6Addr::LOCALHOST, 21).into()) else {
            return; // A machine without IPv6.
        };
        assert_eq!(bound(&v6), (Ipv6Addr::LOCALHOST, port).into());
        drop(v6);
        // A dual-stack control connection names an IPv4 address in IPv6's clothes.
        let mapped = ports.lease((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), 21).into()).unwrap();
        assert_eq!(bound(&mapped), (Ipv4Addr::LOCALHOST, port).into());
    }

    #[test]
    fn every_port_of_the_range_is_lent_and_none_twice() {
        let range = unused_range(130);
        let ports = PortAllocator::with_patience(range, Duration::from_millis(1));
        let leases: Vec<_> = (0..130).map(|_| ports.lease(local()).unwrap()).collect();
        let got: HashSet<u16> = leases.iter().map(PortLease::port).collect();
        assert_eq!(got, (range.0..=range.1).collect());
        drop(leases);
        assert!(ports.table.lock().warm.len() <= WARM_MAX);
        assert_eq!(ports.lent(), 0);
        let _again: Vec<_> = (0..130).map(|_| ports.lease(local()).unwrap()).collect();
    }

    #[test]
    fn one_session_after_another_sees_many_ports() {
        let ports = PortAllocator::new(unused_range(100));
        let got: HashSet<u16> = (0..200).map(|_| ports.lease(local()).unwrap().port()).collect();
        assert!(got.len() >= WARM, "{got:?}");
    }

    #[test]
    fn an_address_that_is_not_ours_is_an_error_and_costs_no_port() {
        let ports = PortAllocator::with_patience(unused_range(1), MINUTE);
        let err = ports.lease("192.0.2.1:21".parse().unwrap()).unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::AddrNotAvailable);
        drop(ports.lease(local()).unwrap());
    }

    #[test]
    fn the_sets_of_ports_agree_with_counting() {
        let mut set = PortSet::full(200);
        let mut other = PortSet::default();
        [0, 3, 63, 64, 150].into_iter().for_each(|index| set.remove(index));
        [1, 3, 65, 199].into_iter().for_each(|index| other.insert(index));
        let left: Vec<usize> = (0..200).filter(|n| ![0, 3, 63, 64, 150, 1, 65, 199].contains(n)).collect();
        assert_eq!(set.len() - set.common(&other), left.len());
        for (n, &index) in left.iter().enumerate() {
            assert_eq!(set.nth_without(n, &other), Some(index));
        }
        assert_eq!(set.nth_without(left.len(), &other), None);
    }
}
