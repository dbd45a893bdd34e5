//! The filter's language: classic BPF as seccomp(2) reads it, with the few forms that the filter uses.

use libc::*;
use seccompiler::{BpfProgram, sock_filter};

pub(super) const ALLOW: u32 = SECCOMP_RET_ALLOW;
pub(super) const REFUSE: u32 = SECCOMP_RET_ERRNO | EPERM as u32;
/// The C library goes on to clone, whose arguments a filter can see.
pub(super) const NO_SUCH_CALL: u32 = SECCOMP_RET_ERRNO | ENOSYS as u32;

pub(super) const LOAD: u32 = BPF_LD | BPF_W | BPF_ABS;
pub(super) const RETURN: u32 = BPF_RET | BPF_K;
pub(super) const EQUAL: u32 = BPF_JMP | BPF_JEQ | BPF_K;
pub(super) const AT_LEAST: u32 = BPF_JMP | BPF_JGE | BPF_K;
pub(super) const ANY_BIT: u32 = BPF_JMP | BPF_JSET | BPF_K;

#[derive(Default)]
pub(super) struct Program(pub(super) BpfProgram);

impl Program {
    fn push(&mut self, code: u32, k: u32, jt: u8, jf: u8) {
        self.0.push(sock_filter { code: code as u16, jt, jf, k });
    }

    pub(super) fn load(&mut self, offset: u32) {
        self.push(LOAD, offset, 0, 0);
    }

    /// The less significant half of an argument, on a little-endian machine.
    pub(super) fn load_low(&mut self, argument: u32) {
        self.load(16 + 8 * argument);
    }

    pub(super) fn load_high(&mut self, argument: u32) {
        self.load(20 + 8 * argument);
    }

    fn answer(&mut self, answer: u32) {
        self.push(RETURN, answer, 0, 0);
    }

    pub(super) fn if_equal(&mut self, value: u32, answer: u32) {
        self.push(EQUAL, value, 0, 1);
        self.answer(answer);
    }

    pub(super) fn unless_equal(&mut self, value: u32, answer: u32) {
        self.push(EQUAL, value, 1, 0);
        self.answer(answer);
    }

    /// Finds out whether the system call is in the sorted list, by halving it again and again. The
    /// kernel runs each new filter once for every number that there is, to know which it always
    /// allows: with one comparison after the other this would be most of what a login costs.
    pub(super) fn refuse_all(&mut self, refused: &[u32]) {
        const FEW: usize = 3;
        if refused.len() <= FEW {
            let count = refused.len() as u8;
            for (distance, &number) in (1..=count).rev().zip(refused) {
                self.push(EQUAL, number, distance, 0);
            }
            self.answer(ALLOW);
            return self.answer(REFUSE);
        }
        let (below, above) = refused.split_at(refused.len() / 2);
        let mut branch = Program::default();
        branch.refuse_all(below);
        let over = u8::try_from(branch.0.len()).expect("a jump reaches over half of the list");
        self.push(AT_LEAST, above[0], over, 0);
        self.0.append(&mut branch.0);
        self.refuse_all(above);
    }

    pub(super) fn if_at_least(&mut self, value: u32, answer: u32) {
        self.push(AT_LEAST, value, 0, 1);
        self.answer(answer);
    }

    pub(super) fn unless_any_bit(&mut self, bits: u32, answer: u32) {
        self.push(ANY_BIT, bits, 1, 0);
        self.answer(answer);
    }

    /// For this system call alone, `check`, which may load arguments and
    /// answer; then it is allowed.
    pub(super) fn with_argument(&mut self, number: c_long, check: impl FnOnce(&mut Program)) {
        let mut branch = Program::default();
        check(&mut branch);
        branch.answer(ALLOW);
        let over = u8::try_from(branch.0.len()).expect("a jump reaches over the branch");
        self.push(EQUAL, number as u32, 0, over);
        self.0.append(&mut branch.0);
    }
}
