//! The values of options: each function reads one kind of word. An error continues the message that
//! begins with the option's name.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::config::{Ban, Cidr, PassivePorts};
use crate::proto::codec::CodePage;
use crate::proto::command;

/// "No limit" for a time. The system counts waits in milliseconds in 32 bits, and this fits.
pub(crate) const FOREVER: Duration = Duration::from_secs(20 * 24 * 3600);

/// Whole number within `range`.
pub(super) fn number<N>(word: &str, range: RangeInclusive<N>) -> Result<N, String>
where
    N: FromStr + PartialOrd + std::fmt::Display,
{
    match word.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("`{word}` is not a number from {} to {}", range.start(), range.end())),
    }
}

/// Whole number, of which zero means no limit.
pub(super) fn limit<N>(word: &str, most: N) -> Result<Option<N>, String>
where
    N: FromStr + PartialOrd + std::fmt::Display + Default,
{
    let number = number(word, N::default()..=most)?;
    Ok((number > N::default()).then_some(number))
}

/// One second to as long as [`FOREVER`].
pub(super) fn seconds(word: &str) -> Result<Duration, String> {
    Ok(Duration::from_secs(number(word, 1..=FOREVER.as_secs())?))
}

/// Seconds, of which zero means [`FOREVER`].
pub(super) fn seconds_or_forever(word: &str) -> Result<Duration, String> {
    Ok(limit(word, FOREVER.as_secs())?.map_or(FOREVER, Duration::from_secs))
}

/// Bytes, with a suffix for KiB, MiB, GiB or TiB; zero means no limit.
pub(super) fn size(word: &str) -> Result<Option<u64>, String> {
    match crate::config::bytes(word) {
        Some(0) => Ok(None),
        Some(bytes) => Ok(Some(bytes)),
        None => Err(not_a_size(word)),
    }
}

fn not_a_size(word: &str) -> String {
    format!("`{word}` is not a number of bytes such as 500000, 64k, 10M or 2G")
}

/// `N` or `N%`; zero means no limit.
pub(super) fn per_cent(word: &str) -> Result<Option<u8>, String> {
    limit(word.strip_suffix('%').unwrap_or(word), 99)
}

/// Octal mask of file modes.
pub(super) fn octal(word: &str) -> Result<u32, String> {
    match u32::from_str_radix(word, 8) {
        Ok(mask @ 0..=0o777) if !word.starts_with('+') => Ok(mask),
        _ => Err(format!("`{word}` is not an octal mask from 0 to 777")),
    }
}

/// `ADDRESS/PREFIX`, or an address alone.
pub(super) fn network(word: &str) -> Result<Cidr, String> {
    Cidr::parse(word).ok_or_else(|| format!("`{word}` is not a network such as 10.0.0.0/8 or 2001:db8::/32"))
}

/// `LO-HI`, or `LO+`.
pub(super) fn ports(word: &str) -> Result<PassivePorts, String> {
    let wrong = || format!("`{word}` is not a range of ports such as 50000-50999 or 50000+");
    let port = |digits: &str| number(digits, 1..=u16::MAX).map_err(|_| wrong());
    if let Some(low) = word.strip_suffix('+') {
        return Ok(PassivePorts::From(port(low)?));
    }
    let (low, high) = word.split_once('-').ok_or_else(wrong)?;
    match (port(low)?, port(high)?) {
        (low, high) if low <= high => Ok(PassivePorts::Range(low, high)),
        _ => Err(wrong()),
    }
}

/// A pattern of file names, or of paths from the root on.
pub(crate) fn glob(word: &str) -> Result<String, String> {
    /// Longer than any path that could match.
    const MAX_LEN: usize = 4096;
    if word.is_empty() || word.len() > MAX_LEN || word.contains('\0') {
        return Err(format!("`{word}` is not a pattern of file names"));
    }
    if word.split('/').any(|name| name == "..") {
        return Err(format!("`{word}`: no path has a `..` left in it when it is compared"));
    }
    Ok(word.to_owned())
}

/// The name of a file, without a directory.
pub(super) fn file_name(word: &str) -> Result<String, String> {
    if matches!(word, "" | "." | "..") || word.contains('/') {
        return Err(format!("`{word}` is not the name of a file, such as .message"));
    }
    Ok(word.to_owned())
}

/// `VERB,VERB,SITE VERB`, by any of a command's names. Whoever denies SITE denies its commands.
pub(super) fn commands(word: &str) -> Result<Vec<&'static str>, String> {
    let mut denied = Vec::new();
    for name in word.split(',') {
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        let spec = command::named(name.as_bytes())
            .ok_or_else(|| format!("`{name}` is not a command (HELP and SITE HELP list them)"))?;
        denied.push(spec.verb);
        denied.extend(spec.table().iter().map(|spec| spec.verb));
    }
    Ok(denied)
}

