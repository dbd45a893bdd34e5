//! The test's user-PI: says a command, expects a reply code, moves data.
//!
//! What is wrong with every reply is checked here once: the form of RFC 959
//! section 4.2, CRLF, and that no line hides a second one. A failing test prints
//! its dialogue.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use rustix::net::{AddressFamily, SendFlags, SocketType};

use crate::server::DEADLINE;

pub(crate) struct Client {
    stream: TcpStream,
    /// Bytes that came and no reply has taken yet.
    arrived: Vec<u8>,
    dialogue: Vec<String>,
    /// How `start` and what stands on it asks for data connections.
    pub(crate) via: Via,
}

/// The command that agrees on a data port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Pasv,
    Epsv,
    Lpsv,
    Port,
    Eprt,
    Lprt,
}

pub(crate) struct Reply {
    pub(crate) code: u16,
    /// Without line ends; the first and the last with the code in front.
    pub(crate) lines: Vec<Vec<u8>>,
}

/// What a data port command agreed on.
pub(crate) enum DataPort {
    /// The server listens there.
    Passive(SocketAddr),
    /// The server will connect to it.
    Active(TcpListener),
}

/// One line of MLSD, or the one of MLST. Names of facts in lower case.
pub(crate) struct Facts {
    pub(crate) facts: BTreeMap<String, String>,
    pub(crate) name: Vec<u8>,
}

/// One line in the manner of `ls -l`.
pub(crate) struct LongLine {
    pub(crate) mode: String,
    pub(crate) owner: String,
    pub(crate) group: String,
    pub(crate) size: u64,
    /// Month, day, and hour or year.
    pub(crate) date: String,
    pub(crate) name: String,
}

impl Client {
    /// A control connection of which nothing has been read yet.
    pub(crate) fn connect(server: SocketAddr) -> Client {
        Client::from_stream(TcpStream::connect_timeout(&server, DEADLINE).expect("the server accepts"))
    }

    /// The same from another address of this host: another host to the server.
    pub(crate) fn connect_from(source: Ipv4Addr, server: SocketAddr) -> Client {
        Client::from_stream(connect_from(source, server).expect("the server accepts"))
    }

    pub(crate) fn from_stream(stream: TcpStream) -> Client {
        set_deadlines(&stream);
        let v4 = stream.peer_addr().is_ok_and(|peer| peer.is_ipv4());
        let via = if v4 { Via::Pasv } else { Via::Epsv };
        Client { stream, arrived: Vec::new(), dialogue: Vec::new(), via }
    }

    pub(crate) fn log_in(&mut self) {
        self.log_in_as("anonymous", "test@example.org");
    }

    pub(crate) fn log_in_as(&mut self, name: &str, password: &str) {
        self.send(format!("USER {name}")).expect(331);
        self.send(format!("PASS {password}")).expect(230);
    }

    pub(crate) fn via(mut self, via: Via) -> Client {
        self.via = via;
        self
    }

    /// The connection itself, for a test that keeps to no dialogue.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    pub(crate) fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().expect("a connected socket")
    }

    pub(crate) fn server_address(&self) -> SocketAddr {
        self.stream.peer_addr().expect("a connected socket")
    }
}

/// Commands and replies.
impl Client {
    /// Sends a line, with what Telnet asks of it: IAC is doubled, CR is CR NUL, CRLF ends it.
    /// LF stays itself, as it does with the clients that can name such files.
    pub(crate) fn send(&mut self, line: impl AsRef<[u8]>) -> &mut Client {
        let mut wire = Vec::new();
        for &byte in line.as_ref() {
            wire.push(byte);
            match byte {
                0xFF => wire.push(0xFF),
                b'\r' => wire.push(0),
                _ => (),
            }
        }
        wire.extend(b"\r\n");
        self.raw(wire)
    }

    /// Sends these bytes and nothing else.
    pub(crate) fn raw(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        let bytes = bytes.as_ref();
        self.note("->", bytes);
        self.stream.write_all(bytes).unwrap_or_else(|err| self.fail(&format!("cannot send: {err}")));
        self
    }

