//! The host name in a session as rustls stores it.

/// `session` as one of a client that asked for the host `name`, or for none. `None` if it is not
/// a session as we know them: such a one is not resumed.
///
/// It begins with whether there is a name, and with the name and its length if there is.
pub(super) fn renamed(session: &[u8], name: Option<&str>) -> Option<Vec<u8>> {
    let rest = match *session {
        [0, ref rest @ ..] => rest,
        [1, length, ref rest @ ..] => rest.get(usize::from(length)..)?,
        _ => return None,
    };
    let mut all = Vec::with_capacity(2 + name.map_or(0, str::len) + rest.len());
    match name {
        None => all.push(0),
        Some(name) => {
            all.extend([1, u8::try_from(name.len()).ok()?]);
            all.extend(name.as_bytes());
        }
    }
    all.extend(rest);
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_told_to_be_of_another_name_or_of_none() {
        for session in [&b"\0rest"[..], b"\x01\x04nameRest"] {
            for (name, want) in [(None, &b"\0"[..]), (Some("other"), b"\x01\x05other")] {
                let got = renamed(session, name).unwrap();
                assert!(got.starts_with(want) && got.len() == want.len() + 4);
                assert!(got[want.len()..].eq_ignore_ascii_case(b"rest"));
            }
        }
        for odd in [&b""[..], b"\x01\x05name", b"\x02\x00"] {
            assert_eq!(renamed(odd, None), None);
        }
    }
}
