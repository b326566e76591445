//! Every knob with its name, meaning, range and the stages it matters to.

use super::{BackendChoice, Breadth, Settings, WidthChoice};
use crate::engine::stage::Stage;
use klimb_network::objectives::DpoLoss;
use klimb_text::ConfigError;

/// One knob: its name in the address, what it means, and which values it takes.
#[derive(Debug, Clone, Copy)]
pub struct Knob {
    /// Name in the address and in errors.
    pub name: &'static str,
    /// What stands before its field on the page.
    pub label: &'static str,
    /// One sentence for the person.
    pub meaning: &'static str,
    /// Smallest and largest value; where values have names, of their index.
    pub range: (f64, f64),
    /// The values' names in the address, where they have any.
    pub names: &'static [&'static str],
    /// Only multiples of it make sense; 0 takes any number.
    pub grain: f64,
    /// The stages it matters to.
    pub stages: &'static [Stage],
    get: fn(&Settings) -> f64,
    set: fn(&mut Settings, f64),
}

/// The stages that β holds.
const POLICIES: &[Stage] = &[Stage::Dpo, Stage::Ppo, Stage::PpoGt];
const PPO: &[Stage] = &[Stage::Ppo, Stage::PpoGt];
/// The stages that make points.
const MEASURED: &[Stage] =
    &[Stage::Dpo, Stage::Ppo, Stage::PpoGt, Stage::Unlikelihood, Stage::PreferredFt, Stage::BestOfN];
/// The stages whose reward is what the labels follow.
const BEHIND_LABELS: &[Stage] =
    &[Stage::Pairs, Stage::Dpo, Stage::RewardModel, Stage::Ppo, Stage::PpoGt, Stage::Unlikelihood, Stage::PreferredFt];
/// The stages that learn from labelled pairs, at first or second hand.
const FROM_LABELS: &[Stage] =
    &[Stage::Pairs, Stage::Dpo, Stage::RewardModel, Stage::Ppo, Stage::Unlikelihood, Stage::PreferredFt];
/// The stages that train a policy on pairs.
const ON_PAIRS: &[Stage] = &[Stage::Dpo, Stage::Unlikelihood, Stage::PreferredFt];

