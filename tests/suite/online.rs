//! Pairs written by the policy itself: they lie where it has gone, and waste less of its KL.

use std::convert::Infallible;
use std::ops::ControlFlow;

use klimb::algorithms::{Budget, DpoSettings, PairAlgorithm};
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::experiments::{
    EvaluationSettings, PreferenceData, PreferenceSettings, Reference, Sink, SweepPoint, TrainingSettings, Writer,
    kl_by_reference_probability, train,
};
use klimb::language::{Schedule, upload};
use klimb::metrics::MetricRow;
use klimb::model::Checkpoint;
use klimb::stats::mean;
use klimb::world::{World, WorldSettings};
use pollster::block_on;

fn world() -> World {
    World::new(WorldSettings::default()).expect("the default world is valid")
}

fn sft() -> Checkpoint {
    Checkpoint::from_bytes(include_bytes!("../../www/assets/sft.safetensors"), None)
        .expect("the shipped checkpoint is valid")
}

fn base() -> Checkpoint {
    Checkpoint::from_bytes(include_bytes!("../../www/assets/base.safetensors"), None)
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

/// With static pairs nobody judges where the policy drifts: much of its KL sits in tokens that the reference almost never
/// writes. Pairs of its own leave next to none there.
#[test]
fn pairs_of_its_own_leave_no_kl_in_tokens_that_the_reference_hardly_writes() {
    let (mut k, world, sft) = (Cpu::<f32>::new(), world(), sft());
    let network = Network::new(sft.config);
    let mut end = |writer: Writer| {
        let budget = Budget::of_steps(160);
        let settings = TrainingSettings {
            algorithm: PairAlgorithm::Dpo(DpoSettings {
                beta: 0.3,
                pairs: budget.pairs,
                schedule: Schedule { peak: 2e-3, ..budget.schedule },
                adamw: budget.adamw,
                ..DpoSettings::default()
            }),
            preferences: PreferenceSettings { chunks: 128, ..settings(writer) },
            evaluation: EvaluationSettings::default(),
            evaluate_every: 160,
        };
        let mut sink = Last(None);
        let start = Reference { network: &network, parameters: &sft.parameters };
        block_on(train(&mut k, &world, start, 1, &settings, &mut sink)).expect("training works");
        let SweepPoint { point, evaluation, .. } = sink.0.expect("the last step is a point");
        (kl_by_reference_probability(&evaluation)[0], point)
    };
    let ((static_waste, static_end), (waste, end)) = (end(Writer::Reference), end(Writer::Policy));
    assert!(static_waste > 0.5, "{static_waste} nats in rare tokens with static pairs, at {static_end:?}");
    assert!(waste < 0.3 * static_waste, "{waste} nats in rare tokens with pairs of its own, at {end:?}");
    assert!(end.gold_reward > 0.75, "{end:?}");
}
