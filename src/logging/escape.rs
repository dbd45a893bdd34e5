//! Clients' bytes in the lines of a log: escaped, so that they cannot pass for anything else.

use std::fmt::{self, Display, Write};

/// `bytes` for people: visible characters and spaces stay, everything else and the backslash is escaped.
/// For path-names and the messages of other programs.
pub(crate) fn text(bytes: &[u8]) -> impl Display + '_ {
    Escaped { bytes, spaces: true }
}

/// `bytes` as one word: [`text`] with its spaces escaped. For user names and other words that a program
/// finds by their place in the line.
pub(crate) fn word(bytes: &[u8]) -> impl Display + '_ {
    Escaped { bytes, spaces: false }
}

/// Whether `c` is visible: no control character, no blank, no bidirectional mark.
pub(super) fn is_visible(c: char) -> bool {
    c.is_ascii_graphic() || !c.is_ascii() && !c.is_whitespace() && c.escape_debug().count() == 1
}

struct Escaped<'a> {
    bytes: &'a [u8],
    spaces: bool,
}

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\\' => f.write_str("\\\\")?,
                    ' ' if self.spaces => f.write_char(' ')?,
                    _ if is_visible(c) => f.write_char(c)?,
                    _ => write_hex(f, c.encode_utf8(&mut [0; 4]).as_bytes())?,
                }
            }
            write_hex(f, chunk.invalid())?;
        }
        Ok(())
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_cannot_forge_a_record_or_a_word() {
        let name = b"x\nNov  1 ftpd[1]: FTP LOGIN FAILED FROM 192.0.2.1";
        let logged = word(name).to_string();
        assert!(!logged.contains([' ', '\n']), "{logged}");
        assert!(logged.starts_with("x\\x0aNov\\x20"));
    }

    #[test]
    fn names_in_any_script_stay_readable() {
        assert_eq!(text("Übersicht 中文.txt".as_bytes()).to_string(), "Übersicht 中文.txt");
    }

    #[test]
    fn what_has_no_shape_is_escaped() {
        assert_eq!(text(b"a\\b\xff\x1b[2J").to_string(), "a\\\\b\\xff\\x1b[2J");
        assert_eq!(text("a\u{202e}b\u{2028}".as_bytes()).to_string(), "a\\xe2\\x80\\xaeb\\xe2\\x80\\xa8");
        assert_eq!(word("a\u{a0}b".as_bytes()).to_string(), "a\\xc2\\xa0b");
    }

    #[test]
    fn different_names_are_logged_differently() {
        assert_ne!(text(b"\\x0a").to_string(), text(b"\n").to_string());
    }
}
