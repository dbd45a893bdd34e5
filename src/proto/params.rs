//! The transfer parameters of RFC 959 section 3.1. File structure and transfer mode
//! have one value each, file and stream.

/// How the bytes of a file are to be understood: the TYPE command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum RepresentationType {
    /// `A`: lines, ended by CR LF on the data connection. RFC 959's default.
    #[default]
    Ascii,
    /// `I` and `L 8`: bytes.
    Image,
}
