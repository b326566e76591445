//! Every study and method, stopped wherever it asks: what was stopped is never finished, be it at the last step, and once it
//! goes on it comes out as if nobody had stopped it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::ops::ControlFlow;

use klimb::algorithms::{Budget, PpoSettings};
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::engine::protocol::Stage;
use klimb::experiments::{
    BestOf, ComparedPart, ComparisonSettings, ComparisonTask, ComparisonWatch, Contest, ContestSettings, Contestant,
    EvaluationSettings, HackingSettings, LearnedReward, Leash, OptimumSettings, PlannedRun, PpoRunSettings, Progress,
    Reference, ReferenceRecipe, RewardModelPlan, RewardModelRun, ScalingPart, ScalingSettings, Sink, StudyError,
    SweepMethod, SweepPoint, SweepRollouts, SweepRun, SweepSettings, TrainedRewardModel, Worth, compare_part, hack,
    learned_optimum, measure_scaling, model_config, run, sample_optimum, train_part, train_reference,
    train_reward_model,
};
use klimb::language::Sequence;
use klimb::metrics::{Method, MetricRow};
use klimb::model::{Checkpoint, ModelConfig, initial_parameters, with_random_head};
use klimb::world::{World, WorldSettings};
use pollster::block_on;

fn world() -> World {
    World::new(WorldSettings::default()).expect("the default world is valid")
}

/// The smallest network, as it is before any training.
fn start(world: &World) -> (ModelConfig, Vec<f32>) {
    let config = ModelConfig { layers: 1, ..model_config(world, 16).expect("16 is a width") };
    (config, initial_parameters(&config, 1))
}

/// A sweep of every method with a few steps of each.
fn sweep() -> SweepSettings {
    let methods = [
        SweepMethod::on_pairs(Method::Dpo, Some(0.3)),
        SweepMethod::on_pairs(Method::Unlikelihood, Some(0.1)),
        SweepMethod::on_pairs(Method::PreferredFt, None),
        SweepMethod::Ppo(Leash::Beta(0.3)),
        SweepMethod::PpoGt(Leash::TargetKl(3.0)),
        SweepMethod::BestOfN { largest: 4 },
    ];
    let is_here = |stage: Stage| methods.iter().any(|method| Some(method.method()) == stage.policy());
    assert!(Stage::of_policies().all(is_here), "a method is missing");
    let smoke = SweepSettings::smoke(1);
    SweepSettings {
        runs: methods.map(|method| SweepRun { method, seed: 1 }).into(),
        budget: Budget { pairs: 4, ..Budget::of_steps(3) },
        evaluation: EvaluationSettings { samples: 4, ..smoke.evaluation },
        evaluate_every: 2,
        rollouts: SweepRollouts { total: 2, between_points: 1 },
        ppo: PpoSettings { episodes: 4, epochs: 1, minibatches: 2, ..PpoSettings::default() },
        best_of_n_completions: 4,
        ..smoke
    }
}

/// What a folder would keep, and somebody who stops the run when it asks for the `stop`th time.
#[derive(Default)]
struct Store {
    points: Vec<SweepPoint>,
    reward_models: BTreeMap<u64, Vec<f32>>,
    stop: Option<u64>,
    asked: u64,
}

impl Sink for Store {
    type Error = Infallible;

    fn seconds(&self) -> f64 {
        0.0
    }

