//! Replies: a code that is a type, a text, and their bytes on the control connection.
//!
//! RFC 959 section 4.2; RFC 2228, 2389, 2428 and 4217 for the codes that came later.

/// A reply code, by the words of the RFC that defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyCode {
    /// Data connection already open; transfer starting.
    DataConnectionOpen = 125,
    /// File status okay; about to open data connection.
    FileStatusOkay = 150,
    /// Command okay.
    CommandOkay = 200,
    /// Command not implemented, superfluous at this site.
    Superfluous = 202,
    /// System status, or system help reply.
    SystemStatus = 211,
    /// Directory status.
    DirectoryStatus = 212,
    /// File status.
    FileStatus = 213,
    /// Help message.
    HelpMessage = 214,
    /// NAME system type.
    SystemType = 215,
    /// Service ready for new user.
    ServiceReady = 220,
    /// Service closing control connection.
    ServiceClosing = 221,
    /// Data connection open; no transfer in progress.
    NoTransfer = 225,
    /// Closing data connection; requested file action successful.
    ClosingDataConnection = 226,
    /// Entering passive mode (h1,h2,h3,h4,p1,p2).
    EnteringPassiveMode = 227,
    /// Entering long passive mode (RFC 1639).
    EnteringLongPassiveMode = 228,
    /// Entering extended passive mode (RFC 2428).
    EnteringExtendedPassiveMode = 229,
    /// User logged in, proceed.
    LoggedIn = 230,
    /// User logged in, authorized by security data exchange (RFC 2228).
    LoggedInBySecurityExchange = 232,
    /// Security data exchange complete (RFC 2228).
    SecurityExchangeComplete = 234,
    /// Requested file action okay, completed.
    FileActionOkay = 250,
    /// "PATHNAME" created.
    PathnameCreated = 257,
    /// User name okay, need password.
    NeedPassword = 331,
    /// Requested file action pending further information.
    PendingInformation = 350,
    /// Service not available, closing control connection.
    ServiceNotAvailable = 421,
    /// Can't open data connection.
    CannotOpenDataConnection = 425,
    /// Connection closed; transfer aborted.
    TransferAborted = 426,
    /// Requested file action not taken: file unavailable (e.g. busy).
    FileBusy = 450,
    /// Requested action aborted: local error in processing.
    LocalError = 451,
    /// Requested action not taken: insufficient storage space.
    InsufficientStorage = 452,
    /// Syntax error, command unrecognized.
    SyntaxError = 500,
    /// Syntax error in parameters or arguments.
    ArgumentError = 501,
    /// Command not implemented.
    NotImplemented = 502,
    /// Bad sequence of commands.
    BadSequence = 503,
    /// Command not implemented for that parameter.
    ParameterNotImplemented = 504,
    /// Data connection cannot be opened with this PROT setting (RFC 4217); supported address
    /// families are (af1, af2, ..., afn) (RFC 1639).
    DataConnectionRefused = 521,
    /// Network protocol not supported (RFC 2428); the data connection's TLS is not
    /// what it should be (RFC 4217).
    ProtocolNotSupported = 522,
    /// Not logged in.
    NotLoggedIn = 530,
    /// Command protection level denied for policy reasons (RFC 2228).
    CommandProtectionDenied = 533,
    /// Request denied for policy reasons (RFC 2228).
    DeniedForPolicy = 534,
    /// Requested PROT level not supported by mechanism (RFC 2228).
    ProtectionNotSupported = 536,
    /// Requested action not taken: file unavailable.
    FileUnavailable = 550,
    /// Requested file action aborted: exceeded storage allocation.
    ExceededStorage = 552,
    /// Requested action not taken: file name not allowed.
    NameNotAllowed = 553,
    /// Requested action not taken: invalid REST parameter (RFC 3659).
    InvalidRestart = 554,
}

/// One reply: preliminary, final or intermediate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    code: ReplyCode,
    /// At least one line, without its end.
    lines: Vec<Vec<u8>>,
}

impl Reply {
    /// A reply of one line. What cannot stand in a line is shown as `?`.
    pub(crate) fn new(code: ReplyCode, text: impl AsRef<[u8]>) -> Reply {
        Reply { code, lines: vec![text.as_ref().to_vec()] }
    }

    /// A reply of several lines: `first`, then `middle` each begun with a space, then `last`.
    /// A client that looks for the code and a space sees it on the last line only.
    pub(crate) fn with_lines<L: AsRef<[u8]>>(
        code: ReplyCode,
        first: impl AsRef<[u8]>,
        middle: impl IntoIterator<Item = L>,
        last: impl AsRef<[u8]>,
    ) -> Reply {
        let mut lines = vec![first.as_ref().to_vec()];
        lines.extend(middle.into_iter().map(|line| [b" ", line.as_ref()].concat()));
        lines.push(last.as_ref().to_vec());
        Reply { code, lines }
    }

