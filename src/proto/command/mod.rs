//! `Command`, and `COMMANDS`: one row per command, with all that the server knows of it.
//!
//! The parser, the login gate, HELP, FEAT, OPTS, `--deny-commands` and the log read the rows, so
//! that they cannot disagree. No other file contains a verb. A new command is a row, a variant, an
//! arm in `session::dispatch` and a handler; the man page lists it too. RFC 959 section 4.1; RFC 775 for
//! the X verbs; RFC 1639, 2389, 2428, 2640 and 3659 for what came later; RFC 765 for the mail
//! verbs that left.

mod spec;

use std::net::SocketAddr;

use super::address::ExtendedPassive;
use super::argument::{Argument, SyntaxError};
use super::calendar::CivilTime;
use super::facts::FactSet;
use super::file_mode::ModeChange;
use super::params::RepresentationType;
use super::secret::Password;
use Access::{Anyone, LoggedIn, Modifier, Reader, Writer};
use Feat::{Computed, Line};
use Parse::{Table, Takes};
pub(crate) use spec::{Access, Choices, CommandSpec, Offered, ParseError, Topic, Urgent};
use spec::{Feat, Parse, find, find_in, needs};

/// What a client asks for, its argument understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    User(Vec<u8>),
    Pass(Password),
    Acct,
    Cwd(Option<Vec<u8>>),
    Cdup,
    Rein,
    Quit,
    Port(SocketAddr),
    Eprt(SocketAddr),
    Lprt(SocketAddr),
    Pasv,
    Epsv(ExtendedPassive),
    Lpsv,
    Type(RepresentationType),
    Stru(u8),
    Mode(u8),
    Retr(Vec<u8>),
    Stor(Vec<u8>),
    Stou(Option<Vec<u8>>),
    Appe(Vec<u8>),
    Allo(u64),
    Rest(u64),
    Abor,
    Rnfr(Vec<u8>),
    Rnto(Vec<u8>),
    Dele(Vec<u8>),
    Rmd(Vec<u8>),
    Mkd(Vec<u8>),
    Pwd,
    Size(Vec<u8>),
    Mdtm(Vec<u8>),
    Mfmt(CivilTime, Vec<u8>),
    List(Vec<u8>),
    Nlst(Vec<u8>),
    Mlst(Option<Vec<u8>>),
    Mlsd(Option<Vec<u8>>),
    Syst,
    Stat(Option<Vec<u8>>),
    Help(Topic),
    Noop,
    Feat,
    OptsMlst(FactSet),
    OptsUtf8,
    Clnt,
    Lang(Option<Vec<u8>>),
    Auth(Vec<u8>),
    Pbsz(u64),
    Prot(u8),
    Ccc,
    Host(Vec<u8>),
    SiteChmod(ModeChange, Vec<u8>),
    SiteUmask(Option<u32>),
    /// Seconds.
    SiteIdle(Option<u64>),
    SiteUtime {
        accessed: Option<CivilTime>,
        modified: CivilTime,
        path: Vec<u8>,
    },
    /// The records that a mainframe's client describes before each upload; a tree of bytes has none.
    SiteRecordFormat,
}

