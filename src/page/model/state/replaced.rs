//! What the page knows of the engine before this one, as long as that one can be had back: another seed or other models
//! build another engine, which takes nothing away for good before it has trained.

use super::State;
use super::before_reset::BeforeReset;
use crate::engine::protocol::{Origin, Point, Stage, StageKind};
use crate::engine::settings::Settings;
use crate::page::model::change::Change;
use crate::page::model::clinic::Clinic;
use crate::page::model::saved_session::EngineKept;
use klimb_metrics::Method;
use std::collections::BTreeMap;

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
    kept: EngineKept,
    earlier_runs: u32,
    /// The points of models that are no run, by their places among all: another engine measures them anew.
    standing: Vec<(usize, Point)>,
    standing_of: BTreeMap<Method, Option<String>>,
    clinic: Clinic,
    /// Whether it has trained anything, so that the engine can be had back.
    has_trained: bool,
}

impl Replaced {
    /// Lets `state` know that engine again; with its settings where it was left for another.
    pub fn give_back(self, state: &mut State, settings: Option<Settings>) {
        state.before_reset = self.before_reset;
        state.keeping.former_engine(self.kept);
        state.earlier_runs = self.earlier_runs;
        state.points.retain(|point| !point.point.method.is_standing());
        for (place, point) in self.standing {
            let place = place.min(state.points.len());
            state.points.insert(place, point);
        }
        state.standing_of = self.standing_of;
        state.removals += 1;
        if settings.is_some() {
            state.clinic = self.clinic;
        }
        self.stages.give_back(state);
        state.mark(Change::Everything);
    }
}

impl State {
    /// Another engine is being built, or this one on another backend. What is known of it is put aside if it has trained
    /// anything.
    pub(super) fn put_engine_aside(&mut self, is_move: bool) {
        let has_trained = self.stages.iter().any(|status| match status.stage.kind() {
            StageKind::Base | StageKind::Pairs | StageKind::BestOfN => false,
            StageKind::Sft => status.origin == Origin::Live,
            StageKind::RewardModel | StageKind::Policy(_) => status.steps > 0,
        });
        let has_reset = self.undoable && self.replaced.is_none();
        let is_of_model = |(_, point): &(usize, &Point)| point.point.method.is_standing();
        let standing = self.points.iter().enumerate().filter(is_of_model);
        self.leaving = Some(Box::new(Replaced {
            is_move,
            stages: BeforeReset::of(self, &Stage::ALL),
            before_reset: self.before_reset.clone(),
            kept: self.keeping.this_engine(),
            earlier_runs: self.earlier_runs,
            standing: standing.map(|(place, point)| (place, point.clone())).collect(),
            standing_of: self.standing_of.clone(),
            clinic: self.clinic.clone(),
            has_trained: has_trained || has_reset,
        }));
        if !is_move {
            self.keeping.another_engine();
            self.earlier_runs = self.points.iter().map(|point| point.run).max().unwrap_or(0);
        }
    }

    /// An engine is there: the one that was awaited, or one that knows nothing of what another had put aside.
    pub(super) fn is_replaced(&mut self) {
        self.undoable = false;
        self.replaced = match self.leaving.take() {
            Some(leaving) if leaving.has_trained => Some(leaving),
            // Before it, nothing was trained either: what the one before that had put aside stays.
            Some(_) => self.replaced.take(),
            None => None,
        };
    }

    /// The engine that was asked for could not be built: the one before it is there still and rests, with these settings; or
    /// there is none.
    pub(super) fn engine_stays(&mut self, settings: Option<Settings>) {
        if let Some(leaving) = self.leaving.take() {
            leaving.give_back(self, settings);
        }
        match settings {
            Some(settings) => self.settings_return(settings),
            None => self.ready = None,
        }
        self.playing = false;
        if let Some(kind) = self.ready.as_ref().map(|ready| ready.backend.kind) {
            self.follow_device(kind);
            self.follow_width();
        }
        self.mark(Change::Everything);
    }

    /// The engine has these settings, but for what was ordered since.
    pub(super) fn settings_return(&mut self, settings: Settings) {
        self.settings = self.pair_names.take_settings_back(settings);
        self.dragged_beta = self.settings.beta;
    }

    /// A reset of stages that have taken steps is what can be taken back from now on.
    pub(super) fn forget_replaced_by_reset(&mut self, stages: &[Stage]) {
        if stages.iter().any(|stage| self.stage(*stage).is_some_and(|status| status.steps > 0)) {
            self.replaced = None;
        }
    }

    /// The worker has died, and with it what it had put aside.
    pub(super) fn forget_replaced(&mut self) {
        (self.replaced, self.leaving, self.before_reset, self.undoable) = (None, None, None, false);
    }

    /// Whether what the engine takes back is known here: not to a page that was made anew meanwhile.
    pub fn knows_undone(&self) -> bool {
        self.replaced.is_some() || self.before_reset.is_some()
    }

