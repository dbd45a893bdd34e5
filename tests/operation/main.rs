//! ferryd as an administrator runs it: started by inetd, systemd or by hand, told
//! to reload and to stop, asked who is there.
//!
//! What needs root or a program that is not installed says so and passes.

mod activation;
mod daemon;
#[cfg(target_os = "linux")]
mod descriptors;
mod inetd;
mod logs;
mod manager;
#[allow(dead_code, reason = "not every test needs all of it")]
mod support;
mod who;
