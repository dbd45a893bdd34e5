//! Logins from name and password to account, with helpers but without accounts
//! of the system: those of the user file.

use std::env;
use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::anonymous::absolute;
use super::pam_service::pam_service;
use super::*;
use crate::config::{
    AnonymousPolicy, AuthMethod, Chroot, Config, DataPolicy, FilePolicy, Greeting, Limits, Listen, Logging,
    LoginPolicy, Start,
};
use crate::helpers::Helpers;
use crate::proto::secret::Password;
use crate::sys::identity::is_root;
use crate::test_support::Scratch;

const SHA512: &str =
    "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1";

/// A configuration directory and what the server was started with.
struct Setup {
    scratch: Scratch,
    config: Config,
}

impl Setup {
    fn new() -> Setup {
        let scratch = Scratch::new();
        let config = config(scratch.path());
        Setup { scratch, config }
    }

    fn write(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.scratch.write(name, contents);
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn authenticator(&self) -> Authenticator {
        let helpers = (!self.config.login.anonymous_only).then(|| Helpers::of_tests(1));
        Authenticator::with(&self.config, helpers).unwrap()
    }
}

fn config(dir: &Path) -> Config {
    let second = Duration::from_secs(1);
    Config {
        listen: Listen { start: Start::Foreground, addresses: vec![], tls_addresses: vec![], pid_file: None },
        warnings: Vec::new(),
        logging: Logging::default(),
        limits: Limits::default(),
        login: LoginPolicy {
            anonymous: Some(AnonymousPolicy {
                user: "nobody".into(),
                root: Some(dir.into()),
                write: true,
                mkdir: true,
                overwrite: false,
                write_only: false,
                statfile: false,
            }),
            anonymous_only: false,
            auth: AuthMethod::Pam,
            pam_service: "ftpd".into(),
            pam_session: false,
            auth_helpers: 1,
            auth_timeout: second,
            user_file: None,
            min_uid: 1,
            chroot: Chroot::File,
            shell_check: true,
        },
        data: DataPolicy {
            ebcdic: 1047,
            passive_ports: (1024, 65535),
            passive_address: None,
            passive_address_exempt: vec![],
            active: true,
            passive: true,
            epsv: true,
            active_source_port: None,
            peer_check: true,
            foreign: false,
            connect_timeout: second,
            timeout: second,
        },
        files: FilePolicy::default(),
        denied_commands: Vec::new(),
        greeting: Greeting {
            hide_host: false,
            hide_version: false,
            host_name: "localhost".into(),
            banner: None,
            motd: None,
            dirmessage: None,
        },
        tls: None,
        config_dir: dir.into(),
        control_socket: None,
        sandbox: true,
    }
}

fn log_in(authenticator: &Authenticator, user: &str, password: &str) -> Result<Account, Refusal> {
    let password = Password::new(password.as_bytes().to_vec());
    let until = Instant::now() + Duration::from_secs(120);
    let attempt = Attempt { user: user.as_bytes(), peer: Ipv4Addr::LOCALHOST.into(), host: None, until };
    authenticator.log_in(&attempt, &password)
}

fn is_denied(result: &Result<Account, Refusal>) -> bool {
    matches!(result, Err(Refusal::Denied { .. }))
}

#[cfg(target_os = "linux")]
#[test]
fn an_account_of_the_user_file_logs_in_with_its_password_alone() {
    let mut setup = Setup::new();
    let home = setup.scratch.path().display().to_string();
    setup.config.login.user_file = Some(setup.write("users", &format!("anne:{SHA512}:{home}/./in\n")));
    let authenticator = setup.authenticator();
    let anne = log_in(&authenticator, "anne", "secret").unwrap();
    assert_eq!((anne.name.as_str(), anne.kind, anne.confined), ("anne", AccountKind::Real, true));
    assert_eq!((anne.root, anne.start), (setup.scratch.path().to_owned(), b"/in".to_vec()));
    assert_eq!(anne.identity.is_some(), is_root());
    for wrong in ["Secret", "", "secret\0", "secret\0junk", SHA512, &"x".repeat(4000)] {
        assert!(is_denied(&log_in(&authenticator, "anne", wrong)), "{wrong:?}");
    }
    setup.write("ftpusers", "anne\n");
    assert!(is_denied(&log_in(&authenticator, "anne", "secret")));
}

#[cfg(target_os = "linux")]
#[test]
fn root_strangers_and_strange_names_are_denied_alike() {
    let authenticator_of = Setup::new();
    let authenticator = authenticator_of.authenticator();
    for user in ["root", "no-such-account", "joe\"", "joe\nroot", "", "-x", &"x".repeat(5000)] {
        assert!(is_denied(&log_in(&authenticator, user, "secret")), "{user:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn files_that_cannot_be_understood_refuse_everybody() {
    let mut setup = Setup::new();
    let users = setup.write("users", &format!("anne:{SHA512}:/\n"));
    setup.config.login.user_file = Some(users.clone());
    let authenticator = setup.authenticator();
    let is_unavailable =
        |user| matches!(log_in(&authenticator, user, "secret"), Err(Refusal::Unavailable { .. }));
    setup.write("ftpusers", "joe\0\n");
    assert!(is_unavailable("anne") && is_unavailable("ftp"));
    setup.write("ftpusers", "");
    assert!(!is_unavailable("anne") && !is_unavailable("ftp"));
    fs::set_permissions(&users, Permissions::from_mode(0o644)).unwrap();
    assert!(is_unavailable("anne") && !is_unavailable("ftp"));
}

#[test]
fn only_anonymous_needs_no_helper() {
    let mut setup = Setup::new();
    setup.config.login.anonymous_only = true;
    let authenticator = setup.authenticator();
    assert!(authenticator.is_anonymous(b"FTP") && !authenticator.is_anonymous(b"anne"));
    assert!(log_in(&authenticator, "anonymous", "").is_ok());
    assert!(is_denied(&log_in(&authenticator, "anne", "secret")));
}

#[cfg(target_os = "linux")]
#[test]
fn without_an_anonymous_login_ftp_is_a_name_like_others() {
    let mut setup = Setup::new();
    setup.config.login.anonymous = None;
    let authenticator = setup.authenticator();
    assert!(!authenticator.is_anonymous(b"ftp"));
    assert!(is_denied(&log_in(&authenticator, "anonymous", "joe@example.org")));
}

#[test]
fn a_pam_service_is_a_file_in_its_directory() {
    assert!(pam_service("../shadow").is_err());
    assert!(pam_service("").is_err());
    assert!(pam_service(".").is_err());
    // Without a file, libpam is left to find its own `other`.
    let fallback = if Path::new("/etc/pam.d/ftp").exists() { c"ftp" } else { c"no-such-service" };
    assert_eq!(pam_service("no-such-service").unwrap().as_c_str(), fallback);
}

#[test]
fn relative_paths_keep_what_splits_them() {
    let here = env::current_dir().unwrap();
    assert_eq!(absolute(Path::new("a/./b")).unwrap().as_os_str(), here.join("a/./b").as_os_str());
    assert_eq!(absolute(Path::new("/a/./b")).unwrap().as_os_str(), "/a/./b");
    assert!(absolute(Path::new("")).is_err());
}

#[test]
fn all_sessions_share_one_authenticator() {
    fn shared<T: Send + Sync>() {}
    shared::<Authenticator>();
}
