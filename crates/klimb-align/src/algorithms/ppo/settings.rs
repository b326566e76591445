//! What proximal policy optimisation is told.

use serde::{Deserialize, Serialize};

use crate::language::{Adamw, Schedule};
use klimb_text::{ConfigError, Message, message};

/// Where values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueNetwork {
    /// A value model of its own beside the policy, with an optimiser of its own (Ouyang et al. 2022).
    Own,
    /// A scalar head on the policy: one trunk, one optimiser, one loss (Ziegler et al. 2019). Half the memory, and less
    /// steady: when KL runs away once, the value loss of such returns takes the trunk over. At the default learning rate
    /// and β 1, one run ended so; at half of it none did.
    Shared,
}

/// Settings of PPO.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PpoSettings {
    /// Episodes a rollout.
    pub episodes: usize,
    /// Passes over each rollout.
    pub epochs: usize,
    /// Minibatches, and so optimiser steps, a pass.
    pub minibatches: usize,
    /// How far the ratio π/π_old may leave 1 before a token stops pulling.
    pub clip_range: f64,
    /// How far a value may leave its old value before a token stops pulling; `None` never clips.
    pub value_clip_range: Option<f64>,
    /// Weight of the value loss; with a value model of its own, only against the limit of the gradient's norm. At 0 the
    /// values are never learned.
    pub value_coefficient: f64,
    /// Weight of the entropy bonus; 0 is none.
    pub entropy_coefficient: f64,
    /// Discount γ.
    pub gamma: f64,
    /// λ of generalised advantage estimation.
    pub gae_lambda: f64,
    /// β: what a nat of KL from the reference costs in score; the first of them if there is a target.
    #[serde(rename = "kl_coefficient")]
    pub beta: f64,
    /// KL in nats a completion that the adaptive controller steers towards; `None` keeps β.
    pub target_kl: Option<f64>,
    /// Episodes over which the controller would correct an error of 100 %.
    pub kl_horizon: f64,
    /// What is taken off the score of a completion that runs to the length limit without its end token, as TRL has it
    /// (von Werra et al. 2020, `missing_eos_penalty`); 0 takes nothing off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing_eos_penalty: f64,
    /// Whether rewards are divided by their standard deviation over the rollout. **Changes what β means**: the leash
    /// then depends on how much rewards happen to vary.
    pub whiten_rewards: bool,
    /// Weight γ of the demonstrations' likelihood, as many reviews a step as episodes (PPO-ptx, Ouyang et al. 2022,
    /// equation 2); 0 is none.
    pub ptx_coefficient: f64,
    /// Where values come from.
    pub value_network: ValueNetwork,
    /// Learning rate over the run's optimiser steps, of policy and value model.
    pub schedule: Schedule,
    /// The optimiser's constants, of policy and value model.
    pub adamw: Adamw,
}

/// So that the settings of earlier runs, which had no such penalty, are written as they were.
fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

impl Default for PpoSettings {
    fn default() -> Self {
        Self {
            episodes: 256,
            epochs: 4,
            minibatches: 4,
            clip_range: 0.2,
            value_clip_range: None,
            value_coefficient: 0.1,
            entropy_coefficient: 0.0,
            gamma: 1.0,
            gae_lambda: 0.95,
            beta: 0.3,
            target_kl: None,
            kl_horizon: 1024.0,
            missing_eos_penalty: 0.0,
            whiten_rewards: false,
            ptx_coefficient: 0.0,
            value_network: ValueNetwork::Own,
            schedule: Schedule { peak: 1e-3, floor: 1e-4, warm_up: 0, steps: 960 },
            adamw: Adamw { beta2: 0.999, weight_decay: 0.0, ..Adamw::default() },
        }
    }
}

impl PpoSettings {
    /// The settings, or all that cannot be used.
    pub fn validated(self) -> Result<Self, ConfigError> {
        let check = |field, is_good: bool, reason: Message| {
            if is_good { Ok(()) } else { Err(ConfigError::new(field, reason)) }
        };
        let positive = |field, value: f64| {
            check(field, value > 0.0 && value.is_finite(), message!("{} is not a positive number", value))
        };
        let not_negative = |field, value: f64| {
            check(field, value >= 0.0 && value.is_finite(), message!("{} is not a number from 0 on", value))
        };
        let share = |field, value: f64| {
            check(field, (0.0..=1.0).contains(&value), message!("{} is not between 0 and 1", value))
        };
        let are_whole = self.episodes.is_multiple_of(self.minibatches);
        let minibatches = if are_whole {
            Ok(())
        } else {
            let reason = message!("{} do not divide {} episodes", self.minibatches, self.episodes);
            Err(ConfigError::of_several("minibatches", reason))
        };
        // With a target the controller multiplies beta: from 0 it cannot move.
        let (target, beta) = match self.target_kl {
            Some(target) => (positive("target kl", target), positive("beta", self.beta)),
            None => (Ok(()), not_negative("beta", self.beta)),
        };
        ConfigError::all([
            positive("episodes", self.episodes as f64),
            positive("epochs", self.epochs as f64),
            positive("minibatches", self.minibatches as f64),
            minibatches,
            positive("clip range", self.clip_range),
            self.value_clip_range.map_or(Ok(()), |range| positive("value clip range", range)),
            not_negative("value coefficient", self.value_coefficient),
            not_negative("entropy coefficient", self.entropy_coefficient),
            share("gamma", self.gamma),
            share("gae lambda", self.gae_lambda),
            target,
            beta,
            positive("kl horizon", self.kl_horizon),
            not_negative("missing eos penalty", self.missing_eos_penalty),
            not_negative("ptx coefficient", self.ptx_coefficient),
            positive("learning rate", self.schedule.peak),
        ])?;
        Ok(self)
    }

    /// Episodes a minibatch.
    pub fn minibatch(&self) -> usize {
        self.episodes / self.minibatches
    }

    /// Optimiser steps a rollout.
    pub fn steps_per_rollout(&self) -> u64 {
        (self.epochs * self.minibatches) as u64
    }
}
