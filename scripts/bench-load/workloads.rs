//! What is measured: one row for each workload, with the figures the project
//! wants to reach, and how each is carried out against one running server.

use std::fs::{self, File};
use std::io;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{self, Client};
use crate::connects;
use crate::lab::{ENTRIES, Lab, Material, SMALL, TEN_MIB};
use crate::report::{Against, Better, Goal, Row, Want, median, percentile};
use crate::servers::{Logins, Server, Setting};

const MIB: f64 = 1_048_576.0;
const GIB: f64 = 1024.0 * MIB;
/// What one call may throw away or read.
const SCRATCH: usize = 1 << 20;

pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) title: fn(&Lab) -> String,
    /// In full, and with `--quick`.
    pub(crate) rounds: [usize; 2],
    pub(crate) setting: Setting,
    /// The bare loop can do it.
    pub(crate) bare: bool,
    pub(crate) rows: &'static [Row],
    /// One round: a number for each row.
    pub(crate) run: fn(&Lab, &Server) -> io::Result<Vec<f64>>,
    pub(crate) goals: &'static [Goal],
}

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "retr",
        title: |lab| format!("RETR {} MiB, image", lab.sizes.image >> 20),
        rounds: [7, 3],
        setting: ALONE,
        bare: true,
        rows: RATE,
        run: |lab, server| retrieve(lab, server, Material::Image, "TYPE I\r\n", lab.sizes.image),
        goals: &[goal(0, Against::Bare, Want::AtLeast(0.95)), goal(1, Against::Vsftpd, Want::AtMost(1.0))],
    },
    Workload {
        name: "stor",
        title: |lab| format!("STOR {} MiB, image", lab.sizes.image >> 20),
        rounds: [7, 3],
        setting: ALONE,
        bare: true,
        rows: RATE,
        run: |lab, server| store(lab, server, Material::Image, "TYPE I\r\n", lab.sizes.image),
        goals: &[goal(0, Against::BestPeer, Want::AtLeast(1.1))],
    },
    Workload {
        name: "retr-ascii",
        title: |lab| format!("RETR {} MiB, ASCII", lab.sizes.text >> 20),
        rounds: [5, 3],
        setting: ALONE,
        bare: false,
        rows: RATE,
        run: |lab, server| {
            retrieve(lab, server, Material::Text, "TYPE A\r\n", lab.text_bytes() + lab.lines())
        },
        goals: &[goal(0, Against::BestPeer, Want::AtLeast(1.5))],
    },
    Workload {
        name: "stor-ascii",
        title: |lab| format!("STOR {} MiB, ASCII", lab.sizes.text >> 20),
        rounds: [5, 3],
        setting: ALONE,
        bare: false,
        rows: RATE,
        run: |lab, server| store(lab, server, Material::NetworkText, "TYPE A\r\n", lab.text_bytes()),
        goals: &[goal(0, Against::BestPeer, Want::AtLeast(1.0))],
    },
    Workload {
        name: "small",
        title: |_| "4 KiB files, 8 sessions".into(),
        rounds: [7, 3],
        setting: TOGETHER,
        bare: true,
        rows: &[
            row("files/s", Better::More, 0),
            row("server CPU, microseconds a file", Better::Less, 1),
            row("slowest 1 in 100, ms", Better::Less, 2),
        ],
        run: small_files,
        goals: &[
            goal(0, Against::BestPeer, Want::AtLeast(1.0)),
            goal(1, Against::BestPeer, Want::AtMost(1.0)),
            goal(2, Against::Nothing, Want::AtMost(40.0)),
        ],
    },
    Workload {
        name: "login",
        title: |_| "Anonymous logins, 16 at a time".into(),
        rounds: [7, 3],
        setting: TOGETHER,
        bare: true,
        rows: LOGINS,
        run: |lab, server| logins(server, 16, lab.sizes.logins, "USER anonymous\r\n", "PASS me@here\r\n"),
        goals: &[goal(0, Against::BestPeer, Want::AtLeast(3.0))],
    },
    Workload {
        name: "account",
        title: |_| "Account logins by PAM".into(),
        rounds: [5, 3],
        setting: Setting { logins: Logins::Pam, apart: false, tls: false },
        bare: false,
        rows: LOGINS,
        run: account_logins,
        goals: &[goal(0, Against::BestPeer, Want::AtLeast(1.0))],
    },
    Workload {
        name: "account-shadow",
        title: |_| "Account logins by /etc/shadow".into(),
        rounds: [5, 3],
        setting: Setting { logins: Logins::Shadow, apart: false, tls: false },
        bare: false,
        rows: LOGINS,
        run: account_logins,
        goals: &[goal(0, Against::BestPeer, Want::AtLeast(1.0))],
    },
    Workload {
        name: "tls-retr",
        title: |lab| format!("RETR {} MiB, image, TLS 1.3", lab.sizes.tls >> 20),
        rounds: [5, 3],
        setting: Setting { tls: true, ..ALONE },
        bare: true,
        rows: RATE,
        run: retrieve_by_tls,
        goals: &[goal(0, Against::Bare, Want::AtLeast(0.9)), goal(0, Against::BestPeer, Want::AtLeast(1.0))],
    },
    Workload {
        name: "tls-stor",
        title: |lab| format!("STOR {} MiB, image, TLS 1.3", lab.sizes.tls >> 20),
        rounds: [5, 3],
        setting: Setting { tls: true, ..ALONE },
        bare: false,
        rows: RATE,
        run: store_by_tls,
        goals: &[goal(0, Against::BestPeer, Want::AtLeast(1.0))],
    },
    Workload {
        name: "tls-login",
        title: |_| "Anonymous logins by TLS, 8 at a time".into(),
        rounds: [5, 3],
        setting: Setting { tls: true, ..TOGETHER },
        bare: true,
        rows: LOGINS,
        run: |lab, server| {
            log_in_and_out(server, 8, lab.sizes.tls_logins, || Client::anonymous_by_tls(server.address))
        },
        goals: &[goal(0, Against::BestPeer, Want::AtLeast(1.0))],
    },
    Workload {
        name: "list",
        title: |_| format!("LIST of {ENTRIES} entries"),
        rounds: [5, 2],
        setting: ALONE,
        bare: false,
        rows: LISTINGS,
        run: |lab, server| listing(lab, server, "LIST"),
        goals: LISTING_GOALS,
    },
    Workload {
        name: "mlsd",
        title: |_| format!("MLSD of {ENTRIES} entries"),
        rounds: [5, 2],
        setting: ALONE,
        bare: false,
        rows: LISTINGS,
        run: |lab, server| listing(lab, server, "MLSD"),
        goals: LISTING_GOALS,
    },
    Workload {
        name: "idle",
        title: |lab| format!("{} idle sessions", lab.sizes.idle_sessions),
        rounds: [2, 1],
        setting: TOGETHER,
        bare: true,
        rows: &[
            row("KiB a session, kernel's included", Better::Less, 1),
            row("KiB a session, PSS alone", Better::Less, 1),
        ],
        run: idle_sessions,
        goals: &[goal(0, Against::Nothing, Want::AtMost(48.0))],
    },
    Workload {
        name: "connects",
        title: |_| format!("{} connects at once", connects::CLIENTS),
        rounds: [5, 2],
        setting: TOGETHER,
        bare: true,
        rows: &[
            row("answered 220", Better::More, 0),
            row("answered 421", Better::More, 0),
            row("answered, per cent", Better::More, 1),
            row("greeting after, ms, median", Better::Less, 1),
            row("greeting after, ms, p99", Better::Less, 1),
        ],
        run: |_, server| connects::all_at_once(server.address),
        goals: &[
            goal(2, Against::Nothing, Want::AtLeast(100.0)),
            goal(4, Against::Nothing, Want::AtMost(200.0)),
        ],
    },
    Workload {
        name: "many",
        title: |_| "RETR 10 MiB, 200 sessions".into(),
        rounds: [5, 2],
        setting: TOGETHER,
        bare: true,
        rows: &[
            row("MiB/s in sum", Better::More, 0),
            row("slowest / fastest session", Better::Less, 2),
            row("server CPU, s/GiB", Better::Less, 3),
        ],
        run: many_sessions,
        goals: &[
            goal(0, Against::BestPeer, Want::AtLeast(1.0)),
            goal(1, Against::Nothing, Want::AtMost(3.0)),
        ],
    },
];

