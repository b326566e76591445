//! Whether the browser slowed training down while the tab was hidden: said only if it was measured.

/// Seconds a stretch must last to tell a pace.
const TELLING: f64 = 2.0;
/// Below this share of the pace in sight, the browser has slowed training down.
const SLOWED: f64 = 0.5;

/// Steps over time, in sight and hidden.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// When the present stretch began, seconds, and the optimiser steps until then.
    began: (f64, usize),
    in_sight: Option<f64>,
}

impl Pace {
    /// Training begins, or comes back into sight, at `now` with `steps` taken so far.
    pub fn begin(&mut self, now: f64, steps: usize) {
        self.began = (now, steps);
    }

    /// The tab is hidden.
    pub fn hide(&mut self, now: f64, steps: usize) {
        self.in_sight = self.pace(now, steps);
        self.begin(now, steps);
    }

    /// The tab is in sight again: the share of its pace that training kept, if that is telling and small.
    pub fn show(&mut self, now: f64, steps: usize) -> Option<f64> {
        let share = self.pace(now, steps).zip(self.in_sight).map(|(hidden, in_sight)| hidden / in_sight);
        self.begin(now, steps);
        share.filter(|share| *share < SLOWED)
    }

    /// Steps a second since the stretch began.
    fn pace(&self, now: f64, steps: usize) -> Option<f64> {
        let (began, before) = self.began;
        (now - began >= TELLING).then(|| steps.saturating_sub(before) as f64 / (now - began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(hidden_steps: usize, hidden_seconds: f64) -> Option<f64> {
        let mut pace = Pace::default();
        pace.begin(10.0, 100);
        pace.hide(20.0, 200);
        pace.show(20.0 + hidden_seconds, 200 + hidden_steps)
    }

    #[test]
    fn only_a_measured_slowdown_is_told() {
        assert_eq!(seen(0, 10.0), Some(0.0));
        assert_eq!(seen(20, 10.0), Some(0.2));
        assert_eq!(seen(90, 10.0), None, "nearly full pace");
        assert_eq!(seen(0, 1.0), None, "too short to tell");
        let mut unknown = Pace::default();
        unknown.begin(0.0, 0);
        unknown.hide(0.5, 3);
        assert_eq!(unknown.show(60.0, 3), None, "no pace in sight to compare with");
    }
}
