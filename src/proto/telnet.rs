//! Octets to command lines: CR LF, the Telnet commands among them, over-long lines.
//!
//! RFC 959 section 4.1 and RFC 1123 section 4.1.2.12 for what of Telnet FTP has;
//! RFC 854 for the octets; RFC 3659 section 2.2 for CR and LF inside a path-name.

use std::collections::VecDeque;

/// The most bytes a line may have, without its end: a path of the kernel's PATH_MAX and its verb.
pub(crate) const MAX_LINE: usize = 4096 + 512;

/// The most lines, and bytes in them, that wait their turn while a transfer runs. Many clients may
/// make the server keep them at once.
const MAX_QUEUED: usize = 1024;
const MAX_QUEUED_BYTES: usize = 64 << 10;

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;
/// The lowest octet that means something after IAC. Before any other one IAC is a letter of a name:
/// that of clients which do not double it, and write names in other alphabets than UTF-8's.
const FIRST_COMMAND: u8 = SE;

/// What came over the control connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Command(Vec<u8>),
    /// It went on for longer than MAX_LINE; what it said is forgotten.
    TooLong,
}

/// How this client ends its lines, learned from the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Unknown,
    /// RFC 959: CR LF. A bare LF inside a line is part of a path-name.
    CrLf,
    /// A client that ends lines with LF alone.
    Lf,
}

/// Takes the octets of a control connection and gives its lines.
#[derive(Debug)]
pub(crate) struct LineReader {
    lines: VecDeque<Line>,
    line: Vec<u8>,
    too_long: bool,
    state: State,
    ending: Ending,
    /// The last octet was a bare LF, which may yet turn out to end the line.
    bare_lf: bool,
    /// Telnet answers to be sent to the client.
    answers: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Data,
    /// After CR: LF ends the line, NUL makes it a CR, anything else too.
    Cr,
    Iac,
    /// After IAC WILL, WONT, DO or DONT: the option follows.
    Option(u8),
    /// Inside IAC SB … IAC SE.
    Sub,
    SubIac,
}

impl Default for LineReader {
    fn default() -> LineReader {
        LineReader {
            lines: VecDeque::new(),
            line: Vec::new(),
            too_long: false,
            state: State::Data,
            ending: Ending::Unknown,
            bare_lf: false,
            answers: Vec::new(),
        }
    }
}

