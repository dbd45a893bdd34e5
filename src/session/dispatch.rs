//! The gate, then one match over `Command`.

use std::mem;

use super::Session;
use super::state::Login;
use super::stop::{Stop, explain, refused};
use crate::proto::argument::Argument;
use crate::proto::command::{self, Access, Command, CommandSpec, ParseError, SiteCommand};
use crate::proto::reply::{Reply, ReplyCode};
use crate::proto::telnet::Line;

impl Session {
    /// The final reply to a line.
    pub(super) fn answer(&mut self, line: Line) -> Result<Reply, Stop> {
        // Only RNTO straight after RNFR sees what RNFR left.
        let rename_from = mem::take(&mut self.leftover.rename_from);
        let Line::Command(line) = line else {
            return Err(refused(ReplyCode::SyntaxError, "Command line too long."));
        };
        let verb = command::verb_of(&line);
        let (spec, command) = match command::parse(&line) {
            Ok(parsed) => parsed,
            Err(error) => {
                log::debug!("{}: {} not understood", self.host(), verb.escape_ascii());
                self.refuse_other_protocols(verb)?;
                match error {
                    ParseError::Syntax(spec, _) => self.gate(spec)?,
                    ParseError::UnknownSite => self.allow(Access::LoggedIn)?,
                    ParseError::Unknown | ParseError::NotImplemented(_) => (),
                }
                return Err(explain(error, verb));
            }
        };
        match command {
            // ACCT may carry a second password.
            Command::Pass(_) | Command::Acct => log::debug!("---> {} ...", spec.verb),
            _ => log::debug!("---> {}", crate::logging::text(&line)),
        }
        self.gate(spec)?;
        self.control.presence.begin_command(spec.verb);
        match command {
            Command::User(name) => self.user(name, line),
            Command::Pass(password) => self.pass(&password),
            Command::Acct => self.acct(),
            Command::Cwd(path) => self.cwd(path),
            Command::Cdup => self.cdup(),
            Command::Rein => self.rein(),
            Command::Quit => self.quit(),
            Command::Port(address) => self.port(address, "PORT"),
            Command::Eprt(address) => self.port(address, "EPRT"),
            Command::Lprt(address) => self.port(address, "LPRT"),
            Command::Pasv => self.pasv(),
            Command::Epsv(protocol) => self.epsv(protocol),
            Command::Lpsv => self.lpsv(),
            Command::Type(representation) => self.set_type(representation),
            Command::Stru(letter) => self.stru(letter),
            Command::Mode(letter) => self.mode(letter),
            Command::Retr(path) => self.retr(&path),
            Command::Stor(path) => self.stor(&path),
            Command::Stou(path) => self.stou(path),
            Command::Appe(path) => self.appe(&path),
            Command::Allo(size) => self.allo(size),
            Command::Rest(offset) => self.rest(offset),
            Command::Abor => self.abor(),
            Command::Rnfr(path) => self.rnfr(&path),
            Command::Rnto(path) => self.rnto(rename_from, &path),
            Command::Dele(path) => self.dele(&path),
            Command::Rmd(path) => self.rmd(&path),
            Command::Mkd(path) => self.mkd(&path),
            Command::Pwd => self.pwd(),
            Command::Size(path) => self.size(&path),
            Command::Mdtm(path) => self.mdtm(&path),
            Command::Mfmt(time, path) => self.mfmt(time, &path),
            Command::List(argument) => self.list(&argument),
            Command::Nlst(argument) => self.nlst(&argument),
            Command::Mlst(path) => self.mlst(path),
            Command::Mlsd(path) => self.mlsd(path),
            Command::Syst => self.syst(),
            Command::Stat(path) => self.stat(path),
            Command::Help(verb) => self.help(verb),
            Command::Noop => Ok(Reply::new(ReplyCode::CommandOkay, "NOOP command successful.")),
            Command::Feat => self.feat(),
            Command::Opts(options) => self.opts(&options),
            Command::Clnt => Ok(Reply::new(ReplyCode::CommandOkay, "Noted.")),
            Command::Lang(language) => self.lang(language),
            Command::Auth(mechanism) => self.auth(&mechanism),
            Command::Pbsz(size) => self.pbsz(size),
            Command::Prot(level) => self.prot(level),
            Command::Ccc => self.ccc(),
            Command::Host(name) => self.choose_host(&name),
            Command::Site(site) => self.site(site, &line),
        }
    }

