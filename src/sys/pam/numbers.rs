//! The numbers of PAM's interface: Linux-PAM's, and on the other systems OpenPAM's.

/// The items of a transaction that are texts, the same in both implementations.
#[derive(Clone, Copy)]
#[repr(i32)]
pub(super) enum TextItem {
    User = 2,
    Tty = 3,
    RemoteHost = 4,
    RemoteUser = 8,
}

/// The kinds of messages, the same in both implementations.
pub(super) mod style {
    use std::ffi::c_int;

    pub(in crate::sys::pam) const PROMPT_ECHO_OFF: c_int = 1;
    pub(in crate::sys::pam) const PROMPT_ECHO_ON: c_int = 2;
    pub(in crate::sys::pam) const ERROR_MSG: c_int = 3;
    pub(in crate::sys::pam) const TEXT_INFO: c_int = 4;
}

/// Results and flags of Linux-PAM, security/_pam_types.h.
#[cfg(target_os = "linux")]
pub(super) mod code {
    use std::ffi::c_int;

    pub(in crate::sys::pam) const SUCCESS: c_int = 0;
    pub(in crate::sys::pam) const BUF_ERR: c_int = 5;
    pub(in crate::sys::pam) const PERM_DENIED: c_int = 6;
    pub(in crate::sys::pam) const AUTH_ERR: c_int = 7;
    pub(in crate::sys::pam) const CRED_INSUFFICIENT: c_int = 8;
    pub(in crate::sys::pam) const USER_UNKNOWN: c_int = 10;
    pub(in crate::sys::pam) const MAXTRIES: c_int = 11;
    pub(in crate::sys::pam) const NEW_AUTHTOK_REQD: c_int = 12;
    pub(in crate::sys::pam) const ACCT_EXPIRED: c_int = 13;
    pub(in crate::sys::pam) const CRED_EXPIRED: c_int = 16;
    pub(in crate::sys::pam) const CRED_ERR: c_int = 17;
    pub(in crate::sys::pam) const CONV_ERR: c_int = 19;
    pub(in crate::sys::pam) const AUTHTOK_ERR: c_int = 20;
    pub(in crate::sys::pam) const AUTHTOK_EXPIRED: c_int = 27;

    pub(in crate::sys::pam) const DISALLOW_NULL_AUTHTOK: c_int = 1;
    pub(in crate::sys::pam) const ESTABLISH_CRED: c_int = 2;
    pub(in crate::sys::pam) const DELETE_CRED: c_int = 4;
    pub(in crate::sys::pam) const DATA_SILENT: c_int = 0x4000_0000;
}

/// Results and flags of OpenPAM, security/pam_constants.h.
#[cfg(not(target_os = "linux"))]
pub(super) mod code {
    use std::ffi::c_int;

    pub(in crate::sys::pam) const SUCCESS: c_int = 0;
    pub(in crate::sys::pam) const BUF_ERR: c_int = 5;
    pub(in crate::sys::pam) const CONV_ERR: c_int = 6;
    pub(in crate::sys::pam) const PERM_DENIED: c_int = 7;
    pub(in crate::sys::pam) const MAXTRIES: c_int = 8;
    pub(in crate::sys::pam) const AUTH_ERR: c_int = 9;
    pub(in crate::sys::pam) const NEW_AUTHTOK_REQD: c_int = 10;
    pub(in crate::sys::pam) const CRED_INSUFFICIENT: c_int = 11;
    pub(in crate::sys::pam) const USER_UNKNOWN: c_int = 13;
    pub(in crate::sys::pam) const CRED_EXPIRED: c_int = 15;
    pub(in crate::sys::pam) const CRED_ERR: c_int = 16;
    pub(in crate::sys::pam) const ACCT_EXPIRED: c_int = 17;
    pub(in crate::sys::pam) const AUTHTOK_EXPIRED: c_int = 18;
    pub(in crate::sys::pam) const AUTHTOK_ERR: c_int = 20;

    pub(in crate::sys::pam) const DISALLOW_NULL_AUTHTOK: c_int = 1;
    pub(in crate::sys::pam) const ESTABLISH_CRED: c_int = 1;
    pub(in crate::sys::pam) const DELETE_CRED: c_int = 2;
    /// OpenPAM has no such flag.
    pub(in crate::sys::pam) const DATA_SILENT: c_int = 0;
}

/// The names of the results, by their numbers.
#[cfg(target_os = "linux")]
pub(super) const NAMES: [&str; 32] = [
    "PAM_SUCCESS",
    "PAM_OPEN_ERR",
    "PAM_SYMBOL_ERR",
    "PAM_SERVICE_ERR",
    "PAM_SYSTEM_ERR",
    "PAM_BUF_ERR",
    "PAM_PERM_DENIED",
    "PAM_AUTH_ERR",
    "PAM_CRED_INSUFFICIENT",
    "PAM_AUTHINFO_UNAVAIL",
    "PAM_USER_UNKNOWN",
    "PAM_MAXTRIES",
    "PAM_NEW_AUTHTOK_REQD",
    "PAM_ACCT_EXPIRED",
    "PAM_SESSION_ERR",
    "PAM_CRED_UNAVAIL",
    "PAM_CRED_EXPIRED",
    "PAM_CRED_ERR",
    "PAM_NO_MODULE_DATA",
    "PAM_CONV_ERR",
    "PAM_AUTHTOK_ERR",
    "PAM_AUTHTOK_RECOVERY_ERR",
    "PAM_AUTHTOK_LOCK_BUSY",
    "PAM_AUTHTOK_DISABLE_AGING",
    "PAM_TRY_AGAIN",
    "PAM_IGNORE",
    "PAM_ABORT",
    "PAM_AUTHTOK_EXPIRED",
    "PAM_MODULE_UNKNOWN",
    "PAM_BAD_ITEM",
    "PAM_CONV_AGAIN",
    "PAM_INCOMPLETE",
];

/// The names of the results, by their numbers.
#[cfg(not(target_os = "linux"))]
pub(super) const NAMES: [&str; 29] = [
    "PAM_SUCCESS",
    "PAM_OPEN_ERR",
    "PAM_SYMBOL_ERR",
    "PAM_SERVICE_ERR",
    "PAM_SYSTEM_ERR",
    "PAM_BUF_ERR",
    "PAM_CONV_ERR",
    "PAM_PERM_DENIED",
    "PAM_MAXTRIES",
    "PAM_AUTH_ERR",
    "PAM_NEW_AUTHTOK_REQD",
    "PAM_CRED_INSUFFICIENT",
    "PAM_AUTHINFO_UNAVAIL",
    "PAM_USER_UNKNOWN",
    "PAM_CRED_UNAVAIL",
    "PAM_CRED_EXPIRED",
    "PAM_CRED_ERR",
    "PAM_ACCT_EXPIRED",
    "PAM_AUTHTOK_EXPIRED",
    "PAM_SESSION_ERR",
    "PAM_AUTHTOK_ERR",
    "PAM_AUTHTOK_RECOVERY_ERR",
    "PAM_AUTHTOK_LOCK_BUSY",
    "PAM_AUTHTOK_DISABLE_AGING",
    "PAM_NO_MODULE_DATA",
    "PAM_IGNORE",
    "PAM_ABORT",
    "PAM_TRY_AGAIN",
    "PAM_MODULE_UNKNOWN",
];
