//! Stages that start over, and what they were before, as long as somebody holds it.

use super::Session;
use super::live::{BestOfNRun, RewardModelRun};
use super::policies::FormerPolicies;
use crate::engine::protocol::Stage;
use klimb_lab::TrainedRewardModel;
use klimb_network::backend::Kernels;

/// What stages had come to when they started over.
pub(super) struct PutAside<K: Kernels> {
    policies: FormerPolicies<K>,
    reward_model: Option<Box<FormerRewardModel<K>>>,
    best_of_n: Option<BestOfNRun<K>>,
}

/// The reward model as it was.
struct FormerRewardModel<K: Kernels> {
    run: RewardModelRun<K>,
    /// The finished one and the steps it took.
    trained: Option<(TrainedRewardModel, u64)>,
}

impl<K: Kernels> Session<K> {
    /// Starts stages over from the reference. Answers with what they were.
    pub(super) fn start_over(&mut self, stages: &[Stage]) -> PutAside<K> {
        self.k.forget();
        let methods = stages.iter().filter_map(|stage| stage.policy());
        let policies = self.policies.restart(&mut self.k, &self.models, methods);
        let reward_model = stages.contains(&Stage::RewardModel).then(|| {
            let (run, trained) = (std::mem::take(&mut self.reward_model), self.models.reward_model.take());
            Box::new(FormerRewardModel { run, trained })
        });
        let best_of_n = stages.contains(&Stage::BestOfN).then(|| std::mem::take(&mut self.best_of_n));
        PutAside { policies, reward_model, best_of_n }
    }

    /// Lets stages go on as they were.
    pub(super) fn go_on_as_before(&mut self, former: PutAside<K>) {
        let PutAside { policies, reward_model, best_of_n } = former;
        if let Some(former) = reward_model {
            (self.reward_model, self.models.reward_model) = (former.run, former.trained);
        }
        if let Some(best_of_n) = best_of_n {
            self.best_of_n = best_of_n;
        }
        self.policies.take_back(policies);
        self.k.forget();
    }
}
