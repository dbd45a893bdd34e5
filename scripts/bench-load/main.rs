//! The load generator of `scripts/bench`, which prepares the machine and starts
//! it: nothing here is meant to be run by hand.
//!
//! | module | is |
//! |---|---|
//! | `workloads` | what is measured, and the figures to reach |
//! | `connects` | one of them: a thousand clients at once |
//! | `client` | an FTP client that costs little |
//! | `servers` | ferryd, the others, how each is started |
//! | `bare` | the bare loop, the limit |
//! | `tls` | what both say over TLS |
//! | `accounting` | processor time and memory of a process tree |
//! | `lab` | directories, files, sizes |
//! | `report` | medians, ratios, tables |

#[cfg(target_os = "linux")]
mod accounting;
#[cfg(target_os = "linux")]
mod bare;
#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod connects;
#[cfg(target_os = "linux")]
mod lab;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod servers;
#[cfg(target_os = "linux")]
mod tls;
#[cfg(target_os = "linux")]
mod workloads;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    run::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("bench: measures on Linux alone");
}
