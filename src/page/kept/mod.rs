//! What a browser keeps of a page until the next visit, and what of that is taken up again. No browser in here: it is
//! tested natively.

mod slots;
mod stretches;

use serde::{Deserialize, Serialize};

pub use self::slots::{MOST_SLOTS, Slots};
use self::stretches::Stretches;
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
    /// Where the rows before those in `page` lie beside it, in stretches.
    #[serde(default)]
    stretches: Vec<(Stage, Vec<u32>)>,
    /// Those that are not there yet, as JSON, and where they belong.
    #[serde(skip)]
    pub fresh_rows: Vec<(u32, String)>,
    /// Those that were found there.
    #[serde(skip)]
    rows: Vec<(Stage, String)>,
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
    /// Rows of the runs that were on, the newest of each alone while others lie beside it.
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

    /// Where rows lie in stretches, by stage and in the order of its steps.
    pub fn stretches(&self) -> &[(Stage, Vec<u32>)] {
        &self.stretches
    }

    /// Takes what lay there. They are to come in that order.
    pub fn add_rows(&mut self, stage: Stage, text: String) {
        self.rows.push((stage, text));
    }

    /// What was kept, or why it is of no use. Rows that lay beside it and cannot be read are left out.
    ///
    /// # Errors
    /// Another format, a damaged text, settings out of range, or nothing to take up.
    pub fn read(self) -> Result<Earlier, String> {
        if self.format != FORMAT {
            return Err(format!("it has format {} and this page reads {FORMAT}", self.format));
        }
        let mut seen: Seen = json::from_text(&self.page).map_err(|error| error.to_string())?;
        let newest = std::mem::take(&mut seen.metrics);
        for (stage, text) in &self.rows {
            let rows: Vec<MetricRow> = json::from_text(text).unwrap_or_default();
            seen.metrics.get_or_default(*stage).extend(rows);
        }
        for (stage, rows) in newest {
            seen.metrics.get_or_default(stage).extend(rows);
        }
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
    /// The rows that lie beside the run.
    stretches: Stretches,
    /// Whether the engine has just been built.
    is_new: bool,
    /// Whether this visit has put its own run in the place of the offered one.
    has_written: bool,
}

impl Keeping {
    /// The engine at a point of a policy, the newest, whose run is numbered as the engine does.
    pub fn engine_at(&mut self, mut kept: Kept, newest: Option<Point>) {
        kept.moments.drain(..).for_each(|moment| self.slots.put(moment));
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
        self.engine = None;
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

    /// Of a stage's rows only the first `rows` are as they were.
    pub fn rows_changed(&mut self, stage: Stage, rows: usize) {
        self.stretches.shorten(stage, rows);
    }

    /// The rows of all stages that do not lie beside the run.
    pub fn newest(&mut self, metrics: &Map<Stage, Vec<MetricRow>>) -> Map<Stage, Vec<MetricRow>> {
        metrics.iter().map(|(stage, rows)| (*stage, self.stretches.put(*stage, rows))).collect()
    }

    /// An entry of what is `seen`, with the newest rows, at this moment.
    pub fn entry(&mut self, when: f64, seen: Seen) -> Entry {
        self.has_written = true;
        Entry {
            format: FORMAT,
            when,
            page: json::to_text(&seen),
            engine: self.engine.clone(),
            moments: self.slots.taken(),
            fresh: self.slots.take_fresh(),
            stretches: self.stretches.taken(),
            fresh_rows: self.stretches.take_fresh(),
            rows: Vec::new(),
        }
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

    /// The command that builds the engine as it was at its last point, with these settings, after it has died.
    pub fn rebuilt(&self, settings: Settings) -> Command {
        match &self.engine {
            Some(engine) => Command::Resume(Box::new(Kept { settings, ..engine.clone() })),
            None => Command::Start(settings),
        }
    }

    /// Whether the engine is where a kept run is.
    pub fn is_at(&self, kept: &Earlier) -> bool {
        let has_policy = |engine: &Kept| engine.policies.iter().any(|policy| !policy.checkpoint.is_empty());
        let both = self.engine.as_ref().zip(kept.engine.as_ref());
        both.is_some_and(|(own, kept)| has_policy(own) && own.policies == kept.policies)
    }

    /// Another engine is there, or the same one on another device. Answers with the run that it resumed, if it did.
    pub fn ready(&mut self) -> Option<Earlier> {
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
mod tests;
