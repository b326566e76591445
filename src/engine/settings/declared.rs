//! Every knob, declared once: a field of [`Settings`] with its default, and a row of [`KNOBS`]. Address, fields of the page,
//! validation, what a turned knob starts over, and the book's list come from here.
//!
//! More than 400 lines, because it is one table.

use serde::{Deserialize, Serialize};

use super::choices::{Value, Values};
use super::{BackendChoice, Breadth, Knob, Restarts, Section, WidthChoice};
use crate::engine::stage::{Stage, StageKind, stages_where};
use klimb_network::objectives::DpoLoss;

/// The stages that β holds.
const ON_LEASH: &[Stage] = stages_where!(stage => matches!(stage.policy(), Some(method) if method.has_leash()));
/// The stages that train a policy on what it writes itself.
const PPO: &[Stage] = stages_where!(stage => matches!(stage.policy(), Some(method) if method.learns_from_rollouts()));
/// The stages that make points.
const MEASURED: &[Stage] = stages_where!(stage => matches!(stage.kind(), StageKind::Policy(_) | StageKind::BestOfN));
/// The stages whose reward is what the labels follow.
const BEHIND_LABELS: &[Stage] =
    stages_where!(stage => matches!(stage.kind(), StageKind::Pairs | StageKind::RewardModel | StageKind::Policy(_)));
/// The stages that learn from labelled pairs, at first or second hand, and that which makes them.
const FROM_LABELS: &[Stage] =
    stages_where!(stage => matches!(stage.kind(), StageKind::Pairs) || stage.learns_from_labels());
/// The stages that train a policy on pairs.
const ON_PAIRS: &[Stage] = stages_where!(stage => matches!(stage.policy(), Some(method) if method.learns_from_pairs()));
/// Those of them that no leash holds: what they can be set to is set for a whole run.
const ON_PAIRS_WITHOUT_LEASH: &[Stage] = stages_where!(
    stage => matches!(stage.policy(), Some(method) if method.learns_from_pairs() && !method.has_leash())
);
/// The stages whose loss is of the margin between implicit rewards, with those that make their pairs or learn from the same.
const PAIRS_AND_MARGINS: &[Stage] = stages_where!(stage => match stage.kind() {
    StageKind::Pairs | StageKind::RewardModel => true,
    StageKind::Policy(method) => method.has_implicit_rewards(),
    StageKind::Base | StageKind::Sft | StageKind::BestOfN => false,
});
/// The stages whose policy can write the pairs that it learns from.
pub const PAIRS_BY_POLICY: &[Stage] = &[Stage::Dpo];
/// The reward model, and the policies that it judges.
const REWARD_MODEL: &[Stage] = stages_where!(stage => match stage.kind() {
    StageKind::RewardModel => true,
    StageKind::Policy(method) => method.info().needs_reward_model,
    StageKind::Base | StageKind::Sft | StageKind::Pairs | StageKind::BestOfN => false,
});

