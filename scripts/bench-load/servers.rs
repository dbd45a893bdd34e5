//! The servers that are compared: how each is configured and started, one at a
//! time, and stopped.
//!
//! The others get every advantage: no logs, no name look-ups, no limits, none
//! of the sandboxes that cost a session time.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use rustix::thread::CpuSet;

use crate::accounting::Group;
use crate::client::Client;
use crate::lab::Lab;

const START: Duration = Duration::from_secs(10);
const STOP: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// As it is started here: root's when this is.
    Ferryd,
    /// ferryd started by `nobody`: no session changes its identity.
    FerrydUser,
    Vsftpd,
    Proftpd,
    PureFtpd,
    /// The bare loop.
    Bare,
}

impl Contender {
    pub(crate) const ALL: [Contender; 6] = [
        Contender::Ferryd,
        Contender::FerrydUser,
        Contender::Vsftpd,
        Contender::Proftpd,
        Contender::PureFtpd,
        Contender::Bare,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Contender::Ferryd => "ferryd",
            Contender::FerrydUser => "ferryd-user",
            Contender::Vsftpd => "vsftpd",
            Contender::Proftpd => "proftpd",
            Contender::PureFtpd => "pure-ftpd",
            Contender::Bare => "bare",
        }
    }

    pub(crate) fn is_peer(self) -> bool {
        matches!(self, Contender::Vsftpd | Contender::Proftpd | Contender::PureFtpd)
    }

    /// Whether it is measured when nobody chose.
    pub(crate) fn is_default(self, lab: &Lab) -> bool {
        match self {
            Contender::Ferryd | Contender::Bare => true,
            Contender::FerrydUser => false,
            peer => peer.program(lab).is_ok(),
        }
    }

    fn program(self, lab: &Lab) -> io::Result<PathBuf> {
        let unpacked = |path| Some(lab.peers.as_ref()?.join(path));
        let program = match self {
            Contender::Ferryd | Contender::FerrydUser => Some(
                std::env::var_os("FERRYD").map_or_else(|| env!("CARGO_BIN_EXE_ferryd").into(), PathBuf::from),
            ),
            Contender::Vsftpd => unpacked("vsftpd/usr/sbin/vsftpd"),
            Contender::Proftpd => unpacked("proftpd-core/usr/sbin/proftpd"),
            Contender::PureFtpd => unpacked("pure-ftpd/usr/sbin/pure-ftpd"),
            Contender::Bare => Some(std::env::current_exe()?),
        };
        program
            .filter(|program| program.exists())
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{} is not here", self.name())))
    }

    /// The program and its arguments, with its configuration written.
    fn command_line(self, lab: &Lab, port: u16, setting: Setting) -> io::Result<Vec<String>> {
        let Setting { logins, tls, .. } = setting;
        let certificate = lab.certificate();
        let program = self.program(lab)?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let root = text(&lab.root());
        let mut line = vec![text(&program)];
        let mut add = |words: &str| line.extend(words.split_whitespace().map(str::to_owned));
        match self {
            Contender::Ferryd | Contender::FerrydUser => {
                add(&format!(
                    "-F -P {port} -a 127.0.0.1 -m -t 3600 --max-clients 3000 --max-per-ip 0 --max-before-login-per-ip 0 --login-delay 0"
                ));
                match logins {
                    Logins::Anonymous => add(&format!("-A --anonymous-root {root}")),
                    Logins::Pam => add("--no-anonymous --auth pam"),
                    Logins::Shadow => add("--no-anonymous --auth shadow"),
                }
                if tls {
                    add(&format!("--tls=allow --tls-cert {}", text(&certificate)));
                }
            }
            Contender::Vsftpd if logins == Logins::Shadow => {
                return Err(io::Error::other("has PAM alone"));
            }
            Contender::Vsftpd => {
                let file = lab.path("conf/vsftpd.conf");
                fs::write(&file, vsftpd_conf(lab, port, tls))?;
                add(&text(&file));
            }
            Contender::Proftpd => {
                let file = lab.path("conf/proftpd.conf");
                fs::write(&file, proftpd_conf(lab, port, setting))?;
                add(&format!("-n -q -c {}", text(&file)));
            }
            Contender::PureFtpd => {
                let pid_file = text(&lab.path("conf/pure-ftpd.pid"));
                add(&format!("-S 127.0.0.1,{port} -4 -H -M -c 3000 -C 3000 -I 60 -L 1000000:20"));
                add(&format!("-U 022:022 -f none -g {pid_file}"));
                add(if logins == Logins::Pam { "-l pam" } else { "-l unix" });
                if tls {
                    add(&format!("-Y 1 -2 {}", text(&certificate)));
                }
            }
            Contender::Bare => add(&format!("--serve-bare {port} {root} {}", text(&certificate))),
        }
        Ok(line)
    }

    /// Folders with the libraries unpacked beside it.
    fn libraries(self, lab: &Lab) -> String {
        let Some(root) = self.program(lab).ok().filter(|_| self.is_peer()) else { return String::new() };
        let root = root.ancestors().nth(3).unwrap_or(Path::new("/")).to_owned();
        let inside = |dir: &str| fs::read_dir(root.join(dir)).into_iter().flatten().flatten();
        let folders: Vec<_> = inside("usr/lib")
            .chain(inside("lib"))
            .filter(|entry| entry.file_name().to_string_lossy().contains("-linux-"))
            .map(|entry| entry.path().to_string_lossy().into_owned())
            .collect();
        folders.join(":")
    }
}

