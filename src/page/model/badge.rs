//! The line that says what computes, or how far that is on its way.

use super::format;
use super::state::State;
use crate::engine::protocol::{BackendKind, Fetching, Ready};
use klimb_text::words::say;

/// Seconds without a byte after which a line is called slow.
const PATIENCE: u32 = 8;

/// What the badge says; `None` while the page knows nothing that `www/boot.js` would not.
pub fn words(state: &State) -> Option<String> {
    match (&state.training.fetching, &state.training.ready) {
        (Some(fetching), _) => Some(on_its_way(*fetching)),
        (None, Some(ready)) => Some(machine(ready)),
        (None, None) if state.has_not_started() => {
            Some(say("The engine has not started. What the figure shows is recorded.").into())
        }
        (None, None) => None,
    }
}

fn on_its_way(Fetching { received, total, silence }: Fetching) -> String {
    let kilobytes = |bytes: usize| (bytes as f64 / 1000.0).round();
    let far = match total {
        Some(total) => say!("Fetching the models: {} of {} kB.", kilobytes(received), kilobytes(total)),
        None => say!("Fetching the models: {} kB so far.", kilobytes(received)),
    };
    if silence < PATIENCE {
        return far;
    }
    let slow = say!("Nothing new for {} s: the connection may be slow or interrupted. Still waiting.", silence);
    format!("{far} {slow}")
}

fn machine(ready: &Ready) -> String {
    let backend = &ready.backend;
    let adapter = backend.adapter.as_ref().map(|adapter| adapter.words()).filter(|words| !words.is_empty());
    let machine = match (backend.kind, adapter) {
        (BackendKind::Gpu, Some(adapter)) => say!("Runs on the GPU ({})", adapter),
        (BackendKind::Gpu, None) => say("Runs on the GPU").into(),
        (BackendKind::Cpu, _) => say("Runs on the CPU").into(),
    };
    let remedy = backend.remedy.as_ref().map_or_else(String::new, |remedy| format!(" {}", remedy.said()));
    let (parameters, words) = (format::count(ready.parameters), ready.vocabulary);
    say!("{}: {}{} {} parameters, {} words.", machine, backend.why.said(), remedy, parameters, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::{Adapter, Badge, Event, Failure};
    use crate::engine::settings::Settings;

    fn ready(adapter: Option<Adapter>) -> Ready {
        let badge = Badge {
            kind: BackendKind::Gpu,
            adapter,
            why: klimb_text::Message::verbatim("you chose it."),
            remedy: None,
        };
        Ready { backend: badge, parameters: 32384, vocabulary: 90, width: 32, layers: 2, words: Vec::new() }
    }

    fn failure(stopped: bool) -> Event {
        Event::Failure(Failure {
            sentence: klimb_text::Message::verbatim("a"),
            remedy: klimb_text::Message::verbatim("b"),
            field: None,
            stopped,
        })
    }

    #[test]
    fn an_adapter_is_called_by_whatever_it_tells_of_itself() {
        let parts = [["", "Iris"], ["", "intel"], ["", "gen-9"]];
        for which in 0..8 {
            let [name, vendor, architecture] = [0, 1, 2].map(|part| parts[part][(which >> part) & 1].to_owned());
            let told: Vec<String> =
                [&name, &vendor, &architecture].into_iter().filter(|it| !it.is_empty()).cloned().collect();
            let said = machine(&ready(Some(Adapter { name, vendor, architecture, software: false })));
            let expected = if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) };
            assert!(said.starts_with(&format!("Runs on the GPU{expected}: you chose it.")), "{said}");
        }
        let blank = Adapter { name: " ".into(), vendor: String::new(), architecture: String::new(), software: false };
        assert!(machine(&ready(Some(blank))).starts_with("Runs on the GPU: "));
        assert!(machine(&ready(None)).starts_with("Runs on the GPU: "));
    }

    #[test]
    fn models_on_their_way_are_told_with_how_far_they_are() {
        let mut state = State::new(Settings::default());
        assert_eq!(words(&state), None);
        let mut told = |received, total, silence| {
            state.apply(Event::Fetching(Fetching { received, total, silence }));
            words(&state).unwrap()
        };
        assert_eq!(told(119_600, Some(283_278), 0), "Fetching the models: 120 of 283 kB.");
        assert_eq!(told(119_600, None, 7), "Fetching the models: 120 kB so far.");
        let slow = told(0, None, 9);
        assert!(slow.starts_with("Fetching the models: 0 kB so far. Nothing new for 9 s"), "{slow}");
        state.apply(Event::Ready(ready(None)));
        assert!(words(&state).unwrap().starts_with("Runs on the GPU: "));
        // Another engine is on its way, and is refused: the old one stays.
        state.apply(Event::Fetching(Fetching { received: 0, total: None, silence: 0 }));
        assert!(words(&state).unwrap().starts_with("Fetching"));
        state.apply(failure(true));
        assert!(words(&state).unwrap().starts_with("Runs on the GPU: "));
    }

    #[test]
    fn an_engine_that_has_not_started_is_not_said_to_be_starting() {
        let mut state = State::new(Settings::default());
        state.apply(failure(false));
        assert_eq!(words(&state), None, "an address that asks for something odd stops nothing");
        state.apply(failure(true));
        assert_eq!(words(&state).unwrap(), "The engine has not started. What the figure shows is recorded.");
        state.failure = None;
        assert_eq!(words(&state), None);
    }
}
