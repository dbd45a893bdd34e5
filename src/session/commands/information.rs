//! SYST STAT HELP FEAT OPTS LANG: RFC 959 section 4.1.3, RFC 2389, RFC 2640.

use crate::dtp::DataPort;
use crate::proto::command::{self, CommandSpec, Topic};
use crate::proto::facts::FactSet;
use crate::proto::params::{FormatControl, RepresentationType, Structure, TransferMode};
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
            RepresentationType::Ebcdic(FormatControl::NonPrint) => "EBCDIC, FORM: Nonprint",
            RepresentationType::Ebcdic(FormatControl::Telnet) => "EBCDIC, FORM: Telnet",
            RepresentationType::Ebcdic(FormatControl::CarriageControl) => "EBCDIC, FORM: Carriage Control",
            RepresentationType::Image => "Image",
        };
        let structure = match self.parameters.transfer.structure {
            Structure::File => "File",
            Structure::Record => "Record",
        };
        let mode = match self.parameters.transfer.mode {
            TransferMode::Stream => "Stream",
            TransferMode::Block => "Block",
            TransferMode::Compressed => "Compressed",
        };
        lines.push(format!("TYPE: {representation}; STRUcture: {structure}; transfer MODE: {mode}"));
        lines.push(match &self.parameters.data_port {
            DataPort::Unset => "No data connection".to_owned(),
            DataPort::Active(address) => format!("PORT to {address}"),
            DataPort::Kept(_) => "Data connection open".to_owned(),
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

    pub(in crate::session) fn help(&self, topic: Topic) -> Result<Reply, Stop> {
        let spec = match topic {
            Topic::Table(rows) => return Ok(self.help_table(rows)),
            Topic::Command(spec) => spec,
        };
        let names: Vec<String> = spec.aliases.iter().map(|alias| format!(", {alias}")).collect();
        let (star, names) = (self.star(spec), names.concat());
        let text = format!("Syntax: {}{names}{star} {}: {}", spec.verb, spec.syntax, spec.help);
        Ok(Reply::new(ReplyCode::HelpMessage, text))
    }

    /// All the names of all the rows.
    fn help_table(&self, rows: &'static [CommandSpec]) -> Reply {
        let mut names = Vec::new();
        for spec in rows {
            names.extend(spec.names().map(|name| format!("{:<7}", format!("{name}{}", self.star(spec)))));
        }
        let lines = names.chunks(COLUMNS).map(|line| line.concat().trim_end().to_owned());
        let first = match rows.first().and_then(|spec| spec.verb.rsplit_once(' ')) {
            Some((table, _)) => {
                format!("The following {table} commands are recognized (* => not implemented).")
            }
            None => "The following commands are recognized (* => not implemented).".to_owned(),
        };
        Reply::with_lines(ReplyCode::HelpMessage, first, lines, "HELP command successful.")
    }

    /// Marks what is recognized and no more.
    fn star(&self, spec: &CommandSpec) -> &'static str {
        if spec.works(&self.services.offered) { "" } else { "*" }
    }

    pub(in crate::session) fn feat(&self) -> Result<Reply, Stop> {
        let offered = command::all().filter(|spec| self.services.offered.includes(spec));
        let lines = offered.filter_map(|spec| spec.feat.line(&self.parameters.choices));
        Ok(Reply::with_lines(ReplyCode::SystemStatus, "Extensions supported:", lines, "End"))
    }

    /// RFC 3659 section 7.9: the reply repeats the facts that are on.
    pub(in crate::session) fn opts_mlst(&mut self, facts: FactSet) -> Result<Reply, Stop> {
        self.parameters.choices.facts = facts;
        Ok(Reply::new(ReplyCode::CommandOkay, format!("MLST OPTS {}", facts.names()).trim_end()))
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
