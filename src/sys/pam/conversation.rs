//! What a module asks and is answered while it decides: struct pam_conv.
//!
//! Two kinds of memory cross the border. What PAM is given to keep, the conversation and
//! the answers, is ours: `Lent` frees it, once PAM has ended. What a module gets back for a
//! question is the module's: it comes from malloc(3), and the module calls free(3).

use std::ffi::{CStr, CString, c_char, c_int};
use std::{ptr, slice};

use zeroize::{Zeroize, Zeroizing};

use super::numbers::{code, style};

/// A value whose address PAM keeps. It is freed when this is dropped, and not before: whoever
/// lends one drops it after pam_end(3).
pub(super) struct Lent<T>(*mut T);

impl<T> Lent<T> {
    pub(super) fn new(value: T) -> Lent<T> {
        Lent(Box::into_raw(Box::new(value)))
    }

    pub(super) fn as_ptr(&self) -> *mut T {
        self.0
    }

    pub(super) fn get(&self) -> &T {
        // SAFETY: the value lives as long as this, and PAM only reads it.
        unsafe { &*self.0 }
    }

    pub(super) fn get_mut(&mut self) -> &mut T {
        // SAFETY: the value lives as long as this. PAM reads it only while one of its functions
        // is called, and whoever calls one does not have this borrow.
        unsafe { &mut *self.0 }
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from Box::into_raw, and nobody else takes it back.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// struct pam_conv: whom a module asks when it wants to know something.
#[repr(C)]
pub(super) struct Conversation {
    converse: unsafe extern "C" fn(c_int, *const *const Message, *mut *mut Response, *mut Answers) -> c_int,
    answers: *mut Answers,
}

impl Conversation {
    pub(super) fn new(answers: &Lent<Answers>) -> Conversation {
        Conversation { converse, answers: answers.as_ptr() }
    }
}

pub(super) struct Answers {
    pub(super) user: CString,
    pub(super) password: Zeroizing<Vec<u8>>,
}

impl Answers {
    /// A prompt that hides what is typed gets the password, one that shows it gets the user
    /// name; texts have nobody to read them.
    fn to(&self, style: c_int) -> Answer<'_> {
        match style {
            style::PROMPT_ECHO_OFF => {
                CStr::from_bytes_until_nul(&self.password).map_or(Answer::Refused, Answer::Text)
            }
            style::PROMPT_ECHO_ON => Answer::Text(&self.user),
            style::ERROR_MSG | style::TEXT_INFO => Answer::Nothing,
            _ => Answer::Refused,
        }
    }
}

enum Answer<'a> {
    Text(&'a CStr),
    Nothing,
    /// The module gets an error in place of all answers.
    Refused,
}

/// struct pam_message.
#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

/// struct pam_response.
#[repr(C)]
struct Response {
    text: *mut c_char,
    unused: c_int,
}

/// # Safety
/// What pam_conv(3) promises: `messages` are `count` pointers to messages, `responses` is a
/// place for a pointer, and `answers` is what `Conversation::new` was given.
unsafe extern "C" fn converse(
    count: c_int,
    messages: *const *const Message,
    responses: *mut *mut Response,
    answers: *mut Answers,
) -> c_int {
    /// PAM_MAX_NUM_MSG.
    const MOST: usize = 32;
    let count = usize::try_from(count).unwrap_or(0);
    if count == 0 || count > MOST || messages.is_null() || responses.is_null() || answers.is_null() {
        return code::CONV_ERR;
    }
    // SAFETY: the answers live until pam_end(3) has returned, and nobody changes them during a call.
    let answers: &Answers = unsafe { &*answers };
    // SAFETY: so many pointers to messages, which PAM leaves alone meanwhile.
    let messages: &[&Message] = unsafe { slice::from_raw_parts(messages.cast(), count) };
    let Some(mut given) = Responses::new(count) else { return code::BUF_ERR };
    for (index, message) in messages.iter().enumerate() {
        let fits = match answers.to(message.style) {
            Answer::Text(text) => given.set(index, text),
            Answer::Nothing => true,
            Answer::Refused => false,
        };
        if !fits {
            return code::CONV_ERR;
        }
    }
    // SAFETY: the place for the array is PAM's, which frees the array from here on.
    unsafe { responses.write(given.into_raw()) };
    code::SUCCESS
}

/// An array of responses, until it is PAM's.
struct Responses {
    array: *mut Response,
    count: usize,
}

impl Responses {
    /// As many as there are, all without a text; `None` when there is no memory.
    fn new(count: usize) -> Option<Responses> {
        // SAFETY: calloc takes any two numbers.
        let array: *mut Response = unsafe { libc::calloc(count, size_of::<Response>()) }.cast();
        (!array.is_null()).then_some(Responses { array, count })
    }

