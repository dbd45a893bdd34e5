//! The operating system behind safe functions: the only unsafe code and the
//! only `cfg(target_os)` of ferryd. Knows nothing of FTP.

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
