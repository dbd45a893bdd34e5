//! The `get..._r` functions of the C library: called with a buffer that grows until the
//! answer fits, and their strings.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use zeroize::Zeroize;

/// Asks for an entry, and converts it while the buffer that it points into is there.
/// `None`: the database has no such entry.
///
/// # Safety
/// `ask` passes its three arguments to one function of that family: when that returns 0 and
/// a result that is not null, the entry is filled in, and its strings are in the buffer.
///
/// # Errors
/// Those of the function: the database could not be asked.
pub(super) unsafe fn look_up<E, T>(
    mut ask: impl FnMut(*mut E, &mut [u8], *mut *mut E) -> libc::c_int,
    convert: impl FnOnce(&E) -> T,
) -> io::Result<Option<T>> {
    /// The largest entry that is read; a group of 10,000 members has a tenth of it.
    const MOST: usize = 4 << 20;
    let mut buffer = vec![0u8; 4096];
    loop {
        let mut entry = MaybeUninit::<E>::uninit();
        let mut result = ptr::null_mut();
        match ask(entry.as_mut_ptr(), &mut buffer, &raw mut result) {
            libc::EINTR => continue,
            libc::ERANGE if buffer.len() < MOST => {
                let larger = buffer.len() * 4;
                buffer.zeroize(); // Which empties it, too.
                buffer = vec![0u8; larger];
                continue;
            }
            // getpwnam_r(3) lists these among the ways to say "not found".
            0 | libc::ENOENT | libc::ESRCH if result.is_null() => return Ok(None),
            0 => (),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
        // SAFETY: 0 and a result mean that the entry is filled in, as the caller promises.
        let answer = convert(unsafe { entry.assume_init_ref() });
        buffer.zeroize(); // It may hold a hash.
        return Ok(Some(answer));
    }
}

/// The bytes of a string of an entry; of none, when the pointer is null.
///
/// # Safety
/// `string` is null, or points to bytes that end in NUL and stay as they are during the call.
pub(super) unsafe fn bytes_of(string: *const libc::c_char) -> Vec<u8> {
    if string.is_null() {
        return Vec::new();
    }
    // SAFETY: it is not null, and the rest is the caller's promise.
    unsafe { CStr::from_ptr(string) }.to_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry with one string, as passwd has several.
    #[repr(C)]
    struct Entry {
        name: *const libc::c_char,
    }

    /// What a `get..._r` function does that finds `name`.
    fn answer(name: &CStr, entry: *mut Entry, buffer: &mut [u8], result: *mut *mut Entry) -> libc::c_int {
        let bytes = name.to_bytes_with_nul();
        let Some(room) = buffer.get_mut(..bytes.len()) else { return libc::ERANGE };
        room.copy_from_slice(bytes);
        // SAFETY: `look_up` passes a place for an entry.
        unsafe { entry.write(Entry { name: room.as_ptr().cast() }) };
        // SAFETY: and one for the result.
        unsafe { result.write(entry) };
        0
    }

    fn found(name: &CStr) -> io::Result<Option<Vec<u8>>> {
        // SAFETY: the string of an entry ends in NUL, and the buffer that it is in is alive.
        let convert = |entry: &Entry| unsafe { bytes_of(entry.name) };
        // SAFETY: `answer` does as the functions do.
        unsafe { look_up(|entry, buffer, result| answer(name, entry, buffer, result), convert) }
    }

    #[test]
    fn the_buffer_grows_until_the_answer_fits() {
        let long = std::ffi::CString::new(vec![b'x'; 10_000]).unwrap();
        assert_eq!(found(c"joe").unwrap().unwrap(), b"joe");
        assert_eq!(found(&long).unwrap().unwrap(), long.to_bytes());
    }

    #[test]
    fn an_answer_is_an_entry_or_none_or_an_error() {
        let says = |code: libc::c_int| {
            // SAFETY: no result is ever set, so that no entry is looked at.
            unsafe { look_up(|_: *mut Entry, _, _| code, |_| ()) }.map_err(|error| error.raw_os_error())
        };
        assert_eq!(says(0), Ok(None));
        assert_eq!(says(libc::ENOENT), Ok(None));
        assert_eq!(says(libc::EIO), Err(Some(libc::EIO)));
    }

    #[test]
    fn an_entry_without_end_is_an_error() {
        // SAFETY: no result is ever set, so that no entry is looked at.
        let endless = unsafe { look_up(|_: *mut Entry, _, _| libc::ERANGE, |_| ()) };
        assert_eq!(endless.unwrap_err().raw_os_error(), Some(libc::ERANGE));
    }

    #[test]
    fn a_string_that_is_not_there_is_empty() {
        // SAFETY: null is allowed.
        assert!(unsafe { bytes_of(ptr::null()) }.is_empty());
    }
}
