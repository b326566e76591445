//! What a browser keeps of a page until the next visit, and what of that is taken up again. No browser in here: it is
//! tested natively.

mod slots;

use serde::{Deserialize, Serialize};

pub use self::slots::{MOST_SLOTS, Slots};
use crate::engine::protocol::{Command, Kept, KeptMoment, KeptPolicy, Point, Stage};
use crate::engine::settings::Settings;
use crate::json;
use crate::metrics::MetricRow;
use crate::page::annotator::KeptNames;
use crate::page::lent::Lent;
use crate::page::trails::{RunId, RunMark, is_standing};
use crate::sorted::Map;

/// The version of [`Entry`] that this page writes, and the only one it reads.
const FORMAT: u32 = 1;

/// A page as the browser keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The version of this format.
    format: u32,
    /// Milliseconds since 1970, when it was written.
    when: f64,
    /// The views' part as JSON: thousands of rows are written faster as one text than as objects.
    page: String,
    /// The engine's part; `None` where no policy was measured.
    engine: Option<Kept>,
    /// Where the policies behind the points lie beside it, oldest first.
    #[serde(default)]
    moments: Vec<u32>,
    /// Those that are not there yet, and where they belong.
    #[serde(skip)]
    pub fresh: Vec<(u32, KeptMoment)>,
}

/// The views' part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The knobs.
    pub settings: Settings,
    /// What Play trained.
    pub focused: Stage,
    /// Every point of every run.
    pub points: Vec<Point>,
    /// Rows of the runs that were on.
    pub metrics: Map<Stage, Vec<MetricRow>>,
    /// Steps after which β was changed.
    pub beta_changes: Map<Stage, Vec<(u64, f64)>>,
    /// Runs of the engines before the kept one.
    pub earlier_runs: u32,
    /// Which of the settings were only lent.
    #[serde(default)]
    pub lent: Lent,
    /// What pairs were called.
    #[serde(default)]
    pub pair_names: KeptNames,
    /// What the person made of runs.
    #[serde(default)]
    pub marks: Vec<(RunId, RunMark)>,
}

/// A page of an earlier visit.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    /// Milliseconds since 1970, when it was kept.
    pub when: f64,
    /// The views' part.
    pub seen: Seen,
    /// The engine's part.
    pub engine: Option<Kept>,
}

impl Entry {
    /// An entry of this moment. Metrics that are not finite have no place in JSON, and are left out.
    fn new(when: f64, mut seen: Seen, engine: Option<Kept>, slots: &mut Slots) -> Self {
        for row in seen.metrics.values_mut().flatten() {
            row.values.retain(|_, value| value.is_finite());
        }
        let page = json::to_text(&seen);
        Self { format: FORMAT, when, page, engine, moments: slots.taken(), fresh: slots.take_fresh() }
    }

    /// Where the policies behind its points lie.
    pub fn moments(&self) -> &[u32] {
        &self.moments
    }

    /// Takes what lay there.
    pub fn add(&mut self, moment: KeptMoment) {
        if let Some(engine) = &mut self.engine {
            engine.moments.push(moment);
        }
    }

    /// What was kept, or why it is of no use.
    ///
    /// # Errors
    /// Another format, a damaged text, settings out of range, or nothing to take up.
    pub fn read(self) -> Result<Earlier, String> {
        if self.format != FORMAT {
            return Err(format!("it has format {} and this page reads {FORMAT}", self.format));
        }
        let seen: Seen = json::from_text(&self.page).map_err(|error| error.to_string())?;
        seen.settings.validated().map_err(|error| error.to_string())?;
        let earlier = Earlier { when: self.when, seen, engine: self.engine };
        if earlier.newest().is_none() || !self.when.is_finite() {
            return Err("it holds no run".into());
        }
        Ok(earlier)
    }
}

impl Earlier {
    /// The last point that was trained for.
    fn newest(&self) -> Option<&Point> {
        self.seen.points.iter().rev().find(|point| !is_standing(&point.point.method))
    }

    /// Which run it is, as `DPO, 120 steps`.
    pub fn words(&self) -> String {
        let Some(Point { point, .. }) = self.newest() else { return String::new() };
        let name = super::recorded::method_name(&point.method);
        match point.step {
            0 => name.to_owned(),
            1 => say!("{}, 1 step", name),
            steps => say!("{}, {} steps", name, steps),
        }
    }
}

/// What the browser is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chore {
    /// Keep the page as it is now.
    Write,
    /// Forget what was kept.
    Forget,
}

