//! What the page knows, gathered from the worker's events. No browser in here: it is tested natively.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::protocol::{
    Batch, BestOfNNumbers, Command, Event, Failure, LikelihoodBatch, Order, Origin, Point, Progress, Ready, Round,
    Samples, ScoredBatch, Stage, StageState, StageStatus, Work,
};
use crate::engine::settings::Settings;
use crate::metrics::{MetricRow, OptimumPoint, ScalingPoint, WinRatePoint};
use crate::page::charted::Looking;
use crate::page::recorded::Recorded;
use crate::page::study::Study;
use crate::page::view::View;

/// A file for the person.
#[derive(Debug, Clone)]
pub enum Export {
    /// A model.
    Checkpoint(Stage, Vec<u8>),
    /// Pairs, as JSON lines.
    Preferences(String),
    /// Numbers, a script or a chart.
    Document {
        /// The file's name, which says what it is.
        name: String,
        /// What it holds.
        text: String,
    },
}

/// Everything the views read.
#[derive(Debug, Clone)]
pub struct State {
    /// The knobs as the person set them.
    pub settings: Settings,
    /// The settings that the engine was last built with.
    started: Option<Settings>,
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
    /// The longer works under way.
    pub works: BTreeMap<Work, Progress>,
    /// Rows of the run that is on, by stage.
    pub metrics: BTreeMap<Stage, Vec<MetricRow>>,
    /// Every point of every run since the page was opened.
    pub points: Vec<Point>,
    /// The closed-form optimum.
    pub optimum: Vec<OptimumPoint>,
    /// Whether that was recorded or is computed here.
    pub optimum_origin: Origin,
    /// The standing completions.
    pub samples: Option<Samples>,
    /// Completions of the person's own prompt.
    pub typed: Option<Samples>,
    /// The last DPO batch that was looked into.
    pub batch: Option<Batch>,
    /// The last batch of unlikelihood and of Preferred-FT that was looked into.
    pub likelihoods: BTreeMap<Stage, LikelihoodBatch>,
    /// What Best-of-N came to.
    pub best_of_n: Vec<BestOfNNumbers>,
    /// The last batch of the reward model that was looked into.
    pub scored: Option<ScoredBatch>,
    /// The last round of PPO and of PPO-GT that was looked into.
    pub rounds: BTreeMap<Stage, Round>,
    /// What went wrong last.
    pub failure: Option<Failure>,
    /// The point that is pointed at, as trail and index.
    pub selected: Option<(usize, usize)>,
    /// How the charts over the steps are looked at.
    pub curves: Looking,
    /// A file that has just been exported.
    pub export: Option<Export>,
    /// Steps of a policy's run after which β was changed, with the new value.
    pub beta_changes: BTreeMap<Stage, Vec<(u64, f64)>>,
    /// Optimiser steps of every run since the page was opened.
    pub steps: usize,
    /// What the native program measured once.
    pub recorded: Recorded,
    /// The experiment that is open beside the frontier.
    pub study: Study,
    /// Win rates of this page's own models.
    pub win_rates: Vec<WinRatePoint>,
    /// Win rates of models of several sizes, trained here.
    pub scaling: Vec<ScalingPoint>,
    orders: u32,
    /// The last order to play or pause, until it is taken up: what the worker reports before that is out of date.
    toggled: Option<u32>,
    /// What each order that is not taken up yet will start over.
    starting_over: BTreeMap<u32, &'static [Stage]>,
    starts: BTreeSet<u32>,
    /// Runs of the engines before this one: each engine counts from 1.
    earlier_runs: u32,
    turned: BTreeMap<u32, f64>,
    stale: BTreeSet<View>,
}

