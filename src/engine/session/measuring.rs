//! Measuring the reference and the policies, slice by slice, into points.

use super::{Measured, Session, progress, reports};
use crate::engine::protocol::{Event, Point, Stage, Work};
use klimb_lab::{Evaluation, PointKey};
use klimb_metrics::Method;
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::Checkpoint;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// The SFT model.
    Reference,
    /// A policy in training.
    Policy(Method),
}

impl Subject {
    /// The stage whose model it is.
    pub(super) fn stage(self) -> Stage {
        match self {
            Self::Reference => Stage::Sft,
            Self::Policy(method) => Stage::of(method).expect("a method that the page trains by"),
        }
    }
}

impl<K: Kernels> Session<K> {
    /// Begins to measure, unless something is being measured.
    pub(super) fn measure(&mut self, subject: Subject) {
        if self.evaluating.is_none() {
            self.models.evaluator.abandon();
            self.evaluating = Some((subject, (self.clock)()));
        }
    }

    /// Breaks off what is being measured.
    pub(super) fn abandon_evaluation(&mut self, events: &mut Vec<Event>) {
        if self.evaluating.take().is_some() {
            let total = self.models.evaluator.total();
            self.models.evaluator.abandon();
            events.push(progress(Work::Evaluation, total, total, 0.0));
        }
    }

    /// Goes on measuring; at the end, tells the point and what the policy writes.
    pub(super) async fn evaluate(&mut self, events: &mut Vec<Event>) -> Result<(), BackendError> {
        let Some((subject, start)) = self.evaluating else { return Ok(()) };
        let policy = match subject {
            Subject::Reference => None,
            // A policy that has not begun is the reference.
            Subject::Policy(method) => self.policies.parameters(method),
        };
        self.models.advance_evaluation(&mut self.k, policy).await?;
        let (done, total) = (self.models.evaluator.done(), self.models.evaluator.total());
        let elapsed = (self.clock)() - start;
        events.push(progress(Work::Evaluation, done, total, elapsed / done as f64 * (total - done) as f64));
        if done == total {
            self.evaluating = None;
            let evaluation = self.models.evaluator.finish();
            let point = self.point(subject, &evaluation);
            let is_told = self.is_told(subject, point.point.step);
            // Read before the point is told: one without the policy behind it could not be gone on from.
            let checkpoint = match subject {
                Subject::Policy(method) => self.policies.checkpoint(&mut self.k, &self.models, method).await?,
                Subject::Reference => None,
            };
            if !point.point.is_plausible() || !checkpoint.as_ref().is_none_or(Checkpoint::is_finite) {
                let stage = subject.stage();
                self.break_off(stage, reports::not_measured(stage), events);
                return Ok(());
            }
            if !is_told {
                events.push(Event::Point(point.clone()));
            }
            if let Subject::Policy(method) = subject {
                let run = &mut self.runs[method];
                run.measured = checkpoint.map(|policy| Measured { policy, seconds: run.seconds });
                if self.is_sweep_worker || is_told {
                    return Ok(());
                }
                if let Some(measured) = &self.runs[method].measured {
                    self.saved_policies.keep(subject.stage(), &point, measured);
                }
                self.tell_kept(events);
                events.push(Event::Samples(self.samples(None).await?));
            }
        }
        Ok(())
    }

    fn point(&self, subject: Subject, evaluation: &Evaluation) -> Point {
        let settings = &self.models.settings;
        let (method, setting, step) = match subject {
            Subject::Reference => (Method::Sft, PointKey::reference(), 0),
            Subject::Policy(method) => (method, self.setting_of(method), self.policies.steps(method)),
        };
        let (run, seconds) = match subject {
            Subject::Reference => (self.runs[Method::Dpo].number, 0.0),
            Subject::Policy(method) => (self.runs[method].number, self.runs[method].seconds),
        };
        let place = PointKey { method, setting, seed: u64::from(settings.seed), step, seconds };
        Point { run, point: evaluation.point(place) }
    }
}
