//! Checks every line of the administrator's files, for `--test-config`.

use std::collections::HashMap;
use std::path::Path;

use super::admin_file::{AdminFile, Fault};
use super::anonymous::Anonymous;
use super::ftpusers::{Class, Listed, Permit};
use super::names::Who;
use super::pam_service::{Service, service_of};
use super::system::named;
use super::{ftpusers, hosts, jail, user_file};
use crate::config::{AuthMethod, Config, LoginPolicy};
use crate::sys::crypt::Crypt;

/// What `--test-config` finds. One string each.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// They keep the server from starting, or users out whom nobody meant.
    pub errors: Vec<String>,
    /// Something is there that does not do what it seems to.
    pub warnings: Vec<String>,
}

impl Findings {
    pub(super) fn extend(&mut self, more: Findings) {
        self.errors.extend(more.errors);
        self.warnings.extend(more.warnings);
    }
}

/// All that is wrong with the files that say who may log in, and as whom.
pub(crate) fn check_files(config: &Config) -> Findings {
    let mut findings = Findings::default();
    let (dir, login) = (&config.config_dir, &config.login);
    check_lines(&dir.join("ftpusers"), &mut findings, check_ftpusers_line);
    check_lines(&dir.join("ftpchroot"), &mut findings, check_ftpchroot_line);
    findings.extend(hosts::findings(dir, login));
    let mut keep = |result: Result<(), String>| findings.errors.extend(result.err());
    for name in ["shells", "ftpwelcome", "ftpmotd", "motd"] {
        keep(AdminFile::read(&dir.join(name)).map(drop).map_err(|fault| fault.to_string()));
    }
    if let Some(anonymous) = &login.anonymous {
        keep(Anonymous::new(anonymous).map(drop).map_err(|err| format!("--anonymous-root: {err}")));
    }
    findings.extend(login.user_file.as_deref().map(check_user_file).unwrap_or_default());
    if login.anonymous_only {
        return findings;
    }
    if login.auth == AuthMethod::Pam {
        check_pam_service(login, &mut findings);
    }
    if login.shell_check {
        findings.warnings.extend(missing_shells(&dir.join("shells"), Path::new("/etc/shells")));
    }
    findings
}

fn check_pam_service(login: &LoginPolicy, findings: &mut Findings) {
    let wanted = &login.pam_service;
    let missing = format!("--pam-service: there is no PAM service {wanted}");
    match service_of(wanted) {
        Service::Wanted => (),
        Service::Ftp if *wanted == LoginPolicy::default().pam_service => (),
        Service::Ftp => findings.warnings.push(format!("{missing}: `ftp` would be asked")),
        Service::Other => findings.errors.push(format!("{missing}: the system's `other` would be asked")),
    }
}

fn missing_shells(own: &Path, of_the_system: &Path) -> Option<String> {
    let shells = of_the_system.display();
    (!own.exists() && !of_the_system.exists())
        .then(|| format!("{shells}: does not exist: only /bin/sh and /bin/csh are login shells"))
}

/// What is wrong with the file keeps all of its users out; what is wrong with a user, that one.
fn check_user_file(path: &Path) -> Findings {
    let mut findings = Findings::default();
    // No user has this name, but all lines are read.
    if let Err(fault) = user_file::find(path, "") {
        findings.errors.push(format!("--user-file: {fault}"));
        return findings;
    }
    let Ok(file) = AdminFile::read(path) else { return findings };
    let crypt = Crypt::load().ok();
    let mut hashes: HashMap<(Vec<u8>, usize), bool> = HashMap::new();
    let mut is_usable = |hash: &[u8]| match &crypt {
        // A hash takes its time, and those of one kind and length are alike.
        Some(crypt) => *hashes.entry((kind_of(hash), hash.len())).or_insert_with(|| crypt.is_hash(hash)),
        None => true,
    };
    for (number, line) in file.lines().unwrap_or_default() {
        let Some(entry) = user_file::parse(line) else { continue };
        let mut warn = |what: &str| {
            let fault = file.fault(number, &format!("{} cannot log in: {what}", entry.name));
            findings.warnings.push(format!("--user-file: {fault}"));
        };
        if !entry.jail.root.is_dir() {
            warn(&format!("{} is not a directory", entry.jail.root.display()));
        }
        // `!` and `*` lock an account, which somebody wanted.
        if !entry.hash.starts_with(b"!") && !entry.hash.starts_with(b"*") && !is_usable(&entry.hash) {
            warn("no password has its hash (openssl passwd -6 makes one)");
        }
        if let Some(account) = &entry.account {
            match named(account) {
                Ok(passwd) if passwd.uid == 0 => warn("its account is root"),
                Ok(_) => (),
                Err(err) => warn(&err.to_string()),
            }
        }
    }
    findings
}

