//! Who is here: the places that clients take, what each of them is doing, whom failed
//! logins have banned, what the accounts with a quota have stored; and what was done so far.

mod admission;
mod bans;
mod counters;
mod presence;
mod quotas;

pub(crate) use admission::{Admission, Refused, Slot, UserSlot};
pub(crate) use counters::Counters;
pub(crate) use presence::{Leave, Presence, Snapshot};
pub(crate) use quotas::{Quota, Quotas, Tally, UnderWay};
