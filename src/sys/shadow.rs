//! The shadow file: an account's hash, and the days from which it or its password is not valid.

use std::ffi::CStr;
use std::io;

use zeroize::Zeroizing;

use super::accounts::Finding;

/// What the shadow file says of an account. Numbers are days since 1970, or -1.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Shadow {
    pub hash: Zeroizing<Vec<u8>>,
    pub last_change: i64,
    /// Days that a password may be used, and days of grace after them.
    pub maximum: i64,
    pub inactive: i64,
    /// The day from which the account is not valid.
    pub expires: i64,
}

impl Shadow {
    /// Whether no password can be right: locked by `!`, or never set.
    pub(crate) fn is_locked(&self) -> bool {
        self.hash.is_empty() || self.hash.starts_with(b"!") || self.hash.starts_with(b"*")
    }

    /// Whether the account itself is locked, and not just without a password (`*`).
    pub(crate) fn is_shut(&self) -> bool {
        self.hash.starts_with(b"!")
    }

    /// What the dates mean on the day `today`, for an account whose password was right.
    pub(crate) fn finding(&self, today: i64) -> Finding {
        // As pam_unix reads them: 0 is a day like others for `expires`, and
        // "at the next login" for `last_change`.
        if self.expires >= 0 && today >= self.expires {
            return Finding::AccountExpired;
        }
        if self.last_change == 0 {
            return Finding::PasswordExpired;
        }
        if self.last_change > 0 && self.maximum >= 0 {
            let last_day = self.last_change.saturating_add(self.maximum);
            if self.inactive >= 0 && today > last_day.saturating_add(self.inactive) {
                return Finding::AccountExpired;
            }
            if today > last_day {
                return Finding::PasswordExpired;
            }
        }
        Finding::Right
    }
}

/// The account's entry in the shadow file, or `None`.
///
/// # Errors
/// Those of getspnam_r(3): EACCES for a process that is not root's.
#[cfg(target_os = "linux")]
pub(crate) fn by_name(name: &CStr) -> io::Result<Option<Shadow>> {
    use super::database::{bytes_of, look_up};
    // SAFETY: getspnam_r gets the arguments that it takes, and a name that ends in NUL.
    let ask = |entry, buffer: &mut [u8], result| unsafe {
        libc::getspnam_r(name.as_ptr(), entry, buffer.as_mut_ptr().cast(), buffer.len(), result)
    };
    #[allow(clippy::useless_conversion, reason = "a c_long has 32 bits on some machines")]
    let convert = |entry: &libc::spwd| Shadow {
        // SAFETY: the strings of an entry end in NUL, and the buffer that they are in is alive.
        hash: Zeroizing::new(unsafe { bytes_of(entry.sp_pwdp) }),
        last_change: entry.sp_lstchg.into(),
        maximum: entry.sp_max.into(),
        inactive: entry.sp_inact.into(),
        expires: entry.sp_expire.into(),
    };
    // SAFETY: `ask` passes on what it is given.
    unsafe { look_up(ask, convert) }
}

/// Only PAM knows the passwords here.
///
/// # Errors
/// Always `Unsupported`.
#[cfg(not(target_os = "linux"))]
pub(crate) fn by_name(_name: &CStr) -> io::Result<Option<Shadow>> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shadow(hash: &str) -> Shadow {
        let hash = Zeroizing::new(hash.as_bytes().to_vec());
        Shadow { hash, last_change: 20_000, maximum: 99_999, inactive: -1, expires: -1 }
    }

    #[test]
    fn locked_accounts_are_known_by_their_hash() {
        for hash in ["", "!", "!!", "*", "!$6$salt$hash", "*LK*"] {
            assert!(shadow(hash).is_locked(), "{hash:?}");
        }
        assert!(!shadow("$6$salt$hash").is_locked());
        for (hash, shut) in
            [("!", true), ("!$6$salt$hash", true), ("*", false), ("", false), ("$6$salt$hash", false)]
        {
            assert_eq!(shadow(hash).is_shut(), shut, "{hash:?}");
        }
    }

    #[test]
    fn dates_expire_accounts_and_passwords() {
        let sound = shadow("$6$salt$hash");
        assert_eq!(sound.finding(20_500), Finding::Right);
        assert_eq!(Shadow { expires: 20_500, ..sound.clone() }.finding(20_499), Finding::Right);
        assert_eq!(Shadow { expires: 20_500, ..sound.clone() }.finding(20_500), Finding::AccountExpired);
        assert_eq!(Shadow { expires: 0, ..sound.clone() }.finding(20_500), Finding::AccountExpired);
        assert_eq!(Shadow { last_change: 0, ..sound.clone() }.finding(20_500), Finding::PasswordExpired);
        let aged = Shadow { maximum: 100, ..sound.clone() };
        assert_eq!(aged.finding(20_100), Finding::Right);
        assert_eq!(aged.finding(20_101), Finding::PasswordExpired);
        let grace = Shadow { inactive: 10, ..aged };
        assert_eq!(grace.finding(20_110), Finding::PasswordExpired);
        assert_eq!(grace.finding(20_111), Finding::AccountExpired);
        assert_eq!(Shadow { maximum: i64::MAX, ..sound }.finding(20_500), Finding::Right);
    }
}
