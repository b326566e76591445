//! What the session has told, without what was replaced since, so that it can be told once more to a page that was made
//! anew.

use super::Session;
use crate::engine::protocol::{Event, Report, Stage};
use klimb_metrics::MetricRow;
use klimb_network::backend::Kernels;

/// Most rows of a stage that are told once more, the newest: at most a few tens of megabytes.
const MOST_ROWS: usize = 20_000;

/// The events that still hold, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Record(Vec<Event>);

impl Record {
    /// Notes what is told.
    pub fn note(&mut self, events: &[Event]) {
        for event in events {
            if let Event::Metrics(stage, rows) = event {
                self.note_rows(*stage, rows);
                continue;
            }
            self.0.retain(|former| !is_over(former, event));
            if holds(event) {
                self.0.push(event.clone());
            }
        }
    }

    fn note_rows(&mut self, stage: Stage, rows: &[MetricRow]) {
        let known = self.0.iter_mut().find_map(|event| {
            let Event::Metrics(its, known) = event else { return None };
            (*its == stage).then_some(known)
        });
        match known {
            Some(known) => {
                if let Some(first) = rows.first() {
                    // A step that is taken again belongs to a run that began anew, or again from an earlier point.
                    known.retain(|row| row.step < first.step);
                }
                known.extend_from_slice(rows);
                known.drain(..known.len().saturating_sub(MOST_ROWS));
            }
            None => self.0.push(Event::Metrics(stage, rows.to_vec())),
        }
    }

    /// What is told of the runs of some stages, which a reset takes away.
    pub fn of_runs(&self, stages: &[Stage]) -> Vec<Event> {
        let its = |event: &&Event| stage_of_run(event).is_some_and(|stage| stages.contains(&stage));
        self.0.iter().filter(its).cloned().collect()
    }

    /// What is told of the engine, its stages and its studies: all but points and rows.
    pub fn of_engine(&self) -> Vec<Event> {
        let is_of_engine =
            |event: &&Event| !matches!(event, Event::Point(_) | Event::Undoable(_)) && stage_of_run(event).is_none();
        self.0.iter().filter(is_of_engine).cloned().collect()
    }

    /// Takes back what a reset took away.
    pub fn take_back(&mut self, stages: &[Stage], events: Vec<Event>) {
        self.0.retain(|event| stage_of_run(event).is_none_or(|stage| !stages.contains(&stage)));
        self.0.extend(events);
    }
}

/// Whether an event holds beyond the moment in which it is told.
fn holds(event: &Event) -> bool {
    match event {
        Event::Progress(progress) => progress.done < progress.total,
        Event::Undoable(is_undoable) => *is_undoable,
        Event::Ready(_)
        | Event::Playing(_)
        | Event::Reference(_)
        | Event::Stage(_)
        | Event::Metrics(..)
        | Event::Point(_)
        | Event::Optimum(..)
        | Event::Samples(_)
        | Event::WinRates(_)
        | Event::Scaling(_)
        | Event::Sweep(_)
        | Event::Swept(_)
        | Event::Inside(..) => true,
        Event::Acknowledged(_)
        | Event::NotBuilt(_)
        | Event::Fetching(_)
        | Event::Undone(_)
        | Event::Report(_)
        | Event::Kept(_)
        | Event::Opened(_)
        | Event::WorkerJob(_)
        | Event::JobReport(_)
        | Event::Checkpoint(..)
        | Event::Preferences(_)
        | Event::Loaded(_)
        | Event::DrawnPairs(_)
        | Event::Failure(_) => false,
    }
}

/// The stage of whose run an event tells, where that is over when the stage starts over.
fn stage_of_run(event: &Event) -> Option<Stage> {
    match event {
        Event::Metrics(stage, _) => Some(*stage),
        Event::Inside(stage, _) => Some(*stage),
        Event::Acknowledged(_)
        | Event::NotBuilt(_)
        | Event::Fetching(_)
        | Event::Ready(_)
        | Event::Playing(_)
        | Event::Progress(_)
        | Event::Reference(_)
        | Event::Stage(_)
        | Event::Undoable(_)
        | Event::Undone(_)
        | Event::Report(_)
        | Event::Point(_)
        | Event::Kept(_)
        | Event::Optimum(..)
        | Event::Samples(_)
        | Event::Opened(_)
        | Event::WinRates(_)
        | Event::Scaling(_)
        | Event::Sweep(_)
        | Event::Swept(_)
        | Event::WorkerJob(_)
        | Event::JobReport(_)
        | Event::Checkpoint(..)
        | Event::Preferences(_)
        | Event::Loaded(_)
        | Event::DrawnPairs(_)
        | Event::Failure(_) => None,
    }
}

/// Whether `former` does not hold any more once `event` is told.
fn is_over(former: &Event, event: &Event) -> bool {
    match (former, event) {
        (Event::Progress(former), Event::Progress(now)) => former.work == now.work,
        (Event::Samples(former), Event::Samples(now)) => former.typed == now.typed,
        (Event::Stage(former), Event::Stage(now)) => former.stage == now.stage,
        (former, Event::Stage(now)) if now.steps == 0 => stage_of_run(former) == Some(now.stage),
        // An engine that is built anew is at no work.
        (
            Event::Playing(_)
            | Event::Progress(_)
            | Event::WinRates(_)
            | Event::Scaling(_)
            | Event::Sweep(_)
            | Event::Swept(_),
            Event::Ready(_),
        ) => true,
        // The first run of a sweep takes the place of all that was told of the one before.
        (Event::Sweep(Some(former)), Event::Sweep(Some(now))) => {
            former.run == now.run || now.number == 1 && former.stage == now.stage
        }
        (Event::Sweep(None) | Event::Swept(_), Event::Sweep(Some(now))) => now.number == 1,
        (Event::Swept(former), Event::Swept(now)) => former == now,
        (Event::Sweep(None), Event::Sweep(None)) => true,
        (Event::Inside(former, _), Event::Inside(now, _)) => former == now,
        (Event::Point(_) | Event::Sweep(_), _) => false,
        (former, now) => std::mem::discriminant(former) == std::mem::discriminant(now),
    }
}

impl<K: Kernels> Session<K> {
    /// Everything that was told and still holds, for a page that knows nothing.
    pub(super) fn report(&self) -> Report {
        let mut events = self.record.0.clone();
        if self.has_reported_kept {
            let mut kept = self.snapshot().kept();
            kept.saved_policies = self.saved_policies.kept();
            // It follows the point told last, whose policy whoever keeps it finds among the runs' own.
            let last = kept.saved_policies.last().cloned();
            let its = |event: &Event| matches!((event, &last), (Event::Point(told), Some(last)) if *told == last.point);
            let at = events.iter().rposition(its).map_or(events.len(), |at| at + 1);
            if last.is_some_and(|it| kept.policies.iter().any(|run| run.stage == it.stage && run.run == it.point.run)) {
                kept.saved_policies.pop();
            }
            events.insert(at, Event::Kept(Box::new(kept)));
        }
        Report { settings: self.own_settings(), focus: self.focus, events }
    }

    /// Notes what is told, unless nobody would ever ask for it.
    pub(super) fn note(&mut self, events: &[Event]) {
        if !self.is_sweep_worker {
            self.record.note(events);
        }
    }
}
