//! What survives a lost device: enough to go on elsewhere from the last point.

use super::record::Record;
use super::runs::{Measured, Run, Runs};
use super::saved_policies::SavedPolicies;
use super::{Clock, Failure, Session};
use crate::engine::protocol::{
    Badge, Checkpoints, Event, Kept, KeptPolicy, KeptRewardModel, MOST_RUNS, SavedPolicy, Stage,
};
use crate::engine::settings::{BackendChoice, Settings, WidthChoice};
use klimb_lab::TrainedRewardModel;
use klimb_metrics::Method;
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::{Checkpoint, CheckpointError, Expectation};
use klimb_text::Message;

/// A session at the last evaluated points of its runs. It lives in ordinary memory, so losing the device does not
/// touch it.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    settings: Settings,
    checkpoints: Checkpoints,
    focus: Stage,
    runs: Runs,
    /// The finished reward model and the steps it took; one in training is lost.
    reward_model: Option<(TrainedRewardModel, u64)>,
    /// The policies behind the points.
    saved_policies: SavedPolicies,
    /// What was told, where the page stays: another backend is chosen, or the device is lost.
    record: Record,
    has_reported_kept: bool,
}

impl Snapshot {
    /// The snapshot to be written down, models as files; the policies behind earlier points are not among them, because
    /// whoever writes has them from earlier snapshots.
    pub fn kept(&self) -> Kept {
        let Checkpoints { base, sft, optimum, preferences } = self.checkpoints.clone();
        let kept = |(stage, run): (Stage, &Run)| {
            let Run { number, last, measured, .. } = run;
            let (checkpoint, seconds) =
                measured.as_ref().map_or((Vec::new(), 0.0), |it| (it.policy.to_bytes(), it.seconds));
            KeptPolicy { stage, run: *number, last: *last, seconds, checkpoint }
        };
        let policies: Vec<KeptPolicy> = self.runs.iter().map(kept).collect();
        let reward_model = self.reward_model.as_ref().and_then(|(trained, steps)| {
            // The sizes are the reference's, which was checked when the session began.
            let sft = Checkpoint::from_bytes(&sft, None).ok()?;
            let checkpoint = Checkpoint {
                parameters: trained.parameters.clone(),
                step: trained.report.step,
                stage: "reward_model".into(),
                head: true,
                ..sft
            };
            Some(KeptRewardModel {
                checkpoint: checkpoint.to_bytes(),
                report: trained.report.clone(),
                steps: *steps,
                reference_mean: trained.reference_mean,
                reference_deviation: trained.reference_deviation,
            })
        });
        let (settings, focus) = (self.settings, self.focus);
        Kept { settings, focus, base, sft, optimum, preferences, policies, reward_model, saved_policies: Vec::new() }
    }

    /// The snapshot that was written down.
    ///
    /// # Errors
    /// A model that is damaged, or none of this reference's; the policy behind an earlier point is then left out. Base,
    /// reference, optimum, pairs and settings are checked by [`Session::restore`].
    pub fn from_kept(kept: Kept) -> Result<Self, Failure> {
        if kept.runs().any(|run| run > MOST_RUNS) {
            return Err(unusable(message!("its runs have numbers that no run has")));
        }
        let Kept { settings, focus, base, sft, optimum, preferences, policies, reward_model, saved_policies: earlier } =
            kept;
        let reference = Checkpoint::from_bytes(&sft, None).map_err(|error| unusable(error.message()))?;
        let read = |bytes: &[u8], head: bool| -> Result<Checkpoint, CheckpointError> {
            let (config, vocabulary_fingerprint) = (Some(reference.config), reference.vocabulary_fingerprint.clone());
            Checkpoint::from_bytes(bytes, Some(&Expectation { config, vocabulary_fingerprint, head }))
        };
        let mut runs = Runs::default();
        for KeptPolicy { stage, run, last, seconds, checkpoint } in policies {
            let Some(method) = stage.policy() else { continue };
            let measured = match checkpoint.as_slice() {
                [] => None,
                bytes => {
                    Some(Measured { policy: read(bytes, false).map_err(|error| unusable(error.message()))?, seconds })
                }
            };
            let number = run.max(1);
            runs[method] = Run { number, last: last.max(number), seconds, measured };
        }
        let reward_model = match reward_model {
            None => None,
            Some(KeptRewardModel { checkpoint, report, steps, reference_mean, reference_deviation }) => {
                let parameters = read(&checkpoint, true).map_err(|error| unusable(error.message()))?.parameters;
                Some((TrainedRewardModel { parameters, report, reference_mean, reference_deviation }, steps))
            }
        };
        let mut saved_policies = SavedPolicies::default();
        for SavedPolicy { stage, point, seconds, checkpoint } in earlier {
            if let (Some(_), Ok(policy)) = (stage.policy(), read(&checkpoint, false)) {
                saved_policies.keep(stage, &point, &Measured { policy, seconds });
            }
        }
        let checkpoints = Checkpoints { base, sft, optimum, preferences };
        // The page has it from where it was kept.
        let (record, has_reported_kept) = (Record::default(), true);
        Ok(Self { settings, checkpoints, focus, runs, reward_model, saved_policies, record, has_reported_kept })
    }

    /// What a sweep worker needs to train what is in focus: models and knobs with another β, and no policy.
    pub(super) fn for_job(self, beta: f64) -> Kept {
        let settings = Settings { beta, ..self.settings };
        Self { settings, runs: Runs::default(), saved_policies: SavedPolicies::default(), ..self }.kept()
    }

