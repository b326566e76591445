//! A sweep over β: the policy in focus is trained from the reference at one β after another, as if a person set β, reset and
//! played each time. Meanwhile her own β waits, and comes back with the end. A run that breaks down is left where it was
//! good, and the others are made all the same. Where sweep workers help, runs are made beside the session's own (`jobs`).

mod jobs;
mod progress;

use super::policies::steps_between_points;
use super::{Session, Subject, progress, reports};
use crate::engine::protocol::{Event, Failure, Stage, Sweep, SweepRun, Work};
use crate::engine::settings::Settings;
use klimb_metrics::Method;
use klimb_network::backend::{BackendError, Kernels};
use klimb_text::Message;
use klimb_text::message::Separator;
use klimb_text::message::Value;
use klimb_text::words::key;

/// A sweep that is on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LiveSweep {
    stage: Stage,
    /// The method of that stage.
    method: Method,
    plan: Sweep,
    /// Where each run stands.
    runs: Vec<Standing>,
    /// The number of the first run in the session; the others follow, whoever makes them.
    first: u32,
    /// The run that the session itself makes, or made last, from 0.
    at: usize,
    /// The runs that broke down, in that order.
    broken: Vec<usize>,
    /// The person's own β.
    own_beta: f64,
    pace: progress::Pace,
}

/// Where a run of a sweep stands.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Standing {
    state: State,
    /// Steps that a sweep worker has taken in it.
    steps: u64,
    /// The step of the last point that a sweep worker reported: where the run is made once more, no point is told again up to
    /// there.
    told: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// It has not begun.
    #[default]
    Waiting,
    /// The session makes it.
    Own,
    /// A sweep worker makes it.
    Elsewhere,
    Over,
}

impl LiveSweep {
    /// Runs in one state, from 0.
    fn runs_in(&self, state: State) -> impl Iterator<Item = usize> {
        self.runs.iter().enumerate().filter(move |(_, run)| run.state == state).map(|(index, _)| index)
    }

    /// A run that begins.
    fn run(&self, index: usize) -> SweepRun {
        SweepRun {
            stage: self.stage,
            beta: self.plan.betas[index],
            run: self.number(index),
            number: index + 1,
            of: self.runs.len(),
            is_elsewhere: self.runs[index].state == State::Elsewhere,
        }
    }

    /// A run's number in the session.
    fn number(&self, index: usize) -> u32 {
        self.first + index as u32
    }

    /// Whether a run broke down.
    pub fn has_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// Notes that a run broke down, and says so.
    fn give_up(&mut self, index: usize) -> Failure {
        if !self.broken.contains(&index) {
            self.broken.push(index);
        }
        let is_last = self.runs.iter().enumerate().all(|(it, run)| it == index || run.state == State::Over);
        reports::run_given_up(self.stage, self.plan.betas[index], self.broken.len(), is_last)
    }
}

impl<K: Kernels> Session<K> {
    /// Begins a sweep of the policy in focus, or ends the one that is on.
    pub(super) async fn sweep(&mut self, plan: Option<Sweep>, events: &mut Vec<Event>) -> Result<(), BackendError> {
        if let Some(sweep) = &self.sweep {
            let stage = sweep.stage;
            self.play(false, events);
            drop(self.restart(&[stage], false, events));
        }
        let Some(plan) = plan else { return Ok(()) };
        let swept = self.focus.policy().filter(|it| it.has_leash());
        let rolls_out = self.focus.policy().is_none_or(|it| it.learns_from_rollouts());
        let steers = rolls_out && self.models.settings.target_kl > 0.0;
        let Some(method) = swept.filter(|_| !steers && !plan.betas.is_empty()) else {
            events.push(Event::Failure(nothing_to_sweep(steers)));
            return Ok(());
        };
        let own = self.models.settings;
        if let Some(error) = plan.betas.iter().find_map(|&beta| Settings { beta, ..own }.validated().err()) {
            events.push(Event::Failure(reports::setting_failure(&error)));
            return Ok(());
        }
        // What SFT has learned since would end the sweep when it begins.
        if !self.adopt_sft(events).await? {
            return Ok(());
        }
        let sweep = LiveSweep {
            stage: self.focus,
            method,
            runs: vec![Standing::default(); plan.betas.len()],
            plan,
            first: self.next_number(method),
            at: 0,
            broken: Vec::new(),
            own_beta: own.beta,
            pace: progress::Pace::default(),
        };
        self.begin_run(sweep, 0, events);
        self.play(true, events);
        self.assign_jobs(events);
        Ok(())
    }