/// `$6$` of `$6$salt$hash`. Hashes that do not begin so are each of a kind of their own.
fn kind_of(hash: &[u8]) -> Vec<u8> {
    let end = hash.iter().skip(1).position(|&byte| byte == b'$').filter(|_| hash.starts_with(b"$"));
    hash[..end.map_or(hash.len(), |end| end + 1)].to_vec()
}

/// How many faults `contents` has as each of the files, one after the other; names and addresses
/// are not looked up.
pub(crate) fn count_faults(contents: &[u8]) -> usize {
    let file = AdminFile::of(contents);
    let Ok(lines) = file.lines() else { return 1 };
    let is_fault = |(number, line): (usize, &[u8])| {
        let of_names = match Who::split_off(line) {
            Ok((_, rest)) => [
                ftpusers::means_of_ftpusers(&file, number, rest).is_err(),
                jail::jail_of_line(&file, number, rest, Path::new("/")).is_err(),
            ],
            Err(_) => [true; 2],
        };
        let others = [!hosts::is_line(line), user_file::parse(line).is_none()];
        of_names.into_iter().chain(others).filter(|fault| *fault).count()
    };
    lines.into_iter().map(is_fault).sum()
}

/// Checks each line of a file of names: whether it can be about somebody, and what `read` says,
/// which may be a warning.
fn check_lines(
    path: &Path,
    findings: &mut Findings,
    read: impl Fn(&AdminFile, usize, &Who, &[u8]) -> Result<Option<String>, Fault>,
) {
    let Findings { errors, warnings } = findings;
    let file = match AdminFile::read(path) {
        Ok(file) => file,
        Err(fault) => return errors.push(fault.to_string()),
    };
    let lines = match file.lines() {
        Ok(lines) => lines,
        Err(fault) => return errors.push(fault.to_string()),
    };
    for (number, line) in lines {
        match Who::split_off(line) {
            Ok((who, rest)) => {
                errors.extend(who.complaint().map(|what| file.fault(number, &what).to_string()));
                match read(&file, number, &who, rest) {
                    Ok(warning) => warnings.extend(warning.map(|what| file.fault(number, &what).to_string())),
                    Err(fault) => errors.push(fault.to_string()),
                }
            }
            Err(what) => errors.push(file.fault(number, &what).to_string()),
        }
    }
}

/// Many systems list accounts here that they lack.
fn check_ftpusers_line(
    file: &AdminFile,
    number: usize,
    who: &Who,
    rest: &[u8],
) -> Result<Option<String>, Fault> {
    let listed = ftpusers::means_of_ftpusers(file, number, rest)?;
    let guest = matches!(listed, Listed::Allowed(_, Permit { class: Class::Guest, .. }));
    match guest && !who.is_anonymous() {
        true => Err(file.fault(number, "the class `guest` is for the anonymous login alone")),
        false => Ok(None),
    }
}

fn check_ftpchroot_line(
    file: &AdminFile,
    number: usize,
    who: &Who,
    rest: &[u8],
) -> Result<Option<String>, Fault> {
    let unknown = who.unknown_account(|_| false);
    // It is not known whose home is meant. Any absolute one will do.
    let home = Path::new("/");
    let Some(jail) = jail::jail_of_line(file, number, rest, home)?.jail else { return Ok(unknown) };
    let is_absolute = rest.starts_with(b"/") || rest.starts_with(b"\"/");
    match is_absolute && !jail.root.is_dir() {
        true => Err(file.fault(number, &format!("{} is not a directory", jail.root.display()))),
        false => Ok(unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Scratch;

    #[test]
    fn a_system_without_shells_is_told() {
        let scratch = Scratch::new();
        let (own, system) = (scratch.join("own"), scratch.join("shells"));
        assert!(missing_shells(&own, &system).is_some_and(|line| line.contains("/shells: does not exist")));
        scratch.write("own", "");
        assert_eq!(missing_shells(&own, &system), None);
    }

    #[test]
    fn hashes_of_one_kind_are_alike() {
        assert_eq!(kind_of(b"$6$salt$hash"), b"$6");
        assert_eq!(kind_of(b"secret"), b"secret");
        assert_eq!(kind_of(b"$6"), b"$6");
        assert_eq!(kind_of(b""), b"");
    }
}
