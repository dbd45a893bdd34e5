//! The operating system behind safe functions: the only unsafe code and the only
//! `cfg(target_os)` of ferryd. What a connection is for, and what is said on it, it does not know.
//!
//! ```text
//! process/  signals.rs  detach.rs ...   the process itself, its threads, how they are woken
//! activation.rs  notify.rs              what systemd and inetd pass, and what they are told
//! helper/                               processes of this program's that work for it
//! identity.rs  sandbox/                 a thread becomes an account, and is kept to that
//! accounts.rs  shadow.rs  crypt.rs  pam/    who has an account, and whether the password is right
//! root/  files/                         a tree and what is in it, by descriptors
//! sockets/  dialogue.rs  unix_peer.rs   connections
//! clock.rs  random.rs  wtmp.rs          the rest
//! database.rs  newer.rs                 what several of these need
//! ```

pub(crate) mod accounts;
pub(crate) mod activation;
pub(crate) mod clock;
pub(crate) mod crypt;
mod database;
pub(crate) mod dialogue;
pub(crate) mod files;
pub(crate) mod helper;
pub(crate) mod identity;
#[cfg(target_os = "linux")]
mod newer;
pub(crate) mod notify;
pub(crate) mod pam;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod root;
pub(crate) mod sandbox;
pub(crate) mod shadow;
pub(crate) mod sockets;
pub(crate) mod unix_peer;
pub(crate) mod wtmp;
