//! What each command of the page does to a session.

use super::{Session, Subject, asset_failure, progress, reports};
use crate::engine::protocol::{Command, Event, Stage};
use crate::engine::session::live::SftRun;
use crate::engine::settings::Settings;
use klimb_metrics::Method;
use klimb_network::backend::{BackendError, Kernels};

impl<K: Kernels> Session<K> {
    /// Does what `command` asks for, or fails with the device.
    pub(super) async fn obey(&mut self, command: Command, events: &mut Vec<Event>) -> Result<(), BackendError> {
        match command {
            // Another start is another session: whoever drives this one builds it.
            Command::Start(_)
            | Command::Resume(_)
            | Command::MoveTo(_)
            | Command::WorkerJob(_)
            | Command::SetPace(_) => {}
            Command::Play => self.play(true, events),
            Command::Pause => self.play(false, events),
            Command::Step(stage) => {
                self.play(false, events);
                self.abandon_evaluation(events);
                self.step(stage, events).await?;
            }
            Command::Focus(stage) => {
                self.focus = stage;
                self.stepping = None;
                self.refocus_sweep();
            }
            Command::SetBeta(beta) => {
                let settings = Settings { beta, ..self.own_settings() };
                self.configure(settings, events).await?;
            }
            Command::Configure(settings) => self.configure(settings, events).await?,
            Command::Reset => self.reset(events),
            Command::Undo => self.take_reset_back(events),
            Command::Report => events.push(Event::Report(Some(Box::new(self.report())))),
            Command::Retrain => {
                self.sft = Some(SftRun::new(&mut self.k, &self.models));
                self.focus = Stage::Sft;
            }
            Command::Evaluate => self.measure(Subject::Policy(self.focus.policy().unwrap_or(Method::Dpo))),
            Command::Contest(begin) => self.contest(begin, events).await?,
            Command::Scaling(extent) => self.scaling(extent, events),
            Command::Sweep(plan) => self.sweep(plan, events).await?,
            Command::Adopt(report) => self.take_report(report, events),
            Command::Open(moment) => self.open_saved(moment, events).await?,
            Command::GoOn(moment, beta) => self.go_on_from(moment, beta, events).await?,
            Command::ReadAt(temperature) => {
                self.models.reading = temperature.clamp(0.0, 2.0);
                events.push(Event::Samples(self.samples(None).await?));
            }
            Command::SamplePrompt(text) => match self.models.typed_prompt(&text) {
                Ok(prompt) => events.push(Event::Samples(self.samples(Some(prompt)).await?)),
                Err(failure) => events.push(Event::Failure(failure)),
            },
            Command::LoadCheckpoint(bytes) => match self.models.load_sft(&bytes, self.sft.is_some()) {
                Ok(loaded) => {
                    self.sft = None;
                    self.models.adopt(&mut self.k);
                    drop(self.restart(&Stage::ALL, true, events));
                    events.push(Event::Loaded(loaded));
                    events.push(Event::Samples(self.samples(None).await?));
                }
                Err(error) => events.push(Event::Failure(asset_failure(error.message(), "checkpoint"))),
            },
            Command::ExportCheckpoint(stage) => {
                let checkpoint = self.checkpoint(stage).await?;
                events.push(match checkpoint {
                    Some(checkpoint) if !checkpoint.is_finite() => Event::Failure(reports::model_not_finite(stage)),
                    Some(checkpoint) => Event::Checkpoint(stage, checkpoint.to_bytes()),
                    None => Event::Failure(reports::no_model(stage)),
                });
            }
            Command::LoadPreferences(bytes) => match self.models.load_preferences(&mut self.k, &bytes) {
                Ok(loaded) => {
                    drop(self.restart(&Stage::learned_from_pairs(), false, events));
                    events.push(Event::Loaded(loaded));
                }
                Err(error) => events.push(Event::Failure(asset_failure(error.message(), "preferences"))),
            },
            Command::GeneratePreferences if self.models.pairs_are_loaded() => {
                self.models.generate_preferences(&mut self.k);
                drop(self.restart(&Stage::learned_from_pairs(), false, events));
            }
            Command::GeneratePreferences => {}
            Command::DrawPairs { from, count } => {
                let drawn = self.models.draw_pairs(&mut self.k, from, count).await?;
                events.push(if drawn.is_empty() && count > 0 {
                    Event::Failure(reports::nothing_to_choose())
                } else {
                    Event::DrawnPairs(drawn)
                });
            }
            Command::ExportPreferences => events.push(match self.models.preferences_as_jsonl() {
                Some(lines) => Event::Preferences(lines),
                None => Event::Failure(reports::no_pairs()),
            }),
        }
        Ok(())
    }

    /// Lets training go on or rest; what was only to be one step is that no longer.
    pub(super) fn play(&mut self, playing: bool, events: &mut Vec<Event>) {
        self.stepping = None;
        if let Some(work) = self.working.take().filter(|_| !playing) {
            events.push(progress(work, 1, 1, 0.0));
        }
        if self.playing != playing {
            self.playing = playing;
            self.rest_sweep();
            events.push(Event::Playing(playing));
        }
    }

    /// Takes over `settings` and starts over what they concern, or says which of them cannot be used.
    pub(super) async fn configure(&mut self, settings: Settings, events: &mut Vec<Event>) -> Result<(), BackendError> {
        match settings.validated() {
            Err(error) => events.push(Event::Failure(reports::setting_failure(&error))),
            Ok(settings) => {
                let settings = self.beside_sweep(settings);
                let consequences = self.models.configure(&mut self.k, settings);
                if !consequences.stages.is_empty() {
                    drop(self.restart(&consequences.stages, consequences.remeasure, events));
                }
            }
        }
        Ok(())
    }
}
