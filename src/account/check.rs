//! The administrator's files, every line of them: for `--test-config`.

use std::path::Path;

use super::admin_file::{AdminFile, Fault};
use super::anonymous::Anonymous;
use super::hosts::Hosts;
use super::names::name_and_rest;
use super::pam_service::pam_service_is_there;
use super::{ftpusers, jail, user_file};
use crate::config::{AuthMethod, Config};
use crate::sys::accounts;

/// What is wrong with the files that say who may log in, and as whom; a line each.
pub(crate) fn check_files(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    let dir = &config.config_dir;
    check_lines(&dir.join("ftpusers"), &mut problems, |file, number, rest| {
        ftpusers::means_of_ftpusers(file, number, rest).map(drop)
    });
    check_lines(&dir.join("ftpchroot"), &mut problems, |file, number, rest| {
        // Whose home is meant is not known here; any absolute one will do.
        let (jail, _) = jail::jail_of_line(file, number, rest, Path::new("/"))?;
        match rest.starts_with(b"/") && !jail.root.is_dir() {
            true => Err(file.fault(number, &format!("{} is not a directory", jail.root.display()))),
            false => Ok(()),
        }
    });
    let mut keep = |result: Result<(), String>| problems.extend(result.err());
    keep(Hosts::read(dir, config.login.anonymous.as_ref()).map(drop).map_err(|err| err.to_string()));
    for name in ["shells", "ftpwelcome", "ftpmotd", "motd"] {
        keep(AdminFile::read(&dir.join(name)).map(drop).map_err(|fault| fault.to_string()));
    }
    if let Some(path) = &config.login.user_file {
        // Nobody has no name; all lines are looked at all the same.
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

/// Each line of a file of names, read by `read`; the groups it names must be there.
fn check_lines(
    path: &Path,
    problems: &mut Vec<String>,
    read: impl Fn(&AdminFile, usize, &[u8]) -> Result<(), Fault>,
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
        let (name, rest) = name_and_rest(line);
        if let Some(group) = name.strip_prefix(b"@").filter(|group| !group.is_empty())
            && accounts::c_name(group).is_none_or(|name| matches!(accounts::group_by_name(&name), Ok(None)))
        {
            let what = format!("there is no group {}", crate::logging::text(group));
            problems.push(file.fault(number, &what).to_string());
        }
        problems.extend(read(&file, number, rest).err().map(|fault| fault.to_string()));
    }
}
