//! Writing completions: token by token with cached keys and values, from given coins, in one submit.

use crate::language::Sequence;
use klimb_network::backend::network::{Activations, Cache, DecodeRoom, GenerateInputs, Network};
use klimb_network::backend::{At, BackendError, GenerateSize, Kernels, kernels};
use klimb_numerics::real::Real;

/// How a completion is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GenerationSettings {
    /// 1 samples from the policy itself, 0 takes the likeliest token.
    pub temperature: f64,
    /// The token that ends a completion.
    pub end: u32,
    /// The token written behind the end.
    pub padding: u32,
}

/// What a device needs to write with.
enum Room<K: Kernels> {
    /// All tokens at once: keys and values, (L, B, length, 2D).
    Whole { cache: K::Floats },
    /// Position by position.
    Stepwise { cache: Cache<K>, activations: Activations<K> },
}

/// Buffers for generating `batch` sequences of up to `length` tokens at once.
pub struct Generation<K: Kernels> {
    network: Network,
    batch: usize,
    length: usize,
    room: Room<K>,
    /// Tokens written, (B, length).
    pub(super) tokens: K::Integers,
    prompt_lengths: K::Integers,
    /// Temperature, then the coins (B, length).
    floats: K::Floats,
}

impl<K: Kernels> Generation<K> {
    /// Room for `batch` sequences of `length` tokens, prompt included.
    ///
    /// # Panics
    /// If the network's context is shorter.
    pub fn new(k: &mut K, network: Network, batch: usize, length: usize) -> Self {
        let config = network.config();
        assert!(length <= config.context, "generate: {length} tokens, context {}", config.context);
        let room = if k.generates(config, length) {
            Room::Whole { cache: k.floats("cache", config.layers * batch * length * 2 * config.width) }
        } else {
            Room::Stepwise { cache: network.cache(k, batch, length), activations: network.activations(k, batch) }
        };
        Self {
            batch,
            length,
            room,
            // One more, so that `tokens` from the second on are targets: position t of a row predicts token t + 1.
            tokens: k.integers("tokens", batch * length + 1),
            prompt_lengths: k.integers("prompt_lengths", batch),
            floats: k.floats("coins", 1 + batch * length),
            network,
        }
    }

    /// Coins a full batch needs.
    pub fn coins(&self) -> usize {
        self.batch * self.length
    }

    /// Sequences a full batch has.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Completes each prompt under `parameters`. Coin (b, t) decides the token behind position t of sequence b, so
    /// the same coins give comparable completions under two policies. One submit, one readback.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    ///
    /// # Panics
    /// If there are more prompts than room, a prompt is empty or leaves no room for a token, or the coins are not
    /// (prompts, length) numbers.
    pub async fn generate(
        &mut self,
        k: &mut K,
        parameters: &K::Floats,
        prompts: &[&[u32]],
        coins: &[f32],
        settings: GenerationSettings,
    ) -> Result<Vec<Sequence>, BackendError> {
        if prompts.is_empty() {
            return Ok(Vec::new());
        }
        self.record(k, parameters, prompts, coins, settings);
        let tokens = k.read_integers(&self.tokens, 0..prompts.len() * self.length).await?;
        let rows = tokens.chunks_exact(self.length);
        Ok(rows.zip(prompts).map(|(row, prompt)| cut(row, prompt.len(), settings.end)).collect())
    }

    /// Records what [`Generation::generate`] sends, which leaves `tokens` (prompts, length) on the device.
    pub(super) fn record(
        &mut self,
        k: &mut K,
        parameters: &K::Floats,
        prompts: &[&[u32]],
        coins: &[f32],
        settings: GenerationSettings,
    ) {
        let (batch, length) = (prompts.len(), self.length);
        assert!(batch <= self.batch, "generate: {batch} prompts, room for {}", self.batch);
        assert_eq!(coins.len(), batch * length, "generate: coins");
        let mut tokens = vec![settings.padding; batch * length];
        for (row, prompt) in tokens.chunks_exact_mut(length).zip(prompts) {
            assert!(!prompt.is_empty() && prompt.len() < length, "generate: a prompt of {} tokens", prompt.len());
            row[..prompt.len()].copy_from_slice(prompt);
        }
        let prompt_lengths: Vec<u32> = prompts.iter().map(|prompt| prompt.len() as u32).collect();
        k.write_integers(&mut self.tokens, 0, &tokens);
        k.write_integers(&mut self.prompt_lengths, 0, &prompt_lengths);
        let floats: Vec<K::Real> = std::iter::once(settings.temperature)
            .chain(coins.iter().map(|&coin| f64::from(coin)))
            .map(K::Real::of)
            .collect();
        k.write_floats(&mut self.floats, 0, &floats);
        let GenerationSettings { end, padding, .. } = settings;
        let size = GenerateSize { batch, length, model: *self.network.config(), end, padding };
        let (settings, coins) = (At::new(&self.floats, 0), At::new(&self.floats, 1));
        let (prompt_lengths, tokens) = (&self.prompt_lengths, &mut self.tokens);
        match &mut self.room {
            Room::Whole { cache } => {
                kernels::Generate { size, parameters, coins, settings, prompt_lengths, cache, tokens }.run(k)
            }
            Room::Stepwise { cache, activations } => {
                let shortest = prompts.iter().map(|prompt| prompt.len()).min().unwrap_or(1);
                let inputs = GenerateInputs { coins, settings, prompt_lengths, shortest };
                self.network.generate(k, size, parameters, inputs, DecodeRoom { cache, activations }, tokens);
            }
        }
    }
}

/// The sequence in a row of tokens whose first `prompt_length` are the prompt: up to the end token, without padding.
pub(super) fn cut(row: &[u32], prompt_length: usize, end: u32) -> Sequence {
    let (prompt, completion) = row.split_at(prompt_length);
    let ended = completion.iter().position(|&token| token == end).map(|at| at + 1);
    Sequence::new(prompt, &completion[..ended.unwrap_or(completion.len())])
}