    /// Sends what may not arrive any more, because the server is free to hang up.
    pub(crate) fn raw_if_open(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        self.note("->", bytes.as_ref());
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// Sends bytes of which the last is marked urgent, as Telnet's Synch is.
    pub(crate) fn urgent(&mut self, bytes: &[u8]) -> &mut Client {
        self.note("=>", bytes);
        let sent = rustix::net::send(&self.stream, bytes, SendFlags::OOB).expect("a connected socket");
        assert_eq!(sent, bytes.len());
        self
    }

    /// The next reply, which must have this code.
    #[track_caller]
    pub(crate) fn expect(&mut self, code: u16) -> Reply {
        self.expect_any(&[code])
    }

    /// The next reply, which must have one of these codes.
    #[track_caller]
    pub(crate) fn expect_any(&mut self, codes: &[u16]) -> Reply {
        let reply = self.reply();
        if !codes.contains(&reply.code) {
            self.fail(&format!("expected {codes:?}"));
        }
        reply
    }

    /// The next reply, which must refuse: 4yz or 5yz, and neither "no such command" nor the end.
    #[track_caller]
    pub(crate) fn expect_refusal(&mut self) -> Reply {
        let reply = self.reply();
        if !(400..600).contains(&reply.code) || reply.code == 421 {
            self.fail("expected a refusal");
        }
        reply
    }

    /// The end of the control connection; a 421 may come first.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let ended = match self.try_reply() {
            None => true,
            Some(reply) => reply.code == 421 && self.try_reply().is_none(),
        };
        if !ended {
            self.fail("expected the end");
        }
    }

    #[track_caller]
    pub(crate) fn reply(&mut self) -> Reply {
        match self.try_reply() {
            Some(reply) => reply,
            None => self.fail("expected a reply, not the end"),
        }
    }

    /// `None` when the server has closed the connection.
    #[track_caller]
    pub(crate) fn try_reply(&mut self) -> Option<Reply> {
        let mut lines = vec![self.line()?];
        let Some(code) = code_of(&lines[0]) else { self.fail("a reply starts with its code") };
        if lines[0].get(3) == Some(&b'-') {
            loop {
                let Some(line) = self.line() else { self.fail("a reply ends with its code and a space") };
                let last = code_of(&line) == Some(code) && line.get(3) == Some(&b' ');
                lines.push(line);
                if last {
                    break;
                }
            }
        } else if lines[0].get(3) != Some(&b' ') {
            self.fail("a space or a hyphen follows the code");
        }
        Some(Reply { code, lines })
    }

    #[track_caller]
    fn line(&mut self) -> Option<Vec<u8>> {
        let end = loop {
            if let Some(end) = self.arrived.windows(2).position(|two| two == b"\r\n") {
                break end;
            }
            if self.receive() == 0 {
                if !self.arrived.is_empty() {
                    self.fail("the connection ends in the middle of a line");
                }
                return None;
            }
        };
        let wire: Vec<u8> = self.arrived.drain(..end + 2).take(end).collect();
        self.note("<-", &wire);
        if wire.contains(&b'\n') {
            self.fail("a line feed within a line of a reply");
        }
        Some(from_telnet(&wire))
    }

    /// Bytes as they come, Telnet commands among them, until there are `count`.
    #[track_caller]
    pub(crate) fn take_raw(&mut self, count: usize) -> Vec<u8> {
        while self.arrived.len() < count {
            if self.receive() == 0 {
                self.fail(&format!("expected {count} bytes, not the end after {:?}", self.arrived));
            }
        }
        let taken: Vec<u8> = self.arrived.drain(..count).collect();
        self.note("<-", &taken);
        taken
    }

    /// Zero at the end, also at one that lost bytes of ours.
    #[track_caller]
    fn receive(&mut self) -> usize {
        let mut buffer = [0; 8192];
        match self.stream.read(&mut buffer) {
            Ok(n) => {
                self.arrived.extend(&buffer[..n]);
                n
            }
            Err(err) if matches!(err.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => 0,
            Err(err) if err.kind() == ErrorKind::Interrupted => self.receive(),
            Err(err) => self.fail(&format!("nothing comes: {err}")),
        }
    }

    /// Closes our half; the server sees the end of the commands.
    pub(crate) fn close_sending_half(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("a connected socket");
    }

    /// Vanishes as a crashed client does: nothing more is said, what comes is reset.
    pub(crate) fn vanish(self) {
        reset_on_drop(&self.stream);
    }

    fn note(&mut self, direction: &str, bytes: &[u8]) {
        let shown = bytes[..bytes.len().min(400)].escape_ascii();
        self.dialogue.push(format!("{direction} {shown}"));
    }

    #[track_caller]
    pub(crate) fn fail(&self, why: &str) -> ! {
        let first = self.dialogue.len().saturating_sub(40);
        panic!("{why}; the dialogue was\n  {}", self.dialogue[first..].join("\n  "));
    }
}

