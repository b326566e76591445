//! What the page is told of the stages.

use super::Session;
use super::models::RewardModelWork;
use crate::engine::protocol::{Event, Origin, Stage, StageKind, StageState, StageStatus};
use klimb_network::backend::Kernels;

impl<K: Kernels> Session<K> {
    /// Tells every stage that changed since the last time, and before them the reference, if it is another.
    pub(super) fn tell_stages(&mut self, events: &mut Vec<Event>) {
        let reference = self.models.reference_fingerprint();
        if self.reported_reference != reference {
            reference.clone_into(&mut self.reported_reference);
            events.push(Event::Reference(self.reported_reference.clone()));
        }
        let stages = self.stages();
        let changed = stages.iter().filter(|status| !self.reported_stages.contains(status)).cloned().map(Event::Stage);
        events.extend(changed);
        self.reported_stages = stages;
    }

    pub(super) fn stages(&self) -> Vec<StageStatus> {
        let models = &self.models;
        let reward_model_is_trained = models.reward_model_work() == RewardModelWork::Nothing;
        let active = self.playing.then(|| self.active());
        // A policy waits while its reward model is trained.
        let needs_reward_model = |stage: Stage| stage.policy().is_some_and(|method| method.info().needs_reward_model);
        let waits = active.is_some_and(needs_reward_model) && !reward_model_is_trained;
        let running = if waits { Some(Stage::RewardModel) } else { active };
        let done_or_ready = |is_done| if is_done { StageState::Done } else { StageState::Ready };
        let status = |stage: Stage| {
            let (state, origin, steps) = match stage.kind() {
                StageKind::Base => (StageState::Done, Origin::Recorded, models.base.step as usize),
                StageKind::Sft => {
                    let (done, total) = models.sft_progress();
                    let is_live = models.sft_is_live();
                    let origin = if is_live { Origin::Live } else { Origin::Recorded };
                    (done_or_ready(!is_live || done == total), origin, models.sft_steps() as usize)
                }
                StageKind::Pairs => {
                    let (origin, pairs) = if models.pairs_are_loaded() {
                        (Origin::Loaded, models.data.capacity())
                    } else {
                        (Origin::Live, models.data.len())
                    };
                    (done_or_ready(pairs == models.data.capacity()), origin, pairs)
                }
                StageKind::RewardModel => {
                    (done_or_ready(reward_model_is_trained), Origin::Live, models.reward_model_steps() as usize)
                }
                StageKind::Policy(method) => {
                    let state = if waits && active == Some(stage) { StageState::Waiting } else { StageState::Ready };
                    (state, Origin::Live, self.policies.steps(method) as usize)
                }
                StageKind::BestOfN => {
                    (done_or_ready(models.best_of_n_is_done()), Origin::Live, models.best_of_n_points())
                }
            };
            let state = if running == Some(stage) { StageState::Running } else { state };
            StageStatus { stage, state, origin, steps }
        };
        Stage::ALL.map(status).into()
    }
}