impl State {
    /// A page on which nothing has happened yet.
    pub fn new(settings: Settings) -> Self {
        let stage = |stage, state, origin| StageStatus { stage, state, origin, steps: 0 };
        Self {
            settings,
            started: None,
            dragged_beta: settings.beta,
            ready: None,
            playing: false,
            focused: Stage::Dpo,
            stages: Stage::ALL
                .map(|it| {
                    let is_shipped = matches!(it, Stage::Base | Stage::Sft);
                    stage(it, StageState::Waiting, if is_shipped { Origin::Recorded } else { Origin::Live })
                })
                .into(),
            works: BTreeMap::new(),
            metrics: BTreeMap::new(),
            points: Vec::new(),
            optimum: Vec::new(),
            optimum_origin: Origin::Recorded,
            samples: None,
            typed: None,
            batch: None,
            likelihoods: BTreeMap::new(),
            best_of_n: Vec::new(),
            scored: None,
            rounds: BTreeMap::new(),
            failure: None,
            selected: None,
            curves: Looking::default(),
            export: None,
            beta_changes: BTreeMap::new(),
            steps: 0,
            recorded: Recorded::default(),
            study: Study::default(),
            win_rates: Vec::new(),
            scaling: Vec::new(),
            orders: 0,
            toggled: None,
            starting_over: BTreeMap::new(),
            starts: BTreeSet::new(),
            earlier_runs: 0,
            turned: BTreeMap::new(),
            stale: View::ALL.into(),
        }
    }

    /// Gives a command its number, and shows at once what the person expects of it.
    pub fn order(&mut self, command: Command) -> Order {
        self.orders += 1;
        if matches!(command, Command::Start(_)) {
            self.starts.insert(self.orders);
        }
        match &command {
            Command::Start(_) | Command::Reset | Command::Retrain => {
                self.playing = false;
                let stages = match command {
                    Command::Reset => self.focused.restarted(),
                    Command::Retrain => &[Stage::Sft],
                    _ => &Stage::ALL,
                };
                self.starting_over.insert(self.orders, stages);
                if command == Command::Retrain {
                    self.focus(Stage::Sft);
                }
            }
            Command::Play | Command::Pause => {
                self.playing = command == Command::Play;
                self.toggled = Some(self.orders);
            }
            Command::Focus(stage) => self.focus(*stage),
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
                self.toggled = self.toggled.filter(|&toggled| toggled > id);
                if let Some(stages) = self.starting_over.remove(&id) {
                    self.start_over(stages);
                }
                if self.starts.remove(&id) {
                    self.earlier_runs = self.points.iter().map(|point| point.run).max().unwrap_or(0);
                }
                if let Some(beta) = self.turned.remove(&id) {
                    for stage in [Stage::Dpo, Stage::Ppo, Stage::PpoGt] {
                        if let Some(last) = self.metrics.get(&stage).and_then(|rows| rows.last()) {
                            self.beta_changes.entry(stage).or_default().push((last.step, beta));
                        }
                    }
                }
            }
            Event::Ready(ready) => {
                self.ready = Some(ready);
                self.started = Some(self.settings);
                self.win_rates.clear();
                self.scaling.clear();
                self.works.clear();
                self.mark(&[View::Controls, View::Pipeline, View::Frontier, View::Studies]);
            }
            Event::Playing(playing) => {
                if self.toggled.is_none() {
                    self.playing = playing;
                }
                self.mark(&[View::Controls, View::Pipeline]);
            }
            Event::Progress(progress) => {
                self.works.remove(&progress.work);
                if progress.done < progress.total {
                    self.works.insert(progress.work, progress);
                }
                self.mark(&[View::Notices, View::Studies]);
            }
            Event::Stage(status) => {
                if status.steps == 0 {
                    self.forget(status.stage);
                }
                if let Some(known) = self.stages.iter_mut().find(|known| known.stage == status.stage) {
                    *known = status;
                }
                self.mark(&[View::Pipeline, View::Controls]);
            }
            Event::Metrics(stage, rows) => {
                self.steps += rows.len();
                let known = self.metrics.entry(stage).or_default();
                if let Some(first) = rows.first() {
                    // A step that is taken again belongs to a run that began anew, or again from an earlier point.
                    known.retain(|row| row.step < first.step);
                }
                known.extend(rows);
                self.mark(&[View::Curves, View::Pipeline, View::Numbers]);
            }
            Event::Point(point) => {
                self.points.push(Point { run: point.run + self.earlier_runs, ..point });
                self.mark(&[View::Frontier, View::Curves, View::Numbers, View::Studies]);
            }
            Event::Optimum(origin, curve) => {
                self.optimum = curve;
                self.optimum_origin = origin;
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
            Event::LikelihoodBatch(batch) => {
                self.likelihoods.insert(batch.stage, batch);
                self.mark(&[View::Inside]);
            }
            Event::BestOfN(numbers) => {
                self.best_of_n = numbers;
                self.mark(&[View::Inside]);
            }
            Event::ScoredBatch(batch) => {
                self.scored = Some(batch);
                self.mark(&[View::Inside]);
            }
            Event::Round(round) => {
                self.rounds.insert(round.stage, round);
                self.mark(&[View::Inside]);
            }
            Event::WinRates(points) => {
                self.win_rates = points;
                self.mark(&[View::Studies]);
            }
            Event::Scaling(points) => {
                self.scaling = points;
                self.mark(&[View::Studies]);
            }
            Event::Checkpoint(stage, bytes) => self.export = Some(Export::Checkpoint(stage, bytes)),
            Event::Preferences(lines) => self.export = Some(Export::Preferences(lines)),
            Event::Failure(failure) => {
                self.playing &= !failure.stopped;
                // Models that are not there leave the engine as it was, and the choice should say so.
                if let (Some("breadth"), Some(started)) = (failure.field.as_deref(), self.started) {
                    self.settings = Settings { breadth: started.breadth, width: started.width, ..self.settings };
                }
                if failure.stopped {
                    self.works.clear();
                }
                self.failure = Some(failure);
                self.mark(&[View::Notices, View::Controls, View::Pipeline]);
            }
        }
    }

