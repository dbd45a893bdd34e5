//! The limits on lines of one kind. So many a minute are written of one session, and so many of one
//! host; the others are counted, and one line says how many they were.
//!
//! Every line at the level `Info` or above passes through here, whoever writes it. Files that were
//! moved or changed are the exception: each of them is written down.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use env_logger::Logger;
use log::kv::{Key, Value};
use log::{Level, Log, Metadata, Record};
use parking_lot::Mutex;

use super::{context, story, transfers};
use crate::proto::origin::Origin;

/// How long lines are counted together.
const PERIOD: Duration = Duration::from_secs(60);
/// The lines of one kind in that time that are written: of one session; of one host, for warnings and
/// errors; of one host, for others.
const OF_SESSION: u32 = 10;
const WARNINGS_OF_HOST: u32 = 60;
const OF_HOST: u32 = 300;
/// The most kinds of lines, of all hosts, that are counted apart. Beyond that they are counted together.
const MOST_COUNTS: usize = 16_384;

/// Where the lines go that are written.
static OUT: OnceLock<Logger> = OnceLock::new();

/// The lines of hosts.
static OF_HOSTS: Mutex<Option<Hosts>> = Mutex::new(None);

thread_local! {
    /// The lines of the thread's session, by their kind.
    static OF_THIS_SESSION: RefCell<HashMap<u64, Count>> = RefCell::default();
}

/// The logger of the whole process.
struct Bounded;

/// Has `out` write the lines from now on. False if there is a logger already.
pub(super) fn install(out: Logger) -> bool {
    let level = out.filter();
    if OUT.set(out).is_err() || log::set_logger(&Bounded).is_err() {
        return false;
    }
    log::set_max_level(level);
    true
}