/// What is known of the kept run, and what is to be done about it.
#[derive(Debug, Clone, Default)]
pub struct Keeping {
    /// A run of an earlier visit, until the person has decided.
    pub offer: Option<Box<Earlier>>,
    /// For the browser, taken by whoever has one.
    pub chore: Option<Chore>,
    /// Why nothing is kept, in a sentence.
    pub trouble: Option<String>,
    /// The run that the engine was told to resume, by the number of the order, and whether that was taken up.
    resuming: Option<(u32, bool, Box<Earlier>)>,
    /// The engine at its last point.
    engine: Option<Kept>,
    /// The policies behind the points.
    slots: Slots,
    /// Whether the engine has just been built.
    is_new: bool,
    /// Whether this visit has put its own run in the place of the offered one.
    has_written: bool,
}

impl Keeping {
    /// The engine at a point of a policy, the newest, whose run is numbered as the engine does.
    pub fn engine_at(&mut self, kept: Kept, newest: Option<Point>) {
        let its = |policy: &&KeptPolicy| {
            newest.as_ref().is_some_and(|point| point.run == policy.run && policy.stage.method() == point.point.method)
        };
        if let (Some(policy), Some(point)) = (kept.policies.iter().find(its), newest.clone()) {
            let KeptPolicy { stage, seconds, ref checkpoint, .. } = *policy;
            self.slots.put(KeptMoment { stage, point, seconds, checkpoint: checkpoint.clone() });
        }
        self.engine = Some(kept);
    }

    /// Another engine is being built: it does not know the policies behind the points of this one.
    pub fn another_engine(&mut self) {
        self.slots.clear();
    }

    /// The engine tells its reference: at first, and then each time it is another, for which those policies are of no use.
    pub fn reference(&mut self) {
        if !std::mem::take(&mut self.is_new) {
            self.slots.clear();
        }
    }

    /// A point has come that is worth keeping.
    pub fn write(&mut self) {
        self.chore = Some(Chore::Write);
    }

    /// An entry of what is `seen`.
    pub fn entry(&mut self, when: f64, seen: Seen) -> Entry {
        self.has_written = true;
        Entry::new(when, seen, self.engine.clone(), &mut self.slots)
    }

    /// The person does not want the offered run. What this visit wrote in its place stays.
    pub fn discard(&mut self) {
        self.offer = None;
        if !self.has_written {
            self.chore = Some(Chore::Forget);
        }
    }

    /// The command that takes up the offered run, which will be order number `order`.
    pub fn resume(&mut self, order: u32) -> Option<Command> {
        let earlier = self.offer.take()?;
        let command = match &earlier.engine {
            Some(kept) => Command::Resume(Box::new(kept.clone())),
            None => Command::Start(earlier.seen.settings),
        };
        self.resuming = Some((order, false, earlier));
        Some(command)
    }

    /// An order was taken up.
    pub fn acknowledged(&mut self, order: u32) {
        if let Some((its, is_taken_up, _)) = &mut self.resuming {
            *is_taken_up |= *its == order;
        }
    }

    /// Another engine is there. Answers with the run that it resumed, if it did.
    pub fn ready(&mut self) -> Option<Earlier> {
        self.engine = None;
        self.is_new = true;
        let (_, _, mut earlier) = self.resuming.take_if(|(_, is_taken_up, _)| *is_taken_up)?;
        if let Some(engine) = &mut earlier.engine {
            self.slots.clear();
            // This visit may have put its own in their places: they are written once more.
            engine.moments.drain(..).for_each(|moment| self.slots.put(moment));
        }
        self.engine = earlier.engine.clone();
        Some(*earlier)
    }

