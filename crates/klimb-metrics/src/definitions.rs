//! What each metric means, for the page's captions and the command line's help.

/// A metric explained to a student.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricDefinition {
    /// The name in logs, as the field's libraries spell it.
    pub name: &'static str,
    /// A caption of a few words.
    pub label: &'static str,
    /// What it is measured in; empty for a pure number.
    pub unit: &'static str,
    /// How it is computed.
    pub definition: &'static str,
    /// One sentence on what to look for.
    pub how_to_read: &'static str,
}

/// The definition of the metric called `name`.
pub fn definition(name: &str) -> Option<&'static MetricDefinition> {
    DEFINITIONS.iter().find(|definition| definition.name == name)
}

/// Every metric a run can report.
pub const DEFINITIONS: &[MetricDefinition] = &[
    MetricDefinition {
        name: "objective/kl",
        label: "KL from the reference",
        unit: "nats per completion",
        definition: "KL(π‖π_ref) summed along each completion that the policy draws, averaged over completions.",
        how_to_read: "The price of the reward: 0 is the reference itself, and estimates from few samples can dip below 0 by noise.",
    },
    MetricDefinition {
        name: "objective/score",
        label: "Reward model's score",
        unit: "",
        definition: "The reward model's number for the whole completion, without the KL penalty, averaged over completions.",
        how_to_read: "If it climbs while the gold reward falls, the policy is exploiting the reward model.",
    },
    MetricDefinition {
        name: "objective/gold_reward",
        label: "Gold reward",
        unit: "0 to 1",
        definition: "The world's own sentiment score of prompt and completion, 0 for one that does not end, averaged over completions.",
        how_to_read: "With KL, the number to judge a policy by: no method of this page trains on it except PPO-GT.",
    },
    MetricDefinition {
        name: "objective/gold_score",
        label: "Gold reward as a score",
        unit: "",
        definition: "r* = (gold reward − the reference's mean)/τ, averaged over completions: the scale that scores have.",
        how_to_read: "The score should follow it; a score that leaves it behind is praise that nobody else would give.",
    },
    MetricDefinition {
        name: "objective/entropy",
        label: "Entropy",
        unit: "nats per token",
        definition: "−Σ π log π over the vocabulary, averaged over the tokens of completions.",
        how_to_read: "A fall towards 0 means that the policy writes the same few reviews again and again.",
    },
    MetricDefinition {
        name: "objective/kl_coefficient",
        label: "β",
        unit: "score per nat",
        definition: "What a token pays for a nat of log-ratio to the reference; fixed, or steered by the adaptive controller.",
        how_to_read: "With a target, it rises while the KL is above it: high β, short leash.",
    },
    MetricDefinition {
        name: "objective/k1",
        label: "KL by k1",
        unit: "nats per completion",
        definition: "The estimate Σ −log ρ of KL(π‖π_ref), ρ = π_ref/π of each drawn token, averaged over completions.",
        how_to_read: "Right on average and noisy: it can fall below 0, which the exact KL beside it never does.",
    },
    MetricDefinition {
        name: "objective/k2",
        label: "KL by k2",
        unit: "nats per completion",
        definition: "The estimate Σ (log ρ)²/2 of KL(π‖π_ref), ρ = π_ref/π of each drawn token, averaged over completions.",
        how_to_read: "Steady and never negative, but biased: good only while policy and reference are close.",
    },
    MetricDefinition {
        name: "objective/k3",
        label: "KL by k3",
        unit: "nats per completion",
        definition: "The estimate Σ ρ − 1 − log ρ of KL(π‖π_ref), ρ = π_ref/π of each drawn token, averaged over completions.",
        how_to_read: "Right on average and never negative; a few tokens that the policy has all but given up can make it jump.",
    },
    MetricDefinition {
        name: "ppo/policy_loss",
        label: "PPO policy loss",
        unit: "",
        definition: "The mean over tokens of max(−Â·ρ, −Â·clip(ρ)), with ρ = π/π_old.",
        how_to_read: "Its level says nothing about quality, for the data changes with the policy; look for jumps only.",
    },
    MetricDefinition {
        name: "ppo/value_loss",
        label: "PPO value loss",
        unit: "",
        definition: "Half the clipped squared error of the value model against the returns, averaged over tokens.",
        how_to_read: "It should fall at first; if it grows, the value model is chasing a policy that moves too fast.",
    },
    MetricDefinition {
        name: "ppo/approx_kl",
        label: "KL from the last rollout",
        unit: "nats per token",
        definition: "The k3 estimate of KL(π_old‖π), averaged over the tokens of a minibatch.",
        how_to_read: "How far the policy has left the one that drew the samples: above a few hundredths the updates are too big.",
    },
    MetricDefinition {
        name: "ppo/clip_fraction",
        label: "Clipped tokens",
        unit: "0 to 1",
        definition: "The share of tokens whose ratio π/π_old left 1 by more than the clip range.",
        how_to_read: "Around .1 is usual: near 0 the steps are timid, above .3 most of the batch no longer teaches.",
    },
    MetricDefinition {
        name: "objective/ended",
        label: "Completions that end",
        unit: "0 to 1",
        definition: "The share of a rollout's completions that have their end token before the length limit.",
        how_to_read: "If it falls, the policy has found that going on pays; a missing-EOS penalty makes it cost.",
    },
    MetricDefinition {
        name: "ppo/explained_variance",
        label: "Explained variance",
        unit: "at most 1",
        definition: "1 − Var(returns − values)/Var(returns) over the tokens of a rollout.",
        how_to_read: "1 is a perfect value model, 0 no better than a constant, and below 0 worse than that.",
    },
    MetricDefinition {
        name: "ppo/approx_kl_k1",
        label: "KL from the last rollout, k1",
        unit: "nats per token",
        definition: "The k1 estimate of KL(π_old‖π), averaged over the tokens of a minibatch.",
        how_to_read: "Beside k3 it shows how noisy an estimate is: it may be negative.",
    },
    MetricDefinition {
        name: "ppo/approx_kl_k2",
        label: "KL from the last rollout, k2",
        unit: "nats per token",
        definition: "The k2 estimate of KL(π_old‖π), averaged over the tokens of a minibatch.",
        how_to_read: "Close to k3 while the steps are small; apart from it when a few ratios have run away.",
    },
    MetricDefinition {
        name: "ppo/ratio",
        label: "Mean ratio",
        unit: "",
        definition: "π/π_old, averaged over the tokens of a minibatch.",
        how_to_read: "Exactly 1 at the first minibatch of a rollout, and near 1 always, for its mean under π_old is 1.",
    },
    MetricDefinition {
        name: "ppo/ratio_min",
        label: "Smallest ratio",
        unit: "",
        definition: "The smallest π/π_old among the tokens of a rollout's last minibatch.",
        how_to_read: "Near 0, the policy has all but given up a token that it wrote a moment ago.",
    },
    MetricDefinition {
        name: "ppo/ratio_max",
        label: "Largest ratio",
        unit: "",
        definition: "The largest π/π_old among the tokens of a rollout's last minibatch.",
        how_to_read: "Far above 1 plus the clip range, shared weights have dragged a token along that no longer pulls itself.",
    },
    MetricDefinition {
        name: "ppo/entropy",
        label: "Entropy while learning",
        unit: "nats per token",
        definition: "−Σ π log π over the vocabulary, averaged over the tokens of a minibatch, of the policy as it is now.",
        how_to_read: "What the entropy bonus holds up, if there is one.",
    },
    MetricDefinition {
        name: "ppo/value_clip_fraction",
        label: "Clipped values",
        unit: "0 to 1",
        definition: "The share of tokens whose value the clip keeps from learning further from this rollout.",
        how_to_read: "Near 1, the range is too narrow for the size of the returns, and the value model lags behind.",
    },
    MetricDefinition {
        name: "ppo/ptx_loss",
        label: "PPO-ptx loss",
        unit: "nats per token",
        definition: "−log π of the demonstrations' tokens that are mixed into each minibatch, averaged.",
        how_to_read: "It should stay where SFT left it: that is what the mix is for.",
    },
    MetricDefinition {
        name: "dpo/loss",
        label: "DPO loss",
        unit: "nats per pair",
        definition: "−log σ of the margin between the implicit rewards of chosen and rejected, averaged over pairs.",
        how_to_read: "It starts at ln 2 = .693, where policy and reference agree; a lower loss is no proof of better text.",
    },
    MetricDefinition {
        name: "rewards/chosen",
        label: "Implicit reward, chosen",
        unit: "nats times β",
        definition: "β·log(π/π_ref) of the chosen completions, averaged over pairs.",
        how_to_read: "It often falls below 0, as the probability goes to completions in neither column; the margin is what is trained.",
    },
    MetricDefinition {
        name: "rewards/rejected",
        label: "Implicit reward, rejected",
        unit: "nats times β",
        definition: "β·log(π/π_ref) of the rejected completions, averaged over pairs.",
        how_to_read: "It should fall faster than the chosen completions' does.",
    },
    MetricDefinition {
        name: "rewards/accuracies",
        label: "Pairs in order",
        unit: "0 to 1",
        definition: "The share of pairs whose chosen completion has the greater implicit reward; ties count half.",
        how_to_read: "At step 1 every margin is 0 and every pair a tie, so it is .5; then it rises, as far as flipped labels let it on new pairs.",
    },
    MetricDefinition {
        name: "rewards/margins",
        label: "Margin",
        unit: "nats times β",
        definition: "The implicit reward of the chosen less that of the rejected, averaged over pairs.",
        how_to_read: "It grows from 0; if it grows without end while the gold reward stays, the policy is memorising pairs.",
    },
    MetricDefinition {
        name: "logps/chosen",
        label: "Log-probability, chosen",
        unit: "nats per completion",
        definition: "log π of the chosen completions, summed over their tokens, averaged over pairs.",
        how_to_read: "A fall is common in DPO and no error: only the difference to the rejected enters the loss.",
    },
    MetricDefinition {
        name: "logps/rejected",
        label: "Log-probability, rejected",
        unit: "nats per completion",
        definition: "log π of the rejected completions, summed over their tokens, averaged over pairs.",
        how_to_read: "Compare it with the chosen completions': the gap between the two should widen.",
    },
    MetricDefinition {
        name: "unlikelihood/loss",
        label: "Unlikelihood loss",
        unit: "nats per pair",
        definition: "−log π of the chosen plus α·log π of the rejected, averaged over pairs.",
        how_to_read: "It has no lower bound: pushing rejected completions down pays for ever, whatever else becomes likelier.",
    },
    MetricDefinition {
        name: "unlikelihood/accuracy",
        label: "Chosen is likelier",
        unit: "0 to 1",
        definition: "The share of pairs whose chosen completion has the greater log π, without regard to a reference; ties count half.",
        how_to_read: "Short completions are likelier whatever was preferred, so it starts near .5 and says less than DPO's margin.",
    },
    MetricDefinition {
        name: "sft/loss",
        label: "SFT loss",
        unit: "nats per token",
        definition: "−log π of the demonstrations' tokens, averaged over the tokens that count.",
        how_to_read: "It starts near the logarithm of the vocabulary's size and cannot pass below the grammar's own entropy.",
    },
    MetricDefinition {
        name: "reward_model/accuracy",
        label: "Reward model in order",
        unit: "0 to 1",
        definition: "The share of held-out pairs whose chosen completion gets the higher score; ties count half.",
        how_to_read: "What PPO can learn is limited by it; flipped labels keep it below 1 even for a perfect model.",
    },
    MetricDefinition {
        name: "reward_model/gold_accuracy",
        label: "In the gold order",
        unit: "0 to 1",
        definition: "The share of held-out pairs whose completion of higher gold reward gets the higher score; ties in score count half.",
        how_to_read: "What the model really learned, with the labels' noise taken out: it can exceed its accuracy on labels.",
    },
    MetricDefinition {
        name: "reward_model/loss",
        label: "Reward model's loss",
        unit: "nats per pair",
        definition: "−log σ(score of the chosen − score of the rejected), averaged over pairs.",
        how_to_read: "ln 2 = .693 is a coin's; if it rises on held-out pairs while it falls in training, stop.",
    },
    MetricDefinition {
        name: "reward_model/calibration_error",
        label: "Calibration error",
        unit: "0 to 1",
        definition: "How far σ(|score difference|) is from the share of right answers, averaged over bins of pairs.",
        how_to_read: "Near 0 the scores' scale can be trusted, and β means what it says; sampling alone gives about .02.",
    },
    MetricDefinition {
        name: "optimiser/gradient_norm",
        label: "Gradient norm",
        unit: "",
        definition: "The L2 norm of the gradient of all parameters, before clipping.",
        how_to_read: "A spike warns of a step that was too big; what is longer than the limit is scaled down to it.",
    },
    MetricDefinition {
        name: "optimiser/value_gradient_norm",
        label: "Gradient norm, values",
        unit: "",
        definition: "The L2 norm of the value model's gradient, before clipping; the policy's own where they share a trunk.",
        how_to_read: "Large at first, while the values are still 0 and the returns are not.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    const REPORTED: [&str; 39] = [
        "objective/ended",
        "objective/gold_score",
        "objective/kl",
        "objective/score",
        "objective/gold_reward",
        "objective/entropy",
        "ppo/policy_loss",
        "ppo/value_loss",
        "ppo/approx_kl",
        "ppo/clip_fraction",
        "ppo/explained_variance",
        "dpo/loss",
        "objective/kl_coefficient",
        "objective/k1",
        "objective/k2",
        "objective/k3",
        "ppo/approx_kl_k1",
        "ppo/approx_kl_k2",
        "ppo/ratio",
        "ppo/ratio_min",
        "ppo/ratio_max",
        "ppo/entropy",
        "ppo/value_clip_fraction",
        "ppo/ptx_loss",
        "optimiser/value_gradient_norm",
        "rewards/chosen",
        "rewards/rejected",
        "rewards/accuracies",
        "rewards/margins",
        "logps/chosen",
        "logps/rejected",
        "unlikelihood/loss",
        "unlikelihood/accuracy",
        "sft/loss",
        "reward_model/accuracy",
        "reward_model/gold_accuracy",
        "reward_model/loss",
        "reward_model/calibration_error",
        "optimiser/gradient_norm",
    ];

    #[test]
    fn every_reported_metric_is_explained_once() {
        for name in REPORTED {
            assert!(definition(name).is_some(), "{name} has no definition");
            assert_eq!(DEFINITIONS.iter().filter(|definition| definition.name == name).count(), 1, "{name}");
        }
        assert_eq!(DEFINITIONS.len(), REPORTED.len());
    }

    #[test]
    fn explanations_are_short_sentences() {
        for MetricDefinition { name, label, definition, how_to_read, .. } in DEFINITIONS {
            assert!(!label.is_empty() && label.len() <= 32, "{name}: {label}");
            for sentence in [definition, how_to_read] {
                assert!(sentence.ends_with('.') && sentence.len() <= 160, "{name}: {sentence}");
            }
        }
    }
}
