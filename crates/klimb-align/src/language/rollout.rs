//! Episodes for reinforcement learning: completions drawn from a policy, with everything that policy, reference, value
//! model and reward model say of them, in one submit with one readback.

use super::device_tokens::DeviceTokens;
use super::generation::cut;
use super::{Generation, GenerationSettings, Sequence};
use klimb_network::backend::network::{Activations, Network};
use klimb_network::backend::{At, BackendError, Kernels, SequenceSize, kernels};
use klimb_network::model::ModelConfig;
use klimb_numerics::real::Real;

/// A completion and what was recorded as it was drawn. Every vector has one number a token of the completion.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// Prompt and completion.
    pub sequence: Sequence,
    /// log π(token), of the policy that drew it.
    pub logprobs: Vec<f64>,
    /// Entropy of the policy's next-token distribution, nats.
    pub entropies: Vec<f64>,
    /// log π_ref(token).
    pub reference_logprobs: Vec<f64>,
    /// KL(π‖π_ref) over the vocabulary at this position: exact.
    pub kl_per_token: Vec<f64>,
    /// The value model's number before the token was chosen.
    pub values: Vec<f64>,
    /// The reward model's number for prompt and completion, read at the last token, if a reward model took part.
    pub score: Option<f64>,
}

/// The networks that take part in a rollout, all of the same sizes, each a flat buffer of parameters.
pub struct RolloutNetworks<'a, K: Kernels> {
    /// Writes the completions. With a scalar head if there is no value model.
    pub policy: &'a K::Floats,
    /// The policy it started from; a head is ignored.
    pub reference: &'a K::Floats,
    /// A network with a scalar head that predicts the return; without one, the policy's own head does.
    pub value_model: Option<&'a K::Floats>,
    /// A network with a scalar head that judges the whole completion.
    pub reward_model: Option<&'a K::Floats>,
}

/// Columns of the record: tokens, logprobs, entropies, reference logprobs, KL per token, values, scores.
const COLUMNS: usize = 7;

/// Buffers for rollouts of up to `batch` episodes of up to `length` tokens, prompt included.
pub struct RolloutRecorder<K: Kernels> {
    /// Serves the language models among the networks, and the trunks of all.
    language: Network,
    headed: Network,
    length: usize,
    generation: Generation<K>,
    policy: Activations<K>,
    /// Of the reference, then of the value model, then of the reward model: only the policy's logits must outlast them.
    others: Activations<K>,
    numbers: K::Floats,
    reference_numbers: K::Floats,
    kl_per_token: K::Floats,
    values: K::Floats,
    scores: K::Floats,
    record: K::Floats,
}

impl<K: Kernels> RolloutRecorder<K> {
    /// Room for `batch` episodes of `length` tokens, prompt included, which the context must have too.
    pub fn new(k: &mut K, config: ModelConfig, batch: usize, length: usize) -> Self {
        let (language, rows) = (Network::new(config), batch * length);
        Self {
            headed: Network::with_head(config),
            length,
            generation: Generation::new(k, language.clone(), batch, length),
            policy: language.activations(k, rows),
            others: language.activations(k, rows),
            numbers: k.floats("policy_numbers", 3 * rows),
            reference_numbers: k.floats("reference_numbers", 3 * rows),
            kl_per_token: k.floats("kl_per_token", rows),
            values: k.floats("old_values", rows),
            scores: k.floats("scores", rows),
            record: k.floats("record", COLUMNS * rows),
            language,
        }
    }

    /// Coins a rollout of all episodes needs.
    pub fn coins(&self) -> usize {
        self.generation.coins()
    }

    /// Completes each prompt with the policy and records the episodes. One submit, one readback.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    ///
    /// # Panics
    /// As [`Generation::generate`], or if there is no prompt.
    pub async fn rollout(
        &mut self,
        k: &mut K,
        networks: RolloutNetworks<'_, K>,
        prompts: &[&[u32]],
        coins: &[f32],
        settings: GenerationSettings,
    ) -> Result<Vec<Episode>, BackendError> {
        let size = SequenceSize { batch: prompts.len(), length: self.length };
        let rows = size.batch * size.length;
        self.generation.record(k, networks.policy, prompts, coins, settings);
        self.compare(k, size, &networks);
        let tokens = &self.generation.tokens;
        let (numbers, reference) = (&self.numbers, &self.reference_numbers);
        let (kl, record) = (&self.kl_per_token, &mut self.record);
        kernels::RecordRollout {
            rows,
            tokens,
            numbers,
            reference_numbers: reference,
            kl_per_token: kl,
            values: &self.values,
            scores: &self.scores,
            record,
        }
        .run(k);
        let record = k.read_floats(&self.record, 0..COLUMNS * rows).await?;
        let record: Vec<f64> = record.into_iter().map(Real::to_f64).collect();
        let is_scored = networks.reward_model.is_some();
        let episode = |(index, prompt): (usize, &&[u32])| {
            let column = |column: usize| &record[column * rows + index * size.length..][..size.length];
            let tokens: Vec<u32> = column(0).iter().map(|&token| token as u32).collect();
            let sequence = cut(&tokens, prompt.len(), settings.end);
            // Position t reads token t and speaks of token t + 1.
            let positions = prompt.len() - 1..sequence.tokens.len() - 1;
            let of = |index: usize| column(index)[positions.clone()].to_vec();
            Episode {
                logprobs: of(1),
                entropies: of(2),
                reference_logprobs: of(3),
                kl_per_token: of(4),
                values: of(5),
                score: is_scored.then(|| column(6)[sequence.tokens.len() - 1]),
                sequence,
            }
        };
        Ok(prompts.iter().enumerate().map(episode).collect())
    }

    /// Runs every network over the tokens just written, which never leave the device for it.
    fn compare(&mut self, k: &mut K, size: SequenceSize, networks: &RolloutNetworks<K>) {
        let rows = size.batch * size.length;
        let (inputs, targets) = (At::new(&self.generation.tokens, 0), At::new(&self.generation.tokens, 1));
        let tokens = DeviceTokens { network: &self.language, size, inputs, targets };
        tokens.logprobs(k, networks.policy, &mut self.policy, &mut self.numbers);
        tokens.logprobs(k, networks.reference, &mut self.others, &mut self.reference_numbers);
        tokens.kl(k, &self.policy, &self.others, &mut self.kl_per_token);
        if let Some(value_model) = networks.value_model {
            self.headed.trunk_forward(k, size, value_model, inputs, &mut self.others);
            self.headed.values_forward(k, rows, value_model, &self.others, &mut self.values);
        } else {
            self.headed.values_forward(k, rows, networks.policy, &self.policy, &mut self.values);
        }
        if let Some(reward_model) = networks.reward_model {
            self.headed.trunk_forward(k, size, reward_model, inputs, &mut self.others);
            self.headed.values_forward(k, rows, reward_model, &self.others, &mut self.scores);
        }
    }
}
