//! The texts of `--help` and `--version`.

use super::options::{Group, OPTIONS, OptionSpec};

/// The column where descriptions begin.
const INDENT: usize = 30;
/// The width of the narrowest terminal in use.
const WIDTH: usize = 80;

/// The usage text: a line or two for each option, in groups.
pub(crate) fn usage() -> String {
    let mut text = String::from(
        "Usage: ferryd -F [OPTION]...   in the foreground\n\
         \x20      ferryd -D [OPTION]...   as a daemon\n\
         \x20      ferryd [OPTION]...      from inetd or systemd, with their sockets\n\
         An FTP server. Try: ferryd -F -A -P 2121 --anonymous-root .\n",
    );
    for group in Group::ALL {
        text += &format!("\n{}:\n", group.title());
        OPTIONS.iter().filter(|spec| spec.group == group).for_each(|spec| text += &row(spec));
    }
    text + "\nThe manual page ferryd(8) has the details.\n"
}

/// The name and version, on one line.
pub(crate) fn version() -> String {
    format!("ferryd {}\n", env!("CARGO_PKG_VERSION"))
}

fn row(spec: &OptionSpec) -> String {
    let names = names(spec);
    let mut lines = wrap(&description(spec)).into_iter();
    let mut text = if names.len() < INDENT {
        format!("{names:INDENT$}{}\n", lines.next().unwrap_or_default())
    } else {
        format!("{names}\n")
    };
    lines.for_each(|line| text += &format!("{:INDENT$}{line}\n", ""));
    text
}

/// `  -P, --port=PORT`; the long names of all rows begin in the same column.
fn names(spec: &OptionSpec) -> String {
    let letters: Vec<_> = spec.letters.chars().map(|letter| format!("-{letter},")).collect();
    let value = match (spec.value, spec.alone) {
        (Some(value), false) => format!("={value}"),
        (Some(value), true) => format!("[={value}]"),
        (None, _) => String::new(),
    };
    match letters.len() {
        0 | 1 => format!("  {:3} --{}{value}", letters.concat(), spec.long),
        _ => format!("  {} --{}{value}", letters.join(" "), spec.long),
    }
}

fn description(spec: &OptionSpec) -> String {
    match spec.effect {
        super::Effect::NotAvailableYet => format!("{} (not available yet)", spec.help),
        _ if spec.repeats => format!("{}; may be repeated", spec.help),
        _ => spec.help.to_owned(),
    }
}

fn wrap(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if INDENT + line.len() + 1 + word.len() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_text_names_every_option_and_fits_the_terminal() {
        let text = usage();
        for spec in OPTIONS {
            assert!(text.contains(&format!("--{}", spec.long)), "--{}", spec.long);
            spec.letters.chars().for_each(|letter| assert!(text.contains(&format!("-{letter}, "))));
        }
        for line in text.lines() {
            assert!(line.len() < WIDTH, "{line}");
            assert_eq!(line, line.trim_end());
        }
    }
}
