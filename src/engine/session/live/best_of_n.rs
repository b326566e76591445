//! Best-of-N in short pieces: the reference's completions, their scores, and a point for every N.

use super::{LiveRun, Pace, Slice, SliceFuture, SliceOrder, Standing, Told};
use crate::engine::protocol::{BestOfNNumbers, Estimate, Inside, Point, Work};
use crate::engine::session::models::Models;
use crate::engine::settings::Settings;
use klimb_align::algorithms::best_of_n_bound;
use klimb_align::language::{Judge, Sequence, upload};
use klimb_lab::{
    BestOfNDraws, BestOfNSettings, CompletionPool, Evaluation, PointKey, PoolDrawing, PoolPlan, Reference,
};
use klimb_metrics::{Method, Setting};
use klimb_network::backend::{BackendError, Kernels, SequenceSize};
use klimb_world::MAX_SEQUENCE;

/// Completions judged at a time.
const PIECE: usize = 256;

/// Best-of-N on its way.
pub(in crate::engine::session) struct BestOfNRun<K: Kernels> {
    /// `None` as long as no completion has been drawn.
    next: Option<Next<K>>,
    /// What it came to so far.
    told: Vec<BestOfNNumbers>,
}

/// What is done next.
enum Next<K: Kernels> {
    /// Completions are drawn.
    Draw(Box<PoolDrawing<K>>),
    /// Every N is measured by these scores, laid out like the pool.
    Measure { pool: CompletionPool, scores: Vec<Vec<f64>>, learned: bool, next: usize },
    /// The reward model's scores are computed, one after another.
    Judge { pool: CompletionPool, scores: Vec<f64>, judge: Box<Judge<K>>, parameters: K::Floats },
    /// Nothing; the pool is kept, for a reward model that comes later.
    Nothing { pool: CompletionPool, has_learned: bool },
}

/// Best-of-N at one N: what is told of it, and what it was measured by.
struct MeasuredN {
    numbers: BestOfNNumbers,
    evaluation: Evaluation,
}

impl MeasuredN {
    /// As a point: one curve by gold reward, another by the reward model's score.
    fn point(&self, seed: u64) -> Point {
        let BestOfNNumbers { n, learned, .. } = self.numbers;
        let method = if learned { Method::BestOfNScore } else { Method::BestOfN };
        let place = PointKey { method, setting: Setting::Number(n as f64), seed, step: 0, seconds: 0.0 };
        Point { run: 1, point: self.evaluation.point(place) }
    }
}

fn best_of_n_settings(settings: &Settings) -> BestOfNSettings {
    let &Settings { evaluation_samples, largest_n, best_of_n_completions, .. } = settings;
    BestOfNSettings { largest: largest_n, samples: evaluation_samples, completions: best_of_n_completions }
}

impl<K: Kernels> Default for BestOfNRun<K> {
    fn default() -> Self {
        Self { next: None, told: Vec::new() }
    }
}

impl<K: Kernels> BestOfNRun<K> {
    /// Completions drawn and wanted.
    fn progress(&self, models: &Models<K>) -> (usize, usize) {
        let per_prompt = CompletionPool::size(&models.world, best_of_n_settings(&models.settings));
        let total = per_prompt * models.world.held_out_prompts().len();
        match &self.next {
            Some(Next::Draw(drawing)) => (drawing.done(), total),
            Some(Next::Measure { .. } | Next::Judge { .. } | Next::Nothing { .. }) => (total, total),
            None => (0, total),
        }
    }

    /// How many N were measured.
    pub fn points(&self) -> usize {
        self.told.len()
    }

    /// Whether there is nothing left to measure: not by gold reward, nor by a reward model that is trained.
    pub fn is_done(&self, models: &Models<K>) -> bool {
        let has_model = models.trained_reward_model().is_some();
        matches!(&self.next, Some(Next::Nothing { has_learned, .. }) if *has_learned || !has_model)
    }