    /// Whether the engine is at this work now.
    pub fn is_at(&self, work: Work) -> bool {
        self.works.contains_key(&work)
    }

    /// Asks for views to be drawn at the next frame.
    pub fn mark(&mut self, views: &[View]) {
        self.stale.extend(views);
    }

    /// The views to draw now, each once.
    pub fn take_stale(&mut self) -> BTreeSet<View> {
        std::mem::take(&mut self.stale)
    }

    fn focus(&mut self, stage: Stage) {
        self.focused = stage;
        self.curves.at = None;
        self.mark(&[View::Curves, View::Inside, View::Numbers]);
    }

    fn start_over(&mut self, stages: &[Stage]) {
        stages.iter().for_each(|stage| self.forget(*stage));
        self.works.retain(|work, _| *work == Work::Scaling);
        self.failure = None;
        self.selected = None;
        self.curves.at = None;
        self.mark(&View::ALL);
    }

    /// Forgets the run of a stage; its points stay.
    fn forget(&mut self, stage: Stage) {
        self.metrics.remove(&stage);
        self.beta_changes.remove(&stage);
        self.rounds.remove(&stage);
        self.likelihoods.remove(&stage);
        match stage {
            Stage::BestOfN => self.best_of_n.clear(),
            Stage::Dpo => self.batch = None,
            Stage::RewardModel => self.scored = None,
            _ => {}
        }
        self.mark(&[View::Curves, View::Inside, View::Numbers]);
    }

    /// A stage of the pipeline.
    pub fn stage(&self, stage: Stage) -> Option<&StageStatus> {
        self.stages.iter().find(|status| status.stage == stage)
    }