impl Reply {
    /// All lines as text, LF between them.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.lines.join(&b'\n')).into_owned()
    }

    /// The first line after its code.
    pub(crate) fn first(&self) -> String {
        String::from_utf8_lossy(&self.lines[0][4..]).into_owned()
    }

    /// The lines between the first and the last.
    pub(crate) fn inner(&self) -> &[Vec<u8>] {
        match self.lines.len() {
            0..=2 => &[],
            n => &self.lines[1..n - 1],
        }
    }

    /// The path-name of a 257, its doubled quotes made one.
    #[track_caller]
    pub(crate) fn quoted_path(&self) -> Vec<u8> {
        let mut rest = self.lines[0][4..].iter().copied().peekable();
        assert_eq!(rest.next(), Some(b'"'), "257 starts with a quote: {}", self.text());
        let mut path = Vec::new();
        while let Some(byte) = rest.next() {
            if byte == b'"' && rest.next_if_eq(&b'"').is_none() {
                return path;
            }
            path.push(byte);
        }
        panic!("257 ends its quote: {}", self.text());
    }

    /// What 227 says between its parentheses, or 228.
    #[track_caller]
    pub(crate) fn numbers(&self) -> Vec<u16> {
        let text = self.text();
        let inner = text.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
        let (inner, _) = inner.unwrap_or_else(|| panic!("numbers in parentheses: {text}"));
        inner.split(',').map(|n| n.parse().unwrap_or_else(|_| panic!("a number: {text}"))).collect()
    }
}

