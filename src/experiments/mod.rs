//! Where the world meets the algorithms: recipes, evaluation, the closed-form optimum, sweeps, and checks of the
//! engine against numbers from elsewhere.

pub mod verify;
