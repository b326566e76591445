//! The tour: nine short stops from a model that was never asked for reviews to the frontier. What a stop says and does
//! is data; where the visitor is on it is a [`Tour`]; `view::tour` puts both into the document.

mod stops;

use crate::engine::settings::Settings;
pub use stops::{Action, Link, STOPS, Stop};

use klimb_text::words::say;

/// Where the visitor is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tour {
    /// Whether the panel is there.
    pub is_open: bool,
    /// Whether this stop's button was pressed.
    pub has_acted: bool,
    at: usize,
    /// Optimiser steps of DPO after which training pauses.
    until: Option<usize>,
    /// The case of the clinic that this stop has run.
    case: Option<&'static str>,
    /// β before this stop moved it, and where it has moved it.
    beta: Option<(f64, f64)>,
}

/// What a button or a key of the tour asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// The panel, at the stop where it was left.
    Open,
    /// The stop before.
    Back,
    /// The next stop, and after the last the end.
    Next,
    /// The page without the panel.
    Close,
}

impl Move {
    const ALL: [Self; 4] = [Self::Open, Self::Back, Self::Next, Self::Close];

    /// What it is called in `index.html`, as the value of the buttons that make it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Back => "back",
            Self::Next => "next",
            Self::Close => "close",
        }
    }

    /// The move of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// The move of a key that is pressed inside the panel or outside of it.
    pub fn of_key(key: &str, inside: bool) -> Option<Self> {
        match key {
            "t" => Some(Self::Open),
            "ArrowLeft" if inside => Some(Self::Back),
            "ArrowRight" if inside => Some(Self::Next),
            "Escape" if inside => Some(Self::Close),
            _ => None,
        }
    }
}

impl Tour {
    /// Closed, at the stop that was stored; at the first if nothing usable was.
    pub fn resumed(stored: Option<&str>) -> Self {
        let at = stored.and_then(|text| text.parse().ok()).filter(|at| *at < STOPS.len()).unwrap_or(0);
        Self { at, ..Self::default() }
    }

