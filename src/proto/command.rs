//! `Command`, and `COMMANDS`: one row per verb.
//!
//! The parser, the login gate, HELP, SITE HELP and FEAT read these tables, so that
//! they cannot disagree. RFC 959 section 4.1; RFC 775 for the X verbs; RFC 1639,
//! 2389, 2428, 2640 and 3659 for what came later; RFC 765 for the mail verbs that left.

use std::net::SocketAddr;

use super::address::ExtendedPassive;
use super::argument::{Argument, SyntaxError, decimal, octal};
use super::calendar::CivilTime;
use super::file_mode::ModeChange;
use super::params::RepresentationType;
use super::secret::Password;

/// What a client may ask for, its argument understood.
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
    Help(Option<Vec<u8>>),
    Noop,
    Feat,
    Opts(Vec<u8>),
    Clnt,
    Lang(Option<Vec<u8>>),
    Auth(Vec<u8>),
    Pbsz(u64),
    Prot(u8),
    Ccc,
    Host(Vec<u8>),
    Site(SiteCommand),
}

/// What SITE may be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SiteCommand {
    Chmod(ModeChange, Vec<u8>),
    Umask(Option<u32>),
    /// Seconds.
    Idle(Option<u64>),
    Utime {
        accessed: Option<CivilTime>,
        modified: CivilTime,
        path: Vec<u8>,
    },
    Help(Option<Vec<u8>>),
    /// What a mainframe's client says of records before each upload; it means nothing to a tree of bytes.
    RecordFormat,
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

#[derive(Debug)]
pub(crate) struct CommandSpec {
    pub verb: &'static str,
    /// The argument, as HELP prints it.
    pub syntax: &'static str,
    pub help: &'static str,
    pub needs: Access,
    /// The lines FEAT shows for what RFC 959 does not define.
    pub feat: &'static [&'static str],
    /// `None` is "recognized, not implemented": a 502, and a star in HELP.
    pub parse: Option<Parse>,
}

