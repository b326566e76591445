//! What the page is told of the stages.

use super::Session;
use super::pipeline::{Policy, RewardModelWork};
use crate::engine::protocol::{Event, Origin, Stage, StageState, StageStatus};
use klimb_network::backend::Kernels;

impl<K: Kernels> Session<K> {
    /// Tells every stage that changed since the last time, and before them the reference, if it is another.
    pub(super) fn tell_stages(&mut self, events: &mut Vec<Event>) {
        let reference = self.pipeline.reference_fingerprint();
        if self.told_reference != reference {
            reference.clone_into(&mut self.told_reference);
            events.push(Event::Reference(self.told_reference.clone()));
        }
        let stages = self.stages();
        let changed = stages.iter().filter(|status| !self.told.contains(status)).cloned().map(Event::Stage);
        events.extend(changed);
        self.told = stages;
    }

    pub(super) fn stages(&self) -> Vec<StageStatus> {
        let pipeline = &self.pipeline;
        let reward_model_is_trained = pipeline.reward_model_work() == RewardModelWork::Nothing;
        let active = self.playing.then(|| self.active());
        // PPO waits while its reward model is trained.
        let ppo_waits = active == Some(Stage::Ppo) && !reward_model_is_trained;
        let running = if ppo_waits { Some(Stage::RewardModel) } else { active };
        let done_or_ready = |is_done| if is_done { StageState::Done } else { StageState::Ready };
        let status = |stage, otherwise, origin, steps| {
            let state = if running == Some(stage) { StageState::Running } else { otherwise };
            StageStatus { stage, state, origin, steps }
        };
        let (sft_origin, sft_done) = if pipeline.sft_is_live() {
            let (done, total) = pipeline.sft_progress();
            (Origin::Live, done == total)
        } else {
            (Origin::Recorded, true)
        };
        let (pairs_origin, pairs) = if pipeline.pairs_are_loaded() {
            (Origin::Loaded, pipeline.data.capacity())
        } else {
            (Origin::Live, pipeline.data.len())
        };
        let ppo = if ppo_waits { StageState::Waiting } else { StageState::Ready };
        let steps = |policy| pipeline.steps(policy) as usize;
        let reward_model_steps = pipeline.reward_model_steps() as usize;
        vec![
            status(Stage::Base, StageState::Done, Origin::Recorded, pipeline.base.step as usize),
            status(Stage::Sft, done_or_ready(sft_done), sft_origin, pipeline.sft_steps() as usize),
            status(Stage::Pairs, done_or_ready(pairs == pipeline.data.capacity()), pairs_origin, pairs),
            status(Stage::Dpo, StageState::Ready, Origin::Live, steps(Policy::Dpo)),
            status(Stage::RewardModel, done_or_ready(reward_model_is_trained), Origin::Live, reward_model_steps),
            status(Stage::Ppo, ppo, Origin::Live, steps(Policy::Ppo)),
            status(Stage::PpoGt, StageState::Ready, Origin::Live, steps(Policy::PpoGt)),
            status(Stage::Unlikelihood, StageState::Ready, Origin::Live, steps(Policy::Unlikelihood)),
            status(Stage::PreferredFt, StageState::Ready, Origin::Live, steps(Policy::PreferredFt)),
            status(
                Stage::BestOfN,
                done_or_ready(pipeline.best_of_n_is_done()),
                Origin::Live,
                pipeline.best_of_n_points(),
            ),
        ]
    }
}