/// Makes the fields of [`Settings`] and the rows of the table. A declaration that leaves something out, such as what starts over,
/// does not compile.
macro_rules! settings {
    ($($(#[$doc:meta])+ $name:ident: $type:ty = $default:expr, {
        label: $label:expr,
        meaning: $meaning:expr,
        values: $values:expr,
        stages: $stages:expr,
        section: $section:expr,
        tells_runs_apart: $tells_runs_apart:expr,
        restarts: $restarts:expr,
    })+) => {
        /// Every knob of a session.
        ///
        /// Where they were written down before a knob was there, that has its default.
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Settings {
            $($(#[$doc])+ pub $name: $type,)+
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        const DECLARED: &[Knob] = &[$(Knob {
            name: stringify!($name),
            label: $label,
            meaning: $meaning,
            values: $values,
            stages: $stages,
            section: $section,
            tells_runs_apart: $tells_runs_apart,
            restarts: $restarts,
            get: |settings| settings.$name.number(),
            set: |settings, value| settings.$name = Value::of(value),
        },)+];
    };
}

/// Every knob, in the order of the address: the engine's come last there, as they do not in files.
pub const KNOBS: [Knob; DECLARED.len()] = {
    let mut knobs = [DECLARED[0]; DECLARED.len()];
    let mut placed = 0;
    let mut of_the_engine = false;
    loop {
        let mut at = 0;
        while at < DECLARED.len() {
            if matches!(DECLARED[at].section, Section::Engine) == of_the_engine {
                knobs[placed] = DECLARED[at];
                placed += 1;
            }
            at += 1;
        }
        if of_the_engine {
            break knobs;
        }
        of_the_engine = true;
    }
};

// In the order in which files have them.
settings! {
    /// Names the run: equal seeds and settings give equal runs on one backend.
    seed: u32 = 1, {
        label: "seed",
        meaning: "Names the run: the same seed and settings give the same run.",
        values: Values::whole(0.0, u32::MAX as f64),
        stages: &Stage::ALL,
        section: Section::Run,
        tells_runs_apart: true,
        restarts: Restarts::PAIRS.and(Restarts::OPTIMUM).and(Restarts::REFERENCE).and(Restarts::stages(&[Stage::BestOfN])),
    }

    /// Which backend computes.
    backend: BackendChoice = BackendChoice::Auto, {
        label: "runs on",
        meaning: "What computes: the GPU where a real one exists (auto), or the one that is named.",
        values: Values::named::<BackendChoice>(),
        stages: &Stage::ALL,
        section: Section::Engine,
        tells_runs_apart: false,
        restarts: Restarts::NOTHING,
    }

    /// Which of the shipped models is trained.
    width: WidthChoice = WidthChoice::Auto, {
        label: "width",
        meaning: "How wide the model is: 64 on a real graphics adapter and 32 elsewhere (auto), or the one named.",
        values: Values::named::<WidthChoice>(),
        stages: &Stage::ALL,
        section: Section::Engine,
        tells_runs_apart: true,
        restarts: Restarts::NOTHING,
    }

    /// How broad the reference is: which text the shipped models have learned from.
    breadth: Breadth = Breadth::Default, {
        label: "text noise",
        meaning: "How much of the text that base and SFT model learn from is random words: 0 %, 3 % or 10 %. More noise, a broader reference.",
        values: Values::named::<Breadth>(),
        stages: &Stage::ALL,
        section: Section::Engine,
        tells_runs_apart: true,
        restarts: Restarts::KEPT,
    }

    /// β of DPO and of PPO: the length of the leash, high = short.
    beta: f64 = 0.5, {
        label: "β",
        meaning: "The leash of DPO and PPO: high β keeps the policy close to the reference, low β lets it drift.",
        values: Values::any(0.01, 5.0),
        stages: ON_LEASH,
        section: Section::Slider,
        tells_runs_apart: false,
        restarts: Restarts::NOTHING,
    }

    /// AdamW's peak learning rate for DPO.
    learning_rate: f64 = 1e-3, {
        label: "learning rate",
        meaning: "How far one step of AdamW moves the parameters, for what learns from pairs.",
        values: Values::any(1e-6, 0.1),
        stages: ON_PAIRS,
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::stages(ON_PAIRS_WITHOUT_LEASH),
    }

    /// Pairs in a DPO step.
    batch_size: usize = 128, {
        label: "batch size",
        meaning: "Preference pairs in one step.",
        values: Values::whole(1.0, 512.0),
        stages: ON_PAIRS,
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::stages(ON_PAIRS),
    }

    /// Preference pairs made before DPO begins.
    pairs: usize = 61_440, {
        label: "pairs",
        meaning: "Preference pairs there will be, for DPO and the reward model; when they are used up, they repeat.",
        values: Values::whole(6.0, 250_000.0),
        stages: PAIRS_AND_MARGINS,
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::PAIRS.and(Restarts::OPTIMUM).and(Restarts::REFERENCE),
    }

    /// Label temperature τ: p(A preferred to B) = σ((gold_A − gold_B)/τ); 0 is noise-free.
    label_temperature: f64 = 0.1, {
        label: "label temperature τ",
        meaning: "Noise of the preference labels: 0 always prefers the higher gold reward.",
        values: Values::any(0.0, 10.0),
        stages: BEHIND_LABELS,
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::PAIRS.and(Restarts::OPTIMUM).and(Restarts::REFERENCE),
    }

    /// Share of labels turned round whatever the gold rewards say, as a careless labeller would; .5 is coin tosses.
    flip_probability: f64 = 0.0, {
        label: "flipped labels",
        meaning: "The share of labels turned round, as by a careless labeller; at 0.5 every label is a coin toss.",
        values: Values::any(0.0, 0.5),
        stages: FROM_LABELS,
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::PAIRS,
    }

    /// DPO's label smoothing ε.
    label_smoothing: f64 = 0.0, {
        label: "label smoothing ε",
        meaning: "The share of labels DPO assumes to be flipped.",
        values: Values::any(0.0, 0.49),
        stages: &[Stage::Dpo],
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::NOTHING,
    }

    /// How a margin becomes a loss: DPO's own, hinge or IPO.
    loss: DpoLoss = DpoLoss::Sigmoid, {
        label: "loss",
        meaning: "How a pair's margin becomes its loss: DPO's sigmoid, the hinge of SLiC, or IPO's square.",
        values: Values::named::<DpoLoss>(),
        stages: &[Stage::Dpo],
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::NOTHING,
    }

    /// Whether DPO takes log-probabilities per token instead of summed.
    length_normalised: bool = false, {
        label: "length-normalised",
        meaning: "Whether DPO compares log-probabilities per token, so that length earns nothing.",
        values: Values::named::<bool>(),
        stages: &[Stage::Dpo],
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::NOTHING,
    }

    /// Whether DPO leaves the reference out.
    reference_free: bool = false, {
        label: "reference-free",
        meaning: "Whether DPO leaves the reference's log-probabilities out: there is no leash then.",
        values: Values::named::<bool>(),
        stages: &[Stage::Dpo],
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::NOTHING,
    }

    /// Whether DPO's pairs are written anew by the policy in training, instead of once by the reference: online DPO.
    online_pairs: bool = false, {
        label: "pairs by the policy",
        meaning: "Whether the policy in training writes DPO’s pairs, anew for every batch, so that it is judged where it has gone.",
        values: Values::named::<bool>(),
        stages: PAIRS_BY_POLICY,
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::stages(PAIRS_BY_POLICY),
    }

    /// α of unlikelihood: the weight of pushing the rejected down.
    unlikelihood_alpha: f64 = 0.1, {
        label: "α",
        meaning: "The weight of pushing the rejected down, in unlikelihood; at 0 only the chosen count.",
        values: Values::any(0.0, 1.0),
        stages: &[Stage::Unlikelihood],
        section: Section::Settings,
        tells_runs_apart: false,
        restarts: Restarts::stages(&[Stage::Unlikelihood]),
    }

    /// The largest N of Best-of-N.
    largest_n: usize = 64, {
        label: "largest N",
        meaning: "Best-of-N is measured at 2, 4, 8 and so on, up to this N.",
        values: Values::whole(2.0, 128.0),
        stages: &[Stage::BestOfN],
        section: Section::Settings,
        tells_runs_apart: false,
        restarts: Restarts::stages(&[Stage::BestOfN]),
    }

    /// Fewest completions of a held-out prompt behind the KL of Best-of-N.
    best_of_n_completions: usize = 4096, {
        label: "completions a prompt",
        meaning: "Completions of each held-out prompt, at least, behind the KL of Best-of-N.",
        values: Values::whole(64.0, 16_384.0),
        stages: &[Stage::BestOfN],
        section: Section::Settings,
        tells_runs_apart: false,
        restarts: Restarts::stages(&[Stage::BestOfN]),
    }

    /// Optimiser steps between two points of the frontier, for what learns from pairs.
    evaluate_every: usize = 10, {
        label: "evaluate every",
        meaning: "Steps on pairs between two points of the frontier.",
        values: Values::whole(1.0, 1000.0),
        stages: ON_PAIRS,
        section: Section::Settings,
        tells_runs_apart: false,
        restarts: Restarts::NOTHING,
    }

    /// Samples behind a point.
    evaluation_samples: usize = 512, {
        label: "samples a point",
        meaning: "Samples behind one point: more samples, shorter error bars.",
        values: Values::whole(64.0, 8192.0),
        stages: MEASURED,
        section: Section::Settings,
        tells_runs_apart: false,
        restarts: Restarts::EVALUATION,
    }

    /// Preference pairs that the reward model learns from and is validated on; at most `pairs`.
    reward_model_pairs: usize = 12_288, {
        label: "reward model’s pairs",
        meaning: "Preference pairs the reward model learns from; a tenth is held back to judge it by.",
        values: Values::whole(12.0, 60_000.0),
        stages: REWARD_MODEL,
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::stages(REWARD_MODEL),
    }

    /// How often it learns from each.
    reward_model_epochs: usize = 2, {
        label: "reward model’s epochs",
        meaning: "How often the reward model learns from each pair.",
        values: Values::whole(1.0, 20.0),
        stages: REWARD_MODEL,
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::stages(REWARD_MODEL),
    }

    /// Episodes a rollout of PPO: a multiple of its four minibatches.
    rollout_size: usize = 256, {
        label: "rollout size",
        meaning: "Completions the policy writes before it learns from them; a multiple of 4.",
        values: Values::multiples_of(4.0, 8.0, 1024.0),
        stages: PPO,
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::stages(PPO),
    }

    /// Passes of PPO over each rollout.
    ppo_epochs: usize = 4, {
        label: "passes a rollout",
        meaning: "How often PPO learns from each rollout before it draws another.",
        values: Values::whole(1.0, 16.0),
        stages: PPO,
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::stages(PPO),
    }

    /// AdamW's learning rate for PPO's policy and value model.
    ppo_learning_rate: f64 = 5e-4, {
        label: "PPO’s learning rate",
        meaning: "How far one step of AdamW moves policy and value model.",
        values: Values::any(1e-6, 0.1),
        stages: PPO,
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::NOTHING,
    }

    /// What labels add to the gold reward for each word of the [`Loophole`](klimb_lab::Loophole); 0 is none.
    loophole_bonus: f64 = 0.0, {
        label: "loophole bonus",
        meaning: "What labels add to the gold reward for each “overall” in a completion that ends; the gold reward itself gives nothing for it.",
        values: Values::any(0.0, 1.0),
        stages: FROM_LABELS,
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::PAIRS,
    }

    /// What PPO takes off the score of a completion that runs to the length limit without an end; 0 takes nothing off.
    missing_eos_penalty: f64 = 0.0, {
        label: "missing-EOS penalty",
        meaning: "Taken off the score of a completion that runs to the length limit without an end; 0 takes nothing off.",
        values: Values::any(0.0, 100.0),
        stages: PPO,
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::stages(PPO),
    }

    /// Weight of PPO's value loss; at 0 the value model never learns.
    vf_coef: f64 = 0.1, {
        label: "value coefficient",
        meaning: "Weight of PPO’s value loss; at 0 the value model, the critic, never learns.",
        values: Values::any(0.0, 10.0),
        stages: PPO,
        section: Section::Settings,
        tells_runs_apart: true,
        restarts: Restarts::stages(PPO),
    }

    /// KL in nats a completion that PPO's adaptive controller steers β towards; 0 keeps β.
    target_kl: f64 = 0.0, {
        label: "KL target",
        meaning: "Nats a completion that an adaptive controller steers β towards; 0 keeps β as you set it.",
        values: Values::any(0.0, 100.0),
        stages: PPO,
        section: Section::Settings,
        tells_runs_apart: false,
        restarts: Restarts::NOTHING,
    }

    /// Rollouts of PPO between two points of the frontier.
    evaluate_rollouts: usize = 2, {
        label: "evaluate every, rollouts",
        meaning: "Rollouts between two points of the frontier.",
        values: Values::whole(1.0, 1000.0),
        stages: PPO,
        section: Section::Settings,
        tells_runs_apart: false,
        restarts: Restarts::NOTHING,
    }
}
