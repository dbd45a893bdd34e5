//! The handlers, filed as RFC 959 section 4.1 files the commands.

mod access;
mod data;
mod download;
mod files;
mod information;
mod listing;
mod parameters;
mod security;
mod site;
mod upload;
