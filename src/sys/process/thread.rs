//! Threads: what one is called, and the memory of its stack.

/// Gives the pages of the calling thread's stack that lie below the caller back to the system: a
/// deep call that is over, such as a login, must not cost memory for as long as the thread waits.
/// Does nothing where the system does not say where the stack is.
#[cfg(target_os = "linux")]
#[inline(never)]
pub(crate) fn release_stack() {
    /// Calls this deep go on as they are: the one below is all there is, and this frame is small.
    const KEPT: usize = 512;
    let Some(bottom) = stack_bottom() else { return };
    let here = std::hint::black_box(0_u8);
    let top = (&raw const here).addr().saturating_sub(KEPT) & !(rustix::param::page_size() - 1);
    let Some(length) = top.checked_sub(bottom) else { return };
    // SAFETY: the range is part of this thread's own stack and below everything that is in use
    // on it; the stack is grown into again with zeroed pages.
    let advised =
        unsafe { libc::madvise(std::ptr::without_provenance_mut(bottom), length, libc::MADV_DONTNEED) };
    debug_assert_eq!(advised, 0);
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn release_stack() {}

/// The lowest address of the calling thread's stack.
#[cfg(target_os = "linux")]
#[inline(never)]
fn stack_bottom() -> Option<usize> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: the pointer is to room for what the call writes; the thread is the calling one.
    if unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    let (mut bottom, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the attributes were written by pthread_getattr_np, both results are live variables.
    let found = unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut bottom, &raw mut size) };
    // SAFETY: the attributes were written by pthread_getattr_np and are not used after this.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    (found == 0).then(|| bottom.addr().next_multiple_of(rustix::param::page_size()))
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
