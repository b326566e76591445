//! What is said of training to whoever does not see it: now and then while it goes on, and where it came to rest.
//!

use super::curves;
use super::state::State;

/// Seconds of silence between two sentences while training goes on.
const SILENCE: f64 = 10.0;
/// Seconds in which a step that was under way may still arrive once training rests.
const LATE: f64 = 1.0;

/// What was told, and when.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Announcer {
    was_playing: bool,
    steps: usize,
    points: usize,
    at: Option<f64>,
    rested: Option<f64>,
}

impl Announcer {
    /// What is to be said at `now`, in seconds, if anything: after a step and when training rests, the newest numbers;
    /// while it goes on, those of a new point, unless something was said a moment ago.
    pub fn next(&mut self, state: &State, now: f64) -> Option<String> {
        let (has_stepped, has_point) = (state.training.steps > self.steps, state.results.points.len() > self.points);
        let (begins, rests) =
            (state.training.playing && !self.was_playing, self.was_playing && !state.training.playing);
        (self.was_playing, self.steps, self.points) =
            (state.training.playing, state.training.steps, state.results.points.len());
        if begins {
            self.at = None;
        }
        let is_late = self.rested.is_some_and(|at| now - at < LATE);
        if rests {
            self.rested = Some(now);
        }
        let is_silent = self.at.is_none_or(|at| now - at >= SILENCE);
        let is_due = if state.training.playing { has_point && is_silent } else { rests || (has_stepped && !is_late) };
        if !is_due {
            return None;
        }
        self.at = Some(now);
        let reading = curves::reading(&curves::charted(state), None);
        Some(if rests { say!("Paused. {}", reading) } else { reading })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::{Event, Stage};
    use crate::engine::settings::Settings;
    use crate::page::model::fixtures::point;
    use klimb_metrics::MetricRow;

    #[test]
    fn a_step_is_told_and_training_only_now_and_then() {
        let mut state = State::new(Settings::default());
        let mut telling = Announcer::default();
        assert_eq!(telling.next(&state, 0.0), None, "nothing has happened");
        let step = |state: &mut State, step| {
            state.apply(Event::Metrics(Stage::Dpo, vec![MetricRow::new(step, &[("dpo/loss", 0.5)])]));
        };
        step(&mut state, 1);
        assert_eq!(telling.next(&state, 1.0).as_deref(), Some("Newest: step 1 · loss, nats: 0.5000"));
        assert_eq!(telling.next(&state, 1.1), None);
        state.training.playing = true;
        step(&mut state, 2);
        assert_eq!(telling.next(&state, 2.0), None, "training is told by its points");
        state.results.points.push(point(1, "dpo", 2));
        assert!(telling.next(&state, 2.5).is_some_and(|told| told.contains("step 2")));
        state.results.points.push(point(1, "dpo", 3));
        assert_eq!(telling.next(&state, 3.0), None, "too soon");
        state.results.points.push(point(1, "dpo", 4));
        assert!(telling.next(&state, 13.0).is_some());
        state.training.playing = false;
        assert!(telling.next(&state, 13.1).is_some_and(|told| told.starts_with("Paused. Newest: step")));
        step(&mut state, 5);
        assert_eq!(telling.next(&state, 13.2), None, "it was under way");
        step(&mut state, 6);
        assert!(telling.next(&state, 20.0).is_some());
    }
}
