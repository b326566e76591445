//! The run that each policy is in, by its number, time and last point. What trains it is among the `policies`.

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

use crate::engine::protocol::Stage;
use klimb_metrics::Method;
use klimb_network::model::Checkpoint;

/// The run that a policy is in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    /// From 1.
    pub number: u32,
    /// The highest number that a run of this policy has had: in a sweep, later ones may be under way elsewhere.
    pub last: u32,
    /// Seconds of training.
    pub seconds: f64,
    /// What was measured last.
    pub measured: Option<Measured>,
}

/// A policy at a point of its run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub policy: Checkpoint,
    /// Seconds of training until then.
    pub seconds: f64,
}

impl Run {
    /// A run in which nothing has happened yet.
    pub fn new(number: u32) -> Self {
        Self { number, last: number, seconds: 0.0, measured: None }
    }
}

/// The runs of all policies, one of each at a time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Runs(BTreeMap<Method, Run>);

impl Default for Runs {
    /// Every policy's first.
    fn default() -> Self {
        Self(Stage::of_policies().filter_map(Stage::policy).map(|method| (method, Run::new(1))).collect())
    }
}

impl Runs {
    /// Every policy with its run, in the order of the stages.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, &Run)> {
        Stage::of_policies().filter_map(|stage| Some((stage, self.0.get(&stage.policy()?)?)))
    }
}

/// # Panics
/// If the page trains no policy by that method.
impl Index<Method> for Runs {
    type Output = Run;

    fn index(&self, method: Method) -> &Run {
        &self.0[&method]
    }
}

impl IndexMut<Method> for Runs {
    fn index_mut(&mut self, method: Method) -> &mut Run {
        self.0.get_mut(&method).expect("a method that the page trains by")
    }
}
