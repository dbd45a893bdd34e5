//! A thousand clients connect in the same moment: who is greeted, and when.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::report::percentile;

pub(crate) const CLIENTS: usize = 1000;
/// Whoever has heard nothing by then is left out.
const PATIENCE: Duration = Duration::from_secs(10);

struct Waiting {
    socket: OwnedFd,
    since: Instant,
}

/// The rows of the workload `connects`. A client without an answer counts as
/// greeted when patience ended.
pub(crate) fn all_at_once(server: SocketAddr) -> io::Result<Vec<f64>> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let start = Instant::now();
    let mut waiting = HashMap::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        let client = connect(server)?;
        let key = client.socket.as_raw_fd().cast_unsigned().into();
        epoll::add(&poll, &client.socket, epoll::EventData::new_u64(key), epoll::EventFlags::IN)?;
        waiting.insert(key, client);
    }
    let (mut served, mut refused, mut times) = (0, 0, Vec::with_capacity(CLIENTS));
    // Those answered stay connected, or their places would be free for others.
    let mut answered = Vec::with_capacity(CLIENTS);
    let mut events = Vec::with_capacity(CLIENTS);
    while !waiting.is_empty() && start.elapsed() < PATIENCE {
        events.clear();
        let timeout = Timespec { tv_sec: 1, tv_nsec: 0 };
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&timeout))?;
        for event in &events {
            let key = event.data.u64();
            let Some(client) = waiting.remove(&key) else { continue };
            let mut greeting = [0; 256];
            // A connection that was reset, or closed without a word, is no answer.
            match rustix::io::read(&client.socket, &mut greeting) {
                Ok(got) if greeting[..got].starts_with(b"220") => served += 1,
                Ok(got) if greeting[..got].starts_with(b"421") => refused += 1,
                _ => continue,
            }
            times.push(client.since.elapsed().as_secs_f64() * 1e3);
            epoll::delete(&poll, &client.socket)?;
            answered.push(client.socket);
        }
    }
    times.resize(CLIENTS, PATIENCE.as_secs_f64() * 1e3);
    let share = f64::from(served + refused) * 100.0 / CLIENTS as f64;
    let [middle, late] = [0.5, 0.99].map(|share| percentile(&mut times, share));
    Ok(vec![f64::from(served), f64::from(refused), share, middle, late])
}

fn connect(server: SocketAddr) -> io::Result<Waiting> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    let since = Instant::now();
    match rustix::net::connect(&socket, &server) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(Waiting { socket, since }),
        Err(error) => Err(error.into()),
    }
}
