//! What was measured once, by the native program, and ships with the page as files: the paper's sweeps, win rates,
//! alignment against size, the comparison of both roads. No browser in here: it is tested natively.

mod read_off;

use serde::Deserialize;

use crate::Trail;
use klimb_metrics::{
    ComparisonCell, CsvError, FrontierPoint, HackingPoint, Method, ScalingPoint, WinRatePoint, parse_comparison_csv,
    parse_frontier_csv, parse_hacking_csv, parse_scaling_csv, parse_win_rate_csv,
};
use klimb_text::Message;
use klimb_text::json;
use klimb_text::words::say;

pub use read_off::{READ_OFF_WIN_RATES, read_off_curves};

/// A recorded experiment: a folder below `www/assets/recorded/`, as the command that made it left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recording {
    /// The paper's runs with its noise-free labels.
    NoiseFree,
    /// The same with labels as noisy as the page's own.
    Noisy,
    /// Win rate against temperature.
    WinRate,
    /// Alignment against size.
    Scaling,
    /// Both roads in numbers.
    Comparison,
    /// A reward model of few pairs, exploited.
    Hacking,
}

impl Recording {
    /// Every recording.
    pub const ALL: [Self; 6] =
        [Self::NoiseFree, Self::Noisy, Self::WinRate, Self::Scaling, Self::Comparison, Self::Hacking];

    /// Its files below `www/assets/recorded/`: the table, and what describes the run.
    pub fn files(self) -> [&'static str; 2] {
        match self {
            Self::NoiseFree => ["paper/frontier.csv", "paper/run.json"],
            Self::Noisy => ["paper-noisy/frontier.csv", "paper-noisy/run.json"],
            Self::WinRate => ["winrate/winrate.csv", "winrate/run.json"],
            Self::Scaling => ["scaling/scaling.csv", "scaling/run.json"],
            Self::Comparison => ["comparison/comparison.csv", "comparison/run.json"],
            Self::Hacking => ["hacking/hacking.csv", "hacking/run.json"],
        }
    }
}

/// What is read of a `run.json`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Run {
    program: String,
    build: String,
    reference: Option<Model>,
    models: Vec<Model>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Model {
    config: Sizes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Sizes {
    width: Option<u64>,
}

/// Which build made a recording, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provenance {
    /// Such as `klimb 0.1.0`.
    pub program: String,
    /// The revision it was built from.
    pub build: String,
    /// Width of the reference, where there is one.
    pub width: Option<u64>,
}

impl Provenance {
    /// What a `run.json` says of it; what it does not say stays empty.
    fn parse(text: &str) -> Self {
        let Run { program, build, reference, models } = json::from_text(text).unwrap_or_default();
        let width = reference.iter().chain(&models).find_map(|model| model.config.width);
        Self { program, build, width }
    }

    /// One clause for a caption.
    pub fn words(&self) -> String {
        let width = self.width.map_or_else(String::new, |width| say!(", reference of width {}", width));
        let build = if self.build.is_empty() { String::new() } else { say!(" (build {})", self.build) };
        let program = if self.program.is_empty() { say("an unknown program") } else { &self.program };
        say!("recorded with {}{}{}", program, build, width)
    }
}

/// One recording's rows with where they are from.
#[derive(Debug, Clone, PartialEq)]
pub struct Table<T> {
    /// In the order of the file.
    pub rows: Vec<T>,
    /// From its `run.json`.
    pub provenance: Provenance,
}

/// Everything recorded that has arrived.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recorded {
    /// The sweep with noise-free labels.
    pub noise_free: Option<Table<FrontierPoint>>,
    /// The sweep with noisy labels.
    pub noisy: Option<Table<FrontierPoint>>,
    /// Win rates over temperature.
    pub win_rates: Option<Table<WinRatePoint>>,
    /// Win rates over size.
    pub scaling: Option<Table<ScalingPoint>>,
    /// Both roads in numbers.
    pub comparison: Option<Table<ComparisonCell>>,
    /// Score and gold reward of an exploited reward model.
    pub hacking: Option<Table<HackingPoint>>,
    /// What could not be read.
    pub troubles: Vec<Message>,
    /// The sweep that is shown as ghosts.
    pub shown: Ghosts,
    /// Whether the paper's own curves are shown.
    pub shows_read_off: bool,
    ghosts: Vec<Trail>,
}

