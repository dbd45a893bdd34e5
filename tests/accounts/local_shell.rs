//! A process of an account that is logged in by FTP, on the same machine, can do nothing to the server.

use std::process::Command;

use crate::client::Client;
use crate::ground::{Ground, ONE, TWO, log_in};
use crate::test_support::find_program;

/// Becomes an account and tries everything on every thread of a process; prints what worked.
/// Everything is imported before, for the account may not be able to read the modules.
const ATTACK: &str = r#"
import ctypes, os, resource, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
pid, uid, gid = map(int, sys.argv[1:4])
threads = [int(name) for name in os.listdir(f'/proc/{pid}/task')]
# Its own session, for SIGCONT may be sent to whoever shares one.
os.setsid(); os.setgroups([]); os.setresgid(gid, gid, gid); os.setresuid(uid, uid, uid)

def c(name, *args):
    if libc[name](*args) == -1:
        raise OSError(ctypes.get_errno(), name)

def read(path):
    with open(path, 'rb') as file:
        file.read(1)

TKILL, TGKILL, PIDFD_OPEN, PIDFD_SEND = 200, 234, 434, 424
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
attacks = []
for n in [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGCONT, signal.SIGUSR1, 0]:
    attacks.append((f'kill({int(n)})', lambda t, n=n: os.kill(t, n)))
    if os.uname().machine == 'x86_64':
        attacks.append((f'tkill({int(n)})', lambda t, n=n: c('syscall', TKILL, t, int(n))))
        attacks.append((f'tgkill({int(n)})', lambda t, n=n: c('syscall', TGKILL, pid, t, int(n))))
attacks.append(('pidfd', lambda t: signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL)))
for name in ['NOFILE', 'FSIZE', 'CPU', 'AS', 'CORE', 'STACK']:
    attacks.append((f'prlimit {name}', lambda t, name=name: resource.prlimit(t, getattr(resource, 'RLIMIT_' + name), (1, 1))))
attacks.append(('ptrace attach', lambda t: c('ptrace', ctypes.c_long(PTRACE_ATTACH), ctypes.c_long(t), None, None)))
attacks.append(('ptrace seize', lambda t: c('ptrace', ctypes.c_long(PTRACE_SEIZE), ctypes.c_long(t), None, None)))
for name in ['mem', 'environ', 'maps', 'auxv', 'syscall', 'stack', 'root/etc/passwd', 'cwd/.', 'exe', 'io', 'personality']:
    attacks.append((f'read {name}', lambda t, name=name: read(f'/proc/{pid}/task/{t}/{name}')))
attacks.append(('list fd', lambda t: os.listdir(f'/proc/{pid}/task/{t}/fd')))
attacks.append(('write mem', lambda t: open(f'/proc/{pid}/task/{t}/mem', 'wb')))
attacks.append(('write oom', lambda t: open(f'/proc/{pid}/task/{t}/oom_score_adj', 'wb').write(b'1000')))
attacks.append(('write comm', lambda t: open(f'/proc/{pid}/task/{t}/comm', 'wb').write(b'x')))
for name, attack in attacks:
    for thread in threads:
        try:
            attack(thread)
        except (OSError, ValueError):
            continue
        print(f'{name} on {"the main thread" if thread == pid else "a thread"}')
print('tried', len(attacks), 'on', len(threads))
"#;

#[test]
fn it_cannot_signal_trace_limit_or_look_into_any_thread() {
    let (Some(ground), Some(python)) = (Ground::new(), find_program("python3")) else { return };
    let server = ground.start(&[]);
    let mut clients: Vec<Client> =
        [ONE, ONE, TWO].into_iter().map(|account| log_in(&server, account)).collect();
    let mut waiting = server.connect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(format!("MDTM /etc/passwd?{n}")).expect(550);
    }
    let ids = [server.pid(), ONE.uid(), ONE.gid()].map(|id| id.to_string());
    let output = Command::new(python).arg("-c").arg(ATTACK).args(&ids).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    let mut lines = told.lines().rev();
    let last = lines.next().expect("it sums up");
    let threads: usize = last.rsplit(' ').next().expect("a number").parse().expect("a number");
    assert!(threads >= 4, "the main thread and three sessions: {last}");
    assert_eq!(lines.collect::<Vec<_>>(), Vec::<&str>::new(), "these were allowed");
    // Everybody is still there.
    waiting.send("NOOP").expect_any(&[200, 530]);
    for client in &mut clients {
        client.names("/etc/passwd");
    }
}

#[test]
fn it_cannot_do_so_while_an_account_logs_in_or_out() {
    let (Some(ground), Some(python)) = (Ground::new(), find_program("python3")) else { return };
    let server = ground.start(&[]);
    let ids = [server.pid(), ONE.uid(), ONE.gid()].map(|id| id.to_string());
    // Threads that become the account, and end, at every moment of the attack.
    for _ in 0..3 {
        let attack = Command::new(&python)
            .arg("-c")
            .arg(ATTACK)
            .args(&ids)
            .stdout(std::process::Stdio::piped())
            .spawn();
        let mut attack = attack.expect("it runs");
        while attack.try_wait().expect("our child").is_none() {
            log_in(&server, ONE).send("QUIT").expect(221);
        }
        let output = attack.wait_with_output().expect("our child");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    log_in(&server, TWO);
}
