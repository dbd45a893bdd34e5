//! ftphosts: virtual hosts, and rules about the addresses that users may log in from.
//!
//! A client gets a virtual host by the address that it connected to, or by HOST. Its line is
//! FreeBSD's: `hostname user statfile welcome motd`, where `-` or nothing stands for what the
//! server has. Rules are wu-ftpd's: `allow` or `deny`, a user and addresses. The names of hosts
//! are looked up when the file is read, at start and on SIGHUP. Rules are read at each login.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Trail;
use super::admin_file::{AdminFile, Fault};
use super::anonymous::Anonymous;
use super::authenticator::Refusal;
use super::check::Findings;
use super::ftpusers::first_word;
use super::names::{Meaning, Subject, Who, is_plausible_name};
use super::system::named;
use super::user_file;
use crate::config::{AnonymousPolicy, Cidr, LoginPolicy};
use crate::proto::host::HostName;

const FILE: &str = "ftphosts";

/// The virtual hosts of a server.
#[derive(Default)]
pub(crate) struct Hosts {
    hosts: Vec<(IpAddr, Arc<VirtualHost>)>,
}

/// The settings that are different for clients of one address.
pub(crate) struct VirtualHost {
    pub name: String,
    /// `None`: the server's anonymous login.
    pub(super) anonymous: Option<Anonymous>,
    /// The file for the statistics of `-S`.
    pub statfile: Option<PathBuf>,
    pub welcome: Option<PathBuf>,
    pub motd: Option<PathBuf>,
}

enum HostsLine<'a> {
    Host(HostLine<'a>),
    Rule { allow: bool, who: Who, addresses: Vec<Addresses> },
}

struct HostLine<'a> {
    name: &'a str,
    user: Option<&'a str>,
    statfile: Option<PathBuf>,
    welcome: Option<PathBuf>,
    motd: Option<PathBuf>,
}

/// The addresses of a rule.
enum Addresses {
    Network(Cidr),
    /// The beginning of a numeric address: `192.0.2.*`, or `*`.
    Beginning(String),
}

impl Hosts {
    /// Reads ftphosts. `anonymous` is the anonymous login of the server, if it has one.
    ///
    /// # Errors
    /// A line cannot be understood; a host cannot be found; an account does not exist; two lines
    /// have the same address.
    pub(crate) fn read(config_dir: &Path, anonymous: Option<&AnonymousPolicy>) -> io::Result<Hosts> {
        let read = || {
            let file = AdminFile::read(&config_dir.join(FILE))?;
            let mut hosts = Hosts::default();
            for (number, line) in parse(&file)? {
                if let HostsLine::Host(line) = line {
                    hosts.add(line, anonymous).map_err(|what| file.fault(number, &what))?;
                }
            }
            Ok(hosts)
        };
        read().map_err(|fault: Fault| io::Error::new(io::ErrorKind::InvalidData, fault.to_string()))
    }

    /// The virtual host that has this local address.
    pub(crate) fn at(&self, local: IpAddr) -> Option<Arc<VirtualHost>> {
        let local = local.to_canonical();
        self.hosts.iter().find(|(address, _)| *address == local).map(|(_, host)| Arc::clone(host))
    }

    /// The virtual host of this name.
    pub(crate) fn named(&self, name: &HostName) -> Option<Arc<VirtualHost>> {
        match name {
            HostName::Address(address) => self.at(*address),
            HostName::Name(_) => {
                let mut hosts = self.hosts.iter().map(|(_, host)| host);
                hosts.find(|host| name.is(&host.name)).map(Arc::clone)
            }
        }
    }

    /// The files for statistics.
    pub(crate) fn statfiles(&self) -> impl Iterator<Item = &Path> {
        self.hosts.iter().filter_map(|(_, host)| host.statfile.as_deref())
    }

