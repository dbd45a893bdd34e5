//! The answer to `who`: the sessions of the server, as a table for people or as JSON for programs.

use crate::clients::Snapshot;
use crate::logging::json::{self, Object};
use crate::logging::{text, word};

/// The sessions as a table for people.
pub(super) fn table(sessions: &[Snapshot]) -> String {
    let mut table =
        "    ID USER             HOST                     SINCE                   IDLE COMMAND\n".to_owned();
    for session in sessions {
        let user = match &session.user {
            None => "-".to_owned(),
            Some(user) if user.is_anonymous() => format!("{} (anon)", word(user.name.as_bytes())),
            Some(user) => word(user.name.as_bytes()).to_string(),
        };
        let since = json::timestamp(session.arrived);
        table += &format!(
            "{:>6} {user:<16} {:<24} {:<20} {:>6}s {}",
            session.id,
            session.host.to_string(),
            since.replace('T', " ").split('.').next().unwrap_or_default(),
            session.idle.as_secs(),
            if session.verb.is_empty() { "-" } else { session.verb },
        );
        if let Some(moving) = &session.moving {
            let share = moving.per_cent().map(|share| format!(" {share}%")).unwrap_or_default();
            table += &format!(" {}{share} {} bytes, {}/s", text(&moving.file), moving.done, moving.rate());
        }
        table.push('\n');
    }
    table
}

/// The sessions as an array of JSON, one on a line.
pub(super) fn array(sessions: &[Snapshot]) -> String {
    let lines: Vec<String> = sessions.iter().map(object).collect();
    if lines.is_empty() { "[]\n".to_owned() } else { format!("[\n{}\n]\n", lines.join(",\n")) }
}

fn object(session: &Snapshot) -> String {
    let mut object = Object::new();
    object.number("id", session.id);
    match &session.user {
        Some(user) => {
            object.string("user", user.name.as_bytes());
            object.truth("anonymous", user.is_anonymous());
        }
        None => object.null("user"),
    }
    object.string("host", session.host.to_string().as_bytes());
    object.string("since", json::timestamp(session.arrived).as_bytes());
    object.seconds("idle", session.idle);
    object.string("command", session.verb.as_bytes());
    if let Some(moving) = &session.moving {
        object.string("file", &moving.file);
        object.number("bytes", moving.done);
        if let Some(total) = moving.total {
            object.number("total", total);
        }
        if let Some(share) = moving.per_cent() {
            object.number("percent", share);
        }
        object.number("rate", moving.rate());
    }
    object.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::Admission;
    use std::sync::Arc;

    use crate::config::Limits;
    use crate::events::User;

    #[test]
    fn what_a_session_does_is_seen_while_it_does_it() {
        let slot = Admission::new(&Limits::default()).admit("192.0.2.1".parse().unwrap()).unwrap();
        let presence = slot.presence();
        presence.set_number(7);
        let user = User { name: "joe".to_owned(), email: None, confined: false };
        presence.set_user(Some(Arc::new(user)));
        presence.begin_command("RETR", false);
        presence.begin_transfer(b"/a b\n");
        presence.set_progress(45, Some(100));
        let snapshot = [presence.snapshot()];
        let (text, json) = (table(&snapshot), array(&snapshot));
        let line = text.lines().nth(1).unwrap();
        assert!(line.contains(" joe ") && line.contains(" 192.0.2.1 "), "{text}");
        assert!(line.contains("RETR /a b\\x0a 45% 45 bytes"), "{text}");
        assert_eq!(text.lines().count(), 2);
        assert!(json.contains(r#""id":7,"user":"joe","anonymous":false,"host":"192.0.2.1""#), "{json}");
        assert!(json.contains(r#""file":"/a b\u000a","bytes":45,"total":100,"percent":45"#), "{json}");
        presence.end_command();
        assert!(!table(&[presence.snapshot()]).contains('%'));
    }
}
