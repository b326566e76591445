//! Runs of a sweep that hands make: lent out in order while there are hands free, and what they bring told as if it had
//! been made here. The session numbers every run, keeps every policy and decides what comes next; a hand knows of its own
//! run alone.

use super::{LiveSweep, State};
use crate::engine::protocol::{Brought, Errand, Event, KeptMoment, News, Point};
use crate::engine::session::Session;
use crate::engine::session::models::RewardModelWork;
use crate::engine::session::runs::Measured;
use klimb_metrics::Method;
use klimb_network::backend::Kernels;
use klimb_network::model::{Checkpoint, Expectation};

impl LiveSweep {
    /// The next run for a hand, if both are there.
    fn for_a_hand(&self) -> Option<usize> {
        let is_free = self.runs_in(State::Errand).count() < self.plan.hands;
        self.runs_in(State::Waiting).next().filter(|_| is_free)
    }

    /// The run of this number, if a hand is at it.
    fn errand(&self, number: u32) -> Option<usize> {
        self.runs_in(State::Errand).find(|index| self.number(*index) == number)
    }
}

impl<K: Kernels> Session<K> {
    /// Whether a sweep is in focus and goes on.
    pub(super) fn is_sweeping(&self) -> bool {
        self.playing && self.sweep.as_ref().is_some_and(|sweep| sweep.stage == self.focus)
    }

    /// Whether there is nothing to train until a hand is done.
    pub(in crate::engine::session) fn waits_for_hands(&self) -> bool {
        let sweep = self.sweep.as_ref().filter(|sweep| sweep.stage == self.active());
        sweep.is_some_and(|it| {
            it.runs[it.at].state == State::Over
                && it.runs_in(State::Waiting).next().is_none()
                && it.runs_in(State::Errand).next().is_some()
        })
    }

    /// Gives runs that have not begun to hands that are free.
    pub(in crate::engine::session) fn lend(&mut self, events: &mut Vec<Event>) {
        if !self.is_sweeping() {
            return;
        }
        while let Some(index) =
            self.sweep.as_ref().filter(|sweep| self.can_lend(sweep.method)).and_then(LiveSweep::for_a_hand)
        {
            let kept = self.snapshot();
            let Some(sweep) = &mut self.sweep else { return };
            sweep.runs[index].state = State::Errand;
            let (run, steps, method) = (sweep.run(index), sweep.plan.steps, sweep.method);
            let last = &mut self.runs[method].last;
            *last = run.run.max(*last);
            let errand = Errand { run: run.run, steps, kept: kept.for_errand(run.beta) };
            events.extend([Event::Sweep(Some(run)), Event::Errand(Box::new(errand))]);
        }
    }

    /// Whether what a hand needs is there: the reward model is trained here, once.
    fn can_lend(&self, method: Method) -> bool {
        !method.info().needs_reward_model || self.models.reward_model_work() == RewardModelWork::Nothing
    }

    /// Takes over what a hand brought.
    pub(in crate::engine::session) fn adopt_brought(&mut self, brought: Brought, events: &mut Vec<Event>) {
        let Some(sweep) = &mut self.sweep else { return };
        let Some(index) = sweep.errand(brought.run) else { return };
        match brought.news {
            News::Steps(steps) => sweep.runs[index].steps += steps as u64,
            News::Point(moment) => self.adopt_point(index, *moment, events),
            News::Over => self.end_errand(index, events),
            News::Broken => {
                let failure = sweep.give_up(index);
                self.end_errand(index, events);
                events.push(Event::Failure(failure));
            }
            News::Returned => self.take_back(index, events),
        }
        self.tell_sweep(events);
    }

    fn end_errand(&mut self, index: usize, events: &mut Vec<Event>) {
        let Some(sweep) = &mut self.sweep else { return };
        sweep.runs[index].state = State::Over;
        events.push(Event::Swept(sweep.number(index)));
        self.lend(events);
    }

    fn adopt_point(&mut self, index: usize, moment: KeptMoment, events: &mut Vec<Event>) {
        let expected = Expectation {
            config: Some(*self.models.network.config()),
            vocabulary_fingerprint: self.models.base.vocabulary_fingerprint.clone(),
            head: false,
        };
        let Ok(policy) = Checkpoint::from_bytes(&moment.checkpoint, Some(&expected)) else {
            return self.take_back(index, events);
        };
        let Some(sweep) = &mut self.sweep else { return };
        let step = moment.point.point.step;
        let told = &mut sweep.runs[index].told;
        if told.is_some_and(|told| step <= told) {
            return;
        }
        *told = Some(step);
        let point = Point { run: sweep.number(index), ..moment.point };
        self.moments.keep(moment.stage, &point, &Measured { policy, seconds: moment.seconds });
        events.push(Event::Point(point.clone()));
        let mut kept = self.snapshot().kept();
        kept.moments.push(KeptMoment { point, ..moment });
        events.push(Event::Kept(Box::new(kept)));
    }

    /// A hand does not come to the end of a run: it will be made from its start, with one hand fewer.
    fn take_back(&mut self, index: usize, events: &mut Vec<Event>) {
        let Some(sweep) = &mut self.sweep else { return };
        let run = &mut sweep.runs[index];
        run.state = State::Waiting;
        sweep.pace.lose(std::mem::take(&mut run.steps));
        sweep.plan.hands -= 1;
        events.push(Event::Swept(sweep.number(index)));
    }
}