/// Every knob, in the order of the address.
pub const KNOBS: [Knob; 30] = [
    Knob {
        name: "seed",
        label: "seed",
        meaning: "Names the run: the same seed and settings give the same run.",
        range: (0.0, u32::MAX as f64),
        grain: 1.0,
        names: &[],
        stages: &Stage::ALL,
        get: |settings| f64::from(settings.seed),
        set: |settings, value| settings.seed = value as u32,
    },
    Knob {
        name: "beta",
        label: "β",
        meaning: "The leash of DPO and PPO: high β keeps the policy close to the reference, low β lets it drift.",
        range: (0.01, 5.0),
        grain: 0.0,
        names: &[],
        stages: POLICIES,
        get: |settings| settings.beta,
        set: |settings, value| settings.beta = value,
    },
    Knob {
        name: "learning_rate",
        label: "learning rate",
        meaning: "How far one step of AdamW moves the parameters, for what learns from pairs.",
        range: (1e-6, 0.1),
        grain: 0.0,
        names: &[],
        stages: ON_PAIRS,
        get: |settings| settings.learning_rate,
        set: |settings, value| settings.learning_rate = value,
    },
    Knob {
        name: "batch_size",
        label: "batch size",
        meaning: "Preference pairs in one step.",
        range: (1.0, 512.0),
        grain: 1.0,
        names: &[],
        stages: ON_PAIRS,
        get: |settings| settings.batch_size as f64,
        set: |settings, value| settings.batch_size = value as usize,
    },
    Knob {
        name: "pairs",
        label: "pairs",
        meaning: "Preference pairs there will be, for DPO and the reward model; when they are used up, they repeat.",
        range: (6.0, 250_000.0),
        grain: 1.0,
        names: &[],
        stages: &[Stage::Pairs, Stage::Dpo, Stage::RewardModel],
        get: |settings| settings.pairs as f64,
        set: |settings, value| settings.pairs = value as usize,
    },
    Knob {
        name: "label_temperature",
        label: "label temperature τ",
        meaning: "Noise of the preference labels: 0 always prefers the higher gold reward.",
        range: (0.0, 10.0),
        grain: 0.0,
        names: &[],
        stages: BEHIND_LABELS,
        get: |settings| settings.label_temperature,
        set: |settings, value| settings.label_temperature = value,
    },
    Knob {
        name: "flip_probability",
        label: "flipped labels",
        meaning: "The share of labels turned round, as by a careless labeller; at 0.5 every label is a coin toss.",
        range: (0.0, 0.5),
        grain: 0.0,
        names: &[],
        stages: FROM_LABELS,
        get: |settings| settings.flip_probability,
        set: |settings, value| settings.flip_probability = value,
    },
    Knob {
        name: "label_smoothing",
        label: "label smoothing ε",
        meaning: "The share of labels DPO assumes to be flipped.",
        range: (0.0, 0.49),
        grain: 0.0,
        names: &[],
        stages: &[Stage::Dpo],
        get: |settings| settings.label_smoothing,
        set: |settings, value| settings.label_smoothing = value,
    },
    Knob {
        name: "loss",
        label: "loss",
        meaning: "How a pair's margin becomes its loss: DPO's sigmoid, the hinge of SLiC, or IPO's square.",
        range: (0.0, 2.0),
        grain: 1.0,
        names: &["sigmoid", "hinge", "ipo"],
        stages: &[Stage::Dpo],
        get: |settings| f64::from(settings.loss as u8),
        set: |settings, value| settings.loss = DpoLoss::ALL[value as usize],
    },
    Knob {
        name: "length_normalised",
        label: "length-normalised",
        meaning: "Whether DPO compares log-probabilities per token, so that length earns nothing.",
        range: (0.0, 1.0),
        grain: 1.0,
        names: OFF_ON,
        stages: &[Stage::Dpo],
        get: |settings| f64::from(settings.length_normalised),
        set: |settings, value| settings.length_normalised = value == 1.0,
    },
    Knob {
        name: "reference_free",
        label: "reference-free",
        meaning: "Whether DPO leaves the reference's log-probabilities out: there is no leash then.",
        range: (0.0, 1.0),
        grain: 1.0,
        names: OFF_ON,
        stages: &[Stage::Dpo],
        get: |settings| f64::from(settings.reference_free),
        set: |settings, value| settings.reference_free = value == 1.0,
    },
    Knob {
        name: "online_pairs",
        label: "pairs by the policy",
        meaning: "Whether the policy in training writes DPO’s pairs, anew for every batch, so that it is judged where it has gone.",
        range: (0.0, 1.0),
        grain: 1.0,
        names: OFF_ON,
        stages: &[Stage::Dpo],
        get: |settings| f64::from(settings.online_pairs),
        set: |settings, value| settings.online_pairs = value == 1.0,
    },
    Knob {
        name: "unlikelihood_alpha",
        label: "α",
        meaning: "The weight of pushing the rejected down, in unlikelihood; at 0 only the chosen count.",
        range: (0.0, 1.0),
        grain: 0.0,
        names: &[],
        stages: &[Stage::Unlikelihood],
        get: |settings| settings.unlikelihood_alpha,
        set: |settings, value| settings.unlikelihood_alpha = value,
    },
    Knob {
        name: "largest_n",
        label: "largest N",
        meaning: "Best-of-N is measured at 2, 4, 8 and so on, up to this N.",
        range: (2.0, 128.0),
        grain: 1.0,
        names: &[],
        stages: &[Stage::BestOfN],
        get: |settings| settings.largest_n as f64,
        set: |settings, value| settings.largest_n = value as usize,
    },
    Knob {
        name: "best_of_n_completions",
        label: "completions a prompt",
        meaning: "Completions of each held-out prompt, at least, behind the KL of Best-of-N.",
        range: (64.0, 16_384.0),
        grain: 1.0,
        names: &[],
        stages: &[Stage::BestOfN],
        get: |settings| settings.best_of_n_completions as f64,
        set: |settings, value| settings.best_of_n_completions = value as usize,
    },
    Knob {
        name: "evaluate_every",
        label: "evaluate every",
        meaning: "Steps on pairs between two points of the frontier.",
        range: (1.0, 1000.0),
        grain: 1.0,
        names: &[],
        stages: ON_PAIRS,
        get: |settings| settings.evaluate_every as f64,
        set: |settings, value| settings.evaluate_every = value as usize,
    },
    Knob {
        name: "evaluation_samples",
        label: "samples a point",
        meaning: "Samples behind one point: more samples, shorter error bars.",
        range: (64.0, 8192.0),
        grain: 1.0,
        names: &[],
        stages: MEASURED,
        get: |settings| settings.evaluation_samples as f64,
        set: |settings, value| settings.evaluation_samples = value as usize,
    },
    Knob {
        name: "reward_model_pairs",
        label: "reward model’s pairs",
        meaning: "Preference pairs the reward model learns from; a tenth is held back to judge it by.",
        range: (12.0, 60_000.0),
        grain: 1.0,
        names: &[],
        stages: &[Stage::RewardModel, Stage::Ppo],
        get: |settings| settings.reward_model_pairs as f64,
        set: |settings, value| settings.reward_model_pairs = value as usize,
    },
    Knob {
        name: "reward_model_epochs",
        label: "reward model’s epochs",
        meaning: "How often the reward model learns from each pair.",
        range: (1.0, 20.0),
        grain: 1.0,
        names: &[],
        stages: &[Stage::RewardModel, Stage::Ppo],
        get: |settings| settings.reward_model_epochs as f64,
        set: |settings, value| settings.reward_model_epochs = value as usize,
    },
    Knob {
        name: "rollout_size",
        label: "rollout size",
        meaning: "Completions the policy writes before it learns from them; a multiple of 4.",
        range: (8.0, 1024.0),
        grain: 4.0,
        names: &[],
        stages: PPO,
        get: |settings| settings.rollout_size as f64,
        set: |settings, value| settings.rollout_size = value as usize,
    },
    Knob {
        name: "ppo_epochs",
        label: "passes a rollout",
        meaning: "How often PPO learns from each rollout before it draws another.",
        range: (1.0, 16.0),
        grain: 1.0,
        names: &[],
        stages: PPO,
        get: |settings| settings.ppo_epochs as f64,
        set: |settings, value| settings.ppo_epochs = value as usize,
    },
    Knob {
        name: "ppo_learning_rate",
        label: "PPO’s learning rate",
        meaning: "How far one step of AdamW moves policy and value model.",
        range: (1e-6, 0.1),
        grain: 0.0,
        names: &[],
        stages: PPO,
        get: |settings| settings.ppo_learning_rate,
        set: |settings, value| settings.ppo_learning_rate = value,
    },
    Knob {
        name: "loophole_bonus",
        label: "loophole bonus",
        meaning: "What labels add to the gold reward for each “overall” in a completion that ends; the gold reward itself gives nothing for it.",
        range: (0.0, 1.0),
        grain: 0.0,
        names: &[],
        stages: FROM_LABELS,
        get: |settings| settings.loophole_bonus,
        set: |settings, value| settings.loophole_bonus = value,
    },
    Knob {
        name: "missing_eos_penalty",
        label: "missing-EOS penalty",
        meaning: "Taken off the score of a completion that runs to the length limit without an end; 0 takes nothing off.",
        range: (0.0, 100.0),
        grain: 0.0,
        names: &[],
        stages: PPO,
        get: |settings| settings.missing_eos_penalty,
        set: |settings, value| settings.missing_eos_penalty = value,
    },
    Knob {
        name: "vf_coef",
        label: "value coefficient",
        meaning: "Weight of PPO’s value loss; at 0 the value model, the critic, never learns.",
        range: (0.0, 10.0),
        grain: 0.0,
        names: &[],
        stages: PPO,
        get: |settings| settings.vf_coef,
        set: |settings, value| settings.vf_coef = value,
    },
    Knob {
        name: "target_kl",
        label: "KL target",
        meaning: "Nats a completion that an adaptive controller steers β towards; 0 keeps β as you set it.",
        range: (0.0, 100.0),
        grain: 0.0,
        names: &[],
        stages: PPO,
        get: |settings| settings.target_kl,
        set: |settings, value| settings.target_kl = value,
    },
    Knob {
        name: "evaluate_rollouts",
        label: "evaluate every, rollouts",
        meaning: "Rollouts between two points of the frontier.",
        range: (1.0, 1000.0),
        grain: 1.0,
        names: &[],
        stages: PPO,
        get: |settings| settings.evaluate_rollouts as f64,
        set: |settings, value| settings.evaluate_rollouts = value as usize,
    },
    Knob {
        name: "backend",
        label: "runs on",
        meaning: "What computes: the GPU where a real one exists (auto), or the one that is named.",
        range: (0.0, 2.0),
        grain: 1.0,
        names: &["auto", "cpu", "gpu"],
        stages: &Stage::ALL,
        get: |settings| f64::from(settings.backend as u8),
        set: |settings, value| settings.backend = BackendChoice::ALL[value as usize],
    },
    Knob {
        name: "width",
        label: "width",
        meaning: "How wide the model is: 64 on a real graphics adapter and 32 elsewhere (auto), or the one named.",
        range: (0.0, 2.0),
        grain: 1.0,
        names: &["auto", "32", "64"],
        stages: &Stage::ALL,
        get: |settings| f64::from(settings.width as u8),
        set: |settings, value| settings.width = WidthChoice::ALL[value as usize],
    },
    Knob {
        name: "breadth",
        label: "text noise",
        meaning: "How much of the text that base and SFT model learn from is random words: 0 %, 3 % or 10 %. More noise, a broader reference.",
        range: (0.0, 2.0),
        grain: 1.0,
        names: &["clean", "default", "broad"],
        stages: &Stage::ALL,
        get: |settings| f64::from(settings.breadth as u8),
        set: |settings, value| settings.breadth = Breadth::ALL[value as usize],
    },
];