    /// The newest point, whose numbers stand large beside the chart.
    pub fn latest(&self) -> Option<&Point> {
        self.points.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings::Breadth;
    use crate::metrics::{FrontierPoint, Setting};
    use crate::page::trails::trails;

    fn point(run: u32, method: &str, step: u64) -> Event {
        let point = FrontierPoint {
            method: method.into(),
            setting: Setting::Number(0.3),
            seed: 1,
            step,
            kl_per_sequence: 1.0,
            kl_half_width: 0.1,
            gold_reward: 0.6,
            gold_reward_half_width: 0.01,
            samples: 512,
            seconds: 1.0,
            diversity: None,
        };
        Event::Point(Point { run, point })
    }

    fn row(step: u64) -> Event {
        Event::Metrics(Stage::Dpo, vec![MetricRow { step, values: BTreeMap::new() }])
    }

    #[test]
    fn a_reset_forgets_the_run_when_it_is_taken_up_and_keeps_every_point() {
        let mut state = State::new(Settings::default());
        state.apply(row(1));
        state.apply(point(1, "dpo", 10));
        let order = state.order(Command::Reset);
        state.apply(row(2));
        assert_eq!(state.metrics[&Stage::Dpo].len(), 2, "rows of the old run still come until the reset is taken up");
        state.apply(Event::Acknowledged(order.id));
        assert!(state.metrics.is_empty());
        assert_eq!(state.points.len(), 1);
        assert_eq!(state.settings, Settings::default());
    }

    #[test]
    fn a_reset_forgets_what_the_stage_in_focus_starts_over_and_nothing_else() {
        let mut state = State::new(Settings::default());
        let row = |stage| Event::Metrics(stage, vec![MetricRow { step: 1, values: BTreeMap::new() }]);
        for stage in [Stage::Dpo, Stage::RewardModel, Stage::Ppo, Stage::PpoGt] {
            state.apply(row(stage));
        }
        state.order(Command::Focus(Stage::RewardModel));
        let order = state.order(Command::Reset);
        state.apply(Event::Acknowledged(order.id));
        assert_eq!(state.metrics.keys().copied().collect::<Vec<_>>(), [Stage::Dpo, Stage::PpoGt]);
    }

    #[test]
    fn another_engine_does_not_add_to_the_runs_of_the_one_before() {
        let mut state = State::new(Settings::default());
        for _ in 0..2 {
            let order = state.order(Command::Start(Settings::default()));
            state.apply(Event::Acknowledged(order.id));
            state.apply(point(1, "dpo", 10));
        }
        assert_eq!(
            trails(&state.points).iter().map(|trail| (trail.live, trail.points.len())).collect::<Vec<_>>(),
            [(false, 1), (true, 1)]
        );
    }

    #[test]
    fn steps_taken_again_replace_those_they_repeat() {
        let mut state = State::new(Settings::default());
        (1..=5).for_each(|step| state.apply(row(step)));
        state.apply(row(3));
        assert_eq!(state.metrics[&Stage::Dpo].iter().map(|row| row.step).collect::<Vec<_>>(), [1, 2, 3]);
        let status = StageStatus { stage: Stage::Dpo, state: StageState::Ready, origin: Origin::Live, steps: 0 };
        state.apply(Event::Stage(status));
        assert!(!state.metrics.contains_key(&Stage::Dpo), "a loaded SFT model starts DPO over");
    }

    #[test]
    fn a_change_of_beta_is_marked_where_it_was_taken_up() {
        let mut state = State::new(Settings::default());
        let before = state.order(Command::SetBeta(0.1));
        state.apply(Event::Acknowledged(before.id));
        assert!(state.beta_changes.is_empty(), "nothing was trained yet");
        state.apply(row(7));
        let order = state.order(Command::SetBeta(1.0));
        state.apply(row(8));
        state.apply(Event::Acknowledged(order.id));
        assert_eq!(state.beta_changes[&Stage::Dpo], [(8, 1.0)]);
    }

    #[test]
    fn what_an_earlier_click_caused_does_not_undo_a_later_one() {
        let mut state = State::new(Settings::default());
        let pause = state.order(Command::Pause);
        let play = state.order(Command::Play);
        state.apply(Event::Acknowledged(pause.id));
        state.apply(Event::Playing(false));
        assert!(state.playing, "the pause was taken back before it was taken up");
        state.apply(Event::Acknowledged(play.id));
        state.apply(Event::Playing(true));
        state.apply(Event::Playing(false));
        assert!(!state.playing, "the engine may stop by itself");
    }

    #[test]
    fn a_reference_that_is_not_there_leaves_the_choice_where_it_was() {
        let mut state = State::new(Settings::default());
        let ready = Ready {
            backend: crate::engine::protocol::Badge {
                kind: crate::engine::protocol::BackendKind::Cpu,
                adapter: None,
                why: String::new(),
                remedy: None,
            },
            parameters: 1,
            vocabulary: 1,
            width: 32,
            layers: 1,
            words: vec![],
        };
        state.apply(Event::Ready(ready));
        state.settings.breadth = Breadth::Broad;
        state.order(Command::Start(state.settings));
        let failure = |field: &str| Failure {
            sentence: "a".into(),
            remedy: "b".into(),
            field: Some(field.into()),
            stopped: true,
        };
        state.apply(Event::Failure(failure("backend")));
        assert_eq!(state.settings.breadth, Breadth::Broad);
        state.apply(Event::Failure(failure("breadth")));
        assert_eq!(state.settings.breadth, Breadth::Default);
    }

    #[test]
    fn play_shows_at_once_and_a_stopping_failure_ends_it() {
        let mut state = State::new(Settings::default());
        state.take_stale();
        state.order(Command::Play);
        assert!(state.playing && state.take_stale().contains(&View::Controls));
        let failure = |stopped| Failure { sentence: "a".into(), remedy: "b".into(), field: None, stopped };
        state.apply(Event::Failure(failure(false)));
        assert!(state.playing);
        state.apply(Event::Failure(failure(true)));
        assert!(!state.playing && state.take_stale().contains(&View::Notices));
    }
}
