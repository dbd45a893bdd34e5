//! What a module asks and is answered while it decides: struct pam_conv.

use std::ffi::{CString, c_char, c_int};
use std::ptr;

use zeroize::Zeroizing;

use super::numbers::{code, style};

/// struct pam_conv: whom a module asks when it wants to know something.
#[repr(C)]
pub(super) struct Conversation {
    pub(super) converse:
        unsafe extern "C" fn(c_int, *const *const Message, *mut *mut Response, *const Answers) -> c_int,
    pub(super) answers: *const Answers,
}

pub(super) struct Answers {
    pub(super) user: CString,
    /// With the NUL at its end.
    pub(super) password: Zeroizing<Vec<u8>>,
}

/// struct pam_message.
#[repr(C)]
pub(super) struct Message {
    style: c_int,
    text: *const c_char,
}

/// struct pam_response; memory of malloc(3), which the module frees.
#[repr(C)]
pub(super) struct Response {
    text: *mut c_char,
    unused: c_int,
}

/// A prompt that hides what is typed gets the password, one that shows it gets
/// the user name; texts have nobody to read them.
pub(super) unsafe extern "C" fn converse(
    count: c_int,
    messages: *const *const Message,
    responses: *mut *mut Response,
    answers: *const Answers,
) -> c_int {
    /// PAM_MAX_NUM_MSG.
    const MOST: usize = 32;
    let count = usize::try_from(count).unwrap_or(0);
    if count == 0 || count > MOST || messages.is_null() || responses.is_null() || answers.is_null() {
        return code::CONV_ERR;
    }
    // SAFETY: the pointer is the one given to pam_start, to what the transaction owns.
    let answers = unsafe { &*answers };
    // SAFETY: calloc may be called with any numbers; null is looked for.
    let array: *mut Response = unsafe { libc::calloc(count, size_of::<Response>()) }.cast();
    if array.is_null() {
        return code::BUF_ERR;
    }
    for index in 0..count {
        // SAFETY: PAM passes `count` pointers to messages.
        let style = unsafe { (**messages.add(index)).style };
        let text = match style {
            style::PROMPT_ECHO_OFF => answers.password.as_ptr().cast(),
            style::PROMPT_ECHO_ON => answers.user.as_ptr(),
            style::ERROR_MSG | style::TEXT_INFO => continue,
            _ => ptr::null(), // strdup is not for it; the module gets an error.
        };
        let copy = if text.is_null() {
            ptr::null_mut()
        } else {
            // SAFETY: both answers end in NUL.
            unsafe { libc::strdup(text) }
        };
        if copy.is_null() {
            // SAFETY: the array has `count` elements, those not yet set are zero.
            unsafe { free_responses(array, count) };
            return code::CONV_ERR;
        }
        // SAFETY: the array has `count` elements.
        unsafe { (*array.add(index)).text = copy };
    }
    // SAFETY: PAM passes a place for the array, and frees it.
    unsafe { *responses = array };
    code::SUCCESS
}

/// # Safety
/// `array` came from calloc with `count` elements, whose texts are null or from strdup.
unsafe fn free_responses(array: *mut Response, count: usize) {
    for index in 0..count {
        // SAFETY: the array has `count` elements.
        let text = unsafe { (*array.add(index)).text };
        if !text.is_null() {
            // SAFETY: the text ends in NUL.
            let length = unsafe { libc::strlen(text) };
            // SAFETY: so many bytes are ours; one of them may be a password's.
            unsafe { ptr::write_bytes(text, 0, length) };
            // SAFETY: it came from strdup.
            unsafe { libc::free(text.cast()) };
        }
    }
    // SAFETY: it came from calloc.
    unsafe { libc::free(array.cast()) };
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    fn ask(styles: &[c_int]) -> (c_int, Vec<Option<CString>>) {
        let answers = Answers { user: c"joe".to_owned(), password: Zeroizing::new(b"secret\0".to_vec()) };
        let messages: Vec<Message> =
            styles.iter().map(|&style| Message { style, text: c"?".as_ptr() }).collect();
        let pointers: Vec<*const Message> = messages.iter().map(|message| &raw const *message).collect();
        let mut responses = ptr::null_mut();
        // SAFETY: as many pointers as are said, a place for the answer, and live answers.
        let result = unsafe {
            converse(styles.len() as c_int, pointers.as_ptr(), &raw mut responses, &raw const answers)
        };
        if responses.is_null() {
            return (result, Vec::new());
        }
        let texts = (0..styles.len())
            .map(|index| {
                // SAFETY: there is a response to every message.
                let text = unsafe { (*responses.add(index)).text };
                // SAFETY: what is not null ends in NUL.
                (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_owned())
            })
            .collect();
        // SAFETY: the array is the one that was answered, and not used again.
        unsafe { free_responses(responses, styles.len()) };
        (result, texts)
    }

    #[test]
    fn a_hidden_prompt_gets_the_password_and_a_shown_one_the_name() {
        let (result, texts) =
            ask(&[style::TEXT_INFO, style::PROMPT_ECHO_OFF, style::PROMPT_ECHO_ON, style::ERROR_MSG]);
        assert_eq!(result, code::SUCCESS);
        assert_eq!(texts, [None, Some(c"secret".to_owned()), Some(c"joe".to_owned()), None]);
    }

    #[test]
    fn an_unknown_or_endless_conversation_is_an_error() {
        assert_eq!(ask(&[style::PROMPT_ECHO_OFF, 99]), (code::CONV_ERR, vec![]));
        assert_eq!(ask(&[]), (code::CONV_ERR, vec![]));
        assert_eq!(ask(&[style::TEXT_INFO; 33]), (code::CONV_ERR, vec![]));
    }
}
