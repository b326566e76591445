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

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 10] = [
        Self::Base,
        Self::Sft,
        Self::Pairs,
        Self::Dpo,
        Self::RewardModel,
        Self::Ppo,
        Self::PpoGt,
        Self::Unlikelihood,
        Self::PreferredFt,
        Self::BestOfN,
    ];

    /// What it is called in the page's ids and in file names.
    pub fn id(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Sft => "sft",
            Self::Pairs => "pairs",
            Self::Dpo => "dpo",
            Self::RewardModel => "reward-model",
            Self::Ppo => "ppo",
            Self::PpoGt => "ppo-gt",
            Self::Unlikelihood => "unlikelihood",
            Self::PreferredFt => "preferred-ft",
            Self::BestOfN => "best-of-n",
        }
    }

    /// What its policy is among the points of the frontier; `None` where a stage makes no policy.
    pub fn method(self) -> Option<Method> {
        match self {
            Self::Base => Some(Method::Base),
            Self::Sft => Some(Method::Sft),
            Self::Pairs | Self::RewardModel => None,
            Self::Dpo => Some(Method::Dpo),
            Self::Ppo => Some(Method::Ppo),
            Self::PpoGt => Some(Method::PpoGt),
            Self::Unlikelihood => Some(Method::Unlikelihood),
            Self::PreferredFt => Some(Method::PreferredFt),
            Self::BestOfN => Some(Method::BestOfN),
        }
    }

    /// The stage that makes policies of a method; `None` where no stage of the page does.
    pub fn of(method: Method) -> Option<Self> {
        match method {
            Method::Base => Some(Self::Base),
            Method::Sft => Some(Self::Sft),
            Method::Dpo => Some(Self::Dpo),
            Method::Ppo => Some(Self::Ppo),
            Method::PpoGt => Some(Self::PpoGt),
            Method::Unlikelihood => Some(Self::Unlikelihood),
            Method::PreferredFt => Some(Self::PreferredFt),
            Method::BestOfN | Method::BestOfNScore => Some(Self::BestOfN),
            Method::BaseCued | Method::PpoGtPtx => None,
        }
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
    pub fn restarted(self) -> &'static [Self] {
        match self {
            Self::Dpo => &[Self::Dpo],
            Self::RewardModel => &[Self::RewardModel, Self::Ppo],
            Self::Ppo => &[Self::Ppo],
            Self::PpoGt => &[Self::PpoGt],
            Self::Unlikelihood => &[Self::Unlikelihood],
            Self::PreferredFt => &[Self::PreferredFt],
            Self::BestOfN => &[Self::BestOfN],
            Self::Base | Self::Sft | Self::Pairs => {
                &[Self::Dpo, Self::Ppo, Self::PpoGt, Self::Unlikelihood, Self::PreferredFt]
            }
        }
    }
}
