//! The sources as words: enough of Rust's grammar to say which paths a file names.

use std::fs;
use std::path::{Path, PathBuf};

/// One word or sign of a source, and the line it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub text: String,
    pub line: usize,
    /// What is in the quotation marks of a string.
    pub literal: Option<String>,
}

/// A source file of ferryd.
pub(crate) struct Source {
    /// Below `src/`.
    pub name: String,
    pub tokens: Vec<Token>,
}

/// A path that a file names, from the root of the crate on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub path: Vec<String>,
    pub line: usize,
}

/// Every source file, in the order of their names.
pub(crate) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut names = Vec::new();
    collect(&root, &mut names);
    names.sort();
    let read = |path: PathBuf| Source {
        name: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(),
        tokens: tokens(&fs::read_to_string(&path).unwrap()),
    };
    names.into_iter().map(read).collect()
}

fn collect(dir: &Path, names: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names.push(path);
        }
    }
}

impl Source {
    /// The module at the top of the crate that the file belongs to; "" for the crate's own.
    pub(crate) fn layer(&self) -> &str {
        let first = self.name.split('/').next().unwrap_or_default();
        match first.strip_suffix(".rs") {
            Some("lib" | "main") => "",
            Some(file) => file,
            None => first,
        }
    }

    /// The names of modules down to this file's.
    fn module(&self) -> Vec<String> {
        let path = self.name.strip_suffix(".rs").unwrap_or(&self.name);
        let mut names: Vec<String> = path.split('/').map(str::to_owned).collect();
        if names.last().is_some_and(|name| ["mod", "lib", "main"].contains(&name.as_str())) {
            names.pop();
        }
        names
    }

    /// The file as it is built for those who use it.
    pub(crate) fn without_tests(&self) -> Source {
        let mut tokens = Vec::new();
        let mut rest = if self.name.ends_with("tests.rs") { &[][..] } else { &self.tokens[..] };
        while let Some(found) = position(rest, &["cfg", "(", "test", ")", "]"]) {
            tokens.extend_from_slice(&rest[..found]);
            rest = after_item(&rest[found..]);
        }
        tokens.extend_from_slice(rest);
        Source { name: self.name.clone(), tokens }
    }

    /// Whether these words follow each other somewhere: the line of the first.
    pub(crate) fn line_of(&self, words: &[&str]) -> Option<usize> {
        let found = self
            .tokens
            .windows(words.len())
            .find(|window| window.iter().zip(words).all(|(token, word)| token.text == *word));
        found.map(|window| window[0].line)
    }

    /// The paths that begin with `crate`, and those that climb with `super`.
    pub(crate) fn paths(&self) -> Vec<Named> {
        let mut module = self.module();
        let mut found = Vec::new();
        // For each open brace, whether it is that of a module.
        let mut braces: Vec<bool> = Vec::new();
        let text = |index: usize| self.tokens.get(index).map_or("", |token: &Token| &token.text);
        for index in 0..self.tokens.len() {
            match text(index) {
                "{" => {
                    let is_module = index >= 2 && text(index - 2) == "mod";
                    if is_module {
                        module.push(text(index - 1).to_owned());
                    }
                    braces.push(is_module);
                }
                "}" if braces.pop() == Some(true) => {
                    module.pop();
                }
                "crate" | "super" if text(index + 1) == "::" && !continues(text, index) => {
                    let (from, at) = climb(text, index, &module);
                    self.follow(at, from, &mut found);
                }
                _ => {}
            }
        }
        found
    }

    /// Reads one path, or a tree of them in braces, from token `at` on.
    fn follow(&self, mut at: usize, mut path: Vec<String>, found: &mut Vec<Named>) -> usize {
        let line = self.tokens[at].line;
        loop {
            match self.tokens.get(at).map_or("", |token| token.text.as_str()) {
                "{" => {
                    at += 1;
                    while self.tokens[at].text != "}" {
                        at = self.follow(at, path.clone(), found);
                        if self.tokens[at].text == "," {
                            at += 1;
                        }
                    }
                    return at + 1;
                }
                "self" | "*" => at += 1,
                name => {
                    path.push(name.to_owned());
                    at += 1;
                }
            }
            match self.tokens.get(at).map_or("", |token| token.text.as_str()) {
                "::" => at += 1,
                "as" => {
                    at += 2;
                    break;
                }
                _ => break,
            }
        }
        found.push(Named { path, line });
        at
    }
}

/// Where these words follow each other for the first time.
fn position(tokens: &[Token], words: &[&str]) -> Option<usize> {
    let is_here = |window: &[Token]| window.iter().zip(words).all(|(token, word)| token.text == *word);
    tokens.windows(words.len()).position(is_here)
}

/// What follows the item that `tokens` begin in: its closing brace, or a semicolon.
fn after_item(tokens: &[Token]) -> &[Token] {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate() {
        match (token.text.as_str(), depth) {
            (";", 0) | ("}", 1) => return &tokens[index + 1..],
            ("}", 0) => return &tokens[index..], // The last field of a struct.
            ("{", _) => depth += 1,
            ("}", _) => depth -= 1,
            _ => {}
        }
    }
    &[]
}

/// Whether token `index` is the middle of a path, or says where something is visible.
fn continues<'a>(text: impl Fn(usize) -> &'a str, index: usize) -> bool {
    let before = |back: usize| index.checked_sub(back).map_or("", &text);
    before(1) == "::" || before(1) == "in" && before(2) == "(" && before(3) == "pub"
}

