//! Samples from the reference and from proposals beside it, weighed as draws of the mixture of them all.

use super::OptimumSample;
use klimb_align::language::{Generation, GenerationSettings, Scorer, Sequence};
use klimb_network::backend::network::Network;
use klimb_network::backend::{BackendError, Kernels, SequenceSize};
use klimb_numerics::rng::Generator;
use klimb_world::{MAX_SEQUENCE, Vocabulary};

/// Completions generated or scored at a time.
pub const PIECE: usize = 256;

/// What a completion is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    /// Its gold reward, which the chart shows.
    pub gold_reward: f64,
    /// r, which the optimum is tilted by, in the unit of β: r* = gold/τ, or a reward model's score.
    pub reward: f64,
}

impl Worth {
    /// The gold reward as the labels see it, with temperature τ: r* = gold/τ, up to a constant that cancels. Noise-free
    /// labels (0) count as 0.1, so that one β means one leash.
    pub fn of_gold(gold_reward: f64, temperature: f64) -> Self {
        Self { gold_reward, reward: gold_reward / effective_temperature(temperature) }
    }
}

/// τ, or what noise-free labels count as.
pub(super) fn effective_temperature(temperature: f64) -> f64 {
    if temperature > 0.0 { temperature } else { 0.1 }
}

/// A completion with its log-probability under each component, whichever of them wrote it.
struct Draw {
    sequence: Sequence,
    worth: Worth,
    logprobs: Vec<f64>,
}

/// The reference and proposals beside it, with what they wrote. Of a prompt's draws component c made the share α_c,
/// so that they are, taken together, draws from q = Σ_c α_c·q_c, and a draw weighs π_ref/q whichever component wrote it:
/// the balance heuristic (Veach and Guibas 1995; Owen and Zhou 2000). No weight exceeds 1/α of the reference, however
/// bad the proposals are.
pub struct Mixture<'a, K: Kernels> {
    prompts: &'a [Vec<u32>],
    /// The reference first.
    components: Vec<K::Floats>,
    /// Completions that each component wrote, by prompt.
    counts: Vec<Vec<usize>>,
    /// By prompt.
    draws: Vec<Vec<Draw>>,
    generation: Generation<K>,
    scorer: Scorer<K>,
    coins: Generator,
}

impl<'a, K: Kernels> Mixture<'a, K> {
    /// The `reference` alone, on `prompts`; `coins` decide every draw.
    pub fn new(k: &mut K, network: &Network, reference: K::Floats, prompts: &'a [Vec<u32>], coins: Generator) -> Self {
        Self {
            prompts,
            components: vec![reference],
            counts: vec![vec![0]; prompts.len()],
            draws: prompts.iter().map(|_| Vec::new()).collect(),
            generation: Generation::new(k, network.clone(), PIECE, MAX_SEQUENCE),
            scorer: Scorer::new(k, network.clone(), SequenceSize { batch: PIECE, length: MAX_SEQUENCE - 1 }),
            coins,
        }
    }

    /// How many components there are, the reference among them.
    pub fn components(&self) -> usize {
        self.components.len()
    }

    /// Draws of a prompt.
    pub fn draws(&self, prompt: usize) -> usize {
        self.draws[prompt].len()
    }

    /// The completion of a draw, with its prompt.
    pub fn sequence(&self, prompt: usize, draw: usize) -> &Sequence {
        &self.draws[prompt][draw].sequence
    }

    /// Forgets every draw, and the components that are not to be kept.
    pub fn restart(&mut self, keep: impl Fn(usize) -> bool) {
        let mut component = 0..self.components.len();
        self.components.retain(|_| component.next().is_some_and(&keep));
        self.counts.fill(vec![0; self.components.len()]);
        self.draws.iter_mut().for_each(Vec::clear);
    }

    /// Adds a proposal, which has written nothing yet, and scores the draws there are under it.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn add(&mut self, k: &mut K, proposal: K::Floats) -> Result<(), BackendError> {
        for of_prompt in &mut self.draws {
            let sequences: Vec<Sequence> = of_prompt.iter().map(|draw| draw.sequence.clone()).collect();
            let logprobs = self.scorer.sequence_logprobs(k, &proposal, &sequences).await?;
            of_prompt.iter_mut().zip(logprobs).for_each(|(draw, logprob)| draw.logprobs.push(logprob));
        }
        self.components.push(proposal);
        self.counts.iter_mut().for_each(|counts| counts.push(0));
        Ok(())
    }

    /// Draws a piece from a component, shared evenly among some of the prompts (at least one).
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn draw<J>(
        &mut self,
        k: &mut K,
        component: usize,
        among: &[usize],
        judge: &mut J,
    ) -> Result<(), BackendError>
    where
        J: AsyncFnMut(&mut K, &[Sequence]) -> Result<Vec<Worth>, BackendError>,
    {
        let each = (PIECE / among.len()).max(1);
        let rows: Vec<usize> = among.iter().flat_map(|&prompt| std::iter::repeat_n(prompt, each)).take(PIECE).collect();
        let prompts: Vec<&[u32]> = rows.iter().map(|&prompt| self.prompts[prompt].as_slice()).collect();
        let coins = self.coins.coins(prompts.len() * MAX_SEQUENCE);
        let settings = GenerationSettings { temperature: 1.0, end: Vocabulary::END, padding: Vocabulary::PADDING };
        let sequences = self.generation.generate(k, &self.components[component], &prompts, &coins, settings).await?;
        let mut logprobs = Vec::with_capacity(self.components.len());
        for component in &self.components {
            logprobs.push(self.scorer.sequence_logprobs(k, component, &sequences).await?);
        }
        let worths = judge(k, &sequences).await?;
        for (i, (sequence, worth)) in sequences.into_iter().zip(worths).enumerate() {
            let logprobs = logprobs.iter().map(|of_component| of_component[i]).collect();
            self.draws[rows[i]].push(Draw { sequence, worth, logprobs });
            self.counts[rows[i]][component] += 1;
        }
        Ok(())
    }

    /// The completions of the draws, by prompt.
    pub fn into_sequences(self) -> Vec<Vec<Sequence>> {
        let of_prompt = |draws: Vec<Draw>| draws.into_iter().map(|draw| draw.sequence).collect();
        self.draws.into_iter().map(of_prompt).collect()
    }

    /// The draws by prompt, each with its weight.
    pub fn samples(&self) -> Vec<Vec<OptimumSample>> {
        let of_prompt = |(draws, counts): (&Vec<Draw>, &Vec<usize>)| {
            let log_shares: Vec<f64> = counts.iter().map(|&count| (count as f64 / draws.len() as f64).ln()).collect();
            draws.iter().map(|draw| weigh(draw, &log_shares)).collect()
        };
        self.draws.iter().zip(&self.counts).map(of_prompt).collect()
    }
}

fn weigh(Draw { worth, logprobs, .. }: &Draw, log_shares: &[f64]) -> OptimumSample {
    let terms = || logprobs.iter().zip(log_shares).map(|(logprob, share)| logprob + share);
    let high = terms().fold(f64::NEG_INFINITY, f64::max);
    let log_mixture = high + terms().map(|term| (term - high).exp()).sum::<f64>().ln();
    OptimumSample { gold_reward: worth.gold_reward, reward: worth.reward, log_weight: logprobs[0] - log_mixture }
}
