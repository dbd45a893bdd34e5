//! `Config`: the settings of one server, made from the command line at the start, and never changed.
//!
//! `cli` reads the words of the command line and looks up what they name. This file is the result: plain
//! data that uses no other part of ferryd. Each part of the server takes the group that concerns it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// All the settings of one server.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub listen: Listen,
    pub logging: Logging,
    pub limits: Limits,
    pub login: LoginPolicy,
    pub data: DataPolicy,
    pub files: FilePolicy,
    pub greeting: Greeting,
    /// `None`: no TLS.
    pub tls: Option<TlsPolicy>,
    /// `--deny-commands`: the verbs of commands, such as `DELE` and `SITE CHMOD`.
    pub denied_commands: Vec<&'static str>,
    pub config_dir: PathBuf,
    /// `--control-socket`: where `--who` and `--kick` ask.
    pub control_socket: Option<PathBuf>,
    /// seccomp and landlock for sessions (off with `--no-sandbox`).
    pub sandbox: bool,
    /// Lines for the log, for the administrator to read after the start.
    pub warnings: Vec<String>,
}

/// How the server is started, and where it listens.
#[derive(Clone, Debug)]
pub(crate) struct Listen {
    pub start: Start,
    /// Addresses to bind; resolved from `-a`, `-4`, `-6` and `-P`. A wildcard
    /// IPv6 address among them is bound with IPV6_V6ONLY.
    pub addresses: Vec<SocketAddr>,
    /// The same with the port of `--tls-port`, where clients begin with TLS.
    pub tls_addresses: Vec<SocketAddr>,
    /// `-p`: where the process id is written.
    pub pid_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// `-F`: standalone, in the foreground, logging to standard error.
    Foreground,
    /// `-D`: standalone, detached, logging to syslog.
    Daemon,
    /// Started with a control connection (inetd: nowait; systemd: Accept=yes), logging to syslog.
    Connected,
    /// Started with sockets to listen on (inetd: wait; systemd: Accept=no), logging to syslog.
    /// With `-F` such a server is a `Foreground` one.
    Activated,
}

#[derive(Clone, Debug)]
pub(crate) struct Logging {
    /// `-d`, `-v`: how often they were given.
    pub debug: u8,
    /// `-l`: one logs sessions, two also every command that changes or moves a file.
    pub transfers: u8,
    /// `-L`: transfer log in xferlog format.
    pub xferlog: Option<PathBuf>,
    /// `-X`: transfers go to the log as well.
    pub xferlog_syslog: bool,
    /// `--syslog-facility`: the number that syslog(3) gives it.
    pub facility: u8,
    pub format: LogFormat,
    pub wtmp: WtmpUse,
}

impl Default for Logging {
    fn default() -> Logging {
        Logging {
            debug: 0,
            transfers: 0,
            xferlog: None,
            xferlog_syslog: false,
            facility: FACILITY_FTP,
            format: LogFormat::Text,
            wtmp: WtmpUse::IfThere,
        }
    }
}

const FACILITY_FTP: u8 = 11;

/// `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// The lines of the classic ftpd, and those of xferlog(5).
    Text,
    /// A line of JSON for each record of the log and of the transfer log.
    Json,
}

/// Whether logins are recorded in wtmp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WtmpUse {
    /// `-W`.
    Off,
    /// Neither option was given: logins are recorded if the system has a wtmp and we may write to it.
    IfThere,
    /// `-w`: an error when it cannot be opened.
    Required,
}

