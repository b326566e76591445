//! The page in a real browser: what the charts draw is on the canvas where it belongs, and messages survive the way
//! between page and worker. Run by `cargo xtask test wasm`.
#![cfg(target_arch = "wasm32")]

#[path = "fuzz_targets/mod.rs"]
mod fuzz_targets;

use std::collections::BTreeMap;

use fuzz_targets::{TARGETS, mutator};
use klimb::charts::{ChartStyle, Curve, CurveChart, Frame, FrontierChart, Palette, Trail};
use klimb::engine::protocol::*;
use klimb::engine::settings::{BackendChoice, Settings};
use klimb::engine::worker::wire;
use klimb::metrics::{FrontierPoint, Method, MetricRow, OptimumPoint, Setting};
use klimb::page::Surface;
use plotters::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

wasm_bindgen_test_configure!(run_in_browser);

fn canvas() -> HtmlCanvasElement {
    let document = web_sys::window().unwrap().document().unwrap();
    let canvas: HtmlCanvasElement = document.create_element("canvas").unwrap().dyn_into().unwrap();
    canvas.set_width(800);
    canvas.set_height(500);
    canvas
}

fn colour_at(canvas: &HtmlCanvasElement, (x, y): (i32, i32)) -> RGBColor {
    let context: CanvasRenderingContext2d = canvas.get_context("2d").unwrap().unwrap().dyn_into().unwrap();
    let data = context.get_image_data(f64::from(x), f64::from(y), 1.0, 1.0).unwrap().data();
    RGBColor(data[0], data[1], data[2])
}

fn point(method: &str, step: u64, kl: f64, reward: f64) -> FrontierPoint {
    FrontierPoint {
        method: Method::of_file_name(method).expect("a method"),
        setting: Setting::Number(1.0),
        seed: 4_294_967_295,
        step,
        kl_per_sequence: kl,
        kl_half_width: 0.1,
        gold_reward: reward,
        gold_reward_half_width: 0.01,
        samples: 512,
        seconds: 1.5,
        diversity: Some(0.75),
    }
}

fn optimum() -> Vec<OptimumPoint> {
    let point = |(beta, kl_per_sequence, gold_reward)| OptimumPoint {
        beta,
        kl_per_sequence,
        gold_reward,
        effective_sample_size: 500.0,
    };
    [(5.0, 0.5, 0.7), (1.0, 1.5, 0.86), (0.1, 4.0, 0.95)].map(point).into()
}

fn drawn(chart: &FrontierChart, palette: Palette) -> (HtmlCanvasElement, Frame) {
    let canvas = canvas();
    let area = Surface::canvas(&canvas).expect("a 2D context").into_drawing_area();
    let frame = chart.draw(&area, &ChartStyle { palette, ..ChartStyle::default() }).expect("the chart is drawn");
    (canvas, frame)
}

#[wasm_bindgen_test]
fn every_method_has_its_colour_at_its_data_pixel() {
    for palette in [Palette::LIGHT, Palette::DARK] {
        let trail = |method: &str, kl, reward| Trail {
            label: method.into(),
            method: Method::of_file_name(method).expect("a method"),
            live: true,
            points: vec![point(method, 0, kl, reward)],
        };
        let trails =
            [trail("sft", 0.5, 0.5), trail("dpo", 2.0, 0.6), trail("ppo", 3.0, 0.7), trail("ppo-gt", 4.0, 0.6)];
        let chart = FrontierChart {
            ghosts: &[],
            read_off: &[],
            trails: &trails,
            optimum: &optimum(),
            aims: &[],
            target: None,
            selected: None,
            guess: None,
            empty: "",
        };
        let (canvas, frame) = drawn(&chart, palette);
        assert_eq!(colour_at(&canvas, frame.pixel(0.5, 0.5)), palette.sft);
        assert_eq!(colour_at(&canvas, frame.pixel(2.0, 0.6)), palette.dpo);
        assert_eq!(colour_at(&canvas, frame.pixel(3.0, 0.7)), palette.ppo);
        assert_eq!(colour_at(&canvas, frame.pixel(4.0, 0.6)), palette.ppo_gt);
        assert_eq!(colour_at(&canvas, frame.pixel(4.5, 0.5)), palette.paper, "nothing is there");
        assert_eq!(colour_at(&canvas, frame.pixel(2.0, 0.97)), palette.shade, "no policy lies above the optimum");
    }
}

#[wasm_bindgen_test]
fn a_curve_has_its_colour_at_its_last_value() {
    let canvas = canvas();
    let area = Surface::canvas(&canvas).expect("a 2D context").into_drawing_area();
    let points = vec![(1.0, 0.69), (20.0, 0.5)];
    let curves = [Curve { label: "DPO".into(), style: Method::Dpo.into(), points, ..Curve::default() }];
    let chart = CurveChart { name: "loss", curves: &curves, at_least: (0.4, 0.8), ..CurveChart::default() };
    let frame = chart.draw(&area, &ChartStyle::default()).expect("the chart is drawn");
    assert_eq!(colour_at(&canvas, frame.pixel(20.0, 0.5)), Palette::LIGHT.dpo);
}

/// By the canvas's own ruler: plotters' way puts a styled element into the document, which a strict policy forbids.
#[wasm_bindgen_test]
fn text_is_measured_without_touching_the_document() {
    let body = web_sys::window().unwrap().document().unwrap().body().unwrap();
    let before = body.child_element_count();
    let area = Surface::canvas(&canvas()).expect("a 2D context").into_drawing_area();
    let style = ("sans-serif", 20).into_text_style(&area);
    let (narrow, _) = area.estimate_text_size("iii", &style).unwrap();
    let (wide, height) = area.estimate_text_size("WWW", &style).unwrap();
    assert!(narrow < wide && height == 20, "{narrow} {wide} {height}");
    assert_eq!(body.child_element_count(), before);
}

