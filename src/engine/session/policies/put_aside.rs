//! Stages that start over, and what they were before, as long as somebody holds it.

use super::{AnyRun, FIRST, Policies};
use crate::engine::protocol::Stage;
use crate::engine::session::models::{LiveBestOfN, Models, RewardModelState};
use klimb_metrics::Method;
use klimb_network::backend::Kernels;

/// What stages had come to when they started over.
pub(in crate::engine::session) struct PutAside<K: Kernels> {
    /// `None` where the policy had not begun.
    policies: Vec<(Method, Option<AnyRun<K>>)>,
    reward_model: Option<Box<RewardModelState<K>>>,
    /// Within, `None` where no completion had been drawn.
    best_of_n: Option<Option<LiveBestOfN<K>>>,
}

impl<K: Kernels> Policies<K> {
    /// Starts stages over from the reference, on the same pairs in the same order. Answers with what they were.
    pub fn restart(&mut self, k: &mut K, models: &mut Models<K>, stages: &[Stage]) -> PutAside<K> {
        k.forget();
        let methods = stages.iter().filter_map(|stage| stage.policy());
        let policies: Vec<_> = methods.map(|method| (method, self.0.remove(&method))).collect();
        self.begin(k, models, FIRST);
        PutAside {
            policies,
            reward_model: stages.contains(&Stage::RewardModel).then(|| Box::new(models.restart_reward_model())),
            best_of_n: stages.contains(&Stage::BestOfN).then(|| models.restart_best_of_n()),
        }
    }

    /// Lets stages go on as they were. What can be set in the midst of a run is as it is set now.
    pub fn take_back(&mut self, k: &mut K, models: &mut Models<K>, former: PutAside<K>) {
        for (method, run) in former.policies {
            match run {
                Some(run) => drop(self.0.insert(method, run)),
                None => drop(self.0.remove(&method)),
            }
        }
        if let Some(state) = former.reward_model {
            models.take_reward_model_back(*state);
        }
        if let Some(best_of_n) = former.best_of_n {
            models.take_best_of_n_back(best_of_n);
        }
        self.configure(&models.settings);
        k.forget();
    }
}
