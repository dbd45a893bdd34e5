//! The names of one directory in order: all at once, or of a large directory one range after another.
//!
//! Names can only be sorted when all have been read. Of a large directory only those that come
//! first are kept, as many as there is room for. When they have been sent, the directory is read
//! again for the names after them. A range ends with a name, and the next range begins right after
//! it. So whatever changes in the directory meanwhile, no name comes twice, and none that stays is
//! left out.

use std::cmp::Ordering;
use std::ffi::CStr;

use crate::sys::files::Kind;

/// The memory of one range, in bytes. A directory whose names fit into it is read once.
const ROOM: usize = 1400 * 1024;

/// How names are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// In the order in which they were pushed.
    None,
    Names,
    /// By a key, the lowest first, then by names. All names are kept: the key, which is the time or
    /// the size of a file, may change between two readings, and the file would get into the wrong
    /// range.
    Keys,
}

/// The names of one range of a directory.
pub(super) struct Names {
    order: Order,
    reverse: bool,
    /// For each name: the length of its key and its bytes together, in two bytes; its kind; the key,
    /// if names are sorted by one; the bytes, with their NUL.
    records: Vec<u8>,
    count: usize,
    /// Where the records begin, in the order of the names; empty until `sort`.
    sorted: Vec<u32>,
    /// The last name of the range before this one.
    after: Option<Box<[u8]>>,
    /// The last name of this range, if there are more after it.
    last: Option<Box<[u8]>>,
    /// The bytes that `records` and `sorted` may take.
    room: usize,
    /// The bytes that the names after `last` would take.
    left_out: usize,
}

const HEAD: usize = 3;
const KEY: usize = 8;

impl Names {
    pub(super) fn new(order: Order, reverse: bool) -> Names {
        let room = if order == Order::Names { ROOM } else { usize::MAX };
        Names {
            order,
            reverse,
            records: Vec::new(),
            count: 0,
            sorted: Vec::new(),
            after: None,
            last: None,
            room,
            left_out: 0,
        }
    }

    /// Takes a name, unless it belongs to another range. `false` if there is no room for more at all.
    pub(super) fn push(&mut self, name: &CStr, kind: Kind, key: u64) -> bool {
        let name = name.to_bytes_with_nul();
        let is_behind = |bound: &Option<Box<[u8]>>| {
            bound.as_ref().map(|bound| in_order(name, bound, self.reverse) == Ordering::Greater)
        };
        if is_behind(&self.after) == Some(false) {
            return true;
        }
        if is_behind(&self.last) == Some(true) {
            self.left_out += cost(HEAD + name.len());
            return true;
        }
        let key_len = self.key_len();
        let Ok(len) = u16::try_from(key_len + name.len()) else { return true };
        if u32::try_from(self.records.len()).is_err() {
            return false;
        }
        self.records.extend_from_slice(&len.to_ne_bytes());
        self.records.push(kind as u8);
        self.records.extend_from_slice(&key.to_be_bytes()[..key_len]);
        self.records.extend_from_slice(name);
        self.count += 1;
        if self.records.len() + self.count * size_of::<u32>() > self.room {
            self.shorten();
        }
        true
    }

    /// Sorts the names. To be called when the whole directory has been read.
    pub(super) fn sort(&mut self) {
        let mut sorted = std::mem::take(&mut self.sorted);
        sorted.reserve_exact(self.count);
        sorted.extend(self.starts());
        match self.order {
            Order::None if self.reverse => sorted.reverse(),
            Order::None => (),
            Order::Names | Order::Keys => sorted.sort_unstable_by(|&one, &other| {
                in_order(self.sorted_by(one), self.sorted_by(other), self.reverse)
            }),
        }
        self.sorted = sorted;
    }

    /// The names of the range, once they are sorted.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&CStr, Kind)> {
        self.sorted.iter().map(|&start| {
            let name = &self.sorted_by(start)[self.key_len()..];
            let kind = Kind::ALL[usize::from(self.records[start as usize + 2])];
            (CStr::from_bytes_with_nul(name).unwrap_or_default(), kind)
        })
    }

    /// Gets ready for the range after this one; `false` if there is none.
    pub(super) fn next_range(&mut self) -> bool {
        self.records.clear();
        self.sorted.clear();
        self.count = 0;
        // Two or three more ranges will do, however large the directory is.
        self.room = self.room.max(self.left_out / 2);
        self.left_out = 0;
        self.after = self.last.take();
        self.after.is_some()
    }

    /// Drops about an eighth of the names, those that come last. From now on no name after those
    /// that stay is taken.
    fn shorten(&mut self) {
        let mut sample: Vec<u32> = self.starts().step_by(16).collect();
        sample.sort_unstable_by(|&one, &other| {
            in_order(self.sorted_by(one), self.sorted_by(other), self.reverse)
        });
        let Some(&last) = sample.get(sample.len() - sample.len() / 8 - 1) else { return };
        let last: Box<[u8]> = self.sorted_by(last).into();
        let (mut from, mut kept) = (0, 0);
        let before = self.count;
        while from < self.records.len() {
            let len = self.record_len(from);
            if in_order(&self.records[from + HEAD..from + len], &last, self.reverse) == Ordering::Greater {
                self.left_out += cost(len);
                self.count -= 1;
            } else {
                self.records.copy_within(from..from + len, kept);
                kept += len;
            }
            from += len;
        }
        self.records.truncate(kept);
        if self.count == before {
            // The file system gives one name again and again: a range cannot end between equal names.
            self.room = usize::MAX;
        } else {
            self.last = Some(last);
        }
    }

    /// Where the records begin, in the order in which they came.
    fn starts(&self) -> impl Iterator<Item = u32> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let start = next;
            if start == self.records.len() {
                return None;
            }
            next += self.record_len(start);
            Some(start as u32)
        })
    }

    fn record_len(&self, start: usize) -> usize {
        HEAD + usize::from(u16::from_ne_bytes([self.records[start], self.records[start + 1]]))
    }

    fn sorted_by(&self, start: u32) -> &[u8] {
        let start = start as usize;
        &self.records[start + HEAD..start + self.record_len(start)]
    }

    fn key_len(&self) -> usize {
        if self.order == Order::Keys { KEY } else { 0 }
    }
}

