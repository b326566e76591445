//! Slices of training, stage by stage, and single steps told in full.

use super::pipeline::{Policy, RewardModelWork, Subject};
use super::{MOST_STEPS, SLICE_SECONDS, Session};
use crate::engine::protocol::{Event, Inside, Stage, Work};
use klimb_metrics::MetricRow;
use klimb_network::backend::{BackendError, Kernels};

impl<K: Kernels> Session<K> {
    /// One step of a stage, told in full. What takes longer than a slice is played until the step is there.
    pub(super) async fn step(&mut self, stage: Stage, events: &mut Vec<Event>) -> Result<(), BackendError> {
        self.forget_reset();
        match stage {
            Stage::Base => {}
            Stage::Pairs => {
                if !self.adopt_sft(events).await? {
                    return Ok(());
                }
                self.pipeline.extend_pairs(&mut self.k).await?;
            }
            Stage::Sft => self.step_sft(events).await?,
            Stage::Dpo => {
                if !self.adopt_sft(events).await? {
                    return Ok(());
                }
                while self.pipeline.dpo_wants_pairs() {
                    self.pipeline.extend_dpo_pairs(&mut self.k).await?;
                }
                let start = (self.clock)();
                let (batch, rows) = self.pipeline.step_dpo_in_full(&mut self.k).await?;
                self.run(Policy::Dpo).seconds += (self.clock)() - start;
                events.push(Event::Inside(Inside::Dpo(batch)));
                if self.tell_metrics(Stage::Dpo, rows, events) {
                    self.measure(Subject::Policy(Policy::Dpo));
                }
            }
            Stage::Unlikelihood | Stage::PreferredFt => {
                if !self.adopt_sft(events).await? {
                    return Ok(());
                }
                let policy = Policy::of(stage).expect("both have a policy");
                while self.pipeline.likelihood_wants_pairs(policy) {
                    self.pipeline.extend_pairs(&mut self.k).await?;
                }
                let start = (self.clock)();
                let (batch, rows) = self.pipeline.step_likelihood_in_full(&mut self.k, policy).await?;
                self.run(policy).seconds += (self.clock)() - start;
                events.push(Event::Inside(Inside::Likelihood(batch)));
                if self.tell_metrics(stage, rows, events) {
                    self.measure(Subject::Policy(policy));
                }
            }
            Stage::RewardModel | Stage::Ppo | Stage::PpoGt | Stage::BestOfN => {
                self.play(true, events);
                self.stepping = Some(stage);
            }
        }
        Ok(())
    }

    /// A slice of training.
    pub(super) async fn train(&mut self, stage: Stage, events: &mut Vec<Event>) -> Result<(), BackendError> {
        self.forget_reset();
        self.lend(events);
        if self.run_is_over(stage) {
            self.next_run(events);
            return Ok(());
        }
        if self.paced != stage {
            (self.paced, self.step_seconds) = (stage, SLICE_SECONDS);
        }
        // What is still being measured waits for the first step alone.
        let most_steps = if self.evaluating.is_some() { 1 } else { MOST_STEPS };
        let planned = ((SLICE_SECONDS / self.step_seconds) as usize).clamp(1, most_steps);
        match stage {
            Stage::Sft => self.train_sft(planned, events).await,
            Stage::Base | Stage::Pairs | Stage::Dpo => self.train_dpo(planned, events).await,
            Stage::RewardModel => self.train_reward_model(planned, events).await,
            Stage::Ppo => self.train_ppo(Policy::Ppo, planned, events).await,
            Stage::PpoGt => self.train_ppo(Policy::PpoGt, planned, events).await,
            Stage::Unlikelihood => self.train_likelihood(Policy::Unlikelihood, planned, events).await,
            Stage::PreferredFt => self.train_likelihood(Policy::PreferredFt, planned, events).await,
            Stage::BestOfN => self.draw_best_of_n(events).await,
        }
    }

