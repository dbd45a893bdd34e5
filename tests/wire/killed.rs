//! The server is killed amid uploads, again and again: what it has acknowledged is there, no file is
//! mixed of two uploads, and nothing that it had begun is in anybody's way afterwards.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::server::{Folder, Server, wait_until};
use crate::test_support::Random;

/// Uploads in each way of storing, and clients that make them at the same time.
const UPLOADS: usize = 200;
const CLIENTS: usize = 4;

/// What was sent, and what the server said of it.
#[derive(Default)]
struct Sent {
    uploads: Mutex<HashMap<usize, Upload>>,
    /// Steps of all dialogues.
    steps: AtomicUsize,
    count: AtomicUsize,
}

#[derive(Clone)]
struct Upload {
    name: String,
    size: usize,
    acknowledged: bool,
}

/// What upload `id` sends: each sixteen bytes tell whose they are and where they belong.
fn content(id: usize, size: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        (0..size.div_ceil(16)).flat_map(|at| format!("{id:08x}{at:08x}").into_bytes()).collect();
    bytes.truncate(size);
    bytes
}

/// The upload that a file begins with.
fn id_of(file: &[u8]) -> Option<usize> {
    usize::from_str_radix(std::str::from_utf8(file.get(..8)?).ok()?, 16).ok()
}

/// A client that ends when the server does.
struct Session<'a> {
    control: BufReader<TcpStream>,
    sent: &'a Sent,
}

impl Session<'_> {
    fn run(server: SocketAddr, sent: &Sent, mut random: Random) -> io::Result<()> {
        let mut session = Session { control: BufReader::new(TcpStream::connect(server)?), sent };
        session.reply()?;
        for command in ["USER anonymous", "PASS test@example.org", "TYPE I", "CWD dir"] {
            session.ask(command)?;
        }
        while sent.count.fetch_add(1, Ordering::Relaxed) < UPLOADS {
            session.upload(&mut random)?;
        }
        Ok(())
    }

    fn upload(&mut self, random: &mut Random) -> io::Result<()> {
        let mut uploads = self.sent.uploads.lock().expect("no test panics in here");
        let id = uploads.len();
        let size = 1 + random.below(300_000);
        // Some names are one upload's alone, and some are everybody's.
        let name =
            if random.below(2) == 0 { format!("own-{id}") } else { format!("all-{}", random.below(3)) };
        uploads.insert(id, Upload { name: name.clone(), size, acknowledged: false });
        drop(uploads);
        let passive = self.ask("EPSV")?;
        let port = passive.split('|').nth(3).and_then(|port| port.parse().ok()).unwrap_or(0);
        let mut data = TcpStream::connect((self.control.get_ref().peer_addr()?.ip(), port))?;
        if self.ask(&format!("STOR {name}"))?.starts_with("150") {
            for piece in content(id, size).chunks(40_000) {
                // The server hangs up on what it does not want.
                if data.write_all(piece).is_err() {
                    break;
                }
                self.sent.steps.fetch_add(1, Ordering::Relaxed);
            }
            drop(data);
            if self.reply()?.starts_with("226") {
                let mut uploads = self.sent.uploads.lock().expect("no test panics in here");
                uploads.get_mut(&id).expect("it is there").acknowledged = true;
            }
        }
        Ok(())
    }

    fn ask(&mut self, command: &str) -> io::Result<String> {
        self.control.get_mut().write_all(format!("{command}\r\n").as_bytes())?;
        self.reply()
    }

    fn reply(&mut self) -> io::Result<String> {
        self.sent.steps.fetch_add(1, Ordering::Relaxed);
        let mut line = String::new();
        match self.control.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line),
        }
    }
}

/// What is in the folder is what the clients know of.
fn check(folder: &Folder, sent: &Sent, atomic: bool, options: &[&str]) {
    let uploads = sent.uploads.lock().expect("no test panics in here");
    for entry in std::fs::read_dir(folder.path("dir")).expect("our own folder").flatten() {
        let name = entry.file_name().into_string().expect("a plain name");
        if name.starts_with(".ferryd-upload-") {
            continue;
        }
        let file = std::fs::read(entry.path()).expect("our own file");
        let Some(id) = id_of(&file) else {
            assert!(!atomic && file.len() < 8, "{name}: {} bytes, {options:?}", file.len());
            continue;
        };
        let upload = &uploads[&id];
        assert_eq!(upload.name, name, "{options:?}");
        assert!(content(id, upload.size).starts_with(&file), "{name} is mixed, {options:?}");
        assert!(!atomic || file.len() == upload.size, "{name} has {} bytes, {options:?}", file.len());
    }
    for (id, upload) in uploads.iter().filter(|(_, upload)| upload.acknowledged) {
        if upload.name.starts_with("own-") {
            let file =
                std::fs::read(folder.path(format!("dir/{}", upload.name))).expect("it was acknowledged");
            assert!(file == content(*id, upload.size), "{}: {options:?}", upload.name);
        }
    }
}