/// `N/PERIOD/TIME`; `0` is off.
pub(super) fn ban(word: &str) -> Result<Option<Ban>, String> {
    if word == "0" {
        return Ok(None);
    }
    let wrong = || format!("`{word}` is not FAILURES/PERIOD/TIME in seconds, such as 10/600/3600");
    let mut parts = word.split('/');
    let mut next = |most| number(parts.next().unwrap_or(""), 1..=most).map_err(|_| wrong());
    let ban = Ban {
        // Each failure is kept, so that their number has a limit.
        failures: next(1000)? as u32,
        period: Duration::from_secs(next(FOREVER.as_secs())?),
        time: Duration::from_secs(next(FOREVER.as_secs())?),
    };
    if parts.next().is_some() { Err(wrong()) } else { Ok(Some(ban)) }
}

/// `FILES:DEPTH` or `FILES`; a zero in either place means no limit.
pub(super) fn list_limit(word: &str) -> Result<(Option<usize>, Option<usize>), String> {
    let (files, depth) = word.split_once(':').unwrap_or((word, "0"));
    let wrong = |_| format!("`{word}` is not FILES:DEPTH, such as 10000:5");
    Ok((limit(files, usize::MAX).map_err(wrong)?, limit(depth, usize::MAX).map_err(wrong)?))
}

/// The number of a session.
pub(super) fn session(word: &str) -> Result<u64, String> {
    number(word, 1..=u64::MAX)
}

/// A facility of syslog(3), by name; its number.
pub(super) fn facility(word: &str) -> Result<u8, String> {
    const NAMES: [(&str, u8); 18] = [
        ("ftp", 11),
        ("daemon", 3),
        ("auth", 4),
        ("authpriv", 10),
        ("user", 1),
        ("mail", 2),
        ("lpr", 6),
        ("news", 7),
        ("uucp", 8),
        ("cron", 9),
        ("local0", 16),
        ("local1", 17),
        ("local2", 18),
        ("local3", 19),
        ("local4", 20),
        ("local5", 21),
        ("local6", 22),
        ("local7", 23),
    ];
    one_of(word, &NAMES)
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(word: &str, words: &[(&str, T)]) -> Result<T, String> {
    match words.iter().find(|(name, _)| *name == word) {
        Some((_, value)) => Ok(*value),
        None => {
            let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
            Err(format!("`{word}` is not one of {}", names.join(", ")))
        }
    }
}

/// The number of a code page of EBCDIC.
pub(crate) fn code_page(word: &str) -> Result<u16, String> {
    let number = word.parse().ok().filter(|&number| CodePage::by_number(number).is_some());
    number.ok_or_else(|| format!("`{word}`: 1047, 037, 273, 500 or 1140"))
}

/// `strict`, or nothing.
pub(crate) fn strict(word: &str) -> Result<bool, String> {
    match word {
        "" => Ok(false),
        "strict" => Ok(true),
        _ => Err(format!("`{word}`: `strict` or no value")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_suffixes_and_zero_is_no_limit() {
        assert_eq!(size("0"), Ok(None));
        assert_eq!(size("700"), Ok(Some(700)));
        assert_eq!(size("64k"), Ok(Some(65536)));
        assert_eq!(size("2G"), Ok(Some(2 << 30)));
        for wrong in ["", "k", "-1", "1.5M", "1kb", "99999999999T", "18446744073709551616"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn masks_are_octal() {
        assert_eq!(octal("027"), Ok(0o27));
        assert_eq!(octal("0"), Ok(0));
        for wrong in ["", "8", "1000", "+7", "-1", "0x1"] {
            assert!(octal(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn networks_are_addresses_with_a_prefix_that_fits() {
        assert_eq!(network("10.0.0.0/8").unwrap().prefix, 8);
        assert_eq!(network("::1").unwrap().prefix, 128);
        for wrong in ["10.0.0.0/33", "10/8", "::/129", "a", "1.2.3.4/", "1.2.3.4/-1"] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn port_ranges_are_closed_or_as_long_as_there_are_clients() {
        assert_eq!(ports("50000-50009"), Ok(PassivePorts::Range(50000, 50009)));
        assert_eq!(ports("50000+"), Ok(PassivePorts::From(50000)));
        for wrong in ["", "50000", "2-1", "0-5", "0+", "1-65536", "+", "-"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bans_have_three_parts() {
        let ban_ = Ban { failures: 10, period: Duration::from_secs(600), time: Duration::from_secs(3600) };
        assert_eq!(ban("10/600/3600"), Ok(Some(ban_)));
        assert_eq!(ban("0"), Ok(None));
        for wrong in ["", "1", "1/2", "1/2/3/4", "0/1/1", "1/0/1", "a/b/c"] {
            assert!(ban(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn zero_is_no_limit_where_there_may_be_none() {
        assert_eq!(limit("0", 9), Ok(None));
        assert_eq!(limit("9", 9), Ok(Some(9)));
        assert!(limit("10", 9).is_err());
        assert_eq!(seconds_or_forever("0"), Ok(FOREVER));
        assert!(seconds("0").is_err());
        assert_eq!(list_limit("10000:0"), Ok((Some(10000), None)));
        assert_eq!(list_limit("5"), Ok((Some(5), None)));
        assert_eq!(per_cent("5%"), Ok(Some(5)));
        assert!(per_cent("100").is_err());
    }
}