/// Which recorded sweep stands behind the student's own runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ghosts {
    /// With the labels that the page's own pairs have.
    #[default]
    Noisy,
    /// With the paper's labels.
    NoiseFree,
    /// None.
    Hidden,
}

impl Ghosts {
    /// The choice as the page's field has it.
    pub fn named(name: &str) -> Self {
        match name {
            "noise-free" => Self::NoiseFree,
            "none" => Self::Hidden,
            _ => Self::Noisy,
        }
    }
}

impl Recorded {
    /// Takes up a recording's files, or why they could not be had.
    pub fn take(&mut self, recording: Recording, files: Result<[String; 2], Message>) {
        let outcome = files.and_then(|[table, run]| {
            let provenance = Provenance::parse(&run);
            match recording {
                Recording::NoiseFree => keep(&mut self.noise_free, parse_frontier_csv(&table), provenance),
                Recording::Noisy => keep(&mut self.noisy, parse_frontier_csv(&table), provenance),
                Recording::WinRate => keep(&mut self.win_rates, parse_win_rate_csv(&table), provenance),
                Recording::Scaling => keep(&mut self.scaling, parse_scaling_csv(&table), provenance),
                Recording::Comparison => keep(&mut self.comparison, parse_comparison_csv(&table), provenance),
                Recording::Hacking => keep(&mut self.hacking, parse_hacking_csv(&table), provenance),
            }
        });
        if let Err(reason) = outcome {
            self.troubles.push(message!("{}: {}", recording.files()[0], reason));
        }
        self.show(self.shown);
    }

    /// Chooses the sweep behind the student's runs.
    pub fn show(&mut self, shown: Ghosts) {
        self.shown = shown;
        self.ghosts = self.sweep().map_or_else(Vec::new, |table| trails(&table.rows));
    }

    /// The sweep that is shown, if it is there.
    pub fn sweep(&self) -> Option<&Table<FrontierPoint>> {
        match self.shown {
            Ghosts::Noisy => self.noisy.as_ref(),
            Ghosts::NoiseFree => self.noise_free.as_ref(),
            Ghosts::Hidden => None,
        }
    }

    /// Its runs, a trail each.
    pub fn ghosts(&self) -> &[Trail] {
        &self.ghosts
    }

    /// Whether the sweep that is wanted has arrived, or never will.
    pub fn is_settled(&self) -> bool {
        self.shown == Ghosts::Hidden || self.sweep().is_some() || !self.troubles.is_empty()
    }

    /// The paper's curves, if they are wanted.
    pub fn read_off(&self) -> Vec<Trail> {
        if self.shows_read_off { read_off_curves() } else { Vec::new() }
    }

