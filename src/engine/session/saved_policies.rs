//! The policies behind the points of the frontier, kept so that a point can be opened, gone on from, or forked.

use std::collections::VecDeque;
use std::sync::Arc;

use super::runs::Measured;
use super::{Run, Session, reports};
use crate::engine::protocol::{Event, Failure, Opened, Point, PolicyKey, SavedPolicy, Stage};
use crate::engine::settings::Settings;
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::Checkpoint;
use klimb_text::Message;

/// Most that is kept, in parameters: 64 MiB. The oldest go first.
const MOST_PARAMETERS: usize = 1 << 24;

/// A policy that is kept.
#[derive(Debug, Clone, PartialEq)]
struct Saved {
    moment: PolicyKey,
    point: Point,
    /// Shared, so that a snapshot copies none of them.
    policy: Arc<Checkpoint>,
    seconds: f64,
}

/// Every measured policy that is kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct SavedPolicies(VecDeque<Saved>);

impl SavedPolicies {
    /// Keeps the policy that a stage has at a point.
    pub fn keep(&mut self, stage: Stage, point: &Point, measured: &Measured) {
        let Measured { policy, seconds } = measured;
        let moment = PolicyKey { stage, run: point.run, step: policy.step };
        self.0.retain(|kept| kept.moment != moment);
        let (point, policy, seconds) = (point.clone(), Arc::new(policy.clone()), *seconds);
        let most = (MOST_PARAMETERS / policy.parameters.len()).max(1);
        self.0.push_back(Saved { moment, point, policy, seconds });
        while self.0.len() > most {
            self.0.pop_front();
        }
    }

    /// Forgets all: the reference is another.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// All that is kept, to be written down, oldest first.
    pub fn kept(&self) -> Vec<SavedPolicy> {
        let written = |it: &Saved| SavedPolicy {
            stage: it.moment.stage,
            point: it.point.clone(),
            seconds: it.seconds,
            checkpoint: it.policy.to_bytes(),
        };
        self.0.iter().map(written).collect()
    }

    fn find(&self, moment: PolicyKey) -> Result<Saved, Failure> {
        self.0.iter().find(|kept| kept.moment == moment).cloned().ok_or_else(|| Failure {
            sentence: message!("The {} policy of step {} is no longer kept.", Message::named(moment.stage.name()), moment.step),
            remedy: message!("The newest 64 MiB are kept until the reference changes or the engine’s worker ends, and over a reload the newest 12; its numbers stay in the chart."),
            field: Some("moment".into()),
            stopped: false,
        })
    }
}

impl<K: Kernels> Session<K> {
    /// What a kept policy writes.
    pub(super) async fn open_saved(&mut self, moment: PolicyKey, events: &mut Vec<Event>) -> Result<(), BackendError> {
        match self.saved_policies.find(moment) {
            Ok(kept) => {
                let samples = self.models.samples_of(&mut self.k, moment.stage, &kept.policy).await?;
                events.push(Event::Opened(Opened { moment, samples }));
            }
            Err(failure) => events.push(Event::Failure(failure)),
        }
        Ok(())
    }

    /// A new run of a policy, from where a kept one was, perhaps at another β. It begins with the same point.
    pub(super) async fn go_on_from(
        &mut self,
        moment: PolicyKey,
        beta: Option<f64>,
        events: &mut Vec<Event>,
    ) -> Result<(), BackendError> {
        let kept = match self.saved_policies.find(moment) {
            Ok(kept) => kept,
            Err(failure) => {
                events.push(Event::Failure(failure));
                return Ok(());
            }
        };
        let method = moment.stage.policy().expect("only policies are kept");
        if method.info().needs_reward_model && self.models.trained_reward_model().is_none() {
            events.push(Event::Failure(reports::no_reward_model()));
            return Ok(());
        }
        // A sweep has a β of its own, which the new run must not take over.
        self.end_sweep(events);
        let settings = Settings { beta: beta.unwrap_or(self.models.settings.beta), ..self.models.settings };
        if let Err(error) = settings.validated() {
            events.push(Event::Failure(reports::setting_failure(&error)));
            return Ok(());
        }
        self.play(false, events);
        self.configure(settings, events).await?;
        drop(self.restart(&[moment.stage], false, events));
        self.policies.resume(&mut self.k, &self.models, method, &kept.policy);
        let number = self.runs[method].number.max(moment.run + 1);
        let measured = Measured { policy: (*kept.policy).clone(), seconds: kept.seconds };
        self.runs[method] = Run { number, last: number, seconds: kept.seconds, measured: Some(measured.clone()) };
        self.focus = moment.stage;
        let mut point = Point { run: number, ..kept.point };
        // The run is named by what it is trained with from here on.
        point.point.setting = self.setting_of(method);
        self.saved_policies.keep(moment.stage, &point, &measured);
        events.push(Event::Point(point));
        events.push(Event::Kept(Box::new(self.snapshot().kept())));
        Ok(())
    }
}
