//! System calls that older kernels do not have and that containers may forbid: done without,
//! where that is safe.

use std::error::Error;

use rustix::io::Errno;

/// Whether this answer to a system call means that it cannot be had here at all. The seccomp
/// filters of containers answer EPERM in place of ENOSYS to what they forbid, and some to
/// whatever is newer than they are.
pub(super) fn is_absent(errno: Errno) -> bool {
    matches!(errno, Errno::NOSYS | Errno::PERM)
}

/// The same of an error of a library, which has the system's somewhere among its sources.
pub(super) fn is_caused_by_absence(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(errno) = error.downcast_ref().and_then(Errno::from_io_error) {
            return is_absent(errno);
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::{fmt, io};

    use super::*;

    #[derive(Debug)]
    struct OfALibrary(io::Error);

    impl fmt::Display for OfALibrary {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the call failed")
        }
    }

    impl Error for OfALibrary {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn only_two_answers_mean_that_a_call_is_absent() {
        for (errno, absent) in
            [(Errno::NOSYS, true), (Errno::PERM, true), (Errno::ACCESS, false), (Errno::INVAL, false)]
        {
            assert_eq!(is_absent(errno), absent);
            assert_eq!(is_caused_by_absence(&io::Error::from(errno)), absent);
            assert_eq!(is_caused_by_absence(&OfALibrary(errno.into())), absent);
        }
        assert!(!is_caused_by_absence(&io::Error::other("something else")));
    }
}