/// Where a path that begins at `index` starts from, and the token that goes on from there.
fn climb<'a>(text: impl Fn(usize) -> &'a str, mut index: usize, module: &[String]) -> (Vec<String>, usize) {
    if text(index) == "crate" {
        return (Vec::new(), index + 2);
    }
    let mut from = module.to_vec();
    while text(index) == "super" && text(index + 1) == "::" {
        from.pop();
        index += 2;
    }
    (from, index)
}

/// The words and signs of `source`; neither comments nor what is in quotation marks, which
/// stands as `""`.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let bytes = source.as_bytes();
    let (mut tokens, mut line, mut at) = (Vec::new(), 1, 0);
    while let Some(&byte) = bytes.get(at) {
        let rest = &source[at..];
        let length = match byte {
            b'\n' | b' ' | b'\t' | b'\r' => 1,
            b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => rest.find("*/").expect("a comment ends") + 2,
            _ => {
                let (length, text) = token(rest);
                let literal = (text == "\"\"").then(|| literal(&rest[..length])).flatten();
                tokens.push(Token { text: text.to_owned(), line, literal });
                length
            }
        };
        line += rest[..length].matches('\n').count();
        at += length;
    }
    tokens
}

/// The token that `rest` begins with: how long it is, and what it says.
fn token(rest: &str) -> (usize, &str) {
    if let Some(length) = quoted(rest) {
        return (length, "\"\"");
    }
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let length = match word {
        0 if rest.starts_with("::") => 2,
        0 => rest.chars().next().map_or(1, char::len_utf8),
        _ => word,
    };
    (length, &rest[..length])
}

/// What a string says; `None` for a character.
fn literal(quoted: &str) -> Option<String> {
    let marks = quoted.trim_start_matches(['b', 'c', 'r']).trim_matches('#');
    Some(marks.strip_prefix('"')?.strip_suffix('"')?.to_owned())
}

/// How long the string or character is that `rest` begins with; `None` if it is neither.
fn quoted(rest: &str) -> Option<usize> {
    let start = rest.find(|c: char| !"bcr".contains(c))?;
    let (prefix, rest) = rest.split_at(start);
    if prefix.len() > 2 {
        return None;
    }
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    if prefix.contains('r') && rest[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let length = rest[hashes + 1..].find(&end).expect("a raw string ends");
        return Some(start + hashes + 1 + length + end.len());
    }
    let quote = rest.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
    // `'a` that no quotation mark follows is a lifetime.
    let second = rest[1..].chars().next()?;
    if quote == '\'' && second != '\\' && !rest[1 + second.len_utf8()..].starts_with('\'') {
        return None;
    }
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(start + index + 1),
            _ => {}
        }
    }
    panic!("a string does not end: {}", rest.lines().next().unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(name: &str, source: &str) -> Vec<String> {
        let source = Source { name: name.to_owned(), tokens: tokens(source) };
        source.paths().into_iter().map(|named| named.path.join("::")).collect()
    }

    #[test]
    fn paths_are_found_wherever_they_stand() {
        let source = "use crate::a::{self, b::{C, D as E}, f};\n\
            // use crate::no;\n/* crate::no */\n\
            pub(in crate::no) fn f<'a>(x: &'a crate::g::H) -> char { say(\"crate::no\"); '\"' }\n\
            fn g() { r#\"crate::\"no\"#; self::super::no(); super::i::j() }\n\
            mod tests { use super::super::super::k::*; mod deeper {} use super::l; }";
        assert_eq!(
            paths("one/two.rs", source),
            ["a", "a::b::C", "a::b::D", "a::f", "g::H", "one::i::j", "k", "one::two::l"]
        );
        assert_eq!(paths("one/mod.rs", "use super::two;"), ["two"]);
        assert_eq!(paths("lib.rs", "use crate::two;"), ["two"]);
    }

    #[test]
    fn what_is_only_built_for_tests_is_left_out() {
        let text = "#[cfg(test)]\nmod a;\nb\n#[cfg(test)] pub(crate) mod c { d { } e }\nf";
        let source = Source { name: "x.rs".to_owned(), tokens: tokens(text) }.without_tests();
        let found = |word| source.line_of(&[word]);
        assert_eq!(["a", "b", "c", "d", "e", "f"].map(found), [None, Some(3), None, None, None, Some(5)]);
    }

    #[test]
    fn strings_are_read_and_characters_are_not() {
        let found = tokens("f(b\"RETR\", r##\"a\"#b\"##) // \"no\"\n '\"' br\"c\" \"d\\\"\" b'x'");
        let literals: Vec<_> = found.iter().filter_map(|token| token.literal.as_deref()).collect();
        assert_eq!(literals, ["RETR", "a\"#b", "c", "d\\\""]);
    }

    #[test]
    fn lines_are_counted_in_strings_and_comments_too() {
        let found = tokens("// a\n\"b\\\"\nc\" r#\"\n\"#\n/*\n*/ 'd' b'\\'' d 'e\n f");
        let words: Vec<_> = found.iter().map(|token| (token.text.as_str(), token.line)).collect();
        assert_eq!(
            words,
            [("\"\"", 2), ("\"\"", 3), ("\"\"", 6), ("\"\"", 6), ("d", 6), ("'", 6), ("e", 6), ("f", 7)]
        );
    }
}
