//! What is not a number is an error before anything is kept: parameters, points, and what given models compute.

use std::convert::Infallible;
use std::ops::ControlFlow;

use klimb::algorithms::{Budget, PairAlgorithm, PpoSettings};
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::experiments::{
    BestOfNRun, BestOfNSettings, EvaluationSettings, Leash, Plan, PlannedRun, Reference, Sink, StudyError, SweepError,
    SweepMethod, SweepPoint, SweepRun, SweepSettings, TrainingSettings, limits, model_config, reference_point, run,
    run_best_of_n,
};
use klimb::language::Schedule;
use klimb::metrics::{Method, MetricRow};
use klimb::model::{ModelConfig, initial_parameters, with_random_head};
use klimb::world::{World, WorldSettings};
use pollster::block_on;

/// Fails if anything comes that is not finite.
struct Finite;

impl Sink for Finite {
    type Error = Infallible;

    fn seconds(&self) -> f64 {
        0.0
    }

    fn stepped(&mut self, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn metrics(&mut self, _: &[MetricRow]) {}

    fn point(&mut self, point: SweepPoint) -> Result<(), Infallible> {
        assert!(point.is_finite(), "{:?}", point.point);
        Ok(())
    }
}

fn start() -> (World, ModelConfig, Vec<f32>) {
    let world = World::new(WorldSettings::default()).unwrap();
    let config = ModelConfig { layers: 1, ..model_config(&world, 16).unwrap() };
    (world, config, initial_parameters(&config, 1))
}

fn smoke(peak: f64) -> SweepSettings {
    let smoke = SweepSettings::smoke(1);
    let schedule = Schedule { peak, floor: peak, warm_up: 0, steps: 1 };
    SweepSettings {
        budget: Budget { pairs: 4, schedule, ..smoke.budget },
        evaluation: EvaluationSettings { samples: 4, ..smoke.evaluation },
        ppo: PpoSettings { episodes: 4, epochs: 1, minibatches: 1, schedule, ..smoke.ppo },
        ..smoke
    }
}

/// The metrics of the only step are finite, and what it makes of the parameters is not.
#[test]
fn a_run_whose_last_step_leaves_no_numbers_ends_in_an_error() {
    let (world, config, reference) = start();
    let (k, network) = (&mut Cpu::<f32>::new(), Network::new(config));
    for method in [
        SweepMethod::on_pairs(Method::Dpo, Some(0.3)),
        SweepMethod::on_pairs(Method::PreferredFt, None),
        SweepMethod::PpoGt(Leash::Beta(0.3)),
    ] {
        let settings = smoke(1e39);
        let plan = settings.plan(&SweepRun { method, seed: 1 });
        let start = Reference { network: &network, parameters: &reference };
        let ended = block_on(run(k, &world, start, PlannedRun { plan: &plan, seed: 1 }, &mut Finite));
        assert!(matches!(ended, Err(SweepError::Diverged { .. })), "{method:?}: {ended:?}");
        let refused = SweepSettings { runs: vec![SweepRun { method, seed: 1 }], ..settings }.validated().unwrap_err();
        assert_eq!(refused.field, "learning rate", "and is refused before");
    }
}

#[test]
fn models_with_weights_too_large_are_named() {
    let (world, config, reference) = start();
    let (k, network) = (&mut Cpu::<f32>::new(), Network::new(config));
    let huge: Vec<f32> = reference.iter().map(|parameter| 1e20 * parameter).collect();
    let evaluation = EvaluationSettings { samples: 4, ..EvaluationSettings::default() };
    let start = Reference { network: &network, parameters: &huge };
    let point = block_on(reference_point(k, &world, start, 0, evaluation));
    assert!(matches!(point, Err(StudyError::NotFinite { model: "the reference" })), "{point:?}");
    let judge: Vec<f32> = with_random_head(&config, &reference, 1).iter().map(|parameter| 1e20 * parameter).collect();
    let settings = BestOfNSettings { largest: 2, samples: 4, completions: 4 };
    let start = Reference { network: &network, parameters: &reference };
    let run = |judge| BestOfNRun { settings: &settings, reward_model: Some(judge), seed: 1 };
    let drawn = block_on(run_best_of_n(k, &world, start, run(&judge), &mut Finite));
    assert!(matches!(drawn, Err(SweepError::NotFinite { model: "the reward model" })), "{drawn:?}");
    // Equal rewards are no such thing: whichever is kept is the best, and nothing is learned of it.
    let equal = vec![0.0; judge.len()];
    assert!(block_on(run_best_of_n(k, &world, start, run(&equal), &mut Finite)).expect("ties are fine"));
}

#[test]
fn what_would_not_fit_is_refused_with_its_reason() {
    let Plan::Train(training) =
        smoke(1e-3).plan(&SweepRun { method: SweepMethod::on_pairs(Method::Dpo, Some(0.3)), seed: 1 })
    else {
        unreachable!("DPO trains")
    };
    let budget = |change: &dyn Fn(&mut TrainingSettings)| {
        let mut settings = training;
        change(&mut settings);
        settings.validated().unwrap_err().to_string()
    };
    let dpo = |settings: &mut TrainingSettings, change: &dyn Fn(&mut klimb::algorithms::DpoSettings)| {
        let PairAlgorithm::Dpo(dpo) = &mut settings.algorithm else { unreachable!("it is DPO") };
        change(dpo);
    };
    for (words, sentence) in [
        ("samples: 18446744073709551615 is more than 100000", budget(&|it| it.evaluation.samples = usize::MAX)),
        ("pairs: 18446744073709551615 is more than", budget(&|it| it.preferences.chunks = usize::MAX)),
        ("batch: 1000000000 is more than", budget(&|it| dpo(it, &|dpo| dpo.pairs = 1_000_000_000))),
        ("steps: 18446744073709551615", budget(&|it| dpo(it, &|dpo| dpo.schedule.steps = u64::MAX))),
        ("beta: 1", budget(&|it| dpo(it, &|dpo| dpo.beta = 1e39))),
        ("learning rate", budget(&|it| dpo(it, &|dpo| dpo.schedule.peak = 1e39))),
        ("evaluate every: 0", budget(&|it| it.evaluate_every = 0)),
    ] {
        assert!(sentence.starts_with(words), "{sentence}");
    }
    let ppo = klimb::experiments::PpoRunSettings { rollouts: (1 << 60) + 1, ..Default::default() };
    assert!(ppo.validated().unwrap_err().to_string().contains(&limits::MOST_ROLLOUTS.to_string()));
    let best = BestOfNSettings { largest: 1024, samples: 100_000, completions: 1 };
    assert!(best.validated().unwrap_err().to_string().contains("memory"));
}
