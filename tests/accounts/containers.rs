//! Root in a container: with the capabilities that Docker leaves it, and a seccomp filter that
//! answers EPERM to what it forbids and to whatever is newer than it. Everything works.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::thread;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use crate::client::Client;
use crate::ground::{Ground, ONE, TWO, TestAccount, log_in, ownership, write};
use crate::server::{Folder, Server};

/// What Docker leaves by default.
const CAPABILITIES: &str = "-all,+chown,+dac_override,+fsetid,+fowner,+mknod,+net_raw,+setgid,+setuid,\
    +setfcap,+setpcap,+net_bind_service,+sys_chroot,+kill,+audit_write";

/// Those of the calls that Docker's filter forbids without CAP_SYS_ADMIN which a server might make,
/// and calls that came after Linux 4.5.
const FORBIDDEN: [i64; 24] = [
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_renameat2,
    libc::SYS_getrandom,
    libc::SYS_copy_file_range,
    libc::SYS_statx,
    libc::SYS_openat2,
    libc::SYS_faccessat2,
    libc::SYS_fchmodat2,
    libc::SYS_close_range,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_epoll_pwait2,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_restrict_self,
];

fn filter(action: SeccompAction, calls: &[i64]) -> BpfProgram {
    let architecture = std::env::consts::ARCH.try_into().expect("seccompiler knows it");
    let rules: BTreeMap<i64, _> = calls.iter().map(|&call| (call, Vec::new())).collect();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, architecture);
    filter.and_then(BpfProgram::try_from).expect("a filter")
}

/// A server in the container.
pub(crate) fn start(ground: &Ground, more: &[&str]) -> Server {
    let args = ground.arguments(more);
    // What a thread forbids itself is forbidden to the programs that it starts.
    let thread = thread::spawn(move || {
        // The C library goes on without clone3 only where it is not there.
        let calls = [
            filter(SeccompAction::Errno(libc::ENOSYS as u32), &[libc::SYS_clone3]),
            filter(SeccompAction::Errno(libc::EPERM as u32), &FORBIDDEN),
        ];
        calls.iter().for_each(|program| seccompiler::apply_filter(program).expect("a filter"));
        let mut launcher = Command::new("setpriv");
        launcher.args(["--bounding-set", CAPABILITIES]);
        Server::start_by(launcher, Folder::new(), &args)
    });
    thread.join().expect("the server starts")
}

/// Stores, lists, renames and removes in `folder`, as `account`, with the umask 027.
#[track_caller]
fn expect_all_to_work(client: &mut Client, account: TestAccount, folder: &str, path: &str) {
    client.send(format!("CWD {folder}")).expect(250);
    client.send("TYPE I").expect(200);
    client.stor("file", "content");
    client.upload("APPE file", "!");
    client.upload("STOU", "x");
    client.send("MKD sub").expect(257);
    assert_eq!(client.retr("file"), b"content!");
    assert_eq!(ownership(&format!("{path}/file")), (account.uid(), account.gid(), 0o640));
    assert_eq!(ownership(&format!("{path}/sub")), (account.uid(), account.gid(), 0o750));
    assert_eq!(client.list("file")[0].name, "file");
    let perm = client.mlst("file");
    let perm = perm.get("perm");
    assert!("rwadf".chars().all(|right| perm.contains(right)), "{perm}");
    client.send("RNFR file").expect(350);
    client.send("RNTO sub/renamed").expect(250);
    client.send("SITE CHMOD 600 sub/renamed").expect(200);
    assert_eq!(ownership(&format!("{path}/sub/renamed")).2, 0o600);
    client.send("MFMT 20200102030405 sub/renamed").expect(213);
    client.send("CWD sub/..").expect(250);
    client.send("DELE sub/renamed").expect(250);
    client.send("RMD sub").expect(250);
}

#[test]
fn accounts_have_their_own_rights_and_no_others() {
    let Some(ground) = Ground::new() else { return };
    for method in ["pam", "shadow"] {
        let server = start(&ground, &["--auth", method, "-u", "027"]);
        for account in [ONE, TWO] {
            let folder = ground.folder_of(account, 0o755);
            expect_all_to_work(&mut log_in(&server, account), account, &folder, &folder);
        }
        let folder = ground.folder_of(ONE, 0o755);
        let private = write(&folder, "private", "x", ONE, 0o600);
        let public = write(&folder, "public", "x", ONE, 0o644);
        let mut other = log_in(&server, TWO);
        other.refused(format!("RETR {private}"), &[550]);
        other.refused("RETR /etc/shadow", &[550]);
        other.refused(format!("STOR {folder}/new"), &[550, 553]);
        assert_eq!(other.mlst(&private).get("perm"), "");
        assert_eq!(other.mlst(&public).get("perm"), "r");
    }
}

#[test]
fn an_account_may_change_to_another() {
    let Some(ground) = Ground::new() else { return };
    let open = ground.folder_of(ONE, 0o777);
    let server = start(&ground, &["-u", "027"]);
    let mut client = log_in(&server, ONE);
    for account in [TWO, ONE] {
        client.send("REIN").expect(220);
        client.log_in_as(account.name, account.password);
        client.send("TYPE I").expect(200);
        client.stor(format!("{open}/{}", account.name), "x");
        assert_eq!(ownership(&format!("{open}/{}", account.name)).0, account.uid());
    }
}

#[test]
fn a_jail_holds_and_the_log_says_once_what_is_missing() {
    let Some(ground) = Ground::new() else { return };
    let top = ground.folder_of(ONE, 0o755);
    let jail = format!("{top}/jail");
    fs::create_dir(&jail).expect("our own folder");
    crate::ground::give(jail.as_ref(), ONE, 0o755);
    write(&top, "secret", "outside", ONE, 0o644);
    std::os::unix::fs::symlink("../secret", format!("{jail}/link")).expect("our own folder");
    ground.configure("ftpchroot", &format!("{} {jail}\n", ONE.name));
    let server = start(&ground, &["-u", "027"]);
    for _ in 0..2 {
        let mut client = log_in(&server, ONE);
        expect_all_to_work(&mut client, ONE, "/", &jail);
        for outside in ["../secret", "link", "/etc/passwd", "../../../../etc/passwd"] {
            client.refused(format!("RETR {outside}"), &[550]);
        }
        fs::remove_file(
            fs::read_dir(&jail).unwrap().flatten().find(|e| e.file_name() != "link").unwrap().path(),
        )
        .expect("what STOU made");
    }
    let missing = server.log.all().iter().filter(|line| line.contains("landlock is not to be had")).count();
    assert_eq!(missing, 1, "{:?}", server.log.all());
}

#[test]
fn anonymous_clients_are_served() {
    let Some(ground) = Ground::new() else { return };
    let folder = ground.folder_of(ONE, 0o777);
    let server = start(&ground, &["--anonymous-root", &folder, "--anonymous-user", "nobody", "-m"]);
    let mut client = server.connect();
    client.log_in();
    client.send("TYPE I").expect(200);
    client.stor("file", "x");
    assert_eq!(client.retr("file"), b"x");
    client.refused("RETR /etc/passwd", &[550]);
    let nobody = users::get_user_by_name("nobody").expect("every system has it").uid();
    assert_eq!(ownership(&format!("{folder}/file")).0, nobody);
}