    /// `lines`, each with the code and a hyphen in front as ftpd has them, then `last`.
    pub(crate) fn after_lines<L: AsRef<[u8]>>(
        code: ReplyCode,
        lines: impl IntoIterator<Item = L>,
        last: impl AsRef<[u8]>,
    ) -> Reply {
        let mut whole: Vec<Vec<u8>> = Vec::new();
        for line in lines {
            // The first line gets its code when it is sent.
            let code = if whole.is_empty() { String::new() } else { format!("{}-", code as u16) };
            whole.push([code.as_bytes(), line.as_ref()].concat());
        }
        whole.push(last.as_ref().to_vec());
        Reply { code, lines: whole }
    }

    /// 257's form: `path` in quotation marks, those inside it doubled, then `text`.
    /// RFC 959 appendix II.
    pub(crate) fn pathname(path: &[u8], text: &str) -> Reply {
        let mut line = vec![b'"'];
        for &byte in path {
            line.push(byte);
            if byte == b'"' {
                line.push(b'"');
            }
        }
        line.push(b'"');
        if !text.is_empty() {
            line.push(b' ');
            line.extend_from_slice(text.as_bytes());
        }
        Reply::new(ReplyCode::PathnameCreated, line)
    }

    /// The same words under another code.
    pub(crate) fn with_code(self, code: ReplyCode) -> Reply {
        Reply { code, ..self }
    }

    pub(crate) fn code(&self) -> ReplyCode {
        self.code
    }

    /// 1yz: another reply follows.
    pub(crate) fn is_preliminary(&self) -> bool {
        (self.code as u16) < 200
    }

    /// 4yz and 5yz: the action was not done.
    pub(crate) fn is_negative(&self) -> bool {
        self.code as u16 >= 400
    }

    /// The bytes for the control connection: CR LF at the end of each line and nowhere
    /// else, CR alone as CR NUL, and the Telnet IAC doubled, so that no name can end a reply or
    /// begin another. There is no way to write LF or NUL.
    pub(crate) fn to_wire(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(self.lines.iter().map(|line| line.len() + 8).sum());
        let last = self.lines.len() - 1;
        for (index, line) in self.lines.iter().enumerate() {
            if index == 0 || index == last {
                let separator = if index == last { ' ' } else { '-' };
                wire.extend_from_slice(format!("{}{separator}", self.code as u16).as_bytes());
            }
            for (at, &byte) in line.iter().enumerate() {
                match byte {
                    b'\r' if line.get(at + 1) != Some(&b'\n') => wire.extend_from_slice(b"\r\0"),
                    // Lines of listings have it so already.
                    0 if at > 0 && line[at - 1] == b'\r' => (),
                    b'\r' | b'\n' | 0 => wire.push(b'?'),
                    0xFF => wire.extend_from_slice(&[0xFF, 0xFF]),
                    _ => wire.push(byte),
                }
            }
            wire.extend_from_slice(b"\r\n");
        }
        wire
    }

    /// The first line as text, for the debug log.
    pub(crate) fn for_log(&self) -> String {
        format!("{} {}", self.code as u16, String::from_utf8_lossy(&self.lines[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newline_in_a_file_name_cannot_forge_a_reply() {
        let reply = Reply::new(ReplyCode::FileUnavailable, "a\r\n230 b: No such file.");
        assert_eq!(reply.to_wire(), b"550 a??230 b: No such file.\r\n");
    }

    #[test]
    fn a_carriage_return_in_a_path_can_be_sent_again() {
        let reply = Reply::pathname(b"/a\rb\r", "created.");
        assert_eq!(reply.to_wire(), b"257 \"/a\r\0b\r\0\" created.\r\n");
        assert_eq!(Reply::new(ReplyCode::CommandOkay, "a\r\0b\0").to_wire(), b"200 a\r\0b?\r\n");
        assert_eq!(Reply::new(ReplyCode::CommandOkay, "a\r").to_wire(), b"200 a\r\0\r\n");
    }

    #[test]
    fn quotation_marks_in_a_path_are_doubled() {
        let reply = Reply::pathname(b"/a\"b", "created.");
        assert_eq!(reply.to_wire(), b"257 \"/a\"\"b\" created.\r\n");
    }

    #[test]
    fn the_code_and_a_space_stand_on_the_last_line_alone() {
        let reply = Reply::with_lines(ReplyCode::SystemStatus, "Status", ["211 not the end", "x"], "End");
        assert_eq!(reply.to_wire(), b"211-Status\r\n 211 not the end\r\n x\r\n211 End\r\n");
    }

    #[test]
    fn a_text_in_front_of_a_reply_cannot_end_it() {
        let reply = Reply::after_lines(ReplyCode::ServiceReady, ["one", "220 two", ""], "Ready.");
        assert_eq!(reply.to_wire(), b"220-one\r\n220-220 two\r\n220-\r\n220 Ready.\r\n");
        assert_eq!(
            Reply::after_lines(ReplyCode::ServiceReady, [""; 0], "Ready.").to_wire(),
            b"220 Ready.\r\n"
        );
    }

    #[test]
    fn a_telnet_iac_is_doubled() {
        assert_eq!(Reply::new(ReplyCode::CommandOkay, [0xFF]).to_wire(), b"200 \xFF\xFF\r\n");
    }
}