/// Who logs in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logins {
    Anonymous,
    /// The throw-away account, its password checked by PAM: as Debian
    /// configures all the others.
    Pam,
    /// The same, checked against /etc/shadow by the server itself.
    Shadow,
}

/// What a workload asks of the servers.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) logins: Logins,
    /// The server gets a processor of its own, and the client another. With one
    /// connection, rates otherwise differ twofold by where the scheduler puts
    /// the two.
    pub(crate) apart: bool,
    /// TLS for whoever asks for it.
    pub(crate) tls: bool,
}

/// Lets this thread, and what it starts from now on, run on these of the
/// processors: the first, the others, or all. Without effect where there is
/// only one.
fn run_on(choose: impl FnOnce(&[usize]) -> &[usize]) -> io::Result<()> {
    static ALL: OnceLock<Vec<usize>> = OnceLock::new();
    let now = rustix::thread::sched_getaffinity(None)?;
    let all = ALL.get_or_init(|| (0..CpuSet::MAX_CPU).filter(|&cpu| now.is_set(cpu)).collect());
    let mut set = CpuSet::new();
    let chosen = if all.len() > 1 { choose(all) } else { all };
    chosen.iter().for_each(|&cpu| set.set(cpu));
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

/// A server that runs, in a control group of its own. Stopped on drop.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) group: Group,
    /// Processes of the server when nobody is connected.
    processes: usize,
    child: Child,
    /// Tells scripts/bench what to kill if we cannot.
    mark: PathBuf,
}

