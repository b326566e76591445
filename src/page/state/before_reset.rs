//! What a reset makes the page forget, as long as the reset can be taken back.

use std::collections::BTreeMap;

use super::State;
use crate::engine::protocol::{Batch, BestOfNNumbers, LikelihoodBatch, Round, ScoredBatch, SftBatch, Stage, Work};
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

impl State {
    /// Forgets what these stages trained; their points stay.
    pub(super) fn start_over(&mut self, stages: &[Stage]) {
        stages.iter().for_each(|stage| self.forget(*stage));
        self.works.retain(|work, _| *work == Work::Scaling);
        // What the address asked for in vain is told when the first engine is there, too.
        self.failure = self.failure.take().filter(|_| self.started.is_none());
        self.selected = None;
        self.curves.at = None;
        self.mark(&View::ALL);
    }

    /// Forgets the run of a stage; its points stay.
    pub(super) fn forget(&mut self, stage: Stage) {
        self.metrics.remove(&stage);
        self.keeping.rows_changed(stage, 0);
        self.beta_changes.remove(&stage);
        self.rounds.remove(&stage);
        self.likelihoods.remove(&stage);
        match stage {
            Stage::BestOfN => self.best_of_n.clear(),
            Stage::Sft => self.sft = None,
            Stage::Dpo => self.batch = None,
            Stage::RewardModel => self.scored = None,
            Stage::Base | Stage::Pairs | Stage::Ppo | Stage::PpoGt | Stage::Unlikelihood | Stage::PreferredFt => {}
        }
        self.mark(&[View::Curves, View::Inside, View::Numbers]);
    }
}
