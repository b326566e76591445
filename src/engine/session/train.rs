//! Slices of training, stage by stage, and single steps told in full.

use super::models::RewardModelWork;
use super::policies::{Slice, SliceOrder};
use super::{MOST_STEPS, SLICE_SECONDS, Session, Subject};
use crate::engine::protocol::{Event, Inside, Stage, StageKind, Work};
use klimb_metrics::{LearnsFrom, Method, MetricRow};
use klimb_network::backend::{BackendError, Kernels};

/// What a slice of training a policy came to, once it is told.
struct TrainedSlice {
    seconds: f64,
    /// Optimiser steps.
    steps: usize,
    /// Whether every number is finite: otherwise there is nothing new to measure.
    is_sound: bool,
    is_whole: bool,
    is_due: bool,
}

impl<K: Kernels> Session<K> {
    /// One step of a stage, told in full. What takes longer than a slice is played until the step is there.
    pub(super) async fn step(&mut self, stage: Stage, events: &mut Vec<Event>) -> Result<(), BackendError> {
        self.forget_reset();
        match stage.kind() {
            StageKind::Base => {}
            StageKind::Pairs => {
                if !self.adopt_sft(events).await? {
                    return Ok(());
                }
                self.models.extend_pairs(&mut self.k).await?;
            }
            StageKind::Sft => self.step_sft(events).await?,
            // A step on pairs is short enough to be taken at once.
            StageKind::Policy(method) if method.info().learns_from == LearnsFrom::Pairs => {
                self.step_on_pairs(method, events).await?;
            }
            StageKind::RewardModel | StageKind::Policy(_) | StageKind::BestOfN => {
                self.play(true, events);
                self.stepping = Some(stage);
            }
        }
        Ok(())
    }

    async fn step_on_pairs(&mut self, method: Method, events: &mut Vec<Event>) -> Result<(), BackendError> {
        if !self.adopt_sft(events).await? {
            return Ok(());
        }
        while self.policies.wants_pairs(&self.models, method) {
            self.policies.extend_pairs(&mut self.k, &mut self.models, method).await?;
        }
        let order = SliceOrder { most_steps: 1, tells_inside: true };
        if self.train_slice(method, order, events).await?.is_sound {
            self.measure(Subject::Policy(method));
        }
        Ok(())
    }

    /// A slice of training.
    pub(super) async fn train(&mut self, stage: Stage, events: &mut Vec<Event>) -> Result<(), BackendError> {
        self.forget_reset();
        self.assign_jobs(events);
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
        match stage.kind() {
            StageKind::Sft => self.train_sft(planned, events).await,
            StageKind::Base | StageKind::Pairs => self.train_policy(Method::Dpo, planned, events).await,
            StageKind::RewardModel => self.train_reward_model(planned, events).await,
            StageKind::Policy(method) => self.train_policy(method, planned, events).await,
            StageKind::BestOfN => self.draw_best_of_n(events).await,
        }
    }