/// The commands. HELP shows them in this order.
#[rustfmt::skip]
pub(crate) static COMMANDS: &[CommandSpec] = &[
    // RFC 959 section 4.1.1: access control.
    CommandSpec { verb: "USER", syntax: "<sp> username", help: "log in as this account",
        parse: Takes(|arg| Ok(Command::User(arg.required()?))), ..needs(Anyone) },
    CommandSpec { verb: "PASS", syntax: "<sp> password", help: "the password of that account",
        secret: true,
        parse: Takes(|arg| Ok(Command::Pass(Password::new(arg.0.to_vec())))), ..needs(Anyone) },
    CommandSpec { verb: "ACCT", syntax: "<sp> account", help: "nothing more is needed to log in",
        secret: true,
        parse: Takes(|arg| arg.required().map(|_| Command::Acct)), ..needs(Anyone) },
    CommandSpec { verb: "CWD", aliases: &["XCWD"], syntax: "[ <sp> path-name ]", help: "change the working directory",
        feat: Line("TVFS"),
        parse: Takes(|arg| Ok(Command::Cwd(arg.optional()?))), ..needs(LoggedIn) },
    CommandSpec { verb: "CDUP", aliases: &["XCUP"], syntax: "", help: "change to the parent directory",
        parse: Takes(|arg| arg.none().map(|()| Command::Cdup)), ..needs(LoggedIn) },
    CommandSpec { verb: "SMNT", syntax: "<sp> path-name", help: "mount a file system", ..needs(LoggedIn) },
    CommandSpec { verb: "REIN", syntax: "", help: "start over, as if just connected",
        parse: Takes(|arg| arg.none().map(|()| Command::Rein)), ..needs(Anyone) },
    CommandSpec { verb: "QUIT", syntax: "", help: "end the session",
        urgent: Some(Urgent::Quit),
        parse: Takes(|arg| arg.none().map(|()| Command::Quit)), ..needs(Anyone) },

    // Section 4.1.2: transfer parameters, and RFC 1639 and 2428 for the addresses that came later.
    CommandSpec { verb: "PORT", syntax: "<sp> h1,h2,h3,h4,p1,p2", help: "connect to this data port",
        offered: |offered| offered.active, prepares: true,
        parse: Takes(|arg| Ok(Command::Port(arg.host_port()?))), ..needs(LoggedIn) },
    CommandSpec { verb: "EPRT", syntax: "<sp> |af|address|port|", help: "connect to this data port",
        feat: Line("EPRT"), offered: |offered| offered.active, prepares: true,
        parse: Takes(|arg| Ok(Command::Eprt(arg.extended_host_port()?))), ..needs(LoggedIn) },
    CommandSpec { verb: "LPRT", syntax: "<sp> af,hal,h1,h2,...,pal,p1,p2", help: "connect to this data port",
        feat: Line("LPRT"), offered: |offered| offered.active, prepares: true,
        parse: Takes(|arg| Ok(Command::Lprt(arg.long_host_port()?))), ..needs(LoggedIn) },
    CommandSpec { verb: "PASV", syntax: "", help: "listen on a data port",
        feat: Line("PASV"), offered: |offered| offered.passive, prepares: true,
        parse: Takes(|arg| arg.none().map(|()| Command::Pasv)), ..needs(LoggedIn) },
    CommandSpec { verb: "EPSV", syntax: "[ <sp> af | ALL ]", help: "listen on a data port",
        feat: Line("EPSV"), offered: |offered| offered.extended_passive, prepares: true,
        parse: Takes(|arg| Ok(Command::Epsv(arg.extended_passive()?))), ..needs(LoggedIn) },
    CommandSpec { verb: "LPSV", syntax: "", help: "listen on a data port",
        feat: Line("LPSV"), offered: |offered| offered.extended_passive, prepares: true,
        parse: Takes(|arg| arg.none().map(|()| Command::Lpsv)), ..needs(LoggedIn) },
    CommandSpec { verb: "TYPE", syntax: "<sp> A | E [ N | T | C ] | I | L 8", help: "set the representation type",
        prepares: true,
        parse: Takes(|arg| Ok(Command::Type(arg.representation_type()?))), ..needs(LoggedIn) },
    CommandSpec { verb: "STRU", syntax: "<sp> F | R", help: "set the file structure",
        parse: Takes(|arg| Ok(Command::Stru(arg.letter()?))), ..needs(LoggedIn) },
    CommandSpec { verb: "MODE", syntax: "<sp> S | B | C", help: "set the transfer mode",
        parse: Takes(|arg| Ok(Command::Mode(arg.letter()?))), ..needs(LoggedIn) },

    // Section 4.1.3: service.
    CommandSpec { verb: "RETR", syntax: "<sp> path-name", help: "send a file",
        opens_data_connection: true,
        parse: Takes(|arg| Ok(Command::Retr(arg.required()?))), ..needs(Reader) },
    CommandSpec { verb: "STOR", syntax: "<sp> path-name", help: "store a file",
        opens_data_connection: true,
        parse: Takes(|arg| Ok(Command::Stor(arg.required()?))), ..needs(Writer) },
    CommandSpec { verb: "STOU", syntax: "[ <sp> path-name ]", help: "store a file under a name of its own",
        opens_data_connection: true,
        parse: Takes(|arg| Ok(Command::Stou(arg.optional()?))), ..needs(Writer) },
    CommandSpec { verb: "APPE", syntax: "<sp> path-name", help: "append to a file",
        opens_data_connection: true,
        parse: Takes(|arg| Ok(Command::Appe(arg.required()?))), ..needs(Writer) },
    CommandSpec { verb: "ALLO", syntax: "<sp> size [ R record-size ]", help: "ask whether there is room",
        parse: Takes(|arg| Ok(Command::Allo(arg.allocation()?))), ..needs(Writer) },
    CommandSpec { verb: "REST", syntax: "<sp> offset", help: "start the next transfer there",
        feat: Line("REST STREAM"), prepares: true,
        parse: Takes(|arg| Ok(Command::Rest(arg.number()?))), ..needs(LoggedIn) },
    CommandSpec { verb: "RNFR", syntax: "<sp> path-name", help: "the file to rename",
        offered: |offered| offered.rename,
        parse: Takes(|arg| Ok(Command::Rnfr(arg.required()?))), ..needs(Modifier) },
    CommandSpec { verb: "RNTO", syntax: "<sp> path-name", help: "its new name",
        offered: |offered| offered.rename,
        parse: Takes(|arg| Ok(Command::Rnto(arg.required()?))), ..needs(Modifier) },
    CommandSpec { verb: "ABOR", syntax: "", help: "stop the transfer",
        urgent: Some(Urgent::Abort),
        parse: Takes(|arg| arg.none().map(|()| Command::Abor)), ..needs(LoggedIn) },
    CommandSpec { verb: "DELE", syntax: "<sp> path-name", help: "delete a file",
        offered: |offered| offered.delete,
        parse: Takes(|arg| Ok(Command::Dele(arg.required()?))), ..needs(Modifier) },
    CommandSpec { verb: "RMD", aliases: &["XRMD"], syntax: "<sp> path-name", help: "remove a directory",
        offered: |offered| offered.delete,
        parse: Takes(|arg| Ok(Command::Rmd(arg.required()?))), ..needs(Modifier) },
    CommandSpec { verb: "MKD", aliases: &["XMKD"], syntax: "<sp> path-name", help: "make a directory",
        parse: Takes(|arg| Ok(Command::Mkd(arg.required()?))), ..needs(Writer) },
    CommandSpec { verb: "PWD", aliases: &["XPWD"], syntax: "", help: "show the working directory",
        parse: Takes(|arg| arg.none().map(|()| Command::Pwd)), ..needs(LoggedIn) },
    CommandSpec { verb: "LIST", syntax: "[ <sp> [ -options ] path-name ]", help: "list files, as ls -l does",
        opens_data_connection: true,
        parse: Takes(|arg| Ok(Command::List(arg.optional()?.unwrap_or_default()))), ..needs(LoggedIn) },
    CommandSpec { verb: "NLST", syntax: "[ <sp> [ -options ] path-name ]", help: "list the names of files",
        opens_data_connection: true,
        parse: Takes(|arg| Ok(Command::Nlst(arg.optional()?.unwrap_or_default()))), ..needs(LoggedIn) },
    CommandSpec { verb: "SITE", syntax: "<sp> command [ <sp> arguments ]", help: "what this server does besides: see HELP SITE",
        parse: Table { rows: SITE_COMMANDS, other: record_format }, ..needs(LoggedIn) },
    CommandSpec { verb: "SYST", syntax: "", help: "say what system this is",
        parse: Takes(|arg| arg.none().map(|()| Command::Syst)), ..needs(Anyone) },
    CommandSpec { verb: "STAT", syntax: "[ <sp> path-name ]", help: "show the session, the transfer that runs, or a file",
        urgent: Some(Urgent::Status),
        parse: Takes(|arg| Ok(Command::Stat(arg.optional()?))), ..needs(Anyone) },
    CommandSpec { verb: "HELP", syntax: "[ <sp> command ]", help: "show the commands, or one",
        parse: Takes(|arg| Ok(Command::Help(topic(COMMANDS, arg)?))), ..needs(Anyone) },
    CommandSpec { verb: "NOOP", syntax: "", help: "do nothing",
        parse: Takes(|arg| arg.none().map(|()| Command::Noop)), ..needs(Anyone) },

    // RFC 2389, 2640 and 3659, and CLNT, which has none.
    CommandSpec { verb: "FEAT", syntax: "", help: "show what there is beyond RFC 959",
        parse: Takes(|arg| arg.none().map(|()| Command::Feat)), ..needs(Anyone) },
    CommandSpec { verb: "OPTS", syntax: "<sp> command [ <sp> options ]", help: "set options of MLST or UTF8",
        feat: Line("UTF8"),
        parse: Takes(options), ..needs(Anyone) },
    CommandSpec { verb: "LANG", syntax: "[ <sp> language ]", help: "set the language of replies",
        feat: Line("LANG EN*"),
        parse: Takes(|arg| Ok(Command::Lang(arg.optional()?))), ..needs(Anyone) },
    CommandSpec { verb: "CLNT", syntax: "<sp> name", help: "say which program the client is",
        feat: Line("CLNT"),
        parse: Takes(|arg| arg.required().map(|_| Command::Clnt)), ..needs(Anyone) },
    CommandSpec { verb: "SIZE", syntax: "<sp> path-name", help: "show how many bytes RETR would send",
        feat: Line("SIZE"),
        parse: Takes(|arg| Ok(Command::Size(arg.required()?))), ..needs(LoggedIn) },
    CommandSpec { verb: "MDTM", syntax: "<sp> path-name", help: "show when a file was modified",
        feat: Line("MDTM"),
        parse: Takes(|arg| Ok(Command::Mdtm(arg.required()?))), ..needs(LoggedIn) },
    MFMT,
    CommandSpec { verb: "MLST", syntax: "[ <sp> path-name ]", help: "show the facts of a file",
        feat: Computed(|choices| format!("MLST {}", choices.facts.feat_line())), options: Some(facts),
        parse: Takes(|arg| Ok(Command::Mlst(arg.optional()?))), ..needs(LoggedIn) },
    CommandSpec { verb: "MLSD", syntax: "[ <sp> path-name ]", help: "list a directory as facts",
        opens_data_connection: true,
        parse: Takes(|arg| Ok(Command::Mlsd(arg.optional()?))), ..needs(LoggedIn) },

    // RFC 2228 and 4217.
    CommandSpec { verb: "AUTH", syntax: "<sp> TLS", help: "secure the control connection",
        feat: Line("AUTH TLS"), offered: |offered| offered.tls,
        parse: Takes(|arg| Ok(Command::Auth(arg.required()?))), ..needs(Anyone) },
    CommandSpec { verb: "PBSZ", syntax: "<sp> 0", help: "protection buffer size",
        feat: Line("PBSZ"), offered: |offered| offered.tls,
        parse: Takes(|arg| Ok(Command::Pbsz(arg.number()?))), ..needs(Anyone) },
    CommandSpec { verb: "PROT", syntax: "<sp> C | P", help: "data protection level",
        feat: Line("PROT"), offered: |offered| offered.tls,
        parse: Takes(|arg| Ok(Command::Prot(arg.letter()?))), ..needs(Anyone) },
    CommandSpec { verb: "CCC", syntax: "", help: "clear the control connection",
        feat: Line("CCC"), offered: |offered| offered.clear,
        parse: Takes(|arg| arg.none().map(|()| Command::Ccc)), ..needs(Anyone) },

    // RFC 7151.
    CommandSpec { verb: "HOST", syntax: "<sp> name", help: "choose the virtual host, before USER",
        feat: Line("HOST"),
        parse: Takes(|arg| Ok(Command::Host(arg.required()?))), ..needs(Anyone) },

    // What else RFC 2228 has: not here.
    CommandSpec { verb: "ADAT", syntax: "<sp> base64-data", help: "security data", ..needs(Anyone) },
    CommandSpec { verb: "MIC", syntax: "<sp> base64-data", help: "integrity protected command", ..needs(Anyone) },
    CommandSpec { verb: "CONF", syntax: "<sp> base64-data", help: "confidential command", ..needs(Anyone) },
    CommandSpec { verb: "ENC", syntax: "<sp> base64-data", help: "private command", ..needs(Anyone) },

    // RFC 765: mail, which left FTP with RFC 821.
    CommandSpec { verb: "MLFL", syntax: "<sp> user", help: "mail a file", ..needs(Anyone) },
    CommandSpec { verb: "MAIL", syntax: "<sp> user", help: "mail to a user", ..needs(Anyone) },
    CommandSpec { verb: "MSND", syntax: "<sp> user", help: "mail to a terminal", ..needs(Anyone) },
    CommandSpec { verb: "MSOM", syntax: "<sp> user", help: "mail to a terminal or mailbox", ..needs(Anyone) },
    CommandSpec { verb: "MSAM", syntax: "<sp> user", help: "mail to a terminal and mailbox", ..needs(Anyone) },
    CommandSpec { verb: "MRSQ", syntax: "[ <sp> scheme ]", help: "mail recipient scheme", ..needs(Anyone) },
    CommandSpec { verb: "MRCP", syntax: "<sp> user", help: "mail recipient", ..needs(Anyone) },
];