    /// The settings as the person has them, whatever a sweep trains with.
    pub(super) fn own_settings(&self) -> Settings {
        let settings = self.models.settings;
        Settings { beta: self.sweep.as_ref().map_or(settings.beta, |sweep| sweep.own_beta), ..settings }
    }

    /// A person's settings as they are trained with: where a sweep is in focus, its β stands before hers.
    pub(super) fn beside_sweep(&mut self, own: Settings) -> Settings {
        let Some(sweep) = &mut self.sweep else { return own };
        sweep.own_beta = own.beta;
        let is_on = sweep.stage == self.focus;
        Settings { beta: if is_on { sweep.plan.betas[sweep.at] } else { own.beta }, ..own }
    }

    /// Another stage is in focus: a sweep waits, and its β with it, until it is in focus again.
    pub(super) fn refocus_sweep(&mut self) {
        if self.sweep.is_some() {
            let own = self.own_settings();
            let settings = self.beside_sweep(own);
            // β alone starts nothing over.
            self.models.configure(&mut self.k, settings);
            self.rest_sweep();
        }
    }

    /// Whether the session's own run of the sweep has its steps and its last point, or broke down.
    pub(super) fn run_is_over(&self, stage: Stage) -> bool {
        let sweep = self.sweep.as_ref().filter(|sweep| sweep.stage == stage);
        sweep.is_some_and(|it| {
            it.runs[it.at].state != State::Own
                || it.broken.contains(&it.at)
                || self.policies.steps(it.method) >= self.steps_of(it)
        })
    }

    /// The session's own run of the sweep broke down, and is over. `None` if it is not `stage` that is swept.
    pub(super) fn give_run_up(&mut self, stage: Stage) -> Option<Failure> {
        let sweep = self.sweep.as_mut().filter(|sweep| sweep.stage == stage)?;
        Some(sweep.give_up(sweep.at))
    }

    /// The next run of the sweep, or, unless sweep workers are still at theirs, its end.
    pub(super) fn next_run(&mut self, events: &mut Vec<Event>) {
        let Some(mut sweep) = self.sweep.take() else { return };
        if sweep.runs[sweep.at].state == State::Own {
            sweep.runs[sweep.at].state = State::Over;
            events.push(Event::Swept(sweep.number(sweep.at)));
        }
        let (next, stage) = (sweep.runs_in(State::Waiting).next(), sweep.stage);
        let is_over = sweep.runs.iter().all(|run| run.state == State::Over);
        match next {
            Some(next) => self.begin_run(sweep, next, events),
            None => self.sweep = Some(sweep),
        }
        if is_over {
            self.play(false, events);
            drop(self.restart(&[stage], false, events));
        }
    }

    fn begin_run(&mut self, mut sweep: LiveSweep, index: usize, events: &mut Vec<Event>) {
        self.models.configure(&mut self.k, Settings { beta: sweep.plan.betas[index], ..self.models.settings });
        let last = self.runs[sweep.method].last;
        drop(self.restart(&[sweep.stage], false, events));
        let run = &mut self.runs[sweep.method];
        run.number = sweep.number(index);
        run.last = last.max(run.number);
        sweep.at = index;
        sweep.runs[index].state = State::Own;
        events.push(Event::Sweep(Some(sweep.run(index))));
        self.sweep = Some(sweep);
        self.tell_sweep(events);
    }

    /// Something else starts the swept stage over, or its end does: the sweep is over, and β the person's again.
    pub(super) fn end_sweep(&mut self, events: &mut Vec<Event>) {
        let own = self.own_settings();
        if self.sweep.take().is_some() {
            self.models.configure(&mut self.k, own);
            events.extend([progress(Work::Sweep, 1, 1, 0.0), Event::Sweep(None)]);
        }
    }