    fn add(&mut self, line: HostLine<'_>, anonymous: Option<&AnonymousPolicy>) -> Result<(), String> {
        let HostLine { name, user, statfile, welcome, motd } = line;
        let found = (name, 0).to_socket_addrs().map_err(|err| format!("`{name}`: {err}"))?;
        let mut addresses: Vec<IpAddr> = found.map(|address| address.ip().to_canonical()).collect();
        addresses.sort();
        addresses.dedup();
        let anonymous = match (user, anonymous) {
            (Some(user), Some(policy)) => {
                let policy = AnonymousPolicy { user: user.to_owned(), root: None, ..policy.clone() };
                Some(Anonymous::new(&policy).map_err(|err| format!("`{user}`: {err}"))?)
            }
            _ => None,
        };
        let host = Arc::new(VirtualHost { name: name.to_owned(), anonymous, statfile, welcome, motd });
        for address in addresses {
            if self.at(address).is_some() {
                return Err(format!("`{name}`: another line is for {address} already"));
            }
            self.hosts.push((address, Arc::clone(&host)));
        }
        Ok(())
    }
}

/// All that is wrong with ftphosts, for `--test-config`.
pub(super) fn findings(config_dir: &Path, login: &LoginPolicy) -> Findings {
    let mut findings = Findings::default();
    let Findings { errors, warnings } = &mut findings;
    let read = AdminFile::read(&config_dir.join(FILE));
    let lines = read.as_ref().map_err(Fault::to_string);
    let lines = lines.and_then(|file| Ok((file, file.lines().map_err(|fault| fault.to_string())?)));
    let (file, lines) = match lines {
        Ok(read) => read,
        Err(fault) => {
            errors.push(fault);
            return findings;
        }
    };
    let in_user_file = |name: &str| {
        let file = login.user_file.as_deref();
        file.is_some_and(|file| !matches!(user_file::find(file, name), Ok(None)))
    };
    let mut hosts = Hosts::default();
    for (number, line) in lines {
        let shown = |what: String| file.fault(number, &what).to_string();
        match parse_line(line) {
            Ok(HostsLine::Host(line)) => {
                warnings.extend(missing(&line, login.anonymous.is_some()).into_iter().map(shown));
                errors.extend(hosts.add(line, login.anonymous.as_ref()).err().map(shown));
            }
            Ok(HostsLine::Rule { who, .. }) => {
                warnings.extend(who.unknown_account(in_user_file).map(shown));
                errors.extend(who.complaint().map(shown));
            }
            Err(what) => errors.push(shown(what)),
        }
    }
    findings
}

/// The files and the account of a virtual host that do not exist.
fn missing(line: &HostLine<'_>, has_anonymous: bool) -> Vec<String> {
    let files = [("statfile", &line.statfile), ("welcome", &line.welcome), ("motd", &line.motd)];
    let missing = |(what, path): (&str, &Option<PathBuf>)| {
        let path = path.as_deref()?;
        let error = File::open(path).err()?;
        Some(format!("{what} {}: {error}", path.display()))
    };
    let mut lines: Vec<String> = files.into_iter().filter_map(missing).collect();
    if let Some(user) = line.user.filter(|_| !has_anonymous) {
        lines.extend(named(user).err().map(|err| format!("`{user}`: {err}")));
    }
    lines
}

/// Refuses a user by the rules of ftphosts: if a `deny` has the address, or if there are `allow`
/// lines about the user and none of them has it.
pub(super) fn check_address(
    config_dir: &Path,
    subject: &Subject<'_>,
    trail: &mut Trail,
) -> Result<(), Refusal> {
    let file = AdminFile::read(&config_dir.join(FILE)).map_err(Refusal::unavailable)?;
    let lines = parse(&file).map_err(Refusal::unavailable)?;
    let mut missed = None;
    let mut fits = None;
    for (number, line) in lines {
        let HostsLine::Rule { allow, who, addresses } = line else { continue };
        match file.means(number, &who, subject).map_err(Refusal::unavailable)? {
            Meaning::Yes => (),
            Meaning::No | Meaning::Elsewhere => continue,
            Meaning::Unclear(reason) => return Err(Refusal::unavailable(file.fault(number, &reason))),
        }
        // Without an address, a rule that is not clear refuses all the same.
        let Some(peer) = subject.peer else { continue };
        let here = addresses.iter().any(|addresses| addresses.contain(peer));
        match (allow, here) {
            (false, true) => {
                trail.say(|| format!("{}: denies this address", file.rule(number)));
                return Err(Refusal::denied(format!("{}:{number} denies {peer}", file.path().display())));
            }
            (true, true) => fits = fits.or(Some(number)),
            (true, false) => missed = missed.or(Some((number, peer))),
            (false, false) => (),
        }
    }
    match (fits, missed) {
        (Some(number), _) => trail.say(|| format!("{}: allows this address", file.rule(number))),
        (None, None) => (),
        (None, Some((number, peer))) => {
            trail.say(|| format!("{}: does not allow {peer}", file.rule(number)));
            let place = file.path().display();
            return Err(Refusal::denied(format!("{place}:{number} allows other addresses than {peer}")));
        }
    }
    Ok(())
}

