//! ferryd, an FTP server in the manner of the classic ftpd: blocking sockets,
//! one thread for each client from a fixed pool, the accounts of the operating
//! system.
//!
//! The modules are in the order in which a command passes through them; a file may use what
//! stands below it, never what stands above:
//!
//! ```text
//! start/       argv -> a server that runs; the only exit codes
//! cli/         OPTIONS, one row per flag; the words, what they mean, the usage text
//! config.rs    all the command line decided, resolved once, never changed
//! operator/    who and kick: both ends of the operator's socket
//! server/      1 ACCEPT: a client becomes a worker's job
//! session/     2 SESSION, the server-PI: one client, greeting to goodbye
//!   commands/  3 COMMAND: the handlers, filed as RFC 959 section 4.1 files them
//! clients/     who is here: places, bans, what each session does, quotas
//! account/     who may log in, and as whom
//! vfs/         4 FILES: the tree the client sees, with the account's rights
//! dtp/         4 DATA, the server-DTP: the data connection and the bytes on it
//! helpers/     processes that do what a session's thread must not, such as asking PAM
//! events.rs    what happened, made once; the logs, wtmp and the counters read it
//! logging/     what the administrator reads: syslog or standard error, the transfer log, wtmp
//! tls/         certificates, and TLS connections of both kinds
//! proto/       5 REPLY, and the rest of the pure protocol: bytes in, values out
//! sys/         the only unsafe code, the only cfg(target_os)
//! probe.rs     the pure parts for fuzzers, benchmarks and tests outside
//! test_support.rs  what tests stand on: a directory, numbers from a seed
//! ```
//!
//! `start` uses `cli` and `server`; `cli` the questions of `operator`; `server` uses `operator` and
//! `session`, `operator` uses `session`; `session` uses `clients`, `account`, `vfs` and `dtp`, which do
//! not know each other. All of them use what stands below; `helpers`, `tls` and `logging` do not know
//! each other either, and `config`, `proto` and `sys` use nothing of ferryd. `tests/docs/layers.rs`
//! reads every path in the sources and holds it against that.

mod account;
mod cli;
mod clients;
mod config;
mod dtp;
mod events;
mod helpers;
mod logging;
mod operator;
mod proto;
mod server;
mod session;
mod start;
#[allow(unsafe_code, reason = "sys is where the operating system is made safe to call")]
mod sys;
#[cfg(test)]
mod test_support;
mod tls;
mod vfs;

#[doc(hidden)]
pub mod probe;

pub use start::run;
