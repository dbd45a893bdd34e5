//! Reads the names in a client's certificate, with as much of DER (X.690) as that takes.
//! RFC 5280 section 4.1.

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 6;
const OCTET_STRING: u8 = 4;
const BOOLEAN: u8 = 1;
const UTF8_STRING: u8 = 12;
const PRINTABLE_STRING: u8 = 19;
const IA5_STRING: u8 = 22;
/// Of a certificate: `[0]` its version, `[3]` its extensions.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// GeneralName: rfc822Name.
const E_MAIL: u8 = 0x81;

const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// The common names of the subject, and its e-mail addresses in subjectAltName. None at all,
/// if any of what is read is not as it should be.
pub(crate) fn names_in(certificate: &[u8]) -> Vec<String> {
    read(certificate).unwrap_or_default()
}

fn read(certificate: &[u8]) -> Option<Vec<String>> {
    let mut body = Der(certificate).enter(SEQUENCE)?.enter(SEQUENCE)?;
    if body.0.first() == Some(&VERSION) {
        body.next()?;
    }
    for _ in ["serial number", "algorithm", "issuer", "validity"] {
        body.next()?;
    }
    let mut names = Vec::new();
    let mut subject = body.enter(SEQUENCE)?;
    while !subject.0.is_empty() {
        let mut attributes = subject.enter(SET)?;
        while !attributes.0.is_empty() {
            let mut attribute = attributes.enter(SEQUENCE)?;
            let kind = attribute.enter(OBJECT_IDENTIFIER)?;
            if let (COMMON_NAME, (UTF8_STRING | PRINTABLE_STRING | IA5_STRING, name)) =
                (kind.0, attribute.next()?)
            {
                names.push(str::from_utf8(name).ok()?.to_owned());
            }
        }
    }
    while !body.0.is_empty() {
        let (tag, content) = body.next()?;
        if tag == EXTENSIONS {
            read_extensions(Der(content).enter(SEQUENCE)?, &mut names)?;
        }
    }
    Some(names)
}

fn read_extensions(mut extensions: Der<'_>, names: &mut Vec<String>) -> Option<()> {
    while !extensions.0.is_empty() {
        let mut extension = extensions.enter(SEQUENCE)?;
        let kind = extension.enter(OBJECT_IDENTIFIER)?;
        if extension.0.first() == Some(&BOOLEAN) {
            extension.next()?;
        }
        let mut value = extension.enter(OCTET_STRING)?;
        if kind.0 == SUBJECT_ALT_NAME {
            let mut alternatives = value.enter(SEQUENCE)?;
            while !alternatives.0.is_empty() {
                if let (E_MAIL, name) = alternatives.next()? {
                    names.push(str::from_utf8(name).ok()?.to_owned());
                }
            }
        }
    }
    Some(())
}

/// Values that follow each other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next value: its tag, and what is in it.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, short], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match short {
            0..=0x7f => (usize::from(short), rest),
            // No certificate takes more than three bytes for a length.
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
                (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The content of the next value, which must have this tag.
    fn enter(&mut self, tag: u8) -> Option<Der<'a>> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| Der(content))
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::super::der;
    use super::*;

    fn joes() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(include_bytes!("../../tests/data/tls/client.pem")).unwrap()
    }

    #[test]
    fn a_certificate_names_its_subject_and_not_who_signed_it() {
        assert_eq!(names_in(&joes()), ["joe"]);
    }

    #[test]
    fn e_mail_addresses_are_names_and_those_of_hosts_are_not() {
        let value = |tag: u8, text: &[u8]| [&[tag, text.len() as u8], text].concat();
        let alternatives = der::sequence(&[value(E_MAIL, b"anne@example.org"), der::dns_name(b"ftp")]);
        let extension = der::sequence(&[der::oid(SUBJECT_ALT_NAME), der::octets(&alternatives)]);
        let common_name = |text: &str| der::set(&[der::sequence(&[der::oid(COMMON_NAME), der::utf8(text)])]);
        let empty = || der::sequence(&[]);
        let body = der::sequence(&[
            der::integer(&[1]),
            empty(),
            der::sequence(&[common_name("the issuer")]),
            empty(),
            der::sequence(&[common_name("anne"), common_name("joe\0x")]),
            empty(),
            der::tagged(3, &der::sequence(&[extension])),
        ]);
        assert_eq!(names_in(&der::sequence(&[body])), ["anne", "joe\0x", "anne@example.org"]);
    }

    #[test]
    fn what_is_cut_or_changed_is_no_surprise() {
        let whole = joes();
        for end in 0..whole.len() {
            assert!(names_in(&whole[..end]).is_empty());
        }
        for place in 0..whole.len() {
            for byte in [0, 0x30, 0x7f, 0x80, 0x83, 0x84, 0xff] {
                let mut changed = whole.to_vec();
                changed[place] = byte;
                let _ = names_in(&changed);
            }
        }
    }
}
