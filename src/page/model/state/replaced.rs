//! What the page knows of the engine before this one, as long as that one can be had back: another seed or other models
//! build another engine, which takes nothing away for good before it has trained.

use super::State;
use super::before_reset::BeforeReset;
use super::results::StandingPoints;
use crate::engine::protocol::Stage;
use crate::engine::settings::Settings;
use crate::page::model::change::Change;
use crate::page::model::clinic::Clinic;
use crate::page::model::saved_session::SavedEngine;

/// What can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// The last reset.
    Reset,
    /// A start with another seed or other models.
    Start,
    /// A move to another backend.
    Move,
}

/// The engine before this one, as the page knew it.
#[derive(Debug, Clone)]
pub(super) struct Replaced {
    /// Whether it went on on another backend.
    is_move: bool,
    stages: BeforeReset,
    /// What a reset of that engine made the page forget, where it could still be taken back.
    before_reset: Option<Box<BeforeReset>>,
    saved: SavedEngine,
    earlier_runs: u32,
    standing: StandingPoints,
    clinic: Clinic,
    /// Whether it has trained anything, so that the engine can be had back.
    has_trained: bool,
}

impl Replaced {
    /// Lets `state` know that engine again; with its settings where it was left for another.
    pub fn give_back(self, state: &mut State, settings: Option<Settings>) {
        state.undoing.before_reset = self.before_reset;
        state.keeping.earlier_engine(self.saved);
        state.results.earlier_runs = self.earlier_runs;
        state.results.restore_standing(self.standing);
        if settings.is_some() {
            state.lesson.clinic = self.clinic;
        }
        self.stages.give_back(state);
        state.mark(Change::Everything);
    }
}

/// What can be taken back, and what the page must know for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Undoing {
    /// Whether the last reset, start or move can be taken back.
    undoable: bool,
    /// What a reset made the page forget.
    before_reset: Option<Box<BeforeReset>>,
    /// What is known of the engine before this one, as long as it can be had back.
    replaced: Option<Box<Replaced>>,
    /// What is known of the engine in whose place another is being built.
    leaving: Option<Box<Replaced>>,
}

impl Undoing {
    /// The engine says whether it can take anything back.
    pub fn allow(&mut self, undoable: bool) {
        self.undoable = undoable;
        self.before_reset = self.before_reset.take().filter(|_| undoable);
        self.replaced = self.replaced.take().filter(|_| undoable);
    }

    /// An engine is there: the one that was awaited, or one that knows nothing of what another had put aside.
    pub fn engine_is_there(&mut self) {
        self.undoable = false;
        self.replaced = match self.leaving.take() {
            Some(leaving) if leaving.has_trained => Some(leaving),
            // Before it, nothing was trained either: what the one before that had put aside stays.
            Some(_) => self.replaced.take(),
            None => None,
        };
    }

    /// What can be taken back, if anything can.
    fn undo(&self) -> Option<Undo> {
        let undo = match &self.replaced {
            None => Undo::Reset,
            Some(replaced) if replaced.is_move => Undo::Move,
            Some(_) => Undo::Start,
        };
        Some(undo).filter(|_| self.undoable)
    }
}

impl State {
    /// Another engine is being built, or this one on another backend. What is known of it is put aside if it has trained
    /// anything.
    pub(super) fn put_engine_aside(&mut self, is_move: bool) {
        let has_reset = self.undoing.undoable && self.undoing.replaced.is_none();
        self.undoing.leaving = Some(Box::new(Replaced {
            is_move,
            stages: BeforeReset::of(self, &Stage::ALL),
            before_reset: self.undoing.before_reset.clone(),
            saved: self.keeping.this_engine(),
            earlier_runs: self.results.earlier_runs,
            standing: self.results.standing(),
            clinic: self.lesson.clinic.clone(),
            has_trained: self.training.has_trained() || has_reset,
        }));
        if !is_move {
            self.keeping.another_engine();
            self.results.engine_leaves();
        }
    }

    /// Stages start over by a reset, which can be taken back until the next step.
    pub(super) fn reset(&mut self, stages: &[Stage]) {
        // A reset of stages that have taken steps is what can be taken back from now on.
        if stages.iter().any(|stage| self.training.stage(*stage).is_some_and(|status| status.steps > 0)) {
            self.undoing.replaced = None;
        }
        self.undoing.before_reset = Some(Box::new(BeforeReset::of(self, stages)));
    }

    /// The engine has taken back what it could, and has these settings.
    pub(super) fn take_back(&mut self, settings: Settings) {
        if let Some(replaced) = self.undoing.replaced.take() {
            replaced.give_back(self, Some(settings));
            self.settings_return(settings);
        } else if let Some(before) = self.undoing.before_reset.take() {
            before.give_back(self);
        }
    }