    /// The knobs.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// The same where a width that nobody chose would be `width` numbers a token: the model keeps the width that it has, and
    /// the settings say so, or the run could not be repeated from them.
    pub fn where_auto_is(mut self, width: usize) -> Self {
        let has = Checkpoint::from_bytes(&self.checkpoints.sft, None).map(|sft| sft.config.width);
        if let Some(choice) = has.ok().filter(|has| *has != width).and_then(WidthChoice::of) {
            self.settings.width = choice;
        }
        self
    }

    /// The stage of the policy in focus, or DPO.
    pub fn stage(&self) -> Stage {
        if self.focus.policy().is_some() { self.focus } else { Stage::Dpo }
    }

    /// Optimiser steps behind that policy.
    pub fn step(&self) -> u64 {
        let run = &self.runs[self.focus.policy().unwrap_or(Method::Dpo)];
        run.measured.as_ref().map_or(0, |it| it.policy.step)
    }
}

/// By what one can see that a snapshot would be another: the reference, the number and last point of each run, and the steps
/// of the finished reward model.
#[derive(Debug, PartialEq)]
pub(super) struct Lasting {
    reference: String,
    runs: Vec<RunMarks>,
    reward_model: Option<u64>,
}

#[derive(Debug, PartialEq)]
struct RunMarks {
    number: u32,
    last: u32,
    /// The step of its last point.
    measured: Option<u64>,
}

impl<K: Kernels> Session<K> {
    /// What would be kept now, by its marks.
    pub(super) fn lasting(&self) -> Lasting {
        let marks = |run: &Run| RunMarks {
            number: run.number,
            last: run.last,
            measured: run.measured.as_ref().map(|it| it.policy.step),
        };
        Lasting {
            reference: self.models.reference_fingerprint().to_owned(),
            runs: self.runs.iter().map(|(_, run)| marks(run)).collect(),
            reward_model: self.models.trained_reward_model().map(|(_, steps)| *steps),
        }
    }

    /// Tells the session as it can be kept, unless that was told in these events.
    pub(super) fn tell_kept(&mut self, events: &mut Vec<Event>) {
        if self.is_sweep_worker || self.lost() || events.iter().any(|event| matches!(event, Event::Kept(_))) {
            return;
        }
        self.has_reported_kept = true;
        events.push(Event::Kept(Box::new(self.snapshot().kept())));
    }

    /// The session at its last points, to go on before the same page on another backend.
    pub fn moving_to(&self, backend: BackendChoice) -> Snapshot {
        let settings = Settings { backend, ..self.own_settings() };
        Snapshot { settings, record: self.record.clone(), has_reported_kept: self.has_reported_kept, ..self.snapshot() }
    }

    /// Rests, because another session that was to take its place could not be built. Tells that, and what holds.
    pub fn stay(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.play(false, &mut events);
        self.tell_stages(&mut events);
        self.note(&events);
        events.push(Event::NotBuilt(Some(self.own_settings())));
        events
    }

    /// Whether the device is lost, or has refused a command and with it all later ones. Nothing but [`Session::snapshot`] is
    /// of use then.
    pub fn lost(&self) -> bool {
        self.lost.is_some()
    }

    /// Looks again whether the device is lost: a browser may fail a read before it tells that.
    pub fn look_for_loss(&mut self) {
        self.lost = self.lost.take().or_else(|| self.k.failure());
    }

    /// Whether it is lost because it has refused a command.
    pub fn has_refused(&self) -> bool {
        matches!(self.lost, Some(BackendError::Refused(_)))
    }

    /// The session at its last points. Asks nothing of the device.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            settings: self.own_settings(),
            checkpoints: self.models.checkpoints(),
            focus: self.focus,
            runs: self.runs.clone(),
            reward_model: self.models.trained_reward_model().cloned(),
            saved_policies: self.saved_policies.clone(),
            record: if self.lost() { self.record.clone() } else { Record::default() },
            has_reported_kept: self.has_reported_kept,
        }
    }

    /// A session, perhaps on another backend, that goes on from a snapshot: the same models, settings, steps and runs.
    /// The optimiser's moments, PPO's value model and the preference pairs begin anew.
    ///
    /// # Errors
    /// As [`Session::new`], which a snapshot of a working session does not meet.
    pub fn restore(k: K, clock: Clock, badge: Badge, snapshot: &Snapshot) -> Result<Self, Failure> {
        let mut session = Self::new(k, clock, badge, snapshot.settings, &snapshot.checkpoints)?;
        session.focus = snapshot.focus;
        session.runs = snapshot.runs.clone();
        session.saved_policies = snapshot.saved_policies.clone();
        session.record = snapshot.record.clone();
        session.has_reported_kept = snapshot.has_reported_kept;
        if let Some(trained) = &snapshot.reward_model {
            session.models.reward_model = Some(trained.clone());
        }
        for method in Stage::of_policies().filter_map(Stage::policy) {
            let run = &mut session.runs[method];
            let Some(Measured { policy, seconds }) = &run.measured else { continue };
            run.seconds = *seconds;
            session.policies.resume(&mut session.k, &session.models, method, policy);
        }
        Ok(session)
    }
}

/// A kept session that cannot be used, in words.
pub fn unusable(reason: Message) -> Failure {
    Failure {
        sentence: message!("The kept run cannot be used: {}.", reason.without_stop()),
        remedy: message!("It has been removed; everything here goes on as before."),
        field: Some("kept".into()),
        stopped: false,
    }
}
