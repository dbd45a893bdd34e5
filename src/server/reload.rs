//! SIGHUP: sessions whose account may no longer log in are told to go.

use super::Shared;
use super::guests::Leave;
use crate::account::Refusal;
use crate::session;

/// Checks each session that is logged in against the administrator's files, as they are now.
/// Who may not stay may finish the command it is at. A file that cannot be read ends no session.
pub(super) fn check_guests(shared: &Shared) {
    let closed = session::nologin_text(&shared.config.config_dir).is_some();
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
