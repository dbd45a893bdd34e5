//! Requests to a helper and its answers, as values and as bytes.
//!
//! Both ends are this program. But the server does not trust a helper, which runs PAM modules of
//! any origin, and neither end trusts what a client sent: decoding is strict, and everything has a
//! limit.

use std::ffi::{CStr, CString};

use zeroize::Zeroizing;

use crate::sys::accounts::Finding;
use crate::sys::pam::{Outcome, Stage};

/// The longest password that is checked: PAM and crypt take 512 bytes with the NUL.
const MAX_PASSWORD: usize = 511;

/// A question to a helper. A new kind of work is a new variant.
#[derive(PartialEq, Eq)]
pub(crate) enum Request {
    /// Which libraries there are.
    Probe,
    /// Whether PAM lets `user` in. With `session`, a PAM session is opened too. Without a
    /// password, only the account is checked. `instead`: how many hashes are computed when PAM
    /// does not look at the password, because the account is locked.
    Pam {
        service: CString,
        user: CString,
        remote_host: CString,
        password: Option<Secret>,
        session: bool,
        instead: u32,
    },
    /// Whether the shadow file lets `user` in. The rest is as above.
    Shadow { user: CString, password: Option<Secret>, instead: u32 },
    /// Whether `hash` is that of the password. `instead` is as above, for a `hash` that is none.
    Hash { hash: Vec<u8>, password: Secret, instead: u32 },
    /// Computes hashes as a check would, for a login that is refused in any case.
    Pretend { password: Secret, hashes: u32 },
}

/// A password for C: there is one NUL, at its end.
#[derive(PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<Vec<u8>>);

/// A helper's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The answer to `Probe`.
    Can { pam: bool, crypt: bool },
    /// The answer to everything else. `outcomes`: what PAM said at each stage, if it was asked.
    Checked { finding: Finding, outcomes: Vec<Outcome> },
}

impl Request {
    /// The password of a request. `None` for one that cannot be right: it is empty or too long, or
    /// has a NUL in it.
    pub(crate) fn secret(password: &[u8]) -> Option<Secret> {
        if password.is_empty() || password.len() > MAX_PASSWORD || password.contains(&0) {
            return None;
        }
        // There is room for the NUL: a vector that grows would leave a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(password.len() + 1));
        bytes.extend_from_slice(password);
        bytes.push(0);
        Some(Secret(bytes))
    }

    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        // There is room for everything: a vector that grows would leave a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(crate::sys::helper::MAX_MESSAGE));
        let mut put = |kind: u8, fields: &[&[u8]]| {
            bytes.push(kind);
            for field in fields {
                bytes.extend_from_slice(&(field.len() as u16).to_be_bytes());
                bytes.extend_from_slice(field);
            }
        };
        match self {
            Request::Probe => put(b'?', &[]),
            Request::Pam { service, user, remote_host, password, session, instead } => {
                let hashes = instead.to_be_bytes();
                let fields = [service.as_bytes(), user.as_bytes(), remote_host.as_bytes(), &hashes];
                let kind = if password.is_some() { b'p' } else { b'a' };
                let kind = if *session { kind.to_ascii_uppercase() } else { kind };
                match password {
                    Some(password) => put(kind, &[&fields[..], &[password.bytes()]].concat()),
                    None => put(kind, &fields),
                }
            }
            Request::Shadow { user, password: Some(password), instead } => {
                put(b's', &[user.as_bytes(), &instead.to_be_bytes(), password.bytes()]);
            }
            Request::Shadow { user, password: None, instead } => {
                put(b'S', &[user.as_bytes(), &instead.to_be_bytes()]);
            }
            Request::Hash { hash, password, instead } => {
                put(b'h', &[hash, &instead.to_be_bytes(), password.bytes()]);
            }
            Request::Pretend { password, hashes } => {
                put(b'-', &[&hashes.to_be_bytes(), password.bytes()]);
            }
        }
        bytes
    }

    /// `None` for what `encode` does not make.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Request> {
        let (&kind, rest) = bytes.split_first()?;
        let mut fields = Fields(rest);
        let request = match kind {
            b'?' => Request::Probe,
            b'p' | b'P' | b'a' | b'A' => Request::Pam {
                service: fields.text()?,
                user: fields.text()?,
                remote_host: fields.text()?,
                instead: fields.number()?,
                password: if kind.eq_ignore_ascii_case(&b'p') { Some(fields.secret()?) } else { None },
                session: kind.is_ascii_uppercase(),
            },
            b's' => Request::Shadow {
                user: fields.text()?,
                instead: fields.number()?,
                password: Some(fields.secret()?),
            },
            b'S' => Request::Shadow { user: fields.text()?, instead: fields.number()?, password: None },
            b'h' => Request::Hash {
                hash: fields.next()?.to_vec(),
                instead: fields.number()?,
                password: fields.secret()?,
            },
            b'-' => Request::Pretend { hashes: fields.number()?, password: fields.secret()? },
            _ => return None,
        };
        fields.0.is_empty().then_some(request)
    }
}

