//! Orphans: processes whose parent has ended become children of the first process, which is
//! this one in many containers. Unless it collects them when they end, they stay as zombies.
//!
//! The children that the server started itself are left to those who started them: a wait for
//! a child that somebody else has collected fails, or finds another process of the same number.

use std::collections::BTreeSet;
use std::io;
use std::process::{Child, Command};

use parking_lot::Mutex;

/// The children that somebody here waits for; also some that have been waited for since the
/// last look.
static OWN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Starts a child for which the caller will wait.
///
/// # Errors
/// Those of fork(2) and execve(2).
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    // Without orphans nobody reads the list, and it would only grow.
    if are_expected() { spawn_and_list(command) } else { command.spawn() }
}

fn spawn_and_list(command: &mut Command) -> io::Result<Child> {
    // Locked until the child is in the list: it may end before `spawn` returns.
    let mut own = OWN.lock();
    let child = command.spawn()?;
    own.insert(child.id());
    Ok(child)
}

/// Whether orphans become children of this process.
pub(crate) fn are_expected() -> bool {
    cfg!(target_os = "linux") && std::process::id() == 1
}

/// Collects the orphans that have ended.
#[cfg(target_os = "linux")]
pub(crate) fn collect() {
    use rustix::process::{Pid, WaitOptions, waitpid};
    let mut own = OWN.lock();
    let Ok(children) = children_of(std::process::id()) else { return };
    own.retain(|id| children.iter().any(|child| child.id == *id));
    for child in children.iter().filter(|child| child.has_ended && !own.contains(&child.id)) {
        if let Some(pid) = i32::try_from(child.id).ok().and_then(Pid::from_raw) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG); // Collected, or gone.
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn collect() {}

/// A child process, whoever started it.
#[cfg(target_os = "linux")]
struct Kin {
    id: u32,
    /// It waits to be collected.
    has_ended: bool,
}

/// wait(2) would tell of one child at a time, the same one until it is collected.
#[cfg(target_os = "linux")]
fn children_of(parent: u32) -> io::Result<Vec<Kin>> {
    let ids = std::fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let child = |id: u32| {
        let (state, its_parent) = parse(&std::fs::read(format!("/proc/{id}/stat")).ok()?)?;
        (its_parent == parent).then_some(Kin { id, has_ended: state == b'Z' })
    };
    Ok(ids.filter_map(child).collect())
}

/// The state of a process and its parent, of a line such as `17 (a name) S 1 ...` (proc(5)).
#[cfg(target_os = "linux")]
fn parse(stat: &[u8]) -> Option<(u8, u32)> {
    // The name may hold anything, parentheses too.
    let name_end = memchr::memrchr(b')', stat)?;
    let mut words = stat[name_end + 1..].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let state = *words.next()?.first()?;
    let parent = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    Some((state, parent))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        assert_eq!(parse(b"17 (a) Z 9 (b) S 1 17 17 0 -1 4194304"), Some((b'S', 1)));
        assert_eq!(parse(b"17 (\xff\n) Z 200 17"), Some((b'Z', 200)));
        for broken in [&b""[..], b"17", b"17 (a)", b"17 (a) ", b"17 (a) Z", b"17 (a) Z x", b"17 (a) Z -1"] {
            assert_eq!(parse(broken), None, "{}", broken.escape_ascii());
        }
    }

    #[test]
    fn a_child_of_ours_is_found_and_left_to_us() {
        let mut child = spawn_and_list(&mut Command::new("true")).unwrap();
        let ended = || {
            let children = children_of(std::process::id()).unwrap();
            children.into_iter().any(|kin| kin.id == child.id() && kin.has_ended)
        };
        while !ended() {
            std::thread::yield_now();
        }
        assert!(OWN.lock().contains(&child.id()));
        assert!(child.wait().unwrap().success());
    }
}
