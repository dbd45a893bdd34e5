//! A start, from argv to the accept loop.
//!
//! ```text
//! mod.rs           reads argv, finds out how the process was started, opens everything, runs the server
//! errors.rs        says why a start fails, where somebody reads it
//! announcement.rs  says where the server listens
//! test_config.rs   --test-config
//! check_access.rs  -C
//! ```

mod announcement;
mod check_access;
mod errors;
mod tcp_wrappers;
mod test_config;

use std::env;
use std::io::{self, Write};
use std::net::TcpStream;
use std::process::ExitCode;

use crate::cli::{self, Action, Options};
use crate::config::{Config, Start};
use crate::helpers;
use crate::logging;
use crate::operator;
use crate::server::{self, Server};
use crate::session::Services;
use crate::sys::activation::{self, Passed, PassedListener};
use crate::sys::clock;
use crate::sys::process::{self, PidFile};
use announcement::Announcement;
use errors::{FAILURE, StartupErrors, USAGE};

/// Does what the command line asks for, to the end. Returns the exit code: 1 if that failed, 2 if the
/// command line was not understood, else 0.
pub fn run() -> ExitCode {
    // A helper process is this program, started again.
    if env::args_os().nth(1).is_some_and(|word| word == helpers::HELPER_ARG) {
        helpers::main();
    }
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => ExitCode::from(code),
    }
}

/// The error is the exit code; the reason was said at the place where it was found.
fn start() -> Result<(), u8> {
    let errors = StartupErrors::new(activation::stderr_is_a_socket());
    let passed = activation::take(server::BACKLOG).map_err(|err| errors.report(FAILURE, err))?;
    let sockets = passed.as_ref().map(same_sockets).unwrap_or_default();
    match do_what_is_asked(passed, errors) {
        Ok(Begun::Answered) => Ok(()),
        Ok(Begun::Opened(server, _pid_file)) => {
            drop(sockets);
            server.run().map_err(|err| {
                log::error!("{err}");
                FAILURE
            })
        }
        Err(code) => {
            // systemd or inetd would start us again at once for clients that still wait.
            server::refuse_waiting(&sockets);
            Err(code)
        }
    }
}

/// A second descriptor of each socket to listen on that was passed.
fn same_sockets(passed: &Passed) -> Vec<PassedListener> {
    match passed {
        Passed::Connected(_) => Vec::new(),
        Passed::Listening(sockets) => sockets.iter().filter_map(|socket| socket.try_clone().ok()).collect(),
    }
}

/// The outcome of a command line.
enum Begun {
    /// The answer was printed; there is nothing more to do.
    Answered,
    /// A server has everything open, and is ready to run.
    Opened(Box<Server>, Option<PidFile>),
}

fn do_what_is_asked(passed: Option<Passed>, errors: StartupErrors) -> Result<Begun, u8> {
    match cli::parse(env::args_os().skip(1)).map_err(|line| errors.report(USAGE, line))? {
        Action::Help => say(&cli::usage()).map(|()| Begun::Answered),
        Action::Version => say(&cli::version()).map(|()| Begun::Answered),
        Action::Ask(path, question) => {
            let path = path.unwrap_or_else(operator::default_path);
            let answer = operator::ask(&path, question).map_err(|line| errors.report(FAILURE, line))?;
            say(&answer).map(|()| Begun::Answered)
        }
        Action::Run(options) => {
            clock::start();
            process::prepare().map_err(|err| errors.report(FAILURE, err))?;
            if options.test_config {
                return test_config::test_config(*options).map(|()| Begun::Answered);
            }
            if let Some(who) = options.check_access.clone() {
                return check_access::check_access(*options, &who, errors).map(|()| Begun::Answered);
            }
            let start = how_started(&options, passed.as_ref());
            match (start.map_err(|line| errors.report(USAGE, line))?, passed) {
                (_, Some(Passed::Connected(stream))) => serve_one(*options, stream, errors),
                (start, Some(Passed::Listening(sockets))) => {
                    serve_here(*options, start, Some(sockets), errors)
                }
                (Start::Daemon, None) => serve_detached(*options, errors),
                (start, None) => serve_here(*options, start, None, errors),
            }
        }
    }
}

