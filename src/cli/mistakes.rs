//! Messages about a command line that cannot be understood: a line that names the option, and says
//! what was probably meant.

use std::ffi::OsString;

use getopts::Fail;

use super::options::{OPTIONS, OptionSpec};

/// The message for what getopts did not understand.
pub(super) fn explain(fail: &Fail, args: &[OsString]) -> String {
    let dashed =
        |name: &String| if name.chars().count() == 1 { format!("-{name}") } else { format!("--{name}") };
    match fail {
        // `-l=2` is read as three letters.
        Fail::UnrecognizedOption(name) if name == "=" => match args.iter().find_map(flag_with_value) {
            Some(spec) => format!("{}: {}", spec.name(), takes_no_value(spec)),
            None => "-=: unknown option (--help lists them)".to_owned(),
        },
        Fail::UnrecognizedOption(name) => format!("{}: unknown option (--help lists them)", dashed(name)),
        Fail::ArgumentMissing(name) => format!("{}: needs a value", dashed(name)),
        Fail::UnexpectedArgument(name) => format!("{}: takes no value", dashed(name)),
        Fail::OptionMissing(name) | Fail::OptionDuplicated(name) => format!("{}: {fail}", dashed(name)),
    }
}

/// `-P=2121` gives `=2121` to `-P`; no option with a letter has such values.
pub(super) fn equals_sign(spec: &OptionSpec, word: &str) -> Option<String> {
    let (letter, value) = (spec.letters.chars().next()?, word.strip_prefix('=')?);
    let (name, long) = (spec.name(), spec.long);
    Some(format!("{name}: `{word}` begins with `=`; write -{letter} {value} or --{long}={value}"))
}

/// A letter that has another meaning in another ftpd, where its value tells.
pub(super) fn elsewhere(spec: &OptionSpec, word: &str) -> Option<String> {
    let meant = match spec.long {
        "bind" if word.starts_with('/') => "NetBSD's -a is --anonymous-root=DIR here",
        "port" if word.starts_with('-') => "OpenBSD's -P is -R, --allow-foreign-data, here",
        _ => return None,
    };
    Some(format!("{}: `{word}`: {meant}", spec.name()))
}

/// The message for words that are neither options nor their values.
pub(super) fn stray(words: &[&str], args: &[OsString]) -> String {
    match words {
        ["who", word, ..] => format!("who: takes no `{word}`"),
        ["kick"] => "kick: needs the number of a session, which `ferryd who` shows".to_owned(),
        ["kick", ..] => "kick: takes one number".to_owned(),
        [] => "nothing is asked for".to_owned(),
        [word, ..] => match flag_before(word, args) {
            Some(spec) => format!("`{word}`: {} {}", spec.name(), takes_no_value(spec)),
            None => format!("`{word}`: not an option (--help lists them)"),
        },
    }
}

/// A line for each option that was given several values, although only the last one counts.
pub(super) fn given_twice(given: &[(&'static OptionSpec, String)]) -> Vec<String> {
    let mut lines = Vec::new();
    for spec in OPTIONS.iter().filter(|spec| !spec.repeats) {
        let words = given.iter().filter(|(other, _)| other.long == spec.long).map(|(_, word)| word);
        let words: Vec<&String> = words.collect();
        if let [first @ .., last] = &words[..]
            && first.iter().any(|word| word != last)
        {
            lines.push(format!(
                "{}: given {} times; only the last, `{last}`, counts",
                spec.name(),
                words.len()
            ));
        }
    }
    lines
}

fn takes_no_value(spec: &OptionSpec) -> &'static str {
    if spec.repeats { "takes no value; given twice, it counts twice" } else { "takes no value" }
}

/// The flag of a word such as `-l=2`.
fn flag_with_value(arg: &OsString) -> Option<&'static OptionSpec> {
    let (letters, _) = arg.to_str()?.strip_prefix('-')?.split_once('=')?;
    flag_of_letter(letters.chars().next_back()?)
}

/// The flag in front of `word`: perhaps the word was meant as its value.
fn flag_before(word: &str, args: &[OsString]) -> Option<&'static OptionSpec> {
    let at = args.iter().position(|arg| arg == word)?;
    let before = args[..at].last()?.to_str()?;
    match before.strip_prefix("--") {
        Some(name) => OPTIONS.iter().find(|spec| spec.long == name && spec.value.is_none()),
        None => flag_of_letter(before.strip_prefix('-')?.chars().next_back()?),
    }
}

fn flag_of_letter(letter: char) -> Option<&'static OptionSpec> {
    OPTIONS.iter().find(|spec| spec.letters.contains(letter) && spec.value.is_none())
}

#[cfg(test)]
mod tests {
    use super::super::{Action, parse};
    use super::*;

    fn error(words: &[&str]) -> String {
        parse(words.iter().map(OsString::from)).err().unwrap_or_else(|| panic!("{words:?} is accepted"))
    }

    fn warnings(words: &[&str]) -> Vec<String> {
        match parse(words.iter().map(OsString::from)) {
            Ok(Action::Run(options)) => options.warnings,
            _ => panic!("{words:?} does not run"),
        }
    }

    #[test]
    fn an_error_names_the_option() {
        for (words, begins) in [
            (&["--frob"][..], "--frob: unknown option"),
            (&["-Z"], "-Z: unknown option"),
            (&["-P"], "-P: needs a value"),
            (&["--daemon=yes"], "--daemon: takes no value"),
            (&["-u", "999"], "-u, --umask: `999` is not"),
            (&["--max-clients=0"], "--max-clients: `0` is not a number from 1 "),
            (&["--tls=always"], "--tls: `always` is not one of off, "),
            (&["--syslog-facility=kern"], "--syslog-facility: `kern` is not one of ftp, daemon"),
            (&["there"], "`there`: not an option"),
            (&["-P", "1", "there"], "`there`: not an option"),
            (&["-h", "name"], "`name`: -h, --hide-host-info takes no value"),
            (&["-lh", "name"], "`name`: -h, --hide-host-info takes no value"),
            (&["--log", "2"], "`2`: -l, --log takes no value; given twice, it counts twice"),
            (&["-l=2"], "-l, --log: takes no value; given twice, it counts twice"),
            (&["-4=yes"], "-4, --ipv4: takes no value"),
            (&["-P=2121"], "-P, --port: `=2121` begins with `=`; write -P 2121 or --port=2121"),
            (&["-a", "/srv/ftp"], "-a, --bind: `/srv/ftp`: NetBSD's -a is --anonymous-root"),
            (&["-P", "-l"], "-P, --port: `-l`: OpenBSD's -P is -R"),
            (&["--no-a"], "--no-a: could be --no-anonymous, "),
            (&["who", "there"], "who: takes no `there`"),
            (&["kick"], "kick: needs the number of a session, which `ferryd who` shows"),
            (&["kick", "x"], "kick: `x` is not a number"),
            (&["kick", "1", "2"], "kick: takes one number"),
        ] {
            let err = error(words);
            assert!(err.starts_with(begins), "{words:?}: {err}");
            assert!(!err.contains('\n'));
        }
    }

    #[test]
    fn what_does_not_count_is_said() {
        assert_eq!(
            warnings(&["-P", "21", "-t5", "--port=2121"]),
            ["-P, --port: given 2 times; only the last, `2121`, counts"]
        );
        assert!(warnings(&["--non-rfc2577"])[0].starts_with("--non-rfc2577: "));
        let twice = ["-P21", "-P21", "-a", "::1", "-a", "127.0.0.1", "-ll", "-4", "-4"];
        assert_eq!(warnings(&twice), [""; 0]);
    }
}