    /// What stands behind the student's runs, in words; `width` is that of her reference.
    pub fn sentence(&self, width: Option<usize>) -> String {
        let Some(Table { rows, provenance }) = self.sweep() else {
            return match self.troubles.first() {
                Some(trouble) if self.shown != Ghosts::Hidden => {
                    say!("The recorded runs could not be read ({}); your own are drawn all the same.", trouble.said())
                }
                _ => String::new(),
            };
        };
        let mut seeds: Vec<u64> = rows.iter().map(|point| point.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        let labels = if self.shown == Ghosts::Noisy {
            say("noisy labels as here")
        } else {
            say("noise-free labels as in the paper")
        };
        let other = match (provenance.width, width) {
            (Some(its), Some(width)) if its != width as u64 => {
                say!(" Your reference has width {}, so its optimum and theirs differ a little.", width)
            }
            _ => String::new(),
        };
        say!(
            "Pale: {} runs of every method with {}, {} seeds, {}.{}",
            self.ghosts.len(),
            labels,
            seeds.len(),
            provenance.words(),
            other
        )
    }
}

fn keep<T>(
    place: &mut Option<Table<T>>,
    rows: Result<Vec<T>, CsvError>,
    provenance: Provenance,
) -> Result<(), Message> {
    *place = Some(Table { rows: rows.map_err(|error| error.message())?, provenance });
    Ok(())
}

/// The points of a sweep as trails: a run each, in the order of training; the N of Best-of-N of a seed together.
fn trails(points: &[FrontierPoint]) -> Vec<Trail> {
    let mut trails: Vec<(String, Trail)> = Vec::new();
    for point in points.iter().filter(|point| point.method != Method::Sft) {
        let setting = if point.method == Method::BestOfN { String::new() } else { point.setting.to_string() };
        let key = format!("{}/{setting}/{}", point.method, point.seed);
        match trails.iter_mut().find(|(its, _)| *its == key) {
            Some((_, trail)) => trail.points.push(point.clone()),
            None => {
                let (label, method) = (point.method.label().to_owned(), point.method);
                trails.push((key, Trail { label, method, live: false, points: vec![point.clone()] }));
            }
        }
    }
    trails.into_iter().map(|(_, trail)| trail).collect()
}

/// What people call a contestant of a win rate, which may have any name: a method by its label.
pub fn contestant_label(name: &str) -> &str {
    Method::of_file_name(name).map_or(name, |method| method.label())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "method,setting,seed,step,kl_per_sequence,kl_half_width,gold_reward,gold_reward_half_width,samples,seconds\n";
    const RUN: &str = r#"{"program":"klimb 0.1.0","build":"abc","reference":{"config":{"width":32}}}"#;

    fn sweep() -> Recorded {
        let rows = "sft,reference,1,0,0,0,0.5,0.01,512,0\ndpo,0.3,1,100,1,0.1,0.7,0.01,512,2\ndpo,0.3,1,200,2,0.1,0.8,0.01,512,4\n\
            dpo,0.3,2,100,1,0.1,0.7,0.01,512,2\nbest_of_n,2,1,0,0.2,0.1,0.6,0.01,512,1\nbest_of_n,4,1,0,0.6,0.1,0.7,0.01,512,1\n";
        let mut recorded = Recorded::default();
        recorded.take(Recording::Noisy, Ok([format!("{HEADER}{rows}"), RUN.into()]));
        recorded
    }

    #[test]
    fn every_run_is_a_trail_and_the_reference_is_none() {
        let recorded = sweep();
        let trails: Vec<(&str, usize)> =
            recorded.ghosts().iter().map(|trail| (trail.label.as_str(), trail.points.len())).collect();
        assert_eq!(trails, [("DPO", 2), ("DPO", 1), ("Best-of-N", 2)]);
        let sentence = recorded.sentence(Some(64));
        assert!(
            sentence.contains("3 runs") && sentence.contains("2 seeds") && sentence.contains("build abc"),
            "{sentence}"
        );
        assert!(sentence.contains("Your reference has width 64"), "{sentence}");
        assert!(!recorded.sentence(Some(32)).contains("Your reference"));
    }

    #[test]
    fn what_is_shown_is_chosen_and_what_is_broken_is_named() {
        let mut recorded = sweep();
        recorded.show(Ghosts::named("none"));
        assert!(recorded.ghosts().is_empty() && recorded.sentence(None).is_empty());
        recorded.take(Recording::NoiseFree, Ok(["method,kl\n".into(), RUN.into()]));
        recorded.show(Ghosts::named("noise-free"));
        assert!(recorded.ghosts().is_empty());
        let sentence = recorded.sentence(None);
        assert!(sentence.contains("paper/frontier.csv: line 1"), "{sentence}");
        recorded.show(Ghosts::named("noisy"));
        assert_eq!(recorded.ghosts().len(), 3);
        assert!(recorded.read_off().is_empty());
        recorded.shows_read_off = true;
        assert!(recorded.read_off().iter().all(|curve| curve.label.contains("paper")));
    }
}
