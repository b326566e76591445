//! What requests were for, until the worker takes them up.

use crate::engine::protocol::{Command, Stage};
use std::collections::{BTreeMap, BTreeSet};

/// The requests so far, and what is expected of those that are not taken up yet.
#[derive(Debug, Clone, Default)]
pub struct PendingCommands {
    count: u32,
    /// The last request to play or pause: what the worker reports before it is taken up is out of date.
    toggled: Option<u32>,
    /// What each will start over.
    starting_over: BTreeMap<u32, Vec<Stage>>,
    /// Those that build another engine of the models there are.
    starts: BTreeSet<u32>,
    /// Those that build it on another backend.
    moves: BTreeSet<u32>,
    resumes: BTreeSet<u32>,
    /// Those that can be taken back.
    resets: BTreeSet<u32>,
    /// The β that each brings.
    turned: BTreeMap<u32, f64>,
}

/// What a request does that has just been taken up.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Acknowledged {
    /// The stages that start over.
    pub starts_over: Option<Vec<Stage>>,
    /// Whether it is a reset.
    pub is_reset: bool,
    /// Whether another engine is built.
    pub is_start: bool,
    /// Whether the engine is built on another backend.
    pub is_move: bool,
    /// The β that holds from here on.
    pub beta: Option<f64>,
}

impl PendingCommands {
    /// The number of the next request.
    pub fn next(&self) -> u32 {
        self.count + 1
    }

    /// Gives a command its number, and notes what it is for; `focused` is in focus.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a few kinds out of many are picked")]
    pub fn number(&mut self, command: &Command, focused: Stage) -> u32 {
        self.count += 1;
        let id = self.count;
        match command {
            Command::Start(_) => {
                self.starts.insert(id);
                self.starting_over.insert(id, Stage::ALL.into());
            }
            Command::Resume(_) => {
                self.resumes.insert(id);
            }
            Command::MoveTo(_) => {
                self.moves.insert(id);
            }
            Command::Reset => {
                self.resets.insert(id);
                self.starting_over.insert(id, focused.restarted());
            }
            Command::Retrain => {
                self.starting_over.insert(id, vec![Stage::Sft]);
            }
            Command::Play | Command::Pause | Command::Sweep(_) => self.toggled = Some(id),
            Command::SetBeta(beta) => {
                self.turned.insert(id, *beta);
            }
            _ => {}
        }
        id
    }

    /// The worker has taken up a request.
    pub fn acknowledge(&mut self, id: u32) -> Acknowledged {
        self.toggled = self.toggled.filter(|&toggled| toggled > id);
        self.resumes.remove(&id);
        Acknowledged {
            starts_over: self.starting_over.remove(&id),
            is_reset: self.resets.remove(&id),
            is_start: self.starts.remove(&id),
            is_move: self.moves.remove(&id),
            beta: self.turned.remove(&id),
        }
    }

    /// Whether an engine was ordered that the worker has not begun to build.
    pub fn awaits_engine(&self) -> bool {
        [&self.starts, &self.moves, &self.resumes].into_iter().any(|orders| orders.iter().next().is_some())
    }

    /// The worker has died: what it has not taken up, nobody will.
    pub fn worker_died(&mut self) {
        *self = Self { count: self.count, ..Self::default() };
    }

    /// Whether the worker knows what was ordered last, to play or to pause.
    pub fn has_toggled(&self) -> bool {
        self.toggled.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_order_is_for_is_known_when_it_is_taken_up_and_once() {
        let mut orders = PendingCommands::default();
        let reset = orders.number(&Command::Reset, Stage::RewardModel);
        let beta = orders.number(&Command::SetBeta(0.7), Stage::Dpo);
        assert_eq!((reset, beta, orders.next()), (1, 2, 3));
        let starts_over = Some(Stage::RewardModel.restarted());
        let over = Acknowledged { starts_over, is_reset: true, ..Acknowledged::default() };
        assert_eq!(orders.acknowledge(reset), over);
        assert_eq!(orders.acknowledge(beta), Acknowledged { beta: Some(0.7), ..Acknowledged::default() });
        assert_eq!(orders.acknowledge(beta), Acknowledged::default());
    }

    #[test]
    fn of_two_orders_to_play_or_pause_the_last_one_counts() {
        let mut orders = PendingCommands::default();
        let first = orders.number(&Command::Play, Stage::Dpo);
        let last = orders.number(&Command::Pause, Stage::Dpo);
        orders.acknowledge(first);
        assert!(!orders.has_toggled());
        orders.acknowledge(last);
        assert!(orders.has_toggled());
    }
}
