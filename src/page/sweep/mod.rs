//! The sweep over β as the page knows it: the DPO paper's Figure 2, made by the student's own machine. No browser in here,
//! but for the view.

#[cfg(target_arch = "wasm32")]
pub mod view;

use super::format;
use super::trails::RunId;
use crate::engine::protocol::{Progress, Stage, Sweep, SweepRun};
use crate::words::say;

/// The β of each run: those of the recorded sweep, whose longest step is halved. The shortest leash comes first, so that
/// the chart need not be squeezed for the first points.
pub const BETAS: [f64; 5] = [5.0, 1.0, 0.3, 0.1, 0.05];

/// Optimiser steps a run: where the recorded runs have come most of their way.
fn steps(stage: Stage) -> Option<u64> {
    match stage {
        Stage::Dpo => Some(200),
        Stage::Ppo | Stage::PpoGt => Some(320),
        _ => None,
    }
}

/// The sweep of a stage, if β holds that.
pub fn plan(stage: Stage) -> Option<Sweep> {
    steps(stage).map(|steps| Sweep { betas: BETAS.to_vec(), steps })
}

/// What is known of sweeps.
#[derive(Debug, Clone, Default)]
pub struct Sweeping {
    /// The run that is on.
    pub on: Option<SweepRun>,
    /// How many runs the last sweep has begun.
    begun: usize,
    /// The runs of the last sweep of each stage: they stand beside each other in the chart.
    runs: Vec<RunId>,
}

impl Sweeping {
    /// A run has begun, or the sweep is over.
    pub fn take(&mut self, run: Option<SweepRun>, id: Option<RunId>) {
        self.on = run;
        let (Some(run), Some(id)) = (run, id) else { return };
        self.begun = run.number;
        if run.number == 1 {
            self.runs.retain(|former| former.method != id.method);
        }
        self.runs.push(id);
    }

    /// Another engine is there, which sweeps nothing.
    pub fn forget(&mut self) {
        self.on = None;
    }

    /// Whether a run is one of a sweep's.
    pub fn has(&self, run: &RunId) -> bool {
        self.runs.contains(run)
    }

    /// What the button would do for this stage, or where the sweep stands.
    pub fn words(&self, focused: Stage, progress: Option<&Progress>, playing: bool) -> String {
        match (self.on, plan(focused)) {
            (Some(run), _) => {
                let left = progress.and_then(|it| it.seconds_left).map(format::seconds_left).unwrap_or_default();
                let state = match () {
                    () if run.stage != focused => say!("waits until {} is in focus again", say(run.stage.name())),
                    () if !playing => say("paused; Play goes on").into(),
                    () => left,
                };
                let begun =
                    say!("Run {} of {}: {} at β {}", run.number, run.of, say(run.stage.name()), format::beta(run.beta));
                if state.is_empty() { format!("{begun}.") } else { format!("{begun}, {state}.") }
            }
            (None, Some(plan)) => {
                let betas: Vec<String> = plan.betas.iter().map(|beta| format::beta(*beta)).collect();
                let (name, betas) = (say(focused.name()), betas.join(" · "));
                if self.begun > 0 {
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
            (None, None) => say("β holds DPO, PPO and PPO-GT: choose one of them to sweep it.").into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::Work;
    use crate::engine::settings::Settings;

    fn run(number: usize, run: u32) -> SweepRun {
        SweepRun { stage: Stage::Dpo, beta: BETAS[number - 1], run, number, of: BETAS.len() }
    }

    fn id(run: u32, method: &str) -> RunId {
        RunId { run, method: method.into() }
    }

    #[test]
    fn the_betas_are_valid_and_only_what_beta_holds_is_swept() {
        for beta in BETAS {
            assert!(Settings { beta, ..Settings::default() }.validated().is_ok(), "{beta}");
        }
        let swept: Vec<Stage> = Stage::ALL.into_iter().filter(|stage| plan(*stage).is_some()).collect();
        assert_eq!(swept, [Stage::Dpo, Stage::Ppo, Stage::PpoGt]);
    }

    #[test]
    fn the_runs_of_the_last_sweep_of_a_stage_stand_together() {
        let mut sweeping = Sweeping::default();
        sweeping.take(Some(run(1, 1)), Some(id(1, "dpo")));
        sweeping.take(Some(run(2, 2)), Some(id(2, "dpo")));
        sweeping.take(None, None);
        assert!(sweeping.on.is_none() && sweeping.has(&id(1, "dpo")) && sweeping.has(&id(2, "dpo")));
        sweeping.take(Some(SweepRun { stage: Stage::Ppo, ..run(1, 1) }), Some(id(1, "ppo")));
        assert!(sweeping.has(&id(1, "dpo")), "the other road's stay");
        sweeping.take(Some(run(1, 3)), Some(id(3, "dpo")));
        assert_eq!([1, 2, 3].map(|it| sweeping.has(&id(it, "dpo"))), [false, false, true]);
    }

    #[test]
    fn words_say_what_it_does_where_it_stands_and_why_it_waits() {
        let mut sweeping = Sweeping::default();
        let idle = sweeping.words(Stage::Dpo, None, false);
        assert!(
            idle.starts_with("Trains DPO from the reference at β 5.00 · 1.00 · 0.30 · 0.10 · 0.050, 200 steps each"),
            "{idle}"
        );
        assert!(sweeping.words(Stage::Sft, None, false).starts_with("β holds DPO"));
        sweeping.take(Some(run(2, 2)), Some(id(2, "dpo")));
        let progress = Progress { work: Work::Sweep, done: 1, total: 5, seconds_left: Some(40.0) };
        assert_eq!(sweeping.words(Stage::Dpo, Some(&progress), true), "Run 2 of 5: DPO at β 1.00, about 40 s left.");
        assert_eq!(sweeping.words(Stage::Dpo, None, true), "Run 2 of 5: DPO at β 1.00.");
        assert!(sweeping.words(Stage::Dpo, Some(&progress), false).ends_with("paused; Play goes on."));
        assert!(sweeping.words(Stage::Ppo, Some(&progress), true).ends_with("waits until DPO is in focus again."));
        sweeping.forget();
        assert!(sweeping.words(Stage::Dpo, None, false).starts_with("Trains DPO again"));
    }
}
