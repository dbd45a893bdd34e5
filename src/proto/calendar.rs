//! The calendar: Unix seconds as a date and a time of day, the way back, and the forms in
//! which FTP, ls, certificates and logs write them.
//!
//! Proleptic Gregorian and pure: how far local time is from UTC is for `sys::clock` to say.
//! RFC 3659 section 2.3 (time-val); ctime(3); RFC 3164 section 4.1.2; RFC 3339.

/// A date and a time of day, as a calendar and a clock on the wall show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CivilTime {
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    /// 60 in a leap second.
    pub second: u8,
}

impl CivilTime {
    /// In UTC, of a moment in Unix seconds.
    pub(crate) fn utc(seconds: i64) -> CivilTime {
        let (days, rest) = (day_of(seconds), seconds.rem_euclid(DAY));
        // Days since 0000-03-01: leap days then come last in a year, and centuries in eras of 400 years.
        let shifted = days + DAYS_TO_1970;
        let (era, day_of_era) = (shifted.div_euclid(DAYS_OF_ERA), shifted.rem_euclid(DAYS_OF_ERA));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        CivilTime {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month: month as u8,
            day: (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8,
            hour: (rest / 3600) as u8,
            minute: (rest / 60 % 60) as u8,
            second: (rest % 60) as u8,
        }
    }

    /// Of a moment in Unix seconds, where clocks are `offset` seconds ahead of UTC then.
    pub(crate) fn local(seconds: i64, offset: i64) -> CivilTime {
        CivilTime::utc(seconds.saturating_add(offset))
    }

    /// The moment in Unix seconds of a time in UTC. `None` for a date or a time that no
    /// calendar or clock shows, and for years of more than four digits. A leap second counts
    /// as the second after it.
    pub(crate) fn to_unix(self) -> Option<i64> {
        let lengths = [31, 28 + u8::from(is_leap(self.year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let length = *lengths.get(usize::from(self.month).checked_sub(1)?)?;
        let has_date = (1..=length).contains(&self.day) && (-9999..=9999).contains(&self.year);
        if !has_date || self.hour > 23 || self.minute > 59 || self.second > 60 {
            return None;
        }
        let time = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        Some(self.days() * DAY + time)
    }

    /// Days from 1970-01-01 to the date.
    fn days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let month_from_march = (i64::from(self.month) + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * DAYS_OF_ERA + day_of_era - DAYS_TO_1970
    }

    /// Reads RFC 3659's time-val, `YYYYMMDDHHMMSS[.fraction]`, or the same without its
    /// seconds, which SITE UTIME allows. The fraction is dropped. The numbers stay as they
    /// were written: `to_unix` says whether there is such a time.
    pub(crate) fn parse_time_val(text: &[u8]) -> Option<CivilTime> {
        let (whole, fraction) = match text.iter().position(|&byte| byte == b'.') {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        let has_length = whole.len() == 14 || whole.len() == 12 && fraction.is_none();
        if !has_length || !is_number(whole) || !fraction.is_none_or(is_number) {
            return None;
        }
        let mut pairs = whole.chunks_exact(2).map(|pair| (pair[0] - b'0') * 10 + (pair[1] - b'0'));
        let mut next = || pairs.next().unwrap_or(0);
        Some(CivilTime {
            year: i64::from(next()) * 100 + i64::from(next()),
            month: next(),
            day: next(),
            hour: next(),
            minute: next(),
            second: next(),
        })
    }

    /// `YYYYMMDDHHMMSS`, RFC 3659's time-val. A year that does not fit is brought to the
    /// nearest that does.
    pub(crate) fn time_val(self) -> [u8; 14] {
        let year = self.year.clamp(0, 9999) as u16;
        let [century, year] = [year / 100, year % 100].map(|part| part as u8);
        let parts = [century, year, self.month, self.day, self.hour, self.minute, self.second];
        let digits = parts.map(|part| [b'0' + part / 10 % 10, b'0' + part % 10]);
        let mut text = [0; 14];
        text.copy_from_slice(digits.as_flattened());
        text
    }

    /// `Sat Nov 21 08:18:17 2026`, as ctime(3) writes it.
    pub(crate) fn ctime(self) -> String {
        const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        // 1970 began on a Thursday.
        let weekday = (self.days() + 4).rem_euclid(7) as usize;
        format!("{} {} {}", DAYS[weekday], self.stamp(), self.year)
    }

    /// `Nov 21 08:18:17`, the time stamp of syslog.
    pub(crate) fn stamp(self) -> String {
        let CivilTime { day, hour, minute, second, .. } = self;
        format!("{} {day:>2} {hour:02}:{minute:02}:{second:02}", self.month_name())
    }

    /// `2026-11-21T08:18:17.123Z`, as RFC 3339 writes a time in UTC.
    pub(crate) fn rfc_3339(self, millis: u32) -> String {
        let CivilTime { year, month, day, hour, minute, second } = self;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }

    /// The month's name in logs and listings, which are English wherever they are read.
    pub(crate) fn month_name(self) -> &'static str {
        const NAMES: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        NAMES[(usize::from(self.month) + 11) % 12]
    }
}

/// Whole days from 1970-01-01 to a moment in Unix seconds.
pub(crate) fn day_of(seconds: i64) -> i64 {
    seconds.div_euclid(DAY)
}

/// Whether ls shows the time of day of `time` and not its year: it is at most half a year
/// old. A minute ahead of `now` is not yet the future: clocks of file servers differ that
/// much. Both are Unix seconds.
pub(crate) fn is_recent(time: i64, now: i64) -> bool {
    /// Half of a year of the mean length that the calendar's rules come to.
    const HALF_A_YEAR: i64 = 31_556_952 / 2;
    (now.saturating_sub(HALF_A_YEAR)..=now.saturating_add(60)).contains(&time)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const DAY: i64 = 24 * 60 * 60;
const DAYS_OF_ERA: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    fn civil(year: i64, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> CivilTime {
        CivilTime { year, month, day, hour, minute, second }
    }

    /// Each text is GNU's `date -u -d @SECONDS '+%a %b %e %H:%M:%S %Y'`, which only writes the
    /// year 1 as 0001.
    #[test]
    fn moments_are_those_of_date() {
        for (seconds, time, ctime) in [
            (0, civil(1970, 1, 1, 0, 0, 0), "Thu Jan  1 00:00:00 1970"),
            (951_782_400, civil(2000, 2, 29, 0, 0, 0), "Tue Feb 29 00:00:00 2000"),
            (1_709_251_199, civil(2024, 2, 29, 23, 59, 59), "Thu Feb 29 23:59:59 2024"),
            (1_795_249_097, civil(2026, 11, 21, 8, 18, 17), "Sat Nov 21 08:18:17 2026"),
            (2_147_483_648, civil(2038, 1, 19, 3, 14, 8), "Tue Jan 19 03:14:08 2038"),
            (4_107_542_400, civil(2100, 3, 1, 0, 0, 0), "Mon Mar  1 00:00:00 2100"),
            (-1, civil(1969, 12, 31, 23, 59, 59), "Wed Dec 31 23:59:59 1969"),
            (-2_203_891_200, civil(1900, 3, 1, 0, 0, 0), "Thu Mar  1 00:00:00 1900"),
            (-62_135_596_800, civil(1, 1, 1, 0, 0, 0), "Mon Jan  1 00:00:00 1"),
            (253_402_300_799, civil(9999, 12, 31, 23, 59, 59), "Fri Dec 31 23:59:59 9999"),
        ] {
            assert_eq!(CivilTime::utc(seconds), time);
            assert_eq!(time.to_unix(), Some(seconds));
            assert_eq!(time.ctime(), ctime);
        }
    }

    /// Against a calendar that turns its pages one by one.
    #[test]
    fn every_day_of_the_years_1_to_9999_comes_back() {
        const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        let mut midnight = -62_135_596_800;
        let mut weekday = 1;
        for year in 1..=9999 {
            let february = if year % 400 == 0 || year % 4 == 0 && year % 100 != 0 { 29 } else { 28 };
            for (month, length) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
                for day in 1..=length {
                    let date = civil(year, month, day, 0, 0, 0);
                    assert_eq!(CivilTime::utc(midnight), date);
                    assert_eq!(date.to_unix(), Some(midnight));
                    midnight += DAY;
                }
                let last = civil(year, month, length, 23, 59, 59);
                assert_eq!(CivilTime::utc(midnight - 1), last);
                weekday = (weekday + usize::from(length)) % 7;
                assert!(CivilTime::utc(midnight).ctime().starts_with(DAYS[weekday]), "after {last:?}");
                assert_eq!(civil(year, month, length + 1, 0, 0, 0).to_unix(), None);
            }
        }
        assert_eq!(midnight, 253_402_300_800);
    }

    #[test]
    fn every_second_of_a_day_comes_back() {
        for seconds in 0..DAY {
            let time = CivilTime::utc(seconds);
            let of_day = [time.hour, time.minute, time.second].map(i64::from);
            assert_eq!(of_day[0] * 3600 + of_day[1] * 60 + of_day[2], seconds);
            assert!(of_day[1] < 60 && of_day[2] < 60);
            assert_eq!(time.to_unix(), Some(seconds));
        }
    }

    #[test]
    fn a_time_that_no_calendar_and_no_clock_shows_is_no_moment() {
        for bad in [
            civil(2023, 2, 29, 0, 0, 0),
            civil(2024, 2, 31, 0, 0, 0),
            civil(2024, 0, 1, 0, 0, 0),
            civil(2024, 13, 1, 0, 0, 0),
            civil(2024, 4, 31, 0, 0, 0),
            civil(2024, 1, 0, 0, 0, 0),
            civil(2024, 1, 1, 24, 0, 0),
            civil(2024, 1, 1, 0, 60, 0),
            civil(2024, 1, 1, 0, 0, 61),
            civil(99_999, 1, 1, 0, 0, 0),
        ] {
            assert_eq!(bad.to_unix(), None, "{bad:?}");
        }
    }

    #[test]
    fn a_leap_second_is_the_second_after_it() {
        let leap = civil(2016, 12, 31, 23, 59, 60);
        assert_eq!(leap.to_unix(), civil(2017, 1, 1, 0, 0, 0).to_unix());
    }

    #[test]
    fn absurd_moments_have_a_date_too() {
        for seconds in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
            CivilTime::utc(seconds).ctime();
            CivilTime::local(seconds, 3600).time_val();
            CivilTime::local(seconds, -3600).time_val();
        }
    }

    #[test]
    fn local_time_is_ahead_of_utc_by_the_offset() {
        assert_eq!(CivilTime::local(0, 5 * 3600 + 45 * 60), civil(1970, 1, 1, 5, 45, 0));
        assert_eq!(CivilTime::local(0, -1), civil(1969, 12, 31, 23, 59, 59));
    }

    #[test]
    fn a_time_val_has_fourteen_digits_or_twelve() {
        let want = civil(2026, 11, 21, 9, 40, 54);
        let parse = CivilTime::parse_time_val;
        assert_eq!(parse(b"20261121094054"), Some(want));
        assert_eq!(parse(b"20261121094054.25"), Some(want));
        assert_eq!(parse(b"202611210940"), Some(CivilTime { second: 0, ..want }));
        assert_eq!(parse(b"20260231000000").map(CivilTime::to_unix), Some(None), "read, but no such day");
        for bad in ["", "2026", "2026112109405x", "20261121094054.", "20261121094054.x", "202611210940.5"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_time_val_comes_back() {
        for seconds in (-62_135_596_800..253_402_300_800).step_by(86_399 * 17) {
            let time = CivilTime::utc(seconds);
            assert_eq!(CivilTime::parse_time_val(&time.time_val()), Some(time));
        }
    }

    #[test]
    fn any_bytes_are_a_time_val_or_none() {
        for length in 0..20 {
            for byte in 0..=255 {
                let text = vec![byte; length];
                assert_eq!(
                    CivilTime::parse_time_val(&text).is_some(),
                    byte.is_ascii_digit() && matches!(length, 12 | 14)
                );
            }
        }
    }

    #[test]
    fn a_time_val_is_written_whatever_the_year() {
        for (year, want) in [(7, b"00070101000000"), (-3, b"00000101000000"), (123_456, b"99990101000000")] {
            assert_eq!(civil(year, 1, 1, 0, 0, 0).time_val(), *want);
        }
    }

    #[test]
    fn logs_have_their_own_forms() {
        let time = civil(2026, 11, 1, 8, 18, 7);
        assert_eq!(time.ctime(), "Sun Nov  1 08:18:07 2026");
        assert_eq!(time.stamp(), "Nov  1 08:18:07");
        assert_eq!(time.rfc_3339(7), "2026-11-01T08:18:07.007Z");
    }

    #[test]
    fn half_a_year_ago_is_recent_and_the_future_is_not() {
        let now = 1_732_190_400;
        for time in [now, now - 15_778_476, now + 60] {
            assert!(is_recent(time, now), "{}", time - now);
        }
        for time in [now - 15_778_477, now + 61, i64::MIN, i64::MAX, 0] {
            assert!(!is_recent(time, now), "{}", time - now);
        }
        assert!(is_recent(i64::MAX, i64::MAX) && is_recent(i64::MIN, i64::MIN));
    }
}
