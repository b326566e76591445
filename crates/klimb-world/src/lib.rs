//! The toy task: a world of short film reviews that knows how good each of them is. No tensors.
//!
//! A grammar with a tone writes reviews ([`World::review`]); mixed with other documents they are what a base model
//! learns from ([`World::document`]). VADER judges them ([`World::gold`]), and judgements make preference pairs
//! ([`preferences`]). Every draw comes from the generator given, so a seed names the data.
//!
//! ```
//! use klimb_numerics::rng::Generator;
//! use klimb_world::{World, WorldSettings};
//!
//! let world = World::new(WorldSettings::default())?;
//! let review = world.review(&mut Generator::new(7, "an example"));
//! println!("{}", world.vocabulary().text(&review.tokens));
//! let judged = world.gold(&review.tokens);
//! assert!((0.0..=1.0).contains(&judged.gold_reward));
//! # Ok::<(), klimb_text::ConfigError>(())
//! ```

#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod automaton;
mod documents;
pub mod gold;
mod grammar;
pub mod preferences;
mod prompts;
mod settings;
mod vocabulary;

pub use automaton::TONES;
pub use settings::WorldSettings;
pub use vocabulary::{Encoded, Vocabulary};

use gold::{Lexicon, Working};
use grammar::Grammar;
use prompts::{Prompt, Prompts};

use klimb_numerics::rng::Generator;
use klimb_text::ConfigError;

/// Tokens of the longest prompt.
pub const MAX_PROMPT: usize = 6;
/// Tokens of the longest completion, its end token included.
pub const MAX_COMPLETION: usize = 21;
/// Tokens of the longest prompt and completion, end token included. With the cue before it: [`MAX_DOCUMENT`].
pub const MAX_SEQUENCE: usize = MAX_PROMPT + MAX_COMPLETION;
/// Tokens of the longest document: cue, prompt and completion.
pub const MAX_DOCUMENT: usize = 2 + MAX_SEQUENCE;

/// A document of the corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Cue if any, prompt if any, text, end token.
    pub tokens: Vec<u32>,
    /// Tokens of cue and prompt; the completion follows them.
    pub prompt_length: usize,
}

/// A mean with the half-width of its 95 % interval (normal approximation, 1.96 standard errors).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The sample mean.
    pub mean: f64,
    /// The interval is mean ± this.
    pub half_width: f64,
}

/// The world with its settings, vocabulary, prompts and grammar.
#[derive(Debug, Clone)]
pub struct World {
    settings: WorldSettings,
    vocabulary: Vocabulary,
    grammar: Grammar,
    cue: Vec<u32>,
    train: Vec<Prompt>,
    held_out: Vec<Prompt>,
    train_prompts: Vec<Vec<u32>>,
    held_out_prompts: Vec<Vec<u32>>,
}

impl World {
    /// The world with these settings, or the first setting that cannot be used.
    pub fn new(settings: WorldSettings) -> Result<Self, ConfigError> {
        let settings = settings.validated()?;
        let lexicon = Lexicon::klimb();
        let vocabulary = Vocabulary::new(lexicon);
        let grammar = Grammar::new(&vocabulary, lexicon, settings.tone_strength, settings.noise);
        let Prompts { train, held_out } = prompts::prompts(&vocabulary);
        let tokens = |prompts: &[Prompt]| prompts.iter().map(|prompt| prompt.tokens.clone()).collect();
        let (train_prompts, held_out_prompts) = (tokens(&train), tokens(&held_out));
        let cue = vocabulary.encode("review :").tokens;
        Ok(Self { settings, vocabulary, grammar, cue, train, held_out, train_prompts, held_out_prompts })
    }

    /// The settings it was made with.
    pub fn settings(&self) -> WorldSettings {
        self.settings
    }

    /// Words and tokens.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Prompts that training may use, 3 to [`MAX_PROMPT`] tokens each.
    pub fn train_prompts(&self) -> &[Vec<u32>] {
        &self.train_prompts
    }

    /// Prompts for evaluation alone; none of them begins a training document.
    pub fn held_out_prompts(&self) -> &[Vec<u32>] {
        &self.held_out_prompts
    }

    /// "review :", which makes the base model write a review of what follows.
    pub fn cue(&self) -> &[u32] {
        &self.cue
    }

