//! Passwords as crypt(5) keeps them, for systems without PAM and for user files.
//!
//! crypt_r is loaded when it is first needed, so that building ferryd does not need libcrypt.

use std::ffi::{CStr, CString, c_char, c_void};
use std::hint::black_box;
use std::io;

use libloading::Library;
use libloading::os::unix::Library as UnixLibrary;
use zeroize::{Zeroize, Zeroizing};

/// The library's crypt_r.
pub(crate) struct Crypt {
    crypt_r: CryptFn,
    /// The function is its, so it is never unloaded before it.
    _library: Library,
}

type CryptFn = unsafe extern "C" fn(*const c_char, *const c_char, *mut c_void) -> *mut c_char;

impl Crypt {
    /// # Errors
    /// `NotFound` when the system has no crypt_r.
    pub(crate) fn load() -> io::Result<Crypt> {
        ["libcrypt.so.2", "libcrypt.so.1", "libcrypt.so.5", "libcrypt.so"]
            .into_iter()
            // SAFETY: the constructors of libcrypt may run in this process.
            .filter_map(|name| unsafe { Library::new(name) }.ok())
            // Some C libraries have it themselves.
            .chain([UnixLibrary::this().into()])
            .find_map(|library| {
                // SAFETY: this is the type of crypt_r wherever it exists.
                let crypt_r = *unsafe { library.get::<CryptFn>(c"crypt_r") }.ok()?;
                Some(Crypt { crypt_r, _library: library })
            })
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Whether `hash` is that of `password`; `None` for what the library cannot compute, `*` and
    /// `!` among it: that is no password's, and took no time.
    pub(crate) fn verify(&self, password: &CStr, hash: &[u8]) -> Option<bool> {
        let found = self.hash(password, &CString::new(hash).ok()?)?;
        // A failure is `*0` or `*1`, which must not pass for a hash.
        (!found.starts_with(b"*")).then(|| is_same_secret(&found, hash))
    }

    /// Whether `hash` can be that of any password.
    pub(crate) fn is_hash(&self, hash: &[u8]) -> bool {
        let found = CString::new(hash).ok().and_then(|hash| self.hash(c"", &hash));
        found.is_some_and(|found| !found.starts_with(b"*") && found.len() == hash.len())
    }

    /// Computes a hash, as for a password that is wrong.
    pub(crate) fn pretend(&self, password: &CStr) {
        // The default of today's systems, and of those a little older.
        const SETTINGS: [&CStr; 2] = [
            c"$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
            c"$6$ferrydferryd$",
        ];
        for setting in SETTINGS {
            if self.hash(password, setting).is_some_and(|hash| !hash.starts_with(b"*")) {
                break;
            }
        }
    }

    fn hash(&self, password: &CStr, setting: &CStr) -> Option<Zeroizing<Vec<u8>>> {
        /// struct crypt_data is 32 KiB in libxcrypt and 128 KiB in old glibc.
        const DATA_WORDS: usize = 32 << 10;
        let mut data = vec![0u64; DATA_WORDS];
        // SAFETY: both strings end in NUL; the data are ours, zeroed as the
        // first call asks for, aligned, and larger than any implementation's.
        let found = unsafe { (self.crypt_r)(password.as_ptr(), setting.as_ptr(), data.as_mut_ptr().cast()) };
        let hash = (!found.is_null()).then(|| {
            // SAFETY: what is not null is a string that ends in NUL, in the data, which live.
            Zeroizing::new(unsafe { CStr::from_ptr(found) }.to_bytes().to_vec())
        });
        data.zeroize();
        hash
    }
}

/// Compares in a time that depends on the lengths alone, so that nobody who measures it
/// learns how much of a guess was right.
pub(crate) fn is_same_secret(one: &[u8], other: &[u8]) -> bool {
    let differences = one.iter().zip(other).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
    black_box(differences) == 0 && one.len() == other.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// crypt(5) of "secret" with the salt "saltsalt"; any libcrypt computes it.
    const SHA512: &[u8] =
        b"$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1";

    #[cfg(target_os = "linux")]
    #[test]
    fn a_password_matches_its_own_hash_alone() {
        let crypt = Crypt::load().unwrap();
        let hash = crypt.hash(c"secret", c"$6$saltsalt$").unwrap();
        assert_eq!(*hash, SHA512);
        assert_eq!(crypt.verify(c"secret", &hash), Some(true));
        assert_eq!(crypt.verify(c"Secret", &hash), Some(false));
        assert_eq!(crypt.verify(c"", &hash), Some(false));
        assert_eq!(crypt.verify(c"secret", &hash[..hash.len() - 1]), Some(false));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_hash_matches_nothing() {
        let crypt = Crypt::load().unwrap();
        for hash in ["", "*", "!", "!!", "*0", "*1", "x", "$", "$6$", "$9$salt$hash", "secret", "$6$salt\0$"]
        {
            for password in [c"", c"secret", c"*0", c"*1", c"*", c"!"] {
                assert_ne!(crypt.verify(password, hash.as_bytes()), Some(true), "{hash:?}");
            }
        }
        for hash in ["", "*", "!", "!$6$salt$hash", "x", "$6$salt\0$"] {
            assert_eq!(crypt.verify(c"secret", hash.as_bytes()), None, "{hash:?} takes no work");
        }
        crypt.pretend(c"secret");
    }

    #[test]
    fn unequal_lengths_are_not_the_same() {
        assert!(is_same_secret(b"abc", b"abc"));
        assert!(!is_same_secret(b"abc", b"abd"));
        assert!(!is_same_secret(b"abc", b"ab"));
        assert!(!is_same_secret(b"", b"a"));
    }
}