fn parse(file: &AdminFile) -> Result<Vec<(usize, HostsLine<'_>)>, Fault> {
    let line = |(number, line)| Ok((number, parse_line(line).map_err(|what| file.fault(number, &what))?));
    file.lines()?.into_iter().map(line).collect()
}

/// Whether a line can be understood.
pub(super) fn is_line(line: &[u8]) -> bool {
    parse_line(line).is_ok()
}

fn parse_line(line: &[u8]) -> Result<HostsLine<'_>, String> {
    let (first, rest) = first_word(line);
    let allow = match first {
        b"allow" => true,
        b"deny" => false,
        _ => return host_line(&words(line)).map(HostsLine::Host),
    };
    let (who, rest) = Who::split_off(rest)?;
    match words(rest).as_slice() {
        [] => Err("not `allow` or `deny`, a user and addresses".to_owned()),
        addresses => {
            let addresses = addresses.iter().map(|word| Addresses::parse(word)).collect::<Result<_, _>>()?;
            Ok(HostsLine::Rule { allow, who, addresses })
        }
    }
}

fn words(text: &[u8]) -> Vec<&[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect()
}

fn host_line<'a>(words: &[&'a [u8]]) -> Result<HostLine<'a>, String> {
    if words.len() > 5 {
        return Err("not `hostname user statfile welcome motd`".to_owned());
    }
    let word = |at: usize| words.get(at).copied().filter(|word| *word != b"-");
    let file = |at: usize| match word(at) {
        Some(path) if !path.starts_with(b"/") => {
            Err(format!("`{}` is not an absolute path", crate::logging::text(path)))
        }
        path => Ok(path.map(|path| PathBuf::from(OsStr::from_bytes(path)))),
    };
    let user = match word(1).map(|user| is_plausible_name(user).ok_or(user)) {
        Some(Err(user)) => return Err(format!("`{}` is not a user name", crate::logging::text(user))),
        Some(Ok(user)) => Some(user),
        None => None,
    };
    let name = word(0).and_then(|name| str::from_utf8(name).ok()).ok_or("not the name of a host")?;
    Ok(HostLine { name, user, statfile: file(2)?, welcome: file(3)?, motd: file(4)? })
}

impl Addresses {
    fn parse(word: &[u8]) -> Result<Addresses, String> {
        let wrong = || {
            format!("`{}` is not an address, a network, or the beginning of one", crate::logging::text(word))
        };
        let word = str::from_utf8(word).map_err(|_| wrong())?;
        if let Some(network) = Cidr::parse(word) {
            return Ok(Addresses::Network(network));
        }
        match word.strip_suffix('*') {
            Some(beginning) if beginning.chars().all(|c| c.is_ascii_hexdigit() || ".:".contains(c)) => {
                Ok(Addresses::Beginning(beginning.to_ascii_lowercase()))
            }
            _ => Err(wrong()),
        }
    }

