//! Local time for listings: the system is asked once for many files.

use crate::proto::calendar::CivilTime;
use crate::sys::clock;

/// How far local time is from UTC, kept for quarters of an hour: no zone changes its clocks within one.
pub(super) struct Zone {
    /// A quarter, counted from 1970, and its offset in seconds. The place of a quarter is
    /// its number modulo the length.
    quarters: [(i64, i64); 64],
}

impl Default for Zone {
    fn default() -> Zone {
        Zone { quarters: [(i64::MAX, 0); 64] }
    }
}

impl Zone {
    /// The local time of a moment in Unix seconds.
    pub(super) fn local(&mut self, seconds: i64) -> CivilTime {
        let quarter = seconds.div_euclid(15 * 60);
        let kept = &mut self.quarters[quarter.rem_euclid(64) as usize];
        if kept.0 != quarter {
            *kept = (quarter, clock::utc_offset(seconds));
        }
        CivilTime::local(seconds, kept.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::tests::by_the_system;

    fn parts(time: CivilTime) -> [i64; 6] {
        let small = [time.month, time.day, time.hour, time.minute, time.second].map(i64::from);
        [time.year, small[0], small[1], small[2], small[3], small[4]]
    }

    #[test]
    fn dates_agree_with_the_systems() {
        let mut zone = Zone::default();
        for step in -3000..3000 {
            let seconds = step * 1_234_567;
            let [utc, local] = by_the_system(seconds);
            assert_eq!(parts(CivilTime::utc(seconds)), utc, "{seconds}");
            assert_eq!(parts(zone.local(seconds)), local, "{seconds}");
            // From what is kept, too.
            let soon = seconds.div_euclid(15 * 60) * (15 * 60) + 15 * 60 - 1;
            assert_eq!(parts(zone.local(soon)), by_the_system(soon)[1], "{soon}");
        }
    }
}
