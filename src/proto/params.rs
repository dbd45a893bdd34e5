//! The transfer parameters of RFC 959 section 3.1. File structure and transfer mode
//! have one value each, file and stream.

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

/// How the bytes of a file are to be understood: the TYPE command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RepresentationType {
    /// `A`: lines, ended by CR LF on the data connection.
    Ascii(FormatControl),
    /// `I` and `L 8`: bytes.
    Image,
}

impl Default for RepresentationType {
    /// RFC 959 section 5.1.
    fn default() -> RepresentationType {
        RepresentationType::Ascii(FormatControl::NonPrint)
    }
}