    async fn train_sft(&mut self, steps: usize, events: &mut Vec<Event>) -> Result<(), BackendError> {
        let start = (self.clock)();
        if !self.pipeline.sft_is_live() {
            self.pipeline.begin_sft(&mut self.k);
        }
        let rows = self.pipeline.train_sft(&mut self.k, steps).await?;
        self.step_seconds = ((self.clock)() - start) / steps as f64;
        self.tell_sft(rows, events);
        let (done, total) = self.pipeline.sft_progress();
        if done == total && self.playing {
            self.play(false, events);
            if !self.adopt_sft(events).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn step_sft(&mut self, events: &mut Vec<Event>) -> Result<(), BackendError> {
        if !self.pipeline.sft_is_live() {
            self.pipeline.begin_sft(&mut self.k);
        }
        if let Some((batch, rows)) = self.pipeline.step_sft_in_full(&mut self.k).await? {
            events.push(Event::Inside(Inside::Sft(batch)));
            self.tell_sft(rows, events);
        }
        Ok(())
    }

    fn tell_sft(&mut self, rows: Vec<MetricRow>, events: &mut Vec<Event>) {
        self.tell_metrics(Stage::Sft, rows, events);
        let (done, total) = self.pipeline.sft_progress();
        self.tell_progress(Work::Sft, done, total, (total - done) as f64 * self.step_seconds, events);
    }

    async fn train_dpo(&mut self, planned: usize, events: &mut Vec<Event>) -> Result<(), BackendError> {
        if !self.adopt_sft(events).await? {
            return Ok(());
        }
        if self.pipeline.dpo_wants_pairs() {
            return self.pipeline.extend_dpo_pairs(&mut self.k).await;
        }
        let start = (self.clock)();
        let every = self.pipeline.settings.evaluate_every;
        let steps = planned.min(every - self.pipeline.steps(Policy::Dpo) as usize % every);
        let rows = self.pipeline.train_dpo(&mut self.k, steps).await?;
        let elapsed = (self.clock)() - start;
        self.step_seconds = elapsed / steps as f64;
        self.run(Policy::Dpo).seconds += elapsed;
        let is_sound = self.tell_metrics(Stage::Dpo, rows, events);
        if is_sound && self.pipeline.steps(Policy::Dpo).is_multiple_of(every as u64) {
            self.measure(Subject::Policy(Policy::Dpo));
        }
        Ok(())
    }

    async fn train_likelihood(
        &mut self,
        policy: Policy,
        planned: usize,
        events: &mut Vec<Event>,
    ) -> Result<(), BackendError> {
        if !self.adopt_sft(events).await? {
            return Ok(());
        }
        if self.pipeline.likelihood_wants_pairs(policy) {
            return self.pipeline.extend_pairs(&mut self.k).await;
        }
        let start = (self.clock)();
        let every = self.pipeline.settings.evaluate_every;
        let steps = planned.min(every - self.pipeline.steps(policy) as usize % every);
        let rows = self.pipeline.train_likelihood(&mut self.k, policy, steps).await?;
        let elapsed = (self.clock)() - start;
        self.step_seconds = elapsed / steps as f64;
        self.run(policy).seconds += elapsed;
        let is_sound = self.tell_metrics(policy.stage(), rows, events);
        if is_sound && self.pipeline.steps(policy).is_multiple_of(every as u64) {
            self.measure(Subject::Policy(policy));
        }
        Ok(())
    }

    /// A piece of Best-of-N: completions, scores, or the point of an N. When all is measured it stops playing.
    async fn draw_best_of_n(&mut self, events: &mut Vec<Event>) -> Result<(), BackendError> {
        if !self.adopt_sft(events).await? {
            return Ok(());
        }
        if self.pipeline.best_of_n_is_done() {
            self.play(false, events);
            return Ok(());
        }
        let (before, start) = (self.pipeline.best_of_n_progress().0, (self.clock)());
        let made = self.pipeline.advance_best_of_n(&mut self.k).await?;
        let (done, total) = self.pipeline.best_of_n_progress();
        let pace = ((self.clock)() - start) / (done - before).max(1) as f64;
        if done > before {
            self.tell_progress(Work::BestOfN, done, total, (total - done) as f64 * pace, events);
        }
        if let Some((numbers, evaluation)) = made {
            events.push(Event::Point(self.best_of_n_point(numbers, &evaluation)));
            events.push(Event::Inside(Inside::BestOfN(self.pipeline.best_of_n_told())));
        }
        if self.pipeline.best_of_n_is_done() {
            self.play(false, events);
        }
        Ok(())
    }

    /// A piece of what the reward model needs next; it stops playing when the reward model was what is played.
    async fn train_reward_model(&mut self, planned: usize, events: &mut Vec<Event>) -> Result<(), BackendError> {
        if !self.adopt_sft(events).await? {
            return Ok(());
        }
        let work = self.pipeline.reward_model_work();
        let is_stepping = self.stepping == Some(Stage::RewardModel);
        if is_stepping && work == RewardModelWork::Step {
            if let Some((batch, rows)) = self.pipeline.step_reward_model_in_full(&mut self.k).await? {
                events.push(Event::Inside(Inside::RewardModel(batch)));
                self.tell_metrics(Stage::RewardModel, rows, events);
            }
            self.play(false, events);
            return Ok(());
        }
        let start = (self.clock)();
        let rows = self.pipeline.advance_reward_model(&mut self.k, planned).await?;
        let elapsed = (self.clock)() - start;
        if work == RewardModelWork::Step {
            self.step_seconds = elapsed / rows.len().max(1) as f64;
        }
        if work == RewardModelWork::Pairs {
            let (done, total) = self.pipeline.reward_model_pairs();
            self.tell_progress(Work::Pairs, done, total, (total - done) as f64 * elapsed, events);
        } else {
            let (done, total) = self.pipeline.reward_model_progress();
            self.tell_progress(Work::RewardModel, done, total, (total - done) as f64 * self.step_seconds, events);
        }
        self.tell_metrics(Stage::RewardModel, rows, events);
        let is_trained = self.pipeline.reward_model_work() == RewardModelWork::Nothing;
        if is_trained && self.active() == Stage::RewardModel {
            self.play(false, events);
        }
        Ok(())
    }

    async fn train_ppo(&mut self, policy: Policy, planned: usize, events: &mut Vec<Event>) -> Result<(), BackendError> {
        if !self.adopt_sft(events).await? {
            return Ok(());
        }
        if policy == Policy::Ppo && self.pipeline.reward_model_work() != RewardModelWork::Nothing {
            return self.train_reward_model(planned, events).await;
        }
        let start = (self.clock)();
        let (rows, is_over) = self.pipeline.train_ppo(&mut self.k, policy, planned).await?;
        let elapsed = (self.clock)() - start;
        if !rows.is_empty() {
            self.step_seconds = elapsed / rows.len() as f64;
        }
        self.run(policy).seconds += elapsed;
        let is_sound = self.tell_metrics(policy.stage(), rows, events);
        if !is_over {
            return Ok(());
        }
        let is_stepping = self.stepping == Some(policy.stage());
        if is_stepping {
            events.extend(self.pipeline.told_round(policy).map(|round| Event::Inside(Inside::Ppo(round))));
            self.play(false, events);
        }
        let is_due = self.pipeline.ppo_rounds(policy).is_multiple_of(self.pipeline.settings.evaluate_rollouts);
        if is_sound && (is_stepping || is_due) {
            self.measure(Subject::Policy(policy));
        }
        Ok(())
    }
}
