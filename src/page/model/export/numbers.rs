//! The numbers of every stage and every point, with what made them, as JSON and as one long table.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::engine::protocol::{Adapter, BackendKind, BestOfNNumbers, Inside, Origin, Point, Ready, Stage, StageStatus};
use crate::engine::settings::{KNOBS, Settings};
use crate::page::model::build_name::{BUILD, program};
use crate::page::model::run_notes::RunNote;
use crate::page::model::runs::setting_name;
use crate::page::model::state::State;
use klimb_metrics::{FrontierPoint, MetricRow, OptimumPoint, Record, ScalingPoint, Setting, WinRatePoint, records_csv};
use klimb_text::json;

/// What made the numbers: the file's first lines.
fn about(state: &State, date: &str) -> [(&'static str, Option<String>); 6] {
    let ready = state.training.ready.as_ref();
    let backend = ready.map(|it| match it.backend.kind {
        BackendKind::Cpu => "cpu",
        BackendKind::Gpu => "gpu",
    });
    // One that is there and not used has made no number.
    let adapter = ready.filter(|it| it.backend.kind == BackendKind::Gpu).and_then(|it| it.backend.adapter.as_ref());
    let adapter = adapter.map(Adapter::words).filter(|words| !words.is_empty());
    [
        ("program", Some(program())),
        ("build", BUILD.map(str::to_owned)),
        ("date", Some(date.to_owned())),
        ("backend", backend.map(str::to_owned)),
        ("adapter", adapter),
        ("address", Some(format!("?{}", state.training.settings.to_query()))),
    ]
}

/// The file of the numbers, in the order in which it is read.
#[derive(Serialize)]
struct File<'a> {
    program: Option<String>,
    build: Option<String>,
    date: Option<String>,
    backend: Option<String>,
    adapter: Option<String>,
    address: Option<String>,
    seed: u32,
    settings: Settings,
    model: Option<Model>,
    stages: &'a [StageStatus],
    metrics: ByStage<'a, MetricRow>,
    beta_changes: ByStage<'a, (u64, f64)>,
    points: &'a [Point],
    runs: Vec<RunNote>,
    optimum: Optimum<'a>,
    best_of_n: &'a [BestOfNNumbers],
    win_rates: &'a [WinRatePoint],
    scaling: &'a [ScalingPoint],
}

#[derive(Serialize)]
struct Model {
    parameters: usize,
    vocabulary: usize,
    width: usize,
    layers: usize,
}

#[derive(Serialize)]
struct Optimum<'a> {
    origin: Origin,
    points: &'a [OptimumPoint],
}

/// The numbers as JSON. What is not finite is `null`; `date` is ISO 8601.
pub fn json(state: &State, date: &str) -> String {
    let [program, build, date, backend, adapter, address] = about(state, date).map(|(_, value)| value);
    let model = state.training.ready.as_ref().map(|&Ready { parameters, vocabulary, width, layers, .. }| Model {
        parameters,
        vocabulary,
        width,
        layers,
    });
    let file = File {
        program,
        build,
        date,
        backend,
        adapter,
        address,
        seed: state.training.settings.seed,
        settings: state.training.settings,
        model,
        stages: &state.training.stages,
        metrics: ByStage(&state.records.metrics),
        beta_changes: ByStage(&state.records.beta_changes),
        points: &state.results.points,
        runs: state.run_notes(),
        optimum: Optimum { origin: state.results.optimum_origin, points: &state.results.optimum },
        best_of_n: state.records.inside.get(&Stage::BestOfN).and_then(Inside::best_of_n).unwrap_or_default(),
        win_rates: &state.studies.win_rates,
        scaling: &state.studies.scaling,
    };
    json::to_pretty_text(&file) + "\n"
}

/// What there is of each stage, written by its id.
struct ByStage<'a, T>(&'a BTreeMap<Stage, Vec<T>>);

impl<T: Serialize> Serialize for ByStage<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(stage, numbers)| (stage.id(), numbers)))
    }
}

