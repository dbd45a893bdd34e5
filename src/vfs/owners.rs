//! The names of owners and groups: the system is asked once for each.
//!
//! A confined session may be unable to read the system's databases. It then has the names that
//! other sessions have found, and shows a number for every other owner.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// By uid or gid. A tree, because mostly there are few.
type Names = BTreeMap<u32, Box<[u8]>>;

/// The names that one session has seen: mostly a listing takes no lock.
pub(super) struct Owners {
    hidden: bool,
    users: Names,
    groups: Names,
    /// The two that `names` gave last, of a uid and a gid as numbers.
    numbers: (Box<[u8]>, Box<[u8]>),
}

/// The names that all sessions have found, for a while: an account may be renamed.
static FOUND: Mutex<Option<Found>> = Mutex::new(None);
const KEPT: Duration = Duration::from_secs(10 * 60);

struct Found {
    since: Instant,
    users: Names,
    groups: Names,
}

impl Owners {
    pub(super) fn new(hidden: bool) -> Owners {
        Owners { hidden, users: Names::new(), groups: Names::new(), numbers: Default::default() }
    }

    /// The names of both. With `numeric`, and of one that has no name, the number.
    pub(super) fn names(&mut self, uid: u32, gid: u32, numeric: bool) -> (&[u8], &[u8]) {
        if self.hidden {
            return (b"ftp", b"ftp");
        }
        if numeric {
            self.numbers = (number(uid), number(gid));
            return (&self.numbers.0, &self.numbers.1);
        }
        let user = self.users.entry(uid).or_insert_with(|| {
            find(
                uid,
                |found| &mut found.users,
                || users::get_user_by_uid(uid).map(|user| user.name().as_bytes().into()),
            )
        });
        let group = self.groups.entry(gid).or_insert_with(|| {
            find(
                gid,
                |found| &mut found.groups,
                || users::get_group_by_gid(gid).map(|group| group.name().as_bytes().into()),
            )
        });
        (user, group)
    }
}

/// Looks in the common table, then asks the system, and keeps its answer in the table.
fn find(
    id: u32,
    table: impl Fn(&mut Found) -> &mut Names,
    look_up: impl FnOnce() -> Option<Box<[u8]>>,
) -> Box<[u8]> {
    if let Some(name) = table(found_lately(&mut FOUND.lock())).get(&id) {
        return name.clone();
    }
    // Without the lock: a directory service may take its time.
    let Some(name) = look_up() else { return number(id) };
    table(found_lately(&mut FOUND.lock())).insert(id, name.clone());
    name
}

fn found_lately(found: &mut Option<Found>) -> &mut Found {
    if found.as_ref().is_some_and(|found| found.since.elapsed() > KEPT) {
        *found = None;
    }
    found.get_or_insert_with(|| Found { since: Instant::now(), users: Names::new(), groups: Names::new() })
}

fn number(id: u32) -> Box<[u8]> {
    id.to_string().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_names_or_are_numbers() {
        let mut owners = Owners::new(false);
        assert_eq!(owners.names(0, 0, false).0, b"root");
        assert_eq!(owners.names(0, 7, true), (&b"0"[..], &b"7"[..]));
        assert_eq!(
            owners.names(3_999_999_999, 3_999_999_998, false),
            (&b"3999999999"[..], &b"3999999998"[..])
        );
    }

    #[test]
    fn hidden_owners_are_all_the_same() {
        assert_eq!(Owners::new(true).names(0, 7, true), (&b"ftp"[..], &b"ftp"[..]));
    }
}
