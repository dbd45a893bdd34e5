//! The clients that are here.
//!
//! ```text
//! admission.rs  how many of them there may be
//! bans.rs       hosts that failed logins have banned
//! presence.rs   each session's user, command and transfer, for `who` and `kick`
//! quotas.rs     the bytes that accounts with a quota have stored
//! counters.rs   everything that was done since the start, in numbers
//! ```

mod admission;
mod bans;
mod counters;
mod presence;
mod quotas;

pub(crate) use admission::{Admission, Refused, Slot, UserSlot};
pub(crate) use bans::Guess;
pub(crate) use counters::Counters;
pub(crate) use presence::{Leave, Presence, Snapshot};
pub(crate) use quotas::{Count, Quota, Quotas, Tally, UnderWay};