/// The kind of start: decided by the sockets that were passed, then by `-D` and `-F`.
fn how_started(options: &Options, passed: Option<&Passed>) -> Result<Start, &'static str> {
    match passed {
        Some(Passed::Connected(_)) => Ok(Start::Connected),
        // systemd and inetd watch over the process themselves, so that -D must not detach it.
        Some(Passed::Listening(_)) if options.foreground => Ok(Start::Foreground),
        Some(Passed::Listening(_)) => Ok(Start::Activated),
        None if options.daemon => Ok(Start::Daemon),
        None if options.foreground => Ok(Start::Foreground),
        None => Err("say -F to run in the foreground or -D to run as a daemon (--help shows more)"),
    }
}

/// Serves the one client that the process was started with.
fn serve_one(options: Options, stream: TcpStream, errors: StartupErrors) -> Result<Begun, u8> {
    logging::init(&options.logging, Start::Connected);
    let config =
        cli::resolve(options, Start::Connected).map_err(|problems| errors.report_all(USAGE, problems))?;
    log_warnings(&config);
    let server = Services::new(config).and_then(|services| Server::for_one(services, stream));
    let server = server.map_err(|err| errors.report(FAILURE, err))?;
    Ok(Begun::Opened(Box::new(server), None))
}

/// Serves many clients in this process: on `sockets` that were passed, or on its own.
fn serve_here(
    options: Options,
    start: Start,
    sockets: Option<Vec<PassedListener>>,
    errors: StartupErrors,
) -> Result<Begun, u8> {
    logging::init(&options.logging, start);
    let errors = errors.after_the_log(&options.logging, start);
    let config = cli::resolve(options, start).map_err(|problems| errors.report_all(USAGE, problems))?;
    log_warnings(&config);
    open(config, sockets).map_err(|line| errors.report(FAILURE, line))
}

/// Serves many clients in a detached process. The caller waits until the server listens, so that it
/// sees a failed start on its standard error.
fn serve_detached(options: Options, errors: StartupErrors) -> Result<Begun, u8> {
    let config =
        cli::resolve(options, Start::Daemon).map_err(|problems| errors.report_all(USAGE, problems))?;
    let caller = process::detach().map_err(|err| errors.report(FAILURE, err))?;
    logging::init(&config.logging, Start::Daemon);
    log_warnings(&config);
    match open(config, None) {
        Ok(begun) => caller.ready().map(|()| begun).map_err(|err| errors.report(FAILURE, err)),
        Err(line) => {
            let code = errors.report(FAILURE, line);
            caller.fail(code);
            Err(code)
        }
    }
}

/// Opens everything that the server needs, while the process still has all its rights.
fn open(config: Config, sockets: Option<Vec<PassedListener>>) -> Result<Begun, String> {
    let pid_file = match &config.listen.pid_file {
        Some(path) => {
            let failed = |err| format!("-p, --pidfile: {}: {err}", path.display());
            Some(PidFile::create(path).map_err(failed)?)
        }
        None => None,
    };
    let announce = Announcement::new(&config);
    let services = Services::new(config).map_err(|err| err.to_string())?;
    let server = match sockets {
        Some(sockets) => Server::activated(services, sockets),
        None => Server::standalone(services),
    };
    let server = server.map_err(|err| err.to_string())?;
    announce.make(&server.addresses().map_err(|err| err.to_string())?, server.fingerprint());
    Ok(Begun::Opened(Box::new(server), pid_file))
}

fn log_warnings(config: &Config) {
    warnings(config).iter().for_each(|warning| log::warn!("{warning}"));
}

/// What the administrator should know of a server that starts all the same.
fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = config.warnings.clone();
    let descriptors_for_each = 5; // The connection (twice), the directory, the data connection, the file.
    let clients = config.limits.max_clients;
    if let Some(limit) = process::fd_limit()
        && limit < clients as u64 * descriptors_for_each
    {
        warnings.push(format!(
            "--max-clients: the limit of open files, {limit}, may be too low for {clients} clients"
        ));
    }
    // tcpd obeys them for the server that inetd starts for one client.
    if config.listen.start != Start::Connected {
        warnings.extend(tcp_wrappers::warnings(&config.config_dir));
    }
    warnings
}

/// Standard output may be closed, which `println!` would not survive.
fn say(text: &str) -> Result<(), u8> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|_| FAILURE)
}