impl Secret {
    fn bytes(&self) -> &[u8] {
        &self.0[..self.0.len() - 1]
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_with_nul(&self.0).expect("a secret has one NUL, at its end")
    }
}

impl Answer {
    pub(crate) fn of(finding: Finding) -> Answer {
        Answer::Checked { finding, outcomes: Vec::new() }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Answer::Can { pam, crypt } => vec![b'0' + u8::from(*pam) + 2 * u8::from(*crypt)],
            Answer::Checked { finding, outcomes } => {
                let mut bytes = vec![letter_of(&FINDINGS, *finding)];
                for outcome in outcomes {
                    bytes.push(letter_of(&STAGES, outcome.stage));
                    bytes.extend_from_slice(&outcome.code.to_be_bytes());
                }
                bytes
            }
        }
    }

    /// `None` for what `encode` does not make.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Answer> {
        let (&first, rest) = bytes.split_first()?;
        if let (b'0'..=b'3', []) = (first, rest) {
            return Some(Answer::Can { pam: first & 1 != 0, crypt: first & 2 != 0 });
        }
        let (outcomes, []) = rest.as_chunks::<5>() else { return None };
        if outcomes.len() > STAGES.len() {
            return None;
        }
        let outcome = |&[stage, ref code @ ..]: &[u8; 5]| {
            Some(Outcome { stage: of_letter(&STAGES, stage)?, code: i32::from_be_bytes(*code) })
        };
        Some(Answer::Checked {
            finding: of_letter(&FINDINGS, first)?,
            outcomes: outcomes.iter().map(outcome).collect::<Option<_>>()?,
        })
    }
}

const FINDINGS: [(u8, Finding); 6] = [
    (b'r', Finding::Right),
    (b'w', Finding::Wrong),
    (b'l', Finding::Locked),
    (b'a', Finding::AccountExpired),
    (b'p', Finding::PasswordExpired),
    (b'u', Finding::Unavailable),
];

const STAGES: [(u8, Stage); 4] =
    [(b'a', Stage::Authenticate), (b'm', Stage::Account), (b'c', Stage::Credentials), (b's', Stage::Session)];

fn letter_of<T: Copy + PartialEq>(letters: &[(u8, T)], value: T) -> u8 {
    let found = letters.iter().find(|(_, of)| *of == value);
    found.map(|(letter, _)| *letter).expect("each value has its letter")
}

fn of_letter<T: Copy>(letters: &[(u8, T)], letter: u8) -> Option<T> {
    letters.iter().find(|(of, _)| *of == letter).map(|(_, value)| *value)
}

