//! Threads: what one is called, and the memory of its stack.

/// Gives the pages of the calling thread's stack that lie below the caller back to the system.
///
/// A login goes deep, and then most sessions wait, some of them for hours, with what they had
/// deepest still in memory. Measured on x86-64, release build, as the private memory of the
/// process for each idle session: 36 KiB in place of 48 with TLS (500 sessions), 17 in place of
/// 20 in the clear (500, anonymous), 22 in place of 26 of accounts (100).
#[cfg(target_os = "linux")]
pub(crate) fn release_stack() {
    // The main thread's stack has no bottom that stays: the system lets it grow.
    if rustix::thread::gettid() == rustix::process::getpid() {
        return;
    }
    let page = rustix::param::page_size();
    if let Some(bottom) = stack_bottom() {
        give_back_below_here(bottom.next_multiple_of(page), page);
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn release_stack() {}

/// Neither this function nor the one that it calls has anything but a few numbers on the stack.
#[cfg(target_os = "linux")]
#[inline(never)]
fn give_back_below_here(bottom: usize, page: usize) {
    /// Many times what the two need.
    const KEPT: usize = 512;
    let here = std::hint::black_box(0_u8);
    let top = (&raw const here).addr().saturating_sub(KEPT) & !(page - 1);
    let length = top.saturating_sub(bottom);
    // SAFETY: the pages are this thread's own stack, which has nothing in use below `top`; where
    // it grows there again, it finds zeros.
    unsafe { libc::madvise(std::ptr::without_provenance_mut(bottom), length, libc::MADV_DONTNEED) };
}

/// The lowest address of the calling thread's stack.
#[cfg(target_os = "linux")]
fn stack_bottom() -> Option<usize> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: takes nothing, and cannot fail.
    let this_thread = unsafe { libc::pthread_self() };
    // SAFETY: the thread lives, and there is room for what the call writes.
    if unsafe { libc::pthread_getattr_np(this_thread, attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    let (mut bottom, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the attributes were written by pthread_getattr_np, both results are live variables.
    let found = unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut bottom, &raw mut size) };
    // SAFETY: the attributes were written by pthread_getattr_np and are not used after this.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    (found == 0).then(|| bottom.addr())
}

/// A number that no other thread of the machine has while the calling one lives; elsewhere that of
/// the process, which has one session there.
pub(crate) fn thread_number() -> u64 {
    #[cfg(target_os = "linux")]
    let number = rustix::thread::gettid();
    #[cfg(not(target_os = "linux"))]
    let number = rustix::process::getpid();
    number.as_raw_nonzero().get().unsigned_abs().into()
}

/// What the calling thread is called, where the system shows that; cut at 15 bytes.
#[cfg(target_os = "linux")]
pub(crate) fn name_thread(name: &str) {
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = rustix::thread::set_name(&name); // Only for the eye.
    }
}

/// What the calling thread is called, where the system shows that.
#[cfg(not(target_os = "linux"))]
pub(crate) fn name_thread(_name: &str) {}

/// What ps(1) calls the process, in place of the name of the file that was executed, `exe`.
#[cfg(target_os = "linux")]
pub(crate) fn name_process(name: &std::ffi::CStr) {
    let _ = rustix::thread::set_name(name); // Only for the eye.
}

/// What the process was started with is shown there.
#[cfg(not(target_os = "linux"))]
pub(crate) fn name_process(_name: &std::ffi::CStr) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_stack_can_be_grown_into_again() {
        fn deep(levels: u32) -> u32 {
            let page = std::hint::black_box([levels as u8; 4096]);
            if levels == 0 { 0 } else { deep(levels - 1) + u32::from(page[17] != 0) }
        }
        let kept = vec![deep(20); 3];
        release_stack();
        assert_eq!((deep(20), kept), (20, vec![20; 3]));
    }
}
