//! Points as runs: which belong together, and what each is called.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::annotator::{PairNames, PairSource};
use super::format;
use crate::engine::protocol::Point;
use klimb_charts::Trail;
use klimb_metrics::{FrontierPoint, KnobSetting, Method, Setting, SettingKind};
use klimb_text::words::{self, decimal};

/// Which run a point belongs to. Models that are no run of training have run 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId {
    /// As in [`Point`].
    pub run: u32,
    /// Its method.
    pub method: Method,
}

impl RunId {
    /// The run of a point.
    pub fn of(point: &Point) -> Self {
        let run = if point.point.method.is_standing() { 0 } else { point.run };
        Self { run, method: point.point.method }
    }

    /// How it is called in ids of the document: `3-dpo`.
    pub fn id(&self) -> String {
        format!("{}-{}", self.run, self.method)
    }

    /// The run whose id this is.
    pub fn named(id: &str) -> Option<Self> {
        let (run, method) = id.split_once('-')?;
        Some(Self { run: run.parse().ok()?, method: Method::of_file_name(method)? })
    }
}

/// What the person made of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunMark {
    /// Whether it is left out of the chart.
    pub hidden: bool,
    /// Its name, where it is not the one by what differs.
    pub name: Option<String>,
}

/// The points as trails: one per run and method, the newest run of each method alive, and the newest of each kind of pairs
/// it was trained on, so that they stand beside each other.
pub fn trails(points: &[Point], names: &PairNames) -> Vec<Trail> {
    runs(points, names).into_iter().map(|(_, trail)| trail).collect()
}

/// The same, with the runs that they are.
pub fn runs(points: &[Point], names: &PairNames) -> Vec<(RunId, Trail)> {
    let mut trails: BTreeMap<RunId, Trail> = BTreeMap::default();
    let mut newest: BTreeMap<(Method, Option<&PairSource>), u32> = BTreeMap::default();
    for point in points {
        let newest = newest.entry((point.point.method, names.of(point))).or_default();
        *newest = (*newest).max(point.run);
    }
    for point in points {
        let method = point.point.method;
        let trail = trails.entry(RunId::of(point)).or_insert_with(|| Trail {
            label: String::new(),
            method,
            live: method.is_standing() || newest.get(&(method, names.of(point))) == Some(&point.run),
            points: Vec::new(),
        });
        if method.is_standing() {
            trail.points.clear();
        }
        trail.label = run_name(point, names);
        trail.points.push(point.point.clone());
    }
    trails.into_iter().collect()
}

/// The runs that are shown, by the names they have.
pub fn shown(points: &[Point], names: &PairNames, marks: &BTreeMap<RunId, RunMark>) -> Vec<(RunId, Trail)> {
    let named = |(id, mut trail): (RunId, Trail)| {
        let mark = marks.get(&id);
        if let Some(name) = mark.and_then(|mark| mark.name.as_ref()) {
            trail.label.clone_from(name);
        }
        (!mark.is_some_and(|mark| mark.hidden)).then_some((id, trail))
    };
    runs(points, names).into_iter().filter_map(named).collect()
}

/// What a run is called beside its trail: method, setting and, where they were not generated, its pairs.
pub fn run_name(point: &Point, names: &PairNames) -> String {
    let method = point.point.method.label();
    let name = match (&point.point.setting, point.point.method.info().setting) {
        (Setting::Number(_) | Setting::Label(_), SettingKind::None) => method.to_owned(),
        (Setting::Number(n), SettingKind::Count) => format!("{method}, N {n}"),
        (Setting::Number(number), SettingKind::Knob(KnobSetting { symbol, .. })) => {
            format!("{method}, {symbol} {}", format::beta(*number))
        }
        (Setting::Label(label), SettingKind::Knob(_) | SettingKind::Count) => format!("{method}, {}", said(label)),
    };
    told_apart(name, point, names)
}

/// The method of a run as the table calls it: its setting has a column of its own.
pub fn table_name(point: &Point, names: &PairNames) -> String {
    told_apart(point.point.method.label().to_owned(), point, names)
}

/// A name with what tells its run from others of the method: settings, and pairs that were not generated.
fn told_apart(name: String, point: &Point, names: &PairNames) -> String {
    let pairs = names.of(point).map(PairSource::words);
    [name].into_iter().chain(names.differing(point)).chain(pairs).collect::<Vec<_>>().join(", ")
}

/// A point's setting as people read it, with what it is: a method has a β, an α, an N, or, where it was `recorded`, PPO's KL
/// target.
pub fn setting(point: &FrontierPoint, recorded: bool) -> String {
    match (&point.setting, setting_name(point.method, recorded)) {
        (Setting::Number(value), Some("N")) => format!("N {value}"),
        (Setting::Number(value), Some("KL target")) => say!("KL target {}", decimal(value.to_string())),
        (Setting::Number(value), Some(name)) => format!("{name} {}", format::beta(*value)),
        (Setting::Number(value), None) => format::beta(*value),
        (Setting::Label(label), _) => said(label),
    }
}