    /// The engine that was asked for could not be built: the one before it is there still and rests, with these settings; or
    /// there is none.
    pub(super) fn engine_stays(&mut self, settings: Option<Settings>) {
        if let Some(leaving) = self.undoing.leaving.take() {
            leaving.give_back(self, settings);
        }
        match settings {
            Some(settings) => self.settings_return(settings),
            None => self.training.ready = None,
        }
        self.training.playing = false;
        if let Some(kind) = self.training.ready.as_ref().map(|ready| ready.backend.kind) {
            self.follow_device(kind);
            self.follow_width();
        }
        self.mark(Change::Everything);
    }

    /// The engine has these settings, but for what was ordered since.
    pub(super) fn settings_return(&mut self, settings: Settings) {
        let settings = self.results.pair_names.take_settings_back(settings);
        self.training.set(settings);
    }

    /// The worker has died, and with it what it had put aside.
    pub(super) fn forget_replaced(&mut self) {
        self.undoing = Undoing::default();
    }

    /// Whether what the engine takes back is known here: not to a page that was made anew meanwhile.
    pub fn knows_undone(&self) -> bool {
        self.undoing.replaced.is_some() || self.undoing.before_reset.is_some()
    }

    /// What can be taken back, if anything can.
    pub fn undo(&self) -> Option<Undo> {
        self.undoing.undo()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::{BackendKind, Badge, Command, Event, Origin, Ready, StageState, StageStatus};
    use crate::engine::settings::BackendChoice;
    use crate::page::model::fixtures::point;

    fn ready() -> Event {
        let backend = Badge {
            kind: BackendKind::Cpu,
            adapter: None,
            why: klimb_text::Message::verbatim("this is a test."),
            remedy: None,
        };
        Event::Ready(Ready { backend, parameters: 1, vocabulary: 1, width: 32, layers: 1, words: Vec::new() })
    }

    fn dpo(steps: usize) -> Event {
        Event::Stage(StageStatus { stage: Stage::Dpo, state: StageState::Ready, origin: Origin::Live, steps })
    }

    /// Asks for another seed; answers with what is known once the engine has taken that up.
    fn begin(state: &mut State, seed: u32) {
        state.training.settings.seed = seed;
        let request = state.request(Command::Start(state.training.settings));
        state.apply(Event::Acknowledged(request.id));
    }

    /// A page after 20 steps of DPO, measured twice.
    fn trained() -> State {
        let mut state = State::new(Settings::default());
        begin(&mut state, 1);
        state.apply(ready());
        state.apply(Event::Reference("first".into()));
        for (step, method) in [(0, "sft"), (10, "dpo"), (20, "dpo")] {
            state.apply(Event::Point(point(1, method, step)));
        }
        state.apply(dpo(20));
        state.records.beta_changes.insert(Stage::Dpo, vec![(10, 0.3)]);
        state
    }

    fn places(state: &State) -> Vec<(u32, String, u64)> {
        state.results.points.iter().map(|it| (it.run, it.point.method.to_string(), it.point.step)).collect()
    }

    #[test]
    fn a_start_is_taken_back_with_all_that_was_known_before_it() {
        let mut state = trained();
        let before =
            (places(&state), state.training.settings, state.records.beta_changes.clone(), state.results.earlier_runs);
        for seed in [7, 8] {
            begin(&mut state, seed);
            state.apply(ready());
            state.apply(Event::Reference("second".into()));
            state.apply(Event::Point(point(1, "sft", 0)));
            state.apply(dpo(0));
            state.apply(Event::Undoable(true));
            assert!(state.undo() == Some(Undo::Start) && state.records.beta_changes.is_empty(), "seed {seed}");
        }
        assert_ne!(places(&state), before.0);
        let undo = state.request(Command::Undo);
        state.apply(Event::Acknowledged(undo.id));
        // What was ordered after it holds still; its seed does not.
        state.request(Command::SetBeta(0.7));
        state.apply(Event::Undone(before.1));
        for event in [ready(), Event::Reference("first".into()), dpo(20)] {
            state.apply(event);
        }
        assert_eq!(state.training.settings, Settings { beta: 0.7, ..before.1 });
        assert_eq!(
            (places(&state), state.records.beta_changes.clone(), state.results.earlier_runs),
            (before.0, before.2, before.3)
        );
        assert!(!state.undoing.undoable);
    }

    #[test]
    fn models_that_are_not_there_take_nothing_away() {
        let mut state = trained();
        let before = (places(&state), state.records.beta_changes.clone());
        begin(&mut state, 7);
        assert!(state.records.beta_changes.is_empty());
        let settings = Settings { seed: 1, ..state.training.settings };
        state.apply(Event::NotBuilt(Some(settings)));
        assert_eq!(state.training.settings, settings);
        assert_eq!((places(&state), state.records.beta_changes.clone()), before);
        assert!(state.undo().is_none());
    }

    #[test]
    fn a_move_to_another_backend_costs_nothing_that_is_known() {
        let mut state = trained();
        let before =
            (places(&state), state.training.settings, state.records.beta_changes.clone(), state.results.earlier_runs);
        state.training.settings.backend = BackendChoice::Cpu;
        let request = state.request(Command::MoveTo(state.training.settings));
        for event in [Event::Acknowledged(request.id), ready(), Event::Undoable(true)] {
            state.apply(event);
        }
        let known = |state: &State| (places(state), state.records.beta_changes.clone(), state.results.earlier_runs);
        assert_eq!(known(&state), (before.0.clone(), before.2.clone(), before.3));
        assert_eq!(state.undo(), Some(Undo::Move));
        for event in [Event::Undone(before.1), ready()] {
            state.apply(event);
        }
        assert_eq!((known(&state), state.training.settings), ((before.0, before.2, before.3), before.1));
    }

    #[test]
    fn a_reset_after_a_move_is_what_is_taken_back_and_one_of_nothing_changes_nothing() {
        for steps in [0, 20] {
            let mut state = trained();
            let request = state.request(Command::MoveTo(state.training.settings));
            for event in [Event::Acknowledged(request.id), ready(), Event::Undoable(true), dpo(steps)] {
                state.apply(event);
            }
            state.records.beta_changes.insert(Stage::Dpo, vec![(20, 0.9)]);
            let reset = state.request(Command::Reset);
            for event in [Event::Acknowledged(reset.id), dpo(0)] {
                state.apply(event);
            }
            assert_eq!(state.undo(), Some(if steps == 0 { Undo::Move } else { Undo::Reset }));
            state.apply(Event::Undone(state.training.settings));
            let changes = if steps == 0 { vec![(10, 0.3)] } else { vec![(20, 0.9)] };
            assert_eq!(state.records.beta_changes[&Stage::Dpo], changes, "after {steps} steps");
        }
    }

    #[test]
    fn what_is_ordered_behind_an_engine_that_cannot_be_built_holds_as_far_as_it_can() {
        let mut state = trained();
        let own = state.training.settings;
        begin(&mut state, 7);
        let later = Settings { seed: 8, ..own };
        state.request(Command::SetBeta(0.7));
        let next = state.request(Command::Start(later));
        state.apply(Event::NotBuilt(Some(own)));
        assert_eq!(state.training.settings, later, "the next engine brings its own");
        state.apply(Event::Acknowledged(next.id));
        state.apply(ready());
        assert_eq!(state.training.settings, later);
        // And where nothing was trained, what was known is known still.
        let (mut state, own) = (trained(), Settings::default());
        state.apply(dpo(0));
        state.results.earlier_runs = 0;
        begin(&mut state, 7);
        assert_eq!(state.results.earlier_runs, 1);
        state.apply(Event::NotBuilt(Some(own)));
        assert_eq!((state.results.earlier_runs, state.training.settings, state.undo()), (0, own, None));
    }

    #[test]
    fn a_refused_device_is_not_the_choice_where_the_engine_has_left_it() {
        let mut state = trained();
        let request =
            state.request(Command::MoveTo(Settings { backend: BackendChoice::Gpu, ..state.training.settings }));
        state.apply(Event::Acknowledged(request.id));
        let of_lost_device = Settings { backend: BackendChoice::Gpu, ..Settings::default() };
        state.apply(Event::NotBuilt(Some(of_lost_device)));
        assert_eq!(state.training.settings.backend, BackendChoice::Cpu);
        state.apply(Event::NotBuilt(None));
        assert!(state.training.ready.is_none() && !state.training.playing);
    }

    #[test]
    fn a_worker_that_dies_takes_what_it_had_put_aside_along() {
        let mut state = trained();
        begin(&mut state, 7);
        for event in [ready(), Event::Undoable(true)] {
            state.apply(event);
        }
        assert!(matches!(state.rebuilt(), Command::Start(_)));
        assert!(state.undo().is_none() && !state.knows_undone());
    }

    #[test]
    fn an_engine_that_was_rescued_has_nothing_to_take_back() {
        let mut state = trained();
        begin(&mut state, 7);
        for event in [ready(), Event::Undoable(true), ready()] {
            state.apply(event);
        }
        assert!(!state.undoing.undoable && state.undoing.replaced.is_none());
        let mut untrained = State::new(Settings::default());
        begin(&mut untrained, 2);
        assert!(untrained.undoing.replaced.is_none(), "nothing was trained");
    }
}
