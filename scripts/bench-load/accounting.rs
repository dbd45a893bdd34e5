//! What a server costs: processor time and memory of its whole process tree,
//! children that have ended included.
//!
//! A control group of its own knows both, to the nanosecond and with the
//! kernel's memory. Where none can be made, /proc is added up: in ticks of
//! 10 ms, and with kernel memory estimated.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

const CGROUP: &str = "/sys/fs/cgroup";
/// A thread's kernel stack, all that /proc/meminfo could tell of it as well.
const KERNEL_STACK: u64 = 16 << 10;
/// USER_HZ, the same on every architecture that matters.
const TICKS_PER_SECOND: f64 = 100.0;

/// Where a server's processes are counted. Removed on drop, when it is empty.
pub(crate) struct Group {
    /// Directories whose cgroup.procs the server enters before it runs.
    dirs: Vec<PathBuf>,
    cpu: Option<PathBuf>,
    memory: Option<PathBuf>,
    /// The server's first process, once there is one.
    pub(crate) leader: u32,
}

impl Group {
    pub(crate) fn new(tag: &str) -> Group {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{tag}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let top = Path::new(CGROUP);
        let made = |parent: &Path| {
            let dir = parent.join(&name);
            fs::create_dir(&dir).ok().map(|()| dir)
        };
        let mut group = Group { dirs: Vec::new(), cpu: None, memory: None, leader: 0 };
        if top.join("cgroup.controllers").exists() {
            // Refused where somebody else manages the tree; cpu.stat works all the same.
            let _ = fs::write(top.join("cgroup.subtree_control"), "+memory");
            if let Some(dir) = made(top) {
                group.cpu = Some(dir.join("cpu.stat"));
                group.memory = Some(dir.join("memory.current")).filter(|file| file.exists());
                group.dirs.push(dir);
            }
        } else {
            for (controller, file) in [("cpuacct", "cpuacct.usage"), ("memory", "memory.usage_in_bytes")] {
                let parent = top.join(controller);
                let Some(dir) = parent.join(file).exists().then(|| made(&parent)).flatten() else { continue };
                let source = if controller == "memory" { &mut group.memory } else { &mut group.cpu };
                *source = Some(dir.join(file));
                group.dirs.push(dir);
            }
        }
        group
    }

    /// The files a process writes its id to, to be counted here.
    pub(crate) fn entrances(&self) -> String {
        let files: Vec<_> = self.dirs.iter().map(|dir| format!("{}/cgroup.procs", dir.display())).collect();
        files.join(" ")
    }

    /// Processor seconds used so far, in user and kernel mode.
    pub(crate) fn cpu(&self) -> f64 {
        let Some(text) = self.cpu.as_ref().and_then(|file| fs::read_to_string(file).ok()) else {
            return self.processes().into_iter().map(cpu_of).sum();
        };
        match text.lines().find_map(|line| line.strip_prefix("usage_usec ")) {
            Some(microseconds) => microseconds.parse().unwrap_or(0.0) / 1e6,
            None => text.trim().parse().unwrap_or(0.0) / 1e9,
        }
    }

    /// Bytes in use, the kernel's on the server's behalf included.
    pub(crate) fn memory(&self) -> u64 {
        match self.memory.as_ref().and_then(|file| fs::read_to_string(file).ok()) {
            Some(text) => text.trim().parse().unwrap_or(0),
            None => {
                let threads: u64 =
                    self.processes().iter().map(|&pid| status(pid, "Threads:").unwrap_or(1)).sum();
                self.proportional() + threads * KERNEL_STACK
            }
        }
    }

    /// Whether `memory` is measured rather than estimated.
    pub(crate) fn knows_kernel_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Bytes of user memory, shared pages divided among those who share them (PSS).
    pub(crate) fn proportional(&self) -> u64 {
        self.processes()
            .into_iter()
            .filter_map(|pid| {
                kilobytes(Path::new(&format!("/proc/{pid}/smaps_rollup")), "Pss:")
                    .or_else(|| status(pid, "VmRSS:"))
            })
            .map(|kb| kb << 10)
            .sum()
    }

    /// Forgets earlier peaks, and says how many bytes each process has now.
    pub(crate) fn mark_peaks(&self) -> Vec<(u32, u64)> {
        let mark = |pid: u32| {
            // Refused for a process that is not ours to trace: its peak then
            // counts from its start.
            let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
            status(pid, "VmRSS:").map(|kb| (pid, kb << 10))
        };
        self.processes().into_iter().filter_map(mark).collect()
    }

    /// Bytes that the processes grew by at their peaks since `marks`.
    pub(crate) fn growth(&self, marks: &[(u32, u64)]) -> u64 {
        let before = |pid| marks.iter().find(|mark| mark.0 == pid).map_or(0, |mark| mark.1);
        self.processes()
            .into_iter()
            .filter_map(|pid| Some((status(pid, "VmHWM:")? << 10).saturating_sub(before(pid))))
            .sum()
    }

    pub(crate) fn processes(&self) -> Vec<u32> {
        match self.dirs.first().map(|dir| fs::read_to_string(dir.join("cgroup.procs"))) {
            Some(Ok(list)) => list.lines().filter_map(|line| line.parse().ok()).collect(),
            _ => descendants(self.leader),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for dir in &self.dirs {
            let _ = fs::remove_dir(dir);
        }
    }
}

fn descendants(leader: u32) -> Vec<u32> {
    let numbers = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    let all: Vec<u32> = fs::read_dir("/proc").into_iter().flatten().filter_map(numbers).collect();
    let parents: Vec<(u32, u32)> =
        all.into_iter().filter_map(|pid| Some((pid, stat(pid)?.get(1)?.parse().ok()?))).collect();
    let mut family = HashSet::from([leader]);
    loop {
        let known = family.len();
        family.extend(
            parents.iter().filter(|(_, parent)| family.contains(parent)).map(|p| p.0).collect::<Vec<_>>(),
        );
        if family.len() == known {
            return family.into_iter().collect();
        }
    }
}

fn cpu_of(pid: u32) -> f64 {
    // utime, stime, and both of the children it has waited for: proc(5).
    let fields = stat(pid).unwrap_or_default();
    let ticks: u64 = (11..=14).filter_map(|i| fields.get(i)?.parse::<u64>().ok()).sum();
    ticks as f64 / TICKS_PER_SECOND
}

/// The fields of /proc/PID/stat from the state on.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn status(pid: u32, field: &str) -> Option<u64> {
    kilobytes(Path::new(&format!("/proc/{pid}/status")), field)
}

fn kilobytes(file: &Path, field: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(field))?;
    value.split_whitespace().next()?.parse().ok()
}