    /// What can be taken back, if anything can.
    pub fn undo(&self) -> Option<Undo> {
        let undo = match &self.replaced {
            None => Undo::Reset,
            Some(replaced) if replaced.is_move => Undo::Move,
            Some(_) => Undo::Start,
        };
        Some(undo).filter(|_| self.undoable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::{BackendKind, Badge, Command, Event, Ready, StageState, StageStatus};
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
        state.settings.seed = seed;
        let request = state.request(Command::Start(state.settings));
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
        state.beta_changes.insert(Stage::Dpo, vec![(10, 0.3)]);
        state
    }

    fn places(state: &State) -> Vec<(u32, String, u64)> {
        state.points.iter().map(|it| (it.run, it.point.method.to_string(), it.point.step)).collect()
    }

    #[test]
    fn a_start_is_taken_back_with_all_that_was_known_before_it() {
        let mut state = trained();
        let before = (places(&state), state.settings, state.beta_changes.clone(), state.earlier_runs);
        for seed in [7, 8] {
            begin(&mut state, seed);
            state.apply(ready());
            state.apply(Event::Reference("second".into()));
            state.apply(Event::Point(point(1, "sft", 0)));
            state.apply(dpo(0));
            state.apply(Event::Undoable(true));
            assert!(state.undo() == Some(Undo::Start) && state.beta_changes.is_empty(), "seed {seed}");
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
        assert_eq!(state.settings, Settings { beta: 0.7, ..before.1 });
        assert_eq!((places(&state), state.beta_changes.clone(), state.earlier_runs), (before.0, before.2, before.3));
        assert!(!state.undoable);
    }

    #[test]
    fn models_that_are_not_there_take_nothing_away() {
        let mut state = trained();
        let before = (places(&state), state.beta_changes.clone());
        begin(&mut state, 7);
        assert!(state.beta_changes.is_empty());
        let settings = Settings { seed: 1, ..state.settings };
        state.apply(Event::NotBuilt(Some(settings)));
        assert_eq!(state.settings, settings);
        assert_eq!((places(&state), state.beta_changes.clone()), before);
        assert!(state.undo().is_none());
    }

    #[test]
    fn a_move_to_another_backend_costs_nothing_that_is_known() {
        let mut state = trained();
        let before = (places(&state), state.settings, state.beta_changes.clone(), state.earlier_runs);
        state.settings.backend = BackendChoice::Cpu;
        let request = state.request(Command::MoveTo(state.settings));
        for event in [Event::Acknowledged(request.id), ready(), Event::Undoable(true)] {
            state.apply(event);
        }
        let known = |state: &State| (places(state), state.beta_changes.clone(), state.earlier_runs);
        assert_eq!(known(&state), (before.0.clone(), before.2.clone(), before.3));
        assert_eq!(state.undo(), Some(Undo::Move));
        for event in [Event::Undone(before.1), ready()] {
            state.apply(event);
        }
        assert_eq!((known(&state), state.settings), ((before.0, before.2, before.3), before.1));
    }

    #[test]
    fn a_reset_after_a_move_is_what_is_taken_back_and_one_of_nothing_changes_nothing() {
        for steps in [0, 20] {
            let mut state = trained();
            let request = state.request(Command::MoveTo(state.settings));
            for event in [Event::Acknowledged(request.id), ready(), Event::Undoable(true), dpo(steps)] {
                state.apply(event);
            }
            state.beta_changes.insert(Stage::Dpo, vec![(20, 0.9)]);
            let reset = state.request(Command::Reset);
            for event in [Event::Acknowledged(reset.id), dpo(0)] {
                state.apply(event);
            }
            assert_eq!(state.undo(), Some(if steps == 0 { Undo::Move } else { Undo::Reset }));
            state.apply(Event::Undone(state.settings));
            let changes = if steps == 0 { vec![(10, 0.3)] } else { vec![(20, 0.9)] };
            assert_eq!(state.beta_changes[&Stage::Dpo], changes, "after {steps} steps");
        }
    }

    #[test]
    fn what_is_ordered_behind_an_engine_that_cannot_be_built_holds_as_far_as_it_can() {
        let mut state = trained();
        let own = state.settings;
        begin(&mut state, 7);
        let later = Settings { seed: 8, ..own };
        state.request(Command::SetBeta(0.7));
        let next = state.request(Command::Start(later));
        state.apply(Event::NotBuilt(Some(own)));
        assert_eq!(state.settings, later, "the next engine brings its own");
        state.apply(Event::Acknowledged(next.id));
        state.apply(ready());
        assert_eq!(state.settings, later);
        // And where nothing was trained, what was known is known still.
        let (mut state, own) = (trained(), Settings::default());
        state.apply(dpo(0));
        state.earlier_runs = 0;
        begin(&mut state, 7);
        assert_eq!(state.earlier_runs, 1);
        state.apply(Event::NotBuilt(Some(own)));
        assert_eq!((state.earlier_runs, state.settings, state.undo()), (0, own, None));
    }

    #[test]
    fn a_refused_device_is_not_the_choice_where_the_engine_has_left_it() {
        let mut state = trained();
        let request = state.request(Command::MoveTo(Settings { backend: BackendChoice::Gpu, ..state.settings }));
        state.apply(Event::Acknowledged(request.id));
        let of_lost_device = Settings { backend: BackendChoice::Gpu, ..Settings::default() };
        state.apply(Event::NotBuilt(Some(of_lost_device)));
        assert_eq!(state.settings.backend, BackendChoice::Cpu);
        state.apply(Event::NotBuilt(None));
        assert!(state.ready.is_none() && !state.playing);
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
        assert!(!state.undoable && state.replaced.is_none());
        let mut untrained = State::new(Settings::default());
        begin(&mut untrained, 2);
        assert!(untrained.replaced.is_none(), "nothing was trained");
    }
}
