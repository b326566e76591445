//! The sweep over β as the page knows it: the DPO paper's Figure 2, made by the student's own machine.

use super::format;
use super::runs::RunId;
use crate::engine::protocol::{Progress, Stage, Sweep, SweepRun};
use klimb_metrics::LearnsFrom;
use klimb_text::words::say;

/// The β of each run: those of the recorded sweep, whose longest step is halved. The shortest leash comes first, so that
/// the chart need not be squeezed for the first points.
pub const BETAS: [f64; 5] = [5.0, 1.0, 0.3, 0.1, 0.05];

/// Optimiser steps a run: where the recorded runs have come most of their way.
fn steps(stage: Stage) -> Option<u64> {
    let method = stage.policy().filter(|method| method.has_leash())?;
    Some(if method.info().learns_from == LearnsFrom::Rollouts { 320 } else { 200 })
}

/// The sweep of a stage with so many sweep workers, if β holds that.
pub fn plan(stage: Stage, workers: usize) -> Option<Sweep> {
    steps(stage).map(|steps| Sweep { betas: BETAS.to_vec(), steps, workers })
}

/// What is known of sweeps.
#[derive(Debug, Clone, Default)]
pub struct SweepState {
    /// What is swept, while a sweep is on.
    pub stage: Option<Stage>,
    /// The runs that are on, in the order of the sweep.
    on: Vec<SweepRun>,
    /// Of these, or before them, the one that the person's own engine made last: the curves over the steps are of that.
    pub own: Option<RunId>,
    /// Whether there has been a sweep.
    has_begun: bool,
    /// The runs of the last sweep of each stage: they stand beside each other in the chart.
    runs: Vec<RunId>,
}

impl SweepState {
    /// A run has begun, or the sweep is over.
    pub fn take(&mut self, run: Option<SweepRun>, id: Option<RunId>) {
        let (Some(run), Some(id)) = (run, id) else { return self.forget() };
        (self.stage, self.has_begun) = (Some(run.stage), true);
        let behind = self.on.partition_point(|other| other.number < run.number);
        self.on.insert(behind, run);
        if !run.is_elsewhere {
            self.own = Some(id.clone());
        }
        if run.number == 1 {
            self.runs.retain(|earlier| earlier.method != id.method);
        }
        // One that was given back begins once more.
        if !self.has(&id) {
            self.runs.push(id);
        }
    }

    /// A run of the sweep is over.
    pub fn end(&mut self, run: u32) {
        self.on.retain(|it| it.run != run);
    }

    /// The sweep is over, or another engine is there, which sweeps nothing.
    pub fn forget(&mut self) {
        (self.stage, self.own) = (None, None);
        self.on.clear();
    }

    /// So many runs of earlier engines stand before those that were told.
    pub fn stand_behind(&mut self, earlier: u32) {
        self.runs.iter_mut().chain(&mut self.own).for_each(|run| run.run += earlier);
    }

    /// The runs that sweep workers were at, as the engine numbers them.
    pub fn runs_elsewhere(&self) -> Vec<u32> {
        self.on.iter().filter(|run| run.is_elsewhere).map(|run| run.run).collect()
    }

    /// Whether a run is one of a sweep's.
    pub fn has(&self, run: &RunId) -> bool {
        self.runs.contains(run)
    }

    /// What the button would do for this stage, or where the sweep stands.
    pub fn words(&self, focused: Stage, progress: Option<&Progress>, playing: bool) -> String {
        match (self.stage, plan(focused, 0)) {
            (Some(stage), _) => {
                let left = progress.and_then(|it| it.seconds_left).map(format::seconds_left).unwrap_or_default();
                let state = match () {
                    () if stage != focused => say!("waits until {} is in focus again", say(stage.name())),
                    () if !playing => say("paused; Play goes on").into(),
                    () => left,
                };
                let begun = self.words_of_runs();
                if state.is_empty() { format!("{begun}.") } else { format!("{begun}, {state}.") }
            }
            (None, Some(plan)) => {
                let betas: Vec<String> = plan.betas.iter().map(|beta| format::beta(*beta)).collect();
                let (name, betas) = (say(focused.name()), betas.join(" · "));
                if self.has_begun {
                    say!(
                        "Trains {} again from the reference at β {}, {} steps each: the DPO paper’s Figure 2, by this machine.",
                        name,
                        betas,
                        plan.steps
                    )
                } else {
                    say!(
                        "Trains {} from the reference at β {}, {} steps each: the DPO paper’s Figure 2, by this machine.",
                        name,
                        betas,
                        plan.steps
                    )
                }
            }
            (None, None) => {
                let held: Vec<&str> = Stage::on_leash().map(|stage| say(stage.name())).collect();
                let (last, others) = held.split_last().expect("β holds some stage");
                say!("β holds {} and {}: choose one of them to sweep it.", others.join(", "), last)
            }
        }
    }