/// The numbers as one long table, a number a line: what is asked of it is a filter and a pivot.
pub fn csv(state: &State, date: &str) -> String {
    let mut records: Vec<Record> = Vec::new();
    for (name, value) in about(state, date) {
        let value = value.unwrap_or_default();
        records.push(Record { record: "about", name: name.into(), value, ..Record::default() });
    }
    for knob in &KNOBS {
        let value = knob.text(&state.training.settings);
        records.push(Record { record: "setting", name: knob.name.into(), value, ..Record::default() });
    }
    for (stage, rows) in state.records.metrics.iter() {
        let of = |step, (name, value): (&String, &f64)| Record {
            record: "metric",
            of: stage.id().into(),
            step: Some(step),
            name: name.clone(),
            value: value.to_string(),
            ..Record::default()
        };
        records.extend(rows.iter().flat_map(|row| row.values.iter().map(move |entry| of(row.step, entry))));
    }
    for point in &state.results.points {
        let p = &point.point;
        let mut values = vec![
            ("setting", p.setting.to_string()),
            ("setting_is", setting_is(p).to_owned()),
            ("seed", p.seed.to_string()),
            ("kl_per_sequence", p.kl_per_sequence.to_string()),
            ("kl_half_width", p.kl_half_width.to_string()),
            ("gold_reward", p.gold_reward.to_string()),
            ("gold_reward_half_width", p.gold_reward_half_width.to_string()),
            ("samples", p.samples.to_string()),
            ("seconds", p.seconds.to_string()),
        ];
        values.extend(p.diversity.map(|diversity| ("diversity", diversity.to_string())));
        let of = |(name, value): (&str, String)| Record {
            record: "point",
            of: p.method.to_string(),
            run: Some(point.run),
            step: Some(p.step),
            name: name.into(),
            value,
        };
        records.extend(values.into_iter().map(of));
    }
    for RunNote { run, method, name, pairs, settings, changed } in state.run_notes() {
        let values = [
            ("name", name.unwrap_or_default()),
            ("pairs", pairs.map_or_else(String::new, String::from)),
            ("address", format!("?{settings}")),
            ("settings_changed", changed.to_string()),
        ];
        records.extend(values.into_iter().map(|(name, value)| Record {
            record: "run",
            of: method.to_string(),
            run: Some(run),
            name: name.into(),
            value,
            ..Record::default()
        }));
    }
    for it in &state.results.optimum {
        let values = [
            ("kl_per_sequence", it.kl_per_sequence),
            ("gold_reward", it.gold_reward),
            ("effective_sample_size", it.effective_sample_size),
        ];
        let of = |(name, value): (&str, f64)| Record {
            record: "optimum",
            of: format!("beta {}", it.beta),
            name: name.into(),
            value: value.to_string(),
            ..Record::default()
        };
        records.extend(values.map(of));
    }
    records_csv(&records)
}

/// What a point's setting is; a label says so itself.
fn setting_is(point: &FrontierPoint) -> &'static str {
    match point.setting {
        Setting::Number(_) => setting_name(point.method, false).unwrap_or_default(),
        Setting::Label(_) => "",
    }
}

#[cfg(test)]
mod tests {
    use klimb_metrics::Method;
    use serde_json::{Value, json};

    use super::*;
    use crate::engine::protocol::{Badge, Event};

    const DATE: &str = "2026-01-02T03:04:05Z";

    fn state() -> State {
        let mut state = State::new(Settings { seed: 7, beta: 0.1, ..Settings::default() });
        state.apply(Event::Metrics(
            Stage::Dpo,
            vec![
                MetricRow::new(1, &[("dpo/loss", 0.5), ("rewards/margins", f64::NAN)]),
                MetricRow::new(2, &[("dpo/loss", 0.1 + 0.2)]),
            ],
        ));
        state.apply(Event::Metrics(Stage::Ppo, vec![MetricRow::new(16, &[("objective/kl", 2.0)])]));
        let point = FrontierPoint {
            method: Method::Dpo,
            setting: Setting::Number(0.1),
            seed: 7,
            step: 2,
            kl_per_sequence: 1.5,
            kl_half_width: 0.1,
            gold_reward: 0.75,
            gold_reward_half_width: 0.01,
            samples: 512,
            seconds: 3.0,
            diversity: Some(0.9),
        };
        state.apply(Event::Point(Point { run: 3, point }));
        state.results.optimum =
            vec![OptimumPoint { beta: 0.1, kl_per_sequence: 4.0, gold_reward: 0.9, effective_sample_size: 300.0 }];
        state
    }

