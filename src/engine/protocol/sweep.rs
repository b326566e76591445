//! A sweep over β: several runs from the reference, made by one engine or, with sweep workers that help it, by several.

use serde::{Deserialize, Serialize};

use super::{Kept, SavedPolicy, Stage};

/// What is swept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// The β of each run, in order.
    pub betas: Vec<f64>,
    /// Optimiser steps a run, at least: each ends with its next point.
    pub steps: u64,
    /// Engines beside this one that can be given a run each. With 0 it makes one run after another.
    pub workers: usize,
}

/// A run of a sweep that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SweepRun {
    /// What is trained.
    pub stage: Stage,
    /// With which β.
    pub beta: f64,
    /// Its run, as in [`super::Point`].
    pub run: u32,
    /// Which of the sweep's runs it is, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// Whether a sweep worker makes it.
    pub is_elsewhere: bool,
}

/// A run that a sweep worker is to make, and all that it takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerJob {
    /// The run, as in [`SweepRun`].
    pub run: u32,
    /// Optimiser steps, as in [`Sweep`].
    pub steps: u64,
    /// Knobs with the run's β, the stage to train in focus, reference, pairs that a person labelled and the finished reward
    /// model; no policy.
    pub kept: Kept,
}

/// What has become of a job so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobReport {
    /// The run, as in [`SweepRun`].
    pub run: u32,
    /// What is new.
    pub news: JobNews,
}

/// What a sweep worker has to say of its job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum JobNews {
    /// So many more optimiser steps.
    Steps(usize),
    /// A point, with the policy behind it.
    Point(Box<SavedPolicy>),
    /// The run has its last point.
    Finished,
    /// A number was not finite: the run is over where it was good.
    Failed,
    /// The sweep worker is gone, or cannot make the run: somebody else has to, from its start.
    Requeued,
}
