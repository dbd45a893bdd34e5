//! From the words of the command line to a [`Config`]: the look-ups, and the options that need or
//! exclude each other. `addresses` has names of hosts and services, `tls` the options about TLS.

mod addresses;
mod tls;

use std::fmt;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::Options;
use crate::config::{
    AnonymousPolicy, AuthMethod, Config, DataPolicy, Greeting, Limits, Listen, LoginPolicy, PassivePorts,
    Start,
};
use crate::proto::command::LOGIN_VERBS;
use crate::sys::process;
use addresses::{NO_PORT, addresses_at, listen_addresses, one_port_once, passive_address};
use tls::tls_policy;

/// A fault of one option that shows only when all options are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub option: &'static str,
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.option, self.reason)
    }
}

fn problem<T>(option: &'static str, reason: impl Into<String>) -> Result<T, Problem> {
    Err(Problem { option, reason: reason.into() })
}

/// Looks up what `options` name, for a server that is started as `start`. The error has all problems,
/// not only the first.
pub(crate) fn resolve(options: Options, start: Start) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut warnings = options.warnings.clone();
    let mut keep = |found: Result<(), Problem>| problems.extend(found.err());
    keep(check_combinations(&options));

    let limits = limits(&options, &mut warnings);
    let mut addresses = Vec::new();
    if !matches!(start, Start::Connected | Start::Activated) {
        keep(listen_addresses(&options).map(|found| addresses = found));
    }
    let mut tls = None;
    keep(tls_policy(&options).map(|found| tls = found));
    let mut tls_addresses = Vec::new();
    if let Some(port) = tls.as_ref().and_then(|tls| tls.port).filter(|_| start != Start::Connected) {
        keep(addresses_at(&options, port).map(|found| tls_addresses = found));
    }
    keep(one_port_once(&addresses, &tls_addresses));
    if options.port == NO_PORT && tls.as_ref().is_none_or(|tls| tls.port.is_none()) {
        keep(problem("-P, --port", "`none` needs --tls-port"));
    }
    let mut login = LoginPolicy { anonymous: None, ..options.login.clone() };
    keep(anonymous(&options, rustix::process::geteuid().is_root()).map(|found| login.anonymous = found));
    if let Some(anonymous) = login.anonymous.as_ref().filter(|found| found.user != options.anonymous.user) {
        let (wanted, instead) = (&options.anonymous.user, &anonymous.user);
        warnings.push(format!("no account `{wanted}`: anonymous clients have the rights of `{instead}`"));
    }
    let mut data = options.data.clone();
    keep(data_policy(&options, &limits).map(|found| data = found));
    keep(may_read_shadow(&options));
    keep(is_readable("--banner", options.banner.as_deref()));
    keep(is_readable("--motd", options.motd.as_deref()));
    if !problems.is_empty() {
        return Err(problems);
    }

    Ok(Config {
        listen: Listen { start, addresses, tls_addresses, pid_file: options.pid_file },
        logging: options.logging,
        limits,
        login,
        data,
        files: options.files,
        tls,
        greeting: Greeting {
            hide_host: options.hide_host,
            hide_version: options.hide_version,
            host_name: process::host_name(),
            banner: options.banner,
            motd: options.motd,
            dirmessage: options.dirmessage,
        },
        denied_commands: options.denied_commands,
        config_dir: options.config_dir,
        control_socket: options.control_socket,
        sandbox: options.sandbox,
        warnings,
    })
}

/// Only root can read the hashes of passwords; for anybody else every login would fail.
fn may_read_shadow(options: &Options) -> Result<(), Problem> {
    let login = &options.login;
    let needed = login.auth == AuthMethod::Shadow && !login.anonymous_only && login.user_file.is_none();
    if needed && fs::File::open("/etc/shadow").is_err() && !rustix::process::geteuid().is_root() {
        let reason = "`shadow` is for a server that root starts; --user-file has accounts for others";
        return problem("--auth", reason);
    }
    Ok(())
}

/// The file must be there at the start. It is read again each time it is shown.
fn is_readable(option: &'static str, file: Option<&Path>) -> Result<(), Problem> {
    let Some(path) = file else { return Ok(()) };
    // NONBLOCK: a FIFO would hold the start up.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let open = || fs::File::from(rustix::fs::open(path, flags, Mode::empty())?).metadata();
    match open() {
        Ok(metadata) if metadata.is_file() || metadata.file_type().is_char_device() => Ok(()),
        Ok(_) => problem(option, format!("{}: not a plain file", path.display())),
        Err(err) => problem(option, format!("{}: {err}", path.display())),
    }
}

fn check_combinations(options: &Options) -> Result<(), Problem> {
    if options.daemon && options.foreground {
        return problem("-D, --daemon", "not with -F, --foreground");
    }
    if options.login.anonymous_only && options.no_anonymous {
        return problem("-A, --anonymous-only", "not with --no-anonymous");
    }
    if !options.data.active && !options.data.passive {
        return problem("--no-active", "not with --no-passive: no data could flow");
    }
    // A certificate may take the password's place.
    let needed = if options.tls.client_login { &LOGIN_VERBS[..1] } else { &LOGIN_VERBS };
    if let Some(verb) = needed.iter().find(|verb| options.denied_commands.contains(verb)) {
        return problem("--deny-commands", format!("without {verb} nobody could log in"));
    }
    Ok(())
}

