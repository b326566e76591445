//! The stages of the pipeline, which settings, protocol and page all speak of.

use klimb_metrics::Method;
use serde::{Deserialize, Serialize};

/// The stages of the pipeline: base, SFT and pairs, then DPO on one road, reward model and PPO on the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// Pre-trained on the mixture of texts; shipped.
    Base,
    /// Supervised fine-tuning on reviews: the reference of DPO.
    Sft,
    /// Preference pairs: completions of the SFT model, labelled by the gold reward.
    Pairs,
    /// Direct preference optimisation on the pairs.
    Dpo,
    /// A model that scores completions, trained on the pairs.
    RewardModel,
    /// Proximal policy optimisation of the reward model's score.
    Ppo,
    /// Proximal policy optimisation of the gold reward itself: what PPO could do with a perfect reward model.
    PpoGt,
    /// Up with the chosen, down with the rejected, and no leash.
    Unlikelihood,
    /// SFT on the chosen.
    PreferredFt,
    /// The best of N completions of the reference: no training at all.
    BestOfN,
}

/// What a stage does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageKind {
    /// It holds the base model.
    Base,
    /// It trains the reference.
    Sft,
    /// It makes preference pairs.
    Pairs,
    /// It trains the model that scores completions.
    RewardModel,
    /// It trains a policy on the reference by a method.
    Policy(Method),
    /// It draws completions of the reference.
    BestOfN,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; STAGES.len()] = {
        let mut all = [Self::Base; STAGES.len()];
        let mut place = 0;
        while place < STAGES.len() {
            all[place] = STAGES[place].stage;
            place += 1;
        }
        all
    };

    /// Its row.
    const fn info(self) -> &'static StageInfo {
        &STAGES[self as usize]
    }

    /// What it is called in the page's ids and in file names.
    pub fn id(self) -> &'static str {
        self.info().id
    }

    /// What it does.
    pub const fn kind(self) -> StageKind {
        self.info().kind
    }

    /// What its policy is among the points of the frontier; `None` where a stage makes no policy.
    pub fn method(self) -> Option<Method> {
        match self.kind() {
            StageKind::Base => Some(Method::Base),
            StageKind::Sft => Some(Method::Sft),
            StageKind::Policy(method) => Some(method),
            StageKind::BestOfN => Some(Method::BestOfN),
            StageKind::Pairs | StageKind::RewardModel => None,
        }
    }

    /// The method by which it trains a policy, in runs that begin at the reference; `None` where it does not.
    pub const fn policy(self) -> Option<Method> {
        if let StageKind::Policy(method) = self.kind() { Some(method) } else { None }
    }

    /// The stage that makes policies of a method; `None` where no stage of the page does.
    pub fn of(method: Method) -> Option<Self> {
        // One stage draws the completions of both kinds of Best-of-N.
        let method = if method == Method::BestOfNScore { Method::BestOfN } else { method };
        Self::ALL.into_iter().find(|stage| stage.method() == Some(method))
    }

    /// The stages that train a policy.
    pub fn of_policies() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|stage| stage.policy().is_some())
    }

    /// The stages that train a policy which β holds.
    pub fn on_leash() -> impl Iterator<Item = Self> {
        Self::of_policies().filter(|stage| stage.policy().is_some_and(Method::has_leash))
    }

    /// Whether it learns from preference pairs, be it by the reward model.
    pub const fn learns_from_labels(self) -> bool {
        match self.kind() {
            StageKind::Policy(method) => method.info().needs_pairs,
            StageKind::RewardModel => true,
            StageKind::Base | StageKind::Sft | StageKind::Pairs | StageKind::BestOfN => false,
        }
    }

    /// The stage that is trained while this one is played: itself, or, before the roads part, the first policy.
    pub const fn trained(self) -> Self {
        match self.kind() {
            StageKind::Base | StageKind::Pairs => Self::Dpo,
            StageKind::Sft | StageKind::RewardModel | StageKind::Policy(_) | StageKind::BestOfN => self,
        }
    }

    /// Whether what it does begins at the reference, which is to be what SFT has learned last.
    pub const fn starts_from_reference(self) -> bool {
        match self.kind() {
            StageKind::Base | StageKind::Sft => false,
            StageKind::Pairs | StageKind::RewardModel | StageKind::Policy(_) | StageKind::BestOfN => true,
        }
    }

    /// Whether a step is so short that it is taken at once. Otherwise the stage is played until the step is there.
    pub const fn is_stepped_at_once(self) -> bool {
        match self.kind() {
            StageKind::Base | StageKind::Sft | StageKind::Pairs => true,
            StageKind::Policy(method) => method.learns_from_pairs(),
            StageKind::RewardModel | StageKind::BestOfN => false,
        }
    }

    /// What starts over with other preference pairs.
    pub fn learned_from_pairs() -> Vec<Self> {
        Self::ALL.into_iter().filter(|stage| stage.learns_from_labels()).collect()
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self.method() {
            Some(method) => method.info().label,
            None if self == Self::RewardModel => "reward model",
            None => "preferences",
        }
    }

    /// What a reset starts over while this stage is in focus: itself with what was made from it, or, before the roads
    /// part, every policy. The reward model outlives the policies.
    pub fn restarted(self) -> Vec<Self> {
        match self.kind() {
            StageKind::Base | StageKind::Sft | StageKind::Pairs => Self::of_policies().collect(),
            StageKind::RewardModel => {
                let judged = |stage: &Self| stage.policy().is_some_and(|method| method.info().needs_reward_model);
                std::iter::once(self).chain(Self::of_policies().filter(judged)).collect()
            }
            StageKind::Policy(_) | StageKind::BestOfN => vec![self],
        }
    }
}

