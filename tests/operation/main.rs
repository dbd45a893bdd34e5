//! ferryd as an administrator runs it: started by inetd, systemd or by hand, told
//! to reload and to stop, asked who is there.
//!
//! A test that needs root, or a program that is not installed, says that it was left out, unless CI or
//! FERRYD_ROOT_TESTS is set: then it fails.

mod activation;
mod daemon;
#[cfg(target_os = "linux")]
mod descriptors;
mod inetd;
mod logs;
mod manager;
#[cfg(feature = "tls")]
mod reload;
#[allow(dead_code, reason = "not every test needs all of it")]
mod support;
#[allow(dead_code, reason = "unit tests need the rest")]
#[path = "../../src/test_support.rs"]
mod test_support;
mod who;