/// Data connections.
impl Client {
    #[track_caller]
    pub(crate) fn pasv(&mut self) -> SocketAddr {
        let numbers = self.send("PASV").expect(227).numbers();
        let &[a, b, c, d, high, low] = numbers.as_slice() else { self.fail("six numbers") };
        let [a, b, c, d] = [a, b, c, d].map(|n| u8::try_from(n).expect("an octet"));
        SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), high * 256 + low)
    }

    /// 229 names a port; the address is the control connection's.
    #[track_caller]
    pub(crate) fn epsv(&mut self) -> SocketAddr {
        self.epsv_with("EPSV")
    }

    #[track_caller]
    pub(crate) fn epsv_with(&mut self, command: &str) -> SocketAddr {
        let text = self.send(command).expect(229).text();
        let port = text.split_once("(|||").and_then(|(_, rest)| rest.split_once("|)"));
        let Some(Ok(port)) = port.map(|(port, _)| port.parse()) else { self.fail("(|||port|)") };
        SocketAddr::new(self.server_address().ip(), port)
    }

    #[track_caller]
    pub(crate) fn lpsv(&mut self) -> SocketAddr {
        let numbers = self.send("LPSV").expect(228).numbers();
        let octets: Vec<u8> = numbers.iter().map(|&n| u8::try_from(n).expect("an octet")).collect();
        let (ip, port): (IpAddr, _) = match octets.as_slice() {
            [4, 4, a, b, c, d, 2, port @ ..] => (Ipv4Addr::new(*a, *b, *c, *d).into(), port),
            [6, 16, rest @ ..] if rest.len() == 19 => {
                let octets: [u8; 16] = rest[..16].try_into().expect("sixteen");
                (Ipv6Addr::from(octets).into(), &rest[17..])
            }
            _ => self.fail("a long address"),
        };
        SocketAddr::new(ip, u16::from_be_bytes([port[0], port[1]]))
    }

    /// Listens next to the control connection, and says so with PORT, EPRT or LPRT.
    #[track_caller]
    pub(crate) fn active(&mut self, via: Via) -> TcpListener {
        let listener = TcpListener::bind((self.local_address().ip(), 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let command = match via {
            Via::Port => port_command(address),
            Via::Eprt => eprt_command(address),
            Via::Lprt => lprt_command(address),
            _ => panic!("{via:?} is passive"),
        };
        self.send(command).expect(200);
        listener
    }

    #[track_caller]
    pub(crate) fn data_port(&mut self) -> DataPort {
        match self.via {
            Via::Pasv => DataPort::Passive(self.pasv()),
            Via::Epsv => DataPort::Passive(self.epsv()),
            Via::Lpsv => DataPort::Passive(self.lpsv()),
            via => DataPort::Active(self.active(via)),
        }
    }

    /// Asks for a transfer; the data connection when it began, the reply when it was refused.
    #[track_caller]
    pub(crate) fn try_start(&mut self, command: impl AsRef<[u8]>) -> Result<TcpStream, Reply> {
        let port = self.data_port();
        let data = match &port {
            DataPort::Passive(address) => Some(connect(*address)),
            DataPort::Active(_) => None,
        };
        let reply = self.send(command).reply();
        match reply.code {
            125 | 150 => Ok(data.unwrap_or_else(|| port.open())),
            400..600 => Err(reply),
            _ => self.fail("expected 150 or a refusal"),
        }
    }

    /// A transfer that began; what it sends and ends with is the test's business.
    #[track_caller]
    pub(crate) fn start(&mut self, command: impl AsRef<[u8]>) -> TcpStream {
        match self.try_start(command) {
            Ok(data) => data,
            Err(_) => self.fail("expected 150"),
        }
    }

    /// A transfer that is refused before it begins, with one of these codes.
    #[track_caller]
    pub(crate) fn refused(&mut self, command: impl AsRef<[u8]>, codes: &[u16]) -> Reply {
        match self.try_start(command) {
            Err(reply) if codes.contains(&reply.code) => reply,
            _ => self.fail(&format!("expected a refusal with one of {codes:?}")),
        }
    }

    /// RETR, LIST and their like, to the end.
    #[track_caller]
    pub(crate) fn download(&mut self, command: impl AsRef<[u8]>) -> Vec<u8> {
        let data = self.start(command);
        let bytes = self.read_to_end(data);
        self.expect(226);
        bytes
    }

    #[track_caller]
    pub(crate) fn read_to_end(&self, mut data: TcpStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Err(err) = data.read_to_end(&mut bytes) {
            self.fail(&format!("the data connection fails after {} bytes: {err}", bytes.len()));
        }
        bytes
    }

    /// STOR, APPE and STOU, to the end. The preliminary reply is lost; see `start` for it.
    #[track_caller]
    pub(crate) fn upload(&mut self, command: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Reply {
        let mut data = self.start(command);
        data.write_all(content.as_ref()).unwrap_or_else(|err| self.fail(&format!("cannot send data: {err}")));
        drop(data);
        self.expect(226)
    }

    #[track_caller]
    /// An upload that may be refused, before or while it runs: the code of its final reply.
    pub(crate) fn upload_or_refusal(&mut self, command: &str, content: &[u8]) -> u16 {
        match self.try_start(command) {
            Ok(mut data) => {
                // The server may hang up on what it does not want.
                let _ = data.write_all(content);
                drop(data);
                self.reply().code
            }
            Err(reply) => reply.code,
        }
    }

    pub(crate) fn retr(&mut self, name: impl AsRef<[u8]>) -> Vec<u8> {
        self.download(verb("RETR", name))
    }

    #[track_caller]
    pub(crate) fn stor(&mut self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) {
        self.upload(verb("STOR", name), content);
    }

    /// LIST, its lines taken apart.
    #[track_caller]
    pub(crate) fn list(&mut self, argument: &str) -> Vec<LongLine> {
        let lines = self.lines(verb("LIST", argument));
        lines.iter().filter(|line| !line.starts_with(b"total ")).map(|line| LongLine::parse(line)).collect()
    }

    /// NLST, its names as they came.
    #[track_caller]
    pub(crate) fn nlst(&mut self, argument: impl AsRef<[u8]>) -> Vec<Vec<u8>> {
        self.lines(verb("NLST", argument))
    }

    /// NLST of names that are text, sorted.
    #[track_caller]
    pub(crate) fn names(&mut self, argument: &str) -> Vec<String> {
        let names = self.nlst(argument);
        let mut names: Vec<String> = names.iter().map(|name| String::from_utf8_lossy(name).into()).collect();
        names.sort();
        names
    }

    #[track_caller]
    pub(crate) fn mlsd(&mut self, argument: impl AsRef<[u8]>) -> Vec<Facts> {
        self.lines(verb("MLSD", argument)).iter().map(|line| Facts::parse(line)).collect()
    }

    /// MLST: the one line between the first and the last, less the space that starts it.
    #[track_caller]
    pub(crate) fn mlst(&mut self, argument: impl AsRef<[u8]>) -> Facts {
        let reply = self.send(verb("MLST", argument)).expect(250);
        let [line] = reply.inner() else { self.fail("MLST tells of one file") };
        let Some(line) = line.strip_prefix(b" ") else { self.fail("a space precedes the facts") };
        Facts::parse(line)
    }

    /// A listing's lines; each must end with CRLF, whatever the representation type.
    #[track_caller]
    pub(crate) fn lines(&mut self, command: impl AsRef<[u8]>) -> Vec<Vec<u8>> {
        let bytes = self.download(command);
        let mut lines: Vec<Vec<u8>> = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else {
                self.fail(&format!("a listing that ends without CRLF: {}", bytes.escape_ascii()));
            };
            lines.push(from_nvt(&rest[..end]));
            rest = &rest[end + 2..];
        }
        lines
    }
}

impl DataPort {
    #[track_caller]
    pub(crate) fn open(&self) -> TcpStream {
        match self {
            DataPort::Passive(address) => connect(*address),
            DataPort::Active(listener) => accept(listener),
        }
    }
}

impl Facts {
    #[track_caller]
    pub(crate) fn parse(line: &[u8]) -> Facts {
        let shown = || line.escape_ascii().to_string();
        let space =
            line.iter().position(|&byte| byte == b' ').unwrap_or_else(|| panic!("a space: {}", shown()));
        let facts = std::str::from_utf8(&line[..space]).expect("facts are ASCII");
        assert!(facts.is_empty() || facts.ends_with(';'), "every fact ends with a semicolon: {}", shown());
        let facts = facts.split_terminator(';').map(|fact| {
            let (name, value) = fact.split_once('=').unwrap_or_else(|| panic!("name=value: {}", shown()));
            (name.to_ascii_lowercase(), value.to_owned())
        });
        Facts { facts: facts.collect(), name: line[space + 1..].to_vec() }
    }

    #[track_caller]
    pub(crate) fn get(&self, fact: &str) -> &str {
        self.facts.get(fact).unwrap_or_else(|| panic!("the fact {fact} in {:?}", self.facts))
    }
}

impl LongLine {
    /// `-rw-r--r-- 1 owner group 12 Jan 2 03:04 name`; the name after exactly one space.
    #[track_caller]
    pub(crate) fn parse(line: &[u8]) -> LongLine {
        let text = String::from_utf8_lossy(line).into_owned();
        let mut rest = text.as_str();
        let mut words = Vec::new();
        for _ in 0..8 {
            rest = rest.trim_start_matches(' ');
            let end = rest.find(' ').unwrap_or_else(|| panic!("eight columns and a name: {text:?}"));
            words.push(&rest[..end]);
            rest = &rest[end..];
        }
        assert_eq!(words[0].len(), 10, "{text:?}");
        LongLine {
            mode: words[0].into(),
            owner: words[2].into(),
            group: words[3].into(),
            size: words[4].parse().unwrap_or_else(|_| panic!("a size: {text:?}")),
            date: words[5..].join(" "),
            name: rest[1..].into(),
        }
    }
}

/// `VERB`, or `VERB argument`.
pub(crate) fn verb(verb: &str, argument: impl AsRef<[u8]>) -> Vec<u8> {
    match argument.as_ref() {
        b"" => verb.into(),
        argument => [verb.as_bytes(), b" ", argument].concat(),
    }
}

#[track_caller]
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, DEADLINE)
        .unwrap_or_else(|err| panic!("no data connection to {address}: {err}"));
    set_deadlines(&stream);
    stream
}