    /// A review that the grammar writes to a training prompt, with the settings' noise in the completion.
    pub fn review(&self, generator: &mut Generator) -> Document {
        let prompt = &self.train[generator.below(self.train.len())];
        self.review_behind(&[], prompt, generator)
    }

    /// A review to one of the world's prompts, training or held out. Panics on any other.
    pub fn review_for(&self, prompt: &[u32], generator: &mut Generator) -> Document {
        let found = self.prompt(prompt);
        let prompt = found.unwrap_or_else(|| panic!("review_for: no prompt {:?}", self.vocabulary.text(prompt)));
        self.review_behind(&[], prompt, generator)
    }

    /// A document of the base model's corpus: a review, often behind the cue, or something else, mostly behind a
    /// review's prompt.
    pub fn document(&self, generator: &mut Generator) -> Document {
        let settings = &self.settings;
        let is_review = generator.uniform() < settings.review_share;
        let cued = generator.uniform() < if is_review { settings.cued_reviews } else { settings.cued_others };
        let cue = if cued { self.cue.as_slice() } else { &[] };
        let prompt = &self.train[generator.below(self.train.len())];
        if is_review {
            return self.review_behind(cue, prompt, generator);
        }
        let (prompt, opening) = if cued || generator.uniform() < settings.prompted_others {
            (prompt.tokens.as_slice(), Some(prompt.opening))
        } else {
            (&[][..], None)
        };
        let continuation = documents::continuation(&self.vocabulary, opening, generator);
        let noisy = continuation.into_iter().map(|token| match token {
            Vocabulary::END => token,
            word => self.grammar.automaton.through_channel(word, generator),
        });
        let prompt_length = cue.len() + prompt.len();
        let noisy: Vec<u32> = noisy.collect();
        Document { tokens: [cue, prompt, &noisy].concat(), prompt_length }
    }

    /// log p(completion | prompt) under the grammar in nats, exact, noise included; the completion ends with the end
    /// token, or the answer is −∞. `None` if `prompt` is not one of the world's prompts.
    pub fn log_likelihood(&self, prompt: &[u32], completion: &[u32]) -> Option<f64> {
        let prompt = self.prompt(prompt)?;
        Some(self.grammar.automaton.log_likelihood(self.grammar.start(prompt.opening), completion))
    }

    /// The grammar's entropy in nats a review: the mean of −log p(completion | prompt) over `reviews` (at least 2)
    /// reviews of its own to training prompts. No model's expected loss is lower.
    pub fn entropy(&self, reviews: usize, generator: &mut Generator) -> Estimate {
        assert!(reviews >= 2, "entropy: an interval needs two reviews, got {reviews}");
        let surprises: Vec<f64> = (0..reviews)
            .map(|_| {
                let prompt = &self.train[generator.below(self.train.len())];
                let start = self.grammar.start(prompt.opening);
                -self.grammar.automaton.log_likelihood(start, &self.grammar.automaton.sample(start, generator))
            })
            .collect();
        let mean = surprises.iter().sum::<f64>() / reviews as f64;
        let variance = surprises.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (reviews - 1) as f64;
        Estimate { mean, half_width: 1.96 * (variance / reviews as f64).sqrt() }
    }

    /// The gold reward of prompt and completion with its working. Without an end token the gold reward is 0.
    pub fn gold(&self, tokens: &[u32]) -> Working {
        let working = gold::score_words(&self.vocabulary.words(tokens));
        if tokens.contains(&Vocabulary::END) { working } else { Working { ended: false, gold_reward: 0.0, ..working } }
    }

    /// The gold reward of prompt and completion alone.
    pub fn gold_reward(&self, tokens: &[u32]) -> f64 {
        self.gold(tokens).gold_reward
    }

    fn prompt(&self, tokens: &[u32]) -> Option<&Prompt> {
        self.train.iter().chain(&self.held_out).find(|prompt| prompt.tokens == tokens)
    }

    fn review_behind(&self, cue: &[u32], prompt: &Prompt, generator: &mut Generator) -> Document {
        let completion = self.grammar.automaton.sample(self.grammar.start(prompt.opening), generator);
        let prompt_length = cue.len() + prompt.tokens.len();
        Document { tokens: [cue, &prompt.tokens, &completion].concat(), prompt_length }
    }
}
