//! What is said of a file that was taken up: what it held, and what became of it, also where that is nothing.

use super::imported_runs::ImportedRuns;
use super::receipt::Receipt;
use super::run_notes;
use crate::engine::protocol::{Loaded, Stage};
use crate::engine::settings::Settings;
use klimb_text::words::say;

/// Of exported numbers; `before` is what a file of the same name held.
pub fn numbers(imported: &ImportedRuns, before: Option<&ImportedRuns>) -> String {
    let (file, runs, points) = (&imported.file, imported.trails.len(), imported.points().count());
    let settings = settings(&imported.settings);
    match before {
        Some(before) if before == imported => say!("“{}” changes nothing: its runs are in the chart already.", file),
        Some(_) => say!(
            "“{}” is taken in, in the place of the earlier file of that name: exported numbers (runs: {}; points: {}; settings: {}). Its runs stand in the chart.",
            file,
            runs,
            points,
            settings
        ),
        None => say!(
            "“{}” is taken in: exported numbers (runs: {}; points: {}; settings: {}). Its runs stand in the chart.",
            file,
            runs,
            points,
            settings
        ),
    }
}

/// Of receipts that are new, beside so many that were shown already.
pub fn receipts(file: &str, new: &[Receipt], known: usize) -> String {
    let runs: usize = new.iter().map(|receipt| receipt.points.len()).sum();
    let mut said = match new {
        [] => return say!("“{}” changes nothing: its receipts are in the chart already.", file),
        [one] => say!(
            "“{}” is taken in: a receipt (runs: {}; settings: {}). Its runs stand in the chart as dots.",
            file,
            runs,
            settings(&one.settings)
        ),
        several => say!(
            "“{}” is taken in: receipts (their number: {}; runs: {}). Their runs stand in the chart as dots.",
            file,
            several.len(),
            runs
        ),
    };
    if known > 0 {
        said += &say!(" Receipts in it that were shown already: {}.", known);
    }
    said
}

/// Of what the engine took up.
pub fn loaded(file: &str, loaded: &Loaded) -> String {
    match loaded {
        Loaded::Model { stage, step, is_same: false } => say!(
            "“{}” is taken in, in the place of the SFT model: {}, step {}. Everything is measured from it now, and training starts over.",
            file,
            model(stage),
            step
        ),
        Loaded::Model { stage, step, is_same: true } => say!(
            "“{}” holds the model that was there already: {}, step {}. Training starts over all the same.",
            file,
            model(stage),
            step
        ),
        Loaded::Pairs { count, is_same: false } => say!(
            "“{}” is taken in: preference pairs ({}). What learns from pairs learns from these now, and starts over.",
            file,
            count
        ),
        Loaded::Pairs { count, is_same: true } => say!(
            "“{}” holds the preference pairs that were there already ({}). What learns from pairs starts over all the same.",
            file,
            count
        ),
    }
}

/// A model as its file names it.
fn model(name: &str) -> &str {
    Stage::ALL
        .into_iter()
        .find(|stage| stage.id() == name || stage.method().is_some_and(|method| method.info().file_name == name))
        .map_or(name, |it| say(it.name()))
}

/// Settings of a file, as far as they are not the default.
fn settings(query: &str) -> String {
    let changed = run_notes::unlike(&Settings::from_query(query).0, &Settings::default());
    if changed.is_empty() { say("as by default").into() } else { changed.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::Event;
    use crate::page::model::export;
    use crate::page::model::fixtures::{point, runs};
    use crate::page::model::state::State;

    #[test]
    fn exported_numbers_are_told_once_as_new_once_as_known_and_once_as_replacing() {
        let read = |state: &State| ImportedRuns::parse("a.json", export::json(state, "").as_bytes()).expect("numbers");
        let mut state = runs();
        let first = read(&state);
        assert_eq!(
            numbers(&first, None),
            "“a.json” is taken in: exported numbers (runs: 3; points: 4; settings: seed 9, loss ipo). Its runs stand in the chart."
        );
        assert_eq!(
            numbers(&first, Some(&read(&state))),
            "“a.json” changes nothing: its runs are in the chart already."
        );
        state.apply(Event::Point(point(3, "dpo", 20)));
        let told = numbers(&read(&state), Some(&first));
        assert!(told.contains("in the place of the earlier file") && told.contains("points: 5"), "{told}");
    }

    #[test]
    fn receipts_are_told_with_their_settings_and_the_known_ones_with_their_number() {
        let receipt = |beta| {
            let mut state = State::new(Settings { beta, ..Settings::default() });
            state.apply(Event::Point(point(1, "dpo", 10)));
            state.receipt()
        };
        let told = "“a.txt” is taken in: a receipt (runs: 1; settings: β 0.1). Its runs stand in the chart as dots.";
        assert_eq!(receipts("a.txt", &[receipt(0.1)], 0), told);
        assert_eq!(receipts("a.txt", &[receipt(0.1)], 2), format!("{told} Receipts in it that were shown already: 2."));
        assert!(receipts("a.txt", &[receipt(0.5)], 0).contains("settings: as by default"));
        assert!(receipts("a.txt", &[receipt(0.5), receipt(0.1)], 0).contains("receipts (their number: 2; runs: 2)"));
        assert!(receipts("a.txt", &[], 3).contains("changes nothing"));
    }

    #[test]
    fn what_the_engine_took_up_is_told_by_the_name_of_its_file_and_once() {
        let mut state = State::new(Settings::default());
        let pairs = |is_same| Event::Loaded(Loaded::Pairs { count: 14, is_same });
        state.apply(pairs(false));
        assert!(state.files.accepted.is_empty(), "nobody has chosen a file: these are the labels of this page");
        state.files.submitted.add(2, vec![(1, "m.safetensors".into()), (2, "p.jsonl".into())], Vec::new());
        state.apply(Event::Acknowledged(1));
        state.apply(Event::Loaded(Loaded::Model { stage: "dpo".into(), step: 120, is_same: false }));
        state.apply(Event::Acknowledged(2));
        state.apply(pairs(true));
        state.apply(pairs(true));
        assert_eq!(
            state.files.accepted,
            [
                "“m.safetensors” is taken in, in the place of the SFT model: DPO, step 120. Everything is measured from it now, and training starts over.",
                "“p.jsonl” holds the preference pairs that were there already (14). What learns from pairs starts over all the same."
            ]
        );
    }
}
