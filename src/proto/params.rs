//! The transfer parameters of RFC 959 section 3.1 and 3.4: representation type,
//! file structure, transfer mode.

/// How the bytes of a file are to be understood: the TYPE command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum RepresentationType {
    /// `A`: lines, ended by CR LF on the data connection. RFC 959's default.
    #[default]
    Ascii,
    /// `I` and `L 8`: bytes.
    Image,
}

/// The STRU command: `F` alone until record structure comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum FileStructure {
    #[default]
    File,
}

/// The MODE command: `S` alone until block mode comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum TransferMode {
    #[default]
    Stream,
}