/// The bytes that a record takes, its part of `sorted` included.
fn cost(record_len: usize) -> usize {
    record_len + size_of::<u32>()
}

fn in_order(one: &[u8], other: &[u8], reverse: bool) -> Ordering {
    if reverse { other.cmp(one) } else { one.cmp(other) }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::*;
    use crate::test_support::Random;

    /// The ranges of a directory, which is read as often as it has to be.
    fn listed(names: &mut Names, directory: &[CString]) -> Vec<Vec<CString>> {
        let mut ranges = Vec::new();
        loop {
            directory.iter().for_each(|name| assert!(names.push(name, Kind::File, 0)));
            names.sort();
            ranges.push(names.iter().map(|(name, _)| name.to_owned()).collect());
            if !names.next_range() {
                return ranges;
            }
        }
    }

    /// In no order, but the same each time.
    fn directory(count: u64) -> Vec<CString> {
        let mut random = Random::new(1);
        let mut name = |number: u64| format!("{:x}-{number}", random.next() >> 40);
        (0..count).map(|number| CString::new(name(number)).unwrap()).collect()
    }

    #[test]
    fn a_large_directory_comes_in_ranges_in_order_and_whole() {
        let mut directory = directory(5000);
        for reverse in [false, true] {
            for _ in ["mixed", "in order", "the other way round"] {
                let mut names = Names::new(Order::Names, reverse);
                names.room = 20_000;
                let ranges = listed(&mut names, &directory);
                assert!((3..9).contains(&ranges.len()), "{} ranges", ranges.len());
                let mut expected = directory.clone();
                expected.sort();
                if reverse {
                    expected.reverse();
                }
                assert_eq!(ranges.concat(), expected);
                let is_sorted = directory.is_sorted();
                directory.sort();
                if is_sorted {
                    directory.reverse();
                }
            }
        }
    }

    #[test]
    fn a_range_keeps_to_its_room() {
        let mut names = Names::new(Order::Names, false);
        names.room = 20_000;
        for name in directory(5000) {
            names.push(&name, Kind::File, 0);
            assert!(names.records.len() + names.count * 4 <= 20_000);
        }
        names.sort();
        assert!(names.count > 500, "{}", names.count);
        // The bytes that were left out are known, so that the rest takes few ranges.
        assert!(names.next_range());
        assert!(names.room > 30_000, "{}", names.room);
    }

    #[test]
    fn what_appears_and_disappears_between_two_readings_disturbs_nothing_else() {
        let all = directory(2000);
        let mut names = Names::new(Order::Names, false);
        names.room = 20_000;
        let (mut told, mut reading) = (Vec::new(), 0);
        loop {
            // Every seventh comes and goes.
            for (number, name) in all.iter().enumerate().filter(|(number, _)| (number + reading) % 7 != 0) {
                assert!(names.push(name, Kind::File, number as u64));
            }
            reading += 7 * 3 + 1;
            names.sort();
            told.extend(names.iter().map(|(name, _)| name.to_owned()));
            if !names.next_range() {
                break;
            }
        }
        assert!(told.is_sorted());
        let count = told.len();
        told.dedup();
        assert_eq!(told.len(), count);
        assert!(count > 2000 * 5 / 7, "{count}");
    }

    #[test]
    fn one_name_again_and_again_comes_to_an_end() {
        let mut names = Names::new(Order::Names, false);
        names.room = 1000;
        let ranges = listed(&mut names, &vec![c"same".to_owned(); 500]);
        assert_eq!(ranges.concat().len(), 500);
    }

    #[test]
    fn keys_come_before_names_and_keep_all_in_one_range() {
        let mut names = Names::new(Order::Keys, false);
        for (name, kind, key) in [
            (c"b", Kind::Directory, 7),
            (c"a", Kind::File, 7),
            (c"z", Kind::Symlink, 1),
            (c"c", Kind::Unknown, u64::MAX),
        ] {
            assert!(names.push(name, kind, key));
        }
        names.sort();
        let told: Vec<_> = names.iter().collect();
        assert_eq!(
            told,
            [(c"z", Kind::Symlink), (c"a", Kind::File), (c"b", Kind::Directory), (c"c", Kind::Unknown)]
        );
        assert!(!names.next_range());
    }

    #[test]
    fn without_an_order_they_stay_as_they_came() {
        for (reverse, expected) in [(false, [c"b", c"c", c"a"]), (true, [c"a", c"c", c"b"])] {
            let mut names = Names::new(Order::None, reverse);
            assert!([c"b", c"c", c"a"].iter().all(|name| names.push(name, Kind::File, 0)));
            names.sort();
            assert_eq!(names.iter().map(|(name, _)| name).collect::<Vec<_>>(), expected);
        }
    }
}
