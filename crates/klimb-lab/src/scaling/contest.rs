//! Every model of one seed against the largest SFT model of that seed, at temperature 1 and under other coins, so that
//! the largest SFT model itself wins about half.

use std::ops::ControlFlow;

use super::{ScalingPart, ScalingSettings, Stage};
use crate::win_rate::Writing;
use crate::{Contest, ContestSettings, Contestant, StudyError};
use klimb_metrics::{Method, ScalingPoint};
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::{Checkpoint, Layout};
use klimb_world::World;

/// The contests of one seed, a piece at a time: first the opponent writes, then one contestant after another.
pub struct ScalingContest<K: Kernels> {
    settings: ContestSettings,
    /// Not yet there while the opponent writes.
    contest: Option<Contest>,
    writing: Option<Writing<K>>,
    /// Whose turn it is.
    turn: Option<Turn>,
}

/// A contestant that is writing.
struct Turn {
    part: ScalingPart,
    has_cue: bool,
    /// Parameters it has.
    parameters: u64,
}

impl<K: Kernels> ScalingContest<K> {
    /// Begins with what the opponent writes, the SFT model of the largest size.
    pub fn against(k: &mut K, world: &World, settings: &ScalingSettings, opponent: &Checkpoint) -> Self {
        let writing = Contest::opponents_writing(k, world, &Contestant::new(opponent), settings.contest);
        Self { settings: settings.contest, contest: None, writing: Some(writing), turn: None }
    }

    /// Whether it waits for the next contestant.
    pub fn is_waiting(&self) -> bool {
        self.writing.is_none()
    }

    /// The next contestant, with the cue in front of its prompts or without.
    ///
    /// # Panics
    /// If another one is writing.
    pub fn challenge(&mut self, k: &mut K, world: &World, part: ScalingPart, policy: &Checkpoint, has_cue: bool) {
        let contest = self.contest.as_ref().filter(|_| self.is_waiting()).expect("ScalingContest: still writing");
        let contestant = Contestant { has_cue, ..Contestant::new(policy) };
        self.writing = Some(contest.contestants_writing(k, world, &contestant, 1.0));
        self.turn = Some(Turn { part, has_cue, parameters: Layout::new(&policy.config).len as u64 });
    }

    /// One piece; the point of a contestant that is through.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn advance(&mut self, k: &mut K, world: &World) -> Result<Option<ScalingPoint>, BackendError> {
        let Some(writing) = &mut self.writing else { return Ok(None) };
        writing.advance(k, world).await?;
        let Some(sequences) = self.writing.take_if(|it| it.is_finished()).map(Writing::finish) else {
            return Ok(None);
        };
        // Each writer makes buffers of its own: their bind groups go with them.
        k.forget();
        let Some(Turn { part, has_cue, parameters }) = self.turn.take() else {
            self.contest = Some(Contest::against_written(world, self.settings, &sequences));
            return Ok(None);
        };
        let contest = self.contest.as_ref().expect("an opponent wrote before any contestant");
        Ok(Some(ScalingPoint {
            method: if has_cue { Method::BaseCued } else { part.stage.method() },
            width: part.size.width as u64,
            layers: part.size.layers as u64,
            parameters,
            seed: part.seed,
            result: contest.judge(world, &sequences),
        }))
    }
}

/// Every model's win rate. `load` finds a part's checkpoint. `None` if `go_on`, asked before every piece, ended it.
///
/// # Errors
/// What `load` answers with, or a failed read of the backend.
pub async fn measure_scaling<K: Kernels, E: From<StudyError>>(
    k: &mut K,
    world: &World,
    settings: &ScalingSettings,
    load: impl Fn(&ScalingPart) -> Result<Checkpoint, E>,
    mut go_on: impl FnMut() -> ControlFlow<()>,
) -> Result<Option<Vec<ScalingPoint>>, E> {
    let mut points = Vec::new();
    for &seed in &settings.seeds {
        let mut contest = ScalingContest::against(k, world, settings, &load(&settings.opponent(seed))?);
        let contestants = settings.sizes.iter().flat_map(|&size| {
            Stage::ALL.into_iter().flat_map(move |stage| {
                stage.cues().iter().map(move |&has_cue| (ScalingPart { size, seed, stage }, has_cue))
            })
        });
        let mut contestants = contestants.peekable();
        while !contest.is_waiting() || contestants.peek().is_some() {
            if let Some((part, has_cue)) = contestants.next_if(|_| contest.is_waiting()) {
                contest.challenge(k, world, part, &load(&part)?, has_cue);
            }
            if go_on().is_break() {
                return Ok(None);
            }
            points.extend(contest.advance(k, world).await.map_err(StudyError::from)?);
        }
    }
    Ok(Some(points))
}
