//! A start, from argv to the loop: what was asked for, how the server was started, what is
//! opened while it may be, and what is said when something fails.

mod announcement;
mod check_access;
mod errors;
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
use crate::sys::process::{self, Detached, PidFile};
use announcement::Announcement;
use errors::{FAILURE, StartupErrors, USAGE};

/// Does what the command line asks for, to the end; returns the exit code: 0, 1 when it failed,
/// 2 when it was not understood.
pub fn run() -> ExitCode {
    // The process that checks passwords is this program, started again.
    if env::args_os().nth(1).is_some_and(|word| word == helpers::HELPER_ARG) {
        helpers::main();
    }
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => ExitCode::from(code),
    }
}

/// The error is the exit code; why was said where it was found.
fn start() -> Result<(), u8> {
    let errors = StartupErrors::new(activation::stderr_is_a_socket());
    let passed = activation::take(server::BACKLOG).map_err(|err| errors.report(FAILURE, err))?;
    match cli::parse(env::args_os().skip(1)).map_err(|line| errors.report(USAGE, line))? {
        Action::Help => say(&cli::usage()),
        Action::Version => say(&cli::version()),
        Action::Ask(path, question) => {
            let path = path.unwrap_or_else(operator::default_path);
            let answer = operator::ask(&path, question).map_err(|line| errors.report(FAILURE, line))?;
            say(&answer)
        }
        Action::Run(options) => {
            clock::start();
            process::prepare().map_err(|err| errors.report(FAILURE, err))?;
            if options.test_config {
                return test_config::test_config(*options);
            }
            if let Some(who) = options.check_access.clone() {
                return check_access::check_access(*options, &who, errors);
            }
            let start = how_started(&options, passed.as_ref());
            match (start.map_err(|line| errors.report(USAGE, line))?, passed) {
                (_, Some(Passed::Connected(stream))) => serve_one(*options, stream, errors),
                (start, Some(Passed::Listening(sockets))) => {
                    serve_all(*options, start, Some(sockets), errors)
                }
                (start, None) => serve_all(*options, start, None, errors),
            }
        }
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
fn serve_one(options: Options, stream: TcpStream, errors: StartupErrors) -> Result<(), u8> {
    logging::init(&options.logging, Start::Connected);
    let config =
        cli::resolve(options, Start::Connected).map_err(|problems| errors.report_all(USAGE, problems))?;
    log_warnings(&config);
    Services::new(config)
        .and_then(|services| Server::for_one(services, stream)?.run())
        .map_err(|err| errors.report(FAILURE, err))
}

/// Serves many: standalone, or on `sockets` that were opened for it.
fn serve_all(
    options: Options,
    start: Start,
    sockets: Option<Vec<PassedListener>>,
    errors: StartupErrors,
) -> Result<(), u8> {
    let config = cli::resolve(options, start).map_err(|problems| errors.report_all(USAGE, problems))?;
    let caller = match start {
        Start::Daemon => Some(process::detach().map_err(|err| errors.report(FAILURE, err))?),
        _ => None,
    };
    logging::init(&config.logging, start);
    log_warnings(&config);
    match open(config, sockets) {
        Ok((server, _pid_file)) => {
            release(caller).map_err(|err| errors.report(FAILURE, err))?;
            server.run().map_err(|err| {
                log::error!("{err}");
                FAILURE
            })
        }
        Err(line) => {
            let code = errors.report(FAILURE, line);
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
    let services = Services::new(config).map_err(|err| err.to_string())?;
    let server = match sockets {
        Some(sockets) => Server::activated(services, sockets),
        None => Server::standalone(services),
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
    config.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    let descriptors_for_each = 5; // Connection (twice), directory, data connection, file.
    if process::fd_limit()
        .is_some_and(|limit| limit < config.limits.max_clients as u64 * descriptors_for_each)
    {
        log::warn!("the limit of open files may be too low for {} clients", config.limits.max_clients);
    }
}

/// Standard output may be closed, which `println!` would not survive.
fn say(text: &str) -> Result<(), u8> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|_| FAILURE)
}