    /// The engine could not use the kept run: it goes.
    pub fn refused(&mut self) {
        self.resuming = None;
        self.discard();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::{Event, Failure, Ready};
    use crate::page::fixtures;
    use crate::page::state::State;

    fn kept() -> Kept {
        Kept {
            settings: Settings { beta: 0.1, ..Settings::default() },
            focus: Stage::Ppo,
            base: Vec::new(),
            sft: Vec::new(),
            optimum: Vec::new(),
            preferences: Vec::new(),
            policies: Vec::new(),
            reward_model: None,
            moments: Vec::new(),
        }
    }

    fn point(run: u32, method: &str, step: u64) -> Event {
        Event::Point(fixtures::point(run, method, step))
    }

    fn ready() -> Event {
        let badge = crate::engine::protocol::Badge {
            kind: crate::engine::protocol::BackendKind::Cpu,
            adapter: None,
            why: "this is a test.".into(),
            remedy: None,
        };
        Event::Ready(Ready { backend: badge, parameters: 1, vocabulary: 1, width: 32, layers: 1, words: Vec::new() })
    }

    /// A page that has trained for a while, as an entry.
    fn entry() -> Entry {
        let mut state = State::new(Settings { beta: 0.1, ..Settings::default() });
        state.order(Command::Focus(Stage::Ppo));
        state.apply(point(1, "sft", 0));
        assert_eq!(state.keeping.chore, None, "the reference is no run");
        state.apply(Event::Metrics(Stage::Ppo, vec![MetricRow::new(120, &[("loss", f64::NAN), ("kl", 1.5)])]));
        state.apply(point(2, "ppo", 120));
        state.apply(Event::Kept(Box::new(kept())));
        assert_eq!(state.keeping.chore.take(), Some(Chore::Write));
        state.entry(1000.0)
    }

    #[test]
    fn a_kept_run_is_offered_in_words_and_taken_up_behind_what_is_there() {
        let earlier = entry().read().unwrap();
        assert_eq!(earlier.words(), "PPO, 120 steps");
        let mut state = State::new(Settings::default());
        state.apply(point(1, "sft", 0));
        state.apply(point(3, "dpo", 10));
        state.keeping.offer = Some(Box::new(earlier));
        let command = state.resume().expect("a run is offered");
        let order = state.order(command);
        assert_eq!(order.command, Command::Resume(Box::new(kept())));
        state.apply(Event::Acknowledged(order.id));
        assert_eq!(state.points.len(), 2, "nothing is taken up before the engine is there");
        state.apply(ready());
        let runs: Vec<u32> = state.points.iter().map(|point| point.run).collect();
        assert_eq!(runs, [1, 3, 4, 5]);
        assert_eq!((state.settings.beta, state.dragged_beta, state.focused), (0.1, 0.1, Stage::Ppo));
        assert_eq!(state.metrics[&Stage::Ppo], [MetricRow::new(120, &[("kl", 1.5)])]);
        state.apply(point(2, "ppo", 240));
        assert_eq!(state.points.last().unwrap().run, 5, "the run goes on");
    }

    #[test]
    fn without_an_engine_points_and_settings_return_as_earlier_runs() {
        let earlier = Earlier { engine: None, ..entry().read().unwrap() };
        let mut state = State::new(Settings::default());
        state.keeping.offer = Some(Box::new(earlier));
        let command = state.resume().unwrap();
        let order = state.order(command);
        state.apply(Event::Acknowledged(order.id));
        state.apply(ready());
        state.apply(point(1, "dpo", 10));
        assert_eq!(state.points.iter().map(|point| point.run).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(state.settings.beta, 0.1);
    }

    #[test]
    fn what_the_engine_refuses_is_forgotten_and_nothing_changes() {
        let mut state = State::new(Settings::default());
        state.keeping.offer = Some(Box::new(entry().read().unwrap()));
        let command = state.resume().unwrap();
        let order = state.order(command);
        state.apply(Event::Acknowledged(order.id));
        let (sentence, remedy) = ("It is damaged.".into(), "It has been removed.".into());
        state.apply(Event::Failure(Failure { sentence, remedy, field: Some("kept".into()), stopped: false }));
        assert_eq!(state.keeping.chore.take(), Some(Chore::Forget));
        state.apply(ready());
        assert!(state.points.is_empty() && state.settings == Settings::default());
    }

    #[test]
    fn a_discarded_run_is_forgotten_unless_another_has_its_place() {
        let mut state = State::new(Settings::default());
        state.keeping.offer = Some(Box::new(entry().read().unwrap()));
        state.keeping.discard();
        assert_eq!(state.keeping.chore.take(), Some(Chore::Forget));
        state.entry(1.0);
        state.keeping.discard();
        assert_eq!(state.keeping.chore, None);
    }

    #[test]
    fn a_broken_entry_says_what_is_wrong() {
        for (broken, word) in [
            (Entry { format: 2, ..entry() }, "format 2"),
            (Entry { page: "{".into(), ..entry() }, "EOF"),
            (Entry { page: entry().page.replace("\"beta\":0.1", "\"beta\":900"), ..entry() }, "beta"),
            (Entry { page: entry().page.replace("\"ppo\"", "\"sft\""), ..entry() }, "no run"),
            (Entry { when: f64::NAN, ..entry() }, "no run"),
        ] {
            let reason = broken.read().unwrap_err();
            assert!(reason.contains(word), "{reason}");
        }
    }
}