    /// Which runs are on.
    fn words_of_runs(&self) -> String {
        let (mut betas, mut others) = (String::new(), String::new());
        for (i, run) in self.on.iter().enumerate() {
            betas += if i > 0 { " · " } else { "" };
            betas += &format::beta(run.beta);
            if i + 1 < self.on.len() {
                others += if i > 0 { ", " } else { "" };
                others += &run.number.to_string();
            }
        }
        match self.on.last() {
            Some(last) if !others.is_empty() => {
                say!("Runs {} and {} of {}: {} at β {}", others, last.number, last.of, say(last.stage.name()), betas)
            }
            Some(run) => say!("Run {} of {}: {} at β {}", run.number, run.of, say(run.stage.name()), betas),
            None => say("The next run is about to begin").into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use klimb_metrics::Method;

    use super::*;
    use crate::engine::protocol::Work;
    use crate::engine::settings::Settings;

    fn run(number: usize, run: u32) -> SweepRun {
        SweepRun { stage: Stage::Dpo, beta: BETAS[number - 1], run, number, of: BETAS.len(), is_elsewhere: false }
    }

    fn id(run: u32, method: &str) -> RunId {
        RunId { run, method: Method::of_file_name(method).expect("a method") }
    }

    #[test]
    fn the_betas_are_valid_and_only_what_beta_holds_is_swept() {
        for beta in BETAS {
            assert!(Settings { beta, ..Settings::default() }.validated().is_ok(), "{beta}");
        }
        let swept: Vec<Stage> = Stage::ALL.into_iter().filter(|stage| plan(*stage, 0).is_some()).collect();
        assert_eq!(swept, [Stage::Dpo, Stage::Ppo, Stage::PpoGt]);
    }

    #[test]
    fn the_runs_of_the_last_sweep_of_a_stage_stand_together() {
        let mut sweeping = SweepState::default();
        sweeping.take(Some(run(1, 1)), Some(id(1, "dpo")));
        sweeping.take(Some(run(2, 2)), Some(id(2, "dpo")));
        sweeping.take(None, None);
        assert!(sweeping.stage.is_none() && sweeping.has(&id(1, "dpo")) && sweeping.has(&id(2, "dpo")));
        sweeping.take(Some(SweepRun { stage: Stage::Ppo, ..run(1, 1) }), Some(id(1, "ppo")));
        assert!(sweeping.has(&id(1, "dpo")), "the other road's stay");
        sweeping.take(Some(run(1, 3)), Some(id(3, "dpo")));
        assert_eq!([1, 2, 3].map(|it| sweeping.has(&id(it, "dpo"))), [false, false, true]);
    }

    #[test]
    fn words_say_what_it_does_where_it_stands_and_why_it_waits() {
        let mut sweeping = SweepState::default();
        let idle = sweeping.words(Stage::Dpo, None, false);
        assert!(
            idle.starts_with("Trains DPO from the reference at β 5.00 · 1.00 · 0.30 · 0.10 · 0.050, 200 steps each"),
            "{idle}"
        );
        let none = sweeping.words(Stage::Sft, None, false);
        assert_eq!(none, "β holds DPO, PPO and PPO-GT: choose one of them to sweep it.");
        sweeping.take(Some(run(2, 2)), Some(id(2, "dpo")));
        let progress = Progress { work: Work::Sweep, done: 1, total: 5, seconds_left: Some(40.0) };
        assert_eq!(sweeping.words(Stage::Dpo, Some(&progress), true), "Run 2 of 5: DPO at β 1.00, about 40 s left.");
        assert_eq!(sweeping.words(Stage::Dpo, None, true), "Run 2 of 5: DPO at β 1.00.");
        assert!(sweeping.words(Stage::Dpo, Some(&progress), false).ends_with("paused; Play goes on."));
        assert!(sweeping.words(Stage::Ppo, Some(&progress), true).ends_with("waits until DPO is in focus again."));
        sweeping.forget();
        assert!(sweeping.words(Stage::Dpo, None, false).starts_with("Trains DPO again"));
    }

    #[test]
    fn words_say_which_runs_are_on_at_once_and_the_curves_are_the_engine_s_own() {
        let mut sweeping = SweepState::default();
        let job = |number| SweepRun { is_elsewhere: true, ..run(number, number as u32) };
        sweeping.take(Some(run(1, 1)), Some(id(1, "dpo")));
        sweeping.take(Some(job(2)), Some(id(2, "dpo")));
        sweeping.take(Some(job(3)), Some(id(3, "dpo")));
        let words = |sweeping: &SweepState| sweeping.words(Stage::Dpo, None, true);
        assert_eq!(words(&sweeping), "Runs 1, 2 and 3 of 5: DPO at β 5.00 · 1.00 · 0.30.");
        assert_eq!(sweeping.own, Some(id(1, "dpo")));
        sweeping.end(2);
        assert_eq!(words(&sweeping), "Runs 1 and 3 of 5: DPO at β 5.00 · 0.30.");
        sweeping.end(1);
        assert_eq!(words(&sweeping), "Run 3 of 5: DPO at β 0.30.");
        assert_eq!(sweeping.own, Some(id(1, "dpo")), "until the next one begins");
        sweeping.end(3);
        assert_eq!(words(&sweeping), "The next run is about to begin.");
        sweeping.take(Some(run(3, 3)), Some(id(3, "dpo")));
        assert_eq!(
            (words(&sweeping).as_str(), sweeping.own.clone()),
            ("Run 3 of 5: DPO at β 0.30.", Some(id(3, "dpo")))
        );
        assert_eq!([1, 2, 3].map(|it| sweeping.has(&id(it, "dpo"))), [true; 3]);
    }
}
