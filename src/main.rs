//! ferryd, an FTP server in the manner of the classic ftpd.
#![allow(dead_code, unused_imports)]

mod account;
mod config;
mod dtp;
mod proto;
mod sys;
mod vfs;

fn main() {}
