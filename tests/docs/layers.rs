//! Who uses whom: the sentences of `src/lib.rs` about the modules, read from the sources.

use super::source::{Source, sources};

/// The floors of the house, the highest first. A module may use those on lower floors, and
/// neither a neighbour nor what is above it.
const FLOORS: [&[&str]; 9] = [
    &["start", "probe"],
    &["cli", "server"],
    &["operator"],
    &["session"],
    &["clients", "account", "vfs", "dtp"],
    &["helpers", "tls", "logging"],
    &["events"],
    &["config", "proto", "sys"],
    &["test_support"],
];

/// Modules that may use less than their floor allows.
const NARROWER: [(&str, &[&str]); 1] = [
    // The words of a command line need no running server; `who` and `kick` are questions.
    ("cli", &["operator", "config", "proto", "sys", "test_support"]),
];

/// What breaks the rule: the file, and the module it uses.
const EXCEPTIONS: [(&str, &str); 0] = [];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

/// Why `from` may not use `to`; `None` if it may.
fn objection(from: &str, to: &str) -> Option<&'static str> {
    let Some(target) = floor(to) else { return Some("a module that has no floor") };
    if from == to || from.is_empty() {
        return None;
    }
    let narrower = NARROWER.iter().find(|(module, _)| *module == from);
    if narrower.is_some_and(|(_, allowed)| !allowed.contains(&to)) {
        return Some("not among what it may use");
    }
    match floor(from) {
        None => Some("from a module that has no floor"),
        Some(own) if own == target => Some("a neighbour"),
        Some(own) if own > target => Some("above it"),
        Some(_) => None,
    }
}

fn assert_none(what: &str, lines: &[String]) {
    assert!(lines.is_empty(), "{what}:\n{}", lines.join("\n"));
}

/// A line for each file that `objects` to something, but for those whose name begins with one of `but`.
fn faults(but: &[&str], objects: impl Fn(&Source) -> Option<usize>) -> Vec<String> {
    let files = sources();
    let others = files.iter().filter(|file| !but.iter().any(|name| file.name.starts_with(name)));
    others.filter_map(|file| objects(file).map(|line| format!("src/{}:{line}", file.name))).collect()
}

#[test]
fn no_module_uses_what_stands_above_or_beside_it() {
    let (mut faults, mut excused) = (Vec::new(), Vec::new());
    for file in sources() {
        for named in file.paths() {
            let Some(to) = named.path.first().map(String::as_str) else { continue };
            let Some(why) = objection(file.layer(), to) else { continue };
            match EXCEPTIONS.iter().find(|(name, module)| *name == file.name && *module == to) {
                Some(exception) => excused.push(exception),
                None => faults.push(format!("src/{}:{}: uses {to}, {why}", file.name, named.line)),
            }
        }
    }
    assert_none("These go against the order of the modules", &faults);
    let unused = EXCEPTIONS.iter().filter(|exception| !excused.contains(exception));
    assert_none(
        "Exceptions that nobody needs",
        &unused.map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>(),
    );
}

#[test]
fn every_module_has_a_floor_and_a_line_in_the_map() {
    const MAP: &str = include_str!("../../src/lib.rs");
    let declared =
        |line: &'static str| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';');
    let modules: Vec<&str> = MAP.lines().filter_map(declared).collect();
    let gone: Vec<&str> = FLOORS.concat().into_iter().filter(|module| !modules.contains(module)).collect();
    assert!(gone.is_empty(), "floors without a module: {gone:?}");
    for module in modules {
        assert!(floor(module).is_some(), "{module} has no floor");
        let drawn = [format!("//! {module}/ "), format!("//! {module}.rs ")];
        assert!(drawn.iter().any(|line| MAP.contains(line)), "the map of lib.rs does not show {module}");
    }
}

#[test]
fn only_the_session_chooses_a_reply_code() {
    let uses = |file: &Source| file.line_of(&["ReplyCode"]);
    // A probe shows what becomes of a reply, whatever its code.
    assert_none("A reply code is chosen there", &faults(&["session/", "proto/", "probe.rs"], uses));
}

#[test]
fn only_sys_is_unsafe_and_knows_libc_and_the_operating_system() {
    for word in ["libc", "unsafe", "target_os", "target_vendor"] {
        let uses = |file: &Source| file.without_tests().line_of(&[word]);
        assert_none(&format!("{word} outside sys"), &faults(&["sys/"], uses));
    }
}

/// Comments and tests count, too: whoever reads `sys` need not know what ferryd is for.
#[test]
fn sys_speaks_of_no_protocol() {
    const WORDS: [&str; 7] = ["ftp", "telnet", "iac", "pasv", "abor", "retr", "stor"];
    const PHRASES: [&str; 5] = ["rfc 959", "control connection", "data connection", "reply code", "port 20"];
    for file in sources().iter().filter(|file| file.name.starts_with("sys/")) {
        let path = format!("{}/src/{}", env!("CARGO_MANIFEST_DIR"), file.name);
        let text = std::fs::read_to_string(path).unwrap().to_lowercase();
        for (number, line) in text.lines().enumerate() {
            let mut words = line.split(|letter: char| !letter.is_alphanumeric());
            let phrase = PHRASES.iter().copied().find(|phrase| line.contains(phrase));
            let found = words.find(|word| WORDS.contains(word)).or(phrase);
            assert_eq!(found, None, "src/{}:{}", file.name, number + 1);
        }
    }
}

/// A path-name becomes a `VirtualPath` at the door, and only `vfs` makes it one of the system's.
#[test]
fn no_handler_has_a_path_of_the_operating_system() {
    let handlers: Vec<Source> =
        sources().into_iter().filter(|file| file.name.starts_with("session/commands/")).collect();
    assert!(handlers.len() > 5, "the handlers are in session/commands");
    for file in handlers {
        for words in [&["std", "::", "path"][..], &["PathBuf"], &["Path"]] {
            assert_eq!(file.line_of(words), None, "src/{} has {words:?} there", file.name);
        }
    }
}
