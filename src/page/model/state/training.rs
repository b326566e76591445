//! The settings, the engine that is there or on its way, and what it does now.

use std::collections::BTreeMap;

use crate::engine::protocol::{
    Command, Failure, Fetching, Origin, Progress, Ready, Stage, StageKind, StageState, StageStatus, Work,
};
use crate::engine::settings::Settings;

/// What is asked of the engine, and what it does.
#[derive(Debug, Clone)]
pub struct Training {
    /// The knobs as the person set them.
    pub settings: Settings,
    /// The settings that the engine was last built with.
    pub(super) started: Option<Settings>,
    /// β under the finger: the settings' β follows at release.
    pub dragged_beta: f64,
    /// The engine, once it is built.
    pub ready: Option<Ready>,
    /// How far the models of the next engine have come, while they are on their way.
    pub fetching: Option<Fetching>,
    /// Whether the engine trains now, or was just asked to.
    pub playing: bool,
    /// What Play trains.
    pub focused: Stage,
    /// The pipeline, in order.
    pub stages: Vec<StageStatus>,
    /// The longer works under way.
    pub works: BTreeMap<Work, Progress>,
    /// Optimiser steps of every run since the page was opened.
    pub steps: usize,
}

impl Training {
    /// No engine, and nothing asked of one.
    pub(super) fn new(settings: Settings) -> Self {
        let status = |stage| {
            let is_shipped = matches!(stage, Stage::Base | Stage::Sft);
            let origin = if is_shipped { Origin::Recorded } else { Origin::Live };
            StageStatus { stage, state: StageState::Waiting, origin, steps: 0 }
        };
        Self {
            settings,
            started: None,
            dragged_beta: settings.beta,
            ready: None,
            fetching: None,
            playing: false,
            focused: Stage::Dpo,
            stages: Stage::ALL.map(status).into(),
            works: BTreeMap::default(),
            steps: 0,
        }
    }

    /// Shows at once what the person expects of a command; answers with the stage that comes into focus, if one does.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a few kinds out of many are picked")]
    pub(super) fn request(&mut self, command: &Command) -> Option<Stage> {
        match command {
            Command::Start(_) | Command::MoveTo(_) | Command::Resume(_) | Command::Reset | Command::Undo => {
                self.playing = false;
            }
            Command::Retrain => {
                self.playing = false;
                return Some(Stage::Sft);
            }
            Command::Play | Command::Pause => self.playing = *command == Command::Play,
            Command::Sweep(plan) => self.playing = plan.is_some(),
            Command::Focus(stage) => return Some(*stage),
            Command::GoOn(policy, beta) => {
                self.playing = false;
                self.settings.beta = beta.unwrap_or(self.settings.beta);
                self.dragged_beta = self.settings.beta;
                return Some(policy.stage);
            }
            Command::SetBeta(beta) => (self.settings.beta, self.dragged_beta) = (*beta, *beta),
            Command::Configure(settings) => self.set(*settings),
            _ => {}
        }
        None
    }

    /// Puts other settings in use.
    pub(super) fn set(&mut self, settings: Settings) {
        (self.settings, self.dragged_beta) = (settings, settings.beta);
    }

    /// Another engine is there.
    pub(super) fn engine_is_there(&mut self, ready: Ready) {
        self.ready = Some(ready);
        self.fetching = None;
    }

    /// What an engine before it did is over, and the settings are its own.
    pub(super) fn engine_begins(&mut self) {
        self.started = Some(self.settings);
        self.works.clear();
    }

    /// Takes up how far a longer work is.
    pub(super) fn take_progress(&mut self, progress: Progress) {
        self.works.remove(&progress.work);
        if progress.done < progress.total {
            self.works.insert(progress.work, progress);
        }
    }

    /// Takes up what a stage is doing.
    pub(super) fn take_status(&mut self, status: StageStatus) {
        if let Some(known) = self.stages.iter_mut().find(|known| known.stage == status.stage) {
            *known = status;
        }
    }

