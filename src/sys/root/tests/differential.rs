//! The walker against the kernel: the same paths in the same trees, at random.

use std::collections::HashSet;
use std::path::PathBuf;

use super::*;
use crate::test_support::{Random, open_up};

fn path(random: &mut Random) -> String {
    let names = ["a", "b", "c", "f", "l", "m", "n", "..", "..", ".", "", "none"];
    let count = 1 + random.below(5);
    let path: Vec<_> = (0..count).map(|_| random.pick(&names)).collect();
    path.join("/")
}

fn target(random: &mut Random) -> String {
    let slash = random.pick(&["", "", "/", "//"]);
    let target = slash.to_owned() + &path(random) + random.pick(&["", "", "", "/", "/.", "//", "/.."]);
    if target.is_empty() { ".".to_owned() } else { target }
}

/// Directories a, b and c, files f, links l, m and n, three levels deep.
fn grow(random: &mut Random, dir: &Path, depth: u32) {
    for name in ["a", "b", "c"] {
        if depth < 3 && random.below(4) != 0 {
            fs::create_dir(dir.join(name)).unwrap();
            grow(random, &dir.join(name), depth + 1);
        }
    }
    if random.below(3) != 0 {
        fs::write(dir.join("f"), "").unwrap();
    }
    for name in ["l", "m", "n"] {
        if random.below(3) != 0 {
            symlink(target(random), dir.join(name)).unwrap();
        }
    }
    if depth > 0 && random.below(8) == 0 {
        // Without read, without search, without both: they matter unless root runs this.
        let mode = random.pick(&[0o300, 0o600, 0o000]);
        fs::set_permissions(dir, fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// What came of it: the file, or the error. What was created goes again.
fn outcome(root: &Root, path: &str, flags: OFlags, known: &mut HashSet<String>) -> Result<String, Errno> {
    let fd = match root.open_at(path.as_bytes(), flags, Mode::RUSR | Mode::WUSR) {
        Ok(fd) => fd,
        Err(err) => return Err(Errno::from_io_error(&err).unwrap()),
    };
    use std::os::fd::AsRawFd;
    let name = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap();
    let name = name.into_os_string().into_string().unwrap();
    if flags.contains(OFlags::CREATE) && !known.contains(&name) {
        fs::remove_file(&name).unwrap();
    }
    Ok(name)
}

fn collect(dir: &Path, known: &mut HashSet<String>) {
    known.insert(dir.to_str().unwrap().to_owned());
    for entry in fs::read_dir(dir).unwrap().flatten() {
        known.insert(entry.path().to_str().unwrap().to_owned());
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), known);
        }
    }
}

#[test]
fn the_walker_finds_what_the_kernel_finds() {
    let ways = [
        OFlags::RDONLY,
        OFlags::RDONLY | OFlags::DIRECTORY,
        OFlags::RDONLY | OFlags::NOFOLLOW,
        OFlags::PATH,
        OFlags::PATH | OFlags::DIRECTORY,
        OFlags::PATH | OFlags::NOFOLLOW,
        OFlags::WRONLY,
        OFlags::WRONLY | OFlags::CREATE,
        OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL,
        OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW,
    ];
    let (mut found, mut refused) = (0, 0);
    for seed in 0..25 {
        let mut random = Random::new(seed);
        let scratch = Scratch::new();
        fs::create_dir(scratch.join("root")).unwrap();
        // Permissions come last, so that the list of what is there is whole.
        let mut known = HashSet::new();
        grow(&mut random, &scratch.join("root"), 0);
        let [kernel, walker] = <[Root; 2]>::try_from(both(&scratch.join("root"))).ok().unwrap();
        if !kernel.has_openat2 {
            return; // Nothing to compare with.
        }
        let modes = modes(&scratch.join("root"));
        open_up(&scratch.join("root"));
        collect(&scratch.join("root"), &mut known);
        for (path, mode) in modes.iter().rev() {
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        for _ in 0..150 {
            let path = path(&mut random);
            for flags in ways {
                let want = outcome(&kernel, &path, flags, &mut known);
                let got = outcome(&walker, &path, flags, &mut known);
                assert_eq!(got, want, "seed {seed}, path {path:?}, flags {flags:?}");
                *(if want.is_ok() { &mut found } else { &mut refused }) += 1;
            }
        }
    }
    assert!(found > 1000 && refused > 1000, "{found} found, {refused} refused");
}

/// The directories and their modes, outermost first; opens each on the way.
fn modes(dir: &Path) -> Vec<(PathBuf, u32)> {
    let mut modes = vec![(dir.to_owned(), fs::metadata(dir).unwrap().permissions().mode() & 0o7777)];
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            modes.extend(self::modes(&entry.path()));
        }
    }
    modes
}
