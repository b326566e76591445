//! Best-of-N in short pieces: the reference's completions, their scores, and a point for every N.

use super::Models;
use crate::engine::protocol::{BestOfNNumbers, Estimate};
use crate::engine::settings::Settings;
use klimb_align::algorithms::best_of_n_bound;
use klimb_align::language::{Judge, Sequence, upload};
use klimb_lab::{BestOfNDraws, BestOfNSettings, CompletionPool, Evaluation, PoolDrawing, PoolPlan, Reference};
use klimb_network::backend::{BackendError, Kernels, SequenceSize};
use klimb_world::MAX_SEQUENCE;

/// Completions judged at a time.
const PIECE: usize = 256;

/// Best-of-N on its way.
pub struct LiveBestOfN<K: Kernels> {
    work: Work<K>,
    /// What it came to so far.
    told: Vec<BestOfNNumbers>,
}

/// What is done next.
enum Work<K: Kernels> {
    /// Completions are drawn.
    Draw(Box<PoolDrawing<K>>),
    /// Every N is measured by these scores, laid out like the pool.
    Measure { pool: CompletionPool, scores: Vec<Vec<f64>>, learned: bool, next: usize },
    /// The reward model's scores are computed, one after another.
    Judge { pool: CompletionPool, scores: Vec<f64>, judge: Box<Judge<K>>, parameters: K::Floats },
    /// Nothing; the pool is kept, for a reward model that comes later.
    Nothing { pool: CompletionPool, has_learned: bool },
}

impl<K: Kernels> Models<K> {
    fn best_of_n_settings(&self) -> BestOfNSettings {
        let Settings { evaluation_samples, largest_n, best_of_n_completions, .. } = self.settings;
        BestOfNSettings { largest: largest_n, samples: evaluation_samples, completions: best_of_n_completions }
    }

    /// Starts over. Answers with what it had come to.
    pub fn restart_best_of_n(&mut self) -> Option<LiveBestOfN<K>> {
        self.best_of_n.take()
    }

    /// Goes on as it was.
    pub fn take_best_of_n_back(&mut self, former: Option<LiveBestOfN<K>>) {
        self.best_of_n = former;
    }

    /// Completions drawn and wanted.
    pub fn best_of_n_progress(&self) -> (usize, usize) {
        let total = CompletionPool::size(&self.world, self.best_of_n_settings()) * self.world.held_out_prompts().len();
        match &self.best_of_n {
            Some(LiveBestOfN { work: Work::Draw(drawing), .. }) => (drawing.done(), total),
            Some(_) => (total, total),
            None => (0, total),
        }
    }

    /// How many N were measured.
    pub fn best_of_n_points(&self) -> usize {
        self.best_of_n.as_ref().map_or(0, |live| live.told.len())
    }

    /// Whether there is nothing left to measure: not by gold reward, nor by a reward model that is trained.
    pub fn best_of_n_is_done(&self) -> bool {
        let has_model = self.trained_reward_model().is_some();
        let is_done = |has_learned: bool| has_learned || !has_model;
        matches!(&self.best_of_n, Some(LiveBestOfN { work: Work::Nothing { has_learned, .. }, .. }) if is_done(*has_learned))
    }

    /// Does the next piece; a point, if that made one, with everything told so far.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn advance_best_of_n(&mut self, k: &mut K) -> Result<Option<(BestOfNNumbers, Evaluation)>, BackendError> {
        let settings = self.best_of_n_settings();
        let LiveBestOfN { work, mut told } = self.best_of_n.take().unwrap_or_else(|| {
            let per_prompt = CompletionPool::size(&self.world, settings);
            let plan = PoolPlan { per_prompt, seed: u64::from(self.settings.seed) };
            let drawing = PoolDrawing::new(k, &self.network, plan);
            LiveBestOfN { work: Work::Draw(Box::new(drawing)), told: Vec::new() }
        });
        let mut made = None;
        let work = match work {
            Work::Draw(mut drawing) => {
                drawing.advance(k, &self.world, &self.reference).await?;
                if drawing.is_complete(&self.world) {
                    let pool = drawing.finish();
                    let scores = pool.scores(|sequence| self.world.gold_reward(&sequence.tokens));
                    Work::Measure { pool, scores, learned: false, next: 0 }
                } else {
                    Work::Draw(drawing)
                }
            }
            Work::Judge { pool, mut scores, mut judge, parameters } => {
                let all: Vec<Sequence> =
                    pool.completions().iter().flatten().skip(scores.len()).take(PIECE).cloned().collect();
                scores.extend(judge.scores(k, &parameters, &all).await?);
                let total: usize = pool.completions().iter().map(Vec::len).sum();
                if scores.len() < total {
                    Work::Judge { pool, scores, judge, parameters }
                } else {
                    let mut each = scores.into_iter();
                    let scores = pool.scores(|_| each.next().expect("a score for every completion"));
                    Work::Measure { pool, scores, learned: true, next: 0 }
                }
            }
            Work::Measure { pool, scores, learned, next } => {
                let counts: Vec<usize> = settings.counts().collect();
                let n = counts[next];
                let reference = Reference { network: &self.network, parameters: &self.sft.parameters };
                let draws = BestOfNDraws { n, samples: settings.samples };
                let evaluation = pool.best_of_n(k, &self.world, reference, &scores, draws).await?;
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
                made = Some((numbers, evaluation));
                if next + 1 < counts.len() {
                    Work::Measure { pool, scores, learned, next: next + 1 }
                } else {
                    Work::Nothing { pool, has_learned: learned }
                }
            }
            Work::Nothing { pool, has_learned } => match self.trained_reward_model() {
                Some((trained, _)) if !has_learned => {
                    let size = SequenceSize { batch: PIECE, length: MAX_SEQUENCE };
                    let judge = Box::new(Judge::new(k, *self.network.config(), size));
                    let parameters = upload(k, &trained.parameters);
                    Work::Judge { pool, scores: Vec::new(), judge, parameters }
                }
                _ => Work::Nothing { pool, has_learned },
            },
        };
        self.best_of_n = Some(LiveBestOfN { work, told });
        Ok(made)
    }

    /// What Best-of-N came to so far.
    pub fn best_of_n_told(&self) -> Vec<BestOfNNumbers> {
        self.best_of_n.as_ref().map_or_else(Vec::new, |live| live.told.clone())
    }
}
