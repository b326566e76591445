//! A sweep over β: one run after another, from the reference.

use serde::{Deserialize, Serialize};

use super::Stage;

/// What is swept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// The β of each run, in order.
    pub betas: Vec<f64>,
    /// Optimiser steps a run, at least: each ends with its next point.
    pub steps: u64,
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
}