fn round_trip<T: serde::Serialize + serde::de::DeserializeOwned>(message: &T) -> T {
    let sent = wire::encode(message).expect("the message is written");
    let clone = js_sys::Reflect::get(&js_sys::global(), &"structuredClone".into()).unwrap();
    let clone: js_sys::Function = clone.dyn_into().expect("the browser clones as postMessage does");
    let cloned = clone.call1(&js_sys::global(), &sent).expect("postMessage can take it");
    wire::decode(cloned).expect("the message is read")
}

#[wasm_bindgen_test]
fn orders_come_back_as_they_were() {
    let settings = Settings { seed: u32::MAX, backend: BackendChoice::Gpu, beta: 1.0, ..Settings::default() };
    let commands = [
        Command::Start(settings),
        Command::Play,
        Command::Step(Stage::Dpo),
        Command::Step(Stage::RewardModel),
        Command::Focus(Stage::PpoGt),
        Command::SetBeta(5.0),
        Command::Configure(settings),
        Command::SamplePrompt("the acting – “wow”".into()),
        Command::LoadCheckpoint(vec![7; 1000]),
        Command::SetPace(None),
        Command::SetPace(Some(4.0)),
    ];
    for (id, command) in (1..).zip(commands) {
        let request = Request { id, command };
        assert_eq!(round_trip(&request), request);
    }
}

#[wasm_bindgen_test]
fn events_come_back_as_they_were() {
    let row = MetricRow {
        step: 1,
        values: [("dpo/loss".to_owned(), 1.0), ("rewards/margins".to_owned(), -0.5)].into_iter().collect(),
    };
    let label =
        FrontierPoint { setting: Setting::Label("reference".into()), diversity: None, ..point("sft", 0, 0.0, 0.5) };
    let progress = Progress { work: Work::Optimum, done: 1, total: 3, seconds_left: None };
    let status = StageStatus { stage: Stage::Sft, state: StageState::Done, origin: Origin::Recorded, steps: 3000 };
    let failure = Failure {
        sentence: klimb::Message::verbatim("a"),
        remedy: klimb::Message::verbatim("b"),
        field: None,
        stopped: true,
    };
    let token = TokenNumbers {
        word: "good".into(),
        logprob: -1.5,
        reference_logprob: -1.0,
        reward: 0.25,
        value: 0.5,
        returns: 0.75,
        advantage: -2.0,
        ratio: 1.0,
        clipped: false,
    };
    let episode = EpisodeNumbers { prompt: "it was".into(), score: 1.0, gold_reward: 0.75, tokens: vec![token] };
    let round = Round {
        stage: Stage::Ppo,
        number: 1,
        step: 16,
        size: 256,
        updates: 16,
        beta: 0.5,
        score: 0.0,
        kl: 0.25,
        clip_range: 0.2,
        episodes: vec![episode],
    };
    let events = vec![
        Event::Inside(Stage::Ppo, Inside::Ppo(round)),
        Event::Acknowledged(3),
        Event::Playing(true),
        Event::Progress(progress),
        Event::Stage(status),
        Event::Metrics(Stage::Dpo, vec![row]),
        Event::Point(Point { run: 1, point: point("dpo", 10, 0.25, 0.75) }),
        Event::Point(Point { run: 1, point: label }),
        Event::Optimum(Origin::Recorded, optimum()),
        Event::Checkpoint(Stage::Dpo, vec![1, 2, 3]),
        Event::Failure(failure),
    ];
    assert_eq!(round_trip(&events), events);
}

#[wasm_bindgen_test]
fn a_message_of_another_version_is_refused_in_words() {
    let error = wire::decode::<Request>("nonsense".into()).unwrap_err();
    assert!(error.to_string().contains("older version"), "{error}");
}

/// The page reads JSON and numbers by the browser's means, the native program by its own: what both accept means the same
/// to them. `tests/suite/fuzz.rs` wrote down what inputs mean natively. One may accept what the other refuses, a whole number
/// that is written as `3.0` or beyond 2^53 for one, but of all inputs these are few.
#[wasm_bindgen_test]
fn inputs_mean_here_what_they_mean_natively() {
    let natively: BTreeMap<String, String> =
        serde_json::from_str(include_str!("data/fuzz_digests.json")).expect("the file of digests");
    let (mut inputs, mut one_sided, mut others) = (0, Vec::new(), Vec::new());
    for target in TARGETS.iter().filter(|target| target.in_browser) {
        let (here, there) = (mutator::digests(target), natively[target.name].split(' '));
        assert_eq!(here.len(), there.clone().count(), "{}", target.name);
        for (index, (here, there)) in (0..).zip(here.iter().zip(there)) {
            let shown = || {
                let input = mutator::input(target, 0, index);
                format!("{} {index}, here {here}, natively {there}: {}", target.name, String::from_utf8_lossy(&input))
            };
            inputs += 1;
            match (here.as_str(), there) {
                (here, there) if here == there => {}
                (mutator::REFUSED, _) | (_, mutator::REFUSED) => one_sided.push(shown()),
                _ => others.push(shown()),
            }
        }
    }
    web_sys::console::log_1(&format!("{inputs} inputs, {} accepted on one side alone", one_sided.len()).into());
    assert!(others.is_empty(), "other than natively:\n{}", others.join("\n"));
    assert!(one_sided.len() <= inputs / 200, "accepted on one side alone:\n{}", one_sided.join("\n"));
}
