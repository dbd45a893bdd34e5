//! OPTIONS: one row for each flag. getopts, the usage text and the test of the
//! man page read this table, so they cannot disagree.
//!
//! FreeBSD ftpd's letters keep their meaning, tnftpd's are used where FreeBSD
//! has none, long names are GNU inetutils' where it has one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Options;
use super::values::{
    ban, code_page, commands, facility, file_name, glob, limit, list_limit, network, number, octal, one_of,
    per_cent, ports, seconds, seconds_or_forever, session, size, strict,
};
use crate::config::{AuthMethod, Chroot, ClientAuth, LogFormat, ReuseRequired, TlsRequired, WtmpUse};

/// No machine has room for more sessions, each with its thread and sockets.
const MOST_CLIENTS: usize = 1_000_000;

pub(crate) struct OptionSpec {
    /// The short forms; most options have one.
    pub letters: &'static str,
    pub long: &'static str,
    /// The name of the value in the usage text.
    pub value: Option<&'static str>,
    /// The option may be given without its value; only `--long=VALUE` gives it one then.
    pub alone: bool,
    pub help: &'static str,
    pub group: Group,
    /// The option may be given several times, and each of them counts.
    pub repeats: bool,
    pub effect: Effect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Start,
    Log,
    Anonymous,
    Accounts,
    Files,
    Data,
    Limits,
    Tls,
    Other,
}

pub(crate) enum Effect {
    /// Puts the value ("" for a flag) where it belongs, or says what is wrong with it.
    Set(fn(&mut Options, &str) -> Result<(), String>),
    /// Prints the usage text.
    Help,
    /// Prints the version.
    Version,
    /// Refused at start: the server must not leave out in silence what it was asked for.
    NotAvailableYet,
}

use Effect::{Help, NotAvailableYet, Set, Version};
use Group::{Accounts, Anonymous, Data, Files, Limits, Log, Other, Start, Tls};

impl Group {
    pub(crate) const ALL: [Group; 9] = [Start, Log, Anonymous, Accounts, Files, Data, Limits, Tls, Other];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Start => "How it runs",
            Log => "Logs",
            Anonymous => "Anonymous login",
            Accounts => "Accounts",
            Files => "Files",
            Data => "Data connections",
            Limits => "Limits (0: none; not for -t and -T)",
            Tls => "TLS",
            Other => "Other",
        }
    }
}

const fn flag(letters: &'static str, long: &'static str, help: &'static str, effect: Effect) -> OptionSpec {
    OptionSpec { letters, long, value: None, alone: false, help, group: Other, repeats: false, effect }
}

const fn value(
    letters: &'static str,
    long: &'static str,
    value: &'static str,
    help: &'static str,
    effect: Effect,
) -> OptionSpec {
    OptionSpec { letters, long, value: Some(value), alone: false, help, group: Other, repeats: false, effect }
}

impl OptionSpec {
    const fn of(mut self, group: Group) -> OptionSpec {
        self.group = group;
        self
    }

    const fn or_alone(mut self) -> OptionSpec {
        self.alone = true;
        self
    }

    const fn repeated(mut self) -> OptionSpec {
        self.repeats = true;
        self
    }
}

/// An effect that only turns something on or off.
macro_rules! set {
    ($($field:ident).+ = $value:expr) => {
        Set(|options, _| {
            options.$($field).+ = $value;
            Ok(())
        })
    };
}

/// An effect that keeps the value into which a parser of `values` turns the word.
macro_rules! parse {
    ($($field:ident).+, $parser:expr) => {
        Set(|options, word| {
            options.$($field).+ = $parser(word)?;
            Ok(())
        })
    };
}