/// The verbs without which nobody logs in by a password.
pub(crate) const LOGIN_VERBS: [&str; 2] = ["USER", "PASS"];

/// This row has a name, because MDTM may set a file's time where MFMT may.
#[rustfmt::skip]
pub(crate) const MFMT: CommandSpec = CommandSpec { verb: "MFMT", syntax: "<sp> YYYYMMDDhhmmss <sp> path-name", help: "set when a file was modified",
    feat: Line("MFMT"),
    parse: Takes(|arg| arg.time_and_path().map(|(time, path)| Command::Mfmt(time, path))), ..needs(Modifier) };

/// The commands of SITE.
#[rustfmt::skip]
static SITE_COMMANDS: &[CommandSpec] = &[
    CommandSpec { verb: "SITE CHMOD", syntax: "<sp> mode <sp> path-name", help: "change the permission bits of a file",
        parse: Takes(|arg| arg.mode_and_path().map(|(mode, path)| Command::SiteChmod(mode, path))), ..needs(Modifier) },
    CommandSpec { verb: "SITE UMASK", syntax: "[ <sp> mask ]", help: "show or set the permission bits that new files lack",
        parse: Takes(|arg| Ok(Command::SiteUmask(arg.mask()?))), ..needs(LoggedIn) },
    CommandSpec { verb: "SITE IDLE", syntax: "[ <sp> seconds ]", help: "show or set how long the session may be silent",
        parse: Takes(|arg| Ok(Command::SiteIdle(arg.seconds()?))), ..needs(LoggedIn) },
    CommandSpec { verb: "SITE UTIME", syntax: "<sp> YYYYMMDDhhmm[ss] <sp> path-name", help: "set when a file was modified",
        parse: Takes(utime), ..needs(Modifier) },
    CommandSpec { verb: "SITE HELP", syntax: "[ <sp> command ]", help: "show these commands, or one",
        parse: Takes(|arg| Ok(Command::Help(topic(SITE_COMMANDS, arg)?))), ..needs(LoggedIn) },
];

