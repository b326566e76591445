//! The optimum behind the points: recorded, or sampled in the slices between training.

use super::{Session, progress};
use crate::engine::protocol::{Event, Origin, Work};
use klimb_network::backend::{BackendError, Kernels};

impl<K: Kernels> Session<K> {
    /// Whether samples for the optimum are still to be drawn.
    pub(super) fn wants_optimum(&self) -> bool {
        !self.is_sweep_worker && !self.models.optimum_is_complete()
    }

    /// Draws the next samples; every so often tells the curve they make.
    pub(super) async fn sample_optimum(&mut self, events: &mut Vec<Event>) -> Result<(), BackendError> {
        let start = (self.clock)();
        self.models.sample_optimum(&mut self.k).await?;
        let (done, total) = self.models.optimum_progress();
        let left = ((self.clock)() - start) * (total - done) as f64;
        events.push(progress(Work::Optimum, done, total, left));
        if done == total || done.is_multiple_of(16) {
            events.push(Event::Optimum(Origin::Live, self.models.optimum_curve()));
        }
        Ok(())
    }

    /// Tells the recorded optimum where it is another than before, and an empty one where it holds no more. A live one
    /// is told as its samples come.
    pub(super) fn tell_optimum(&mut self, events: &mut Vec<Event>) {
        let recorded = self.models.recorded_optimum();
        if recorded != self.reported_optimum {
            let origin = if recorded.is_some() { Origin::Recorded } else { Origin::Live };
            events.push(Event::Optimum(origin, recorded.clone().unwrap_or_default()));
            self.reported_optimum = recorded;
        }
    }
}
