//! Runs of a sweep that sweep workers make. They are assigned in order while a worker is free, and what is reported of them is told
//! as if it had been made here. The session numbers every run, keeps every policy and decides what comes next; a sweep worker
//! knows of its own run alone.

use super::{LiveSweep, State};
use crate::engine::protocol::{Event, JobNews, JobReport, Point, SavedPolicy, WorkerJob};
use crate::engine::session::Session;
use crate::engine::session::runs::Measured;
use klimb_metrics::Method;
use klimb_network::backend::Kernels;
use klimb_network::model::{Checkpoint, Expectation};

impl LiveSweep {
    /// The next run for a sweep worker, if both are there.
    fn next_for_a_worker(&self) -> Option<usize> {
        let is_free = self.runs_in(State::Elsewhere).count() < self.plan.workers;
        self.runs_in(State::Waiting).next().filter(|_| is_free)
    }

    /// The run of this number, if a sweep worker is at it.
    fn job(&self, number: u32) -> Option<usize> {
        self.runs_in(State::Elsewhere).find(|index| self.number(*index) == number)
    }
}

impl<K: Kernels> Session<K> {
    /// Whether a sweep is in focus and goes on.
    pub(super) fn is_sweeping(&self) -> bool {
        self.playing && self.sweep.as_ref().is_some_and(|sweep| sweep.stage == self.focus)
    }

    /// Whether there is nothing to train until a sweep worker is done.
    pub(in crate::engine::session) fn waits_for_workers(&self) -> bool {
        let sweep = self.sweep.as_ref().filter(|sweep| sweep.stage == self.active());
        sweep.is_some_and(|it| {
            it.runs[it.at].state == State::Over
                && it.runs_in(State::Waiting).next().is_none()
                && it.runs_in(State::Elsewhere).next().is_some()
        })
    }

    /// Gives runs that have not begun to sweep workers that are free.
    pub(in crate::engine::session) fn assign_jobs(&mut self, events: &mut Vec<Event>) {
        if !self.is_sweeping() {
            return;
        }
        while let Some(index) =
            self.sweep.as_ref().filter(|sweep| self.can_assign(sweep.method)).and_then(LiveSweep::next_for_a_worker)
        {
            let kept = self.snapshot();
            let Some(sweep) = &mut self.sweep else { return };
            sweep.runs[index].state = State::Elsewhere;
            let (run, steps, method) = (sweep.run(index), sweep.plan.steps, sweep.method);
            let last = &mut self.runs[method].last;
            *last = run.run.max(*last);
            let job = WorkerJob { run: run.run, steps, kept: kept.for_job(run.beta) };
            events.extend([Event::Sweep(Some(run)), Event::WorkerJob(Box::new(job))]);
        }
    }

    /// Whether what a sweep worker needs is there: the reward model is trained here, once.
    fn can_assign(&self, method: Method) -> bool {
        !method.info().needs_reward_model || self.models.trained_reward_model().is_some()
    }

    /// Takes over what a sweep worker reports.
    pub(in crate::engine::session) fn take_report(&mut self, report: JobReport, events: &mut Vec<Event>) {
        let Some(sweep) = &mut self.sweep else { return };
        let Some(index) = sweep.job(report.run) else { return };
        match report.news {
            JobNews::Steps(steps) => sweep.runs[index].steps += steps as u64,
            JobNews::Point(moment) => self.adopt_point(index, *moment, events),
            JobNews::Finished => self.end_job(index, events),
            JobNews::Failed => {
                let failure = sweep.give_up(index);
                self.end_job(index, events);
                events.push(Event::Failure(failure));
            }
            JobNews::Requeued => self.requeue(index, events),
        }
        self.tell_sweep(events);
    }

    fn end_job(&mut self, index: usize, events: &mut Vec<Event>) {
        let Some(sweep) = &mut self.sweep else { return };
        sweep.runs[index].state = State::Over;
        events.push(Event::Swept(sweep.number(index)));
        self.assign_jobs(events);
    }

    fn adopt_point(&mut self, index: usize, moment: SavedPolicy, events: &mut Vec<Event>) {
        let expected = Expectation {
            config: Some(*self.models.network.config()),
            vocabulary_fingerprint: self.models.base.vocabulary_fingerprint.clone(),
            head: false,
        };
        let Ok(policy) = Checkpoint::from_bytes(&moment.checkpoint, Some(&expected)) else {
            return self.requeue(index, events);
        };
        let Some(sweep) = &mut self.sweep else { return };
        let step = moment.point.point.step;
        let told = &mut sweep.runs[index].told;
        if told.is_some_and(|told| step <= told) {
            return;
        }
        *told = Some(step);
        let point = Point { run: sweep.number(index), ..moment.point };
        self.saved_policies.keep(moment.stage, &point, &Measured { policy, seconds: moment.seconds });
        events.push(Event::Point(point.clone()));
        let mut kept = self.snapshot().kept();
        kept.saved_policies.push(SavedPolicy { point, ..moment });
        events.push(Event::Kept(Box::new(kept)));
    }

    /// A sweep worker does not come to the end of a run: it will be made from its start, with one worker fewer.
    fn requeue(&mut self, index: usize, events: &mut Vec<Event>) {
        let Some(sweep) = &mut self.sweep else { return };
        let run = &mut sweep.runs[index];
        run.state = State::Waiting;
        sweep.pace.lose(std::mem::take(&mut run.steps));
        sweep.plan.workers -= 1;
        events.push(Event::Swept(sweep.number(index)));
    }
}
