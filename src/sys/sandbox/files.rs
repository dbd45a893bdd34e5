//! Landlock: files outside the root are out of reach.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus,
};

use super::Wall;
use crate::sys::newer;

pub(super) fn stay_beneath(root: BorrowedFd<'_>) -> io::Result<Wall> {
    // The newest set of rights that was tried with a session. Network
    // rights and scopes are not among them.
    let all = AccessFs::from_all(ABI::V5);
    let Ok(ruleset) = Ruleset::default()
        // Without this right, which came second, a rename from one
        // directory to another is refused everywhere.
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::Refer)
    else {
        return Ok(Wall::Unsupported);
    };
    let status = ruleset
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .and_then(Ruleset::create)
        .and_then(|ruleset| ruleset.add_rule(PathBeneath::new(root, all)))
        .and_then(|ruleset| ruleset.add_rules(readable()))
        .and_then(|ruleset| ruleset.restrict_self());
    match status {
        Ok(status) if status.ruleset == RulesetStatus::NotEnforced => Ok(Wall::Unsupported),
        Ok(_) => Ok(Wall::Up),
        Err(error) if newer::is_caused_by_absence(&error) => Ok(Wall::Unsupported),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Files outside the root that listings read: names of owners, local time.
fn readable() -> impl Iterator<Item = Result<PathBeneath<OwnedFd>, RulesetError>> {
    use rustix::fs::{Mode, OFlags, open};
    ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/localtime"]
        .into_iter()
        .filter_map(|path| open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok())
        .map(|file| Ok(PathBeneath::new(file, AccessFs::ReadFile)))
}