/// What a line asks for, and the row that knows it.
pub(crate) fn parse(line: &[u8]) -> Result<(&'static CommandSpec, Command), ParseError> {
    let (verb, argument) = Argument(line).split_once();
    find(COMMANDS, verb).ok_or(ParseError::Unknown)?.parse(argument)
}

/// The verb of `line`, as it was sent.
pub(crate) fn verb_of(line: &[u8]) -> &[u8] {
    Argument(line).split_once().0
}

/// What `line` asks of the transfer that is running. `None`: the line waits until the transfer has ended.
pub(crate) fn urgent(line: &[u8]) -> Option<(&'static CommandSpec, Urgent)> {
    let (verb, argument) = Argument(line).split_once();
    let spec = find(COMMANDS, verb)?;
    let urgent = spec.urgent.filter(|&urgent| urgent != Urgent::Status || argument.none().is_ok())?;
    Some((spec, urgent))
}

/// The row for the full name of a command, such as `retr` or `site chmod`.
pub(crate) fn named(name: &[u8]) -> Option<&'static CommandSpec> {
    find_in(COMMANDS, Argument(name))
}

/// Every row. The rows of SITE's table follow the row of SITE.
pub(crate) fn all() -> impl Iterator<Item = &'static CommandSpec> {
    COMMANDS.iter().flat_map(|spec| std::iter::once(spec).chain(spec.table()))
}

