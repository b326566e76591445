//! The loop that trains: a slice of whatever stage is played, and a single step told in full.

use super::live::{ChunkOfPairs, LiveRun, Pace, SftRun, Slice, SliceEnd, SliceOrder, Standing, Told};
use super::{MOST_STEPS, SLICE_SECONDS, Session, Subject};
use crate::engine::protocol::{Event, Stage, StageKind};
use klimb_network::backend::{BackendError, Kernels};

impl<K: Kernels> Session<K> {
    /// One step of a stage, told in full. What takes longer than a slice is played until the step is there.
    pub(super) async fn step(&mut self, stage: Stage, events: &mut Vec<Event>) -> Result<(), BackendError> {
        self.forget_reset();
        if !stage.is_stepped_at_once() {
            self.play(true, events);
            self.stepping = Some(stage);
            return Ok(());
        }
        if stage.trained().starts_from_reference() && !self.adopt_sft(events).await? {
            return Ok(());
        }
        let order = SliceOrder { most_steps: 1, tells_inside: true };
        while self.train_slice(stage, order, events).await? == Some(SliceEnd::Prepared) {}
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
        let most_steps = ((SLICE_SECONDS / self.step_seconds) as usize).clamp(1, most_steps);
        if stage.trained().starts_from_reference() && !self.adopt_sft(events).await? {
            return Ok(());
        }
        let trained = if self.waits_for_reward_model(stage) { Stage::RewardModel } else { stage.trained() };
        let order = SliceOrder { most_steps, tells_inside: self.stepping == Some(trained) };
        self.train_slice(trained, order, events).await?;
        Ok(())
    }

    /// Whether a stage's policy waits until its reward model is trained.
    pub(super) fn waits_for_reward_model(&self, stage: Stage) -> bool {
        let needs_one = stage.policy().is_some_and(|method| method.info().needs_reward_model);
        needs_one && self.models.trained_reward_model().is_none()
    }

    /// A slice of a stage's work, told, and what follows from how it ended: a policy is measured, or playing ends. `None` where
    /// the stage has no work.
    async fn train_slice(
        &mut self,
        stage: Stage,
        order: SliceOrder,
        events: &mut Vec<Event>,
    ) -> Result<Option<SliceEnd>, BackendError> {
        let start = (self.clock)();
        let Some(slice) = self.advance_run(stage, order).await? else { return Ok(None) };
        let seconds = (self.clock)() - start;
        let Slice { told, timed_steps, end, is_over } = slice;
        if timed_steps > 0 {
            self.step_seconds = seconds / timed_steps as f64;
        }
        if let Some(method) = stage.policy().filter(|_| end != SliceEnd::Prepared) {
            self.runs[method].seconds += seconds;
        }
        let is_sound = self.tell_slice(stage, told, seconds, events);
        if let SliceEnd::Whole { is_due } = end {
            if order.tells_inside && self.playing {
                self.play(false, events);
            }
            let is_measured = is_sound && (order.tells_inside || is_due);
            if let Some(method) = stage.policy().filter(|_| is_measured) {
                self.measure(Subject::Policy(method));
            }
        }
        if is_over && self.playing && self.active() == stage {
            self.play(false, events);
            // The reference stays what it was where what SFT has learned is of no use.
            self.adopt_sft(events).await?;
        }
        Ok(Some(end))
    }

    /// A slice of a stage's work, by the run that does it. `None` where the stage has no work.
    async fn advance_run(&mut self, stage: Stage, order: SliceOrder) -> Result<Option<Slice>, BackendError> {
        let (k, models) = (&mut self.k, &mut self.models);
        let run: &mut dyn LiveRun<K> = match stage.kind() {
            StageKind::Base => return Ok(None),
            StageKind::Pairs => &mut ChunkOfPairs,
            StageKind::Sft => self.sft.get_or_insert_with(|| SftRun::new(k, models)),
            StageKind::RewardModel => &mut self.reward_model,
            StageKind::BestOfN => &mut self.best_of_n,
            StageKind::Policy(method) => return self.policies.advance(k, models, method, order).await.map(Some),
        };
        run.advance(k, models, order).await.map(Some)
    }

    /// Tells what a slice of so many seconds came to. Answers whether every metric is finite: otherwise there is nothing new to
    /// measure.
    fn tell_slice(&mut self, stage: Stage, told: Vec<Told>, seconds: f64, events: &mut Vec<Event>) -> bool {
        let mut is_sound = true;
        for it in told {
            match it {
                Told::Metrics(rows) => is_sound &= self.tell_metrics(stage, rows, events),
                Told::Inside(inside) => events.extend(is_sound.then_some(Event::Inside(stage, inside))),
                Told::Point(point) => events.push(Event::Point(point)),
                Told::Progress(Standing { work, done, total, pace }) => {
                    let seconds_each = match pace {
                        Pace::Steps => self.step_seconds,
                        Pace::Slice(units) => seconds / units as f64,
                    };
                    self.tell_progress(work, done, total, (total - done) as f64 * seconds_each, events);
                }
            }
        }
        is_sound
    }
}