/// Clients see nothing that they have not stored, and can remove the folder with all that is in it.
fn clear_up(server: &Server) {
    let mut client = server.log_in();
    for name in client.names("dir") {
        assert!(!name.contains("ferryd"), "{name}");
        client.send(format!("DELE {name}")).expect(250);
    }
    wait_until("the folder is empty", || (client.send("RMD dir").reply().code == 250).then_some(()));
    client.send("MKD dir").expect(257);
}

fn kill_again_and_again(options: &[&str], seed: u64) {
    let (mut random, sent) = (Random::new(seed), Sent::default());
    let atomic = options.iter().any(|option| option.starts_with("--atomic"));
    let mut server = Server::start(options);
    server.mkdir("dir");
    let mut kills = 0;
    while sent.count.load(Ordering::Relaxed) < UPLOADS {
        let address = server.address();
        let until = sent.steps.load(Ordering::Relaxed) + 30 + random.below(200);
        let seeds: Vec<u64> = (0..CLIENTS).map(|_| random.next()).collect();
        let folder = thread::scope(|scope| {
            let sent = &sent;
            let sessions: Vec<_> = seeds
                .into_iter()
                .map(|seed| scope.spawn(move || Session::run(address, sent, Random::new(seed))))
                .collect();
            wait_until("enough has happened", || {
                let enough = sent.steps.load(Ordering::Relaxed) >= until;
                (enough || sessions.iter().all(|session| session.is_finished())).then_some(())
            });
            server.kill()
        });
        kills += 1;
        check(&folder, &sent, atomic, options);
        server = Server::start_in(folder, options);
    }
    assert!(kills >= 5, "{kills}");
    clear_up(&server);
}

#[test]
fn plain_uploads() {
    kill_again_and_again(&[], 1);
}

#[test]
fn atomic_uploads() {
    kill_again_and_again(&["--atomic-uploads"], 2);
}

#[test]
fn synced_uploads() {
    kill_again_and_again(&["--sync-uploads"], 3);
}

#[test]
fn atomic_and_synced_uploads() {
    kill_again_and_again(&["--atomic-uploads", "--sync-uploads"], 4);
}

/// The name of a draft that has one.
const DRAFT: &str = "dir/.ferryd-upload-0123456789abcdef";

#[test]
fn what_a_killed_server_left_is_swept_away() {
    let server = Server::start(&["--atomic-uploads"]);
    server.mkdir("dir");
    let mut client = server.log_in();
    // Names of which ferryd makes none.
    let others = [".ferryd-upload-", ".ferryd-upload-0123456789abcdeg", ".ferryd-upload-x"];
    others.iter().for_each(|other| server.write(format!("dir/{other}"), "somebody's"));
    for command in ["LIST dir", "NLST dir", "MLSD dir", "STAT dir"] {
        server.write(DRAFT, "part of an upload");
        match command {
            "STAT dir" => drop(client.send(command).expect(212)),
            _ => drop(client.download(command)),
        }
        assert_eq!(server.names("dir"), others, "{command}");
    }
    others.iter().for_each(|other| drop(client.send(format!("DELE dir/{other}")).expect(250)));
    server.write(DRAFT, "part of an upload");
    client.send("RMD dir").expect(250);
}

#[test]
fn what_somebody_works_on_is_not_swept_away() {
    let server = Server::start(&["--atomic-uploads"]);
    server.mkdir("dir");
    server.write(DRAFT, "part of an upload");
    let file = std::fs::File::open(server.path(DRAFT)).expect("our own file");
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).expect("nobody else has it");
    let mut client = server.log_in();
    client.names("dir");
    client.send("RMD dir").expect(550);
    assert!(server.exists(DRAFT));
    drop(file);
    client.send("RMD dir").expect(250);
}
