//! hosts.allow and hosts.deny, which libwrap obeys for servers that inetd starts, and ferryd does not.

use std::path::Path;

use crate::account::read_admin_file;
use crate::logging;

/// The names that an FTP server has in these files.
const DAEMONS: [&[u8]; 3] = [b"ftpd", b"in.ftpd", b"ferryd"];

/// A line for each rule of these files that somebody may think this server obeys.
pub(super) fn warnings(dir: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    for name in ["hosts.allow", "hosts.deny"] {
        let path = dir.join(name);
        // A file that cannot be read has no rule that is known.
        let contents = read_admin_file(&path).ok().flatten().unwrap_or_default();
        for (number, line) in contents.split(|&byte| byte == b'\n').enumerate() {
            if is_for_us(line, name == "hosts.deny") {
                let (place, rule) = (path.display(), logging::text(line.trim_ascii()));
                warnings.push(format!(
                    "{place}:{}: `{rule}` is not obeyed here: ftphosts says who may come from where",
                    number + 1
                ));
            }
        }
    }
    warnings
}

/// Whether a line is about an FTP server: `daemon[@host] ... : client ...`.
fn is_for_us(line: &[u8], denies: bool) -> bool {
    let line = line.trim_ascii();
    let Some(end) = line.iter().position(|&byte| byte == b':').filter(|_| !line.starts_with(b"#")) else {
        return false;
    };
    let mut words = line[..end].split(|byte| byte.is_ascii_whitespace() || *byte == b',');
    words.any(|word| {
        let daemon = word.split(|&byte| byte == b'@').next().unwrap_or_default();
        // A rule that lets everybody in is obeyed by itself.
        DAEMONS.contains(&daemon) || (denies && daemon == b"ALL")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_for_ftp_servers_are_known() {
        for (line, in_allow, in_deny) in [
            ("ftpd: 192.0.2.", true, true),
            (" sshd, in.ftpd@192.0.2.1 : ALL", true, true),
            ("ALL: ALL", false, true),
            ("ALL EXCEPT sshd: ALL", false, true),
            ("sshd: ftpd", false, false),
            ("# ftpd: ALL", false, false),
            ("vsftpd: ALL", false, false),
            ("ftpd", false, false),
            ("", false, false),
        ] {
            let found = [false, true].map(|denies| is_for_us(line.as_bytes(), denies));
            assert_eq!(found, [in_allow, in_deny], "{line}");
        }
    }
}
