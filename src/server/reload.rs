//! SIGHUP: sessions whose account may no longer log in are told to go.

use std::fs;
use std::io;
use std::path::Path;

use super::Shared;
use super::guests::Leave;
use crate::account::Refusal;

/// Refuses logins on the whole system, wherever ferryd's own files are.
pub(crate) const SYSTEM_NOLOGIN: &str = "/var/run/nologin";

/// Checks each session that is logged in against the administrator's files, as they are now.
/// Who may not stay may finish the command it is at. A file that cannot be read ends no session.
pub(super) fn check_guests(shared: &Shared) {
    let closed = is_closed(shared);
    for guest in shared.limits.guests() {
        let Some(user) = guest.user() else { continue };
        let reason = match closed {
            true => "nologin".to_owned(),
            false => match shared.authenticator.may_stay(&user.name, user.anonymous) {
                Ok(()) => continue,
                Err(Refusal::Denied { reason }) => reason,
                Err(Refusal::Unavailable { reason }) => {
                    log::error!("session {} not checked: {reason}", guest.id);
                    continue;
                }
            },
        };
        log::info!(
            event = "revoked", session = guest.id, user = user.name.as_str();
            "session {} of {} ends: {reason}", guest.id, crate::log::word(user.name.as_bytes())
        );
        guest.dismiss(Leave::Soon, "You may no longer log in; closing the connection.");
    }
}

fn is_closed(shared: &Shared) -> bool {
    let is_there = |path: &Path| match fs::symlink_metadata(path) {
        Err(err) => err.kind() != io::ErrorKind::NotFound,
        Ok(_) => true,
    };
    is_there(&shared.config.config_dir.join("nologin")) || is_there(Path::new(SYSTEM_NOLOGIN))
}