    #[test]
    fn the_json_holds_every_stage_every_point_and_what_made_them() {
        let file: Value = serde_json::from_str(&super::json(&state(), DATE)).expect("it is JSON");
        assert_eq!(
            (&file["seed"], &file["date"], &file["address"]),
            (&json!(7), &json!(DATE), &json!("?seed=7&beta=0.1"))
        );
        assert_eq!(file["program"], json!(program()));
        assert!(file.as_object().unwrap().contains_key("build") && file["settings"]["learning_rate"] == json!(1e-3));
        assert_eq!(file["metrics"]["dpo"][1]["values"]["dpo/loss"].as_f64(), Some(0.1 + 0.2));
        assert_eq!(file["metrics"]["dpo"][0]["values"]["rewards/margins"], Value::Null, "not a number");
        assert_eq!(file["metrics"]["ppo"][0]["step"], json!(16));
        assert_eq!(
            (&file["points"][0]["run"], &file["points"][0]["point"]["kl_per_sequence"]),
            (&json!(3), &json!(1.5))
        );
        assert_eq!(file["optimum"]["points"][0]["gold_reward"], json!(0.9));
        assert_eq!(file["backend"], Value::Null, "no engine yet");
    }

    #[test]
    fn the_adapter_is_told_by_whatever_it_tells_of_itself_where_it_computed() {
        let adapter = |name: &str| Adapter {
            name: name.into(),
            vendor: "apple".into(),
            architecture: "metal-3".into(),
            software: false,
        };
        for (kind, adapter, wanted) in [
            (BackendKind::Gpu, Some(adapter("")), json!("apple, metal-3")),
            (BackendKind::Gpu, Some(adapter("M2")), json!("M2, apple, metal-3")),
            (BackendKind::Gpu, None, Value::Null),
            (BackendKind::Cpu, Some(adapter("M2")), Value::Null),
        ] {
            let backend = Badge { kind, adapter, why: klimb_text::Message::verbatim("it is a test."), remedy: None };
            let (words, mut state) = (Vec::new(), state());
            state.training.ready = Some(Ready { backend, parameters: 1, vocabulary: 1, width: 1, layers: 1, words });
            let file: Value = serde_json::from_str(&super::json(&state, DATE)).expect("it is JSON");
            assert_eq!(file["adapter"], wanted);
            // A cell with commas is quoted.
            let told = csv(&state, DATE);
            let line = told.lines().find(|line| line.starts_with("about,,,,adapter,")).expect("a line");
            let cell = line.trim_start_matches("about,,,,adapter,").trim_matches('"');
            assert_eq!(cell, wanted.as_str().unwrap_or_default());
        }
    }

    #[test]
    fn a_setting_that_is_a_label_is_not_called_a_number() {
        let of = |setting| {
            setting_is(&FrontierPoint { setting, ..crate::page::model::fixtures::point(1, "ppo-gt", 1).point })
        };
        assert_eq!([of(Setting::Number(0.3)), of(Setting::Label("KL target 2.5".into()))], ["β", ""]);
    }

    #[test]
    fn each_run_is_told_with_the_settings_it_had() {
        let state = crate::page::model::fixtures::runs();
        let file: Value = serde_json::from_str(&super::json(&state, DATE)).expect("it is JSON");
        let runs = file["runs"].as_array().expect("a list");
        assert_eq!(runs.len(), 3);
        assert_eq!(
            (&runs[1]["settings"], &runs[1]["pairs"]),
            (&json!("seed=9&beta=0.3&loss=ipo"), &json!("loaded pairs"))
        );
        assert_eq!(runs[2]["name"], json!("Ada’s"));
        let text = csv(&state, DATE);
        for line in [
            "run,dpo,1,,address,?seed=9&beta=0.3",
            "run,dpo,2,,pairs,loaded pairs",
            "run,dpo,3,,name,Ada’s",
            "run,dpo,3,,settings_changed,false",
            "point,dpo,1,10,setting_is,β",
        ] {
            assert!(text.lines().any(|it| it == line), "no line {line} in\n{text}");
        }
    }

    #[test]
    fn the_table_has_a_line_for_every_number() {
        let text = csv(&state(), DATE);
        for line in [
            "about,,,,date,2026-01-02T03:04:05Z",
            "setting,,,,seed,7",
            "setting,,,,beta,0.1",
            "metric,dpo,,1,dpo/loss,0.5",
            "metric,dpo,,1,rewards/margins,NaN",
            "metric,dpo,,2,dpo/loss,0.30000000000000004",
            "metric,ppo,,16,objective/kl,2",
            "point,dpo,3,2,kl_per_sequence,1.5",
            "point,dpo,3,2,diversity,0.9",
            "optimum,beta 0.1,,,gold_reward,0.9",
        ] {
            assert!(text.lines().any(|it| it == line), "no line {line} in\n{text}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("setting,")).count(), KNOBS.len());
        assert!(text.lines().all(|line| line.matches(',').count() >= 5));
    }
}