#[rustfmt::skip] // A row is one line or two, so that the table can be read by its columns.
pub(crate) static OPTIONS: &[OptionSpec] = &[
    flag("D", "daemon", "standalone, detached, logging to syslog", set!(daemon = true)).of(Start),
    flag("F", "foreground", "standalone, logging to standard error", set!(foreground = true)).of(Start),
    flag("4", "ipv4", "IPv4 only", set!(ipv4 = true)).of(Start),
    flag("6", "ipv6", "IPv6 only", set!(ipv6 = true)).of(Start),
    value("a", "bind", "ADDR", "listen on this address",
        Set(|options, word| { options.bind.push(word.to_owned()); Ok(()) })).of(Start).repeated(),
    value("P", "port", "PORT", "listen on this port: a number, a service, 0 for any free one (ftp)",
        parse!(port, text)).of(Start),
    value("p", "pidfile", "FILE", "write the process id to this file", parse!(pid_file, path)).of(Start),
    value("c", "config-dir", "DIR", "where the files of ferryd-files(5) are (/etc)",
        parse!(config_dir, path_alone)).of(Start),
    value("", "control-socket", "FILE", "where --who and --kick ask (/run/ferryd/control, if root's)",
        parse!(control_socket, path)).of(Start),
    flag("", "test-config", "check the options and the files they name, and exit", set!(test_config = true)).of(Start),
    flag("", "no-sandbox", "do not confine sessions by seccomp and landlock", set!(sandbox = false)).of(Start),
    value("", "proxy-protocol", "CIDR", "proxies that announce the client's address", NotAvailableYet).of(Start),

    flag("l", "log", "log sessions; with a second one, also what is done to files",
        Set(|options, _| { more(&mut options.logging.transfers); Ok(()) })).of(Log).repeated(),
    flag("dv", "debug", "log more",
        Set(|options, _| { more(&mut options.logging.debug); Ok(()) })).of(Log).repeated(),
    value("L", "xferlog", "FILE", "log transfers to this file, in xferlog format",
        parse!(logging.xferlog, path)).of(Log),
    flag("X", "xferlog-syslog", "log transfers to syslog, in xferlog format", set!(logging.xferlog_syslog = true)).of(Log),
    flag("S", "anonymous-statfile", "log anonymous downloads to /var/log/ftpd, if it exists",
        set!(anonymous.statfile = true)).of(Log),
    flag("W", "no-wtmp", "do not record logins in wtmp", set!(logging.wtmp = WtmpUse::Off)).of(Log),
    flag("w", "wtmp", "record logins in wtmp; without -w, if there is one",
        set!(logging.wtmp = WtmpUse::Required)).of(Log),
    value("", "syslog-facility", "NAME", "log under this facility (ftp)",
        parse!(logging.facility, facility)).of(Log),
    value("", "log-format", "text|json", "how both logs are written (text)",
        parse!(logging.format, |word| one_of(word, &[("text", LogFormat::Text), ("json", LogFormat::Json)]))).of(Log),

    flag("A", "anonymous-only", "nobody else may log in", set!(login.anonymous_only = true)).of(Anonymous),
    flag("", "no-anonymous", "no anonymous login", set!(no_anonymous = true)).of(Anonymous),
    value("", "anonymous-root", "DIR", "the tree that anonymous clients see (home of ftp)",
        parse!(anonymous.root, path)).of(Anonymous),
    value("", "anonymous-user", "NAME", "whose rights they have (ftp)", parse!(anonymous.user, text)).of(Anonymous),
    flag("", "anonymous-write", "they may store files (always, if root starts the server)",
        set!(anonymous.write = true)).of(Anonymous),
    flag("M", "no-anonymous-mkdir", "they may not make directories", set!(anonymous.mkdir = false)).of(Anonymous),
    flag("m", "anonymous-overwrite", "they may change and remove what is there",
        set!(anonymous.overwrite = true)).of(Anonymous),
    flag("O", "anonymous-write-only", "they may not download", set!(anonymous.write_only = true)).of(Anonymous),

    value("", "auth", "pam|shadow", "how passwords are checked (pam)",
        parse!(login.auth, |word| one_of(word, &[("pam", AuthMethod::Pam), ("shadow", AuthMethod::Shadow), ("default", AuthMethod::Pam)]))).of(Accounts),
    value("", "pam-service", "NAME", "the PAM service (ftpd)", parse!(login.pam_service, pam_service)).of(Accounts),
    flag("", "pam-session", "open a PAM session for each login", set!(login.pam_session = true)).of(Accounts),
    value("", "auth-helpers", "N", "up to so many processes check passwords (32)",
        parse!(login.auth_helpers, |word| number(word, 1..=1024))).of(Accounts),
    value("", "auth-timeout", "SECS", "give a check of a password up after so long (90)",
        parse!(login.auth_timeout, seconds)).of(Accounts),
    value("", "user-file", "FILE", "accounts that the system does not know: name:hash:home[:account]",
        parse!(login.user_file, path)).of(Accounts),
    value("", "min-uid", "N", "refuse accounts with a lower uid (1)",
        parse!(login.min_uid, |word| number(word, 0..=u32::MAX - 1))).of(Accounts),
    value("", "chroot", "WHO", "who is confined to the home directory: all, none, or file, those in ftpchroot (file)",
        parse!(login.chroot, |word| one_of(word, &[("file", Chroot::File), ("all", Chroot::All), ("none", Chroot::None)])))
        .of(Accounts),
    flag("", "no-shell-check", "a login shell need not be in /etc/shells", set!(login.shell_check = false)).of(Accounts),
    value("C", "check-access", "USER[@HOST]", "say whether this user may log in, with -d why, and exit",
        parse!(check_access, |word| text(word).map(Some))).of(Accounts),

    flag("r", "read-only", "nothing may be changed", set!(files.read_only = true)).of(Files),
    flag("o", "write-only", "nothing may be downloaded", set!(files.write_only = true)).of(Files),
    value("u", "umask", "MASK", "octal mode bits that new files lack (027)", parse!(files.umask, octal)).of(Files),
    flag("", "no-chmod", "no SITE CHMOD", set!(files.no_chmod = true)).of(Files),
    flag("", "no-delete", "no DELE and RMD", set!(files.no_delete = true)).of(Files),
    flag("", "no-rename", "no RNFR and RNTO", set!(files.no_rename = true)).of(Files),
    flag("", "no-overwrite", "files that exist stay as they are", set!(files.no_overwrite = true)).of(Files),
    flag("", "delete-aborted", "remove an upload that is cut off", set!(files.delete_aborted = true)).of(Files),
    flag("", "hide-ids", "list ftp as every owner and group", set!(files.hide_ids = true)).of(Files),
    value("", "hide-files", "GLOB", "files that are not listed",
        Set(|options, word| { options.files.hide_files.push(glob(word)?); Ok(()) })).of(Files).repeated(),
    value("", "deny-files", "GLOB", "files that cannot be had, made or changed",
        Set(|options, word| { options.files.deny_files.push(glob(word)?); Ok(()) })).of(Files).repeated(),
    value("", "atomic-uploads", "strict", "show an upload once it is complete; strict: and its client is there",
        Set(|options, word| {
            options.files.atomic_uploads = true;
            options.files.strict_uploads = strict(word)?;
            Ok(())
        })).or_alone().of(Files),
    flag("", "sync-uploads", "an upload is complete when the disk has it", set!(files.sync_uploads = true)).of(Files),
    value("", "upload-mode", "MODE", "octal mode of new files (666 without the umask)",
        parse!(files.upload_mode, |word| octal(word).map(Some))).of(Files),

    value("", "ebcdic", "PAGE", "what TYPE E is: 1047 (the default), 037, 273, 500 or 1140",
        parse!(data.ebcdic, code_page)).of(Data),
    value("", "passive-ports", "LO-HI", "ports that PASV listens on (49152-65535); LO+: as many as clients",
        parse!(passive_ports, ports)).of(Data),
    value("", "passive-address", "ADDR", "the address that PASV names: a number or a host name",
        parse!(passive_address, |word| text(word).map(Some))).of(Data),
    value("", "passive-address-exempt", "CIDR", "clients that are told the real one",
        Set(|options, word| { options.data.passive_address_exempt.push(network(word)?); Ok(()) })).of(Data).repeated(),
    flag("", "no-active", "no PORT and EPRT", set!(data.active = false)).of(Data),
    flag("", "no-passive", "no PASV and EPSV", set!(data.passive = false)).of(Data),
    flag("E", "no-epsv", "no EPSV: for firewalls that do not know it", set!(data.epsv = false)).of(Data),
    value("", "active-source-port", "N", "where active connections come from; 0: anywhere (port - 1)",
        parse!(data.active_source_port, |word| number(word, 0..=u16::MAX).map(Some))).of(Data),
    value("", "data-peer-check", "ip|off", "passive connections must come from the client (ip)",
        parse!(data.peer_check, |word| one_of(word, &[("ip", true), ("off", false)]))).of(Data),
    value("", "connect-timeout", "SECS", "give up a data connection not set up by then (60)",
        parse!(connect_timeout, |word| seconds(word).map(Some))).of(Data),
    value("", "data-timeout", "SECS", "give up a data connection that stalls for this long (300)",
        parse!(data.timeout, seconds)).of(Data),
    flag("R", "allow-foreign-data", "PORT may name other hosts and low ports", set!(data.foreign = true)).of(Data),
    flag("U", "default-port-range", "accepted, without effect", NOTHING).of(Data),

    value("", "max-clients", "N", "sessions in all (256)",
        parse!(limits.max_clients, |word| number(word, 1..=MOST_CLIENTS))).of(Limits),
    value("", "max-per-ip", "N", "sessions of one host (half of all)",
        parse!(places.max_per_ip, |word| limit(word, MOST_CLIENTS).map(Some))).of(Limits),
    value("", "max-before-login", "N", "sessions that are not logged in (three quarters of all)",
        parse!(places.max_before_login, |word| limit(word, MOST_CLIENTS).map(Some))).of(Limits),
    value("", "max-before-login-per-ip", "N", "those of one host (a quarter of them)",
        parse!(places.max_before_login_per_ip, |word| limit(word, MOST_CLIENTS).map(Some))).of(Limits),
    value("", "max-per-user", "N", "sessions of one user (0)",
        parse!(limits.max_per_user, |word| limit(word, MOST_CLIENTS))).of(Limits),
    value("t", "timeout", "SECS", "hang up on a client idle for this long (900)",
        parse!(limits.idle_timeout, seconds)).of(Limits),
    value("T", "max-timeout", "SECS", "the most that SITE IDLE may ask for (7200)",
        parse!(limits.max_idle_timeout, seconds)).of(Limits),
    value("", "login-timeout", "SECS", "hang up on a client not logged in by then (60)",
        parse!(limits.login_timeout, seconds_or_forever)).of(Limits),
    value("", "login-delay", "MS", "wait before a login is refused (1000)",
        parse!(limits.login_delay, |word| number(word, 0..=60_000).map(Duration::from_millis))).of(Limits),
    value("", "max-login-attempts", "N", "hang up after this many failures (5)",
        parse!(limits.max_login_attempts, |word| limit(word, 1_000_000))).of(Limits),
    value("", "ban", "N/SECS/TIME", "refuse a host for TIME seconds after N failures within SECS (0)",
        parse!(limits.ban, ban)).of(Limits),
    value("", "rate-download", "RATE", "bytes a second that one client may get (0)",
        parse!(limits.rate_download, size)).of(Limits),
    value("", "rate-upload", "RATE", "bytes a second that one client may send (0)",
        parse!(limits.rate_upload, size)).of(Limits),
    value("", "anonymous-rate-download", "RATE", "the same, of an anonymous client (as of others)",
        parse!(limits.anonymous_rate_download, |word| size(word).map(Some))).of(Limits),
    value("", "anonymous-rate-upload", "RATE", "the same, of an anonymous client (as of others)",
        parse!(limits.anonymous_rate_upload, |word| size(word).map(Some))).of(Limits),
    value("", "max-file-size", "SIZE", "bytes of the largest upload (0)",
        parse!(limits.max_file_size, size)).of(Limits),
    value("", "min-free-space", "N%", "leave this much of the file system free (0)",
        parse!(limits.min_free_space, per_cent)).of(Limits),
    value("", "list-limit", "FILES:DEPTH", "the most that one listing shows, and how deep it goes (0:0)",
        Set(|options, word| {
            (options.limits.list_files, options.limits.list_depth) = list_limit(word)?;
            Ok(())
        })).of(Limits),

    value("", "tls", "WHEN", "who needs TLS: off, allow, require-login or require (require-login, with a certificate)",
        parse!(tls.required, |word| one_of(word, &[("off", None), ("allow", Some(TlsRequired::No)),
            ("require-login", Some(TlsRequired::Login)), ("require", Some(TlsRequired::All))]).map(Some))).of(Tls),
    value("", "tls-cert", "FILE", "certificate, and those that sign it, in PEM",
        Set(|options, word| { options.tls.certificates.extend(path(word)?); Ok(()) })).of(Tls).repeated(),
    value("", "tls-key", "FILE", "its key, unless that is in the same file",
        Set(|options, word| { options.tls.keys.extend(path(word)?); Ok(()) })).of(Tls).repeated(),
    flag("", "tls-self-signed", "make a certificate for this run, to try TLS out", set!(tls.self_signed = true)).of(Tls),
    value("", "tls-port", "PORT", "listen there too, for clients that begin with TLS (ftps is 990)",
        parse!(tls.port, |word| text(word).map(Some))).of(Tls),
    value("", "tls-min", "VERSION", "1.2 or 1.3 (1.2)",
        parse!(tls.only_tls13, |word| one_of(word, &[("1.2", false), ("1.3", true)]))).of(Tls),
    value("", "tls-require-reuse", "WHEN", "data connections resume the control connection's session: yes, auto or no (yes)",
        parse!(tls.reuse, |word| one_of(word, &[("yes", ReuseRequired::Always), ("auto", ReuseRequired::Once),
            ("no", ReuseRequired::Never)]))).of(Tls),
    value("", "tls-client-ca", "FILE", "who signs the clients' certificates, in PEM", parse!(tls.client_ca, path)).of(Tls),
    value("", "tls-client-auth", "WHEN", "whether clients show one: off, request or require (require, with --tls-client-ca)",
        parse!(tls.client_auth, |word| one_of(word, &[("off", ClientAuth::Off), ("request", ClientAuth::Request),
            ("require", ClientAuth::Require)]).map(Some))).of(Tls),
    flag("", "tls-client-login", "whom the client's certificate names logs in without a password",
        set!(tls.client_login = true)).of(Tls),
    flag("", "tls-allow-ccc", "clients may give up the control connection's protection after the login",
        set!(tls.allow_ccc = true)).of(Tls),

    flag("h", "hide-host-info", "tell clients neither host name, version nor system",
        set!(hide_host = true)),
    flag("q", "no-version", "tell clients no version", set!(hide_version = true)),
    value("", "banner", "FILE", "what is said before the login (ftpwelcome)", parse!(banner, path)),
    value("", "motd", "FILE", "what is said after the login (ftpmotd, or motd)", parse!(motd, path)),
    value("", "dirmessage", "NAME", "say what the file of this name says when its directory is entered",
        parse!(dirmessage, |word| file_name(word).map(Some))),
    value("", "deny-commands", "LIST", "commands that are refused: DELE,SITE CHMOD",
        Set(|options, word| { options.denied_commands.extend(commands(word)?); Ok(()) })).repeated(),
    flag("8", "utf8", "accepted: UTF-8 is the default", NOTHING),
    flag("n", "numeric", "accepted: addresses are logged as numbers", NOTHING),
    flag("H", "system-hostname", "accepted: the host name is the system's", NOTHING),
    flag("B", "blocklistd", "accepted, without effect, with a warning",
        Set(|options, _| {
            options.warnings.push("-B, --blocklistd: there is no blocklistd here; --ban refuses hosts".to_owned());
            Ok(())
        })),
    flag("", "non-rfc2577", "accepted, without effect, with a warning",
        Set(|options, _| {
            options.warnings.push("--non-rfc2577: clients are not told which accounts exist".to_owned());
            Ok(())
        })),
    flag("", "who", "show who is on, and exit (ferryd who)", set!(who = true)),
    flag("", "json", "with --who: as JSON", set!(json = true)),
    value("", "kick", "ID", "end this session of --who, and exit (ferryd kick ID)",
        parse!(kick, |word| session(word).map(Some))),
    flag("?", "help", "show this, and exit", Help),
    flag("V", "version", "show the version, and exit", Version),
];

const NOTHING: Effect = Set(|_, _| Ok(()));

fn more(count: &mut u8) {
    *count = count.saturating_add(1);
}

fn text(word: &str) -> Result<String, String> {
    if word.is_empty() { Err("is empty".to_owned()) } else { Ok(word.to_owned()) }
}

fn path(word: &str) -> Result<Option<PathBuf>, String> {
    path_alone(word).map(Some)
}

/// The server's working directory changes when it detaches, so a path is made
/// absolute while it still means what was typed.
fn path_alone(word: &str) -> Result<PathBuf, String> {
    std::path::absolute(Path::new(word)).map_err(|err| format!("`{word}`: {err}"))
}

/// A file of that name is looked for in /etc/pam.d.
fn pam_service(word: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if word.is_empty() || word.starts_with('.') || !word.chars().all(fits) {
        return Err(format!("`{word}` is not the name of a PAM service"));
    }
    Ok(word.to_owned())
}
