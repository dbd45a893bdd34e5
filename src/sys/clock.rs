//! The clock: the time now, and how far local time is from UTC at a given moment.
//!
//! The date and the time of day of a moment are `proto::calendar`'s arithmetic.

use std::mem::MaybeUninit;
use std::time::{SystemTime, UNIX_EPOCH};

/// Reads the time zone. To be called once, before the first thread starts, and before any
/// confinement, which may keep /etc/localtime from being opened.
pub(crate) fn start() {
    // SAFETY: tzset reads TZ and /etc/localtime under libc's own lock; no part of this program
    // changes the environment.
    unsafe { tzset() };
}

/// Seconds since 1970-01-01 00:00:00 UTC.
pub(crate) fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
    }
}

/// How many seconds local time is ahead of UTC at a moment in Unix seconds. Takes a lock in
/// libc: a caller that asks often should keep the answer for a while.
pub(crate) fn utc_offset(seconds: i64) -> i64 {
    #[allow(clippy::useless_conversion, reason = "time_t is not i64 everywhere")]
    let time = seconds as libc::time_t;
    let mut parts = MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are to live values of their type; localtime_r writes the second.
    let filled = unsafe { libc::localtime_r(&raw const time, parts.as_mut_ptr()) };
    if filled.is_null() {
        return 0; // A year that does not fit: there is no local time then.
    }
    // SAFETY: localtime_r returned its argument, which it has filled.
    let parts = unsafe { parts.assume_init() };
    #[allow(clippy::unnecessary_cast, reason = "a C long is not i64 everywhere")]
    let offset = parts.tm_gmtoff as i64;
    offset
}

unsafe extern "C" {
    fn tzset();
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Year, month, day, hour, minute and second as the system's calendar has them, in UTC
    /// and in local time.
    pub(crate) fn by_the_system(seconds: i64) -> [[i64; 6]; 2] {
        let time = seconds as libc::time_t;
        let [mut utc, mut local] = [MaybeUninit::<libc::tm>::uninit(); 2];
        // SAFETY: both pointers are to live values of their type; gmtime_r writes the second.
        assert!(!unsafe { libc::gmtime_r(&raw const time, utc.as_mut_ptr()) }.is_null());
        // SAFETY: the same of localtime_r.
        assert!(!unsafe { libc::localtime_r(&raw const time, local.as_mut_ptr()) }.is_null());
        [utc, local].map(|tm| {
            // SAFETY: both were filled in.
            let tm = unsafe { tm.assume_init() };
            [tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec].map(i64::from)
        })
    }

    #[test]
    fn absurd_moments_have_an_offset_too() {
        for seconds in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
            assert!(utc_offset(seconds).abs() < 2 * 24 * 3600);
        }
    }
}