impl Log for Bounded {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        OUT.get().is_some_and(|out| out.enabled(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        let Some(out) = OUT.get().filter(|out| out.matches(record)) else { return };
        if !is_counted(record) || !is_one_too_many(line_of(record)) {
            out.log(record);
        }
    }

    fn flush(&self) {
        OUT.get().into_iter().for_each(Log::flush);
    }
}

fn is_counted(record: &Record<'_>) -> bool {
    record.level() <= Level::Info && ![transfers::TARGET, story::FILES].contains(&record.target())
}

/// Whether a record of another log is left out, such as one of wtmp. Records of one `kind` are counted
/// together. `text` says in this log what was left out.
pub(super) fn leaves_out(kind: &str, host: IpAddr, text: impl Fn() -> String) -> bool {
    let sample = || Sample { level: Level::Info, text: text(), session: None, host: Some(host), event: None };
    is_one_too_many(Line { kind: hash(kind), host: Some(host), most_of_host: WARNINGS_OF_HOST, sample })
}

/// When `tell_left_out` has something to tell.
pub(crate) fn left_out_at() -> Option<Instant> {
    OF_HOSTS.lock().as_ref()?.due
}

/// Tells of the lines that were left out of hosts, once they are not counted any more; at the `end` of
/// the process, of all.
pub(crate) fn tell_left_out(end: bool) {
    let now = Instant::now();
    let over = match &mut *OF_HOSTS.lock() {
        Some(hosts) if end || hosts.due.is_some_and(|due| due <= now) => hosts.take_over(now, end),
        _ => return,
    };
    over.into_iter().for_each(LeftOut::tell);
}

/// The same of the calling thread's session, which is over.
pub(super) fn tell_left_out_of_session() {
    let counts = OF_THIS_SESSION.take();
    counts.into_values().filter_map(Count::left_out).for_each(LeftOut::tell);
}

/// A line that may be one too many.
struct Line<S> {
    kind: u64,
    host: Option<IpAddr>,
    most_of_host: u32,
    sample: S,
}

/// One line of those that are left out.
struct Sample {
    level: Level,
    text: String,
    session: Option<u64>,
    host: Option<IpAddr>,
    event: Option<String>,
}

/// Lines that were left out.
struct LeftOut {
    count: u64,
    first: Sample,
}

fn line_of<'a>(record: &'a Record<'_>) -> Line<impl Fn() -> Sample + 'a> {
    let part = |name: &str| record.key_values().get(Key::from_str(name));
    let own = context::current();
    let named = part("host").and_then(|host| host.to_string().parse().ok());
    let host = named.or(own.as_ref().map(|session| session.host));
    let event = part("event").map(|event| event.to_string());
    let kind = match &event {
        Some(event) => hash(event),
        None => hash(&(record.file(), record.line())),
    };
    let session = part("session").and_then(|session| session.to_u64()).or(own.map(|own| own.number));
    let most_of_host =
        if record.level() <= Level::Warn && host.is_some() { WARNINGS_OF_HOST } else { OF_HOST };
    let sample = move || Sample {
        level: record.level(),
        text: record.args().to_string(),
        session,
        host,
        event: event.clone(),
    };
    Line { kind, host, most_of_host, sample }
}

fn hash(kind: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    kind.hash(&mut hasher);
    hasher.finish()
}

fn is_one_too_many(line: Line<impl Fn() -> Sample>) -> bool {
    let now = Instant::now();
    if context::current().is_some() {
        // A thread that ends counts nothing any more.
        let counted = OF_THIS_SESSION.try_with(|counts| {
            let mut counts = counts.borrow_mut();
            counts.entry(line.kind).or_insert_with(|| Count::new(now)).add(now, OF_SESSION, &line.sample)
        });
        let Counted { is_left_out, over } = counted.unwrap_or_default();
        over.into_iter().for_each(LeftOut::tell);
        if is_left_out {
            return true;
        }
    }
    let key = (line.host.map(Origin::of), line.kind);
    let (is_left_out, over) =
        OF_HOSTS.lock().get_or_insert_default().add(key, now, line.most_of_host, &line.sample);
    over.into_iter().for_each(LeftOut::tell);
    is_left_out
}

/// Lines of one kind.
struct Count {
    since: Instant,
    written: u32,
    left_out: Option<LeftOut>,
}

#[derive(Default)]
struct Counted {
    is_left_out: bool,
    /// Of a time that is over.
    over: Option<LeftOut>,
}

impl Count {
    fn new(now: Instant) -> Count {
        Count { since: now, written: 0, left_out: None }
    }

    /// Counts a line, of which `most` are written.
    fn add(&mut self, now: Instant, most: u32, sample: &impl Fn() -> Sample) -> Counted {
        let mut over = None;
        if self.is_over(now) {
            over = std::mem::replace(self, Count::new(now)).left_out;
        }
        let is_left_out = self.written >= most;
        match &mut self.left_out {
            _ if !is_left_out => self.written += 1,
            Some(left_out) => left_out.count += 1,
            none => *none = Some(LeftOut { count: 1, first: sample() }),
        }
        Counted { is_left_out, over }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= PERIOD
    }

    fn left_out(self) -> Option<LeftOut> {
        self.left_out
    }
}

/// The lines of all hosts, by host and kind.
#[derive(Default)]
struct Hosts {
    counts: HashMap<(Option<Origin>, u64), Count>,
    /// When the first of those that were left out can be told of.
    due: Option<Instant>,
    /// When room was last looked for.
    looked: Option<Instant>,
}

impl Hosts {
    fn add(
        &mut self,
        (host, kind): (Option<Origin>, u64),
        now: Instant,
        most: u32,
        sample: &impl Fn() -> Sample,
    ) -> (bool, Vec<LeftOut>) {
        let (mut key, mut over) = ((host, kind), Vec::new());
        if self.counts.len() >= MOST_COUNTS && !self.counts.contains_key(&key) {
            // Where the room is short it is looked for now and then, and not for each line.
            if self.looked.is_none_or(|looked| now.duration_since(looked) >= PERIOD / 10) {
                self.looked = Some(now);
                over = self.take_over(now, false);
            }
            if self.counts.len() >= MOST_COUNTS {
                key = (None, kind);
            }
        }
        let count = self.counts.entry(key).or_insert_with(|| Count::new(now));
        let counted = count.add(now, most, sample);
        if counted.is_left_out {
            let due = count.since + PERIOD;
            self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
        }
        over.extend(counted.over);
        (counted.is_left_out, over)
    }

