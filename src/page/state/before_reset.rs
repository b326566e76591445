//! What a reset makes the page forget, as long as the reset can be taken back.

use std::collections::BTreeMap;

use super::State;
use crate::engine::protocol::{Batch, BestOfNNumbers, LikelihoodBatch, Round, ScoredBatch, SftBatch, Stage};
use crate::page::view::View;
use klimb_metrics::MetricRow;

/// What was known of the stages that a reset starts over.
#[derive(Debug, Clone)]
pub(super) struct BeforeReset {
    stages: &'static [Stage],
    metrics: BTreeMap<Stage, Vec<MetricRow>>,
    beta_changes: BTreeMap<Stage, Vec<(u64, f64)>>,
    likelihoods: BTreeMap<Stage, LikelihoodBatch>,
    rounds: BTreeMap<Stage, Round>,
    sft: Option<SftBatch>,
    batch: Option<Batch>,
    scored: Option<ScoredBatch>,
    best_of_n: Vec<BestOfNNumbers>,
}

impl BeforeReset {
    /// What `state` knows.
    pub fn of(state: &State, stages: &'static [Stage]) -> Self {
        Self {
            stages,
            metrics: state.metrics.clone(),
            beta_changes: state.beta_changes.clone(),
            likelihoods: state.likelihoods.clone(),
            rounds: state.rounds.clone(),
            sft: state.sft.clone(),
            batch: state.batch.clone(),
            scored: state.scored.clone(),
            best_of_n: state.best_of_n.clone(),
        }
    }

    /// Lets `state` know that of these stages again.
    pub fn give_back(mut self, state: &mut State) {
        for stage in self.stages {
            state.forget(*stage);
            give(&mut self.metrics, &mut state.metrics, *stage);
            give(&mut self.beta_changes, &mut state.beta_changes, *stage);
            give(&mut self.likelihoods, &mut state.likelihoods, *stage);
            give(&mut self.rounds, &mut state.rounds, *stage);
            match stage {
                Stage::Sft => state.sft = self.sft.take(),
                Stage::Dpo => state.batch = self.batch.take(),
                Stage::RewardModel => state.scored = self.scored.take(),
                Stage::BestOfN => state.best_of_n = std::mem::take(&mut self.best_of_n),
                Stage::Base | Stage::Pairs | Stage::Ppo | Stage::PpoGt | Stage::Unlikelihood | Stage::PreferredFt => {}
            }
        }
        state.curves.at = None;
        state.mark(&View::ALL);
    }
}

fn give<T>(from: &mut BTreeMap<Stage, T>, to: &mut BTreeMap<Stage, T>, stage: Stage) {
    if let Some(known) = from.remove(&stage) {
        to.insert(stage, known);
    }
}