fn limits(options: &Options, warnings: &mut Vec<String>) -> Limits {
    let mut limits = options.limits.clone();
    if let Some(most) = process::thread_limit().filter(|&most| most < limits.max_clients) {
        warnings
            .push(format!("--max-clients: {most}, because vm.max_map_count has room for no more threads"));
        limits.max_clients = most;
    }
    let places = &options.places;
    limits.max_per_ip = places.max_per_ip.unwrap_or(Some(share(limits.max_clients, 2, 8)));
    limits.max_before_login = places.max_before_login.unwrap_or(Some((limits.max_clients * 3).div_ceil(4)));
    let before_login = limits.max_before_login.unwrap_or(limits.max_clients);
    limits.max_before_login_per_ip =
        places.max_before_login_per_ip.unwrap_or(Some(share(before_login, 4, 4)));
    // FreeBSD's ftpd reads -t above -T the same way.
    limits.max_idle_timeout = limits.max_idle_timeout.max(limits.idle_timeout);
    limits
}

/// One part of so many that one host may have; but one client that does several things at once is
/// served by a small server too.
fn share(of: usize, parts: usize, least: usize) -> usize {
    of.div_ceil(parts).max(least.min(of))
}

/// The anonymous login, if there is one. Its root is the one that was named, or the home of its account.
fn anonymous(options: &Options, as_root: bool) -> Result<Option<AnonymousPolicy>, Problem> {
    if options.no_anonymous {
        return Ok(None);
    }
    let mut policy = options.anonymous.clone();
    if as_root && policy.root.is_some() {
        policy.user = whose_rights(policy.user);
    }
    // Whoever tries a server out as an ordinary user opens a folder to be read, and nothing more.
    policy.write |= as_root || policy.overwrite || policy.write_only;
    let account = users::get_user_by_name(&policy.user).is_some();
    match &policy.root {
        Some(root) => match fs::read_dir(root) {
            Err(err) => return problem("--anonymous-root", format!("{}: {err}", root.display())),
            Ok(_) if as_root && !account => {
                let reason = format!(
                    "no account `{}`, whose rights anonymous clients would have; name another",
                    policy.user
                );
                return problem("--anonymous-user", reason);
            }
            Ok(_) => {}
        },
        // The home of that account is for a server that can take on its rights.
        None if account && as_root => {}
        None if options.login.anonymous_only => {
            let reason = format!("needs --anonymous-root=DIR or an account `{}`", policy.user);
            return problem("-A, --anonymous-only", reason);
        }
        None => return Ok(None),
    }
    Ok(Some(policy))
}

/// The account `user`. Many systems have no account `ftp`; for a tree that was named, another account
/// that belongs to nobody does as well.
fn whose_rights(user: String) -> String {
    let exists = |name: &str| users::get_user_by_name(name).is_some();
    if user != AnonymousPolicy::default().user || exists(&user) {
        return user;
    }
    ["ferryd", "nobody"].into_iter().find(|name| exists(name)).map_or(user, str::to_owned)
}

