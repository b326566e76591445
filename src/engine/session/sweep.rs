//! A sweep over β: the policy in focus is trained from the reference at one β after another, as if a person set β, reset and
//! played each time. Meanwhile her own β waits, and comes back with the end. A run that breaks down is left where it was
//! good, and the others are made all the same.

use super::pipeline::Policy;
use super::{Session, progress, reports};
use crate::backend::{BackendError, Kernels};
use crate::engine::protocol::{Event, Failure, Progress, Stage, Sweep, SweepRun, Work};
use crate::engine::settings::Settings;

/// A sweep that is on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LiveSweep {
    stage: Stage,
    policy: Policy,
    plan: Sweep,
    /// The run that is on, from 0.
    at: usize,
    /// The runs that broke down, in order.
    broken: Vec<usize>,
    /// The person's own β.
    own_beta: f64,
    /// Seconds of its runs so far, their points included.
    seconds: f64,
}

impl<K: Kernels> Session<K> {
    /// Begins a sweep of the policy in focus, or ends the one that is on.
    pub(super) async fn sweep(&mut self, plan: Option<Sweep>, events: &mut Vec<Event>) -> Result<(), BackendError> {
        if let Some(sweep) = &self.sweep {
            let stage = sweep.stage;
            self.play(false, events);
            self.restart(&[stage], false, events);
        }
        let Some(plan) = plan else { return Ok(()) };
        let steers = self.focus != Stage::Dpo && self.pipeline.settings.target_kl > 0.0;
        let swept = Policy::of(self.focus).filter(|it| matches!(it, Policy::Dpo | Policy::Ppo | Policy::PpoGt));
        let Some(policy) = swept.filter(|_| !steers && !plan.betas.is_empty()) else {
            events.push(Event::Failure(nothing_to_sweep(steers)));
            return Ok(());
        };
        let own = self.pipeline.settings;
        if let Some(error) = plan.betas.iter().find_map(|&beta| Settings { beta, ..own }.validated().err()) {
            events.push(Event::Failure(reports::setting_failure(&error)));
            return Ok(());
        }
        // What SFT has learned since would end the sweep when it begins.
        self.adopt_sft(events).await?;
        self.begin_run(
            LiveSweep { stage: self.focus, policy, plan, at: 0, broken: Vec::new(), own_beta: own.beta, seconds: 0.0 },
            events,
        );
        self.play(true, events);
        Ok(())
    }

    /// The settings as the person has them, whatever a sweep trains with.
    pub(super) fn own_settings(&self) -> Settings {
        let settings = self.pipeline.settings;
        Settings { beta: self.sweep.as_ref().map_or(settings.beta, |sweep| sweep.own_beta), ..settings }
    }

    /// A person's settings as they are trained with: where a sweep is in focus, its β stands before hers.
    pub(super) fn beside_sweep(&mut self, own: Settings) -> Settings {
        let Some(sweep) = &mut self.sweep else { return own };
        sweep.own_beta = own.beta;
        let is_on = sweep.stage == self.focus;
        Settings { beta: if is_on { sweep.plan.betas[sweep.at] } else { own.beta }, ..own }
    }

    /// Another stage is in focus: a sweep waits, and its β with it, until it is in focus again.
    pub(super) fn refocus_sweep(&mut self) {
        if self.sweep.is_some() {
            let own = self.own_settings();
            let settings = self.beside_sweep(own);
            // β alone starts nothing over.
            self.pipeline.configure(&mut self.k, settings);
        }
    }

    /// Whether the run of the sweep that is on has its steps and its last point, or broke down.
    pub(super) fn run_is_over(&self, stage: Stage) -> bool {
        let sweep = self.sweep.as_ref().filter(|sweep| sweep.stage == stage);
        sweep.is_some_and(|it| it.broken.last() == Some(&it.at) || self.pipeline.steps(it.policy) >= self.steps_of(it))
    }