    /// A sweep that a reset ended is on again, resting. Its sweep workers are gone: what they made is made from its start.
    pub(super) fn take_sweep_back(&mut self, mut sweep: LiveSweep, events: &mut Vec<Event>) {
        let lent: Vec<usize> = sweep.runs_in(State::Elsewhere).collect();
        for index in lent {
            let run = &mut sweep.runs[index];
            run.state = State::Waiting;
            sweep.pace.lose(std::mem::take(&mut run.steps));
        }
        sweep.own_beta = self.models.settings.beta;
        events.push(Event::Sweep(Some(sweep.run(sweep.at))));
        self.sweep = Some(sweep);
        self.refocus_sweep();
        self.tell_sweep(events);
    }

    /// Whether the sweep has this stage, and so ends when that is started over.
    pub(super) fn sweeps(&self, stages: &[Stage]) -> bool {
        self.sweep.as_ref().is_some_and(|sweep| stages.contains(&sweep.stage))
    }

    /// Whether a point is one that was told already, by a sweep worker that did not come to the end of the run.
    pub(super) fn is_told(&self, subject: Subject, step: u64) -> bool {
        let its = self.sweep.as_ref().filter(|sweep| subject == Subject::Policy(sweep.method));
        its.is_some_and(|sweep| sweep.runs[sweep.at].told.is_some_and(|told| step <= told))
    }

    /// Steps of a run: those that are asked for, and on to the next point.
    fn steps_of(&self, sweep: &LiveSweep) -> u64 {
        let between_points = steps_between_points(&self.models.settings, sweep.method);
        sweep.plan.steps.max(1).next_multiple_of(between_points as u64)
    }
}

fn nothing_to_sweep(steers: bool) -> Failure {
    let (sentence, remedy, field) = if steers {
        (
            message!("β cannot be swept while a KL target steers it."),
            message!("Set the KL target to 0 under Settings."),
            "target_kl",
        )
    } else {
        (
            message!("There is no β to sweep here."),
            choose_one_of(&Stage::on_leash().map(Stage::name).collect::<Vec<_>>()),
            "beta",
        )
    };
    Failure { sentence, remedy, field: Some(field.into()), stopped: false }
}

/// How many stages β holds, in words, from two on.
const COUNTS: [&str; 7] = [key("two"), key("three"), key("four"), key("five"), key("six"), key("seven"), key("eight")];

/// What to do where the stage in focus is none of these, which β holds.
fn choose_one_of(stages: &[&'static str]) -> Message {
    let (last, others) = stages.split_last().expect("β holds some stage");
    let count = COUNTS.get(stages.len() - 2);
    let count = count.map_or_else(|| stages.len().value(), |count| Message::named(*count));
    let others = Message::list(others.iter().map(|stage| Message::named(*stage)).collect(), Separator::Comma);
    message!("Choose {} or {}: β holds these {}.", others, Message::named(*last), count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_that_can_be_swept_are_named_and_counted() {
        assert_eq!(nothing_to_sweep(false).remedy.to_string(), "Choose DPO, PPO or PPO-GT: β holds these three.");
        assert_eq!(choose_one_of(&["A", "B"]).to_string(), "Choose A or B: β holds these two.");
        assert_eq!(choose_one_of(&["A", "B", "C", "D"]).to_string(), "Choose A, B, C or D: β holds these four.");
        let german = [("three", "drei"), ("Choose {} or {}: β holds these {}.", "Wähle {} oder {}: Diese {2} hält β.")];
        klimb_text::words::speak(german.map(|(text, german)| (text.to_owned(), german.to_owned())).into());
        assert_eq!(nothing_to_sweep(false).remedy.said(), "Wähle DPO, PPO oder PPO-GT: Diese drei hält β.");
        klimb_text::words::speak(Vec::new());
        assert_eq!(choose_one_of(&["A"; 9]).to_string(), "Choose A, A, A, A, A, A, A, A or A: β holds these 9.");
    }
}
