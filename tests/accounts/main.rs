//! Logins of the operating system's accounts, against a ferryd that root started.
//!
//! Needs root and the throw-away accounts of scripts/test-accounts.sh. Without
//! them a test says that it was left out, unless CI or FERRYD_ROOT_TESTS is set:
//! then it fails.

#[expect(dead_code, reason = "tests/wire needs the rest")]
#[path = "../wire/client.rs"]
mod client;
#[expect(dead_code, reason = "tests/wire needs the rest")]
#[path = "../wire/server.rs"]
mod server;
#[path = "../wire/shell.rs"]
mod shell;
#[allow(dead_code, reason = "unit tests need the rest")]
#[path = "../../src/test_support.rs"]
mod test_support;

#[cfg(feature = "tls")]
#[expect(dead_code, reason = "tests/wire needs the rest")]
#[path = "../wire/tls_client.rs"]
mod tls_client;

mod ground;

mod admin_files;
#[cfg(feature = "tls")]
mod certificates;
mod login;
mod pam;
mod policy;

mod rights;
mod sessions;

mod confinement;
mod magic_links;

mod active;
#[cfg(target_os = "linux")]
mod calls;
mod disk;
#[cfg(target_os = "linux")]
mod faults;

#[cfg(target_os = "linux")]
mod containers;
#[cfg(target_os = "linux")]
mod first_process;
mod helpers;
mod inetd;
mod local_shell;
#[cfg(target_os = "linux")]
mod permissions;
