//! The policies that are trained on the reference, one for each method that the page offers. The session knows them by
//! [`LiveRun`] alone; which kind of run a method has follows from what it learns from ([`begun`]).

mod pairs;
mod ppo;
mod put_aside;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use super::models::Models;
use crate::engine::protocol::{Inside, Stage};
use crate::engine::settings::Settings;
use klimb_align::algorithms::Reading;
use klimb_align::language::Learner;
use klimb_lab::PairOrder;
use klimb_metrics::{LearnsFrom, Method, MetricRow};
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::Checkpoint;
use pairs::PairRun;
use ppo::PpoRun;

pub(super) use put_aside::PutAside;

/// The policy that is there from the beginning: the page opens with it in focus, and its first step waits for nothing.
pub(super) const FIRST: Method = Method::Dpo;

/// Work of a run that reads from the device. It borrows the run and what it computes with.
type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, BackendError>> + 'a>>;

/// What a slice of training is to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct SliceOrder {
    /// Most optimiser steps. Fewer are taken where a point or the end of a rollout comes before.
    pub most_steps: usize,
    /// Whether what the slice ends with is told in full: a step on pairs, which is then the only one, or a rollout.
    pub tells_inside: bool,
}

/// What a slice of training came to.
#[derive(Debug, Default)]
pub(super) struct Slice {
    /// The metrics of its optimiser steps.
    pub rows: Vec<MetricRow>,
    /// What went on inside, if that was asked for and something ended.
    pub inside: Option<Inside>,
    /// Whether it ended with what the method counts in: an optimiser step on pairs, or a whole rollout.
    pub is_whole: bool,
    /// Whether a point is due there.
    pub is_due: bool,
}

/// Optimiser steps between two points of a method's runs.
pub(super) fn steps_between_points(settings: &Settings, method: Method) -> usize {
    match method.info().learns_from {
        LearnsFrom::Rollouts => settings.evaluate_rollouts * ppo::steps_per_rollout(settings),
        LearnsFrom::Pairs | LearnsFrom::Texts | LearnsFrom::Nothing => settings.evaluate_every,
    }
}

/// A policy in training on the reference.
pub(super) trait LiveRun<K: Kernels> {
    /// The policy and its optimiser.
    fn learner(&self) -> &Learner<K>;

    /// Whether the next step waits for a chunk of preference pairs.
    fn wants_pairs(&self, models: &Models<K>) -> bool;

    /// Makes that chunk.
    fn extend_pairs<'a>(&'a mut self, k: &'a mut K, models: &'a mut Models<K>) -> Work<'a, ()>;

    /// A slice of training, with one submit in flight at a time.
    fn train<'a>(&'a mut self, k: &'a mut K, models: &'a mut Models<K>, order: SliceOrder) -> Work<'a, Slice>;

    /// The policy as a language model, flat.
    fn read_policy(&self, k: &mut K) -> Reading<Vec<f32>>;

    /// Goes on from the policy of another run after its `steps` steps. No step may have been taken.
    fn resume(&mut self, k: &mut K, parameters: &[f32], steps: u64);

    /// Takes over what can be set in the midst of a run.
    fn configure(&mut self, settings: &Settings);
}

/// A run of whichever method.
type AnyRun<K> = Box<dyn LiveRun<K>>;

/// The run of a method, which has not taken a step. `None` where the page trains no policy by it.
fn begun<K: Kernels>(k: &mut K, models: &Models<K>, method: Method) -> Option<AnyRun<K>> {
    match method.info().learns_from {
        LearnsFrom::Pairs => Some(Box::new(PairRun::new(k, models, method)?)),
        LearnsFrom::Rollouts => Some(Box::new(PpoRun::new(k, models, method))),
        LearnsFrom::Texts | LearnsFrom::Nothing => None,
    }
}

/// The runs that have begun.
pub(super) struct Policies<K: Kernels>(BTreeMap<Method, AnyRun<K>>);

