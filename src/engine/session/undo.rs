//! A reset that can be taken back. What it takes away is put aside as it is, with optimiser and place in the data, until a
//! step is taken or something else starts over: taken back, the run goes on as if there had been no reset.

use super::pipeline::{Policy, PutAside, Subject};
use super::sweep::LiveSweep;
use super::{Run, Session};
use crate::engine::protocol::{Event, Stage};
use klimb_network::backend::Kernels;

/// What a reset took away.
pub(super) struct Undo<K: Kernels> {
    stages: &'static [Stage],
    rooms: PutAside<K>,
    runs: Vec<(Policy, Run)>,
    /// The policy that was being measured.
    evaluating: Option<Policy>,
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
        let policies = Policy::ALL.into_iter().filter(|policy| stages.contains(&policy.stage()));
        let runs = policies.map(|policy| (policy, self.runs[policy as usize].clone())).collect();
        let evaluating = match self.evaluating {
            Some((Subject::Policy(policy), _)) => Some(policy),
            Some((Subject::Reference, _)) | None => None,
        };
        let sweep = self.sweep.clone().filter(|_| self.sweeps(stages));
        let told = self.record.of_runs(stages);
        self.play(false, events);
        let rooms = self.restart(stages, false, events);
        if is_worth_it {
            self.undo = Some(Undo { stages, rooms, runs, evaluating, sweep, told });
        }
    }

    /// Takes the last reset back, if that can still be done.
    pub(super) fn take_reset_back(&mut self, events: &mut Vec<Event>) {
        let Some(Undo { stages, rooms, runs, evaluating, sweep, told }) = self.undo.take() else { return };
        self.pipeline.take_back(&mut self.k, rooms);
        for (policy, former) in runs {
            // A number that was given since is not given again.
            let last = former.last.max(self.run(policy).last);
            *self.run(policy) = Run { last, ..former };
        }
        self.record.take_back(stages, told);
        events.push(Event::Undone);
        if let Some(sweep) = sweep {
            self.take_sweep_back(sweep, events);
        }
        if let Some(policy) = evaluating {
            self.measure(Subject::Policy(policy));
        }
    }

    /// Something has been made that a reset cannot be taken back over.
    pub(super) fn forget_reset(&mut self) {
        if self.undo.take().is_some() {
            // What was put aside is gone now, and so must be what the backend made for it.
            self.k.forget();
        }
    }

    /// Tells whether a reset can be taken back, where that has changed.
    pub(super) fn tell_undo(&mut self, events: &mut Vec<Event>) {
        if self.told_undoable != self.undo.is_some() {
            self.told_undoable = self.undo.is_some();
            events.push(Event::Undoable(self.told_undoable));
        }
    }
}
