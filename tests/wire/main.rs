//! Runs the built ferryd on a loopback port, in a folder of its own, and talks FTP to it.
//!
//! The modules in reading order: what the tests stand on, then the dialogue from
//! the greeting to the goodbye, then what the administrator sees, then what goes wrong.
//! `FTPD=/path/to/another-ftpd cargo test --test wire` asks another server; it is
//! started with ferryd's arguments and has to print ferryd's `listening on` line.

mod client;
mod server;
#[cfg(target_os = "linux")]
mod shell;
#[allow(dead_code, reason = "unit tests need the rest")]
#[path = "../../src/test_support.rs"]
mod test_support;
#[cfg(feature = "tls")]
mod tls_client;

mod greeting;
mod login;
mod user_file;

mod paths;
mod rename;
mod representation;
mod store;

mod ascii;
mod block_mode;
mod parameters;
mod reply_codes;
mod restart;

mod facts;
mod listing;
mod names;
mod ownership;
#[cfg(target_os = "linux")]
mod permissions;

mod abort;
mod data_port;
mod departed;
mod killed;
mod passive_ports;

mod help;
mod site;

mod atomic;
mod hidden;
mod hosts;
mod limits;
mod quotas;
mod read_only;
mod texts;
mod user_options;

mod check_access;
mod cli;
mod floods;
mod logs;
mod signals;
mod test_config;

#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_reuse;

mod confinement;
mod crowd;
mod door;
mod hostile;
mod regression;
