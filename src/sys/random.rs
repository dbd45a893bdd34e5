//! Numbers that outsiders cannot foresee.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A random number of the system's. Where it has none to give (early in a start, in a container
/// that forbids the call), one of ours that is hard to guess.
pub(crate) fn number() -> u64 {
    from_system().unwrap_or_else(hard_to_guess)
}

#[cfg(target_os = "linux")]
fn from_system() -> Option<u64> {
    use rustix::rand::{GetRandomFlags, getrandom};
    let mut bytes = [0; 8];
    let count = rustix::io::retry_on_intr(|| getrandom(&mut bytes, GetRandomFlags::NONBLOCK)).ok()?;
    (count == bytes.len()).then(|| u64::from_ne_bytes(bytes))
}

#[cfg(not(target_os = "linux"))]
fn from_system() -> Option<u64> {
    let mut bytes = [0_u8; 8];
    // SAFETY: the pointer and the length are those of one live array.
    unsafe { libc::arc4random_buf(bytes.as_mut_ptr().cast(), bytes.len()) };
    Some(u64::from_ne_bytes(bytes))
}

/// A sequence (SplitMix64) that begins with what an outsider knows little of: the moment, the
/// process, where the system put this program in memory, and the keys of std's hash tables.
fn hard_to_guess() -> u64 {
    static STATE: AtomicU64 = AtomicU64::new(0);
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    if STATE.load(Ordering::Relaxed) == 0 {
        let _ = STATE.compare_exchange(0, seed() | 1, Ordering::Relaxed, Ordering::Relaxed);
    }
    mix(STATE.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP))
}

fn seed() -> u64 {
    let moment = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let place = (&raw const moment).addr();
    RandomState::new().hash_one((moment, std::process::id(), place))
}

fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_differ_wherever_they_come_from() {
        for source in [number, hard_to_guess] {
            let numbers: HashSet<u64> = (0..1000).map(|_| source()).collect();
            assert_eq!(numbers.len(), 1000);
            // Each bit is set in some and not in others.
            assert_eq!(numbers.iter().fold(0, |all, number| all | number), u64::MAX);
            assert_eq!(numbers.iter().fold(u64::MAX, |all, number| all & number), 0);
        }
    }

    #[test]
    fn the_system_has_numbers() {
        assert!(from_system().is_some());
    }
}
