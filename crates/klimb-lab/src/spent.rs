//! What a training took.

use serde::{Deserialize, Serialize};

use klimb_network::backend::Counters;

/// A moment of a training.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// By the sink's clock.
    pub seconds: f64,
    /// The backend's counts up to here.
    pub counters: Counters,
}

/// What a training took, without the evaluations between: its data, and every pass of every network.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Spent {
    /// Time by the sink's clock.
    pub seconds: f64,
    /// Positions that went forward through a network, padding included.
    pub forward_tokens: u64,
    /// Positions whose gradients went back through one.
    pub backward_tokens: u64,
}

impl Spent {
    /// Adds what lies between two moments.
    pub(super) fn add(&mut self, begin: Moment, end: Moment) {
        self.seconds += end.seconds - begin.seconds;
        self.forward_tokens += end.counters.forward_tokens - begin.counters.forward_tokens;
        self.backward_tokens += end.counters.backward_tokens - begin.counters.backward_tokens;
    }
}

impl std::ops::Add for Spent {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            seconds: self.seconds + other.seconds,
            forward_tokens: self.forward_tokens + other.forward_tokens,
            backward_tokens: self.backward_tokens + other.backward_tokens,
        }
    }
}
