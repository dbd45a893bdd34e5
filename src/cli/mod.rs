//! The command line. [`parse`] turns argv into [`Options`]: the meaning of the words, with nothing
//! looked up yet. [`resolve`] looks up what they name, and makes a `Config`.

mod mistakes;
mod options;
mod resolve;
mod usage;
pub(crate) mod values;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use getopts::{HasArg, Matches, Occur};

use crate::config::{
    AnonymousPolicy, ClientAuth, DataPolicy, FilePolicy, Limits, Logging, LoginPolicy, PassivePorts,
    ReuseRequired, TlsRequired,
};
use crate::operator::Question;
pub(crate) use options::OPTIONS;
use options::{Effect, OptionSpec};
pub(crate) use resolve::{Problem, resolve};
pub(crate) use usage::{usage, version};

/// A command line asks for one of these.
pub(crate) enum Action {
    Run(Box<Options>),
    /// Print [`usage`].
    Help,
    /// Print [`version`].
    Version,
    /// Ask the running server, over this socket.
    Ask(Option<PathBuf>, Question),
}

/// The options of a command line. Settings that need no look-up have their final form already.
#[derive(Debug)]
pub(crate) struct Options {
    pub daemon: bool,
    pub foreground: bool,
    pub test_config: bool,
    /// `-C`: a user, and maybe the address it comes from.
    pub check_access: Option<String>,
    pub ipv4: bool,
    pub ipv6: bool,
    pub bind: Vec<String>,
    pub port: String,
    pub pid_file: Option<PathBuf>,
    pub config_dir: PathBuf,
    pub control_socket: Option<PathBuf>,
    pub who: bool,
    pub json: bool,
    pub kick: Option<u64>,
    pub sandbox: bool,
    pub logging: Logging,
    pub no_anonymous: bool,
    pub anonymous: AnonymousPolicy,
    /// [`resolve`] decides on `anonymous`.
    pub login: LoginPolicy,
    /// [`resolve`] decides on `passive_ports`, `passive_address` and `connect_timeout`.
    pub data: DataPolicy,
    pub connect_timeout: Option<Duration>,
    pub passive_ports: PassivePorts,
    pub passive_address: Option<String>,
    pub files: FilePolicy,
    /// The places of it are decided later.
    pub limits: Limits,
    pub places: PlaceOptions,
    pub tls: TlsOptions,
    pub hide_host: bool,
    pub hide_version: bool,
    pub banner: Option<PathBuf>,
    pub motd: Option<PathBuf>,
    pub dirmessage: Option<String>,
    pub denied_commands: Vec<&'static str>,
    /// Logged as soon as there is a log.
    pub warnings: Vec<String>,
}

/// The options about places for clients, besides their number in all. The inner `None` is no limit.
#[derive(Debug, Default)]
pub(crate) struct PlaceOptions {
    pub max_per_ip: Option<Option<usize>>,
    pub max_before_login: Option<Option<usize>>,
    pub max_before_login_per_ip: Option<Option<usize>>,
}

/// The options about TLS.
#[derive(Debug, Default)]
pub(crate) struct TlsOptions {
    /// The inner `None` is `off`.
    pub required: Option<Option<TlsRequired>>,
    pub certificates: Vec<PathBuf>,
    pub keys: Vec<PathBuf>,
    pub self_signed: bool,
    pub port: Option<String>,
    pub only_tls13: bool,
    pub reuse: ReuseRequired,
    pub client_ca: Option<PathBuf>,
    pub client_auth: Option<ClientAuth>,
    pub client_login: bool,
    pub allow_ccc: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            daemon: false,
            foreground: false,
            test_config: false,
            check_access: None,
            ipv4: false,
            ipv6: false,
            bind: Vec::new(),
            port: "ftp".to_owned(),
            pid_file: None,
            config_dir: PathBuf::from("/etc"),
            control_socket: None,
            who: false,
            json: false,
            kick: None,
            sandbox: true,
            logging: Logging::default(),
            no_anonymous: false,
            anonymous: AnonymousPolicy::default(),
            login: LoginPolicy::default(),
            data: DataPolicy::default(),
            connect_timeout: None,
            passive_ports: PassivePorts::default(),
            passive_address: None,
            files: FilePolicy::default(),
            limits: Limits::default(),
            places: PlaceOptions::default(),
            tls: TlsOptions::default(),
            hide_host: false,
            hide_version: false,
            banner: None,
            motd: None,
            dirmessage: None,
            denied_commands: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// Reads the words after the program's name. If an option is given twice, the last one counts,
/// unless it may be repeated. The error is a line that names the option.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Action, String> {
    let args: Vec<OsString> = args.into_iter().collect();
    let args = words::with_whole_names(&args)?;
    let matches = getopts().parse(&args).map_err(|fail| mistakes::explain(&fail, &args))?;
    let mut options = Options::default();
    let given = in_order(&matches);
    for (spec, word) in &given {
        match spec.effect {
            Effect::Help => return Ok(Action::Help),
            Effect::Version => return Ok(Action::Version),
            Effect::NotAvailableYet => return Err(format!("{}: not available yet", spec.name())),
            Effect::Set(apply) => {
                if let Some(line) =
                    mistakes::equals_sign(spec, word).or_else(|| mistakes::elsewhere(spec, word))
                {
                    return Err(line);
                }
                apply(&mut options, word).map_err(|reason| format!("{}: {reason}", spec.name()))?;
            }
        }
    }
    options.warnings.extend(mistakes::given_twice(&given));
    match matches.free.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {}
        // The form that people type.
        ["who"] => options.who = true,
        ["kick", id] => options.kick = Some(values::session(id).map_err(|reason| format!("kick: {reason}"))?),
        ref words => return Err(mistakes::stray(words, &args)),
    }
    match (options.who, options.kick) {
        (true, Some(_)) => Err("--who: not with --kick".to_owned()),
        (true, None) => Ok(Action::Ask(options.control_socket, Question::Who { json: options.json })),
        (false, Some(id)) => Ok(Action::Ask(options.control_socket, Question::Kick { id })),
        (false, None) if options.json => Err("--json: only with --who".to_owned()),
        (false, None) => Ok(Action::Run(Box::new(options))),
    }
}

