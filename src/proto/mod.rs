//! The pure protocol: bytes in, values out. No socket, file, clock or environment.

pub(crate) mod address;
pub(crate) mod argument;
pub(crate) mod calendar;
pub(crate) mod codec;
pub(crate) mod command;
pub(crate) mod facts;
pub(crate) mod file_mode;
pub(crate) mod glob;
pub(crate) mod host;
pub(crate) mod ls_line;
pub(crate) mod ls_options;
pub(crate) mod origin;
pub(crate) mod params;
pub(crate) mod path;
pub(crate) mod reply;
pub(crate) mod secret;
pub(crate) mod telnet;