    fn contain(&self, peer: IpAddr) -> bool {
        match self {
            Addresses::Network(network) => network.contains(peer),
            Addresses::Beginning(beginning) => {
                peer.to_canonical().to_string().starts_with(beginning.as_str())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Scratch;

    fn with_file(contents: &str) -> Scratch {
        let scratch = Scratch::new();
        scratch.write(FILE, contents);
        scratch
    }

    #[test]
    fn a_host_has_what_its_line_says_and_else_what_the_server_has() {
        let lines = "# hosts\n192.0.2.1 - - /etc/w /etc/m\n2001:db8::1\n127.0.0.1\t-\t/var/log/one\n";
        let scratch = with_file(lines);
        let hosts = Hosts::read(scratch.path(), None).unwrap();
        let at = |address: &str| hosts.at(address.parse().unwrap());
        let first = at("192.0.2.1").unwrap();
        assert_eq!(at("::ffff:192.0.2.1").unwrap().name, "192.0.2.1");
        assert_eq!((first.name.as_str(), first.statfile.as_deref()), ("192.0.2.1", None));
        assert_eq!(
            (first.welcome.as_deref(), first.motd.as_deref()),
            (Some(Path::new("/etc/w")), Some(Path::new("/etc/m")))
        );
        assert!(at("2001:db8::1").unwrap().motd.is_none());
        assert_eq!(at("127.0.0.1").unwrap().statfile.as_deref(), Some(Path::new("/var/log/one")));
        assert!(at("192.0.2.2").is_none());
        assert_eq!(hosts.statfiles().count(), 1);
        assert!(Hosts::read(Path::new("/no/such/directory"), None).unwrap().at(first_address()).is_none());
    }

    fn first_address() -> IpAddr {
        "192.0.2.1".parse().unwrap()
    }

    #[test]
    fn a_line_that_cannot_be_understood_is_named() {
        for line in [
            "192.0.2.1 - - - - more",
            "192.0.2.1 ../root",
            "192.0.2.1 - relative",
            "192.0.2.1 - - welcome",
            "no.such.host.invalid",
            "-",
            "127.0.0.1",
            "allow",
            "allow joe",
            "deny joe example.org",
            "deny joe 192.0.2.0/33",
            "deny joe *.2.1",
        ] {
            let scratch = with_file(&format!("127.0.0.1\n\n{line}\n"));
            let err = Hosts::read(scratch.path(), None).err().unwrap_or_else(|| panic!("{line}")).to_string();
            assert!(err.contains("ftphosts:3: "), "{line}: {err}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let scratch = with_file(
            "127.0.0.1\n192.0.2.1 - relative\nallow @no-such-group ::1\ndeny \"first last\" ::1\nallow joe\n",
        );
        let found = findings(scratch.path(), &LoginPolicy::default()).errors;
        let lines: Vec<bool> = [2, 3, 5]
            .iter()
            .map(|line| found.iter().any(|what| what.contains(&format!(":{line}: "))))
            .collect();
        assert_eq!((found.len(), lines), (3, vec![true; 3]), "{found:?}");
        assert!(findings(Path::new("/no/such/directory"), &LoginPolicy::default()).errors.is_empty());
    }

    #[test]
    fn rules_say_who_may_log_in_from_where() {
        let scratch = with_file(
            "127.0.0.1\nallow joe 10.0.0.0/8 192.0.2.*\ndeny joe 10.6.6.6\ndeny * 2001:db8:*\nallow @root ::1\n",
        );
        let may = |name: &str, groups: &[u32], peer: &str| {
            let subject = Subject { names: &[name.as_bytes()], groups, peer: peer.parse().ok() };
            check_address(scratch.path(), &subject, &mut Trail::default()).is_ok()
        };
        assert!(
            may("joe", &[], "10.1.2.3") && may("joe", &[], "192.0.2.9") && may("joe", &[], "::ffff:10.1.2.3")
        );
        assert!(!may("joe", &[], "10.6.6.6") && !may("joe", &[], "192.0.3.9") && !may("joe", &[], "::1"));
        assert!(may("ann", &[], "10.6.6.6") && !may("ann", &[], "2001:db8:1::"));
        assert!(may("ann", &[0], "::1") && !may("ann", &[0], "10.1.1.1"));
        scratch.write(FILE, "deny joe here\n");
        assert!(!may("ann", &[], "::1"), "a file that cannot be understood keeps everybody out");
    }
}
