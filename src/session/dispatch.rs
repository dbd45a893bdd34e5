//! The gate, then one match over `Command`.

use std::mem;

use super::Session;
use super::state::Login;
use super::stop::{Stop, explain, family_refusal, protocol_refusal, refused};
use crate::proto::command::{self, Access, Command, CommandSpec, ParseError};
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
        let (spec, command) = command::parse(&line).map_err(|error| self.not_understood(error, &line))?;
        match spec.secret {
            true => log::debug!("---> {} ...", spec.verb),
            false => log::debug!("---> {}", crate::logging::text(&line)),
        }
        self.gate(spec)?;
        self.control.presence.begin_command(spec.verb, spec.prepares);
        match command {
            Command::User(name) => self.user(name, line),
            Command::Pass(password) => self.pass(&password),
            Command::Acct => self.acct(),
            Command::Cwd(path) => self.cwd(path),
            Command::Cdup => self.cdup(),
            Command::Rein => self.rein(),
            Command::Quit => self.quit(),
            Command::Port(address) | Command::Eprt(address) => self.port(address, spec, protocol_refusal),
            Command::Lprt(address) => self.port(address, spec, family_refusal),
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
            Command::Mlsd(path) => self.mlsd(path, spec),
            Command::Syst => self.syst(),
            Command::Stat(path) => self.stat(path),
            Command::Help(topic) => self.help(topic),
            Command::Noop => Ok(Reply::new(ReplyCode::CommandOkay, "NOOP command successful.")),
            Command::Feat => self.feat(),
            Command::OptsMlst(facts) => self.opts_mlst(facts),
            Command::OptsUtf8 => Ok(Reply::new(ReplyCode::CommandOkay, "Path-names are UTF-8.")),
            Command::Clnt => Ok(Reply::new(ReplyCode::CommandOkay, "Noted.")),
            Command::Lang(language) => self.lang(language),
            Command::Auth(mechanism) => self.auth(&mechanism),
            Command::Pbsz(size) => self.pbsz(size),
            Command::Prot(level) => self.prot(level),
            Command::Ccc => self.ccc(),
            Command::Host(name) => self.choose_host(&name),
            Command::SiteChmod(mode, path) => self.chmod(&mode, &path),
            Command::SiteUmask(mask) => self.site_umask(mask),
            Command::SiteIdle(seconds) => self.site_idle(seconds),
            Command::SiteUtime { accessed, modified, path } => self.utime(accessed, modified, &path),
            Command::SiteRecordFormat => {
                Ok(Reply::new(ReplyCode::CommandOkay, "Noted; files here are bytes without records."))
            }
        }
    }

    /// The reply to a line that is no command. The log shows the verb alone: the rest may be a secret.
    fn not_understood(&self, error: ParseError, line: &[u8]) -> Stop {
        let verb = command::verb_of(line);
        log::debug!("{}: {} not understood", self.host(), verb.escape_ascii());
        // An attacker can make a browser or a mail server connect here and send commands hidden in a
        // form or a letter. Such a client gets one reply, and none of its lines is carried out.
        if command::is_of_another_protocol(verb) {
            log::warn!("{}: {} is not FTP", self.host(), verb[..verb.len().min(16)].escape_ascii());
            return Stop::Close(Reply::new(ReplyCode::ServiceNotAvailable, "This is an FTP server."));
        }
        let gate = match error {
            ParseError::Syntax(spec, _) | ParseError::UnknownIn(spec) => self.gate(spec),
            ParseError::Unknown | ParseError::NotImplemented(_) => Ok(()),
        };
        gate.err().unwrap_or_else(|| explain(error, verb))
    }

    /// The one place that answers 530, and that keeps read-only sessions so.
    pub(super) fn gate(&self, spec: &CommandSpec) -> Result<(), Stop> {
        if !self.services.offered.includes(spec) {
            return Err(refused(ReplyCode::NotImplemented, format!("{} is turned off here.", spec.verb)));
        }
        self.allow(spec.needs)?;
        if self.lacks_private_data() && spec.opens_data_connection {
            let text = "Data connections must be protected here: send PBSZ 0 and PROT P first.";
            return Err(refused(ReplyCode::DataConnectionRefused, text));
        }
        Ok(())
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
}
