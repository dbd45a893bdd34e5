//! Long options as GNU's getopt_long takes them: abbreviated, by GNU's own names, and `--pidfile`
//! without its value.

use std::ffi::OsString;

use super::options::{OPTIONS, OptionSpec};

/// Long names of GNU inetutils' ftpd that are another option's name here.
const OTHER_NAMES: [(&str, &str); 2] = [("logging", "log"), ("usage", "help")];
/// GNU's file, when `--pidfile` does not name one.
const PID_FILE: &str = "/var/run/ftpd.pid";

/// The words with the long options' whole names.
///
/// # Errors
/// An abbreviation stands for more than one option; the line names them.
pub(super) fn with_whole_names(args: &[OsString]) -> Result<Vec<OsString>, String> {
    let mut words: Vec<OsString> = Vec::with_capacity(args.len());
    let mut rest = args.iter().peekable();
    while let Some(arg) = rest.next() {
        if arg == "--" {
            words.push(arg.clone());
            break;
        }
        let word = match arg.to_str().and_then(|word| word.strip_prefix("--")) {
            Some(word) => whole(word)?.into(),
            None => arg.clone(),
        };
        let is_option = |word: &OsString| word.as_encoded_bytes().starts_with(b"-");
        if word == "--pidfile" && rest.peek().is_none_or(|next| is_option(next)) {
            words.push(format!("--pidfile={PID_FILE}").into());
            continue;
        }
        let takes_next = word.to_str().is_some_and(takes_next);
        words.push(word);
        // A value is not an option, whatever it begins with.
        words.extend(rest.next_if(|_| takes_next).cloned());
    }
    words.extend(rest.cloned());
    Ok(words)
}

/// `--name` or `--name=value`, from the same without its dashes and with part of its name.
fn whole(word: &str) -> Result<String, String> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, format!("={value}")),
        None => (word, String::new()),
    };
    let others = OTHER_NAMES.iter().copied();
    let names = OPTIONS.iter().map(|spec| (spec.long, spec.long)).chain(others);
    if let Some((_, long)) = names.clone().find(|(known, _)| *known == name) {
        return Ok(format!("--{long}{value}"));
    }
    let mut found: Vec<&str> = Vec::new();
    for (known, long) in names {
        if !name.is_empty() && known.starts_with(name) && !found.contains(&long) {
            found.push(long);
        }
    }
    match found[..] {
        [] => Ok(format!("--{word}")),
        [long] => Ok(format!("--{long}{value}")),
        _ => {
            let found: Vec<String> = found.iter().map(|long| format!("--{long}")).collect();
            Err(format!("--{name}: could be {}", found.join(", ")))
        }
    }
}

/// Whether the next word is the value of the last option in this one.
fn takes_next(word: &str) -> bool {
    let takes = |spec: &OptionSpec| spec.value.is_some() && !spec.alone;
    if let Some(name) = word.strip_prefix("--") {
        return OPTIONS.iter().any(|spec| spec.long == name && takes(spec));
    }
    let Some(letters) = word.strip_prefix('-') else { return false };
    let of_letter = |letter: char| OPTIONS.iter().find(|spec| spec.letters.contains(letter));
    let with_value = letters.char_indices().find(|(_, letter)| of_letter(*letter).is_some_and(takes));
    with_value.is_some_and(|(at, letter)| at + letter.len_utf8() == letters.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole_words(words: &[&str]) -> Result<Vec<String>, String> {
        let args: Vec<OsString> = words.iter().map(OsString::from).collect();
        let words = with_whole_names(&args)?;
        Ok(words.into_iter().map(|word| word.into_string().unwrap()).collect())
    }

    #[test]
    fn an_abbreviation_stands_for_the_one_option_that_begins_so() {
        for (words, expected) in [
            (&["--daem", "--bann=x"][..], &["--daemon", "--banner=x"][..]),
            (&["--logging", "--logg", "--usage"], &["--log", "--log", "--help"]),
            // `log` is whole, though other names begin so.
            (&["--log", "--debug"], &["--log", "--debug"]),
            (&["--frob", "--=x", "-l", "word"], &["--frob", "--=x", "-l", "word"]),
            (&["--", "--daem"], &["--", "--daem"]),
            (&["-P", "--daem", "--banner", "--daem"], &["-P", "--daem", "--banner", "--daem"]),
            (&["-lP", "--daem", "-P21", "--daem"], &["-lP", "--daem", "-P21", "--daemon"]),
        ] {
            assert_eq!(whole_words(words).unwrap(), expected, "{words:?}");
        }
        assert_eq!(
            whole_words(&["--anonymous-r"]).unwrap_err(),
            "--anonymous-r: could be --anonymous-root, --anonymous-rate-download, --anonymous-rate-upload"
        );
    }

    #[test]
    fn a_pidfile_without_a_name_is_gnus() {
        let gnus = format!("--pidfile={PID_FILE}");
        for (words, expected) in [
            (&["--pidfile"][..], &[gnus.as_str()][..]),
            (&["--pid", "-D"], &[&gnus, "-D"]),
            (&["--pidfile", "/run/x"], &["--pidfile", "/run/x"]),
            (&["--pidfile=/run/x"], &["--pidfile=/run/x"]),
        ] {
            assert_eq!(whole_words(words).unwrap(), expected, "{words:?}");
        }
    }
}
