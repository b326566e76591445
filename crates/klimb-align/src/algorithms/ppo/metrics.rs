//! What an optimiser step of PPO reports.

use super::{PpoSettings, ValueNetwork};
use crate::language::MetricLine;
use klimb_metrics::MetricRow;
use klimb_network::objectives::{PPO_POLICY_COLUMNS, PPO_VALUE_COLUMNS};

/// Metrics of one optimiser step, before its update; means over the minibatch's completion tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PpoMetrics {
    /// Optimiser steps taken, from 1.
    pub step: u64,
    /// `ppo/policy_loss`: the clipped surrogate, without the entropy bonus.
    pub policy_loss: f64,
    /// `ppo/value_loss`: half the squared error, without its coefficient.
    pub value_loss: f64,
    /// k1, k2, k3 of KL(π_old‖π), nats a token; `ppo/approx_kl` is the last.
    pub approx_kl: [f64; 3],
    /// `ppo/clip_fraction`: the share of tokens whose ratio left 1 by more than the clip range.
    pub clip_fraction: f64,
    /// `ppo/value_clip_fraction`: the share of tokens whose value the clip holds.
    pub value_clip_fraction: f64,
    /// `ppo/ratio`: mean π/π_old.
    pub ratio: f64,
    /// `ppo/entropy`: of the policy now, nats a token.
    pub entropy: f64,
    /// `ppo/ptx_loss`: mean −log p of the demonstrations' tokens, nats; not a number without PPO-ptx.
    pub ptx_loss: f64,
    /// `optimiser/gradient_norm`: of the policy's gradient, before clipping.
    pub gradient_norm: f64,
    /// `optimiser/value_gradient_norm`: of the value model's; the policy's where they share a trunk.
    pub value_gradient_norm: f64,
}

/// Where each objective's statistics begin among a learner's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Columns {
    /// Of the policy loss; the demonstrations' loss, if any, comes first.
    pub policy: usize,
    /// Of the value loss, in the learner it belongs to.
    pub value: usize,
    /// All columns of the policy's learner.
    pub count: usize,
}

impl Columns {
    pub(super) fn new(settings: &PpoSettings) -> Self {
        let policy = usize::from(settings.ptx_coefficient > 0.0);
        let behind = policy + PPO_POLICY_COLUMNS;
        match settings.value_network {
            ValueNetwork::Own => Self { policy, value: 0, count: behind },
            ValueNetwork::Shared => Self { policy, value: behind, count: behind + PPO_VALUE_COLUMNS },
        }
    }
}

impl PpoMetrics {
    /// From a line of the policy's learner and the line that has the value's columns, which may be the same.
    pub(super) fn new(settings: &PpoSettings, policy: &MetricLine, value: &MetricLine) -> Self {
        let columns = Columns::new(settings);
        let of_policy = |column: usize| policy.sums[columns.policy + column];
        Self {
            step: policy.step,
            policy_loss: of_policy(0),
            approx_kl: [of_policy(1), of_policy(2), of_policy(3)],
            clip_fraction: of_policy(4),
            ratio: of_policy(5),
            entropy: of_policy(6),
            value_loss: value.sums[columns.value],
            value_clip_fraction: value.sums[columns.value + 1],
            ptx_loss: if columns.policy > 0 { policy.sums[0] / settings.ptx_coefficient } else { f64::NAN },
            gradient_norm: policy.gradient_norm,
            value_gradient_norm: value.gradient_norm,
        }
    }

    /// The step by the field's names.
    pub fn row(&self) -> MetricRow {
        let [k1, k2, k3] = self.approx_kl;
        let mut values = vec![
            ("ppo/policy_loss", self.policy_loss),
            ("ppo/value_loss", self.value_loss),
            ("ppo/approx_kl", k3),
            ("ppo/approx_kl_k1", k1),
            ("ppo/approx_kl_k2", k2),
            ("ppo/clip_fraction", self.clip_fraction),
            ("ppo/value_clip_fraction", self.value_clip_fraction),
            ("ppo/ratio", self.ratio),
            ("ppo/entropy", self.entropy),
            ("optimiser/gradient_norm", self.gradient_norm),
            ("optimiser/value_gradient_norm", self.value_gradient_norm),
        ];
        values.extend(self.ptx_loss.is_finite().then_some(("ppo/ptx_loss", self.ptx_loss)));
        MetricRow::new(self.step, &values)
    }

    /// Whether every number that must be is finite.
    pub fn is_finite(&self) -> bool {
        let numbers = [self.policy_loss, self.value_loss, self.gradient_norm, self.value_gradient_norm];
        numbers.iter().all(|number| number.is_finite())
    }
}