/// Connects from an address of this host that the test chooses.
pub(crate) fn connect_from(source: Ipv4Addr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &SocketAddr::new(source.into(), 0))?;
    rustix::net::connect(&socket, &address)?;
    let stream = TcpStream::from(socket);
    set_deadlines(&stream);
    Ok(stream)
}

/// Accepts within the deadline.
#[track_caller]
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).expect("a listener");
    let end = Instant::now() + DEADLINE;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).expect("a socket");
                set_deadlines(&stream);
                return stream;
            }
            Err(err) if err.kind() == ErrorKind::WouldBlock => (),
            Err(err) => panic!("accept: {err}"),
        }
        assert!(Instant::now() < end, "the server does not connect to our data port");
        thread::sleep(Duration::from_millis(2));
    }
}

/// From now on a drop sends RST in place of FIN.
pub(crate) fn reset_on_drop(stream: &TcpStream) {
    set_socket_linger(stream, Some(Duration::ZERO)).expect("a socket");
}

pub(crate) fn port_command(address: SocketAddr) -> String {
    let IpAddr::V4(ip) = address.ip() else { panic!("PORT is for IPv4") };
    let [a, b, c, d] = ip.octets();
    let [high, low] = address.port().to_be_bytes();
    format!("PORT {a},{b},{c},{d},{high},{low}")
}