/// How much of the server one client, one host, one user may have. `None` is no limit, which the
/// command line writes as 0.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// `--max-clients`: sessions at one time, and so the workers of the pool at most.
    pub max_clients: usize,
    /// `--max-per-ip`: sessions of one host, which of IPv6 is a /64.
    pub max_per_ip: Option<usize>,
    /// `--max-before-login`: sessions that are not logged in.
    pub max_before_login: Option<usize>,
    /// `--max-before-login-per-ip`: those of one host.
    pub max_before_login_per_ip: Option<usize>,
    pub max_per_user: Option<usize>,
    /// `-t`: a client may be silent for this long.
    pub idle_timeout: Duration,
    /// `-T`: the most that SITE IDLE may ask for.
    pub max_idle_timeout: Duration,
    /// `--login-timeout`: from the greeting to the end of the login.
    pub login_timeout: Duration,
    /// `--login-delay`: each refusal of a login is sent this long after PASS.
    pub login_delay: Duration,
    /// `--max-login-attempts`: failed logins after which the session ends.
    pub max_login_attempts: Option<u32>,
    /// `--ban=N/PERIOD/TIME`.
    pub ban: Option<Ban>,
    /// Bytes a second of one session.
    pub rate_download: Option<u64>,
    pub rate_upload: Option<u64>,
    /// The same of an anonymous session. The outer `None`: as of others; the inner one: no limit.
    pub anonymous_rate_download: Option<Option<u64>>,
    pub anonymous_rate_upload: Option<Option<u64>>,
    /// The size in bytes that an upload may make of a file.
    pub max_file_size: Option<u64>,
    /// The share of a file system, in per cent, that uploads leave free.
    pub min_free_space: Option<u8>,
    /// `--list-limit=FILES:DEPTH` of one listing.
    pub list_files: Option<usize>,
    pub list_depth: Option<usize>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_clients: 256,
            max_per_ip: None,
            max_before_login: None,
            max_before_login_per_ip: None,
            max_per_user: None,
            idle_timeout: Duration::from_secs(900),
            max_idle_timeout: Duration::from_secs(7200),
            login_timeout: Duration::from_secs(60),
            login_delay: Duration::from_millis(1000),
            max_login_attempts: Some(5),
            ban: None,
            rate_download: None,
            rate_upload: None,
            anonymous_rate_download: None,
            anonymous_rate_upload: None,
            max_file_size: None,
            min_free_space: None,
            list_files: None,
            list_depth: None,
        }
    }
}

/// `failures` failed logins within `period` refuse a host for `time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ban {
    pub failures: u32,
    pub period: Duration,
    pub time: Duration,
}

/// The accounts that may log in, and how they prove who they are.
#[derive(Clone, Debug)]
pub(crate) struct LoginPolicy {
    /// `None`: no anonymous login (`--no-anonymous`, or no such account and no `--anonymous-root`).
    pub anonymous: Option<AnonymousPolicy>,
    /// `-A`: only the anonymous login.
    pub anonymous_only: bool,
    pub auth: AuthMethod,
    /// `--pam-service` (`ftpd`).
    pub pam_service: String,
    /// `--pam-session`.
    pub pam_session: bool,
    /// `--auth-helpers` (32): processes that check passwords at one time.
    pub auth_helpers: usize,
    /// `--auth-timeout` (90 s): for one check; a person may have to say yes on a telephone.
    pub auth_timeout: Duration,
    /// `--user-file`: accounts that the operating system does not know.
    pub user_file: Option<PathBuf>,
    /// `--min-uid` (1): accounts with a lower uid are refused; uid 0 always is.
    pub min_uid: u32,
    pub chroot: Chroot,
    /// A login shell must be in /etc/shells (off with `--no-shell-check`).
    pub shell_check: bool,
}

