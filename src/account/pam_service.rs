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

/// Whether there is a service of this name, or `ftp`. Where all services are in one file, yes.
pub(super) fn pam_service_is_there(wanted: &str) -> bool {
    let dirs: Vec<&Path> = PAM_DIRS.iter().map(Path::new).filter(|dir| dir.is_dir()).collect();
    dirs.is_empty() || dirs.iter().any(|dir| [wanted, "ftp"].iter().any(|name| dir.join(name).exists()))
}
