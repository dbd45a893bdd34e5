//! wtmp: the system's record of who was logged in, as last(1) shows it.

pub(crate) use system::Wtmp;

#[cfg(target_os = "linux")]
mod system {
    use std::fs::{File, OpenOptions};
    use std::io::{self, Write};
    use std::net::IpAddr;
    use std::path::Path;
    use std::time::{SystemTime, UNIX_EPOCH};

    const PATH: &str = "/var/log/wtmp";
    const WORDS: usize = size_of::<libc::utmpx>() / size_of::<u64>();

    /// The wtmp file, opened while the server still had the right to.
    pub(crate) struct Wtmp(File);

    impl Wtmp {
        /// Fails with `NotFound` where the system keeps no such file: it is not made.
        pub(crate) fn open() -> io::Result<Wtmp> {
            Wtmp::open_at(Path::new(PATH))
        }

        fn open_at(path: &Path) -> io::Result<Wtmp> {
            Ok(Wtmp(OpenOptions::new().append(true).open(path)?))
        }

        /// `user` logged in from `host`. `line` stands for the session and is
        /// used again at its end.
        pub(crate) fn login(&self, line: &str, user: &str, host: IpAddr) -> io::Result<()> {
            self.write(&record(libc::USER_PROCESS, line, user, &host.to_string()))
        }

        pub(crate) fn logout(&self, line: &str) -> io::Result<()> {
            self.write(&record(libc::DEAD_PROCESS, line, "", ""))
        }

        /// One write: the file is shared with login(1) and others.
        fn write(&self, record: &[u8]) -> io::Result<()> {
            (&self.0).write_all(record)
        }
    }

    fn record(kind: i16, line: &str, user: &str, host: &str) -> Vec<u8> {
        const { assert!(size_of::<libc::utmpx>().is_multiple_of(size_of::<u64>())) };
        const { assert!(align_of::<libc::utmpx>() <= align_of::<u64>()) };
        let mut words = [0u64; WORDS];
        // SAFETY: the array has the size and at least the alignment of a utmpx (asserted
        // above), every byte of it is set, and all zeros are a utmpx.
        let entry = unsafe { &mut *words.as_mut_ptr().cast::<libc::utmpx>() };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        entry.ut_type = kind;
        entry.ut_pid = i32::try_from(std::process::id()).unwrap_or(0);
        fill(&mut entry.ut_line, line);
        // The part of the line that tells sessions apart is at its end.
        fill(&mut entry.ut_id, &line[line.len().saturating_sub(4)..]);
        fill(&mut entry.ut_user, user);
        fill(&mut entry.ut_host, host);
        entry.ut_tv.tv_sec = now.as_secs() as _;
        entry.ut_tv.tv_usec = now.subsec_micros() as _;
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    /// Cut where it does not fit; what is left of the field stays zero.
    fn fill(field: &mut [libc::c_char], text: &str) {
        for (to, from) in field.iter_mut().zip(text.bytes()) {
            *to = from as libc::c_char;
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::test_support::{Scratch, find_program};

        #[test]
        fn a_record_has_the_size_and_the_fields_of_a_utmpx() {
            let record = record(libc::USER_PROCESS, "ftp17", "joe", "192.0.2.1");
            assert_eq!(record.len(), size_of::<libc::utmpx>());
            let at = std::mem::offset_of!(libc::utmpx, ut_user);
            assert_eq!(&record[at..at + 4], b"joe\0");
        }

        #[test]
        fn last_shows_who_was_there_and_who_still_is() {
            let Some(last) = find_program("last") else { return };
            let scratch = Scratch::new();
            let path = scratch.write("wtmp", "");
            let wtmp = Wtmp::open_at(&path).unwrap();
            wtmp.login("ftpd17.1", "joe", "192.0.2.1".parse().unwrap()).unwrap();
            wtmp.login("ftpd17.2", "ann", "2001:db8::1".parse().unwrap()).unwrap();
            wtmp.logout("ftpd17.1").unwrap();
            let output = std::process::Command::new(last).arg("-w").arg("-f").arg(&path).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            let line = |user: &str| text.lines().find(|line| line.starts_with(user)).unwrap_or_default();
            let (joe, ann) = (line("joe"), line("ann"));
            // Nobody is on that line now, so that ann, who has not left, is "gone".
            let gone = "no logout";
            assert!(joe.contains("ftpd17.1") && joe.contains("192.0.2.1") && !joe.contains(gone), "{text}");
            assert!(ann.contains("ftpd17.2") && ann.contains("2001:db8::1") && ann.contains(gone), "{text}");
        }

        #[test]
        fn a_name_that_is_too_long_is_cut() {
            let record = record(libc::USER_PROCESS, "ftp17", &"x".repeat(1000), "h");
            let at = std::mem::offset_of!(libc::utmpx, ut_host);
            assert_eq!(&record[at - 1..at + 2], b"xh\0");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::net::IpAddr;

    /// Other systems keep no wtmp file that one may append to.
    pub(crate) struct Wtmp(std::convert::Infallible);

    impl Wtmp {
        pub(crate) fn open() -> io::Result<Wtmp> {
            Err(io::ErrorKind::NotFound.into())
        }

        pub(crate) fn login(&self, _line: &str, _user: &str, _host: IpAddr) -> io::Result<()> {
            match self.0 {}
        }

        pub(crate) fn logout(&self, _line: &str) -> io::Result<()> {
            match self.0 {}
        }
    }
}
