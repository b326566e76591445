//! Alignment against size, done here: models of several sizes trained from nothing, each against the largest SFT model
//! among them.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use super::{MOST_STEPS, SLICE_SECONDS, Session, progress};
use crate::engine::protocol::{Event, Extent, Failure, Progress, Work};
use klimb_lab::{PartTraining, ScalingContest, ScalingPart, ScalingSettings, StudyError};
use klimb_metrics::ScalingPoint;
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::Checkpoint;
use klimb_world::{World, WorldSettings};

/// Which experiment stands behind a word of the page; named by the session's seed.
pub type Scale = fn(Extent, u64) -> ScalingSettings;

/// The page's own: as many sizes as a browser trains in a minute or two, or as many as were recorded.
pub(super) fn scale(extent: Extent, seed: u64) -> ScalingSettings {
    match extent {
        Extent::Small => ScalingSettings::page(seed),
        Extent::Full => ScalingSettings { seeds: vec![seed], ..ScalingSettings::quick() },
    }
}

/// What is to be done, in order.
#[derive(Debug, Clone, Copy)]
enum Task {
    Train(ScalingPart),
    /// The largest SFT model writes.
    Oppose(ScalingPart),
    /// With the cue or without.
    Challenge(ScalingPart, bool),
}

/// The experiment under way.
pub(super) struct LiveScaling<K: Kernels> {
    /// The text that the sizes learn from has the default breadth, as the recorded ones had.
    world: World,
    settings: ScalingSettings,
    agenda: VecDeque<Task>,
    training: Option<PartTraining<K>>,
    contest: Option<ScalingContest<K>>,
    points: Vec<ScalingPoint>,
    began: f64,
    /// What tasks have cost, of those in all, in [`ScalingSettings::cost`]'s units.
    done: u64,
    total: u64,
}

impl<K: Kernels> LiveScaling<K> {
    fn new(settings: ScalingSettings, finished: &BTreeMap<String, Checkpoint>, began: f64) -> Self {
        let world = World::new(WorldSettings::default()).expect("the default settings are valid");
        let mut agenda = VecDeque::new();
        // The largest models come first: everyone else writes against one of them.
        for group in settings.groups() {
            for part in group {
                if !finished.contains_key(&part.name()) {
                    agenda.push_back(Task::Train(part));
                }
                agenda.extend((part == settings.opponent(part.seed)).then_some(Task::Oppose(part)));
            }
            let contests = group.into_iter().flat_map(|part| part.stage.cues().iter().map(move |&cue| (part, cue)));
            agenda.extend(contests.map(|(part, has_cue)| Task::Challenge(part, has_cue)));
        }
        let mut live = Self {
            world,
            settings,
            agenda,
            training: None,
            contest: None,
            points: Vec::new(),
            began,
            done: 0,
            total: 0,
        };
        live.total = live.agenda.iter().map(|task| live.cost(*task)).sum();
        live
    }

    fn cost(&self, task: Task) -> u64 {
        match task {
            Task::Train(part) => self.settings.training_cost(&self.world, &part),
            Task::Oppose(part) | Task::Challenge(part, _) => self.settings.contest_cost(&self.world, &part),
        }
    }

    /// What is done, the share of the training at hand included.
    fn spent(&self) -> u64 {
        let part = self.training.as_ref().map_or(0, |training| {
            let progress = training.progress();
            self.cost(Task::Train(training.part())) * progress.done / progress.total
        });
        self.done + part
    }

    /// One piece of the task at hand; whether there is a new point.
    async fn advance(&mut self, k: &mut K, finished: &mut BTreeMap<String, Checkpoint>) -> Result<bool, StudyError> {
        let Some(&task) = self.agenda.front() else { return Ok(false) };
        match task {
            Task::Train(part) => {
                if self.training.is_none() {
                    let start = part.stage.start().map(|stage| &finished[&ScalingPart { stage, ..part }.name()]);
                    self.training = Some(PartTraining::new(k, &self.world, &self.settings, part, start));
                }
                if let Some(training) = &mut self.training {
                    training.advance(k, &self.world).await?;
                    if training.is_finished() {
                        finished.insert(part.name(), training.checkpoint(k, &self.world).await?);
                        self.training = None;
                        // Its buffers go, and so must the bind groups made for them.
                        k.forget();
                        self.finish(task);
                    }
                }
                Ok(false)
            }
            Task::Oppose(part) => {
                let opponent = &finished[&part.name()];
                let contest = self
                    .contest
                    .get_or_insert_with(|| ScalingContest::against(k, &self.world, &self.settings, opponent));
                contest.advance(k, &self.world).await?;
                if contest.is_waiting() {
                    self.finish(task);
                }
                Ok(false)
            }
            Task::Challenge(part, has_cue) => {
                let contest = self.contest.as_mut().expect("an opponent comes before any contestant");
                if contest.is_waiting() {
                    contest.challenge(k, &self.world, part, &finished[&part.name()], has_cue);
                }
                let point = contest.advance(k, &self.world).await?;
                let is_measured = point.is_some();
                self.points.extend(point);
                if is_measured {
                    self.finish(task);
                }
                Ok(is_measured)
            }
        }
    }

    fn finish(&mut self, task: Task) {
        self.done += self.cost(task);
        self.agenda.pop_front();
    }
}

impl<K: Kernels> Session<K> {
    /// Begins the experiment, or ends the one that is on. Models that are finished are kept as long as the session.
    pub(super) fn scaling(&mut self, extent: Option<Extent>, events: &mut Vec<Event>) {
        if self.scaling.take().is_some() {
            events.push(progress(Work::Scaling, 1, 1, 0.0));
        }
        let Some(extent) = extent else { return };
        let settings = (self.scale)(extent, u64::from(self.models.settings.seed));
        let live = LiveScaling::new(settings, &self.scaled, (self.clock)());
        let total = live.total as usize;
        events.push(Event::Scaling(Vec::new()));
        events.push(Event::Progress(Progress { work: Work::Scaling, done: 0, total, seconds_left: None }));
        self.scaling = Some(live);
    }

    /// A slice of the experiment.
    pub(super) async fn advance_scaling(&mut self, events: &mut Vec<Event>) -> Result<(), BackendError> {
        let Some(mut live) = self.scaling.take() else { return Ok(()) };
        let start = (self.clock)();
        for _ in 0..MOST_STEPS {
            match live.advance(&mut self.k, &mut self.scaled).await {
                Ok(true) => events.push(Event::Scaling(live.points.clone())),
                Ok(false) => {}
                Err(StudyError::Backend(error)) => return Err(error),
                Err(error) => {
                    events.push(progress(Work::Scaling, 1, 1, 0.0));
                    events.push(Event::Failure(Failure {
                        sentence: error.message().as_sentence(),
                        remedy: message!("Alignment against size has ended here; try another seed."),
                        field: Some("seed".into()),
                        stopped: false,
                    }));
                    return Ok(());
                }
            }
            if (self.clock)() - start > SLICE_SECONDS {
                break;
            }
        }
        let (done, total) = (live.spent(), live.total);
        let left = ((self.clock)() - live.began) / done.max(1) as f64 * (total - done) as f64;
        events.push(progress(Work::Scaling, done as usize, total as usize, left));
        self.scaling = Some(live).filter(|_| done < total);
        Ok(())
    }
}