    /// The stop's number, from 0: what is stored.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The stop.
    pub fn stop(&self) -> &'static Stop {
        &STOPS[self.at]
    }

    /// Makes a move. After the last stop comes the end, from which the tour begins anew.
    pub fn go(&mut self, to: Move) {
        let last = STOPS.len() - 1;
        let (is_open, at) = match to {
            Move::Open => (true, self.at),
            Move::Back => (true, self.at.saturating_sub(1)),
            Move::Next if self.at == last => (false, 0),
            Move::Next => (true, self.at + 1),
            Move::Close => (false, self.at),
        };
        let has_acted = self.has_acted && at == self.at;
        *self = Self { is_open, at, has_acted, ..*self };
    }

    /// The stop runs a case of the clinic.
    pub fn ran(&mut self, case: &'static str) {
        self.case = Some(case);
    }

    /// Whether it was the tour that ran this case last.
    pub fn has_run(&self, case: &str) -> bool {
        self.case == Some(case)
    }

    /// The stop moves β from where it was to `to`. Moved twice, it is the first place that is remembered.
    pub fn move_beta(&mut self, from: f64, to: f64) {
        let first = self.beta.filter(|(_, moved)| *moved == from).map_or(from, |(first, _)| first);
        self.beta = Some((first, to));
    }

    /// β before the tour moved it, and where it has moved it.
    pub fn temporary_beta(&self) -> Option<(f64, f64)> {
        self.beta
    }

    /// The stop is left: `settings` with the β that was there before, unless another was chosen meanwhile.
    pub fn leave(&mut self, settings: Settings) -> Settings {
        self.case = None;
        Self::beta_given_back(self.beta.take(), settings)
    }

    /// `settings` with the first β where they have the second.
    pub fn beta_given_back(moved: Option<(f64, f64)>, settings: Settings) -> Settings {
        let first = moved.filter(|(_, moved)| *moved == settings.beta).map_or(settings.beta, |(first, _)| first);
        Settings { beta: first, ..settings }
    }

    /// Training is to pause after `count` more steps than the `steps` there are.
    pub fn pause_after(&mut self, steps: usize, count: usize) {
        self.until = Some(steps + count);
    }

    /// Whether training is to pause now, at `steps`; that is asked for once. A pause by hand ends the wish.
    pub fn is_due(&mut self, steps: usize, playing: bool) -> bool {
        let due = playing && self.until.is_some_and(|until| steps >= until);
        self.until = self.until.filter(|_| playing && !due);
        due
    }

    /// What stands on the button that opens the tour.
    pub fn invitation(&self) -> String {
        match self.at {
            0 => say("Take the tour: nine short stops").into(),
            at => say!("Go on with the tour: stop {} of {}", at + 1, STOPS.len()),
        }
    }

    /// Where the visitor is, in words.
    pub fn place(&self) -> String {
        say!("Stop {} of {}", self.at + 1, STOPS.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_and_back_walk_through_every_stop_and_the_end_begins_anew() {
        let mut tour = Tour::default();
        tour.go(Move::Open);
        tour.go(Move::Back);
        assert_eq!((tour.is_open, tour.at()), (true, 0));
        for at in 1..STOPS.len() {
            tour.has_acted = true;
            tour.go(Move::Next);
            assert_eq!((tour.is_open, tour.at(), tour.has_acted), (true, at, false));
        }
        tour.go(Move::Back);
        assert_eq!(tour.at(), STOPS.len() - 2);
        tour.go(Move::Next);
        tour.go(Move::Next);
        assert_eq!((tour.is_open, tour.at()), (false, 0));
    }

    #[test]
    fn a_closed_tour_is_resumed_at_its_stop_and_nonsense_at_the_first() {
        let mut tour = Tour::resumed(Some("4"));
        assert_eq!((tour.is_open, tour.at()), (false, 4));
        tour.go(Move::Open);
        tour.go(Move::Close);
        assert_eq!((tour.is_open, tour.at()), (false, 4));
        assert!(tour.invitation().contains("stop 5 of 9"), "{}", tour.invitation());
        for nonsense in [None, Some(""), Some("9"), Some("-1"), Some("x")] {
            assert_eq!(Tour::resumed(nonsense), Tour::default());
        }
    }

    #[test]
    fn keys_move_inside_the_panel_and_only_t_outside() {
        let moves = |inside| ["t", "ArrowLeft", "ArrowRight", "Escape", "x"].map(|key| Move::of_key(key, inside));
        let (open, back, next, close) = (Some(Move::Open), Some(Move::Back), Some(Move::Next), Some(Move::Close));
        assert_eq!(moves(true), [open, back, next, close, None]);
        assert_eq!(moves(false), [open, None, None, None, None]);
        let buttons = ["open", "back", "next", "close", "play"].map(Move::named);
        assert_eq!(buttons, [open, back, next, close, None]);
    }

    #[test]
    fn beta_is_given_back_unless_another_was_chosen() {
        let at = |beta| Settings { beta, ..Settings::default() };
        let mut tour = Tour::default();
        tour.move_beta(0.5, 0.2);
        tour.move_beta(0.2, 2.0);
        assert_eq!((tour.temporary_beta(), tour.leave(at(2.0)).beta), (Some((0.5, 2.0)), 0.5));
        assert_eq!((tour.temporary_beta(), tour.leave(at(2.0)).beta), (None, 2.0), "once");
        tour.move_beta(0.5, 0.2);
        assert_eq!(tour.leave(at(1.0)).beta, 1.0);
        tour.move_beta(0.5, 0.2);
        tour.move_beta(1.0, 0.2);
        assert_eq!(tour.leave(at(0.2)).beta, 1.0, "what was chosen in between stays");
    }

    #[test]
    fn training_pauses_once_after_the_steps_and_not_after_a_pause_by_hand() {
        let mut tour = Tour::default();
        tour.pause_after(7, 50);
        assert_eq!(
            [(7, true), (56, true), (58, true), (90, true)].map(|(n, on)| tour.is_due(n, on)),
            [false, false, true, false]
        );
        tour.pause_after(0, 50);
        assert_eq!([(20, false), (60, true)].map(|(n, on)| tour.is_due(n, on)), [false, false]);
    }
}
