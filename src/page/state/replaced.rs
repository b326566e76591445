//! What the page knows of the engine before this one, as long as that one can be had back: another seed or other models
//! build another engine, which takes nothing away for good before it has trained.

use std::collections::BTreeMap;
use super::State;
use super::before_reset::BeforeReset;
use crate::engine::protocol::{Origin, Point, Stage};
use crate::engine::settings::Settings;
use crate::page::clinic::Clinic;
use crate::page::kept::EngineKept;
use crate::page::trails::is_standing;
use crate::page::view::View;

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
    standing_of: BTreeMap<String, Option<String>>,
    clinic: Clinic,
    focused: Stage,
    awaited: Awaited,
}

/// Which engine is being built, if one is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Awaited {
    /// The one that took this one's place.
    First,
    /// One after it, before which nothing was trained either.
    Later,
    None,
}

impl Replaced {
    /// Lets `state` know that engine again, with its settings; without any where it was never left.
    pub fn give_back(self, state: &mut State, settings: Option<Settings>) {
        state.before_reset = self.before_reset;
        state.keeping.former_engine(self.kept);
        state.earlier_runs = self.earlier_runs;
        state.points.retain(|point| !is_standing(&point.point.method));
        for (place, point) in self.standing {
            let place = place.min(state.points.len());
            state.points.insert(place, point);
        }
        state.standing_of = self.standing_of;
        state.removals += 1;
        if let Some(settings) = settings {
            state.settings = state.pair_names.take_settings_back(settings);
            state.dragged_beta = state.settings.beta;
            state.clinic = self.clinic;
            state.focus(self.focused);
        }
        self.stages.give_back(state);
        state.mark(&View::ALL);
    }
}

impl State {
    /// Another engine is being built, or this one on another backend. What is known of it is put aside if it has trained
    /// anything.
    pub(super) fn put_engine_aside(&mut self, is_move: bool) {
        let has_trained = self.stages.iter().any(|status| match status.stage {
            Stage::Base | Stage::Pairs | Stage::BestOfN => false,
            Stage::Sft => status.origin == Origin::Live,
            Stage::Dpo | Stage::RewardModel | Stage::Ppo | Stage::PpoGt | Stage::Unlikelihood | Stage::PreferredFt => {
                status.steps > 0
            }
        });
        let has_reset = self.undoable && self.replaced.is_none();
        if has_trained || has_reset {
            let is_of_model = |(_, point): &(usize, &Point)| is_standing(&point.point.method);
            let standing = self.points.iter().enumerate().filter(is_of_model);
            self.replaced = Some(Box::new(Replaced {
                is_move,
                stages: BeforeReset::of(self, &Stage::ALL),
                before_reset: self.before_reset.take(),
                kept: self.keeping.this_engine(),
                earlier_runs: self.earlier_runs,
                standing: standing.map(|(place, point)| (place, point.clone())).collect(),
                standing_of: self.standing_of.clone(),
                clinic: self.clinic.clone(),
                focused: self.focused,
                awaited: Awaited::First,
            }));
        } else if let Some(replaced) = &mut self.replaced {
            replaced.awaited = Awaited::Later;
        }
        if !is_move {
            self.keeping.another_engine();
            self.earlier_runs = self.points.iter().map(|point| point.run).max().unwrap_or(0);
        }
    }

    /// An engine is there: the one that was awaited, or one that knows nothing of what another had put aside.
    pub(super) fn is_replaced(&mut self) {
        self.undoable = false;
        self.replaced = self.replaced.take().filter(|replaced| replaced.awaited != Awaited::None);
        if let Some(replaced) = &mut self.replaced {
            replaced.awaited = Awaited::None;
        }
    }

    /// The engine that was asked for could not be built: the one before it is there still and rests, with these settings; or
    /// there is none.
    pub(super) fn engine_stays(&mut self, settings: Option<Settings>) {
        match self.replaced.take() {
            Some(replaced) if replaced.awaited == Awaited::First => replaced.give_back(self, settings),
            other => self.replaced = other,
        }
        if let Some(replaced) = &mut self.replaced {
            replaced.awaited = Awaited::None;
        }
        if let Some(settings) = settings {
            self.settings = self.pair_names.take_settings_back(settings);
            self.dragged_beta = self.settings.beta;
        }
        self.mark(&View::ALL);
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
    use crate::page::fixtures::point;

    fn ready() -> Event {
        let backend = Badge { kind: BackendKind::Cpu, adapter: None, why: "this is a test.".into(), remedy: None };
        Event::Ready(Ready { backend, parameters: 1, vocabulary: 1, width: 32, layers: 1, words: Vec::new() })
    }

    fn dpo(steps: usize) -> Event {
        Event::Stage(StageStatus { stage: Stage::Dpo, state: StageState::Ready, origin: Origin::Live, steps })
    }

    /// Orders another seed; answers with what is known once the engine has taken that up.
    fn begin(state: &mut State, seed: u32) {
        state.settings.seed = seed;
        let order = state.order(Command::Start(state.settings));
        state.apply(Event::Acknowledged(order.id));
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
        state.points.iter().map(|it| (it.run, it.point.method.clone(), it.point.step)).collect()
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
            if seed == 7 {
                state.apply(Event::Undoable(true));
            }
            state.undoable = true;
            assert!(state.undo() == Some(Undo::Start) && state.beta_changes.is_empty(), "seed {seed}");
        }
        assert_ne!(places(&state), before.0);
        let undo = state.order(Command::Undo);
        state.apply(Event::Acknowledged(undo.id));
        // What was ordered after it holds still; its seed does not.
        state.order(Command::SetBeta(0.7));
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
        let order = state.order(Command::MoveTo(state.settings));
        for event in [Event::Acknowledged(order.id), ready(), Event::Undoable(true)] {
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
