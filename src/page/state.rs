//! What the page knows, gathered from the worker's events. No browser in here: it is tested natively.

use std::collections::{BTreeMap, BTreeSet};

use crate::charts::Trail;
use crate::engine::protocol::{
    Batch, Command, Event, Failure, Order, Origin, Point, Progress, Ready, Samples, Stage, StageState, StageStatus,
};
use crate::engine::settings::Settings;
use crate::metrics::{MetricRow, OptimumPoint, Setting};
use crate::page::format;

/// The parts of the document that are drawn on their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    /// Buttons, knobs and the badge.
    Controls,
    /// The stages.
    Pipeline,
    /// The chart and its table.
    Frontier,
    /// Loss, KL and reward over steps.
    Curves,
    /// The completions side by side.
    Samples,
    /// The numbers of a DPO batch.
    Inside,
    /// The three large numbers and the rest.
    Numbers,
    /// Progress and failures.
    Notices,
}

impl View {
    /// Every view.
    pub const ALL: [Self; 8] = [
        Self::Controls,
        Self::Pipeline,
        Self::Frontier,
        Self::Curves,
        Self::Samples,
        Self::Inside,
        Self::Numbers,
        Self::Notices,
    ];
}

/// Everything the views read.
#[derive(Debug, Clone)]
pub struct State {
    /// The knobs as the person set them.
    pub settings: Settings,
    /// β under the finger: the settings' β follows at release.
    pub dragged_beta: f64,
    /// The engine, once it is built.
    pub ready: Option<Ready>,
    /// Whether the engine trains now, or was just asked to.
    pub playing: bool,
    /// What Play trains.
    pub focused: Stage,
    /// The pipeline, in order.
    pub stages: Vec<StageStatus>,
    /// The longer work under way.
    pub progress: Option<Progress>,
    /// Rows of the run that is on, by stage.
    pub metrics: BTreeMap<Stage, Vec<MetricRow>>,
    /// Every point of every run since the page was opened.
    pub points: Vec<Point>,
    /// The closed-form optimum.
    pub optimum: Vec<OptimumPoint>,
    /// The standing completions.
    pub samples: Option<Samples>,
    /// Completions of the person's own prompt.
    pub typed: Option<Samples>,
    /// The last DPO batch that was looked into.
    pub batch: Option<Batch>,
    /// What went wrong last.
    pub failure: Option<Failure>,
    /// The point that is pointed at, as trail and index.
    pub selected: Option<(usize, usize)>,
    /// A file that has just been exported.
    pub export: Option<(Stage, Vec<u8>)>,
    /// Steps of the run after which β was changed, with the new value.
    pub beta_changes: Vec<(u64, f64)>,
    orders: u32,
    starting_over: BTreeSet<u32>,
    turned: BTreeMap<u32, f64>,
    stale: BTreeSet<View>,
}

impl State {
    /// A page on which nothing has happened yet.
    pub fn new(settings: Settings) -> Self {
        let stage = |stage, state, origin| StageStatus { stage, state, origin, steps: 0 };
        Self {
            settings,
            dragged_beta: settings.beta,
            ready: None,
            playing: false,
            focused: Stage::Dpo,
            stages: vec![
                stage(Stage::Base, StageState::Waiting, Origin::Recorded),
                stage(Stage::Sft, StageState::Waiting, Origin::Recorded),
                stage(Stage::Pairs, StageState::Waiting, Origin::Live),
                stage(Stage::Dpo, StageState::Waiting, Origin::Live),
            ],
            progress: None,
            metrics: BTreeMap::new(),
            points: Vec::new(),
            optimum: Vec::new(),
            samples: None,
            typed: None,
            batch: None,
            failure: None,
            selected: None,
            export: None,
            beta_changes: Vec::new(),
            orders: 0,
            starting_over: BTreeSet::new(),
            turned: BTreeMap::new(),
            stale: View::ALL.into(),
        }
    }

    /// Gives a command its number, and shows at once what the person expects of it.
    pub fn order(&mut self, command: Command) -> Order {
        self.orders += 1;
        match &command {
            Command::Start { .. } | Command::Reset | Command::Retrain => {
                self.playing = false;
                self.starting_over.insert(self.orders);
            }
            Command::Play => self.playing = true,
            Command::Pause => self.playing = false,
            Command::Focus(stage) => self.focused = *stage,
            Command::SetBeta(beta) => {
                self.settings.beta = *beta;
                self.turned.insert(self.orders, *beta);
            }
            Command::Configure(settings) => self.settings = *settings,
            _ => {}
        }
        self.mark(&[View::Controls, View::Pipeline]);
        Order { id: self.orders, command }
    }

