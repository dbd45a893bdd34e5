//! `-C`: says whether an account may log in, and which file and line decided that.

use std::fmt::Write;
use std::io;
use std::net::IpAddr;

use super::errors::{FAILURE, StartupErrors, USAGE};
use crate::account::{Account, Authenticator, Refusal, Trail};
use crate::cli::{self, Options};
use crate::config::{Config, Start};
use crate::session::{Rates, Rights};

/// `-C`: the exit code says whether the user may log in; `-d` also prints the reasons.
pub(super) fn check_access(options: Options, who: &str, errors: StartupErrors) -> Result<(), u8> {
    let (user, host) = who.rsplit_once('@').map_or((who, None), |(user, host)| (user, Some(host)));
    let peer = host.map(|host| host.parse::<IpAddr>().map_err(|_| host)).transpose();
    let peer =
        peer.map_err(|host| errors.report(USAGE, format!("-C, --check-access: `{host}` is not an address")))?;
    let explain = options.logging.debug > 0;
    let config =
        cli::resolve(options, Start::Foreground).map_err(|problems| errors.report_all(USAGE, problems))?;
    let answer = check(&config, user, peer).map_err(|err| errors.report(FAILURE, err))?;
    let mut text = String::new();
    if explain {
        answer.explanation.iter().for_each(|line| text += &format!("{line}\n"));
    }
    super::say(&format!("{text}{}\n", answer.verdict))?;
    if answer.allowed { Ok(()) } else { Err(FAILURE) }
}

/// The answer.
struct AccessCheck {
    pub allowed: bool,
    /// Yes or no in words; a no with its reason.
    pub verdict: String,
    /// The files and lines that decided, and the rights that a session of the account would have.
    pub explanation: Vec<String>,
}

/// Whether `user` may log in, from `peer` if that is given. PAM, which wants a password, is not asked.
///
/// # Errors
/// No server could be started with this configuration.
fn check(config: &Config, user: &str, peer: Option<IpAddr>) -> io::Result<AccessCheck> {
    let authenticator = Authenticator::without_passwords(config)?;
    let mut trail = Trail::kept();
    let answer = match crate::session::nologin_text(&config.config_dir) {
        Some(_) => Err(Refusal::Unavailable { reason: "there is a nologin".to_owned() }),
        None => authenticator.check_access(user.as_bytes(), peer, &mut trail),
    };
    // A session whose root is not there cannot begin.
    let answer = answer.and_then(|account| match std::fs::metadata(&account.root) {
        Ok(metadata) if metadata.is_dir() => Ok(account),
        Ok(_) => Err(no_root(&account, "not a directory")),
        Err(err) => Err(no_root(&account, &err.to_string())),
    });
    let shown = crate::logging::text(user.as_bytes());
    let mut explanation = trail.into_steps();
    let (allowed, verdict) = match answer {
        Ok(account) => {
            explanation.push("the password, and what PAM has against the account, are not asked".to_owned());
            explanation.extend(describe(config, &account));
            (true, format!("{shown} may log in"))
        }
        Err(reason) => (false, format!("{shown} may not log in: {reason}")),
    };
    Ok(AccessCheck { allowed, verdict, explanation })
}

fn no_root(account: &Account, reason: &str) -> Refusal {
    Refusal::Unavailable { reason: format!("root {}: {reason}", account.root.display()) }
}

fn describe(config: &Config, account: &Account) -> Vec<String> {
    let (files, options) = (&config.files, &account.options);
    let root = account.root.display();
    let mut lines = vec![
        match account.confined {
            true => format!("root: {root}, and nothing outside of it"),
            false => format!("root: {root}, all of the file system"),
        },
        format!("starts in: {}", crate::logging::text(&account.start)),
        match &account.identity {
            Some(identity) => {
                let groups = identity.groups.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
                format!("rights of: uid {}, gid {}, groups {groups}", identity.uid, identity.gid)
            }
            None => "rights of: whoever runs the server".to_owned(),
        },
        format!("umask: {:03o}", options.umask.unwrap_or(files.umask)),
    ];
    let denied = Rights::of(account, files, config.login.anonymous.as_ref()).denied_words();
    lines.push(match denied.is_empty() {
        true => "may not: (nothing is forbidden)".to_owned(),
        false => format!("may not: {}", denied.join("; ")),
    });
    let rates = Rates::of(account, &config.limits);
    let rate =
        |rate: Option<u64>| rate.map_or("no limit".to_owned(), |rate| format!("{rate} bytes a second"));
    lines.push(format!("rates: download {}, upload {}", rate(rates.download), rate(rates.upload)));
    let quota = options.quota.map_or("none".to_owned(), |quota| format!("{quota} bytes"));
    lines.push(format!("quota: {quota}"));
    for (what, globs) in [
        ("hidden files", files.hide_files.iter().chain(&options.hide).collect::<Vec<_>>()),
        ("denied files", files.deny_files.iter().collect()),
    ] {
        if !globs.is_empty() {
            let mut line = format!("{what}:");
            globs.iter().for_each(|glob| write!(line, " {glob}").unwrap_or_default());
            lines.push(line);
        }
    }
    lines
}