impl LineReader {
    /// Takes `bytes` as they came.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.octet(byte);
        }
    }

    /// The next whole line.
    pub(crate) fn next_line(&mut self) -> Option<Line> {
        self.lines.pop_front()
    }

    /// Whether more may be read without growing beyond bounds.
    pub(crate) fn has_room(&self) -> bool {
        let bytes = |line: &Line| match line {
            Line::Command(command) => command.len(),
            Line::TooLong => 0,
        };
        self.lines.len() < MAX_QUEUED && self.lines.iter().map(bytes).sum::<usize>() < MAX_QUEUED_BYTES
    }

    /// Whether what has come ends with a bare LF, of which only the client's silence
    /// can tell that it was meant to end the line.
    pub(crate) fn ends_with_bare_lf(&self) -> bool {
        self.bare_lf
    }

    /// Nothing follows the bare LF: it, and those before it, ended lines.
    pub(crate) fn end_at_bare_lf(&mut self) {
        if self.too_long {
            return self.finish_line();
        }
        self.bare_lf = false;
        let line = std::mem::take(&mut self.line);
        let body = line.strip_suffix(b"\n").unwrap_or(&line);
        self.lines.extend(body.split(|&byte| byte == b'\n').map(|line| Line::Command(line.to_vec())));
    }

    /// Takes out the waiting lines for which `pick` is true, and says which they were.
    pub(crate) fn take_matching(&mut self, pick: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        let mut kept = VecDeque::with_capacity(self.lines.len());
        for line in self.lines.drain(..) {
            match line {
                Line::Command(command) if pick(&command) => taken.push(command),
                other => kept.push_back(other),
            }
        }
        self.lines = kept;
        taken
    }

    /// Whether a waiting line satisfies `test`.
    pub(crate) fn any_line(&self, test: impl Fn(&[u8]) -> bool) -> bool {
        self.lines.iter().any(|line| matches!(line, Line::Command(command) if test(command)))
    }

    /// What Telnet wants answered, once.
    pub(crate) fn take_answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.answers)
    }

    fn octet(&mut self, byte: u8) {
        self.bare_lf = false;
        match self.state {
            State::Data | State::Cr if byte == IAC => {
                self.settle_cr();
                self.state = State::Iac;
            }
            State::Cr => {
                self.state = State::Data;
                match byte {
                    b'\n' => self.end_line(),
                    0 => self.append(b'\r'),
                    b'\r' => {
                        self.append(b'\r');
                        self.state = State::Cr;
                    }
                    _ => {
                        self.append(b'\r');
                        self.append(byte);
                    }
                }
            }
            State::Data => match byte {
                b'\r' => self.state = State::Cr,
                b'\n' if self.ending == Ending::CrLf => {
                    self.append(b'\n');
                    self.bare_lf = true;
                }
                b'\n' => {
                    self.ending = Ending::Lf;
                    self.finish_line();
                }
                _ => self.append(byte),
            },
            State::Iac => {
                self.state = match byte {
                    WILL | WONT | DO | DONT => State::Option(byte),
                    SB => State::Sub,
                    _ => State::Data,
                };
                match byte {
                    // IAC IAC is the octet 255; interrupt process, data mark and the rest say nothing to FTP.
                    IAC => self.append(IAC),
                    FIRST_COMMAND.. => (),
                    _ => {
                        self.append(IAC);
                        self.octet(byte);
                    }
                }
            }
            State::Option(verb) => {
                self.state = State::Data;
                // Every option is refused; a refusal is not answered, or two sides would never stop.
                let answer = match verb {
                    WILL => DONT,
                    DO => WONT,
                    _ => return,
                };
                // In an argument nobody negotiates: it is a name, and the answer would stand in
                // front of the reply.
                if !self.line.contains(&b' ') && self.answers.len() < MAX_LINE {
                    self.answers.extend_from_slice(&[IAC, answer, byte]);
                }
            }
            State::Sub => match byte {
                IAC => self.state = State::SubIac,
                // No option was agreed on, so that there is nothing to say about one: it is a name.
                b'\n' => {
                    self.state = State::Data;
                    self.end_line();
                }
                _ => (),
            },
            State::SubIac => self.state = if byte == SE { State::Data } else { State::Sub },
        }
    }

    /// A CR before a Telnet command: part of the line.
    fn settle_cr(&mut self) {
        if self.state == State::Cr {
            self.append(b'\r');
        }
    }

    fn append(&mut self, byte: u8) {
        if self.line.is_empty() && byte >= FIRST_COMMAND {
            // No verb begins so: it is what is left of a Telnet command in front of an ABOR, whose
            // IAC, or whose other half, went astray: in urgent data that was sent in pieces.
        } else if self.line.len() < MAX_LINE {
            self.line.push(byte);
        } else {
            self.too_long = true;
        }
    }

    fn end_line(&mut self) {
        if self.ending == Ending::Unknown {
            self.ending = Ending::CrLf;
        }
        self.finish_line();
    }

    fn finish_line(&mut self) {
        self.bare_lf = false;
        let line = std::mem::take(&mut self.line);
        let too_long = std::mem::take(&mut self.too_long);
        self.lines.push_back(if too_long { Line::TooLong } else { Line::Command(line) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Random;

    fn lines(stream: &[u8], chunk: usize) -> (Vec<Line>, LineReader) {
        let mut reader = LineReader::default();
        stream.chunks(chunk).for_each(|bytes| reader.push(bytes));
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line() {
            lines.push(line);
        }
        (lines, reader)
    }

    fn commands(stream: &[u8]) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for chunk in 1..=stream.len() {
            let got: Vec<_> = lines(stream, chunk)
                .0
                .into_iter()
                .map(|line| match line {
                    Line::Command(command) => command,
                    Line::TooLong => b"TOO LONG".to_vec(),
                })
                .collect();
            assert!(chunk == 1 || got == all, "chunks of {chunk}");
            all = got;
        }
        all
    }

    #[test]
    fn lines_end_with_cr_lf_however_they_are_cut() {
        assert_eq!(commands(b"NOOP\r\n\r\nQUIT\r\n"), [&b"NOOP"[..], b"", b"QUIT"]);
    }

    #[test]
    fn a_client_that_ends_its_lines_with_lf_alone_is_understood() {
        assert_eq!(commands(b"NOOP\nQUIT\n"), [b"NOOP", b"QUIT"]);
    }

    #[test]
    fn cr_nul_is_a_cr_and_a_bare_lf_is_part_of_the_name() {
        assert_eq!(commands(b"NOOP\r\nDELE a\r\0b\nc\r\n"), [&b"NOOP"[..], b"DELE a\rb\nc"]);
    }

    #[test]
    fn a_bare_lf_that_nothing_follows_ends_the_line() {
        let (_, mut reader) = lines(b"NOOP\r\nNOOP\nQUIT\n", 100);
        assert!(reader.ends_with_bare_lf());
        reader.end_at_bare_lf();
        assert_eq!(reader.next_line(), Some(Line::Command(b"NOOP".to_vec())));
        assert_eq!(reader.next_line(), Some(Line::Command(b"QUIT".to_vec())));
        assert_eq!(reader.next_line(), None);
    }

    #[test]
    fn telnet_commands_vanish_and_options_are_refused() {
        let stream = b"\xFF\xF4\xFF\xF2ABOR\r\nCWD a\xFF\xFFb\r\n\xFF\xFB\x01\xFF\xFD\x03\xFF\xFC\x01\xFF\xFE\x01\xFF\xFA\x18\x00x\xFF\xF0NOOP\r\n";
        assert_eq!(commands(stream), [&b"ABOR"[..], b"CWD a\xFFb", b"NOOP"]);
        let (_, mut reader) = lines(stream, 3);
        assert_eq!(reader.take_answers(), b"\xFF\xFE\x01\xFF\xFC\x03");
    }

    #[test]
    fn pieces_of_a_telnet_command_do_not_hide_the_verb_behind_them() {
        assert_eq!(commands(b"\xF4\xFFABOR\r\n\xF2ABOR\r\n\xFF\xF4\xFFABOR\r\n"), [b"ABOR"; 3]);
        assert_eq!(commands(b"\xFF\r\nNOOP\r\n"), [&b""[..], b"NOOP"]);
        assert_eq!(commands(b"CWD \xF4\r\n"), [b"CWD \xF4"]);
    }

    #[test]
    fn iac_before_anything_but_a_telnet_command_is_a_letter_of_the_name() {
        for (sent, meant) in [
            (&b"STOR a\xFF"[..], &b"STOR a\xFF"[..]),
            (b"MKD \xFF\xE1x", b"MKD \xFF\xE1x"),
            (b"MKD \xFF\xEFx", b"MKD \xFF\xEFx"),
            (b"MKD \xFF\xFF\xE1x", b"MKD \xFF\xE1x"),
            (b"MKD \xFF \xFF\xFF", b"MKD \xFF \xFF"),
            (b"MKD \xFF\xFF\xFFx", b"MKD \xFF\xFFx"),
            (b"MKD \xFF\xFF\xFF\xFF", b"MKD \xFF\xFF"),
            (b"MKD a\xFF\xF4b\xFF\xF2c", b"MKD abc"),
            (b"MKD \xFF\r\0x", b"MKD \xFF\rx"),
            (b"MKD a\r\xFF\xFFx", b"MKD a\r\xFFx"),
            (b"MKD a\r\xFFx", b"MKD a\r\xFFx"),
        ] {
            assert_eq!(commands(&[sent, b"\r\n"].concat()), [meant], "{}", sent.escape_ascii());
        }
    }

    #[test]
    fn nothing_in_an_argument_is_answered_and_no_line_is_swallowed() {
        let stream = b"STOR a\xFF\xFD\x01b\r\nMKD \xFF\xFAdir\r\n\xFF\xFA\x18\r\nNOOP\r\n";
        let (lines, mut reader) = lines(stream, 4);
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0], Line::Command(b"STOR ab".to_vec()));
        assert_eq!(lines[3], Line::Command(b"NOOP".to_vec()));
        assert_eq!(reader.take_answers(), b"");
    }

    #[test]
    fn an_over_long_line_is_one_line() {
        let mut stream = vec![b'a'; 100_000];
        stream.extend_from_slice(b"\r\nNOOP\r\n");
        let (lines, _) = lines(&stream, 4096);
        assert_eq!(lines, [Line::TooLong, Line::Command(b"NOOP".to_vec())]);
    }

    #[test]
    fn few_long_lines_or_many_short_ones_are_kept_waiting() {
        let mut reader = LineReader::default();
        for _ in 0..MAX_QUEUED_BYTES / 4000 {
            assert!(reader.has_room());
            reader.push(&[[b'a'; 4000].as_slice(), b"\r\n"].concat());
        }
        reader.push(&[[b'a'; 4000].as_slice(), b"\r\n"].concat());
        assert!(!reader.has_room());
        reader.next_line();
        assert!(reader.has_room());

        let mut reader = LineReader::default();
        reader.push(&b"NOOP\r\n".repeat(MAX_QUEUED));
        assert!(!reader.has_room());
    }

    #[test]
    fn any_octets_are_taken_within_bounds() {
        // Half of them from the octets that mean something.
        let special = [IAC, b'\r', b'\n', 0, WILL, DO, SB, SE];
        let mut random = Random::new(1);
        let mut reader = LineReader::default();
        for _ in 0..200_000 {
            let byte = if random.below(2) == 0 { random.below(256) as u8 } else { random.pick(&special) };
            reader.push(&[byte]);
            if reader.ends_with_bare_lf() && random.below(2) == 0 {
                reader.end_at_bare_lf();
            }
            reader.next_line();
            assert!(reader.line.len() <= MAX_LINE && reader.answers.len() < MAX_LINE + 3);
        }
    }
}
