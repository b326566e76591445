//! What the page is told of the stages.

use super::Session;
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
        let reward_model_is_trained = models.trained_reward_model().is_some();
        let active = self.playing.then(|| self.active());
        let waits = active.is_some_and(|stage| self.waits_for_reward_model(stage));
        let running = if waits { Some(Stage::RewardModel) } else { active };
        let done_or_ready = |is_done| if is_done { StageState::Done } else { StageState::Ready };
        let status = |stage: Stage| {
            let (state, origin, steps) = match stage.kind() {
                StageKind::Base => (StageState::Done, Origin::Recorded, models.base.step as usize),
                StageKind::Sft => match &self.sft {
                    Some(sft) => (done_or_ready(sft.is_over()), Origin::Live, sft.steps() as usize),
                    None => (StageState::Done, Origin::Recorded, models.sft.step as usize),
                },
                StageKind::Pairs => {
                    let (origin, pairs) = if models.pairs_are_loaded() {
                        (Origin::Loaded, models.data.capacity())
                    } else {
                        (Origin::Live, models.data.len())
                    };
                    (done_or_ready(pairs == models.data.capacity()), origin, pairs)
                }
                StageKind::RewardModel => {
                    let steps = self.reward_model.steps(models) as usize;
                    (done_or_ready(reward_model_is_trained), Origin::Live, steps)
                }
                StageKind::Policy(method) => {
                    let state = if waits && active == Some(stage) { StageState::Waiting } else { StageState::Ready };
                    (state, Origin::Live, self.policies.steps(method) as usize)
                }
                StageKind::BestOfN => {
                    (done_or_ready(self.best_of_n.is_done(models)), Origin::Live, self.best_of_n.points())
                }
            };
            let state = if running == Some(stage) { StageState::Running } else { state };
            StageStatus { stage, state, origin, steps }
        };
        Stage::ALL.map(status).into()
    }
}