/// One session.
const ALONE: Setting = Setting { logins: Logins::Anonymous, apart: true, tls: false };
const TOGETHER: Setting = Setting { logins: Logins::Anonymous, apart: false, tls: false };

const RATE: &[Row] = &[row("MiB/s", Better::More, 0), row("server CPU, s/GiB", Better::Less, 3)];
const LOGINS: &[Row] =
    &[row("logins/s", Better::More, 1), row("server CPU, microseconds a login", Better::Less, 0)];
const LISTINGS: &[Row] = &[
    row("seconds", Better::Less, 3),
    row("server CPU, seconds", Better::Less, 3),
    row("session's peak memory, KiB", Better::Less, 0),
    row("of that, for this listing", Better::Less, 0),
];
/// Faster than the fastest of the others, in a tenth of that one's memory.
const LISTING_GOALS: &[Goal] =
    &[goal(0, Against::BestPeer, Want::AtMost(1.0)), goal(2, Against::BestPeerIn(0), Want::AtMost(0.1))];

const fn row(label: &'static str, better: Better, decimals: usize) -> Row {
    Row { label, better, decimals }
}

const fn goal(row: usize, against: Against, want: Want) -> Goal {
    Goal { row, against, want }
}

fn retrieve(
    lab: &Lab,
    server: &Server,
    material: Material,
    representation: &str,
    expected: u64,
) -> io::Result<Vec<f64>> {
    const TIMES: usize = 3;
    lab.material(material)?;
    let mut client = Client::anonymous(server.address)?;
    client.expect(representation, 200)?;
    let line = format!("RETR {}\r\n", material.name());
    let mut scratch = vec![0; SCRATCH];
    let mut spent = Spent::default();
    for _ in 0..TIMES {
        let received = spent
            .on(server, || client.retrieve(&line, |data| client::discard_polling(data, &mut scratch)))?;
        same("bytes received", received, expected)?;
    }
    client.quit()?;
    Ok(spent.rates(expected * TIMES as u64))
}