type Parse = fn(Argument<'_>) -> Result<Command, SyntaxError>;

#[derive(Debug)]
pub(crate) struct SiteSpec {
    pub verb: &'static str,
    pub syntax: &'static str,
    pub help: &'static str,
    pub needs: Access,
    pub parse: fn(Argument<'_>) -> Result<SiteCommand, SyntaxError>,
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ParseError {
    /// 500: no such verb.
    Unknown,
    /// 500: no such verb of SITE.
    UnknownSite,
    /// 502: a verb of the RFCs that this server leaves out.
    NotImplemented(&'static CommandSpec),
    Syntax(&'static CommandSpec, SyntaxError),
}

use Access::{Anyone, LoggedIn, Modifier, Reader, Writer};

/// The verbs that are for `Command::parse` what `RETR` is; with a star in HELP those without a parser.
#[rustfmt::skip]
pub(crate) static COMMANDS: &[CommandSpec] = &[
    // RFC 959 section 4.1.1: access control.
    CommandSpec { verb: "USER", syntax: "<sp> username", help: "log in as this account", needs: Anyone, feat: &[],
        parse: Some(|arg| Ok(Command::User(arg.required()?))) },
    CommandSpec { verb: "PASS", syntax: "<sp> password", help: "the password of that account", needs: Anyone, feat: &[],
        parse: Some(|arg| Ok(Command::Pass(Password::new(arg.0.to_vec())))) },
    CommandSpec { verb: "ACCT", syntax: "<sp> account", help: "nothing more is needed to log in", needs: Anyone, feat: &[],
        parse: Some(|arg| arg.required().map(|_| Command::Acct)) },
    CommandSpec { verb: "CWD", syntax: "[ <sp> path-name ]", help: "change the working directory", needs: LoggedIn, feat: &["TVFS"],
        parse: Some(|arg| Ok(Command::Cwd(arg.optional()?))) },
    CommandSpec { verb: "XCWD", syntax: "[ <sp> path-name ]", help: "CWD, by its first name", needs: LoggedIn, feat: &[],
        parse: Some(|arg| Ok(Command::Cwd(arg.optional()?))) },
    CommandSpec { verb: "CDUP", syntax: "", help: "change to the parent directory", needs: LoggedIn, feat: &[],
        parse: Some(|arg| arg.none().map(|()| Command::Cdup)) },
    CommandSpec { verb: "XCUP", syntax: "", help: "CDUP, by its first name", needs: LoggedIn, feat: &[],
        parse: Some(|arg| arg.none().map(|()| Command::Cdup)) },
    CommandSpec { verb: "SMNT", syntax: "<sp> path-name", help: "mount a file system", needs: LoggedIn, feat: &[], parse: None },
    CommandSpec { verb: "REIN", syntax: "", help: "start over, as if just connected", needs: Anyone, feat: &[],
        parse: Some(|arg| arg.none().map(|()| Command::Rein)) },
    CommandSpec { verb: "QUIT", syntax: "", help: "end the session", needs: Anyone, feat: &[],
        parse: Some(|arg| arg.none().map(|()| Command::Quit)) },

    // Section 4.1.2: transfer parameters, and RFC 1639 and 2428 for the addresses that came later.
    CommandSpec { verb: "PORT", syntax: "<sp> h1,h2,h3,h4,p1,p2", help: "connect to this data port", needs: LoggedIn, feat: &[],
        parse: Some(|arg| Ok(Command::Port(arg.host_port()?))) },
    CommandSpec { verb: "EPRT", syntax: "<sp> |af|address|port|", help: "connect to this data port", needs: LoggedIn, feat: &["EPRT"],
        parse: Some(|arg| Ok(Command::Eprt(arg.extended_host_port()?))) },
    CommandSpec { verb: "LPRT", syntax: "<sp> af,hal,h1,h2,...,pal,p1,p2", help: "connect to this data port", needs: LoggedIn, feat: &["LPRT"],
        parse: Some(|arg| Ok(Command::Lprt(arg.long_host_port()?))) },
    CommandSpec { verb: "PASV", syntax: "", help: "listen on a data port", needs: LoggedIn, feat: &["PASV"],
        parse: Some(|arg| arg.none().map(|()| Command::Pasv)) },
    CommandSpec { verb: "EPSV", syntax: "[ <sp> af | ALL ]", help: "listen on a data port", needs: LoggedIn, feat: &["EPSV"],
        parse: Some(|arg| Ok(Command::Epsv(arg.extended_passive()?))) },
    CommandSpec { verb: "LPSV", syntax: "", help: "listen on a data port", needs: LoggedIn, feat: &["LPSV"],
        parse: Some(|arg| arg.none().map(|()| Command::Lpsv)) },
    CommandSpec { verb: "TYPE", syntax: "<sp> A [ N | T | C ] | I | L 8", help: "set the representation type", needs: LoggedIn, feat: &[],
        parse: Some(|arg| Ok(Command::Type(arg.representation_type()?))) },
    CommandSpec { verb: "STRU", syntax: "<sp> F", help: "set the file structure", needs: LoggedIn, feat: &[],
        parse: Some(|arg| Ok(Command::Stru(arg.letter()?))) },
    CommandSpec { verb: "MODE", syntax: "<sp> S", help: "set the transfer mode", needs: LoggedIn, feat: &[],
        parse: Some(|arg| Ok(Command::Mode(arg.letter()?))) },

    // Section 4.1.3: service.
    CommandSpec { verb: "RETR", syntax: "<sp> path-name", help: "send a file", needs: Reader, feat: &[],
        parse: Some(|arg| Ok(Command::Retr(arg.required()?))) },
    CommandSpec { verb: "STOR", syntax: "<sp> path-name", help: "store a file", needs: Writer, feat: &[],
        parse: Some(|arg| Ok(Command::Stor(arg.required()?))) },
    CommandSpec { verb: "STOU", syntax: "[ <sp> path-name ]", help: "store a file under a name of its own", needs: Writer, feat: &[],
        parse: Some(|arg| Ok(Command::Stou(arg.optional()?))) },
    CommandSpec { verb: "APPE", syntax: "<sp> path-name", help: "append to a file", needs: Writer, feat: &[],
        parse: Some(|arg| Ok(Command::Appe(arg.required()?))) },
    CommandSpec { verb: "ALLO", syntax: "<sp> size [ R record-size ]", help: "ask whether there is room", needs: Writer, feat: &[],
        parse: Some(|arg| Ok(Command::Allo(arg.allocation()?))) },
    CommandSpec { verb: "REST", syntax: "<sp> offset", help: "start the next transfer there", needs: LoggedIn, feat: &["REST STREAM"],
        parse: Some(|arg| Ok(Command::Rest(arg.number()?))) },
    CommandSpec { verb: "RNFR", syntax: "<sp> path-name", help: "the file to rename", needs: Modifier, feat: &[],
        parse: Some(|arg| Ok(Command::Rnfr(arg.required()?))) },
    CommandSpec { verb: "RNTO", syntax: "<sp> path-name", help: "its new name", needs: Modifier, feat: &[],
        parse: Some(|arg| Ok(Command::Rnto(arg.required()?))) },
    CommandSpec { verb: "ABOR", syntax: "", help: "stop the transfer", needs: LoggedIn, feat: &[],
        parse: Some(|arg| arg.none().map(|()| Command::Abor)) },
    CommandSpec { verb: "DELE", syntax: "<sp> path-name", help: "delete a file", needs: Modifier, feat: &[],
        parse: Some(|arg| Ok(Command::Dele(arg.required()?))) },
    CommandSpec { verb: "RMD", syntax: "<sp> path-name", help: "remove a directory", needs: Modifier, feat: &[],
        parse: Some(|arg| Ok(Command::Rmd(arg.required()?))) },
    CommandSpec { verb: "XRMD", syntax: "<sp> path-name", help: "RMD, by its first name", needs: Modifier, feat: &[],
        parse: Some(|arg| Ok(Command::Rmd(arg.required()?))) },
    CommandSpec { verb: "MKD", syntax: "<sp> path-name", help: "make a directory", needs: Writer, feat: &[],
        parse: Some(|arg| Ok(Command::Mkd(arg.required()?))) },
    CommandSpec { verb: "XMKD", syntax: "<sp> path-name", help: "MKD, by its first name", needs: Writer, feat: &[],
        parse: Some(|arg| Ok(Command::Mkd(arg.required()?))) },
    CommandSpec { verb: "PWD", syntax: "", help: "show the working directory", needs: LoggedIn, feat: &[],
        parse: Some(|arg| arg.none().map(|()| Command::Pwd)) },
    CommandSpec { verb: "XPWD", syntax: "", help: "PWD, by its first name", needs: LoggedIn, feat: &[],
        parse: Some(|arg| arg.none().map(|()| Command::Pwd)) },
    CommandSpec { verb: "LIST", syntax: "[ <sp> [ -options ] path-name ]", help: "list files, as ls -l does", needs: LoggedIn, feat: &[],
        parse: Some(|arg| Ok(Command::List(arg.optional()?.unwrap_or_default()))) },
    CommandSpec { verb: "NLST", syntax: "[ <sp> [ -options ] path-name ]", help: "list the names of files", needs: LoggedIn, feat: &[],
        parse: Some(|arg| Ok(Command::Nlst(arg.optional()?.unwrap_or_default()))) },
    CommandSpec { verb: "SITE", syntax: "<sp> command [ <sp> arguments ]", help: "what this server does besides: see HELP SITE", needs: LoggedIn, feat: &[],
        parse: Some(|arg| parse_site(arg).map(|(_, command)| Command::Site(command))) },
    CommandSpec { verb: "SYST", syntax: "", help: "say what system this is", needs: Anyone, feat: &[],
        parse: Some(|arg| arg.none().map(|()| Command::Syst)) },
    CommandSpec { verb: "STAT", syntax: "[ <sp> path-name ]", help: "show the session, the transfer that runs, or a file", needs: Anyone, feat: &[],
        parse: Some(|arg| Ok(Command::Stat(arg.optional()?))) },
    CommandSpec { verb: "HELP", syntax: "[ <sp> command ]", help: "show the commands, or one", needs: Anyone, feat: &[],
        parse: Some(|arg| Ok(Command::Help(arg.optional()?))) },
    CommandSpec { verb: "NOOP", syntax: "", help: "do nothing", needs: Anyone, feat: &[],
        parse: Some(|arg| arg.none().map(|()| Command::Noop)) },

    // RFC 2389, 2640 and 3659, and CLNT, which has none.
    CommandSpec { verb: "FEAT", syntax: "", help: "show what there is beyond RFC 959", needs: Anyone, feat: &[],
        parse: Some(|arg| arg.none().map(|()| Command::Feat)) },
    CommandSpec { verb: "OPTS", syntax: "<sp> command [ <sp> options ]", help: "set options of MLST or UTF8", needs: Anyone, feat: &["UTF8"],
        parse: Some(|arg| Ok(Command::Opts(arg.required()?))) },
    CommandSpec { verb: "LANG", syntax: "[ <sp> language ]", help: "set the language of replies", needs: Anyone, feat: &["LANG EN*"],
        parse: Some(|arg| Ok(Command::Lang(arg.optional()?))) },
    CommandSpec { verb: "CLNT", syntax: "<sp> name", help: "say which program the client is", needs: Anyone, feat: &["CLNT"],
        parse: Some(|arg| arg.required().map(|_| Command::Clnt)) },
    CommandSpec { verb: "SIZE", syntax: "<sp> path-name", help: "show how many bytes RETR would send", needs: LoggedIn, feat: &["SIZE"],
        parse: Some(|arg| Ok(Command::Size(arg.required()?))) },
    CommandSpec { verb: "MDTM", syntax: "<sp> path-name", help: "show when a file was modified", needs: LoggedIn, feat: &["MDTM"],
        parse: Some(|arg| Ok(Command::Mdtm(arg.required()?))) },
    CommandSpec { verb: "MFMT", syntax: "<sp> YYYYMMDDhhmmss <sp> path-name", help: "set when a file was modified", needs: Modifier, feat: &["MFMT"],
        parse: Some(|arg| timed(arg).map(|(time, path)| Command::Mfmt(time, path))) },
    CommandSpec { verb: "MLST", syntax: "[ <sp> path-name ]", help: "show the facts of a file", needs: LoggedIn, feat: &["MLST"],
        parse: Some(|arg| Ok(Command::Mlst(arg.optional()?))) },
    CommandSpec { verb: "MLSD", syntax: "[ <sp> path-name ]", help: "list a directory as facts", needs: LoggedIn, feat: &[],
        parse: Some(|arg| Ok(Command::Mlsd(arg.optional()?))) },

    // RFC 2228 and 4217.
    CommandSpec { verb: "AUTH", syntax: "<sp> TLS", help: "secure the control connection", needs: Anyone, feat: &["AUTH TLS"],
        parse: Some(|arg| Ok(Command::Auth(arg.required()?))) },
    CommandSpec { verb: "PBSZ", syntax: "<sp> 0", help: "protection buffer size", needs: Anyone, feat: &["PBSZ"],
        parse: Some(|arg| Ok(Command::Pbsz(arg.number()?))) },
    CommandSpec { verb: "PROT", syntax: "<sp> C | P", help: "data protection level", needs: Anyone, feat: &["PROT"],
        parse: Some(|arg| Ok(Command::Prot(arg.letter()?))) },
    CommandSpec { verb: "CCC", syntax: "", help: "clear the control connection", needs: Anyone, feat: &["CCC"],
        parse: Some(|arg| arg.none().map(|()| Command::Ccc)) },

    // RFC 7151.
    CommandSpec { verb: "HOST", syntax: "<sp> name", help: "choose the virtual host, before USER", needs: Anyone, feat: &["HOST"],
        parse: Some(|arg| Ok(Command::Host(arg.required()?))) },

    // What else RFC 2228 has: not here.
    CommandSpec { verb: "ADAT", syntax: "<sp> base64-data", help: "security data", needs: Anyone, feat: &[], parse: None },
    CommandSpec { verb: "MIC", syntax: "<sp> base64-data", help: "integrity protected command", needs: Anyone, feat: &[], parse: None },
    CommandSpec { verb: "CONF", syntax: "<sp> base64-data", help: "confidential command", needs: Anyone, feat: &[], parse: None },
    CommandSpec { verb: "ENC", syntax: "<sp> base64-data", help: "private command", needs: Anyone, feat: &[], parse: None },

    // RFC 765: mail, which left FTP with RFC 821.
    CommandSpec { verb: "MLFL", syntax: "<sp> user", help: "mail a file", needs: Anyone, feat: &[], parse: None },
    CommandSpec { verb: "MAIL", syntax: "<sp> user", help: "mail to a user", needs: Anyone, feat: &[], parse: None },
    CommandSpec { verb: "MSND", syntax: "<sp> user", help: "mail to a terminal", needs: Anyone, feat: &[], parse: None },
    CommandSpec { verb: "MSOM", syntax: "<sp> user", help: "mail to a terminal or mailbox", needs: Anyone, feat: &[], parse: None },
    CommandSpec { verb: "MSAM", syntax: "<sp> user", help: "mail to a terminal and mailbox", needs: Anyone, feat: &[], parse: None },
    CommandSpec { verb: "MRSQ", syntax: "[ <sp> scheme ]", help: "mail recipient scheme", needs: Anyone, feat: &[], parse: None },
    CommandSpec { verb: "MRCP", syntax: "<sp> user", help: "mail recipient", needs: Anyone, feat: &[], parse: None },
];

/// The verbs of SITE.
#[rustfmt::skip]
pub(crate) static SITE_COMMANDS: &[SiteSpec] = &[
    SiteSpec { verb: "CHMOD", syntax: "<sp> mode <sp> path-name", help: "change the permission bits of a file", needs: Modifier, parse: chmod },
    SiteSpec { verb: "UMASK", syntax: "[ <sp> mask ]", help: "show or set the permission bits that new files lack", needs: LoggedIn, parse: umask },
    SiteSpec { verb: "IDLE", syntax: "[ <sp> seconds ]", help: "show or set how long the session may be silent", needs: LoggedIn, parse: idle },
    SiteSpec { verb: "UTIME", syntax: "<sp> YYYYMMDDhhmm[ss] <sp> path-name", help: "set when a file was modified", needs: Modifier, parse: utime },
    SiteSpec { verb: "HELP", syntax: "[ <sp> command ]", help: "show these commands, or one", needs: LoggedIn,
        parse: |arg| Ok(SiteCommand::Help(arg.optional()?)) },
];

/// The row of COMMANDS for `verb`, in any case.
pub(crate) fn spec(verb: &[u8]) -> Option<&'static CommandSpec> {
    COMMANDS.iter().find(|spec| spec.verb.as_bytes().eq_ignore_ascii_case(verb))
}

/// The row of SITE_COMMANDS for `verb`, in any case.
pub(crate) fn site_spec(verb: &[u8]) -> Option<&'static SiteSpec> {
    SITE_COMMANDS.iter().find(|spec| spec.verb.as_bytes().eq_ignore_ascii_case(verb))
}

/// Whether `verb` begins what HTTP, SMTP or SSH clients say first (RFC 9110, 5321 and 4253).
pub(crate) fn is_of_another_protocol(verb: &[u8]) -> bool {
    const VERBS: [&[u8]; 13] = [
        b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI",
        b"EHLO", b"HELO", b"LHLO",
    ];
    VERBS.iter().any(|known| known.eq_ignore_ascii_case(verb)) || verb.starts_with(b"SSH-")
}

/// The verb of `line`, as it was sent.
pub(crate) fn verb_of(line: &[u8]) -> &[u8] {
    Argument(line).split_once().0
}

/// What a line asks for, and the row that knows it.
pub(crate) fn parse(line: &[u8]) -> Result<(&'static CommandSpec, Command), ParseError> {
    let (verb, argument) = Argument(line).split_once();
    let spec = spec(verb).ok_or(ParseError::Unknown)?;
    let parse = spec.parse.ok_or(ParseError::NotImplemented(spec))?;
    if spec.verb == "SITE" && !argument.0.is_empty() && is_unknown_site(argument) {
        return Err(ParseError::UnknownSite);
    }
    parse(argument).map(|command| (spec, command)).map_err(|error| ParseError::Syntax(spec, error))
}

/// The row of SITE_COMMANDS that `argument` of SITE names, and what it asks for. Parameters of a
/// mainframe's records have no row.
pub(crate) fn parse_site(
    argument: Argument<'_>,
) -> Result<(Option<&'static SiteSpec>, SiteCommand), SyntaxError> {
    let (verb, rest) = argument.split_word();
    match site_spec(verb) {
        Some(spec) => (spec.parse)(rest).map(|command| (Some(spec), command)),
        None if verb.is_empty() => Err(SyntaxError::Missing),
        None => Ok((None, SiteCommand::RecordFormat)),
    }
}

fn is_unknown_site(argument: Argument<'_>) -> bool {
    let (verb, _) = argument.split_word();
    site_spec(verb).is_none() && !is_record_format(verb)
}

/// Whether this is how z/OS describes a data set: `LRECL=80`, `RECFM=FB`, `FIXrecfm`.
fn is_record_format(word: &[u8]) -> bool {
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
    KEYS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(key))
}

fn timed(argument: Argument<'_>) -> Result<(CivilTime, Vec<u8>), SyntaxError> {
    let (time, path) = argument.split_once();
    let time = CivilTime::parse_time_val(time)
        .filter(|_| time.len() >= 14)
        .ok_or(SyntaxError::Malformed("The form is YYYYMMDDhhmmss path-name."))?;
    Ok((time, path.required()?))
}

fn chmod(argument: Argument<'_>) -> Result<SiteCommand, SyntaxError> {
    let (mode, path) = argument.split_once();
    if mode.is_empty() {
        return Err(SyntaxError::Missing);
    }
    let mode = ModeChange::parse(mode)
        .ok_or(SyntaxError::Malformed("The mode is octal, up to 7777, or as chmod(1) takes it."))?;
    Ok(SiteCommand::Chmod(mode, path.required()?))
}

fn umask(argument: Argument<'_>) -> Result<SiteCommand, SyntaxError> {
    match argument.words()[..] {
        [] => Ok(SiteCommand::Umask(None)),
        [mask] => octal(mask)
            .filter(|&mask| mask <= 0o777)
            .map(|mask| SiteCommand::Umask(Some(mask)))
            .ok_or(SyntaxError::Malformed("The mask is octal, up to 777.")),
        _ => Err(SyntaxError::Malformed("One octal mask is needed.")),
    }
}

fn idle(argument: Argument<'_>) -> Result<SiteCommand, SyntaxError> {
    match argument.words()[..] {
        [] => Ok(SiteCommand::Idle(None)),
        [seconds] => decimal(seconds)
            .map(|seconds| SiteCommand::Idle(Some(seconds)))
            .ok_or(SyntaxError::Malformed("A number of seconds is needed.")),
        _ => Err(SyntaxError::Malformed("A number of seconds is needed.")),
    }
}

/// `YYYYMMDDhhmm[ss] path-name`, and the older `path-name atime mtime ctime UTC`.
fn utime(argument: Argument<'_>) -> Result<SiteCommand, SyntaxError> {
    let malformed = SyntaxError::Malformed("The form is YYYYMMDDhhmm[ss] path-name.");
    let (first, rest) = argument.split_once();
    if let (Some(modified), false) = (CivilTime::parse_time_val(first), rest.0.is_empty()) {
        return Ok(SiteCommand::Utime { accessed: None, modified, path: rest.required()? });
    }
    let from_behind: Vec<&[u8]> = argument.0.rsplitn(5, |&byte| byte == b' ').collect();
    let [zone, changed, modified, accessed, path] = from_behind[..] else { return Err(malformed) };
    let time = |text| CivilTime::parse_time_val(text).ok_or(malformed);
    time(changed)?; // No system lets a user set when the inode changed.
    if !zone.eq_ignore_ascii_case(b"UTC") {
        return Err(malformed);
    }
    let path = Argument(path).required()?;
    Ok(SiteCommand::Utime { accessed: Some(time(accessed)?), modified: time(modified)?, path })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Random;

    fn command(line: &str) -> Command {
        parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error:?}")).1
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
    fn every_verb_has_one_row_in_upper_case() {
        for (index, spec) in COMMANDS.iter().enumerate() {
            assert_eq!(spec.verb, spec.verb.to_ascii_uppercase());
            assert!(COMMANDS[..index].iter().all(|other| other.verb != spec.verb), "{}", spec.verb);
            assert!(!spec.help.is_empty());
        }
    }

    #[test]
    fn what_is_wrong_with_a_line_is_told_apart() {
        assert!(matches!(parse(b"FOO"), Err(ParseError::Unknown)));
        assert!(matches!(parse(b""), Err(ParseError::Unknown)));
        assert!(matches!(parse(b"SITE FOO"), Err(ParseError::UnknownSite)));
        assert!(matches!(parse(b"MAIL x"), Err(ParseError::NotImplemented(_))));
        assert!(matches!(parse(b"RETR"), Err(ParseError::Syntax(_, SyntaxError::Missing))));
        assert!(matches!(parse(b"RETR "), Err(ParseError::Syntax(_, SyntaxError::Missing))));
        assert!(matches!(parse(b"SITE"), Err(ParseError::Syntax(_, SyntaxError::Missing))));
        assert!(matches!(parse(b"PWD x"), Err(ParseError::Syntax(_, SyntaxError::Unexpected))));
        assert!(matches!(parse(b"DELE a\0b"), Err(ParseError::Syntax(_, SyntaxError::Malformed(_)))));
        assert!(matches!(parse(b"TYPE E"), Err(ParseError::Syntax(_, SyntaxError::Unsupported(_)))));
    }

    #[test]
    fn site_has_commands_of_its_own() {
        let Command::Site(SiteCommand::Chmod(mode, path)) = command("site chmod u+x a b") else { panic!() };
        assert_eq!((mode.apply(0o644, false, 0), path), (0o744, b"a b".to_vec()));
        assert_eq!(command("SITE UMASK 022"), Command::Site(SiteCommand::Umask(Some(0o22))));
        assert_eq!(command("SITE IDLE"), Command::Site(SiteCommand::Idle(None)));
        assert_eq!(command("SITE LRECL=80 RECFM=FB"), Command::Site(SiteCommand::RecordFormat));
        assert!(parse(b"SITE CHMOD 999 x").is_err() && parse(b"SITE CHMOD 644").is_err());
    }

    #[test]
    fn site_utime_has_two_forms() {
        let time = CivilTime::parse_time_val(b"20260102030405").unwrap();
        assert_eq!(
            command("SITE UTIME 20260102030405 a b"),
            Command::Site(SiteCommand::Utime { accessed: None, modified: time, path: b"a b".to_vec() })
        );
        let old = CivilTime::parse_time_val(b"20250102030405").unwrap();
        assert_eq!(
            command("SITE UTIME a b 20250102030405 20260102030405 20260102030405 UTC"),
            Command::Site(SiteCommand::Utime { accessed: Some(old), modified: time, path: b"a b".to_vec() })
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
