//! How the frontier is looked at.

use crate::page::model::guess::Guess;

/// How the frontier is looked at.
#[derive(Debug, Clone, Default)]
pub struct FrontierOptions {
    /// The point that is pointed at, as trail and index among those shown.
    pub selected: Option<(usize, usize)>,
    /// Where the person thinks π* will go.
    pub guess: Guess,
}
