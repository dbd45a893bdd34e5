//! SYST STAT HELP FEAT OPTS LANG: RFC 959 section 4.1.3, RFC 2389, RFC 2640.

use crate::dtp::DataPort;
use crate::proto::command::{COMMANDS, CommandSpec, spec};
use crate::proto::facts::FactSet;
use crate::proto::params::{FormatControl, RepresentationType};
use crate::proto::reply::{Reply, ReplyCode};
use crate::session::Session;
use crate::session::state::Login;
use crate::session::stop::{Stop, refused};

/// Verbs in a line of HELP.
const COLUMNS: usize = 9;

impl Session {
    pub(in crate::session) fn syst(&self) -> Result<Reply, Stop> {
        let system = if self.services.config.greeting.hide_host { "UNKNOWN" } else { "UNIX" };
        Ok(Reply::new(ReplyCode::SystemType, format!("{system} Type: L8")))
    }

    pub(in crate::session) fn stat(&mut self, path: Option<Vec<u8>>) -> Result<Reply, Stop> {
        match path {
            Some(path) => self.stat_path(&path),
            None => Ok(self.status()),
        }
    }

    /// The session, as ftpd shows it.
    fn status(&self) -> Reply {
        let greeting = &self.services.config.greeting;
        let mut lines = Vec::new();
        if !greeting.hide_host && !greeting.hide_version {
            lines.push(format!("Version: ferryd {}", env!("CARGO_PKG_VERSION")));
        }
        lines.push(format!("Connected to {}", self.host()));
        lines.push(match &self.login {
            Login::LoggedIn(login) => {
                format!("Logged in as {}", crate::logging::text(login.account.name.as_bytes()))
            }
            Login::NeedPassword { .. } => "Waiting for password".to_owned(),
            Login::NotLoggedIn => "Waiting for user name".to_owned(),
        });
        let representation = match self.parameters.transfer.representation {
            RepresentationType::Ascii(FormatControl::NonPrint) => "ASCII, FORM: Nonprint",
            RepresentationType::Ascii(FormatControl::Telnet) => "ASCII, FORM: Telnet",
            RepresentationType::Ascii(FormatControl::CarriageControl) => "ASCII, FORM: Carriage Control",
            RepresentationType::Image => "Image",
        };
        lines.push(format!("TYPE: {representation}; STRUcture: File; transfer MODE: Stream"));
        lines.push(match &self.parameters.data_port {
            DataPort::Unset => "No data connection".to_owned(),
            DataPort::Active(address) => format!("PORT to {address}"),
            DataPort::Passive(lease) => format!("Listening for a data connection on port {}", lease.port()),
        });
        lines.push(match self.control.tls() {
            Some(tls) => {
                let data = if self.protection.private { "too" } else { "not" };
                format!("Protected by {}; data connections {data}", tls.describe())
            }
            None => "In the clear".to_owned(),
        });
        let totals = self.totals;
        lines.push(format!(
            "{} files, {} bytes sent, {} received",
            totals.files, totals.sent, totals.received
        ));
        lines.push(format!("Idle time limit: {} seconds", self.parameters.idle_timeout.as_secs()));
        let first = if greeting.hide_host {
            "FTP server status:".to_owned()
        } else {
            format!("{} FTP server status:", self.host_name())
        };
        Reply::with_lines(ReplyCode::SystemStatus, first, lines, "End of status")
    }

    pub(in crate::session) fn help(&self, verb: Option<Vec<u8>>) -> Result<Reply, Stop> {
        let Some(verb) = verb else {
            let names: Vec<String> =
                COMMANDS.iter().map(|spec| format!("{:<7}", self.starred(spec))).collect();
            let lines = names.chunks(COLUMNS).map(|row| row.concat().trim_end().to_owned());
            let first = "The following commands are recognized (* => not implemented).";
            return Ok(Reply::with_lines(ReplyCode::HelpMessage, first, lines, "HELP command successful."));
        };
        let words: Vec<&[u8]> = verb.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).collect();
        match words[..] {
            [site] if site.eq_ignore_ascii_case(b"SITE") => self.site_help(None),
            [site, verb] if site.eq_ignore_ascii_case(b"SITE") => self.site_help(Some(verb.to_vec())),
            [verb] => {
                let spec =
                    spec(verb).ok_or_else(|| refused(ReplyCode::NotImplemented, "No such command."))?;
                let text = format!("Syntax: {} {}: {}", self.starred(spec), spec.syntax, spec.help);
                Ok(Reply::new(ReplyCode::HelpMessage, text))
            }
            _ => Err(refused(ReplyCode::ArgumentError, "HELP takes one command.")),
        }
    }

    /// The verb, with a star when it is recognized and no more.
    fn starred(&self, spec: &CommandSpec) -> String {
        let star = if spec.parse.is_some() && self.is_enabled(spec.verb) { "" } else { "*" };
        format!("{}{star}", spec.verb)
    }

    pub(in crate::session) fn feat(&self) -> Result<Reply, Stop> {
        let mut lines = Vec::new();
        for spec in COMMANDS.iter().filter(|spec| self.is_enabled(spec.verb)) {
            for &line in spec.feat {
                // MLST shows its facts, the chosen ones with a star (RFC 3659 section 7.8).
                lines.push(if line == "MLST" {
                    format!("MLST {}", self.parameters.facts.feat_line())
                } else {
                    line.to_owned()
                });
            }
        }
        Ok(Reply::with_lines(ReplyCode::SystemStatus, "Extensions supported:", lines, "End"))
    }

    pub(in crate::session) fn opts(&mut self, options: &[u8]) -> Result<Reply, Stop> {
        let words: Vec<&[u8]> = options.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).collect();
        let upper: Vec<Vec<u8>> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
        let upper: Vec<&[u8]> = upper.iter().map(Vec::as_slice).collect();
        match upper[..] {
            [b"UTF8" | b"UTF-8"] | [b"UTF8" | b"UTF-8", b"ON"] => {
                Ok(Reply::new(ReplyCode::CommandOkay, "Path-names are UTF-8."))
            }
            [b"UTF8" | b"UTF-8", b"OFF"] => {
                Err(refused(ReplyCode::ArgumentError, "Path-names are always UTF-8 here, as RFC 2640 asks."))
            }
            [b"MLST"] | [b"MLST", _] => {
                let names = words.get(1).copied().unwrap_or_default();
                self.parameters.facts = FactSet::parse(names)
                    .ok_or_else(|| refused(ReplyCode::ArgumentError, "Each fact ends with a semicolon."))?;
                let text = format!("MLST OPTS {}", self.parameters.facts.names());
                Ok(Reply::new(ReplyCode::CommandOkay, text.trim_end()))
            }
            _ => Err(refused(ReplyCode::ArgumentError, "This option is not known.")),
        }
    }

    pub(in crate::session) fn lang(&self, language: Option<Vec<u8>>) -> Result<Reply, Stop> {
        match language.as_deref().map(<[u8]>::trim_ascii) {
            None => Ok(Reply::new(ReplyCode::CommandOkay, "Replies are in English.")),
            Some(tag)
                if tag.len() >= 2
                    && tag[..2].eq_ignore_ascii_case(b"EN")
                    && matches!(tag.get(2), None | Some(b'-')) =>
            {
                Ok(Reply::new(ReplyCode::CommandOkay, "Replies are in English."))
            }
            Some(_) => Err(refused(ReplyCode::ParameterNotImplemented, "Replies are in English only.")),
        }
    }
}
