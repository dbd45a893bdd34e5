//! As much of DER (X.690) as a certificate of our own needs.

use crate::proto::calendar::CivilTime;

/// SEQUENCE.
pub(super) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    value(0x30, &parts.concat())
}

/// SET.
pub(super) fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    value(0x31, &parts.concat())
}

/// OBJECT IDENTIFIER, encoded already.
pub(super) fn oid(encoded: &[u8]) -> Vec<u8> {
    value(6, encoded)
}

/// INTEGER, in as few bytes as it takes, the first below 0x80.
pub(super) fn integer(bytes: &[u8]) -> Vec<u8> {
    value(2, bytes)
}

/// UTF8String.
pub(super) fn utf8(text: &str) -> Vec<u8> {
    value(12, text.as_bytes())
}

/// OCTET STRING.
pub(super) fn octets(bytes: &[u8]) -> Vec<u8> {
    value(4, bytes)
}

/// BIT STRING of whole bytes.
pub(super) fn bits(bytes: &[u8]) -> Vec<u8> {
    value(3, &[&[0], bytes].concat())
}

/// `[number]`, explicit.
pub(super) fn tagged(number: u8, inner: &[u8]) -> Vec<u8> {
    value(0xa0 | number, inner)
}

/// GeneralName: dNSName.
pub(super) fn dns_name(name: &[u8]) -> Vec<u8> {
    value(0x82, name)
}

/// GeneralName: iPAddress.
pub(super) fn ip_address(octets: &[u8]) -> Vec<u8> {
    value(0x87, octets)
}

/// A moment in Unix seconds as a Time: UTCTime in the years that its two digits stand for,
/// 1950 to 2049, and GeneralizedTime in all others (RFC 5280 section 4.1.2.5).
pub(super) fn time(seconds: i64) -> Vec<u8> {
    let time = CivilTime::utc(seconds);
    let text = [&time.time_val()[..], b"Z"].concat();
    match time.year {
        1950..2050 => value(0x17, &text[2..]),
        _ => value(0x18, &text),
    }
}

fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().position(|&byte| byte != 0).unwrap_or(length.len() - 1)..];
    if content.len() >= 0x80 {
        out.push(0x80 | significant.len() as u8);
    }
    out.extend_from_slice(significant);
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(time(0), b"\x17\x0d700101000000Z");
        assert_eq!(time(951_782_400 + 3661), b"\x17\x0d000229010101Z");
        assert_eq!(time(2_524_607_999), b"\x17\x0d491231235959Z");
        assert_eq!(time(2_524_608_000), b"\x18\x0f20500101000000Z");
        assert_eq!(time(-631_152_001), b"\x18\x0f19491231235959Z");
    }

    #[test]
    fn lengths_take_as_many_bytes_as_they_need() {
        assert_eq!(octets(&[]), [4, 0]);
        assert_eq!(octets(&[7; 127])[..2], [4, 127]);
        assert_eq!(octets(&[7; 128])[..3], [4, 0x81, 128]);
        assert_eq!(octets(&[7; 256])[..4], [4, 0x82, 1, 0]);
    }
}
