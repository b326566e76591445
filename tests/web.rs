//! The engine in a real browser, run by `cargo xtask test wasm`. A browser without a WebGPU adapter fails these tests.
#![cfg(target_arch = "wasm32")]

use js_sys::{Function, Object, Promise, Reflect};
use klimb::algorithms::{Dpo, DpoSettings};
use klimb::backend::cpu::Cpu;
use klimb::backend::gpu::{Gpu, Preference};
use klimb::backend::network::Network;
use klimb::backend::{Counters, Kernels};
use klimb::engine::worker::adapter;
use klimb::experiments::verify::Reference;
use klimb::experiments::{EvaluationSettings, Evaluator, PreferenceData, PreferenceSettings};
use klimb::language::{Generation, GenerationSettings, Schedule, Sequence};
use klimb::model::{Checkpoint, Expectation};
use klimb::rng::Generator;
use klimb::world::preferences::LabelSettings;
use klimb::world::{MAX_SEQUENCE, Vocabulary, World, WorldSettings};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use wasm_bindgen_test::{console_log, wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

async fn gpu() -> Gpu {
    Gpu::new(Preference::default()).await.expect("these tests need a browser with WebGPU; a software adapter will do")
}

fn world() -> World {
    World::new(WorldSettings::default()).expect("the default world is valid")
}

fn sft() -> Checkpoint {
    let expected =
        Expectation { config: None, vocabulary_fingerprint: world().vocabulary().fingerprint(), head: false };
    let bytes = include_bytes!("../www/assets/sft.safetensors");
    Checkpoint::from_bytes(bytes, Some(&expected)).expect("the shipped checkpoint is valid")
}

/// Forward, backward and AdamW in the browser, against PyTorch's numbers.
async fn agrees_with_pytorch<K: Kernels>(k: &mut K) {
    let reference = Reference::from_bytes(
        include_bytes!("data/transformer_small.json"),
        include_bytes!("data/transformer_small.params.f32"),
        include_bytes!("data/transformer_small.batches.i32"),
    );
    let checks = reference.expect("the golden files are valid").check(k).await.expect("the backend works");
    let failed: Vec<_> = checks.iter().filter(|check| !check.passed()).collect();
    assert!(checks.len() > 20 && failed.is_empty(), "beyond their tolerance: {failed:#?}");
}

#[wasm_bindgen_test]
async fn the_gpu_backend_agrees_with_pytorch() {
    agrees_with_pytorch(&mut gpu().await).await;
}

/// The shaders as a graphics card gets them, which this browser compiles for the adapter that it has.
async fn gpu_as_card() -> Gpu {
    let preference = Preference { as_card: true, ..Default::default() };
    Gpu::new(preference).await.expect("these tests need a browser with WebGPU; a software adapter will do")
}

#[wasm_bindgen_test]
async fn the_gpu_backend_agrees_with_pytorch_as_on_a_card() {
    agrees_with_pytorch(&mut gpu_as_card().await).await;
}

/// Completions of the shipped SFT model, from given coins.
async fn written<K: Kernels<Real = f32>>(k: &mut K) -> Vec<Sequence> {
    let sft = sft();
    let mut parameters = k.floats("policy", sft.parameters.len());
    k.write_floats(&mut parameters, 0, &sft.parameters);
    let settings = GenerationSettings { temperature: 1.0, end: Vocabulary::END, padding: Vocabulary::PADDING };
    let world = world();
    let prompts: Vec<&[u32]> = world.held_out_prompts().iter().map(Vec::as_slice).collect();
    let mut generation = Generation::new(k, Network::new(sft.config), prompts.len(), MAX_SEQUENCE);
    let coins = Generator::new(1, "web").coins(generation.coins());
    generation.generate(k, &parameters, &prompts, &coins, settings).await.expect("the backend works")
}

#[wasm_bindgen_test]
async fn a_card_writes_in_one_dispatch_what_the_processor_writes() {
    let mut card = gpu_as_card().await;
    let by_card = written(&mut card).await;
    assert_eq!(card.counters().dispatches, 1);
    assert_eq!(by_card, written(&mut Cpu::<f32>::new()).await);
}

#[wasm_bindgen_test]
async fn the_cpu_backend_agrees_with_pytorch() {
    agrees_with_pytorch(&mut Cpu::<f32>::new()).await;
}

/// A DPO run from the shipped SFT model: its pairs come from the backend's own samples.
struct Run<K: Kernels> {
    k: K,
    world: World,
    reference: K::Floats,
    data: PreferenceData<K>,
    dpo: Dpo<K>,
    evaluator: Evaluator<K>,
}

impl<K: Kernels<Real = f32>> Run<K> {
    fn new(mut k: K, pairs: usize, samples: usize) -> Self {
        let sft = sft();
        let network = Network::new(sft.config);
        let mut reference = k.floats("reference", sft.parameters.len());
        k.write_floats(&mut reference, 0, &sft.parameters);
        let labels = LabelSettings { temperature: 0.0, flip_probability: 0.0 };
        let schedule = Schedule { peak: 1.4e-3, floor: 1e-4, warm_up: 20, steps: 200 };
        let settings = DpoSettings { beta: 1.0, pairs, schedule, ..DpoSettings::default() };
        let evaluation = EvaluationSettings { samples, ..EvaluationSettings::default() };
        Self {
            data: PreferenceData::new(
                &mut k,
                &network,
                1,
                PreferenceSettings { chunks: 40, labels, ..PreferenceSettings::default() },
            ),
            dpo: Dpo::new(&mut k, network.clone(), &sft.parameters, MAX_SEQUENCE - 1, settings),
            evaluator: Evaluator::new(&mut k, &network, 128, evaluation),
            world: world(),
            reference,
            k,
        }
    }

    async fn step(&mut self) {
        let pairs = self.dpo.settings().pairs;
        while self.data.wants_more(pairs) {
            self.data.extend(&mut self.k, &self.world, &self.reference).await.expect("generation works");
        }
        let batch = self.data.next_batch(pairs);
        self.dpo.step(&mut self.k, &batch);
    }

    /// Mean gold reward with its half-width, and KL.
    async fn measure(&mut self) -> (f64, f64, f64) {
        let policy = &self.dpo.learner().parameters;
        let evaluation = self.evaluator.evaluate(&mut self.k, &self.world, policy, &self.reference).await;
        let evaluation = evaluation.expect("evaluation works");
        (evaluation.gold_reward, evaluation.gold_reward_half_width, evaluation.kl_per_sequence)
    }
}

/// The same pairs (the coins are the same) and the same steps on both backends: losses and parameters agree.
#[wasm_bindgen_test]
async fn a_dpo_step_is_the_same_on_both_backends() {
    let (mut cpu, mut gpu) = (Run::new(Cpu::<f32>::new(), 7, 64), Run::new(gpu().await, 7, 64));
    for _ in 0..3 {
        cpu.step().await;
        gpu.step().await;
    }
    let before: Counters = gpu.k.counters();
    gpu.step().await;
    cpu.step().await;
    let after = gpu.k.counters();
    assert_eq!(
        (after.submits - before.submits, after.readbacks - before.readbacks, after.objects - before.objects),
        (1, 0, 0),
        "submits, readbacks and objects of a step"
    );
    let theirs = cpu.dpo.metrics(&mut cpu.k).await.expect("metrics can be read");
    let ours = gpu.dpo.metrics(&mut gpu.k).await.expect("metrics can be read");
    assert_eq!((ours.len(), theirs.len()), (4, 4));
    assert!((ours[0].loss - std::f64::consts::LN_2).abs() < 1e-4, "the first loss is {}", ours[0].loss);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!((ours.loss - theirs.loss).abs() < 1e-4, "{ours:?} on the GPU, {theirs:?} on the CPU");
        assert!(
            (ours.gradient_norm - theirs.gradient_norm).abs() < 1e-3 * theirs.gradient_norm + 1e-5,
            "{ours:?} {theirs:?}"
        );
    }
    let ours = gpu.dpo.learner().read_parameters(&mut gpu.k).await.expect("parameters can be read");
    let theirs = cpu.dpo.learner().read_parameters(&mut cpu.k).await.expect("parameters can be read");
    let distance = ours.iter().zip(&theirs).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    let norm = theirs.iter().map(|p| f64::from(*p).powi(2)).sum::<f64>().sqrt();
    assert!(distance < 1e-4 * norm, "parameters are {distance} apart at a norm of {norm}");
}