impl Server {
    pub(crate) fn start(contender: Contender, lab: &Lab, setting: Setting) -> io::Result<Server> {
        let address = free_address()?;
        let line = contender.command_line(lab, address.port(), setting)?;
        let log_file = lab.path(&format!("logs/{}", contender.name()));
        let log = File::create(&log_file)?;
        let group = Group::new(&lab.tag);
        let as_user = match contender {
            Contender::FerrydUser if lab.is_root => "setpriv --reuid nobody --clear-groups",
            _ => "",
        };
        run_on(|all| if setting.apart { &all[..1] } else { all })?;
        let child = Command::new("/bin/sh")
            .arg("-c")
            .arg(format!("for file in $ENTRANCES; do echo $$ >\"$file\"; done; exec {as_user} \"$@\""))
            .arg("sh")
            .args(line)
            .env("ENTRANCES", group.entrances())
            .env("LD_LIBRARY_PATH", contender.libraries(lab))
            .env("FTP_ANON_DIR", lab.root())
            // vsftpd takes it for the client, and tells it what is wrong.
            .stdin(log.try_clone()?)
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn();
        run_on(|all| if setting.apart { &all[1..] } else { all })?;
        let child = child?;
        let mark = lab.path(&format!("groups/{}", child.id()));
        let mut server = Server { address, group, processes: 0, child, mark };
        server.group.leader = server.child.id();
        File::create(&server.mark)?;
        server.wait_until_ready().map_err(|error| {
            let said = fs::read_to_string(&log_file).unwrap_or_default();
            let last = said.trim_end().lines().last().unwrap_or("nothing").to_owned();
            io::Error::other(format!("does not start: {error}; it said: {last}"))
        })?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + START;
        loop {
            match Client::connect(self.address) {
                Ok(client) => break client.quit()?,
                Err(error) if Instant::now() > deadline || self.child.try_wait()?.is_some() => {
                    return Err(error);
                }
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
        // Until the process of the session just ended has gone.
        thread::sleep(Duration::from_millis(50));
        self.processes = self.group.processes().len();
        Ok(())
    }

    /// Waits, for a second at most, until the processes of ended sessions are gone.
    pub(crate) fn settle(&self) {
        for _ in 0..200 {
            if self.group.processes().len() <= self.processes {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, Signal::TERM);
            let deadline = Instant::now() + STOP;
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
        for _ in 0..500 {
            let left = self.group.processes();
            // Waited for, a leader's number may be another's by now: without a
            // control group its family was found by that number alone.
            if left.is_empty() || self.group.entrances().is_empty() {
                break;
            }
            for pid in left.into_iter().filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
            let _ = self.child.try_wait();
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.mark);
    }
}

/// A port nobody has, below those that clients leave from.
fn free_address() -> io::Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(21_100);
    for _ in 0..1000 {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, NEXT.fetch_add(1, Ordering::Relaxed)));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

fn vsftpd_conf(lab: &Lab, port: u16, tls: bool) -> String {
    let tls = if tls {
        format!(
            "ssl_enable=YES\nallow_anon_ssl=YES\nforce_local_logins_ssl=NO\nforce_local_data_ssl=NO\n\
             ssl_ciphers=HIGH\nrsa_cert_file={0}\nrsa_private_key_file={0}\n",
            lab.certificate().display(),
        )
    } else {
        String::new()
    };
    format!(
        "listen=YES\nlisten_address=127.0.0.1\nlisten_port={port}\nbackground=NO\n\
         anonymous_enable=YES\nlocal_enable=YES\nwrite_enable=YES\nanon_upload_enable=YES\n\
         anon_mkdir_write_enable=YES\nanon_other_write_enable=YES\nanon_umask=022\nlocal_umask=022\n\
         anon_root={root}\nftp_username=ftp\nnopriv_user=nobody\nsecure_chroot_dir={empty}\n\
         pam_service_name=vsftpd\nsession_support=NO\nascii_download_enable=YES\nascii_upload_enable=YES\n\
         xferlog_enable=NO\nconnect_from_port_20=NO\nmax_clients=0\nmax_per_ip=0\nidle_session_timeout=3600\n\
         isolate=NO\nisolate_network=NO\nseccomp_sandbox=NO\n{tls}",
        root = lab.root().display(),
        empty = lab.path("empty").display(),
    )
}

fn proftpd_conf(lab: &Lab, port: u16, setting: Setting) -> String {
    let modules = lab.peers.as_deref().unwrap_or(Path::new("/")).join("proftpd-mod-crypto/usr/lib/proftpd");
    let tls = if setting.tls {
        format!(
            "ModulePath {}\nLoadModule mod_tls.c\nTLSEngine on\nTLSRequired off\nTLSLog none\n\
             TLSProtocol TLSv1.2 TLSv1.3\nTLSECCertificateFile {1}\nTLSECCertificateKeyFile {1}\n",
            modules.display(),
            lab.certificate().display(),
        )
    } else {
        String::new()
    };
    let (pam, order) = match setting.logins {
        Logins::Pam => ("on", "mod_auth_pam.c* mod_auth_unix.c"),
        Logins::Anonymous | Logins::Shadow => ("off", "mod_auth_unix.c"),
    };
    format!(
        "{tls}ServerName bench\nServerType standalone\nDefaultServer on\nPort {port}\nDefaultAddress 127.0.0.1\n\
         SocketBindTight on\nUseIPv6 off\nUseReverseDNS off\nUser nobody\nGroup nogroup\nUmask 022\n\
         MaxInstances none\nTCPBacklog 255\nTimeoutIdle 3600\nTimeoutLogin 300\nAllowOverwrite on\n\
         AuthPAM {pam}\nAuthOrder {order}\nRequireValidShell off\n\
         PidFile {conf}/proftpd.pid\nScoreboardFile none\nDelayTable none\nControlsEngine off\n\
         SystemLog none\nTransferLog none\nWtmpLog off\n\
         <Anonymous {root}>\n User ftp\n Group nogroup\n UserAlias anonymous ftp\n RequireValidShell off\n\
         </Anonymous>\n",
        root = lab.root().display(),
        conf = lab.path("conf").display(),
    )
}