    /// Takes up what the worker reports.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Acknowledged(id) => {
                if self.starting_over.remove(&id) {
                    self.forget_run();
                }
                let last = self.metrics.get(&Stage::Dpo).and_then(|rows| rows.last());
                if let (Some(beta), Some(last)) = (self.turned.remove(&id), last) {
                    self.beta_changes.push((last.step, beta));
                }
            }
            Event::Ready(ready) => {
                self.ready = Some(ready);
                self.mark(&[View::Controls, View::Pipeline]);
            }
            Event::Playing(playing) => {
                self.playing = playing;
                self.mark(&[View::Controls, View::Pipeline]);
            }
            Event::Progress(progress) => {
                self.progress = (progress.done < progress.total).then_some(progress);
                self.mark(&[View::Notices]);
            }
            Event::Stage(status) => {
                if let Some(known) = self.stages.iter_mut().find(|known| known.stage == status.stage) {
                    *known = status;
                }
                self.mark(&[View::Pipeline, View::Controls]);
            }
            Event::Metrics(stage, rows) => {
                self.metrics.entry(stage).or_default().extend(rows);
                self.mark(&[View::Curves, View::Pipeline, View::Numbers]);
            }
            Event::Point(point) => {
                self.points.push(point);
                self.mark(&[View::Frontier, View::Curves, View::Numbers]);
            }
            Event::Optimum(curve) => {
                self.optimum = curve;
                self.mark(&[View::Frontier, View::Numbers]);
            }
            Event::Samples(samples) => {
                let place = if samples.typed { &mut self.typed } else { &mut self.samples };
                *place = Some(samples);
                self.mark(&[View::Samples]);
            }
            Event::Batch(batch) => {
                self.batch = Some(batch);
                self.mark(&[View::Inside]);
            }
            Event::Checkpoint(stage, bytes) => self.export = Some((stage, bytes)),
            Event::Failure(failure) => {
                self.playing &= !failure.stopped;
                self.progress = self.progress.take().filter(|_| !failure.stopped);
                self.failure = Some(failure);
                self.mark(&[View::Notices, View::Controls, View::Pipeline]);
            }
        }
    }

    /// Asks for views to be drawn at the next frame.
    pub fn mark(&mut self, views: &[View]) {
        self.stale.extend(views);
    }

    /// The views to draw now, each once.
    pub fn take_stale(&mut self) -> BTreeSet<View> {
        std::mem::take(&mut self.stale)
    }

    fn forget_run(&mut self) {
        self.metrics.clear();
        self.beta_changes.clear();
        self.batch = None;
        self.progress = None;
        self.failure = None;
        self.selected = None;
        self.mark(&View::ALL);
    }

    /// A stage of the pipeline.
    pub fn stage(&self, stage: Stage) -> Option<&StageStatus> {
        self.stages.iter().find(|status| status.stage == stage)
    }

    /// The newest point, whose numbers stand large beside the chart.
    pub fn latest(&self) -> Option<&Point> {
        self.points.last()
    }

    /// The points as trails: one per run and method, the newest run alive.
    pub fn trails(&self) -> Vec<Trail> {
        let mut trails: BTreeMap<(u32, &str), Trail> = BTreeMap::new();
        let newest = self.points.iter().map(|point| point.run).max();
        for point in &self.points {
            let trail = trails.entry((point.run, &point.point.method)).or_insert_with(|| Trail {
                label: String::new(),
                method: point.point.method.clone(),
                live: Some(point.run) == newest,
                points: Vec::new(),
            });
            trail.label = run_name(point);
            trail.points.push(point.point.clone());
        }
        trails.into_values().collect()
    }
}

/// What a run is called beside its trail.
pub fn run_name(point: &Point) -> String {
    match point.point.method.as_str() {
        "dpo" => format!("DPO, β {}", setting(&point.point.setting)),
        "sft" => "SFT".into(),
        "base" => "base model".into(),
        other => other.to_owned(),
    }
}

/// A method's setting as people read it.
pub fn setting(setting: &Setting) -> String {
    match setting {
        Setting::Number(value) => format::beta(*value),
        Setting::Label(label) => label.clone(),
    }
}