fn store(
    lab: &Lab,
    server: &Server,
    material: Material,
    representation: &str,
    expected: u64,
) -> io::Result<Vec<f64>> {
    const TIMES: usize = 2;
    let file = File::open(lab.material(material)?)?;
    let mut client = Client::anonymous(server.address)?;
    client.expect(representation, 200)?;
    let mut spent = Spent::default();
    for number in 0..TIMES {
        // A new name each time: not every server lets anonymous overwrite.
        let line = format!("STOR up/stored-{number}\r\n");
        spent.on(server, || client.store(&line, &file))?;
        let stored = lab.uploads().join(format!("stored-{number}"));
        let size = fs::metadata(&stored)?.len();
        fs::remove_file(stored)?;
        same("bytes stored", size, expected)?;
    }
    client.quit()?;
    Ok(spent.rates(expected * TIMES as u64))
}

/// Two, because that is how many sessions some servers let a client resume.
const TLS_TIMES: usize = 2;

fn retrieve_by_tls(lab: &Lab, server: &Server) -> io::Result<Vec<f64>> {
    lab.material(Material::Tls)?;
    let size = lab.sizes.tls;
    let mut client = Client::anonymous_by_tls(server.address)?;
    client.protect()?;
    client.expect("TYPE I\r\n", 200)?;
    let line = format!("RETR {}\r\n", Material::Tls.name());
    let mut scratch = vec![0; SCRATCH];
    let mut spent = Spent::default();
    for _ in 0..TLS_TIMES {
        spent.on(server, || client.retrieve_by_tls(&line, size, &mut scratch))?;
    }
    client.quit()?;
    Ok(spent.rates(size * TLS_TIMES as u64))
}

fn store_by_tls(lab: &Lab, server: &Server) -> io::Result<Vec<f64>> {
    let path = lab.material(Material::Tls)?;
    let mut client = Client::anonymous_by_tls(server.address)?;
    client.protect()?;
    client.expect("TYPE I\r\n", 200)?;
    let mut spent = Spent::default();
    for number in 0..TLS_TIMES {
        let line = format!("STOR up/stored-{number}\r\n");
        let upload = client.begin_upload(&line, &File::open(&path)?)?;
        spent.on(server, || client.finish_upload(&upload))?;
        let stored = lab.uploads().join(format!("stored-{number}"));
        let size = fs::metadata(&stored)?.len();
        fs::remove_file(stored)?;
        same("bytes stored", size, lab.sizes.tls)?;
    }
    client.quit()?;
    Ok(spent.rates(lab.sizes.tls * TLS_TIMES as u64))
}