impl<K: Kernels> Policies<K> {
    /// The first policy alone has begun.
    pub fn new(k: &mut K, models: &Models<K>) -> Self {
        let mut policies = Self(BTreeMap::new());
        policies.begin(k, models, FIRST);
        policies
    }

    /// The run of a method, which begins unless it has begun.
    ///
    /// # Panics
    /// If the page trains no policy by that method, or its reward model is still to be trained.
    fn begin(&mut self, k: &mut K, models: &Models<K>, method: Method) -> &mut dyn LiveRun<K> {
        let run = self.0.entry(method).or_insert_with(|| begun(k, models, method).expect("a method that is trained"));
        run.as_mut()
    }

    fn get(&self, method: Method) -> Option<&dyn LiveRun<K>> {
        self.0.get(&method).map(Box::as_ref)
    }

    /// Every policy that has taken a step: its stage, the steps, and its parameters; in the order of the stages.
    pub fn trained(&self) -> impl Iterator<Item = (Stage, u64, &K::Floats)> {
        let of = |stage: Stage| {
            let learner = self.get(stage.policy()?)?.learner();
            (learner.steps() > 0).then(|| (stage, learner.steps(), &learner.parameters))
        };
        Stage::of_policies().filter_map(of)
    }

    /// Optimiser steps of a policy.
    pub fn steps(&self, method: Method) -> u64 {
        self.get(method).map_or(0, |run| run.learner().steps())
    }

    /// The parameters of a policy; `None` where it has not begun, and so is the reference.
    pub fn parameters(&self, method: Method) -> Option<&K::Floats> {
        self.get(method).map(|run| &run.learner().parameters)
    }

    /// Whether the next step of a policy waits for a chunk of preference pairs. One that has not begun will begin at the first.
    pub fn wants_pairs(&self, models: &Models<K>, method: Method) -> bool {
        let is_without = || models.data.wants_more_for(&PairOrder::default(), models.settings.batch_size);
        let at_the_first = || pairs::writes_own_pairs(models, method) || is_without();
        self.get(method).map_or_else(|| method.learns_from_pairs() && at_the_first(), |run| run.wants_pairs(models))
    }

    /// Makes that chunk.
    pub async fn extend_pairs(
        &mut self,
        k: &mut K,
        models: &mut Models<K>,
        method: Method,
    ) -> Result<(), BackendError> {
        // What a policy is to write itself, it writes when it has begun.
        if pairs::writes_own_pairs(models, method) {
            self.begin(k, models, method);
        }
        match self.0.get_mut(&method) {
            Some(run) => run.extend_pairs(k, models).await,
            None => models.extend_pairs(k).await,
        }
    }

    /// A slice of training a policy.
    pub async fn train(
        &mut self,
        k: &mut K,
        models: &mut Models<K>,
        method: Method,
        order: SliceOrder,
    ) -> Result<Slice, BackendError> {
        self.begin(k, models, method).train(k, models, order).await
    }

    /// Goes on with a policy that another session trained on the same reference.
    pub fn resume(&mut self, k: &mut K, models: &Models<K>, method: Method, checkpoint: &Checkpoint) {
        self.begin(k, models, method).resume(k, &checkpoint.parameters, checkpoint.step);
    }

    /// A policy as a checkpoint, if it has begun.
    pub async fn checkpoint(
        &self,
        k: &mut K,
        models: &Models<K>,
        method: Method,
    ) -> Result<Option<Checkpoint>, BackendError> {
        let Some(run) = self.get(method) else { return Ok(None) };
        let (parameters, step) = (run.read_policy(k).await?, run.learner().steps());
        Ok(Some(models.checkpoint_of(parameters, step, method.info().file_name)))
    }

    /// Every run takes over what can be set in its midst.
    pub fn configure(&mut self, settings: &Settings) {
        for run in self.0.values_mut() {
            run.configure(settings);
        }
    }
}
