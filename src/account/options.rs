//! The options at the end of a line of ftpusers or ftpchroot: `ro`, `wo`, `rate=`, `umask=`,
//! `quota=` and `hide=`, with blanks or commas between them.
//!
//! Other servers take the rest of a line of ftpchroot for a directory. So a word is an option
//! only if it looks like one and stands at the end. A directory named `ro` is written `ro/`.

use crate::config;

/// What the administrator's files say of an account, apart from whether it may log in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserOptions {
    /// `ro`: the user may change nothing.
    pub read_only: bool,
    /// `wo`: the user may download nothing.
    pub write_only: bool,
    /// `rate=`: bytes a second, in place of `--rate-download` and `--rate-upload`; 0: no limit.
    pub rate: Option<u64>,
    /// `umask=`: in place of `-u`.
    pub umask: Option<u32>,
    /// `quota=`: the most bytes in the account's tree.
    pub quota: Option<u64>,
    /// `hide=`: patterns, besides those of `--hide-files`.
    pub hide: Vec<String>,
}

impl UserOptions {
    /// The options at the end of `line`, and what is in front of them.
    ///
    /// # Errors
    /// A word that looks like an option and is none.
    pub(super) fn split_off(line: &[u8]) -> Result<(&[u8], UserOptions), String> {
        let (mut rest, mut options) = (line.trim_ascii(), UserOptions::default());
        loop {
            let start = rest.iter().rposition(u8::is_ascii_whitespace).map_or(0, |blank| blank + 1);
            let Some(word) = str::from_utf8(&rest[start..]).ok().filter(|word| is_meant(word)) else { break };
            word.split(',').try_for_each(|option| options.add(option))?;
            rest = rest[..start].trim_ascii_end();
        }
        Ok((rest, options))
    }

    fn add(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let bytes = || config::bytes(value).ok_or_else(|| format!("`{option}`: not a number of bytes"));
        match name {
            "ro" if option == "ro" => self.read_only = true,
            "wo" if option == "wo" => self.write_only = true,
            "rate" => self.rate = Some(bytes()?),
            "quota" => self.quota = Some(bytes()?),
            "umask" => {
                let mask = u32::from_str_radix(value, 8).ok().filter(|&mask| mask <= 0o777);
                let mask = mask.filter(|_| value.bytes().all(|byte| byte.is_ascii_digit()));
                self.umask = Some(mask.ok_or_else(|| format!("`{option}`: not an octal mask"))?);
            }
            "hide" if !value.is_empty() && !value.split('/').any(|name| name == "..") => {
                self.hide.push(value.to_owned());
            }
            "hide" => return Err(format!("`{option}`: not a pattern of file names")),
            _ => return Err(format!("`{option}`: not an option (ro, wo, rate=, umask=, quota=, hide=)")),
        }
        Ok(())
    }

    /// The options of two lines: of each, the one that allows less.
    pub(super) fn and(self, other: UserOptions) -> UserOptions {
        fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
            one.into_iter().chain(other).min()
        }
        let unlimited = |rate: Option<u64>| rate.map(|rate| if rate == 0 { u64::MAX } else { rate });
        let umask = match (self.umask, other.umask) {
            (Some(one), Some(other)) => Some(one | other),
            (one, other) => one.or(other),
        };
        UserOptions {
            read_only: self.read_only || other.read_only,
            write_only: self.write_only || other.write_only,
            rate: least(unlimited(self.rate), unlimited(other.rate))
                .map(|rate| if rate == u64::MAX { 0 } else { rate }),
            umask,
            quota: least(self.quota, other.quota),
            hide: [self.hide, other.hide].concat(),
        }
    }
}

/// Whether a word looks like options, right or wrong, and not like a directory.
fn is_meant(word: &str) -> bool {
    let first = word.split(',').next().unwrap_or(word);
    match first.split_once('=') {
        None => matches!(first, "ro" | "wo"),
        Some((name @ ("rate" | "umask" | "quota" | "hide"), _)) => !name.is_empty(),
        Some((name, _)) => {
            !word.contains('/') && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Result<(String, UserOptions), String> {
        let (rest, options) = UserOptions::split_off(line.as_bytes())?;
        Ok((String::from_utf8(rest.to_vec()).unwrap(), options))
    }

    #[test]
    fn options_are_words_at_the_end_or_stand_between_commas() {
        let options = UserOptions {
            read_only: true,
            rate: Some(1 << 20),
            umask: Some(0o27),
            quota: Some(5 << 30),
            hide: vec!["*.key".into(), "/etc".into()],
            ..UserOptions::default()
        };
        for line in [
            "/srv/joe ro rate=1M umask=027 quota=5G hide=*.key hide=/etc",
            "/srv/joe\tro,rate=1M,umask=027,quota=5G,hide=*.key,hide=/etc",
        ] {
            let (rest, found) = split(line).unwrap();
            assert_eq!(rest, "/srv/joe");
            assert_eq!(
                UserOptions {
                    hide: {
                        let mut hide = found.hide.clone();
                        hide.sort();
                        hide
                    },
                    ..found
                },
                options
            );
        }
        assert_eq!(split("").unwrap(), (String::new(), UserOptions::default()));
        assert_eq!(split("ro").unwrap().0, "");
    }

    #[test]
    fn a_directory_stays_one() {
        for dir in [
            "/srv/joe",
            "a b",
            "./ro",
            "ro/x",
            "wo ro/",
            "/srv/a=b",
            "read only",
            "/rate=1",
            "x,ro",
            "Rate=1",
            "=ro",
        ] {
            assert_eq!(split(dir), Ok((dir.to_owned(), UserOptions::default())), "{dir}");
        }
        assert_eq!(split("ro x").unwrap().0, "ro x");
    }

    #[test]
    fn what_can_only_be_meant_as_an_option_must_be_one() {
        for line in [
            "rate=fast",
            "rate=",
            "rate=-1",
            "umask=9",
            "umask=+7",
            "umask=1000",
            "quota=",
            "hide=",
            "hide=../x",
            "ro,",
            "ro,x",
            "ro,/srv",
            "rat=1M",
            "/srv rat=1M",
            "ro,ro=1",
            "quota=99999999999999999999",
        ] {
            assert!(split(line).is_err(), "{line}: {:?}", split(line));
        }
    }

    #[test]
    fn of_two_lines_the_one_that_allows_less_counts() {
        let one = split("rate=0,umask=022,quota=1k").unwrap().1;
        let other = split("wo,rate=5,umask=007,quota=2k,hide=x").unwrap().1;
        let both = one.clone().and(other.clone());
        assert_eq!(both, other.and(one.clone()));
        assert!(both.write_only && !both.read_only);
        assert_eq!((both.rate, both.umask, both.quota), (Some(5), Some(0o27), Some(1024)));
        assert_eq!(one.clone().and(UserOptions::default()), one);
    }
}