impl Default for LoginPolicy {
    fn default() -> LoginPolicy {
        LoginPolicy {
            anonymous: None,
            anonymous_only: false,
            auth: AuthMethod::Pam,
            pam_service: "ftpd".to_owned(),
            pam_session: false,
            auth_helpers: 32,
            auth_timeout: Duration::from_secs(90),
            user_file: None,
            min_uid: 1,
            chroot: Chroot::File,
            shell_check: true,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnonymousPolicy {
    /// `--anonymous-user` (`ftp`): the account whose rights an anonymous client has, if root started
    /// the server.
    pub user: String,
    /// `--anonymous-root`; `None` is the home of that account.
    pub root: Option<PathBuf>,
    /// `--anonymous-write`, and always for a server that is root's: may store files.
    pub write: bool,
    /// `-M` turns it off.
    pub mkdir: bool,
    /// `-m` turns it on: anonymous clients may overwrite, delete and rename files.
    pub overwrite: bool,
    /// `-O`.
    pub write_only: bool,
    /// `-S`: downloads are counted in /var/log/ftpd.
    pub statfile: bool,
}

impl Default for AnonymousPolicy {
    fn default() -> AnonymousPolicy {
        AnonymousPolicy {
            user: "ftp".to_owned(),
            root: None,
            write: false,
            mkdir: true,
            overwrite: false,
            write_only: false,
            statfile: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthMethod {
    /// PAM, or the shadow file where there is no libpam.
    Pam,
    Shadow,
}

/// `--chroot`: the accounts that are confined to their home directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chroot {
    /// Those that ftpchroot names.
    File,
    All,
    None,
}

/// Where data connections may come from and go to.
#[derive(Clone, Debug)]
pub(crate) struct DataPolicy {
    /// `--passive-ports`, both ends included.
    pub passive_ports: (u16, u16),
    /// `--passive-address`: what 227 names in place of the control connection's address.
    pub passive_address: Option<IpAddr>,
    /// `--passive-address-exempt`: clients to which 227 names the real address all the same.
    pub passive_address_exempt: Vec<Cidr>,
    pub active: bool,
    pub passive: bool,
    /// `-E` turns EPSV (and LPSV) off.
    pub epsv: bool,
    /// `--active-source-port`. `None`: the control port - 1, or any if that cannot be had; `Some(0)`: any.
    pub active_source_port: Option<u16>,
    /// `--data-peer-check`: the data connection must come from the control connection's peer.
    pub peer_check: bool,
    /// `--ebcdic`: the number of the code page that TYPE E means.
    pub ebcdic: u16,
    /// `-R`: PORT and EPRT may name any address and port.
    pub foreign: bool,
    /// `--connect-timeout`: for the data connection to be set up, its TLS handshake included.
    pub connect_timeout: Duration,
    /// `--data-timeout`: for each stall while bytes flow.
    pub timeout: Duration,
}

/// RFC 6335's dynamic ports.
const DYNAMIC_PORTS: (u16, u16) = (49152, 65535);

impl Default for DataPolicy {
    fn default() -> DataPolicy {
        DataPolicy {
            passive_ports: DYNAMIC_PORTS,
            passive_address: None,
            passive_address_exempt: Vec::new(),
            active: true,
            passive: true,
            epsv: true,
            active_source_port: None,
            peer_check: true,
            ebcdic: 1047,
            foreign: false,
            connect_timeout: Duration::from_secs(60),
            timeout: Duration::from_secs(300),
        }
    }
}

/// `--passive-ports`, in the words of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PassivePorts {
    /// Both ends included.
    Range(u16, u16),
    /// From this port on, as many as there may be clients.
    From(u16),
}

impl Default for PassivePorts {
    fn default() -> PassivePorts {
        let (low, high) = DYNAMIC_PORTS;
        PassivePorts::Range(low, high)
    }
}

/// A network: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cidr {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Cidr {
    /// `ADDRESS/PREFIX`, or an address alone.
    pub(crate) fn parse(word: &str) -> Option<Cidr> {
        let (address, prefix) = word.split_once('/').map_or((word, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix =
            prefix.map_or(Some(width), |prefix| prefix.parse().ok().filter(|&prefix| prefix <= width))?;
        Some(Cidr { address, prefix })
    }

    /// Whether `address` (an IPv4-mapped one counts as IPv4) is in the network.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        fn bits(address: IpAddr) -> (u128, u32) {
            match address.to_canonical() {
                IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
                IpAddr::V6(v6) => (v6.to_bits(), 128),
            }
        }
        let ((net, width), (host, host_width)) = (bits(self.address), bits(address));
        let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
        width == host_width && net & mask == host & mask
    }
}

/// The rules about files, for every client.
#[derive(Clone, Debug)]
pub(crate) struct FilePolicy {
    /// `-u`.
    pub umask: u32,
    /// `-r`.
    pub read_only: bool,
    /// `-o`.
    pub write_only: bool,
    /// `--upload-mode`: the permission bits of new files, in place of what the umask leaves.
    pub upload_mode: Option<u32>,
    /// `--atomic-uploads`: a file gets its name when it is complete.
    pub atomic_uploads: bool,
    /// `--atomic-uploads=strict`: and only for a client that is there at the end, or has said QUIT.
    pub strict_uploads: bool,
    /// `--sync-uploads`: an upload is complete when the disk has it.
    pub sync_uploads: bool,
    /// `--delete-aborted`: an upload that was cut off is removed.
    pub delete_aborted: bool,
    pub no_chmod: bool,
    pub no_delete: bool,
    pub no_rename: bool,
    pub no_overwrite: bool,
    /// `--hide-ids`: listings say `ftp ftp` for every owner and group.
    pub hide_ids: bool,
    /// `--hide-files`: patterns of files that no listing shows.
    pub hide_files: Vec<String>,
    /// `--deny-files`: patterns of files that clients can neither read, make nor change.
    pub deny_files: Vec<String>,
}

impl Default for FilePolicy {
    fn default() -> FilePolicy {
        FilePolicy {
            umask: 0o027,
            read_only: false,
            write_only: false,
            upload_mode: None,
            atomic_uploads: false,
            strict_uploads: false,
            sync_uploads: false,
            delete_aborted: false,
            no_chmod: false,
            no_delete: false,
            no_rename: false,
            no_overwrite: false,
            hide_ids: false,
            hide_files: Vec::new(),
            deny_files: Vec::new(),
        }
    }
}

/// The bytes that a word such as `500000`, `64k`, `10M` or `2G` means.
pub(crate) fn bytes(word: &str) -> Option<u64> {
    let (digits, unit) = word.split_at(word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len()));
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// The certificates, and the connections that need TLS.
#[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "what TLS alone needs"))]
#[derive(Clone, Debug)]
pub(crate) struct TlsPolicy {
    /// `--tls`.
    pub required: TlsRequired,
    /// `--tls-cert` with `--tls-key`; none with `--tls-self-signed`.
    pub pairs: Vec<KeyPair>,
    /// `--tls-self-signed`.
    pub self_signed: bool,
    /// `--tls-port`: where clients begin with TLS.
    pub port: Option<u16>,
    /// `--tls-min=1.3`.
    pub only_tls13: bool,
    /// `--tls-require-reuse`: whether a data connection resumes the TLS session of its control
    /// connection, which proves that both come from the same client.
    pub reuse: ReuseRequired,
    /// `--tls-client-ca`.
    pub client_ca: Option<PathBuf>,
    pub client_auth: ClientAuth,
    /// `--tls-client-login`: the account that a client's certificate names needs no password.
    pub client_login: bool,
    /// `--tls-allow-ccc`: a client may turn the protection of its control connection off (CCC).
    pub allow_ccc: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsRequired {
    /// For nothing.
    No,
    /// For the login of everybody but anonymous clients.
    Login,
    /// For every login, and every data connection.
    All,
}

/// Whose data connections resume a TLS session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReuseRequired {
    #[default]
    Always,
    /// Those of a client that has resumed one before.
    Once,
    Never,
}

/// The file of a certificate and of those that sign it, and the file of its key; `None` if the key is
/// in the same file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyPair {
    pub certificate: PathBuf,
    pub key: Option<PathBuf>,
}

/// Whether clients show certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    Off,
    Request,
    Require,
}

/// The things that a client is told about the server.
#[derive(Clone, Debug)]
pub(crate) struct Greeting {
    /// `-h`: neither host name nor version nor system.
    pub hide_host: bool,
    /// `-q`: no version.
    pub hide_version: bool,
    /// This host's name, for the greeting and STAT.
    pub host_name: String,
    /// `--banner`: shown before the greeting, in place of ftpwelcome.
    pub banner: Option<PathBuf>,
    /// `--motd`: shown at the login, in place of ftpmotd.
    pub motd: Option<PathBuf>,
    /// `--dirmessage`: the file of a directory that is shown to who enters it.
    pub dirmessage: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        let net = Cidr { address: "10.1.0.0".parse().unwrap(), prefix: 16 };
        assert!(net.contains("10.1.255.1".parse().unwrap()));
        assert!(net.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!net.contains("10.2.0.1".parse().unwrap()));
        assert!(!net.contains("a01::".parse().unwrap()));
        assert!(Cidr { address: "::".parse().unwrap(), prefix: 0 }.contains("fe80::1".parse().unwrap()));
    }
}
