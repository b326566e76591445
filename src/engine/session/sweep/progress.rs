//! Where a sweep stands, and how long it will take whoever is at it.

use super::{LiveSweep, State};
use crate::engine::protocol::{Event, Progress, Work};
use crate::engine::session::Session;
use klimb_network::backend::Kernels;

/// How fast runs are made.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Pace {
    /// Seconds that engines have been at runs, points included, added up.
    seconds: f64,
    /// Steps of runs that were given back.
    lost: u64,
    /// Until when those seconds count, while it goes on.
    until: Option<f64>,
}

impl Pace {
    /// Steps that will be taken once more.
    pub fn lose(&mut self, steps: u64) {
        self.lost += steps;
    }

    /// `engines` have been at work until `now`, if it goes on.
    fn go_on(&mut self, now: Option<f64>, engines: usize) {
        let passed = self.until.zip(now).map_or(0.0, |(until, now)| now - until);
        self.seconds += passed * engines as f64;
        self.until = now;
    }

    /// Seconds a step takes an engine, once some of the sweep is done.
    fn of_step(&self, done: u64) -> Option<f64> {
        let steps = done + self.lost;
        (steps > 0).then(|| self.seconds / steps as f64)
    }
}

impl<K: Kernels> Session<K> {
    /// Training rests, or goes on: time in between is none of the sweep's.
    pub(in crate::engine::session) fn rest_sweep(&mut self) {
        if let Some(sweep) = &mut self.sweep {
            sweep.pace.until = None;
        }
    }

    /// Where the sweep stands.
    pub(in crate::engine::session) fn tell_sweep(&mut self, events: &mut Vec<Event>) {
        let now = self.is_sweeping().then(self.clock);
        let Some(mut sweep) = self.sweep.take() else { return };
        let a_run = self.steps_of(&sweep);
        let steps = self.steps_by_run(&sweep, a_run);
        let engines = sweep.runs_in(State::Own).count() + sweep.runs_in(State::Elsewhere).count();
        sweep.pace.go_on(now, engines);
        let (done, total) = (steps.iter().sum::<u64>(), a_run * steps.len() as u64);
        let at_work = sweep.runs_in(State::Own).chain(sweep.runs_in(State::Elsewhere));
        let left = at_work.map(|index| a_run - steps[index]).collect();
        let left = steps_left(left, sweep.runs_in(State::Waiting).count(), a_run);
        let left = sweep.pace.of_step(done).map(|seconds| seconds * left as f64);
        // Its last step is not its end: the point is still to be measured.
        let done = done.min(total - 1) as usize;
        events.push(Event::Progress(Progress { work: Work::Sweep, done, total: total as usize, seconds_left: left }));
        self.sweep = Some(sweep);
    }

    /// Steps done of each run, one that broke down as if it had all of them.
    fn steps_by_run(&self, sweep: &LiveSweep, a_run: u64) -> Vec<u64> {
        let of = |state, steps| match state {
            State::Waiting => 0,
            State::Own => self.policies.steps(sweep.method).min(a_run),
            State::Elsewhere => a_run.min(steps),
            State::Over => a_run,
        };
        sweep.runs.iter().map(|run| of(run.state, run.steps)).collect()
    }
}

/// Steps that the engine which is at it longest will still take: `left` are those of the runs that are on, and whoever is
/// done first takes the next one.
fn steps_left(mut left: Vec<u64>, waiting: usize, a_run: u64) -> u64 {
    if left.is_empty() {
        left.push(0);
    }
    for _ in 0..waiting {
        if let Some(first) = left.iter_mut().min() {
            *first += a_run;
        }
    }
    left.into_iter().max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_the_last_engine_will_have_taken() {
        assert_eq!(steps_left(vec![150], 4, 200), 950, "alone, all of them");
        assert_eq!(steps_left(vec![200, 200, 200], 2, 200), 400);
        assert_eq!(steps_left(vec![10, 50, 90], 2, 200), 250, "the first two to be done take what waits");
        assert_eq!(steps_left(vec![30, 5], 0, 200), 30);
        assert_eq!(steps_left(Vec::new(), 1, 200), 200, "what was given back is begun at once");
    }

    #[test]
    fn a_step_takes_what_all_engines_took_for_theirs_and_a_rest_counts_for_nothing() {
        let mut pace = Pace::default();
        pace.go_on(Some(10.0), 2);
        assert_eq!(pace.of_step(0), None);
        pace.go_on(Some(14.0), 2);
        assert_eq!(pace.of_step(16), Some(0.5));
        pace.go_on(None, 2);
        pace.go_on(Some(100.0), 2);
        assert_eq!(pace.of_step(16), Some(0.5));
        pace.lose(4);
        assert_eq!(pace.of_step(12), Some(0.5), "steps that are lost were taken too");
    }
}