    /// A browser or a mail server on this port was sent here by somebody who wants it to carry
    /// out what he hid in a form or a letter: it gets one reply, and nothing after it.
    fn refuse_other_protocols(&self, verb: &[u8]) -> Result<(), Stop> {
        if !command::is_of_another_protocol(verb) {
            return Ok(());
        }
        log::warn!("{}: {} is not FTP", self.host(), verb[..verb.len().min(16)].escape_ascii());
        Err(Stop::Close(Reply::new(ReplyCode::ServiceNotAvailable, "This is an FTP server.")))
    }

    /// The one place that answers 530, and that keeps read-only sessions so.
    fn gate(&self, spec: &CommandSpec) -> Result<(), Stop> {
        if !self.is_enabled(spec.verb) {
            return Err(refused(ReplyCode::NotImplemented, format!("{} is turned off here.", spec.verb)));
        }
        self.allow(spec.needs)?;
        if self.lacks_private_data() && opens_data_connection(spec.verb) {
            let text = "Data connections must be protected here: send PBSZ 0 and PROT P first.";
            return Err(refused(ReplyCode::DataConnectionRefused, text));
        }
        Ok(())
    }

    fn site(&mut self, command: SiteCommand, line: &[u8]) -> Result<Reply, Stop> {
        let (_, argument) = Argument(line).split_once();
        if let Some(spec) = command::site_spec(argument.split_word().0) {
            if !self.is_site_enabled(spec.verb) {
                let text = format!("SITE {} is turned off here.", spec.verb);
                return Err(refused(ReplyCode::NotImplemented, text));
            }
            self.allow(spec.needs)?;
        }
        match command {
            SiteCommand::Chmod(mode, path) => self.chmod(&mode, &path),
            SiteCommand::Umask(mask) => self.site_umask(mask),
            SiteCommand::Idle(seconds) => self.site_idle(seconds),
            SiteCommand::Utime { accessed, modified, path } => self.utime(accessed, modified, &path),
            SiteCommand::Help(verb) => self.site_help(verb),
            SiteCommand::RecordFormat => {
                Ok(Reply::new(ReplyCode::CommandOkay, "Noted; files here are bytes without records."))
            }
        }
    }

    /// Whether this login may do what needs `access`.
    pub(super) fn allow(&self, access: Access) -> Result<(), Stop> {
        if access == Access::Anyone {
            return Ok(());
        }
        let Login::LoggedIn(login) = &self.login else {
            return Err(refused(ReplyCode::NotLoggedIn, "Please log in with USER and PASS."));
        };
        match login.rights.allows(access) {
            true => Ok(()),
            false => Err(refused(ReplyCode::FileUnavailable, "Permission denied.")),
        }
    }

    /// Whether the command line leaves a verb turned on: FEAT and HELP ask too.
    pub(super) fn is_enabled(&self, verb: &str) -> bool {
        let (data, files) = (&self.services.config.data, &self.services.config.files);
        if self.services.config.denied_commands.iter().any(|denied| denied == verb) {
            return false;
        }
        match verb {
            "PORT" | "EPRT" | "LPRT" => data.active,
            "PASV" => data.passive,
            "EPSV" | "LPSV" => data.passive && data.epsv,
            "AUTH" | "PBSZ" | "PROT" => self.services.tls.is_some(),
            "CCC" => self.services.config.tls.as_ref().is_some_and(|policy| policy.allow_ccc),
            "DELE" | "RMD" | "XRMD" => !files.no_delete,
            "RNFR" | "RNTO" => !files.no_rename,
            _ => true,
        }
    }

    /// The same for a verb of SITE.
    pub(super) fn is_site_enabled(&self, verb: &str) -> bool {
        let denied = &self.services.config.denied_commands;
        !denied.iter().any(|denied| denied.strip_prefix("SITE ") == Some(verb))
    }
}

fn opens_data_connection(verb: &str) -> bool {
    matches!(verb, "RETR" | "STOR" | "STOU" | "APPE" | "LIST" | "NLST" | "MLSD")
}
