//! What starts over in a running session when a knob is turned.

use crate::engine::stage::{Stage, stages_where};

/// What starts over. A declaration is made of the constants here and of [`stages`](Restarts::stages), joined by
/// [`and`](Restarts::and).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restarts {
    /// The preference pairs are made anew.
    pub pairs: bool,
    /// The samples behind the closed-form optimum are drawn anew, where its curve is not recorded.
    pub optimum: bool,
    /// Points are measured otherwise.
    pub evaluation: bool,
    /// The reference is measured again, and the policies behind earlier points are forgotten.
    pub reference: bool,
    /// The models of a session go with the value, so that a running session keeps its own.
    pub is_kept: bool,
    /// By the number of a stage: whether it begins anew from the reference.
    stages: [bool; Stage::ALL.len()],
}

impl Restarts {
    /// Nothing: what runs goes on, with the new value from its next step on.
    pub const NOTHING: Self = Self {
        pairs: false,
        optimum: false,
        evaluation: false,
        reference: false,
        is_kept: false,
        stages: [false; Stage::ALL.len()],
    };
    /// The pairs, and what learns from them, be it by a reward model. PPO-GT reads no label.
    pub const PAIRS: Self = Self { pairs: true, ..Self::stages(stages_where!(stage => stage.learns_from_labels())) };
    /// The samples behind the closed-form optimum.
    pub const OPTIMUM: Self = Self { optimum: true, ..Self::NOTHING };
    /// The reference's own point, and with it every policy, whose points stand beside it.
    pub const REFERENCE: Self =
        Self { reference: true, ..Self::stages(stages_where!(stage => stage.policy().is_some())) };
    /// How points are measured, and so whatever has points.
    pub const EVALUATION: Self = Self { evaluation: true, ..Self::REFERENCE.and(Self::stages(&[Stage::BestOfN])) };
    /// Nothing, because a running session keeps the value that it began with.
    pub const KEPT: Self = Self { is_kept: true, ..Self::NOTHING };

    /// These stages alone.
    pub const fn stages(stages: &[Stage]) -> Self {
        let mut restarts = Self::NOTHING;
        let mut at = 0;
        while at < stages.len() {
            restarts.stages[stages[at] as usize] = true;
            at += 1;
        }
        restarts
    }

    /// What either of the two starts over.
    pub const fn and(self, other: Self) -> Self {
        let mut stages = self.stages;
        let mut at = 0;
        while at < stages.len() {
            stages[at] |= other.stages[at];
            at += 1;
        }
        Self {
            pairs: self.pairs || other.pairs,
            optimum: self.optimum || other.optimum,
            evaluation: self.evaluation || other.evaluation,
            reference: self.reference || other.reference,
            is_kept: self.is_kept || other.is_kept,
            stages,
        }
    }

    /// Whether a stage begins anew.
    pub const fn has(self, stage: Stage) -> bool {
        self.stages[stage as usize]
    }

    /// The stages that begin anew, in the order of the pipeline.
    pub fn restarted(self) -> impl Iterator<Item = Stage> {
        Stage::ALL.into_iter().filter(move |stage| self.has(*stage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_knobs_start_over_is_what_either_does() {
        let both = Restarts::PAIRS.and(Restarts::OPTIMUM).and(Restarts::stages(&[Stage::BestOfN]));
        assert!(both.pairs && both.optimum && !both.evaluation && !both.reference && !both.is_kept);
        let stages: Vec<Stage> = both.restarted().collect();
        assert_eq!(
            stages,
            [Stage::Dpo, Stage::RewardModel, Stage::Ppo, Stage::Unlikelihood, Stage::PreferredFt, Stage::BestOfN]
        );
        assert_eq!(Restarts::NOTHING.and(Restarts::KEPT), Restarts::KEPT);
        assert_eq!(both.and(Restarts::NOTHING), both);
    }
}