/// Whether `verb` begins what HTTP, SMTP or SSH clients say first (RFC 9110, 5321 and 4253).
pub(crate) fn is_of_another_protocol(verb: &[u8]) -> bool {
    const VERBS: [&[u8]; 13] = [
        b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI",
        b"EHLO", b"HELO", b"LHLO",
    ];
    VERBS.iter().any(|known| known.eq_ignore_ascii_case(verb)) || verb.starts_with(b"SSH-")
}

/// HELP's argument: nothing, or the name of a command.
fn topic(rows: &'static [CommandSpec], argument: Argument<'_>) -> Result<Topic, SyntaxError> {
    if argument.none().is_ok() {
        return Ok(Topic::Table(rows));
    }
    let spec = find_in(rows, argument).ok_or(SyntaxError::NoCommand)?;
    Ok(if spec.table().is_empty() { Topic::Command(spec) } else { Topic::Table(spec.table()) })
}

/// OPTS' argument: a verb with the options that its row takes; or UTF8, which is no verb.
fn options(argument: Argument<'_>) -> Result<Command, SyntaxError> {
    let (word, rest) = Argument(argument.0.trim_ascii_start()).split_word();
    if word.is_empty() {
        return Err(SyntaxError::Missing);
    }
    if word.eq_ignore_ascii_case(b"UTF8") || word.eq_ignore_ascii_case(b"UTF-8") {
        return utf8(rest);
    }
    find(COMMANDS, word).and_then(|spec| spec.options).ok_or(UNKNOWN_OPTION)?(rest)
}