/// What runs have in the place of a number, in the page's language: a KL target, or a name.
fn said(label: &str) -> String {
    match label.strip_prefix("KL target ") {
        Some(target) => say!("KL target {}", words::value(target)),
        None => words::value(label),
    }
}

/// What the number is that a method's points have as their setting.
pub fn setting_name(method: Method, recorded: bool) -> Option<&'static str> {
    if recorded && method == Method::Ppo { Some("KL target") } else { method.info().setting.symbol() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::Command;
    use crate::page::model::fixtures::point;

    #[test]
    fn only_the_newest_run_is_alive_and_the_reference_stands_once() {
        let measured = [(1, "sft", 0), (1, "dpo", 10), (1, "dpo", 20), (2, "sft", 0), (2, "dpo", 10)];
        let points = measured.map(|(run, method, step)| point(run, method, step));
        let trails = trails(&points, &PairNames::default());
        let seen: Vec<(&str, bool, usize)> =
            trails.iter().map(|trail| (trail.label.as_str(), trail.live, trail.points.len())).collect();
        assert_eq!(seen, [("SFT", true, 1), ("DPO, β 0.30", false, 2), ("DPO, β 0.30", true, 1)]);
    }

    #[test]
    fn a_new_run_of_one_method_leaves_the_others_alive() {
        let points = [(1, "dpo"), (1, "ppo-gt"), (2, "ppo-gt")].map(|(run, method)| point(run, method, 10));
        let trails = trails(&points, &PairNames::default());
        let seen: Vec<(&str, bool)> = trails.iter().map(|trail| (trail.label.as_str(), trail.live)).collect();
        assert_eq!(seen, [("DPO, β 0.30", true), ("PPO-GT, β 0.30", false), ("PPO-GT, β 0.30", true)]);
    }

    #[test]
    fn a_setting_says_what_it_is() {
        for (method, number, recorded, said) in [
            ("dpo", 0.5, false, "β 0.50"),
            ("ppo", 0.3, false, "β 0.30"),
            ("ppo", 3.0, true, "KL target 3"),
            ("ppo-gt", 0.3, true, "β 0.30"),
            ("unlikelihood", 0.1, true, "α 0.10"),
            ("best_of_n", 16.0, true, "N 16"),
            ("best_of_n_score", 4.0, false, "N 4"),
        ] {
            let mut it = point(1, method, 1).point;
            it.setting = Setting::Number(number);
            assert_eq!(setting(&it, recorded), said, "{method}");
        }
    }

    #[test]
    fn a_run_can_be_hidden_and_renamed_and_is_found_by_its_id() {
        let points = [(1, "dpo"), (2, "dpo"), (2, "ppo-gt")].map(|(run, method)| point(run, method, 10));
        let id = |run, method: &str| RunId { run, method: Method::of_file_name(method).expect("a method") };
        let marks = [
            (id(1, "dpo"), RunMark { hidden: true, name: None }),
            (id(2, "ppo-gt"), RunMark { hidden: false, name: Some("mine".into()) }),
        ]
        .into_iter()
        .collect();
        let seen: Vec<String> =
            shown(&points, &PairNames::default(), &marks).into_iter().map(|(_, trail)| trail.label).collect();
        assert_eq!(seen, ["DPO, β 0.30", "mine"]);
        for (id, _) in runs(&points, &PairNames::default()) {
            assert_eq!(RunId::named(&id.id()), Some(id));
        }
    }

    #[test]
    fn runs_on_a_person_s_labels_stand_beside_those_on_generated_pairs() {
        let mut names = PairNames::default();
        let mut points = vec![point(1, "dpo", 10)];
        let mut take_up = |points: &mut Vec<Point>, id: u32, command, more: &[Point]| {
            names.announce(PairSource::Other(format!("my labels {id}")));
            names.request(id, &command);
            names.acknowledge(id);
            more.iter().for_each(|it| names.record(it));
            points.extend_from_slice(more);
        };
        let mine = || Command::LoadPreferences(Vec::new());
        take_up(&mut points, 1, mine(), &[point(2, "dpo", 10), point(1, "ppo-gt", 10)]);
        take_up(&mut points, 2, mine(), &[point(3, "dpo", 10)]);
        take_up(&mut points, 3, Command::GeneratePreferences, &[point(4, "dpo", 10)]);
        let trails = trails(&points, &names);
        let seen: Vec<(&str, bool)> = trails.iter().map(|trail| (trail.label.as_str(), trail.live)).collect();
        assert_eq!(
            seen,
            [
                ("DPO, β 0.30", false),
                ("PPO-GT, β 0.30", true),
                ("DPO, β 0.30, my labels 1", true),
                ("DPO, β 0.30, my labels 2", true),
                ("DPO, β 0.30", true)
            ]
        );
        assert_eq!(table_name(&points[1], &names), "DPO, my labels 1");
    }
}