#[wasm_bindgen_test]
async fn a_short_dpo_run_raises_the_gold_reward() {
    let mut run = Run::new(Cpu::<f32>::new(), 128, 1024);
    let (before, before_half, kl) = run.measure().await;
    assert!(kl.abs() < 1e-4, "KL of the reference to itself: {kl}");
    for _ in 0..110 {
        run.step().await;
    }
    let (after, after_half, kl) = run.measure().await;
    let (gain, half_width) = (after - before, before_half.hypot(after_half));
    console_log!("gold reward {before:.3} → {after:.3} at KL {kl:.2}");
    assert!(gain >= 0.15 && gain - half_width > 0.1, "gold reward rose by {gain} ± {half_width}");
    assert!((0.1..4.0).contains(&kl), "KL {kl}");
}

fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).expect("the object has it")
}

/// A browser that gives another adapter at each request, and says so: how often it was asked, and whose devices were opened.
#[wasm_bindgen_test]
async fn the_adapter_that_is_told_of_is_the_only_one_asked_for_and_the_one_that_computes() {
    let gpu = get(&get(&js_sys::global(), "navigator"), "gpu");
    let prototype: Object = Object::get_prototype_of(&gpu).unchecked_into();
    let original: Function = get(&prototype, "requestAdapter").unchecked_into();
    let (requests, opened) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(Vec::new())));
    let fake = {
        let (requests, opened, original) = (requests.clone(), opened.clone(), original.clone());
        Closure::<dyn Fn(JsValue) -> Promise>::new(move |options: JsValue| {
            let number = requests.get() + 1;
            requests.set(number);
            let (opened, asked) = (opened.clone(), original.call1(&gpu, &options));
            future_to_promise(async move {
                let adapter = JsFuture::from(asked?.unchecked_into::<Promise>()).await?;
                let info = Object::new();
                for (name, value) in [
                    ("description", JsValue::from(format!("number {number}"))),
                    ("vendor", "".into()),
                    ("architecture", "".into()),
                    ("device", "".into()),
                    ("subgroupMinSize", 4.into()),
                    ("subgroupMaxSize", 64.into()),
                    ("isFallbackAdapter", false.into()),
                ] {
                    Reflect::set(&info, &name.into(), &value)?;
                }
                let own = Object::new();
                Reflect::set(&own, &"value".into(), &info)?;
                Reflect::define_property(adapter.unchecked_ref::<Object>(), &"info".into(), &own)?;
                let request: Function = get(&adapter, "requestDevice").unchecked_into();
                let its = adapter.clone();
                let device = Closure::<dyn Fn(JsValue) -> Promise>::new(move |options: JsValue| {
                    opened.borrow_mut().push(number);
                    request.call1(&its, &options).expect("a promise").unchecked_into()
                });
                Reflect::set(&adapter, &"requestDevice".into(), &device.into_js_value())?;
                Ok(adapter)
            })
        })
    };
    Reflect::set(&prototype, &"requestAdapter".into(), fake.as_ref()).expect("a test may replace it");

    let found = adapter::find().await.expect("these tests need a browser with WebGPU; a software adapter will do");
    let first = found.open().await.expect("the adapter gives a device");
    assert_eq!((requests.get(), opened.borrow().as_slice()), (1, &[1][..]));
    assert_eq!((found.described.name.as_str(), first.adapter().name.as_str()), ("number 1", "number 1"));

    let other = adapter::find().await.expect("the browser is asked again");
    let second = other.open().await.expect("the adapter gives a device");
    assert_eq!((requests.get(), opened.borrow().as_slice()), (2, &[1, 2][..]));
    assert_eq!((other.described.name.as_str(), second.adapter().name.as_str()), ("number 2", "number 2"));
    Reflect::set(&prototype, &"requestAdapter".into(), &original).expect("a test may put it back");
}
