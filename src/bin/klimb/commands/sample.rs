//! `sample`: what a model writes.

use std::path::PathBuf;

use clap::Args;
use klimb::backend::Kernels;
use klimb::backend::network::Network;
use klimb::language::{Generation, GenerationSettings, upload};
use klimb::model::Checkpoint;
use klimb::rng::Generator;
use klimb::world::{MAX_COMPLETION, Vocabulary, World};
use serde::Serialize;

use super::machine::{BackendArguments, on};
use super::{End, Failure, files};

/// Completions written at a time.
const PIECE: usize = 64;

/// Let a model complete a prompt, and score what it writes
#[derive(Debug, Args)]
#[command(
    long_about = "Let a model complete a prompt, and score what it writes by the gold reward.\n\n\
        The same seed gives every model the same coins, so that their completions can be compared. Without --prompt the \
        held-out prompts take turns. A completion that does not end has gold reward 0.",
    after_long_help = "Examples:\n  \
        klimb sample --prompt \"the acting in this film\"\n  \
        klimb sample --from www/assets/base.safetensors --prompt \"review : the acting in this film\"\n  \
        klimb sample --from dpo.safetensors --temperature 0 --count 3 --json"
)]
pub struct Sample {
    /// The model [default: the SFT model that ships with the page]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The beginning of a review, in the world's words [default: held-out prompts in turn]
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// 1 samples from the model itself, 0 takes the likeliest word
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    temperature: f64,
    /// Completions; each is printed as soon as it is written and none is kept, so any number may be asked for
    #[arg(long, default_value_t = 8)]
    count: usize,
    /// Print one JSON object a completion, each on a line
    #[arg(long)]
    json: bool,
    /// Names the coins
    #[arg(long, default_value_t = 1, value_parser = crate::commands::seed)]
    seed: u64,
    #[command(flatten)]
    backend: BackendArguments,
}

#[derive(Serialize)]
struct Written<'a> {
    prompt: &'a str,
    completion: &'a str,
    ended: bool,
    gold_reward: f64,
    compound: f64,
    tokens: &'a [u32],
    prompt_length: usize,
}

impl Sample {
    pub fn run(self) -> Result<End, Failure> {
        if !(0.0..=10.0).contains(&self.temperature) {
            return Err(Failure::new(format!("--temperature {} is outside 0 to 10", self.temperature)));
        }
        let world = files::world()?;
        let from = files::given_or_shipped(self.from.as_deref(), "sft.safetensors")?;
        let model = files::read_checkpoint(&from, &world)?;
        let prompts = self.prompts(&world, model.config.context)?;
        on!(self.backend.open()?, k => pollster::block_on(self.write(k, &world, &model, &prompts)))?;
        Ok(End::Done)
    }

    /// The prompts that take turns.
    fn prompts(&self, world: &World, context: usize) -> Result<Vec<Vec<u32>>, Failure> {
        let Some(text) = &self.prompt else { return Ok(world.held_out_prompts().to_vec()) };
        let encoded = world.vocabulary().encode(text);
        if !encoded.unknown.is_empty() {
            let words = encoded.unknown.join(", ");
            return Err(Failure::new(format!(
                "--prompt: the world has no word for {words}; use the words of its reviews"
            )));
        }
        match encoded.tokens.len() {
            0 => Err(Failure::new("--prompt: give at least one word")),
            count if count >= context => Err(Failure::new(format!(
                "--prompt: {count} words; the model reads {context}, so give at most {}",
                context - 1
            ))),
            _ => Ok(vec![encoded.tokens]),
        }
    }

    async fn write<K: Kernels>(
        &self,
        k: &mut K,
        world: &World,
        model: &Checkpoint,
        prompts: &[Vec<u32>],
    ) -> Result<(), Failure> {
        let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
        let length = (longest + MAX_COMPLETION).min(model.config.context);
        let parameters = upload(k, &model.parameters);
        let mut generation = Generation::new(k, Network::new(model.config), PIECE, length);
        let mut coins = Generator::new(self.seed, "samples");
        let settings =
            GenerationSettings { temperature: self.temperature, end: Vocabulary::END, padding: Vocabulary::PADDING };
        for first in (0..self.count).step_by(PIECE) {
            let piece = first..(first + PIECE).min(self.count);
            let prompts: Vec<&[u32]> = piece.map(|index| prompts[index % prompts.len()].as_slice()).collect();
            let coins = coins.coins(prompts.len() * length);
            for sequence in generation.generate(k, &parameters, &prompts, &coins, settings).await? {
                let working = world.gold(&sequence.tokens);
                let text = |tokens| world.vocabulary().text(tokens);
                let (prompt, completion) = (text(sequence.prompt()), text(sequence.completion()));
                if self.json {
                    let written = Written {
                        prompt: &prompt,
                        completion: &completion,
                        ended: working.ended,
                        gold_reward: working.gold_reward,
                        compound: working.compound,
                        tokens: &sequence.tokens,
                        prompt_length: sequence.prompt_length,
                    };
                    files::print_answer(&(serde_json::to_string(&written)? + "\n"))?;
                } else {
                    let rest = if working.ended { "" } else { " …" };
                    files::print_answer(&format!("{:.3}  {prompt} | {completion}{rest}\n", working.gold_reward))?;
                }
            }
        }
        Ok(())
    }
}
