//! What a person looks into a step with: forward passes that training itself has no need of, before an update and after.

use super::TOLD;
use crate::engine::session::reports::SeenPairs;
use klimb_align::algorithms::PairBatch;
use klimb_align::language::{Comparison, Scorer, Sequence};
use klimb_network::backend::{BackendError, Kernels};

/// A batch of pairs before its step.
pub(super) struct Look {
    pairs: PairBatch,
    all: Vec<Sequence>,
    numbers: Comparison,
    before: Vec<Vec<f64>>,
}

impl Look {
    /// Looks at `pairs` under the policy as it is before the step.
    pub async fn before<K: Kernels>(
        k: &mut K,
        scorer: &mut Scorer<K>,
        (policy, reference): (&K::Floats, &K::Floats),
        pairs: PairBatch,
    ) -> Result<Self, BackendError> {
        let all: Vec<Sequence> = pairs.sequences().cloned().collect();
        let numbers = scorer.compare(k, policy, reference, &SeenPairs::told(&pairs, TOLD)).await?;
        let before = scorer.token_logprobs(k, policy, &all).await?;
        Ok(Self { pairs, all, numbers, before })
    }

    /// What the step is taken on.
    pub fn pairs(&self) -> &PairBatch {
        &self.pairs
    }

    /// Looks at the same pairs under the policy as it is after the step.
    pub async fn after<K: Kernels>(
        self,
        k: &mut K,
        scorer: &mut Scorer<K>,
        policy: &K::Floats,
    ) -> Result<SeenPairs, BackendError> {
        let after = scorer.token_logprobs(k, policy, &self.all).await?;
        Ok(SeenPairs::new(&self.pairs, self.numbers, &self.before, &after))
    }
}
