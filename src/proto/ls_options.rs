//! The options of ls(1) that clients put in front of the path-name of LIST and NLST.
//!
//! RFC 959 knows none, but the BSD ftpd runs ls(1) with the argument, and clients send `LIST -la`.

/// The options of ls(1) that change a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LsOptions {
    /// `-l` turns it on and `-1` off; the last of the two counts.
    pub long: bool,
    /// `-a`: also `.` and `..`. All other names are shown without it, as with `-A`.
    pub dots: bool,
    /// `-d`: a directory itself, not the files in it.
    pub directory: bool,
    /// `-R`.
    pub recursive: bool,
    /// `-F`: a sign after the name for the kind of file.
    pub classify: bool,
    /// `-h`: sizes as `1.5K`.
    pub human: bool,
    /// `-n`: owners and groups as numbers.
    pub numeric: bool,
    pub sort: Sort,
    /// `-r`.
    pub reverse: bool,
    pub time: TimeShown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Name,
    /// `-t`: latest first.
    Time,
    /// `-S`: largest first.
    Size,
    /// `-f`, `-U`: in the order of the directory.
    Unsorted,
}

/// Which time is shown, and sorted by with `-t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeShown {
    Modified,
    /// `-u`.
    Accessed,
    /// `-c`.
    Changed,
}

impl LsOptions {
    /// No options. LIST is `long`, NLST is not.
    pub(crate) fn new(long: bool) -> LsOptions {
        LsOptions {
            long,
            dots: false,
            directory: false,
            recursive: false,
            classify: false,
            human: false,
            numeric: false,
            sort: Sort::Name,
            reverse: false,
            time: TimeShown::Modified,
        }
    }

    /// Splits the argument of LIST or NLST into the options and the path-name, which may be empty
    /// and may contain spaces.
    ///
    /// Options are the words in front, such as `-la`, that consist of letters of ls, also of those
    /// that mean nothing here. Any other word that begins with `-` begins the path-name, and after
    /// `--` the path-name follows in any case. One space ends an option: a second one belongs to the
    /// path-name.
    pub(crate) fn parse(argument: &[u8], long: bool) -> (LsOptions, &[u8]) {
        let mut options = LsOptions::new(long);
        let mut path = argument;
        loop {
            // Spaces in front of an option are skipped; in front of a path-name they belong to it.
            let word_start = path.iter().position(|&byte| byte != b' ').unwrap_or(path.len());
            let word = path[word_start..].split(|&byte| byte == b' ').next().unwrap_or_default();
            let rest = &path[word_start + word.len()..];
            let rest = rest.strip_prefix(b" ").unwrap_or(rest);
            match word {
                b"--" => return (options, rest),
                [b'-', letters @ ..] if !letters.is_empty() && letters.iter().all(is_letter_of_ls) => {
                    letters.iter().for_each(|&letter| options.apply(letter));
                    path = rest;
                }
                b"" => return (options, b""),
                _ => return (options, path),
            }
        }
    }

    fn apply(&mut self, letter: u8) {
        match letter {
            b'l' => self.long = true,
            b'1' => self.long = false,
            b'a' => self.dots = true,
            b'A' => self.dots = false,
            b'd' => self.directory = true,
            b'R' => self.recursive = true,
            b'F' => self.classify = true,
            b'h' => self.human = true,
            b'n' => (self.long, self.numeric) = (true, true),
            b't' => self.sort = Sort::Time,
            b'S' => self.sort = Sort::Size,
            b'U' => self.sort = Sort::Unsorted,
            b'f' => (self.sort, self.dots) = (Sort::Unsorted, true),
            b'r' => self.reverse = true,
            b'u' => self.time = TimeShown::Accessed,
            b'c' => self.time = TimeShown::Changed,
            _ => (),
        }
    }
}

fn is_letter_of_ls(letter: &u8) -> bool {
    b"1aAbBcCdDfFgGhHiIklLmnNopqQrRsStTuUvwxXZ".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Random;

    #[test]
    fn options_are_bundles_in_front_of_the_path() {
        let parse = |argument: &'static str| {
            let (options, path) = LsOptions::parse(argument.as_bytes(), true);
            (options, std::str::from_utf8(path).unwrap())
        };
        let all = LsOptions { dots: true, ..LsOptions::new(true) };
        assert_eq!(parse(""), (LsOptions::new(true), ""));
        assert_eq!(parse("-la"), (all, ""));
        assert_eq!(parse("-l -a"), (all, ""));
        assert_eq!(parse("-l  -a "), (all, ""));
        assert_eq!(parse("-alR dir"), (LsOptions { recursive: true, ..all }, "dir"));
        assert_eq!(parse("-la dir with space "), (all, "dir with space "));
        assert_eq!(parse("-a  led by a space"), (all, " led by a space"));
        assert_eq!(parse(" led by a space"), (LsOptions::new(true), " led by a space"));
        assert_eq!(parse("-aZGbq x"), (all, "x"));
        assert_eq!(parse("-- -la"), (LsOptions::new(true), "-la"));
        assert_eq!(parse("-a -- -la x"), (all, "-la x"));
        assert_eq!(parse("-a --"), (all, ""));
        for path in ["-", "-x.txt", "-la.txt", "--all", "-é", "dir -la", "-5"] {
            assert_eq!(parse(path), (LsOptions::new(true), path));
        }
        assert_eq!(parse("-l -x.txt"), (LsOptions::new(true), "-x.txt"));
    }

    #[test]
    fn options_mean_what_they_do_for_ls() {
        let parse = |argument: &str| LsOptions::parse(argument.as_bytes(), true).0;
        assert!(!parse("-1").long && parse("-1l").long && !parse("-l1").long);
        assert!(parse("-d").directory && parse("-F").classify && parse("-h").human);
        assert!(parse("-n").numeric && parse("-n").long);
        assert_eq!((parse("-t").sort, parse("-tr").reverse), (Sort::Time, true));
        assert_eq!(parse("-S").sort, Sort::Size);
        assert_eq!((parse("-f").sort, parse("-f").dots), (Sort::Unsorted, true));
        assert_eq!((parse("-u").time, parse("-c").time), (TimeShown::Accessed, TimeShown::Changed));
        assert!(!parse("-aA").dots);
        assert!(!LsOptions::new(false).long && LsOptions::parse(b"-l", false).0.long);
    }

    #[test]
    fn any_bytes_are_an_argument() {
        let mut random = Random::new(7);
        for _ in 0..20_000 {
            let bytes = random.bytes(10, b"- -al1\xFF;\0=");
            let (_, path) = LsOptions::parse(&bytes, true);
            assert!(path.is_empty() || bytes.ends_with(path));
        }
    }
}
