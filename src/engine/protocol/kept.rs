//! A session as it can be kept beyond the page.

use serde::{Deserialize, Serialize};

use super::{Point, PolicyKey, Stage};
use crate::engine::settings::Settings;
use klimb_lab::RewardModelReport;

/// The largest number of a run that is read: nobody begins so many, and sums of two numbers stay numbers.
pub const MOST_RUNS: u32 = 1 << 24;

/// A session at the last points of its runs, models as safetensors files. Whoever reads one trusts no byte of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The knobs.
    pub settings: Settings,
    /// What Play trained.
    pub focus: Stage,
    /// The base model.
    #[serde(with = "serde_bytes")]
    pub base: Vec<u8>,
    /// The reference, which may have been loaded or trained here.
    #[serde(with = "serde_bytes")]
    pub sft: Vec<u8>,
    /// The recorded optimum; empty where there is none.
    #[serde(with = "serde_bytes")]
    pub optimum: Vec<u8>,
    /// A person's pairs, as JSON lines; empty where pairs are generated.
    #[serde(with = "serde_bytes")]
    pub preferences: Vec<u8>,
    /// The run of every policy.
    pub policies: Vec<KeptPolicy>,
    /// The finished reward model.
    pub reward_model: Option<KeptRewardModel>,
    /// The policies behind earlier points, oldest first, for [`super::Command::Resume`]; what is told has that of a point
    /// which a sweep worker brought, and else none.
    // Its name in the stores of earlier builds.
    #[serde(default, rename = "moments")]
    pub saved_policies: Vec<SavedPolicy>,
}

impl Kept {
    /// The numbers of its runs.
    pub fn runs(&self) -> impl Iterator<Item = u32> {
        let policies = self.policies.iter().flat_map(|policy| [policy.run, policy.last]);
        policies.chain(self.saved_policies.iter().map(|saved| saved.point.run))
    }
}

/// The policy behind a point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedPolicy {
    /// Whose.
    pub stage: Stage,
    /// What was measured, with the session's run.
    pub point: Point,
    /// Seconds of training there.
    pub seconds: f64,
    /// The policy.
    #[serde(with = "serde_bytes")]
    pub checkpoint: Vec<u8>,
}

impl SavedPolicy {
    /// Which policy it is.
    pub fn key(&self) -> PolicyKey {
        PolicyKey { stage: self.stage, run: self.point.run, step: self.point.point.step }
    }
}

/// A policy's run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptPolicy {
    /// Whose.
    pub stage: Stage,
    /// Which run of the session, from 1.
    pub run: u32,
    /// The highest number that a run of this policy has had; of an older page 0, which is none.
    #[serde(default)]
    pub last: u32,
    /// Seconds of training at the last point.
    pub seconds: f64,
    /// The policy there; empty where the run has no point.
    #[serde(with = "serde_bytes")]
    pub checkpoint: Vec<u8>,
}

/// A finished reward model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptRewardModel {
    /// With its head.
    #[serde(with = "serde_bytes")]
    pub checkpoint: Vec<u8>,
    /// What validation said of it.
    pub report: RewardModelReport,
    /// Optimiser steps that it took.
    pub steps: u64,
    /// The mean score under the reference before the shift.
    pub reference_mean: f64,
    /// The standard deviation of scores under the reference.
    pub reference_deviation: f64,
}
