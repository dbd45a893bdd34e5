//! ferryd, an FTP server in the manner of the classic ftpd: blocking sockets,
//! one thread for each client from a fixed pool, the accounts of the operating
//! system.
//!
//! The modules are in the order in which a command passes through them:
//!
//! ```text
//! main.rs      argv -> Config -> server; the only exit codes
//! cli/         OPTIONS, one row per flag; the usage text
//! config.rs    all the command line decided, resolved once, never changed
//! log/         syslog or standard error, and the transfer log
//! server/      1 ACCEPT: a client becomes a worker's job
//! session/     2 SESSION, the server-PI: one client, greeting to goodbye
//!   commands/  3 COMMAND: the handlers, filed as RFC 959 section 4.1 files them
//! account/     who may log in, and as whom
//! vfs/         4 FILES: the tree the client sees, with the account's rights
//! dtp/         4 DATA, the server-DTP: the data connection and the bytes on it
//! proto/       5 REPLY, and the rest of the pure protocol: bytes in, values out
//! tls/         certificates, and TLS connections of both kinds
//! sys/         the only unsafe code, the only cfg(target_os)
//! ```
//!
//! Who uses whom: main and cli use server, server uses session, session uses
//! account, vfs and dtp, and these use proto and sys. Nothing points back.

mod account;
mod cli;
mod config;
mod dtp;
mod log;
mod proto;
mod server;
mod session;
#[allow(unsafe_code, reason = "sys is where the operating system is made safe to call")]
mod sys;
mod tls;
mod vfs;

use std::env;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::ExitCode;

use account::helper;
use cli::{Action, Options};
use config::{Config, Problem, Start};
use server::{Server, Shared, operator};
use sys::activation::{self, Passed, PassedListener};
use sys::process::{self, Detached, PidFile};

/// Not what was asked for: the start failed.
const FAILURE: u8 = 1;
/// Not what can be asked for.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    // The process that checks passwords is this program, started again.
    if env::args_os().nth(1).is_some_and(|word| word == helper::HELPER_ARG) {
        helper::main();
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => ExitCode::from(code),
    }
}

/// The error is the exit code; why was said where it was found.
fn run() -> Result<(), u8> {
    let voice = Voice { deaf: activation::stderr_is_a_socket() };
    let passed = activation::take(server::BACKLOG).map_err(|err| voice.complain(FAILURE, err))?;
    match cli::parse(env::args_os().skip(1)).map_err(|line| voice.complain(USAGE, line))? {
        Action::Help => say(&cli::usage()),
        Action::Version => say(&cli::version()),
        Action::Ask(path, question) => {
            let path = path.unwrap_or_else(operator::default_path);
            let answer = operator::ask(&path, question).map_err(|line| voice.complain(FAILURE, line))?;
            say(&answer)
        }
        Action::Run(options) => {
            sys::clock::start();
            process::prepare().map_err(|err| voice.complain(FAILURE, err))?;
            if options.test_config {
                return test_config(*options);
            }
            if let Some(who) = options.check_access.clone() {
                return check_access(*options, &who, voice);
            }
            let start = how_started(&options, passed.as_ref());
            match (start.map_err(|line| voice.complain(USAGE, line))?, passed) {
                (_, Some(Passed::Connected(stream))) => serve_one(*options, stream, voice),
                (start, Some(Passed::Listening(sockets))) => serve_all(*options, start, Some(sockets), voice),
                (start, None) => serve_all(*options, start, None, voice),
            }
        }
    }
}

/// What a start that failed says, and where.
#[derive(Clone, Copy)]
struct Voice {
    /// Standard error was a client's connection: what is written there is not read.
    deaf: bool,
}

impl Voice {
    fn complain(self, code: u8, line: impl Display) -> u8 {
        if self.deaf {
            log::init(&config::Logging::default(), Start::Connected);
            ::log::error!("{line}");
        } else {
            let _ = writeln!(io::stderr(), "ferryd: {line}");
        }
        code
    }

