//! libpam, loaded when it is first needed, so that building ferryd does not need it.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;

use libloading::Library;

use super::conversation::Conversation;

type Handle = *mut c_void;

/// One row for each function: the field, its type as security/pam_appl.h declares it, its name.
macro_rules! functions {
    ($($field:ident: $type:ty = $name:literal;)*) => {
        /// Those functions of the library that are used.
        pub(super) struct Functions {
            $(pub(super) $field: $type,)*
            /// The functions are its, so that it is not unloaded before them.
            _library: Library,
        }

        impl Functions {
            /// # Errors
            /// `NotFound` when the system has no libpam, or one without what is needed.
            pub(super) fn load() -> io::Result<Functions> {
                let library = open()?;
                Ok(Functions {
                    $(
                        // SAFETY: the row has the type of the function of that name.
                        $field: unsafe { function::<$type>(&library, $name) }?,
                    )*
                    _library: library,
                })
            }
        }
    };
}

functions! {
    start: unsafe extern "C" fn(*const c_char, *const c_char, *const Conversation, *mut Handle) -> c_int = c"pam_start";
    end: unsafe extern "C" fn(Handle, c_int) -> c_int = c"pam_end";
    set_item: unsafe extern "C" fn(Handle, c_int, *const c_void) -> c_int = c"pam_set_item";
    get_item: unsafe extern "C" fn(*const c_void, c_int, *mut *const c_void) -> c_int = c"pam_get_item";
    authenticate: unsafe extern "C" fn(Handle, c_int) -> c_int = c"pam_authenticate";
    account: unsafe extern "C" fn(Handle, c_int) -> c_int = c"pam_acct_mgmt";
    credentials: unsafe extern "C" fn(Handle, c_int) -> c_int = c"pam_setcred";
    open_session: unsafe extern "C" fn(Handle, c_int) -> c_int = c"pam_open_session";
    close_session: unsafe extern "C" fn(Handle, c_int) -> c_int = c"pam_close_session";
}

fn open() -> io::Result<Library> {
    const NAMES: &[&str] = if cfg!(target_os = "macos") {
        &["libpam.2.dylib", "libpam.dylib"]
    } else {
        &["libpam.so.0", "libpam.so.6", "libpam.so"]
    };
    let library = NAMES.iter().find_map(|&name| {
        // SAFETY: these are names of libpam, whose constructors may run in this process.
        unsafe { Library::new(name) }.ok()
    });
    library.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// # Safety
/// `F` is the type of a pointer to the function that the library has under `name`; the pointer
/// is not called after the library is dropped.
unsafe fn function<F: Copy>(library: &Library, name: &CStr) -> io::Result<F> {
    // SAFETY: the caller promises the same.
    let symbol = unsafe { library.get::<F>(name) };
    symbol.map(|symbol| *symbol).map_err(|_| io::ErrorKind::NotFound.into())
}
