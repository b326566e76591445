//! `dpo`: one policy from the reference, with its points.

use clap::{Args, ValueEnum};
use klimb::algorithms::{DpoSettings, PairAlgorithm};
use klimb::objectives::DpoLoss;

use super::training::{PairCommand, TrainingArguments};

/// Align a policy with preferences by DPO
#[derive(Debug, Args)]
#[command(
    long_about = "Align a policy with preferences by direct preference optimisation (Rafailov et al. 2023).\n\n\
        The reference writes four completions a prompt, the world labels all six pairs by gold reward, and the policy \
        learns to prefer what was preferred. A high β is a short leash to the reference. Every so many steps the policy \
        is measured on held-out prompts: mean gold reward, and exact KL in nats a sequence, with 95 % intervals. Ctrl-C \
        writes the policy as it is.",
    after_long_help = "Examples:\n  \
        klimb dpo --beta 0.3 --out dpo.safetensors\n  \
        klimb dpo --preferences labelled.jsonl --steps 100 --out mine.safetensors\n  \
        klimb dpo --from sft-64.safetensors --beta 1 --steps 600 --backend gpu --out dpo-64.safetensors"
)]
pub struct Dpo {
    /// Strength of the leash to the reference
    #[arg(long, default_value_t = DpoSettings::default().beta, allow_negative_numbers = true)]
    beta: f64,
    /// Probability with which a label is taken to be wrong (cDPO)
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    label_smoothing: f64,
    /// How a pair's margin becomes its loss
    #[arg(long, value_enum, default_value = "sigmoid")]
    loss: Loss,
    /// Compare log-probabilities per token, so that length earns nothing
    #[arg(long)]
    length_normalised: bool,
    /// Leave the reference's log-probabilities out: no leash
    #[arg(long)]
    reference_free: bool,
    #[command(flatten)]
    training: TrainingArguments,
}

/// The losses, for the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Loss {
    /// DPO (Rafailov et al. 2023)
    Sigmoid,
    /// Hinge, as in SLiC (Zhao et al. 2023)
    Hinge,
    /// IPO (Azar et al. 2023)
    Ipo,
}

impl From<Loss> for DpoLoss {
    fn from(loss: Loss) -> Self {
        match loss {
            Loss::Sigmoid => Self::Sigmoid,
            Loss::Hinge => Self::Hinge,
            Loss::Ipo => Self::Ipo,
        }
    }
}

impl PairCommand for Dpo {
    fn training(&self) -> &TrainingArguments {
        &self.training
    }

    fn algorithm(&self) -> PairAlgorithm {
        PairAlgorithm::Dpo(DpoSettings {
            beta: self.beta,
            label_smoothing: self.label_smoothing,
            loss: self.loss.into(),
            length_normalised: self.length_normalised,
            reference_free: self.reference_free,
            ..DpoSettings::default()
        })
    }
}