    fn complain_of_all(self, code: u8, problems: Vec<Problem>) -> u8 {
        problems.into_iter().fold(code, |code, problem| self.complain(code, problem))
    }
}

/// How it is started decides what it is.
fn how_started(options: &Options, passed: Option<&Passed>) -> Result<Start, &'static str> {
    match passed {
        Some(Passed::Connected(_)) => Ok(Start::Connected),
        // Who listens for us also watches over us, so that -D has nothing to detach from.
        Some(Passed::Listening(_)) if options.foreground => Ok(Start::Foreground),
        Some(Passed::Listening(_)) => Ok(Start::Activated),
        None if options.daemon => Ok(Start::Daemon),
        None if options.foreground => Ok(Start::Foreground),
        None => Err("say -F to run in the foreground or -D to run as a daemon (--help shows more)"),
    }
}

/// Started with a client.
fn serve_one(options: Options, stream: TcpStream, voice: Voice) -> Result<(), u8> {
    log::init(&options.logging, Start::Connected);
    let config = Config::resolve(options, Start::Connected)
        .map_err(|problems| voice.complain_of_all(USAGE, problems))?;
    log_warnings(&config);
    Shared::new(config)
        .and_then(|shared| Server::for_one(shared, stream)?.run())
        .map_err(|err| voice.complain(FAILURE, err))
}

/// Serves many: standalone, or on `sockets` that were opened for it.
fn serve_all(
    options: Options,
    start: Start,
    sockets: Option<Vec<PassedListener>>,
    voice: Voice,
) -> Result<(), u8> {
    let config =
        Config::resolve(options, start).map_err(|problems| voice.complain_of_all(USAGE, problems))?;
    let caller = match start {
        Start::Daemon => Some(process::detach().map_err(|err| voice.complain(FAILURE, err))?),
        _ => None,
    };
    log::init(&config.logging, start);
    log_warnings(&config);
    match open(config, sockets) {
        Ok((server, _pid_file)) => {
            release(caller).map_err(|err| voice.complain(FAILURE, err))?;
            server.run().map_err(|err| {
                ::log::error!("{err}");
                FAILURE
            })
        }
        Err(line) => {
            let code = voice.complain(FAILURE, line);
            if let Some(caller) = caller {
                caller.fail(code);
            }
            Err(code)
        }
    }
}

/// Opens all that the server needs, while it may and while its caller listens.
fn open(config: Config, sockets: Option<Vec<PassedListener>>) -> Result<(Server, Option<PidFile>), String> {
    let pid_file = match &config.listen.pid_file {
        Some(path) => {
            let failed = |err| format!("-p, --pidfile: {}: {err}", path.display());
            Some(PidFile::create(path).map_err(failed)?)
        }
        None => None,
    };
    let announce = Announcement::new(&config);
    let shared = Shared::new(config).map_err(|err| err.to_string())?;
    let server = match sockets {
        Some(sockets) => Server::activated(shared, sockets),
        None => Server::standalone(shared),
    };
    let server = server.map_err(|err| err.to_string())?;
    announce.print(&server.addresses().map_err(|err| err.to_string())?, server.fingerprint());
    Ok((server, pid_file))
}

/// The caller of a daemon may go.
fn release(caller: Option<Detached>) -> io::Result<()> {
    caller.map_or(Ok(()), Detached::ready)
}

fn log_warnings(config: &Config) {
    config.warnings.iter().for_each(|warning| ::log::warn!("{warning}"));
    let descriptors_for_each = 5; // Connection (twice), directory, data connection, file.
    if process::fd_limit()
        .is_some_and(|limit| limit < config.limits.max_clients as u64 * descriptors_for_each)
    {
        ::log::warn!("the limit of open files may be too low for {} clients", config.limits.max_clients);
    }
}

