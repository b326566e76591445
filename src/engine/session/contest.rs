//! Win rates of the session's own models, one temperature of one model a slice.

use super::{Session, progress};
use crate::engine::protocol::{Event, Progress, Stage, Work};
use klimb_lab::{Contest, ContestSettings, Contestant};
use klimb_metrics::{Method, WinRatePoint};
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::Checkpoint;

/// Prompt instances a temperature: as many as fit a slice that keeps the page alive.
const INSTANCES: usize = 256;
/// The temperatures of the recorded contest.
const TEMPERATURES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// A contest under way.
#[derive(Debug, Clone)]
pub(super) struct LiveContest {
    contest: Contest,
    contestants: Vec<(Method, Checkpoint)>,
    points: Vec<WinRatePoint>,
    began: f64,
}

impl LiveContest {
    fn total(&self) -> usize {
        self.contestants.len() * TEMPERATURES.len()
    }
}

impl<K: Kernels> Session<K> {
    /// Begins a contest of the models as they are now, or ends the one that is on.
    pub(super) async fn contest(&mut self, begin: bool, events: &mut Vec<Event>) -> Result<(), BackendError> {
        if let Some(ended) = self.contest.take() {
            events.push(progress(Work::Contest, ended.total(), ended.total(), 0.0));
        }
        if !begin {
            return Ok(());
        }
        let mut contestants = Vec::new();
        let policies = self.policies.trained().map(|(stage, _, _)| stage);
        for stage in std::iter::once(Stage::Sft).chain(policies).collect::<Vec<_>>() {
            let checkpoint = self.checkpoint(stage).await?;
            contestants.extend(stage.method().zip(checkpoint));
        }
        let settings = ContestSettings { instances: INSTANCES, seed: u64::from(self.models.settings.seed) };
        let contest = Contest::against_reviews(&self.models.world, settings);
        let live = LiveContest { contest, contestants, points: Vec::new(), began: (self.clock)() };
        events.push(Event::WinRates(Vec::new()));
        let total = live.total();
        events.push(Event::Progress(Progress { work: Work::Contest, done: 0, total, seconds_left: None }));
        self.contest = Some(live);
        Ok(())
    }

    /// The next temperature of the next model.
    pub(super) async fn play_contest(&mut self, events: &mut Vec<Event>) -> Result<(), BackendError> {
        let Some(mut live) = self.contest.take() else { return Ok(()) };
        let done = live.points.len();
        let (method, policy) = &live.contestants[done / TEMPERATURES.len()];
        let temperature = TEMPERATURES[done % TEMPERATURES.len()];
        let contestant = Contestant::new(policy);
        let go_on = || std::ops::ControlFlow::Continue(());
        let result = live.contest.play(&mut self.k, &self.models.world, &contestant, temperature, go_on).await?;
        let point = result.map(|result| WinRatePoint { method: method.to_string(), temperature, result });
        live.points.extend(point);
        let (done, total) = (live.points.len(), live.total());
        let left = ((self.clock)() - live.began) / done as f64 * (total - done) as f64;
        events.push(progress(Work::Contest, done, total, left));
        events.push(Event::WinRates(live.points.clone()));
        // A contest makes buffers of its own: their bind groups go with them.
        self.k.forget();
        self.contest = Some(live).filter(|_| done < total);
        Ok(())
    }
}
