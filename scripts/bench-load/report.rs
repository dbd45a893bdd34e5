//! Medians, ratios, tables, and the figures that are to be reached.

use std::fmt::Write;

use crate::servers::Contender;

/// What one line of a table shows.
pub(crate) struct Row {
    pub(crate) label: &'static str,
    pub(crate) better: Better,
    pub(crate) decimals: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// A figure to reach: the number in `row`, or its ratio to another server's.
pub(crate) struct Goal {
    pub(crate) row: usize,
    pub(crate) against: Against,
    pub(crate) want: Want,
}

#[derive(Clone, Copy)]
pub(crate) enum Against {
    /// The number itself.
    Nothing,
    Bare,
    Vsftpd,
    /// Whichever other server is best in the same row.
    BestPeer,
    /// Whichever other server is best in this row.
    BestPeerIn(usize),
}

#[derive(Clone, Copy)]
pub(crate) enum Want {
    AtLeast(f64),
    AtMost(f64),
}

/// All that was measured of one workload.
pub(crate) struct Results {
    pub(crate) title: String,
    pub(crate) rows: &'static [Row],
    pub(crate) goals: &'static [Goal],
    /// For each server, its rounds; for each round, a number a row.
    pub(crate) samples: Vec<(Contender, Vec<Vec<f64>>)>,
}

impl Results {
    /// The table of one workload.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("\n{}\n{:34}", self.title, "");
        for (contender, _) in &self.samples {
            let _ = write!(text, "{:>12}", contender.name());
        }
        text.push('\n');
        for (index, row) in self.rows.iter().enumerate() {
            let _ = write!(text, "  {:32}", row.label);
            for (contender, _) in &self.samples {
                match self.median(*contender, index) {
                    Some(value) => {
                        let _ = write!(text, "{value:>12.*}", row.decimals);
                    }
                    None => {
                        let _ = write!(text, "{:>12}", "-");
                    }
                }
            }
            let _ = writeln!(text, "{}", self.ratios(index));
        }
        text
    }

    /// "x0.97 bare, x1.20 vsftpd": ferryd's number over the bare loop's and the best peer's.
    fn ratios(&self, row: usize) -> String {
        let others = [Some(Contender::Bare), self.best_peer(row)];
        let ratios: Vec<_> = others
            .into_iter()
            .flatten()
            .filter_map(|other| Some(format!("x{:.2} {}", self.ratio(other, row)?, other.name())))
            .collect();
        if ratios.is_empty() { String::new() } else { format!("   {}", ratios.join(", ")) }
    }

    /// A line of the summary for each goal.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        for (index, goal) in self.goals.iter().enumerate() {
            let row = &self.rows[goal.row];
            let title = if index == 0 { self.title.as_str() } else { "" };
            let (over, value) = self.measure(goal);
            let label = format!("{}{over}", row.label);
            let (sign, bound) = match goal.want {
                Want::AtLeast(bound) => (">=", bound),
                Want::AtMost(bound) => ("<=", bound),
            };
            let met = match (value, goal.want) {
                (None, _) => "-",
                (Some(value), Want::AtLeast(bound)) if value >= bound => "met",
                (Some(value), Want::AtMost(bound)) if value <= bound => "met",
                _ => "MISSED",
            };
            let shown = value.map_or("-".to_owned(), |value| format!("{value:.2}"));
            let _ = writeln!(text, "{title:38} {label:44} {shown:>9}  {sign} {bound:<7} {met}");
        }
        text
    }

    fn measure(&self, goal: &Goal) -> (String, Option<f64>) {
        let other = match goal.against {
            Against::Nothing => return (String::new(), self.median(Contender::Ferryd, goal.row)),
            Against::Bare => Some(Contender::Bare),
            Against::Vsftpd => Some(Contender::Vsftpd),
            Against::BestPeer => self.best_peer(goal.row),
            Against::BestPeerIn(row) => self.best_peer(row),
        };
        match other {
            Some(other) => (format!(" / {}", other.name()), self.ratio(other, goal.row)),
            None => (" / best peer".to_owned(), None),
        }
    }

    fn best_peer(&self, row: usize) -> Option<Contender> {
        let peers = self.samples.iter().map(|sample| sample.0).filter(|contender| contender.is_peer());
        let with_number = peers.filter_map(|peer| Some((peer, self.median(peer, row)?)));
        let best = match self.rows[row].better {
            Better::More => with_number.max_by(|a, b| a.1.total_cmp(&b.1)),
            Better::Less => with_number.min_by(|a, b| a.1.total_cmp(&b.1)),
        };
        best.map(|(peer, _)| peer)
    }

    /// ferryd's number over `other`'s. Divided round by round, because what
    /// disturbs the machine disturbs neighbours alike.
    fn ratio(&self, other: Contender, row: usize) -> Option<f64> {
        let (ours, theirs) = (self.rounds(Contender::Ferryd)?, self.rounds(other)?);
        if ours.len() == theirs.len() {
            median(ours.iter().zip(theirs).map(|(ours, theirs)| ours[row] / theirs[row]).collect())
        } else {
            Some(self.median(Contender::Ferryd, row)? / self.median(other, row)?)
        }
    }

    fn median(&self, contender: Contender, row: usize) -> Option<f64> {
        median(self.rounds(contender)?.iter().map(|round| round[row]).collect())
    }

    fn rounds(&self, contender: Contender) -> Option<&[Vec<f64>]> {
        let (_, rounds) = self.samples.iter().find(|sample| sample.0 == contender)?;
        (!rounds.is_empty()).then_some(rounds)
    }
}

/// `None` of nothing, and where a number is none (0/0).
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let median = match values.len() {
        0 => return None,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    };
    (!median.is_nan()).then_some(median)
}

/// The value below which `share` of all lie.
pub(crate) fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len() as f64 * share).ceil() as usize;
    values.get(index.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