    async fn train_sft(&mut self, steps: usize, events: &mut Vec<Event>) -> Result<(), BackendError> {
        let start = (self.clock)();
        if !self.models.sft_is_live() {
            self.models.begin_sft(&mut self.k);
        }
        let rows = self.models.train_sft(&mut self.k, steps).await?;
        self.step_seconds = ((self.clock)() - start) / steps as f64;
        self.tell_sft(rows, events);
        let (done, total) = self.models.sft_progress();
        if done == total && self.playing {
            self.play(false, events);
            if !self.adopt_sft(events).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn step_sft(&mut self, events: &mut Vec<Event>) -> Result<(), BackendError> {
        if !self.models.sft_is_live() {
            self.models.begin_sft(&mut self.k);
        }
        if let Some((batch, rows)) = self.models.step_sft_in_full(&mut self.k).await? {
            events.push(Event::Inside(Stage::Sft, Inside::Sft(batch)));
            self.tell_sft(rows, events);
        }
        Ok(())
    }

    fn tell_sft(&mut self, rows: Vec<MetricRow>, events: &mut Vec<Event>) {
        self.tell_metrics(Stage::Sft, rows, events);
        let (done, total) = self.models.sft_progress();
        self.tell_progress(Work::Sft, done, total, (total - done) as f64 * self.step_seconds, events);
    }

    /// A slice of training a policy, or of making what it needs first.
    async fn train_policy(
        &mut self,
        method: Method,
        planned: usize,
        events: &mut Vec<Event>,
    ) -> Result<(), BackendError> {
        if !self.adopt_sft(events).await? {
            return Ok(());
        }
        if method.info().needs_reward_model && self.models.reward_model_work() != RewardModelWork::Nothing {
            return self.train_reward_model(planned, events).await;
        }
        if self.policies.wants_pairs(&self.models, method) {
            return self.policies.extend_pairs(&mut self.k, &mut self.models, method).await;
        }
        let is_stepping = self.stepping.is_some();
        let order = SliceOrder { most_steps: planned, tells_inside: is_stepping };
        let trained = self.train_slice(method, order, events).await?;
        if trained.steps > 0 {
            self.step_seconds = trained.seconds / trained.steps as f64;
        }
        if !trained.is_whole {
            return Ok(());
        }
        if is_stepping {
            self.play(false, events);
        }
        if trained.is_sound && (is_stepping || trained.is_due) {
            self.measure(Subject::Policy(method));
        }
        Ok(())
    }

    /// A slice of training a policy, told.
    async fn train_slice(
        &mut self,
        method: Method,
        order: SliceOrder,
        events: &mut Vec<Event>,
    ) -> Result<TrainedSlice, BackendError> {
        let start = (self.clock)();
        let Slice { rows, inside, is_whole, is_due } =
            self.policies.train(&mut self.k, &mut self.models, method, order).await?;
        let (seconds, steps) = ((self.clock)() - start, rows.len());
        self.runs[method].seconds += seconds;
        let stage = Subject::Policy(method).stage();
        // The inside of a step on pairs comes before its metrics, as it was before the update; that of a rollout is what it
        // came to.
        let told = inside.map(|inside| Event::Inside(stage, inside));
        let (before, behind) = if method.learns_from_pairs() { (told, None) } else { (None, told) };
        events.extend(before);
        let is_sound = self.tell_metrics(stage, rows, events);
        events.extend(behind.filter(|_| is_sound));
        Ok(TrainedSlice { seconds, steps, is_sound, is_whole, is_due })
    }

    /// A piece of Best-of-N: completions, scores, or the point of an N. When all is measured it stops playing.
    async fn draw_best_of_n(&mut self, events: &mut Vec<Event>) -> Result<(), BackendError> {
        if !self.adopt_sft(events).await? {
            return Ok(());
        }
        if self.models.best_of_n_is_done() {
            self.play(false, events);
            return Ok(());
        }
        let (before, start) = (self.models.best_of_n_progress().0, (self.clock)());
        let made = self.models.advance_best_of_n(&mut self.k).await?;
        let (done, total) = self.models.best_of_n_progress();
        let pace = ((self.clock)() - start) / (done - before).max(1) as f64;
        if done > before {
            self.tell_progress(Work::BestOfN, done, total, (total - done) as f64 * pace, events);
        }
        if let Some((numbers, evaluation)) = made {
            events.push(Event::Point(self.best_of_n_point(numbers, &evaluation)));
            events.push(Event::Inside(Stage::BestOfN, Inside::BestOfN(self.models.best_of_n_told())));
        }
        if self.models.best_of_n_is_done() {
            self.play(false, events);
        }
        Ok(())
    }

    /// A piece of what the reward model needs next; it stops playing when the reward model was what is played.
    async fn train_reward_model(&mut self, planned: usize, events: &mut Vec<Event>) -> Result<(), BackendError> {
        if !self.adopt_sft(events).await? {
            return Ok(());
        }
        let work = self.models.reward_model_work();
        let is_stepping = self.stepping == Some(Stage::RewardModel);
        if is_stepping && work == RewardModelWork::Step {
            if let Some((batch, rows)) = self.models.step_reward_model_in_full(&mut self.k).await? {
                events.push(Event::Inside(Stage::RewardModel, Inside::RewardModel(batch)));
                self.tell_metrics(Stage::RewardModel, rows, events);
            }
            self.play(false, events);
            return Ok(());
        }
        let start = (self.clock)();
        let rows = self.models.advance_reward_model(&mut self.k, planned).await?;
        let elapsed = (self.clock)() - start;
        if work == RewardModelWork::Step {
            self.step_seconds = elapsed / rows.len().max(1) as f64;
        }
        if work == RewardModelWork::Pairs {
            let (done, total) = self.models.reward_model_pairs();
            self.tell_progress(Work::Pairs, done, total, (total - done) as f64 * elapsed, events);
        } else {
            let (done, total) = self.models.reward_model_progress();
            self.tell_progress(Work::RewardModel, done, total, (total - done) as f64 * self.step_seconds, events);
        }
        self.tell_metrics(Stage::RewardModel, rows, events);
        let is_trained = self.models.reward_model_work() == RewardModelWork::Nothing;
        if is_trained && self.active() == Stage::RewardModel {
            self.play(false, events);
        }
        Ok(())
    }
}
