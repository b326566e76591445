//! The policies behind the points of the frontier, kept so that a point can be opened, gone on from, or forked.

use std::collections::VecDeque;
use std::sync::Arc;

use super::pipeline::Policy;
use super::{Run, Session, reports};
use crate::engine::protocol::{Event, Failure, KeptMoment, Moment, Opened, Point};
use crate::engine::settings::Settings;
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::Checkpoint;

/// Most that is kept, in parameters: 64 MiB. The oldest moments go first.
const MOST_PARAMETERS: usize = 1 << 24;

/// A policy as it was measured.
#[derive(Debug, Clone, PartialEq)]
struct Measured {
    moment: Moment,
    point: Point,
    /// Shared, so that a snapshot copies none of them.
    policy: Arc<Checkpoint>,
    seconds: f64,
}

/// Every measured policy that is kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Moments(VecDeque<Measured>);

impl Moments {
    pub fn keep(&mut self, policy: Policy, point: &Point, checkpoint: &Checkpoint, seconds: f64) {
        let moment = Moment { stage: policy.stage(), run: point.run, step: checkpoint.step };
        self.0.retain(|kept| kept.moment != moment);
        self.0.push_back(Measured { moment, point: point.clone(), policy: Arc::new(checkpoint.clone()), seconds });
        let most = (MOST_PARAMETERS / checkpoint.parameters.len()).max(1);
        while self.0.len() > most {
            self.0.pop_front();
        }
    }

    /// Forgets all: the reference is another.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// All that is kept, to be written down, oldest first.
    pub fn kept(&self) -> Vec<KeptMoment> {
        let written = |it: &Measured| KeptMoment {
            stage: it.moment.stage,
            point: it.point.clone(),
            seconds: it.seconds,
            checkpoint: it.policy.to_bytes(),
        };
        self.0.iter().map(written).collect()
    }

    fn find(&self, moment: Moment) -> Result<Measured, Failure> {
        self.0.iter().find(|kept| kept.moment == moment).cloned().ok_or_else(|| Failure {
            sentence: format!("The {} policy of step {} is no longer kept.", moment.stage.name(), moment.step),
            remedy: "The newest 64 MiB are kept until the reference changes or the engine’s worker ends, and over a reload the newest 12; its numbers stay in the chart.".into(),
            field: Some("moment".into()),
            stopped: false,
        })
    }
}

impl<K: Kernels> Session<K> {
    /// What a kept policy writes.
    pub(super) async fn open_moment(&mut self, moment: Moment, events: &mut Vec<Event>) -> Result<(), BackendError> {
        match self.moments.find(moment) {
            Ok(kept) => {
                let samples = self.pipeline.samples_of(&mut self.k, moment.stage, &kept.policy).await?;
                events.push(Event::Opened(Opened { moment, samples }));
            }
            Err(failure) => events.push(Event::Failure(failure)),
        }
        Ok(())
    }

    /// A new run of a policy, from where a kept one was, perhaps at another β. It begins with the same point.
    pub(super) async fn go_on_from(
        &mut self,
        moment: Moment,
        beta: Option<f64>,
        events: &mut Vec<Event>,
    ) -> Result<(), BackendError> {
        let kept = match self.moments.find(moment) {
            Ok(kept) => kept,
            Err(failure) => {
                events.push(Event::Failure(failure));
                return Ok(());
            }
        };
        // A sweep has a β of its own, which the new run must not take over.
        self.end_sweep(events);
        let settings = Settings { beta: beta.unwrap_or(self.pipeline.settings.beta), ..self.pipeline.settings };
        if let Err(error) = settings.validated() {
            events.push(Event::Failure(reports::setting_failure(&error)));
            return Ok(());
        }
        self.play(false, events);
        self.configure(settings, events).await?;
        let policy = Policy::of(moment.stage).expect("only policies are kept");
        drop(self.restart(&[moment.stage], false, events));
        self.pipeline.resume(&mut self.k, policy, &kept.policy);
        let run = self.run(policy);
        let number = run.number.max(moment.run + 1);
        *run =
            Run { number, last: number, seconds: kept.seconds, measured: Some(((*kept.policy).clone(), kept.seconds)) };
        self.focus = moment.stage;
        let mut point = Point { run: number, ..kept.point };
        // The run is named by what it is trained with from here on.
        point.point.setting = self.setting_of(policy);
        self.moments.keep(policy, &point, &kept.policy, kept.seconds);
        events.push(Event::Point(point));
        events.push(Event::Kept(Box::new(self.snapshot().kept())));
        Ok(())
    }
}