    fn as_mut_slice(&mut self) -> &mut [Response] {
        // SAFETY: calloc made room for so many, and zeros are responses without a text.
        unsafe { slice::from_raw_parts_mut(self.array, self.count) }
    }

    /// `false` when there is no memory.
    fn set(&mut self, index: usize, text: &CStr) -> bool {
        let bytes = text.to_bytes_with_nul();
        // SAFETY: calloc takes any two numbers.
        let copy: *mut u8 = unsafe { libc::calloc(bytes.len(), 1) }.cast();
        if copy.is_null() {
            return false;
        }
        // SAFETY: both are so long, and the copy is new.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len()) };
        self.as_mut_slice()[index].text = copy.cast();
        true
    }

    fn into_raw(self) -> *mut Response {
        let array = self.array;
        std::mem::forget(self);
        array
    }
}

impl Drop for Responses {
    fn drop(&mut self) {
        for response in self.as_mut_slice() {
            if !response.text.is_null() {
                // SAFETY: the text came from calloc.
                unsafe { wipe_and_free(response.text) };
            }
        }
        // SAFETY: the array came from calloc, and nobody else has it.
        unsafe { libc::free(self.array.cast()) };
    }
}

/// # Safety
/// `text` came from calloc(3), and nobody uses it again.
unsafe fn wipe_and_free(text: *mut c_char) {
    // SAFETY: the text ends in NUL.
    let length = unsafe { libc::strlen(text) };
    // SAFETY: so many bytes are ours.
    let bytes: &mut [u8] = unsafe { slice::from_raw_parts_mut(text.cast(), length) };
    bytes.zeroize();
    // SAFETY: the caller's promise.
    unsafe { libc::free(text.cast()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a module is answered that sends messages of these styles.
    fn ask(styles: &[c_int]) -> (c_int, Vec<Option<CString>>) {
        let answers = Lent::new(Answers {
            user: c"joe".to_owned(),
            password: Zeroizing::new(c"secret".to_bytes_with_nul().to_vec()),
        });
        let conversation = Lent::new(Conversation::new(&answers));
        let messages: Vec<Message> =
            styles.iter().map(|&style| Message { style, text: c"?".as_ptr() }).collect();
        let pointers: Vec<*const Message> = messages.iter().map(ptr::from_ref).collect();
        let mut array = ptr::null_mut();
        let Conversation { converse, answers: given } = *conversation.get();
        // SAFETY: as many pointers as are said, a place for the answer, and live answers.
        let result = unsafe { converse(styles.len() as c_int, pointers.as_ptr(), &raw mut array, given) };
        if array.is_null() {
            return (result, Vec::new());
        }
        let mut responses = Responses { array, count: styles.len() };
        let texts = responses.as_mut_slice().iter().map(|response| {
            // SAFETY: what is not null ends in NUL.
            (!response.text.is_null()).then(|| unsafe { CStr::from_ptr(response.text) }.to_owned())
        });
        (result, texts.collect())
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

    #[test]
    fn what_is_lent_can_be_changed_between_questions() {
        let mut answers =
            Lent::new(Answers { user: c"joe".to_owned(), password: Zeroizing::new(b"x\0".to_vec()) });
        let address = answers.as_ptr();
        answers.get_mut().password = Zeroizing::new(vec![0]);
        assert_eq!((answers.as_ptr(), &*answers.get().password), (address, &vec![0]));
        assert!(matches!(answers.get().to(style::PROMPT_ECHO_OFF), Answer::Text(text) if text.is_empty()));
    }
}
