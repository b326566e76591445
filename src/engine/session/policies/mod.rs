//! The policies that are trained on the reference, one for each method that the page offers. The session knows them by
//! [`LivePolicy`] alone; which kind of run a method has follows from what it learns from ([`begun`]).

mod pairs;
mod ppo;

use std::collections::BTreeMap;

use super::live::{LiveRun, Slice, SliceOrder};
use super::models::Models;
use crate::engine::protocol::Stage;
use crate::engine::settings::Settings;
use klimb_align::algorithms::Reading;
use klimb_align::language::Learner;
use klimb_lab::PairOrder;
use klimb_metrics::{LearnsFrom, Method};
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::Checkpoint;
use pairs::PairRun;
use ppo::PpoRun;

/// The policy that is there from the beginning: the page opens with it in focus, and its first step waits for nothing.
pub(super) const FIRST: Method = Method::Dpo;

/// Optimiser steps between two points of a method's runs.
pub(super) fn steps_between_points(settings: &Settings, method: Method) -> usize {
    match method.info().learns_from {
        LearnsFrom::Rollouts => settings.evaluate_rollouts * ppo::steps_per_rollout(settings),
        LearnsFrom::Pairs | LearnsFrom::Texts | LearnsFrom::Nothing => settings.evaluate_every,
    }
}

/// A policy in training on the reference.
pub(super) trait LivePolicy<K: Kernels>: LiveRun<K> {
    /// The policy and its optimiser.
    fn learner(&self) -> &Learner<K>;

    /// The policy as a language model, flat.
    fn read_policy(&self, k: &mut K) -> Reading<Vec<f32>>;

    /// Goes on from the policy of another run after its `steps` steps. No step may have been taken.
    fn resume(&mut self, k: &mut K, parameters: &[f32], steps: u64);
}

/// A run of whichever method.
type AnyRun<K> = Box<dyn LivePolicy<K>>;

/// Policies that started over, as they were; `None` where one had not begun.
pub(super) type FormerPolicies<K> = Vec<(Method, Option<AnyRun<K>>)>;

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
    fn begin(&mut self, k: &mut K, models: &Models<K>, method: Method) -> &mut dyn LivePolicy<K> {
        let run = self.0.entry(method).or_insert_with(|| begun(k, models, method).expect("a method that is trained"));
        run.as_mut()
    }

    fn get(&self, method: Method) -> Option<&dyn LivePolicy<K>> {
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

    /// A slice of training a policy, which begins at its first step: what that waits for is made before.
    pub async fn advance(
        &mut self,
        k: &mut K,
        models: &mut Models<K>,
        method: Method,
        order: SliceOrder,
    ) -> Result<Slice, BackendError> {
        let is_first =
            !self.0.contains_key(&method) && method.learns_from_pairs() && !pairs::writes_own_pairs(models, method);
        if is_first && models.data.wants_more_for(&PairOrder::default(), models.settings.batch_size) {
            models.extend_pairs(k).await?;
            return Ok(Slice::prepared());
        }
        self.begin(k, models, method).advance(k, models, order).await
    }

    /// Starts the policies of these methods over from the reference, on the same pairs in the same order. Answers with what
    /// they were.
    pub fn restart(
        &mut self,
        k: &mut K,
        models: &Models<K>,
        methods: impl Iterator<Item = Method>,
    ) -> FormerPolicies<K> {
        let former = methods.map(|method| (method, self.0.remove(&method))).collect();
        self.begin(k, models, FIRST);
        former
    }

    /// Lets policies go on as they were. What can be set in the midst of a run is as it is set by then.
    pub fn take_back(&mut self, former: FormerPolicies<K>) {
        for (method, run) in former {
            match run {
                Some(run) => drop(self.0.insert(method, run)),
                None => drop(self.0.remove(&method)),
            }
        }
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
}