/// What is said on standard output once the server listens.
struct Announcement {
    /// `-F`; a daemon only names ports it was left to choose.
    foreground: bool,
    chosen: bool,
    /// Anonymous clients may log in, and nobody needs to be root for it.
    trial: bool,
}

impl Announcement {
    fn new(config: &Config) -> Announcement {
        Announcement {
            foreground: config.listen.start == Start::Foreground,
            chosen: config.listen.addresses.iter().any(|address| address.port() == 0),
            trial: config.login.anonymous.is_some() && !rustix::process::geteuid().is_root(),
        }
    }

    fn print(&self, addresses: &[SocketAddr], fingerprint: Option<String>) {
        addresses.iter().for_each(|address| ::log::debug!("listening on {address}"));
        if !self.foreground && !self.chosen {
            return;
        }
        let mut text: String = addresses.iter().map(|address| format!("listening on {address}\n")).collect();
        if let (true, true, Some(first)) = (self.foreground, self.trial, addresses.first()) {
            text += &format!("try: curl {}\n", url(first));
        }
        if let Some(fingerprint) = fingerprint {
            text += &format!(
                "a self-signed certificate, for trying out and nothing else; its SHA-256 fingerprint:\n{fingerprint}\n"
            );
        }
        // Nobody may be listening to standard output; clients are served all the same.
        let _ = say(&text);
    }
}

fn url(address: &SocketAddr) -> String {
    let host = match address.ip() {
        ip if ip.is_unspecified() || ip.is_loopback() => "localhost".to_owned(),
        ip if ip.is_ipv6() => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    match address.port() {
        21 => format!("ftp://{host}/"),
        port => format!("ftp://{host}:{port}/"),
    }
}

/// `--test-config`: opens what a start would open, but takes no port, which a
/// running server may have.
fn test_config(options: Options) -> Result<(), u8> {
    let start = if options.daemon { Start::Daemon } else { Start::Foreground };
    let problems = match Config::resolve(options, start) {
        Ok(config) => server::check(&config),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    };
    match problems.is_empty() {
        true => say("ferryd: no problems found\n"),
        false => {
            let lines: String = problems.iter().map(|line| format!("ferryd: {line}\n")).collect();
            say(&lines).and(Err(FAILURE))
        }
    }
}

/// `-C`: the exit code says whether that user may log in; with `-d`, why is printed.
fn check_access(options: Options, who: &str, voice: Voice) -> Result<(), u8> {
    let (user, host) = who.rsplit_once('@').map_or((who, None), |(user, host)| (user, Some(host)));
    let peer = host.map(|host| host.parse::<IpAddr>().map_err(|_| host)).transpose();
    let peer = peer
        .map_err(|host| voice.complain(USAGE, format!("-C, --check-access: `{host}` is not an address")))?;
    let explain = options.logging.debug > 0;
    let config = Config::resolve(options, Start::Foreground)
        .map_err(|problems| voice.complain_of_all(USAGE, problems))?;
    let access = server::check_access(&config, user, peer).map_err(|err| voice.complain(FAILURE, err))?;
    let mut text = String::new();
    if explain {
        access.explanation.iter().for_each(|line| text += &format!("{line}\n"));
    }
    say(&format!("{text}{}\n", access.verdict))?;
    if access.allowed { Ok(()) } else { Err(FAILURE) }
}

/// Standard output may be closed, which `println!` would not survive.
fn say(text: &str) -> Result<(), u8> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|_| FAILURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_type_next_is_a_url_that_works() {
        for (address, expected) in [
            ("0.0.0.0:2121", "ftp://localhost:2121/"),
            ("[::1]:21", "ftp://localhost/"),
            ("192.0.2.1:21", "ftp://192.0.2.1/"),
            ("[2001:db8::1]:2121", "ftp://[2001:db8::1]:2121/"),
        ] {
            assert_eq!(url(&address.parse().unwrap()), expected);
        }
    }
}