    fn stepped(&mut self, _: u64) -> ControlFlow<()> {
        self.asked += 1;
        if self.stop.is_some_and(|stop| self.asked >= stop) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn metrics(&mut self, _: &[MetricRow]) {}

    fn point(&mut self, point: SweepPoint) -> Result<(), Infallible> {
        self.points.push(point);
        Ok(())
    }

    fn known_reward_model(&self, seed: u64) -> Result<Option<Vec<f32>>, Infallible> {
        Ok(self.reward_models.get(&seed).cloned())
    }

    fn reward_model(&mut self, seed: u64, trained: &TrainedRewardModel) -> Result<(), Infallible> {
        self.reward_models.insert(seed, trained.parameters.clone());
        Ok(())
    }
}

#[test]
fn a_run_of_a_sweep_that_is_stopped_anywhere_is_not_finished_and_goes_on_to_the_same_points() {
    let (world, settings) = (world(), sweep().validated().expect("small, and valid"));
    let (config, reference) = start(&world);
    let (k, network) = (&mut Cpu::<f32>::new(), Network::new(config));
    let reference = Reference { network: &network, parameters: &reference };
    for sweep_run in &settings.runs {
        let plan = settings.plan(sweep_run);
        let mut go = |store: &mut Store| {
            let done = run(k, &world, reference, PlannedRun { plan: &plan, seed: sweep_run.seed }, store);
            let is_finished = block_on(done).expect("nothing diverges");
            let points = store.points.iter().map(|it| &it.point);
            assert_eq!(settings.is_finished(sweep_run, points), is_finished, "{sweep_run:?}, as its folder sees it");
            is_finished
        };
        let mut whole = Store::default();
        assert!(go(&mut whole), "{sweep_run:?}");
        for stop in 1..=whole.asked {
            let mut store = Store { stop: Some(stop), ..Store::default() };
            assert!(!go(&mut store), "{sweep_run:?}, stopped at {stop} of {}, counts as finished", whole.asked);
            // As a sweep goes on: reward models are kept, points of unfinished runs are not.
            let mut store = Store { reward_models: store.reward_models, ..Store::default() };
            assert!(go(&mut store));
            assert!(store.points == whole.points, "{sweep_run:?}, stopped at {stop}: other points");
            assert_eq!(store.reward_models, whole.reward_models);
        }
        assert!(whole.asked > 0, "{sweep_run:?} asks");
    }
}

/// Stops `attempt` at each time that it asks; `None` is what is not finished.
fn every_stop<T: Debug>(what: &str, mut attempt: impl FnMut(&mut dyn FnMut() -> ControlFlow<()>) -> Option<T>) -> T {
    let mut asked = 0;
    let mut count = || {
        asked += 1;
        ControlFlow::Continue(())
    };
    let whole = attempt(&mut count).unwrap_or_else(|| panic!("{what} does not come to its end"));
    assert!(asked > 0, "{what} asks");
    for stop in 1..=asked {
        let mut asked = 0;
        let mut at = || {
            asked += 1;
            if asked >= stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        assert!(attempt(&mut at).is_none(), "{what}, stopped at {stop}, counts as finished");
    }
    let again = attempt(&mut || ControlFlow::Continue(()));
    // As text: what is not defined, such as the interval of one prompt, is not equal to itself.
    let is_same = format!("{again:?}") == format!("{:?}", Some(&whole));
    assert!(is_same, "{what} comes out otherwise after it was stopped");
    whole
}

#[test]
fn a_training_of_a_comparison_that_is_stopped_anywhere_is_not_finished() {
    let (world, sweep) = (world(), sweep());
    let (config, reference) = start(&world);
    let settings =
        ComparisonSettings { sweep, betas: vec![0.3], seeds: vec![1] }.validated().expect("small, and valid");
    let (k, network) = (&mut Cpu::<f32>::new(), Network::new(config));
    let reference = Reference { network: &network, parameters: &reference };
    let mut judge: Option<Vec<f32>> = None;
    for part in settings.groups().concat() {
        let ComparedPart { result, reward_model } = every_stop(&part.name(), |watch| {
            let task = ComparisonTask { settings: &settings, part, reward_model: judge.as_deref() };
            let watch = ComparisonWatch { clock: || 0.0, watch };
            block_on(compare_part(k, &world, reference, task, watch)).expect("nothing fails")
        });
        assert!(settings.is_whole(&result), "{}", part.name());
        let mut cut = result.clone();
        if cut.points.pop().is_some() {
            assert!(!settings.is_whole(&cut), "{} without its last point", part.name());
        }
        judge = reward_model.or(judge);
    }
}

#[test]
fn a_model_of_the_scaling_study_and_its_contests_that_are_stopped_anywhere_are_not_finished() {
    let (world, k) = (world(), &mut Cpu::<f32>::new());
    let settings = ScalingSettings::smoke();
    let contest = ContestSettings { instances: 4, ..settings.contest };
    let settings = ScalingSettings { contest, ..settings }.validated(&world).expect("small, and valid");
    let mut models: BTreeMap<String, Checkpoint> = BTreeMap::new();
    for part in settings.groups().concat() {
        let from = part.stage.start().map(|stage| models[&ScalingPart { stage, ..part }.name()].clone());
        let model = every_stop(&part.name(), |watch| {
            block_on(train_part(k, &world, &settings, &part, from.as_ref(), |_: Progress| watch()))
                .expect("nothing fails")
        });
        models.insert(part.name(), model);
    }
    let load = |part: &ScalingPart| Ok::<Checkpoint, StudyError>(models[&part.name()].clone());
    let points = every_stop("the contests", |watch| {
        block_on(measure_scaling(k, &world, &settings, load, watch)).expect("nothing fails")
    });
    assert_eq!(points.len(), 10);
}

#[test]
fn hacking_that_is_stopped_anywhere_is_not_finished() {
    let (world, k) = (world(), &mut Cpu::<f32>::new());
    let (config, reference) = start(&world);
    let network = Network::new(config);
    let reference = Reference { network: &network, parameters: &reference };
    let smoke = HackingSettings::smoke();
    let evaluation = EvaluationSettings { samples: 4, ..smoke.ppo.evaluation };
    let ppo = PpoRunSettings { rollouts: 2, evaluate_every: 1, evaluation, ..smoke.ppo };
    let settings = HackingSettings { ppo, instances: 4, ..smoke }.validated(&world).expect("small, and valid");
    let hacked = every_stop("hack", |watch| {
        let report = |_: Progress| watch();
        let hacked = block_on(hack(k, &world, reference, &settings, report)).expect("nothing fails");
        hacked.filter(|it| it.is_finished)
    });
    assert_eq!(hacked.points.len(), 3);
}

#[test]
fn references_optima_and_win_rates_that_are_stopped_anywhere_are_not_finished() {
    let (world, k) = (world(), &mut Cpu::<f32>::new());
    let (config, parameters) = start(&world);
    let network = Network::new(config);
    let reference = Reference { network: &network, parameters: &parameters };

    let recipe = ReferenceRecipe { width: 16, base_steps: 2, sft_steps: 2, ..ReferenceRecipe::default() };
    let made = every_stop("a reference", |watch| {
        block_on(train_reference(k, &recipe, |_: Progress| watch())).expect("nothing fails")
    });

    let prompts = &world.held_out_prompts()[..2];
    let drawn = every_stop("the optimum", |watch| {
        let judge = async |_: &mut Cpu<f32>, sequences: &[Sequence]| {
            Ok(sequences.iter().map(|it| Worth::of_gold(world.gold_reward(&it.tokens), 0.1)).collect())
        };
        let settings = OptimumSettings::smoke();
        let drawn = sample_optimum(k, reference, prompts, judge, &settings, |_, _| watch());
        block_on(drawn).expect("nothing fails")
    });
    let judge = with_random_head(&config, &parameters, 1);
    every_stop("the optimum of a learned reward", |watch| {
        let judge = LearnedReward { config, parameters: &judge, seed: 1 };
        block_on(learned_optimum(k, judge, &drawn, watch)).expect("nothing fails")
    });

    let plan = sweep();
    let plan = RewardModelPlan { preferences: plan.preferences, recipe: Default::default() };
    every_stop("a reward model", |watch| {
        block_on(train_reward_model(k, &world, reference, RewardModelRun { plan, seed: 1 }, watch))
            .expect("nothing fails")
    });

    let settings = ContestSettings { instances: 4, seed: 1 };
    let contestant = Contestant { best_of: Some(BestOf { n: 2, reward_model: None }), ..Contestant::new(&made) };
    let contest = every_stop("an opponent", |watch| {
        block_on(Contest::against_policy(k, &world, &Contestant::new(&made), settings, watch)).expect("nothing fails")
    });
    every_stop("a win rate", |watch| {
        block_on(contest.play(k, &world, &contestant, 1.0, watch)).expect("nothing fails")
    });
}