fn small_files(lab: &Lab, server: &Server) -> io::Result<Vec<f64>> {
    lab.material(Material::Small)?;
    let count = lab.sizes.small_files;
    let fetch = |client: &mut Client, scratch: &mut [u8]| {
        let received = client.retrieve("RETR small\r\n", |data| client::discard(data, scratch))?;
        same("bytes received", received, SMALL)
    };
    let clients = image_clients(server, 8)?;
    let (times, spent) = together(server, clients, |client| {
        let mut scratch = vec![0; SMALL as usize * 2];
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let start = Instant::now();
            fetch(client, &mut scratch)?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        Ok(times)
    })?;
    let mut times = times.concat();
    let files = times.len() as f64;
    Ok(vec![files / spent.wall, spent.cpu * 1e6 / files, percentile(&mut times, 0.99)])
}

fn account_logins(lab: &Lab, server: &Server) -> io::Result<Vec<f64>> {
    let (user, password) = lab.account.as_ref().ok_or(io::ErrorKind::NotFound)?;
    let lines = [format!("USER {user}\r\n"), format!("PASS {password}\r\n")];
    logins(server, 16, lab.sizes.account_logins, &lines[0], &lines[1])
}

fn logins(server: &Server, at_once: usize, each: usize, user: &str, password: &str) -> io::Result<Vec<f64>> {
    log_in_and_out(server, at_once, each, || {
        let mut client = Client::connect(server.address)?;
        client.log_in(user, password)?;
        Ok(client)
    })
}

fn log_in_and_out(
    server: &Server,
    at_once: usize,
    each: usize,
    log_in: impl Fn() -> io::Result<Client> + Sync,
) -> io::Result<Vec<f64>> {
    let cpu = server.group.cpu();
    let (_, spent) = together(server, vec![(); at_once], |()| {
        for _ in 0..each {
            log_in()?.quit()?;
        }
        Ok(())
    })?;
    // What the server spends on ending the sessions counts.
    server.settle();
    let cpu = server.group.cpu() - cpu;
    let logins = (at_once * each) as f64;
    Ok(vec![logins / spent.wall, cpu * 1e6 / logins])
}

fn listing(lab: &Lab, server: &Server, verb: &str) -> io::Result<Vec<f64>> {
    const TIMES: usize = 3;
    lab.material(Material::Many)?;
    let mut scratch = vec![0; SCRATCH];
    // What the first session loads for all is not this one's.
    let warm_up = |client: &mut Client, scratch: &mut [u8]| {
        client.retrieve(&format!("{verb} up\r\n"), |data| client::count_lines(data, scratch))
    };
    let mut first = Client::anonymous(server.address)?;
    warm_up(&mut first, &mut scratch)?;
    first.quit()?;
    server.settle();
    let without = server.group.proportional();
    let mut client = Client::anonymous(server.address)?;
    warm_up(&mut client, &mut scratch)?;
    let session = server.group.proportional().saturating_sub(without);
    let line = format!("{verb} many\r\n");
    let marks = server.group.mark_peaks();
    let lines = client.retrieve(&line, |data| client::count_lines(data, &mut scratch))?;
    let growth = server.group.growth(&marks);
    // `total`, and the directory and its parent, may come on top.
    if !(ENTRIES as u64..ENTRIES as u64 + 4).contains(&lines) {
        return Err(io::Error::other(format!("lists {lines} of {ENTRIES}")));
    }
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let mut spent = Spent::default();
        spent.on(server, || client.retrieve(&line, |data| client::discard_polling(data, &mut scratch)))?;
        walls.push(spent.wall);
        cpus.push(spent.cpu);
    }
    client.quit()?;
    let middle = |values| median(values).unwrap_or(f64::NAN);
    Ok(vec![middle(walls), middle(cpus), (session + growth) as f64 / 1024.0, growth as f64 / 1024.0])
}

fn idle_sessions(lab: &Lab, server: &Server) -> io::Result<Vec<f64>> {
    const THREADS: usize = 16;
    let each = lab.sizes.idle_sessions / THREADS;
    // The first session pays for what all share.
    Client::anonymous(server.address)?.quit()?;
    server.settle();
    thread::sleep(Duration::from_millis(300));
    let (memory, proportional) = (server.group.memory(), server.group.proportional());
    let (clients, _) = together(server, vec![(); THREADS], |()| anonymous_clients(server, each))?;
    thread::sleep(Duration::from_millis(500));
    let grown = [
        server.group.memory().saturating_sub(memory),
        server.group.proportional().saturating_sub(proportional),
    ];
    let sessions = clients.iter().map(Vec::len).sum::<usize>() as f64;
    drop(clients);
    Ok(grown.iter().map(|&bytes| bytes as f64 / 1024.0 / sessions).collect())
}

