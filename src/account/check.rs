//! Checks every line of the administrator's files, for `--test-config`.

use std::path::Path;

use super::admin_file::{AdminFile, Fault};
use super::anonymous::Anonymous;
use super::ftpusers::{Class, Listed, Permit};
use super::names::Who;
use super::pam_service::pam_service_is_there;
use super::{ftpusers, hosts, jail, user_file};
use crate::config::{AuthMethod, Config};

/// All that is wrong with the files that say who may log in, and as whom. One string each.
pub(crate) fn check_files(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    let dir = &config.config_dir;
    check_lines(&dir.join("ftpusers"), &mut problems, check_ftpusers_line);
    check_lines(&dir.join("ftpchroot"), &mut problems, check_ftpchroot_line);
    problems.extend(hosts::problems(dir, config.login.anonymous.as_ref()));
    let mut keep = |result: Result<(), String>| problems.extend(result.err());
    for name in ["shells", "ftpwelcome", "ftpmotd", "motd"] {
        keep(AdminFile::read(&dir.join(name)).map(drop).map_err(|fault| fault.to_string()));
    }
    if let Some(path) = &config.login.user_file {
        // No user has this name, but all lines are checked.
        keep(user_file::find(path, "").map(drop).map_err(|fault| format!("--user-file: {fault}")));
    }
    if let Some(anonymous) = &config.login.anonymous {
        keep(Anonymous::new(anonymous).map(drop).map_err(|err| format!("--anonymous-root: {err}")));
    }
    let login = &config.login;
    if !login.anonymous_only && login.auth == AuthMethod::Pam && !pam_service_is_there(&login.pam_service) {
        let service = &login.pam_service;
        keep(Err(format!(
            "--pam-service: there is no PAM service {service}: the system's `other` would be asked"
        )));
    }
    problems
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

/// Checks each line of a file of names: whether it can be about somebody, and what `read` says.
fn check_lines(
    path: &Path,
    problems: &mut Vec<String>,
    read: impl Fn(&AdminFile, usize, &Who, &[u8]) -> Result<(), Fault>,
) {
    let file = match AdminFile::read(path) {
        Ok(file) => file,
        Err(fault) => return problems.push(fault.to_string()),
    };
    let lines = match file.lines() {
        Ok(lines) => lines,
        Err(fault) => return problems.push(fault.to_string()),
    };
    for (number, line) in lines {
        match Who::split_off(line) {
            Ok((who, rest)) => {
                problems.extend(who.complaint().map(|what| file.fault(number, &what).to_string()));
                problems.extend(read(&file, number, &who, rest).err().map(|fault| fault.to_string()));
            }
            Err(what) => problems.push(file.fault(number, &what).to_string()),
        }
    }
}

fn check_ftpusers_line(file: &AdminFile, number: usize, who: &Who, rest: &[u8]) -> Result<(), Fault> {
    let listed = ftpusers::means_of_ftpusers(file, number, rest)?;
    let guest = matches!(listed, Listed::Allowed(_, Permit { class: Class::Guest, .. }));
    match guest && !who.is_anonymous() {
        true => Err(file.fault(number, "the class `guest` is for the anonymous login alone")),
        false => Ok(()),
    }
}

fn check_ftpchroot_line(file: &AdminFile, number: usize, _who: &Who, rest: &[u8]) -> Result<(), Fault> {
    // It is not known whose home is meant. Any absolute one will do.
    let home = Path::new("/");
    let Some(jail) = jail::jail_of_line(file, number, rest, home)?.jail else { return Ok(()) };
    let is_absolute = rest.starts_with(b"/") || rest.starts_with(b"\"/");
    match is_absolute && !jail.root.is_dir() {
        true => Err(file.fault(number, &format!("{} is not a directory", jail.root.display()))),
        false => Ok(()),
    }
}
