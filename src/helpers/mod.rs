//! Helper processes: they do what a session's thread must not, such as asking PAM.
//!
//! ```text
//! pool.rs      the processes of one server: a request goes in, an answer comes out
//! protocol.rs  requests and answers, as values and as bytes
//! process.rs   what a helper process does with a request
//! ```
//!
//! Who may log in is `account`'s business; the socket between the two processes is `sys`'s.

mod pool;
mod process;
mod protocol;

pub(crate) use pool::{Asker, Helpers, PamSession};
pub(crate) use process::{HELPER_ARG, main};
pub(crate) use protocol::{Answer, Request, Secret};