    /// Ends the counts whose time is over, or all, and returns what they left out.
    fn take_over(&mut self, now: Instant, all: bool) -> Vec<LeftOut> {
        let over = self.counts.extract_if(|_, count| all || count.is_over(now));
        let over = over.filter_map(|(_, count)| count.left_out()).collect();
        let left = self.counts.values().filter(|count| count.left_out.is_some());
        self.due = left.map(|count| count.since + PERIOD).min();
        over
    }
}

impl LeftOut {
    /// Writes one line in place of those that were left out.
    fn tell(self) {
        let LeftOut { count, first: Sample { level, text, session, host, event } } = self;
        let host = host.map(|host| host.to_string());
        let mut parts: Vec<(&str, Value<'_>)> = vec![("left_out", Value::from(count))];
        parts.extend(event.as_deref().map(|event| ("event", Value::from(event))));
        parts.extend(session.map(|session| ("session", Value::from(session))));
        parts.extend(host.as_deref().map(|host| ("host", Value::from(host))));
        let args = format_args!("... {count} more like this: {text}");
        let mut record = Record::builder();
        record.level(level).target(module_path!()).key_values(&parts);
        OUT.get().into_iter().for_each(|out| out.log(&record.args(args).build()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Sample {
        Sample { level: Level::Warn, text: "x".to_owned(), session: None, host: None, event: None }
    }

    fn origin(number: u32) -> Option<Origin> {
        Some(Origin::of(number.to_be_bytes().into()))
    }

    #[test]
    fn the_first_of_a_minute_are_written_and_the_others_counted() {
        let start = Instant::now();
        let mut count = Count::new(start);
        let left_out = (0..1000).filter(|_| count.add(start, 10, &sample).is_left_out).count();
        assert_eq!(left_out, 990);
        let Counted { is_left_out, over } = count.add(start + PERIOD, 10, &sample);
        assert!(!is_left_out);
        assert_eq!(over.map(|over| over.count), Some(990));
        assert!(count.left_out().is_none());
    }

    #[test]
    fn one_host_does_not_silence_another_and_is_told_of_in_time() {
        let (mut hosts, start) = (Hosts::default(), Instant::now());
        let mut add = |host, kind, after| hosts.add((host, kind), start + after, 2, &sample).0;
        let none = Duration::ZERO;
        assert_eq!([(); 3].map(|()| add(origin(1), 7, none)), [false, false, true]);
        assert!(!add(origin(2), 7, none) && !add(origin(1), 8, none) && !add(None, 7, none));
        assert_eq!(hosts.due, Some(start + PERIOD));
        assert!(hosts.take_over(start + PERIOD / 2, false).is_empty());
        assert_eq!(hosts.take_over(start + PERIOD, false)[0].count, 1);
        assert!(hosts.counts.is_empty() && hosts.due.is_none());
    }

    #[test]
    fn lines_of_hosts_without_number_take_bounded_memory_and_are_bounded_themselves() {
        let (mut hosts, now) = (Hosts::default(), Instant::now());
        let mut add = |number| hosts.add((origin(number), 7), now, 60, &sample).0;
        let written = (0..3 * MOST_COUNTS as u32).filter(|&number| !add(number)).count();
        assert_eq!(written, MOST_COUNTS + 60);
        assert!(hosts.counts.len() <= MOST_COUNTS + 1);
        assert_eq!(hosts.take_over(now, true).iter().map(|over| over.count).sum::<u64>(), 32_708);
    }
}