pub(crate) fn eprt_command(address: SocketAddr) -> String {
    let family = if address.is_ipv4() { 1 } else { 2 };
    format!("EPRT |{family}|{}|{}|", address.ip(), address.port())
}

pub(crate) fn lprt_command(address: SocketAddr) -> String {
    let (family, octets) = match address.ip() {
        IpAddr::V4(ip) => (4, ip.octets().to_vec()),
        IpAddr::V6(ip) => (6, ip.octets().to_vec()),
    };
    let octets: Vec<String> = octets.iter().map(u8::to_string).collect();
    let [high, low] = address.port().to_be_bytes();
    format!("LPRT {family},{},{},2,{high},{low}", octets.len(), octets.join(","))
}

fn set_deadlines(stream: &TcpStream) {
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
    stream.set_write_timeout(Some(DEADLINE)).expect("a socket");
}

fn code_of(line: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(line.get(..3)?).ok()?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// IAC IAC is 0xFF; CR NUL is CR.
fn from_telnet(wire: &[u8]) -> Vec<u8> {
    let mut line = Vec::new();
    let mut rest = wire.iter().peekable();
    while let Some(&byte) = rest.next() {
        line.push(byte);
        if byte == 0xFF {
            rest.next_if_eq(&&0xFF);
        } else if byte == b'\r' {
            rest.next_if_eq(&&0);
        }
    }
    line
}

/// In the NVT-ASCII of a listing CR is CR NUL, and 0xFF is itself: it is no Telnet connection.
fn from_nvt(line: &[u8]) -> Vec<u8> {
    let mut name = Vec::new();
    let mut rest = line.iter().peekable();
    while let Some(&byte) = rest.next() {
        name.push(byte);
        if byte == b'\r' {
            rest.next_if_eq(&&0);
        }
    }
    name
}