/// The stages of which something holds, as a constant list: `stages_where!(stage => stage.policy().is_some())`.
macro_rules! stages_where {
    ($stage:ident => $holds:expr) => {{
        const COUNT: usize = {
            let (mut count, mut at) = (0, 0);
            while at < Stage::ALL.len() {
                let $stage = Stage::ALL[at];
                if $holds {
                    count += 1;
                }
                at += 1;
            }
            count
        };
        const STAGES: [Stage; COUNT] = {
            let mut stages = [Stage::Base; COUNT];
            let (mut count, mut at) = (0, 0);
            while at < Stage::ALL.len() {
                let $stage = Stage::ALL[at];
                if $holds {
                    stages[count] = $stage;
                    count += 1;
                }
                at += 1;
            }
            stages
        };
        &STAGES
    }};
}
pub(crate) use stages_where;

/// A row of the table of stages.
struct StageInfo {
    stage: Stage,
    /// Its name in the page's ids and in file names.
    id: &'static str,
    kind: StageKind,
}

const fn row(stage: Stage, id: &'static str, kind: StageKind) -> StageInfo {
    StageInfo { stage, id, kind }
}

/// Every stage, in the order of [`Stage`].
const STAGES: [StageInfo; 10] = [
    row(Stage::Base, "base", StageKind::Base),
    row(Stage::Sft, "sft", StageKind::Sft),
    row(Stage::Pairs, "pairs", StageKind::Pairs),
    row(Stage::Dpo, "dpo", StageKind::Policy(Method::Dpo)),
    row(Stage::RewardModel, "reward-model", StageKind::RewardModel),
    row(Stage::Ppo, "ppo", StageKind::Policy(Method::Ppo)),
    row(Stage::PpoGt, "ppo-gt", StageKind::Policy(Method::PpoGt)),
    row(Stage::Unlikelihood, "unlikelihood", StageKind::Policy(Method::Unlikelihood)),
    row(Stage::PreferredFt, "preferred-ft", StageKind::Policy(Method::PreferredFt)),
    row(Stage::BestOfN, "best-of-n", StageKind::BestOfN),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_its_row_in_its_place() {
        for (place, info) in STAGES.iter().enumerate() {
            assert_eq!(info.stage as usize, place, "{}", info.id);
        }
    }

    #[test]
    fn a_stage_that_trains_a_policy_is_found_by_its_method_and_learns_something() {
        for stage in Stage::of_policies() {
            let method = stage.policy().unwrap();
            assert_eq!(Stage::of(method), Some(stage));
            assert!(method.has_runs(), "{}: the table of methods says that it has no runs", method.info().label);
        }
        assert_eq!(Stage::of(Method::BestOfNScore), Some(Stage::BestOfN));
        assert_eq!(Stage::of(Method::PpoGtPtx), None);
    }

    #[test]
    fn what_starts_over_follows_from_what_is_learned_from_what() {
        use Stage::{Dpo, Ppo, PpoGt, PreferredFt, RewardModel, Unlikelihood};
        assert_eq!(Stage::learned_from_pairs(), [Dpo, RewardModel, Ppo, Unlikelihood, PreferredFt]);
        assert_eq!(RewardModel.restarted(), [RewardModel, Ppo]);
        assert_eq!(Stage::Sft.restarted(), [Dpo, Ppo, PpoGt, Unlikelihood, PreferredFt]);
        assert_eq!(PpoGt.restarted(), [PpoGt]);
    }
}
