//! A reset that can be taken back, and an engine that was replaced. What either takes away is put aside as it is, with
//! optimiser and place in the data, until a step is taken or something else starts over: taken back, the run goes on as if
//! there had been no reset.

use super::put_aside::PutAside;
use super::runs::Run;
use super::sweep::LiveSweep;
use super::{Session, Subject};
use crate::engine::protocol::{Event, Stage};
use klimb_metrics::Method;
use klimb_network::backend::Kernels;

/// What a reset took away.
pub(super) struct Undo<K: Kernels> {
    stages: Vec<Stage>,
    former: PutAside<K>,
    runs: Vec<(Method, Run)>,
    /// The policy that was being measured.
    evaluating: Option<Method>,
    /// The sweep that the reset ended.
    sweep: Option<LiveSweep>,
    /// What had been told of the runs.
    told: Vec<Event>,
}

impl<K: Kernels> Session<K> {
    /// Starts over what belongs to the stage in focus, and puts aside what was there if a step had been taken in it.
    pub(super) fn reset(&mut self, events: &mut Vec<Event>) {
        let stages = self.focus.restarted();
        let is_worth_it = self.stages().iter().any(|it| stages.contains(&it.stage) && it.steps > 0);
        let methods = stages.iter().filter_map(|stage| stage.policy());
        let runs = methods.map(|method| (method, self.runs[method].clone())).collect();
        let evaluating = match self.evaluating {
            Some((Subject::Policy(method), _)) => Some(method),
            Some((Subject::Reference, _)) | None => None,
        };
        let sweep = self.sweep.clone().filter(|_| self.sweeps(&stages));
        let told = self.record.of_runs(&stages);
        self.play(false, events);
        let replaced = self.replaced.take();
        let former = self.restart(&stages, false, events);
        if !is_worth_it {
            self.replaced = replaced;
        } else {
            self.undo = Some(Undo { stages, former, runs, evaluating, sweep, told });
        }
    }

    /// Takes the last reset back, if that can still be done.
    pub(super) fn take_reset_back(&mut self, events: &mut Vec<Event>) {
        if let Some(replaced) = self.replaced.take() {
            return self.bring_back(*replaced, events);
        }
        let Some(Undo { stages, former, runs, evaluating, sweep, told }) = self.undo.take() else { return };
        self.go_on_as_before(former);
        for (method, run) in runs {
            // A number that was given since is not given again.
            let last = run.last.max(self.runs[method].last);
            self.runs[method] = Run { last, ..run };
        }
        self.record.take_back(&stages, told);
        events.push(Event::Undone(self.own_settings()));
        if let Some(sweep) = sweep {
            self.take_sweep_back(sweep, events);
        }
        if let Some(method) = evaluating {
            self.measure(Subject::Policy(method));
        }
    }

    /// Puts aside the session in whose place this one stands, until something is trained here; where nothing was trained
    /// in that one either, what it had put aside. Its sweep rests; whoever ordered this session has given back the runs that
    /// are at other workers.
    pub fn put_aside(&mut self, mut replaced: Self) -> Vec<Event> {
        replaced.look_for_loss();
        let has_trained = replaced.policies.trained().next().is_some()
            || replaced.reward_model.steps(&replaced.models) > 0
            || replaced.sft.is_some()
            || replaced.undo.is_some();
        self.replaced = if replaced.lost() {
            None
        } else if has_trained {
            // Told only once it is had back.
            let mut rests = Vec::new();
            replaced.play(false, &mut rests);
            replaced.tell_stages(&mut rests);
            replaced.note(&rests);
            replaced.replaced = None;
            Some(Box::new(replaced))
        } else {
            replaced.replaced
        };
        let mut events = Vec::new();
        self.tell_undo(&mut events);
        self.note(&events);
        events
    }

    /// Puts the session that was replaced in the place of this one, and tells what holds in it but points and rows, which the
    /// page has still.
    fn bring_back(&mut self, replaced: Self, events: &mut Vec<Event>) {
        *self = replaced;
        self.look_for_loss();
        events.push(Event::Undone(self.own_settings()));
        events.extend(self.record.of_engine());
        // The page takes it that nothing can be taken back, until it is told.
        self.reported_undoable = false;
    }

    /// Something has been made that a reset cannot be taken back over.
    pub(super) fn forget_reset(&mut self) {
        self.replaced = None;
        if self.undo.take().is_some() {
            // What was put aside is gone now, and so must be what the backend made for it.
            self.k.forget();
        }
    }

    /// Tells whether a reset can be taken back, where that has changed.
    pub(super) fn tell_undo(&mut self, events: &mut Vec<Event>) {
        let is_undoable = self.undo.is_some() || self.replaced.is_some();
        if self.reported_undoable != is_undoable {
            self.reported_undoable = is_undoable;
            events.push(Event::Undoable(self.reported_undoable));
        }
    }
}
