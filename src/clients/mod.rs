//! Who is here: the places that clients take, what each of them is doing, whom failed
//! logins have banned, and what the accounts with a quota have stored.

mod admission;
mod bans;
mod presence;
mod quotas;

pub(crate) use admission::{Admission, Refused, Slot, UserSlot};
pub(crate) use presence::{Leave, Presence, Snapshot, User};
pub(crate) use quotas::Quotas;
