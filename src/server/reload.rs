//! SIGHUP: sessions whose account may no longer log in are told to go.

use crate::account::Refusal;
use crate::clients::Leave;
use crate::events::What;
use crate::session;
use crate::session::Services;

/// Checks each session that is logged in against the administrator's files, as they are now.
/// Who may not stay may finish the command it is at. A file that cannot be read ends no session.
pub(super) fn check_sessions(services: &Services) {
    let closed = session::nologin_text(&services.config.config_dir).is_some();
    for client in services.clients.sessions() {
        let Some(user) = client.user() else { continue };
        let reason = match closed {
            true => "nologin".to_owned(),
            false => match services.authenticator.may_stay(&user.name, user.is_anonymous()) {
                Ok(()) => continue,
                Err(Refusal::Denied { reason }) => reason,
                Err(Refusal::Unavailable { reason }) => {
                    log::error!("session {} not checked: {reason}", client.number());
                    continue;
                }
            },
        };
        client.event(What::Revoked { reason: &reason }, |event| services.tell(event));
        client.dismiss(Leave::Soon, "You may no longer log in; closing the connection.");
    }
}
