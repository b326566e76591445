//! What the tests of sweeps share.

use klimb::engine::settings::Settings;

/// Runs of a few steps, with points that are measured soon.
pub fn quick() -> Settings {
    Settings {
        batch_size: 8,
        pairs: 96,
        evaluate_every: 3,
        evaluation_samples: 64,
        rollout_size: 8,
        ppo_epochs: 1,
        evaluate_rollouts: 2,
        ..Settings::default()
    }
}