impl OptionSpec {
    /// The name in messages: `-P, --port`.
    pub(crate) fn name(&self) -> String {
        let letters = self.letters.chars().map(|letter| format!("-{letter}, "));
        letters.chain([format!("--{}", self.long)]).collect()
    }
}

fn getopts() -> getopts::Options {
    let mut parser = getopts::Options::new();
    for spec in OPTIONS {
        let takes = match (spec.value, spec.alone) {
            (Some(_), true) => HasArg::Maybe,
            (Some(_), false) => HasArg::Yes,
            (None, _) => HasArg::No,
        };
        let mut add = |letter: &str, long: &str| {
            parser.opt(letter, long, spec.help, spec.value.unwrap_or(""), takes, Occur::Multi);
        };
        let mut letters = spec.letters.chars().map(String::from);
        add(&letters.next().unwrap_or_default(), spec.long);
        letters.for_each(|letter| add(&letter, ""));
    }
    parser
}

/// The options in the order in which they were typed, each with its value or an empty word.
fn in_order(matches: &Matches) -> Vec<(&'static OptionSpec, String)> {
    let mut given: Vec<(usize, &OptionSpec, String)> = Vec::new();
    for spec in OPTIONS {
        let more_letters = spec.letters.chars().skip(1).map(String::from);
        for name in more_letters.chain([spec.long.to_owned()]) {
            match spec.value {
                Some(_) if spec.alone => {
                    let places = matches.opt_positions(&name).into_iter();
                    let mut values = matches.opt_strs_pos(&name).into_iter().peekable();
                    given.extend(places.map(|at| {
                        let word = values.next_if(|(place, _)| *place == at).map(|(_, word)| word);
                        (at, spec, word.unwrap_or_default())
                    }));
                }
                Some(_) => {
                    let values = matches.opt_strs_pos(&name).into_iter();
                    given.extend(values.map(|(at, word)| (at, spec, word)));
                }
                None => {
                    let places = matches.opt_positions(&name).into_iter();
                    given.extend(places.map(|at| (at, spec, String::new())));
                }
            }
        }
    }
    given.sort_by_key(|(at, ..)| *at);
    given.into_iter().map(|(_, spec, word)| (spec, word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::time::Duration;

    fn run(words: &[&str]) -> Options {
        match parse(words.iter().map(OsString::from)) {
            Ok(Action::Run(options)) => *options,
            Ok(_) => panic!("{words:?} does not run"),
            Err(err) => panic!("{words:?}: {err}"),
        }
    }

    #[test]
    fn no_letter_and_no_name_stands_for_two_options() {
        let (mut letters, mut names) = (HashSet::new(), HashSet::new());
        for spec in OPTIONS {
            assert!(names.insert(spec.long), "--{}", spec.long);
            spec.letters.chars().for_each(|letter| assert!(letters.insert(letter), "-{letter}"));
        }
    }

    #[test]
    fn every_letter_of_freebsds_ftpd_is_known() {
        for letter in "468aABdDEhlmMoOpPrRStTuUvW".chars() {
            assert!(OPTIONS.iter().any(|spec| spec.letters.contains(letter)), "-{letter}");
        }
    }

    #[test]
    fn options_are_read_in_all_their_forms() {
        for words in [&["-P", "2121"][..], &["-P2121"], &["--port", "2121"], &["--port=2121"]] {
            assert_eq!(run(words).port, "2121", "{words:?}");
        }
        let options = run(&["-DAll", "-dv", "--debug", "-u", "077", "-a", "::1", "-a127.0.0.1"]);
        assert!(options.daemon && options.login.anonymous_only);
        assert_eq!((options.logging.transfers, options.logging.debug), (2, 3));
        assert_eq!(options.files.umask, 0o077);
        assert_eq!(options.bind, ["::1", "127.0.0.1"]);
    }

    #[test]
    fn the_last_of_two_counts() {
        assert_eq!(run(&["-t", "5", "--timeout=7"]).limits.idle_timeout, Duration::from_secs(7));
    }

    #[test]
    fn help_and_version_win_over_what_follows() {
        assert!(matches!(parse(["--help".into(), "there".into()]), Ok(Action::Help)));
        assert!(matches!(parse(["-?".into()]), Ok(Action::Help)));
        assert!(matches!(parse(["-V".into()]), Ok(Action::Version)));
    }

    #[test]
    fn paths_are_made_absolute_before_the_server_detaches() {
        let root = run(&["--anonymous-root", "."]).anonymous.root.unwrap();
        assert!(root.is_absolute());
    }
}