/// All clients are drained in turn, as a network would that serves its users
/// alike, so that what differs between them is the server's doing.
fn many_sessions(lab: &Lab, server: &Server) -> io::Result<Vec<f64>> {
    /// Bytes a client takes in its turn.
    const TURN: usize = 256 << 10;
    lab.material(Material::TenMib)?;
    let mut clients = image_clients(server, 200)?;
    let mut scratch = vec![0; TURN];
    let cpu = server.group.cpu();
    let mut transfers = Vec::with_capacity(clients.len());
    let clock = Instant::now();
    for client in &mut clients {
        let data = client.begin("RETR ten\r\n")?;
        data.set_nonblocking(true)?;
        transfers.push((data, Instant::now(), 0));
    }
    let mut times = Vec::with_capacity(clients.len());
    while !transfers.is_empty() {
        if clock.elapsed() > Duration::from_secs(60) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let (mut failed, mut idle) = (None, true);
        transfers.retain_mut(|(data, start, total)| match client::discard_some(data, &mut scratch) {
            Ok(None) => true,
            Ok(Some(0)) => {
                times.push(start.elapsed().as_secs_f64());
                failed = same("bytes received", *total, TEN_MIB).err().or(failed.take());
                false
            }
            Ok(Some(got)) => {
                *total += got;
                idle = false;
                true
            }
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if idle {
            client::pause();
        }
    }
    let wall = clock.elapsed().as_secs_f64();
    clients.iter_mut().try_for_each(Client::finish)?;
    let cpu = server.group.cpu() - cpu;
    let bytes = TEN_MIB as f64 * times.len() as f64;
    let spread = percentile(&mut times, 1.0) / percentile(&mut times, 0.0);
    Ok(vec![bytes / MIB / wall, spread, cpu / (bytes / GIB)])
}

fn anonymous_clients(server: &Server, count: usize) -> io::Result<Vec<Client>> {
    (0..count).map(|_| Client::anonymous(server.address)).collect()
}

fn image_clients(server: &Server, count: usize) -> io::Result<Vec<Client>> {
    let mut clients = anonymous_clients(server, count)?;
    clients.iter_mut().try_for_each(|client| client.expect("TYPE I\r\n", 200))?;
    Ok(clients)
}

/// Has a thread for each item do `work`, all starting at the same moment.
fn together<I: Send, T: Send>(
    server: &Server,
    items: Vec<I>,
    work: impl Fn(&mut I) -> io::Result<T> + Sync,
) -> io::Result<(Vec<T>, Spent)> {
    let start = Barrier::new(items.len() + 1);
    let run = |mut item: I| {
        start.wait();
        let done = work(&mut item);
        // The item goes back, so that its session ends outside the time.
        (done, item)
    };
    let run = &run;
    thread::scope(|scope| {
        let workers: Vec<_> = items.into_iter().map(|item| scope.spawn(move || run(item))).collect();
        let cpu = server.group.cpu();
        let clock = Instant::now();
        start.wait();
        let done: Vec<_> = workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| io::Error::other("a client panicked")))
            .collect::<io::Result<_>>()?;
        let wall = clock.elapsed().as_secs_f64();
        let (results, items): (Vec<_>, Vec<_>) = done.into_iter().unzip();
        let spent = Spent { wall, cpu: server.group.cpu() - cpu };
        drop(items);
        Ok((results.into_iter().collect::<io::Result<_>>()?, spent))
    })
}

/// Seconds, by the clock and of the server's processor time.
#[derive(Default)]
struct Spent {
    wall: f64,
    cpu: f64,
}

impl Spent {
    fn on<T>(&mut self, server: &Server, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let cpu = server.group.cpu();
        let clock = Instant::now();
        let result = work();
        self.wall += clock.elapsed().as_secs_f64();
        self.cpu += server.group.cpu() - cpu;
        result
    }

    /// The rows of `RATE`.
    fn rates(&self, bytes: u64) -> Vec<f64> {
        vec![bytes as f64 / MIB / self.wall, self.cpu / (bytes as f64 / GIB)]
    }
}

fn same(what: &str, got: u64, expected: u64) -> io::Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(io::Error::other(format!("{what}: {got}, not {expected}")))
}