/// Names of the values of a switch.
const OFF_ON: &[&str] = &["off", "on"];

impl Knob {
    /// The knob of this name.
    pub fn named(name: &str) -> Option<&'static Knob> {
        KNOBS.iter().find(|knob| knob.name == name)
    }

    /// Its value in `settings`.
    pub fn value(&self, settings: &Settings) -> f64 {
        (self.get)(settings)
    }

    /// Gives its value in one settings to others.
    pub(super) fn give(&self, from: &Settings, to: &mut Settings) {
        (self.set)(to, self.value(from));
    }

    /// Its value in `settings` as the address has it.
    pub fn text(&self, settings: &Settings) -> String {
        let value = self.value(settings);
        self.names.get(value as usize).map_or_else(|| value.to_string(), |name| (*name).to_owned())
    }

    /// Sets it, or says why the value cannot be used; `settings` are unchanged then.
    pub fn set(&self, settings: &mut Settings, value: f64) -> Result<(), ConfigError> {
        self.set_as_typed(settings, value, &value.to_string())
    }

    /// The same of a number that was typed as `shown`, which is named as it was typed: what it becomes as a number may look
    /// otherwise.
    pub(super) fn set_as_typed(&self, settings: &mut Settings, value: f64, shown: &str) -> Result<(), ConfigError> {
        let (low, high) = self.range;
        if !(low..=high).contains(&value) {
            return Err(ConfigError::new(self.name, format!("{shown} is outside {low} to {high}")));
        }
        if self.grain > 0.0 && value % self.grain != 0.0 {
            let reason = match self.grain {
                1.0 => format!("{shown} is not a whole number"),
                grain => format!("{shown} is not a multiple of {grain}"),
            };
            return Err(ConfigError::new(self.name, reason));
        }
        (self.set)(settings, value);
        Ok(())
    }
}
