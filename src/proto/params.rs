//! The transfer parameters of RFC 959 section 3.1: what TYPE, STRU and MODE say of how a
//! file's bytes travel. What they make of those bytes is `codec`'s business.

use super::codec::CodePage;

/// TYPE, STRU and MODE together. The default is section 5.1's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TransferParameters {
    pub representation: RepresentationType,
    pub structure: Structure,
    pub mode: TransferMode,
    /// Which EBCDIC TYPE E means; the administrator's choice.
    pub page: CodePage,
}

/// How the bytes of a file are to be understood: the TYPE command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RepresentationType {
    /// `A`: lines, ended by CR LF on the data connection.
    Ascii(FormatControl),
    /// `E`: the same in EBCDIC.
    Ebcdic(FormatControl),
    /// `I` and `L 8`: bytes.
    Image,
}

impl RepresentationType {
    /// Lines of characters, rather than bytes.
    pub(crate) fn is_text(self) -> bool {
        self != RepresentationType::Image
    }
}

impl Default for RepresentationType {
    fn default() -> RepresentationType {
        RepresentationType::Ascii(FormatControl::NonPrint)
    }
}

/// What a printer would make of the lines: the second letter of TYPE. A disk keeps them as
/// they come, and gives them back so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormatControl {
    /// `N`: they are not for a printer. The default.
    NonPrint,
    /// `T`: form feeds and their like move the paper.
    Telnet,
    /// `C`: the first character of each line does (ASA).
    CarriageControl,
}

/// What a file is made of: the STRU command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Structure {
    /// `F`: bytes, one after the other.
    #[default]
    File,
    /// `R`: records, which are lines on this host.
    Record,
}

/// How the bytes are packed for the data connection: the MODE command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TransferMode {
    /// `S`: not at all. The end of the data connection is the end of the file.
    #[default]
    Stream,
    /// `B`: in blocks, of which one says that it is the last.
    Block,
    /// `C`: in strings, of which those that repeat a byte are short; one says that it is the last.
    Compressed,
}

impl TransferMode {
    /// The end of the data connection is the end of the file. In other modes a mark is, and the
    /// data connection stays for the next file.
    pub(crate) fn ends_with_connection(self) -> bool {
        self == TransferMode::Stream
    }
}