    /// A piece: completions, scores, or the point of an N.
    async fn take_slice(&mut self, k: &mut K, models: &mut Models<K>) -> Result<Slice, BackendError> {
        if self.is_done(models) {
            return Ok(Slice { is_over: true, ..Slice::part(Vec::new()) });
        }
        let (before, _) = self.progress(models);
        let made = self.advance_by_a_piece(k, models).await?;
        let (done, total) = self.progress(models);
        let mut told = Vec::new();
        if done > before {
            let pace = Pace::Slice(done - before);
            told.push(Told::Progress(Standing { work: Work::BestOfN, done, total, pace }));
        }
        if let Some(made) = made {
            told.push(Told::Point(made.point(u64::from(models.settings.seed))));
            told.push(Told::Inside(Inside::BestOfN(self.told.clone())));
        }
        Ok(Slice { is_over: self.is_done(models), ..Slice::part(told) })
    }

    /// Does the next piece; an N with what it was measured by, if that was one.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    async fn advance_by_a_piece(&mut self, k: &mut K, models: &Models<K>) -> Result<Option<MeasuredN>, BackendError> {
        let settings = best_of_n_settings(&models.settings);
        // What fails is lost as a whole, and begins anew.
        let Self { next, mut told } = std::mem::take(self);
        let next = next.unwrap_or_else(|| {
            let per_prompt = CompletionPool::size(&models.world, settings);
            let plan = PoolPlan { per_prompt, seed: u64::from(models.settings.seed) };
            Next::Draw(Box::new(PoolDrawing::new(k, &models.network, plan)))
        });
        let mut made = None;
        let next = match next {
            Next::Draw(mut drawing) => {
                drawing.advance(k, &models.world, &models.reference).await?;
                if drawing.is_complete(&models.world) {
                    let pool = drawing.finish();
                    let scores = pool.scores(|sequence| models.world.gold_reward(&sequence.tokens));
                    Next::Measure { pool, scores, learned: false, next: 0 }
                } else {
                    Next::Draw(drawing)
                }
            }
            Next::Judge { pool, mut scores, mut judge, parameters } => {
                let all: Vec<Sequence> =
                    pool.completions().iter().flatten().skip(scores.len()).take(PIECE).cloned().collect();
                scores.extend(judge.scores(k, &parameters, &all).await?);
                let total: usize = pool.completions().iter().map(Vec::len).sum();
                if scores.len() < total {
                    Next::Judge { pool, scores, judge, parameters }
                } else {
                    let mut each = scores.into_iter();
                    let scores = pool.scores(|_| each.next().expect("a score for every completion"));
                    Next::Measure { pool, scores, learned: true, next: 0 }
                }
            }
            Next::Measure { pool, scores, learned, next: index } => {
                let counts: Vec<usize> = settings.counts().collect();
                let n = counts[index];
                let reference = Reference { network: &models.network, parameters: &models.sft.parameters };
                let draws = BestOfNDraws { n, samples: settings.samples };
                let evaluation = pool.best_of_n(k, &models.world, reference, &scores, draws).await?;
                let numbers = BestOfNNumbers {
                    n,
                    learned,
                    kl: Estimate { mean: evaluation.kl_per_sequence, half_width: evaluation.kl_half_width },
                    bound: best_of_n_bound(n),
                    gold_reward: Estimate {
                        mean: evaluation.gold_reward,
                        half_width: evaluation.gold_reward_half_width,
                    },
                };
                told.push(numbers);
                made = Some(MeasuredN { numbers, evaluation });
                if index + 1 < counts.len() {
                    Next::Measure { pool, scores, learned, next: index + 1 }
                } else {
                    Next::Nothing { pool, has_learned: learned }
                }
            }
            Next::Nothing { pool, has_learned } => match models.trained_reward_model() {
                Some((trained, _)) if !has_learned => {
                    let size = SequenceSize { batch: PIECE, length: MAX_SEQUENCE };
                    let judge = Box::new(Judge::new(k, *models.network.config(), size));
                    let parameters = upload(k, &trained.parameters);
                    Next::Judge { pool, scores: Vec::new(), judge, parameters }
                }
                _ => Next::Nothing { pool, has_learned },
            },
        };
        *self = Self { next: Some(next), told };
        Ok(made)
    }
}

impl<K: Kernels> LiveRun<K> for BestOfNRun<K> {
    /// It takes no steps, and tells all there is to tell in any case.
    fn advance<'a>(&'a mut self, k: &'a mut K, models: &'a mut Models<K>, _order: SliceOrder) -> SliceFuture<'a> {
        Box::pin(self.take_slice(k, models))
    }
}