    /// Something went wrong, and stopped the engine if the failure says so.
    pub(super) fn fail(&mut self, failure: &Failure) {
        self.fetching = None;
        self.playing &= !failure.stopped;
        if failure.stopped {
            self.works.clear();
        }
    }

    /// Stages start over: the works on them are over, and the models of the scaling study are none of theirs.
    pub(super) fn start_over(&mut self) {
        self.works.retain(|work, _| *work == Work::Scaling);
    }

    /// A stage of the pipeline.
    pub fn stage(&self, stage: Stage) -> Option<&StageStatus> {
        self.stages.iter().find(|status| status.stage == stage)
    }

    /// Whether the engine is at this work now.
    pub fn is_at(&self, work: Work) -> bool {
        self.works.contains_key(&work)
    }

    /// Whether a model of the engine has learned anything since it was built.
    pub(super) fn has_trained(&self) -> bool {
        self.stages.iter().any(|status| match status.stage.kind() {
            StageKind::Base | StageKind::Pairs | StageKind::BestOfN => false,
            StageKind::Sft => status.origin == Origin::Live,
            StageKind::RewardModel | StageKind::Policy(_) => status.steps > 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_shows_at_once_and_says_what_comes_into_focus() {
        let mut training = Training::new(Settings::default());
        assert_eq!(training.request(&Command::Play), None);
        assert!(training.playing);
        assert_eq!(training.request(&Command::Retrain), Some(Stage::Sft));
        assert!(!training.playing, "SFT is trained on its own");
        assert_eq!(training.request(&Command::Focus(Stage::Ppo)), Some(Stage::Ppo));
        training.dragged_beta = 0.4;
        training.request(&Command::SetBeta(0.3));
        assert_eq!((training.settings.beta, training.dragged_beta), (0.3, 0.3));
        training.request(&Command::Configure(Settings { beta: 0.7, ..Settings::default() }));
        assert_eq!((training.settings.beta, training.dragged_beta), (0.7, 0.7));
    }

    #[test]
    fn a_work_is_there_until_it_is_done_or_the_engine_stops() {
        let progress = |work, done| Progress { work, done, total: 3, seconds_left: None };
        let mut training = Training::new(Settings::default());
        for (done, is_there) in [(0, true), (2, true), (3, false)] {
            training.take_progress(progress(Work::Pairs, done));
            assert_eq!(training.is_at(Work::Pairs), is_there, "{done} of 3");
        }
        for work in [Work::Pairs, Work::Scaling] {
            training.take_progress(progress(work, 1));
        }
        training.start_over();
        assert_eq!(training.works.keys().copied().collect::<Vec<_>>(), [Work::Scaling]);
        let failure = |stopped| Failure {
            sentence: klimb_text::Message::verbatim("a"),
            remedy: klimb_text::Message::verbatim("b"),
            field: None,
            stopped,
        };
        training.fail(&failure(false));
        assert!(training.is_at(Work::Scaling));
        training.fail(&failure(true));
        assert!(!training.is_at(Work::Scaling));
    }

    #[test]
    fn an_engine_has_trained_once_a_policy_has_steps_or_sft_is_not_the_shipped_one() {
        let status = |stage, origin, steps| StageStatus { stage, state: StageState::Ready, origin, steps };
        for (status, has_trained) in [
            (status(Stage::Dpo, Origin::Live, 0), false),
            (status(Stage::Dpo, Origin::Live, 1), true),
            (status(Stage::Sft, Origin::Loaded, 0), false),
            (status(Stage::Sft, Origin::Live, 0), true),
            (status(Stage::Pairs, Origin::Live, 5), false),
        ] {
            let mut training = Training::new(Settings::default());
            training.take_status(status.clone());
            assert_eq!(training.has_trained(), has_trained, "{status:?}");
        }
    }
}
