//! A row of `COMMANDS`: its fields, how it is found, and how a line becomes a command by it.

use super::Command;
use crate::proto::argument::{Argument, SyntaxError};
use crate::proto::facts::FactSet;

/// One row. The fields that a row leaves out have the values of [`needs`].
#[derive(Debug)]
pub(crate) struct CommandSpec {
    /// The full name: `RETR`, `SITE CHMOD`.
    pub verb: &'static str,
    /// Other names, without the `SITE` of a command of SITE.
    pub aliases: &'static [&'static str],
    /// The argument, as HELP prints it.
    pub syntax: &'static str,
    pub help: &'static str,
    /// What the login must allow.
    pub needs: Access,
    pub feat: Feat,
    /// Whether the configuration leaves the command turned on.
    pub offered: fn(&Offered) -> bool,
    /// The command opens a data connection.
    pub opens_data_connection: bool,
    /// The command prepares a transfer: the session's thread is not named after it.
    pub prepares: bool,
    /// The argument must not be logged.
    pub secret: bool,
    /// The command does not wait until the transfer that is running has ended.
    pub urgent: Option<Urgent>,
    /// Takes the argument of `OPTS` behind this verb.
    pub options: Option<TakeArgument>,
    pub parse: Parse,
}

/// What the login must allow before a command is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Before the login too.
    Anyone,
    LoggedIn,
    /// Reads what is in files: not for write-only sessions.
    Reader,
    /// Makes files: not for read-only sessions.
    Writer,
    /// Changes files that are there: not for read-only sessions, and for anonymous ones only with `-m`.
    Modifier,
}

/// What FEAT shows of a command, if RFC 959 does not define it.
#[derive(Debug)]
pub(crate) enum Feat {
    Nothing,
    Line(&'static str),
    Computed(fn(&Choices) -> String),
}

/// What a client chose with OPTS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choices {
    pub facts: FactSet,
}

/// Which commands the configuration leaves turned on.
#[derive(Clone, Debug)]
pub(crate) struct Offered {
    /// PORT, EPRT and LPRT.
    pub active: bool,
    /// PASV.
    pub passive: bool,
    /// EPSV and LPSV.
    pub extended_passive: bool,
    pub tls: bool,
    /// The control connection may go back to clear text.
    pub clear: bool,
    pub delete: bool,
    pub rename: bool,
    /// `--deny-commands`, by the verbs of the rows.
    pub denied: Vec<&'static str>,
}

/// What an urgent command asks of the transfer that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgent {
    Abort,
    /// Without an argument.
    Status,
    /// The client leaves, and wants the transfer to end well.
    Quit,
}

/// How the argument is read.
#[derive(Debug)]
pub(crate) enum Parse {
    /// "Recognized, not implemented": a 502, and a star in HELP.
    NotImplemented,
    Takes(TakeArgument),
    /// The argument begins with a verb of a table of its own. `other` knows further words.
    Table {
        rows: &'static [CommandSpec],
        other: fn(&[u8]) -> Option<Command>,
    },
}

pub(crate) type TakeArgument = fn(Argument<'_>) -> Result<Command, SyntaxError>;

/// What HELP is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Table(&'static [CommandSpec]),
    Command(&'static CommandSpec),
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ParseError {
    /// 500: no such verb.
    Unknown,
    /// 500: no such verb in the table of this command.
    UnknownIn(&'static CommandSpec),
    /// 502: a verb of the RFCs that this server leaves out.
    NotImplemented(&'static CommandSpec),
    Syntax(&'static CommandSpec, SyntaxError),
}

impl CommandSpec {
    pub(super) fn parse(
        &'static self,
        argument: Argument<'_>,
    ) -> Result<(&'static CommandSpec, Command), ParseError> {
        let syntax = |error| ParseError::Syntax(self, error);
        match self.parse {
            Parse::NotImplemented => Err(ParseError::NotImplemented(self)),
            Parse::Takes(take) => Ok((self, take(argument).map_err(syntax)?)),
            Parse::Table { rows, other } => {
                let (word, rest) = argument.split_word();
                if word.is_empty() {
                    return Err(syntax(SyntaxError::Missing));
                }
                match find(rows, word) {
                    Some(spec) => spec.parse(rest),
                    None => Ok((self, other(word).ok_or(ParseError::UnknownIn(self))?)),
                }
            }
        }
    }

    /// The verb and its aliases, without the `SITE` of a command of SITE.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        let start = self.verb.bytes().rposition(|byte| byte == b' ').map_or(0, |space| space + 1);
        let word = &self.verb[start..];
        std::iter::once(word).chain(self.aliases.iter().copied())
    }

    /// The commands that the argument may begin with: those of SITE.
    pub(crate) fn table(&self) -> &'static [CommandSpec] {
        match self.parse {
            Parse::Table { rows, .. } => rows,
            _ => &[],
        }
    }

    /// Whether the command is implemented and turned on.
    pub(crate) fn works(&self, offered: &Offered) -> bool {
        !matches!(self.parse, Parse::NotImplemented) && offered.includes(self)
    }
}

impl Feat {
    pub(crate) fn line(&self, choices: &Choices) -> Option<String> {
        match self {
            Feat::Nothing => None,
            Feat::Line(line) => Some((*line).to_owned()),
            Feat::Computed(line) => Some(line(choices)),
        }
    }
}

impl PartialEq for CommandSpec {
    fn eq(&self, other: &CommandSpec) -> bool {
        self.verb == other.verb
    }
}

impl Eq for CommandSpec {}

impl Offered {
    pub(crate) fn includes(&self, spec: &CommandSpec) -> bool {
        (spec.offered)(self) && !self.denied.contains(&spec.verb)
    }
}

/// The row for a word, in any case.
pub(super) fn find(rows: &'static [CommandSpec], word: &[u8]) -> Option<&'static CommandSpec> {
    rows.iter().find(|spec| spec.names().any(|name| name.as_bytes().eq_ignore_ascii_case(word)))
}

/// The row for one or more words: the row of SITE leads on to the rows of its table.
pub(super) fn find_in(rows: &'static [CommandSpec], name: Argument<'_>) -> Option<&'static CommandSpec> {
    let (mut found, mut rows) = (None, rows);
    for word in name.words() {
        let spec = find(rows, word)?;
        (found, rows) = (Some(spec), spec.table());
    }
    found
}

/// The fields that a row leaves out; `access` is what the login must allow.
pub(super) const fn needs(access: Access) -> CommandSpec {
    CommandSpec {
        verb: "",
        aliases: &[],
        syntax: "",
        help: "",
        needs: access,
        feat: Feat::Nothing,
        offered: |_| true,
        opens_data_connection: false,
        prepares: false,
        secret: false,
        urgent: None,
        options: None,
        parse: Parse::NotImplemented,
    }
}