fn data_policy(options: &Options, limits: &Limits) -> Result<DataPolicy, Problem> {
    let mut data = options.data.clone();
    data.passive_ports = match options.passive_ports {
        PassivePorts::Range(low, high) => (low, high),
        PassivePorts::From(low) => match u16::try_from(usize::from(low) + limits.max_clients) {
            Ok(high) => (low, high),
            Err(_) => {
                let reason = format!("{low} and --max-clients {} go beyond port 65535", limits.max_clients);
                return problem("--passive-ports", reason);
            }
        },
    };
    if let Some(name) = &options.passive_address {
        data.passive_address = Some(passive_address(name)?);
    }
    // A short limit for stalls is meant for connections that are never set up, too.
    data.connect_timeout = options.connect_timeout.unwrap_or(data.connect_timeout.min(data.timeout));
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{self, Action};

    fn options(words: &[&str]) -> Options {
        match cli::parse(words.iter().map(std::ffi::OsString::from)) {
            Ok(Action::Run(options)) => *options,
            _ => panic!("{words:?} does not run"),
        }
    }

    fn resolve(words: &[&str]) -> Result<Config, Vec<Problem>> {
        super::resolve(options(words), Start::Foreground)
    }

    fn addresses(words: &[&str]) -> Vec<String> {
        let config = resolve(words).unwrap_or_else(|problems| panic!("{problems:?}"));
        config.listen.addresses.iter().map(ToString::to_string).collect()
    }

    fn complains_of(words: &[&str]) -> Vec<&'static str> {
        resolve(words).err().unwrap_or_default().iter().map(|problem| problem.option).collect()
    }

    #[test]
    fn it_listens_on_both_families_unless_told_otherwise() {
        assert_eq!(addresses(&["-P", "2121"]), ["0.0.0.0:2121", "[::]:2121"]);
        assert_eq!(addresses(&["-4", "-6", "-P", "2121"]).len(), 2);
        assert_eq!(addresses(&["-4"]), ["0.0.0.0:21"]);
        assert_eq!(addresses(&["-6"]), ["[::]:21"]);
        assert_eq!(
            addresses(&["-a", "127.0.0.1", "-a", "::1", "-a", "::1", "-P0"]),
            ["127.0.0.1:0", "[::1]:0"]
        );
    }

    #[test]
    fn what_cannot_be_is_named_by_its_option() {
        assert_eq!(complains_of(&["-6", "-a", "127.0.0.1"]), ["-a, --bind"]);
        assert_eq!(complains_of(&["-a", "0.0.0.0", "-a", "127.0.0.1", "-P7"]), ["-a, --bind"]);
        assert_eq!(complains_of(&["-a", "0.0.0.0", "-a", "::1", "-P7"]), [""; 0]);
        assert_eq!(complains_of(&["-a", "0.0.0.0", "-a", "127.0.0.1", "-P0"]), [""; 0]);
        assert_eq!(complains_of(&["-P", "65536"]), ["-P, --port"]);
        assert_eq!(complains_of(&["-P", "none"]), ["-P, --port"]);
        assert_eq!(complains_of(&["-P", "no such service"]), ["-P, --port"]);
        assert_eq!(complains_of(&["-DF"]), ["-D, --daemon"]);
        assert_eq!(complains_of(&["-A", "--no-anonymous"]), ["-A, --anonymous-only"]);
        assert_eq!(complains_of(&["-A", "--anonymous-user=no:such"]), ["-A, --anonymous-only"]);
        assert_eq!(
            complains_of(&["--anonymous-root=/no/such", "-P", "x x"]),
            ["-P, --port", "--anonymous-root"]
        );
        assert_eq!(complains_of(&["--anonymous-root=/etc/passwd"]), ["--anonymous-root"]);
        assert_eq!(complains_of(&["--passive-ports=65500+"]), ["--passive-ports"]);
        assert_eq!(complains_of(&["--passive-address=0.0.0.0"]), ["--passive-address"]);
    }

    #[test]
    fn a_text_is_a_plain_file_and_no_start_waits_for_it() {
        let scratch = crate::test_support::Scratch::new();
        let (text, fifo) = (scratch.write("text", "Hello."), scratch.join("fifo"));
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let complaints = |path: &Path| complains_of(&["-P0", &format!("--banner={}", path.display())]);
        assert_eq!(complaints(&text), [""; 0]);
        for wrong in [&fifo, scratch.path(), &scratch.join("none")] {
            assert_eq!(complaints(wrong), ["--banner"], "{}", wrong.display());
        }
    }

    #[test]
    fn hashes_that_only_root_may_read_are_no_use_to_others() {
        let may_not = fs::File::open("/etc/shadow").is_err() && !rustix::process::geteuid().is_root();
        let complaints = if may_not { vec!["--auth"] } else { vec![] };
        assert_eq!(complains_of(&["--auth=shadow", "-P0"]), complaints);
        assert_eq!(complains_of(&["--auth=shadow", "-P0", "--user-file=/no/such"]), [""; 0]);
    }

    #[test]
    fn an_anonymous_login_needs_a_root_or_an_account() {
        let tmp = ["--anonymous-root=/tmp", "--anonymous-user=no:such"];
        assert_eq!(anonymous(&options(&tmp[1..]), false), Ok(None));
        assert_eq!(
            anonymous(&options(&tmp), false).unwrap().unwrap().root.unwrap(),
            std::path::Path::new("/tmp")
        );
        assert_eq!(anonymous(&options(&tmp), true).unwrap_err().option, "--anonymous-user");
        assert_eq!(anonymous(&options(&["--no-anonymous", tmp[0]]), false), Ok(None));
    }

    #[test]
    fn one_host_has_a_share_of_the_places_and_strangers_do_not_have_them_all() {
        let places = |words: &[&str]| {
            let Limits { max_clients, max_per_ip, max_before_login, max_before_login_per_ip, .. } =
                resolve(words).unwrap().limits;
            (max_clients, max_per_ip, max_before_login, max_before_login_per_ip)
        };
        assert_eq!(places(&[]), (256, Some(128), Some(192), Some(48)));
        assert_eq!(places(&["--max-clients=10"]), (10, Some(8), Some(8), Some(4)));
        assert_eq!(places(&["--max-clients=1"]), (1, Some(1), Some(1), Some(1)));
        assert_eq!(places(&["--max-before-login=40", "--max-per-ip=3"]), (256, Some(3), Some(40), Some(10)));
        assert_eq!(places(&["--max-before-login=0", "--max-per-ip=0"]), (256, None, None, Some(64)));
        assert_eq!(places(&["--max-before-login-per-ip=0"]).3, None);
    }

    #[test]
    fn passive_ports_grow_with_the_clients() {
        let config = resolve(&["--passive-ports=50000+", "--max-clients=100"]).unwrap();
        assert_eq!(config.data.passive_ports, (50000, 50100));
    }
}
