//! Who may log in, and as whom.
//!
//! ```text
//! authenticator.rs  a name and a password become an Account, or a Refusal
//! pace.rs           how long a refusal takes
//! system.rs         accounts of the operating system
//! user_file.rs      accounts of ferryd's own (--user-file)
//! anonymous.rs      the login that needs no password
//! pam_service.rs    which PAM service is asked
//! ftpusers.rs       who is kept out
//! jail.rs           ftpchroot: who is kept in a directory
//! hosts.rs          ftphosts: virtual hosts, and who may come from where
//! admin_file.rs     these files as lines
//! names.rs          whom a line means
//! options.rs        the options at the end of a line
//! check.rs          all of it, for --test-config
//! trail.rs          what decided, for -C -d
//! ```
//!
//! Passwords are checked in processes of `helpers`. What an account may do with files is not
//! decided here.

mod admin_file;
mod anonymous;
mod authenticator;
mod check;
mod ftpusers;
mod hosts;
mod jail;
mod names;
mod options;
mod pace;
mod pam_service;
mod system;
#[cfg(test)]
mod tests;
mod trail;
mod user_file;

pub(crate) use admin_file::read_admin_file;
pub(crate) use authenticator::{Account, AccountKind, Attempt, Authenticator, Refusal};
pub(crate) use check::{Findings, check_files, count_faults};
pub(crate) use hosts::{Hosts, VirtualHost};
pub(crate) use options::UserOptions;
pub(crate) use trail::Trail;