const UNKNOWN_OPTION: SyntaxError = SyntaxError::Malformed("This option is not known.");

fn utf8(argument: Argument<'_>) -> Result<Command, SyntaxError> {
    match argument.0.trim_ascii().to_ascii_uppercase().as_slice() {
        b"" | b"ON" => Ok(Command::OptsUtf8),
        b"OFF" => Err(SyntaxError::Malformed("Path-names are always UTF-8 here, as RFC 2640 asks.")),
        _ => Err(UNKNOWN_OPTION),
    }
}

fn facts(argument: Argument<'_>) -> Result<Command, SyntaxError> {
    let names = match argument.words()[..] {
        [] => b"",
        [names] => names,
        _ => return Err(UNKNOWN_OPTION),
    };
    let facts = FactSet::parse(names).ok_or(SyntaxError::Malformed("Each fact ends with a semicolon."))?;
    Ok(Command::OptsMlst(facts))
}

fn utime(argument: Argument<'_>) -> Result<Command, SyntaxError> {
    let (accessed, modified, path) = argument.times_and_path()?;
    Ok(Command::SiteUtime { accessed, modified, path })
}

/// What z/OS says of a data set: `LRECL=80`, `RECFM=FB`, `FIXrecfm`.
fn record_format(word: &[u8]) -> Option<Command> {
    const KEYS: [&str; 10] = [
        "RECFM",
        "LRECL",
        "BLKSIZE",
        "BLOCKSIZE",
        "PRIMARY",
        "SECONDARY",
        "CYLINDERS",
        "TRACKS",
        "FILETYPE",
        "FIXRECFM",
    ];
    let key = word.split(|&byte| byte == b'=').next().unwrap_or(word);
    let known = KEYS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(key));
    known.then_some(Command::SiteRecordFormat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Random;

    fn command(line: &str) -> Command {
        parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error:?}")).1
    }

    /// The command, or what is wrong with its argument.
    fn command_of(line: &[u8]) -> Result<Command, SyntaxError> {
        match parse(line) {
            Ok((_, command)) => Ok(command),
            Err(ParseError::Syntax(_, error)) => Err(error),
            Err(error) => panic!("{}: {error:?}", line.escape_ascii()),
        }
    }

    #[test]
    fn a_verb_is_known_in_any_case_and_its_argument_is_kept_as_it_is() {
        assert_eq!(command("retr  a b "), Command::Retr(b" a b ".to_vec()));
        assert_eq!(command("Noop"), Command::Noop);
        assert_eq!(command("PASS "), Command::Pass(Password::new(Vec::new())));
        assert_eq!(command("PASS"), Command::Pass(Password::new(Vec::new())));
        assert_eq!(command("CWD"), Command::Cwd(None));
    }

    #[test]
    fn every_name_has_one_row_in_upper_case() {
        for rows in [COMMANDS, SITE_COMMANDS] {
            let names: Vec<&str> = rows.iter().flat_map(CommandSpec::names).collect();
            for (index, name) in names.iter().enumerate() {
                assert!(!name.is_empty() && *name == name.to_ascii_uppercase(), "{name}");
                assert!(!names[..index].contains(name), "{name}");
            }
        }
        assert!(all().all(|spec| !spec.help.is_empty() && named(spec.verb.as_bytes()) == Some(spec)));
        assert!(SITE_COMMANDS.iter().all(|spec| all().any(|other| other == spec)));
    }

    #[test]
    fn another_name_is_the_same_command() {
        let (spec, command) = parse(b"xcwd a").unwrap();
        assert_eq!((spec.verb, command), ("CWD", Command::Cwd(Some(b"a".to_vec()))));
        assert_eq!(command_of(b"XPWD"), Ok(Command::Pwd));
    }

    #[test]
    fn the_row_of_a_line_of_site_is_that_of_its_command() {
        assert_eq!(parse(b"site umask").unwrap().0.verb, "SITE UMASK");
        assert_eq!(parse(b"SITE RECFM=FB").unwrap().0.verb, "SITE");
        assert!(
            matches!(parse(b"SITE UMASK x"), Err(ParseError::Syntax(spec, _)) if spec.verb == "SITE UMASK")
        );
        assert!(matches!(parse(b"SITE FOO"), Err(ParseError::UnknownIn(spec)) if spec.verb == "SITE"));
    }

    #[test]
    fn a_command_is_found_by_its_full_name() {
        let verb = |name: &str| named(name.as_bytes()).map(|spec| spec.verb);
        assert_eq!(verb("xrmd"), Some("RMD"));
        assert_eq!(verb("site chmod"), Some("SITE CHMOD"));
        for unknown in ["", "CHMOD", "SITE RMD", "SITE CHMOD x", "RMD x"] {
            assert_eq!(verb(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn help_is_about_a_table_or_a_command() {
        let site = Command::Help(Topic::Table(SITE_COMMANDS));
        assert_eq!(command("HELP"), Command::Help(Topic::Table(COMMANDS)));
        assert_eq!((command("HELP SITE"), command("SITE HELP")), (site.clone(), site));
        assert_eq!(command("HELP SITE CHMOD"), command("site help chmod"));
        assert!(matches!(command("HELP xcwd"), Command::Help(Topic::Command(spec)) if spec.verb == "CWD"));
        for line in ["HELP FOO", "HELP CHMOD", "HELP CWD a", "SITE HELP CWD"] {
            assert_eq!(command_of(line.as_bytes()), Err(SyntaxError::NoCommand), "{line}");
        }
    }

    #[test]
    fn options_are_those_of_the_row() {
        let Command::OptsMlst(facts) = command("opts mlst Size;Type;") else { panic!() };
        assert_eq!(facts, FactSet::parse(b"type;size;").unwrap());
        assert_eq!(command("OPTS MLST"), Command::OptsMlst(FactSet::parse(b"").unwrap()));
        for line in ["OPTS UTF8", "OPTS utf8 on", "OPTS  UTF-8 ON "] {
            assert_eq!(command(line), Command::OptsUtf8, "{line}");
        }
        assert_eq!(command_of(b"OPTS"), Err(SyntaxError::Missing));
        for line in ["OPTS MLST type; size;", "OPTS MLST type;x", "OPTS RETR", "OPTS FOO", "OPTS UTF8 OFF"] {
            assert!(matches!(command_of(line.as_bytes()), Err(SyntaxError::Malformed(_))), "{line}");
        }
    }

    #[test]
    fn little_is_answered_while_a_transfer_runs() {
        let what = |line: &[u8]| urgent(line).map(|(_, urgent)| urgent);
        assert_eq!(what(b"abor"), Some(Urgent::Abort));
        assert_eq!(
            (what(b"STAT"), what(b"STAT "), what(b"STAT a")),
            (Some(Urgent::Status), Some(Urgent::Status), None)
        );
        assert_eq!(what(b"QUIT"), Some(Urgent::Quit));
        assert_eq!((what(b"NOOP"), what(b"FOO"), what(b"")), (None, None, None));
    }

    #[test]
    fn what_is_wrong_with_a_line_is_told_apart() {
        assert!(matches!(parse(b"FOO"), Err(ParseError::Unknown)));
        assert!(matches!(parse(b""), Err(ParseError::Unknown)));
        assert!(matches!(parse(b"SITE FOO"), Err(ParseError::UnknownIn(_))));
        assert!(matches!(parse(b"MAIL x"), Err(ParseError::NotImplemented(_))));
        assert!(matches!(parse(b"RETR"), Err(ParseError::Syntax(_, SyntaxError::Missing))));
        assert!(matches!(parse(b"RETR "), Err(ParseError::Syntax(_, SyntaxError::Missing))));
        assert!(matches!(parse(b"SITE"), Err(ParseError::Syntax(_, SyntaxError::Missing))));
        assert!(matches!(parse(b"PWD x"), Err(ParseError::Syntax(_, SyntaxError::Unexpected))));
        assert!(matches!(parse(b"DELE a\0b"), Err(ParseError::Syntax(_, SyntaxError::Malformed(_)))));
        assert!(matches!(parse(b"TYPE L 36"), Err(ParseError::Syntax(_, SyntaxError::Unsupported(_)))));
    }

    #[test]
    fn site_has_commands_of_its_own() {
        let Command::SiteChmod(mode, path) = command("site chmod u+x a b") else { panic!() };
        assert_eq!((mode.apply(0o644, false, 0), path), (0o744, b"a b".to_vec()));
        assert_eq!(command("SITE UMASK 022"), Command::SiteUmask(Some(0o22)));
        assert_eq!(command("SITE IDLE"), Command::SiteIdle(None));
        assert_eq!(command("SITE LRECL=80 RECFM=FB"), Command::SiteRecordFormat);
        assert!(parse(b"SITE CHMOD 999 x").is_err() && parse(b"SITE CHMOD 644").is_err());
    }

    #[test]
    fn site_utime_has_two_forms() {
        let time = CivilTime::parse_time_val(b"20260102030405").unwrap();
        assert_eq!(
            command("SITE UTIME 20260102030405 a b"),
            Command::SiteUtime { accessed: None, modified: time, path: b"a b".to_vec() }
        );
        let old = CivilTime::parse_time_val(b"20250102030405").unwrap();
        assert_eq!(
            command("SITE UTIME a b 20250102030405 20260102030405 20260102030405 UTC"),
            Command::SiteUtime { accessed: Some(old), modified: time, path: b"a b".to_vec() }
        );
        assert!(parse(b"SITE UTIME x").is_err());
    }

    #[test]
    fn any_line_is_a_command_or_an_error() {
        let mut random = Random::new(1);
        for _ in 0..50_000 {
            let mut line = COMMANDS[random.below(COMMANDS.len())].verb.as_bytes().to_vec();
            let length = random.below(40);
            line.extend(random.bytes(length, b" 0123456789,|:.+-=ugorwxXstAIL\0\xFF\n\"/\\"));
            let _ = parse(&line);
        }
    }
}
