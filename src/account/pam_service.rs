//! The PAM service that is asked.

use std::ffi::CString;
use std::io;
use std::path::Path;

/// The PAM service to ask: `wanted`, or `ftp`. When the system has neither, `wanted` stays, and
/// libpam takes `other` by itself. Asked for `other` by name, it would read the file twice and
/// compute two hashes for each login.
pub(super) fn pam_service(wanted: &str) -> io::Result<CString> {
    // The name becomes part of a path, and PAM must not leave its directory.
    if wanted.is_empty() || wanted.contains(['/', '\0']) || wanted.starts_with('.') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("not a PAM service: {wanted:?}")));
    }
    let exists = |service: &str| PAM_DIRS.iter().any(|dir| Path::new(dir).join(service).exists());
    let uses_dirs = PAM_DIRS.iter().any(|dir| Path::new(dir).is_dir());
    let service = match [wanted, "ftp"].into_iter().find(|service| exists(service)) {
        Some(service) => service,
        None if uses_dirs => {
            log::warn!("there is no PAM service {wanted}: the system's `other` is asked instead");
            wanted
        }
        None => wanted, // Everything is in /etc/pam.conf.
    };
    if service != wanted {
        log::warn!("there is no PAM service {wanted}: {service} is asked instead");
    }
    Ok(CString::new(service)?)
}

/// The directories of PAM services.
const PAM_DIRS: [&str; 4] = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/share/pam.d", "/usr/local/etc/pam.d"];

/// The service that PAM would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// The one that was asked for; or all services are in one file, and it is not known.
    Wanted,
    /// `ftp`, in its place.
    Ftp,
    /// Neither is there.
    Other,
}

pub(super) fn service_of(wanted: &str) -> Service {
    service_in(&PAM_DIRS.map(Path::new), wanted)
}

fn service_in(dirs: &[&Path], wanted: &str) -> Service {
    let dirs: Vec<_> = dirs.iter().filter(|dir| dir.is_dir()).collect();
    if dirs.is_empty() {
        return Service::Wanted;
    }
    let exists = |service: &str| dirs.iter().any(|dir| dir.join(service).exists());
    match wanted {
        wanted if exists(wanted) => Service::Wanted,
        _ if exists("ftp") => Service::Ftp,
        _ => Service::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Scratch;

    #[test]
    fn ftp_takes_the_place_of_a_service_that_is_missing() {
        let scratch = Scratch::new();
        let missing = scratch.join("missing");
        let dirs = [missing.as_path(), scratch.path()];
        assert_eq!(service_in(&dirs[..1], "ftpd"), Service::Wanted);
        assert_eq!(service_in(&dirs, "ftpd"), Service::Other);
        scratch.write("ftp", "");
        assert_eq!(service_in(&dirs, "ftpd"), Service::Ftp);
        scratch.write("ftpd", "");
        assert_eq!(service_in(&dirs, "ftpd"), Service::Wanted);
    }
}
