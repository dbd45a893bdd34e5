//! The clock and the calendar: the time now, and seconds as a date, here or in UTC.
//!
//! The date itself is arithmetic; the system is asked for one thing alone, how far
//! local time is from UTC at a given moment.

use std::mem::MaybeUninit;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment as a calendar and a clock on the wall show it (proleptic Gregorian).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateTime {
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    /// 0 is Sunday.
    pub weekday: u8,
}

/// Reads the time zone. To be called once, before the first thread starts and before
/// any confinement: what is opened late, /etc/localtime among it, may not open at all.
pub(crate) fn start() {
    // SAFETY: tzset reads TZ and /etc/localtime under libc's own lock; no other thread
    // runs yet that could change the environment.
    unsafe { tzset() };
}

/// Seconds since 1970-01-01 00:00:00 UTC.
pub(crate) fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
    }
}

/// The date in local time of a moment in Unix seconds.
pub(crate) fn local(seconds: i64) -> DateTime {
    utc(seconds.saturating_add(utc_offset(seconds)))
}

/// The date in UTC of a moment in Unix seconds.
pub(crate) fn utc(seconds: i64) -> DateTime {
    let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    // Days since 0000-03-01: leap days then come last in a year, and centuries in eras of 400 years.
    let shifted = days + DAYS_TO_1970;
    let (era, day_of_era) = (shifted.div_euclid(DAYS_OF_ERA), shifted.rem_euclid(DAYS_OF_ERA));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    DateTime {
        year: era * 400 + year_of_era + i64::from(month <= 2),
        month: month as u8,
        day: (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8,
        hour: (rest / 3600) as u8,
        minute: (rest / 60 % 60) as u8,
        second: (rest % 60) as u8,
        weekday: (days + 4).rem_euclid(7) as u8,
    }
}

/// The moment in Unix seconds of a date in UTC; `weekday` is not looked at. `None` for
/// what no calendar or clock shows. A leap second counts as the one after it.
pub(crate) fn from_utc(date: &DateTime) -> Option<i64> {
    let lengths = [31, 28 + u8::from(is_leap(date.year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::from(date.month).checked_sub(1)?)?;
    if date.day < 1 || date.day > length || date.hour > 23 || date.minute > 59 || date.second > 60 {
        return None;
    }
    if !(-9999..=9999).contains(&date.year) {
        return None;
    }
    let year = date.year - i64::from(date.month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (i64::from(date.month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(date.day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * DAYS_OF_ERA + day_of_era - DAYS_TO_1970;
    Some(days * DAY + i64::from(date.hour) * 3600 + i64::from(date.minute) * 60 + i64::from(date.second))
}

/// How many seconds local time was, is or will be ahead of UTC at a moment in Unix
/// seconds. Takes a lock in libc: whoever asks often keeps the answer for a while.
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

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

unsafe extern "C" {
    fn tzset();
}

const DAY: i64 = 24 * 60 * 60;
const DAYS_OF_ERA: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    fn date(year: i64, month: u8, day: u8, hour: u8, minute: u8, second: u8, weekday: u8) -> DateTime {
        DateTime { year, month, day, hour, minute, second, weekday }
    }

    #[test]
    fn seconds_become_dates_and_back() {
        for (seconds, want) in [
            (0, date(1970, 1, 1, 0, 0, 0, 4)),
            (951_782_400, date(2000, 2, 29, 0, 0, 0, 2)),
            (1_709_251_199, date(2024, 2, 29, 23, 59, 59, 4)),
            (4_107_542_400, date(2100, 3, 1, 0, 0, 0, 1)),
            (-1, date(1969, 12, 31, 23, 59, 59, 3)),
            (-62_135_596_800, date(1, 1, 1, 0, 0, 0, 1)),
            (253_402_300_799, date(9999, 12, 31, 23, 59, 59, 5)),
        ] {
            assert_eq!(utc(seconds), want);
            assert_eq!(from_utc(&want), Some(seconds));
        }
    }

    #[test]
    fn dates_agree_with_the_systems() {
        for step in -3000..3000_i64 {
            let seconds = step * 1_234_567;
            let mut parts = MaybeUninit::<libc::tm>::uninit();
            let time = seconds as libc::time_t;
            // SAFETY: as in `utc_offset`.
            let parts = unsafe {
                assert!(!libc::gmtime_r(&raw const time, parts.as_mut_ptr()).is_null());
                parts.assume_init()
            };
            let ours = utc(seconds);
            assert_eq!(ours.year, i64::from(parts.tm_year) + 1900, "{seconds}");
            assert_eq!(i32::from(ours.month), parts.tm_mon + 1, "{seconds}");
            assert_eq!(i32::from(ours.day), parts.tm_mday, "{seconds}");
            assert_eq!(i32::from(ours.weekday), parts.tm_wday, "{seconds}");
        }
    }

    #[test]
    fn what_no_calendar_shows_is_no_moment() {
        for bad in [
            date(2023, 2, 29, 0, 0, 0, 0),
            date(2024, 0, 1, 0, 0, 0, 0),
            date(2024, 13, 1, 0, 0, 0, 0),
            date(2024, 4, 31, 0, 0, 0, 0),
            date(2024, 1, 0, 0, 0, 0, 0),
            date(2024, 1, 1, 24, 0, 0, 0),
            date(2024, 1, 1, 0, 60, 0, 0),
            date(2024, 1, 1, 0, 0, 61, 0),
            date(99_999, 1, 1, 0, 0, 0, 0),
        ] {
            assert_eq!(from_utc(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn absurd_moments_have_a_date_too() {
        for seconds in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
            utc(seconds);
            local(seconds);
        }
    }
}
