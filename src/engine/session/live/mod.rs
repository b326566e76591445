//! What the session trains or draws, a slice at a time, whatever stage it is. The loop in `train` knows a stage's work as a
//! [`LiveRun`]; the stages that train no policy have theirs here, policies have theirs in `policies`.

mod best_of_n;
mod pairs;
mod reward_model;
mod sft;

use std::future::Future;
use std::pin::Pin;

use super::models::Models;
use crate::engine::protocol::{Inside, Point, Work};
use klimb_metrics::MetricRow;
use klimb_network::backend::{BackendError, Kernels};

pub(super) use best_of_n::BestOfNRun;
pub(super) use pairs::ChunkOfPairs;
pub(super) use reward_model::RewardModelRun;
pub(super) use sft::SftRun;

/// A slice under way. It borrows the run and what it computes with.
pub(super) type SliceFuture<'a> = Pin<Box<dyn Future<Output = Result<Slice, BackendError>> + 'a>>;

/// What a slice of training is to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct SliceOrder {
    /// Most optimiser steps. Fewer are taken where a point, a validation or the end of a rollout comes before.
    pub most_steps: usize,
    /// Whether what the slice ends with is told in full: a single optimiser step, or a rollout.
    pub tells_inside: bool,
}

/// What a slice of training came to.
#[derive(Debug)]
pub(super) struct Slice {
    /// What is told of it, in this order.
    pub told: Vec<Told>,
    /// Optimiser steps whose time says how long one takes. A step that is told in full is none of them, where that takes longer.
    pub timed_steps: usize,
    /// What it ended with.
    pub end: SliceEnd,
    /// Whether nothing is left to do, so that playing ends.
    pub is_over: bool,
}

/// What is told of a slice.
#[derive(Debug)]
pub(super) enum Told {
    /// The metrics of its optimiser steps.
    Metrics(Vec<MetricRow>),
    /// What went on inside. It is left out where metrics before it are not finite.
    Inside(Inside),
    /// A measured policy.
    Point(Point),
    /// Where the work stands.
    Progress(Standing),
}

/// Where a longer work stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub work: Work,
    /// Units done.
    pub done: usize,
    /// Units in all.
    pub total: usize,
    /// What says how long a unit takes.
    pub pace: Pace,
}

/// What says how long a unit of work takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// The stage's optimiser steps.
    Steps,
    /// This slice, in which so many units were done.
    Slice(usize),
}

/// What a slice ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SliceEnd {
    /// Something that is learned from has been made, and nothing has been learned yet.
    Prepared,
    /// More slices are needed until what the stage counts in is there.
    Part,
    /// What the stage counts in: an optimiser step, a whole rollout with its updates, or a chunk of pairs.
    Whole {
        /// Whether a point is due there.
        is_due: bool,
    },
}

impl Slice {
    /// A slice that made something to learn from.
    pub fn prepared() -> Self {
        Self { told: Vec::new(), timed_steps: 0, end: SliceEnd::Prepared, is_over: false }
    }

    /// A slice of which this is told, as a part of what the stage counts in.
    pub fn part(told: Vec<Told>) -> Self {
        Self { told, timed_steps: 0, end: SliceEnd::Part, is_over: false }
    }
}

/// The work of a stage on its way.
pub(super) trait LiveRun<K: Kernels> {
    /// A slice of it, with one submit in flight at a time. What it learns from and is not there is made first.
    fn advance<'a>(&'a mut self, k: &'a mut K, models: &'a mut Models<K>, order: SliceOrder) -> SliceFuture<'a>;
}