/// The rest of a message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (field, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        self.0 = rest;
        Some(field)
    }

    fn text(&mut self) -> Option<CString> {
        let field = self.next()?;
        (!field.is_empty()).then(|| CString::new(field).ok()).flatten()
    }

    fn secret(&mut self) -> Option<Secret> {
        Request::secret(self.next()?)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.next()?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Random;

    fn requests() -> Vec<Request> {
        let secret = |text: &[u8]| Request::secret(text).unwrap();
        let text = |text: &str| CString::new(text).unwrap();
        let pam = |session, password: Option<&[u8]>| Request::Pam {
            service: text("ftpd"),
            user: text("joe"),
            remote_host: text("::1"),
            password: password.map(secret),
            session,
            instead: 3,
        };
        vec![
            Request::Probe,
            pam(false, Some(b"p\xff\n")),
            pam(true, Some(b"p\xff\n")),
            pam(false, None),
            pam(true, None),
            Request::Shadow { user: text("joe"), password: Some(secret(&[b'x'; MAX_PASSWORD])), instead: 2 },
            Request::Shadow { user: text("joe"), password: None, instead: 2 },
            Request::Hash { hash: b"$6$".to_vec(), password: secret(b"p"), instead: 1 },
            Request::Pretend { password: secret(b"p"), hashes: 1 },
            Request::Pretend { password: secret(b"p"), hashes: u32::MAX },
        ]
    }

    #[test]
    fn a_request_is_read_as_it_was_written_and_in_no_other_way() {
        for request in requests() {
            let bytes = request.encode();
            assert!(bytes.len() <= crate::sys::helper::MAX_MESSAGE);
            assert!(Request::decode(&bytes) == Some(request));
            for end in 0..bytes.len() {
                assert!(Request::decode(&bytes[..end]).is_none(), "cut at {end}");
            }
            assert!(Request::decode(&[&bytes[..], b"x"].concat()).is_none());
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_surprise() {
        let mut random = Random::new(959);
        for _ in 0..20_000 {
            let length = random.below(40);
            let mut bytes = random.bytes(length, &[0, 1, 2, 3, 4, 5, 6, 7]);
            if let Some(kind) = bytes.first_mut() {
                *kind = random.pick(b"?pPaAsSh-x");
            }
            let _ = (Request::decode(&bytes), Answer::decode(&bytes));
        }
    }

    #[test]
    fn passwords_that_c_would_cut_short_are_none() {
        assert!(Request::secret(b"").is_none());
        assert!(Request::secret(b"secret\0junk").is_none());
        assert!(Request::secret(&[b'x'; MAX_PASSWORD + 1]).is_none());
        assert_eq!(Request::secret(b"\xff").unwrap().as_c_str(), c"\xff");
    }

    #[test]
    fn only_one_answer_is_right() {
        let right = |answer| matches!(answer, Some(Answer::Checked { finding: Finding::Right, .. }));
        assert_eq!((0..=255).filter(|&byte| right(Answer::decode(&[byte]))).collect::<Vec<u8>>(), [b'r']);
        for byte in 0..=255 {
            if let Some(answer) = Answer::decode(&[byte]) {
                assert_eq!(answer.encode(), [byte]);
            }
        }
        assert_eq!(Answer::decode(b"rr"), None);
        assert_eq!(Answer::decode(b""), None);
    }

    #[test]
    fn an_answer_tells_what_pam_said_at_each_stage() {
        let outcomes = STAGES.map(|(_, stage)| Outcome { stage, code: -7 }).to_vec();
        let answer = Answer::Checked { finding: Finding::Locked, outcomes };
        let bytes = answer.encode();
        assert_eq!(Answer::decode(&bytes), Some(answer));
        for end in (0..bytes.len()).filter(|end| end % 5 != 1) {
            assert_eq!(Answer::decode(&bytes[..end]), None, "cut at {end}");
        }
        assert_eq!(Answer::decode(&[&bytes[..], b"a\0\0\0\0"].concat()), None, "a fifth stage");
        assert_eq!(Answer::decode(b"r?\0\0\0\0"), None);
        assert_eq!(Answer::decode(b"0a\0\0\0\0"), None);
    }
}
