//! Pairs written by the policy itself: they lie where it has gone, and waste less of its KL.
#![cfg(not(target_arch = "wasm32"))]

use std::convert::Infallible;
use std::ops::ControlFlow;

use klimb::algorithms::DpoSettings;
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::experiments::{
    Algorithm, Budget, EvaluationSettings, PreferenceData, PreferenceSettings, RecordedOptimum, Sink, SweepPoint,
    TrainingSettings, Writer, optimal_reward, train,
};
use klimb::language::upload;
use klimb::metrics::MetricRow;
use klimb::model::Checkpoint;
use klimb::stats::mean;
use klimb::world::{World, WorldSettings};
use pollster::block_on;

fn world() -> World {
    World::new(WorldSettings::default()).expect("the default world is valid")
}

fn sft() -> Checkpoint {
    Checkpoint::from_bytes(include_bytes!("../www/assets/sft.safetensors"), None)
        .expect("the shipped checkpoint is valid")
}

fn base() -> Checkpoint {
    Checkpoint::from_bytes(include_bytes!("../www/assets/base.safetensors"), None)
        .expect("the shipped checkpoint is valid")
}

fn settings(writer: Writer) -> PreferenceSettings {
    PreferenceSettings { chunks: 2, writer, ..PreferenceSettings::default() }
}

/// The base model stands in for a policy that has gone far: it seldom writes reviews.
#[test]
fn the_policy_writes_and_the_reference_weighs() {
    let (mut k, world, sft) = (Cpu::<f32>::new(), world(), sft());
    let network = Network::new(sft.config);
    let (reference, policy) = (upload(&mut k, &sft.parameters), upload(&mut k, &base().parameters));
    let mut weighed = |writer: Writer| {
        let mut data = PreferenceData::new(&mut k, &network, 1, settings(writer));
        block_on(data.extend_by(&mut k, &world, &policy, &reference)).expect("generation works");
        let batch = data.next_batch(data.len());
        (batch.chosen.clone(), mean(&batch.reference_chosen) + mean(&batch.reference_rejected))
    };
    let (of_reference, likely) = weighed(Writer::Reference);
    let (of_policy, unlikely) = weighed(Writer::Policy);
    assert_ne!(of_reference, of_policy);
    assert!(unlikely < likely - 4.0, "the reference finds the policy's completions odd: {unlikely} and {likely} nats");
}

struct Last(Option<SweepPoint>);

impl Sink for Last {
    type Error = Infallible;

    fn seconds(&self) -> f64 {
        0.0
    }

    fn stepped(&mut self, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn metrics(&mut self, _: &[MetricRow]) {}

    fn point(&mut self, point: SweepPoint) -> Result<(), Infallible> {
        self.0 = Some(point);
        Ok(())
    }
}

/// Static pairs leave the policy to drift where nobody judges it: it lies further below the optimum at its KL.
#[test]
fn pairs_of_its_own_leave_less_to_the_optimum() {
    let optimum = include_bytes!("../www/assets/optimum.json");
    let optimum = RecordedOptimum::from_bytes(optimum).expect("the shipped curve is valid").points;
    let (mut k, world, sft) = (Cpu::<f32>::new(), world(), sft());
    let network = Network::new(sft.config);
    let mut end = |writer: Writer| {
        let budget = Budget::of_steps(120);
        let settings = TrainingSettings {
            algorithm: Algorithm::Dpo(DpoSettings {
                beta: 0.3,
                pairs: budget.pairs,
                schedule: budget.schedule,
                adamw: budget.adamw,
                ..DpoSettings::default()
            }),
            preferences: PreferenceSettings { chunks: 128, ..settings(writer) },
            evaluation: EvaluationSettings::default(),
            evaluate_every: 120,
        };
        let mut sink = Last(None);
        block_on(train(&mut k, &world, (&network, &sft.parameters), 1, &settings, &mut sink)).expect("training works");
        let point = sink.0.expect("the last step is a point").point;
        let most = optimal_reward(&optimum, point.kl_per_sequence).expect("a KL on the curve");
        (most - point.gold_reward, point)
    };
    let ((static_gap, static_end), (gap, end)) = (end(Writer::Reference), end(Writer::Policy));
    assert!(
        gap > -0.02 && gap < static_gap - 0.02,
        "{gap} below the optimum at {end:?}, {static_gap} at {static_end:?}"
    );
    assert!(end.gold_reward > 0.75, "{end:?}");
}