    /// The run of the sweep that is on broke down, and is over. `None` if it is not `stage` that is swept.
    pub(super) fn give_run_up(&mut self, stage: Stage) -> Option<Failure> {
        let sweep = self.sweep.as_mut().filter(|sweep| sweep.stage == stage)?;
        if sweep.broken.last() != Some(&sweep.at) {
            sweep.broken.push(sweep.at);
        }
        let (beta, is_last) = (sweep.plan.betas[sweep.at], sweep.at + 1 == sweep.plan.betas.len());
        Some(reports::run_given_up(stage, beta, sweep.broken.len(), is_last))
    }

    /// The next run of the sweep, or its end.
    pub(super) fn next_run(&mut self, events: &mut Vec<Event>) {
        let Some(mut sweep) = self.sweep.take() else { return };
        sweep.at += 1;
        if sweep.at < sweep.plan.betas.len() {
            self.begin_run(sweep, events);
        } else {
            let stage = sweep.stage;
            self.sweep = Some(sweep);
            self.play(false, events);
            self.restart(&[stage], false, events);
        }
    }

    fn begin_run(&mut self, sweep: LiveSweep, events: &mut Vec<Event>) {
        let beta = sweep.plan.betas[sweep.at];
        self.pipeline.configure(&mut self.k, Settings { beta, ..self.pipeline.settings });
        self.restart(&[sweep.stage], false, events);
        let (number, of) = (sweep.at + 1, sweep.plan.betas.len());
        let run = self.run(sweep.policy).number;
        events.push(Event::Sweep(Some(SweepRun { stage: sweep.stage, beta, run, number, of })));
        self.sweep = Some(sweep);
        self.tell_sweep(0.0, events);
    }

    /// Something else starts the swept stage over, or its end does: the sweep is over, and β the person's again.
    pub(super) fn end_sweep(&mut self, events: &mut Vec<Event>) {
        let own = self.own_settings();
        if self.sweep.take().is_some() {
            self.pipeline.configure(&mut self.k, own);
            events.extend([progress(Work::Sweep, 1, 1, 0.0), Event::Sweep(None)]);
        }
    }

    /// Whether the sweep has this stage, and so ends when that is started over.
    pub(super) fn sweeps(&self, stages: &[Stage]) -> bool {
        self.sweep.as_ref().is_some_and(|sweep| stages.contains(&sweep.stage))
    }

    /// Where the sweep stands after `seconds` more.
    pub(super) fn tell_sweep(&mut self, seconds: f64, events: &mut Vec<Event>) {
        let is_on = self.playing && self.sweep.as_ref().is_some_and(|sweep| sweep.stage == self.focus);
        let Some(mut sweep) = self.sweep.take() else { return };
        if is_on {
            sweep.seconds += seconds;
        }
        let a_run = self.steps_of(&sweep);
        let done = a_run * sweep.at as u64 + self.pipeline.steps(sweep.policy).min(a_run);
        let total = a_run * sweep.plan.betas.len() as u64;
        let left = (done > 0).then(|| sweep.seconds / done as f64 * (total - done) as f64);
        // Its last step is not its end: the point is still to be measured.
        let done = done.min(total - 1) as usize;
        events.push(Event::Progress(Progress { work: Work::Sweep, done, total: total as usize, seconds_left: left }));
        self.sweep = Some(sweep);
    }

    /// Steps of a run: those that are asked for, and on to the next point.
    fn steps_of(&self, sweep: &LiveSweep) -> u64 {
        let settings = &self.pipeline.settings;
        let between_points = match sweep.policy {
            Policy::Ppo | Policy::PpoGt => settings.evaluate_rollouts * self.pipeline.steps_per_rollout(),
            _ => settings.evaluate_every,
        };
        sweep.plan.steps.max(1).next_multiple_of(between_points as u64)
    }
}

fn nothing_to_sweep(steers: bool) -> Failure {
    let (sentence, remedy, field) = if steers {
        ("β cannot be swept while a KL target steers it.", "Set the KL target to 0 under Settings.", "target_kl")
    } else {
        ("There is no β to sweep here.", "Choose DPO, PPO or PPO-GT: β holds these three.", "beta")
    };
    Failure { sentence: sentence.into(), remedy: remedy.into(), field: Some(field.into()), stopped: false }
}
