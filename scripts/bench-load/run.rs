//! One run: which workloads, which servers, round after round.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use getopts::Options;
use rustix::process::{Resource, Rlimit};

use crate::accounting::Group;
use crate::bare;
use crate::lab::{Lab, Sizes};
use crate::report::Results;
use crate::servers::{Contender, Logins, Server};
use crate::workloads::{WORKLOADS, Workload};

pub(crate) fn main() -> ExitCode {
    // Cargo adds a word of its own to those of a benchmark.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--serve-bare", port, root, certificate] => serve_bare(port, root, certificate),
        _ => run(&words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_bare(port: &str, root: &str, certificate: &str) -> io::Result<()> {
    bare::serve(Path::new(root), port.parse().map_err(io::Error::other)?, Path::new(certificate))
}

fn run(words: &[String]) -> io::Result<()> {
    let mut options = Options::new();
    options
        .optflag("", "quick", "smaller files, fewer rounds")
        .optopt("", "rounds", "rounds of each workload", "N")
        .optopt("", "servers", "of ferryd, ferryd-user, vsftpd, proftpd, pure-ftpd, bare", "A,B,...")
        .optflag("", "help", "this text");
    let chosen = options.parse(words).map_err(io::Error::other)?;
    if chosen.opt_present("help") {
        let names: Vec<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
        let brief = format!("scripts/bench [options] [workload ...]\n\nWorkloads: {}", names.join(" "));
        println!("{}", options.usage(&brief));
        return Ok(());
    }
    let quick = chosen.opt_present("quick");
    let rounds: Option<usize> = chosen.opt_get("rounds").map_err(io::Error::other)?;
    let workloads = choose_workloads(&chosen.free)?;
    raise_open_files()?;
    let lab = Lab::open(if quick { Sizes::QUICK } else { Sizes::FULL })?;
    let contenders = choose_contenders(&lab, chosen.opt_str("servers").as_deref())?;
    describe(&lab);

    let mut all = Vec::new();
    for workload in workloads {
        if workload.setting.logins != Logins::Anonymous && lab.account.is_none() {
            println!("\n{}: -, there is no account to log in with", (workload.title)(&lab));
            continue;
        }
        let rounds = rounds.unwrap_or(workload.rounds[usize::from(quick)]).clamp(1, 100);
        let results = measure(&lab, workload, &contenders, rounds);
        println!("{}", results.table());
        all.push(results);
    }
    println!("\nGoals (ferryd's median, or the median of its ratio to another)");
    for results in all {
        print!("{}", results.summary());
    }
    Ok(())
}

/// All servers in turn, and again, so that what drifts meets them alike. A
/// server that fails is left out of this workload from then on.
fn measure(lab: &Lab, workload: &'static Workload, contenders: &[Contender], rounds: usize) -> Results {
    let mut samples: Vec<(Contender, Vec<Vec<f64>>)> =
        contenders.iter().map(|&contender| (contender, Vec::new())).collect();
    let mut failed = Vec::new();
    let title = (workload.title)(lab);
    for round in 1..=rounds {
        eprintln!("{title}: round {round} of {rounds}");
        for (contender, taken) in &mut samples {
            if failed.contains(contender) || (*contender == Contender::Bare && !workload.bare) {
                continue;
            }
            let sample = Server::start(*contender, lab, workload.setting)
                .and_then(|server| (workload.run)(lab, &server));
            match sample {
                Ok(sample) => taken.push(sample),
                Err(error) => {
                    println!("{title}: {}: {error}", contender.name());
                    taken.clear();
                    failed.push(*contender);
                }
            }
        }
    }
    Results { title, rows: workload.rows, goals: workload.goals, samples }
}

fn choose_workloads(names: &[String]) -> io::Result<Vec<&'static Workload>> {
    if names.is_empty() {
        return Ok(WORKLOADS.iter().collect());
    }
    let find = |name: &String| {
        let found = WORKLOADS.iter().find(|workload| workload.name == name);
        found.ok_or_else(|| io::Error::other(format!("no workload {name:?}; --help names them")))
    };
    names.iter().map(find).collect()
}

fn choose_contenders(lab: &Lab, names: Option<&str>) -> io::Result<Vec<Contender>> {
    let Some(names) = names else {
        return Ok(Contender::ALL.into_iter().filter(|contender| contender.is_default(lab)).collect());
    };
    let find = |name: &str| {
        let found = Contender::ALL.into_iter().find(|contender| contender.name() == name);
        found.ok_or_else(|| io::Error::other(format!("no server {name:?}; --help names them")))
    };
    names.split(',').map(find).collect()
}

/// Two thousand sessions need as many files, here and in each server.
fn raise_open_files() -> io::Result<()> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    Ok(rustix::process::setrlimit(Resource::Nofile, raised)?)
}

fn describe(lab: &Lab) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!(
        "Linux {}, {processors} processors, {}",
        kernel.trim(),
        if lab.is_root { "as root" } else { "not as root" },
    );
    if !Group::new(&lab.tag).knows_kernel_memory() {
        println!("no control group counts memory here: the kernel's part of it is estimated");
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0);
    if load > 1.0 {
        println!("others use this machine (load {load}): trust processor time more than rates");
    }
}
