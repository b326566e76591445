//! The sub-commands, one file each, and what they share.

mod ablate;
mod baselines;
mod compare;
mod destination;
mod dpo;
mod files;
mod fingerprints;
mod hack;
mod interrupt;
mod machine;
mod number;
mod optimum;
mod output_folder;
mod pairs;
mod part_file;
mod ppo;
mod progress;
mod refusals;
mod reward_model;
mod sample;
mod scaling;
mod score;
mod seeds;
mod shard;
mod study;
mod sweep;
mod train;
mod training;
mod verify;
mod winrate;

use std::fmt::Display;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use klimb::ConfigError;
use klimb::shorten::{shortened, shortened_to};
use refusals::Refused;
use training::PairCommand as _;

/// Train and align a small language model, and see what it costs: reward against KL.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    long_about = "Train and align a small language model on a toy task, and see what it costs.\n\n\
        A base model learns from documents of a little world, SFT makes it write film reviews, and DPO makes it write \
        the reviews that the world's gold reward (VADER's sentiment) prefers. Every point of the reward-versus-KL \
        frontier can be recomputed from the files that `sweep` writes.",
    after_long_help = "Examples:\n  \
        klimb score \"the plot was not very good .\"\n  \
        klimb pretrain --out base.safetensors\n  \
        klimb sft --from base.safetensors --out sft.safetensors\n  \
        klimb dpo --from sft.safetensors --beta 0.3 --out dpo.safetensors\n  \
        klimb best-of-n --largest 64\n  \
        klimb reward-model --from sft.safetensors --out reward-model.safetensors\n  \
        klimb ppo --from sft.safetensors --beta 0.3 --out ppo.safetensors\n  \
        klimb sample --from dpo.safetensors --prompt \"the acting in this film\"\n  \
        klimb optimum --from sft.safetensors --out optimum.json\n  \
        klimb sweep --preset quick --out sweep\n  \
        klimb winrate sft=sft.safetensors dpo=dpo.safetensors --out winrate\n  \
        klimb scaling --preset quick --out scaling\n  \
        klimb hack --preset loophole --out loophole\n\n\
        Exit codes: 0 done; 1 verify found an error above its tolerance; 2 something given cannot be used, or \
        the standard output cannot be written, with a sentence that says what; 130 interrupted by Ctrl-C or told to end \
        by SIGTERM or SIGHUP, with what was done on disk; 141 whoever read the answer is gone."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// The commands with their arguments: `checked` are those whose settings are numbers that can be wrong by themselves, the
/// `unchecked` ones take presets, or a number alone.
macro_rules! commands {
    ($($Variant:ident($Arguments:ty) $checked:ident,)+) => {
        #[derive(Debug, Subcommand)]
        enum Command {
            $($Variant($Arguments),)+
        }

        impl Command {
            /// Refuses settings that are numbers and cannot be used, all of them in one go.
            fn check(&self) -> Result<(), ConfigError> {
                match self {
                    $(Self::$Variant(command) => commands!(@$checked command),)+
                }
            }

            /// Does what it says.
            fn run(self) -> Result<End, Failure> {
                match self {
                    $(Self::$Variant(command) => command.run(),)+
                }
            }
        }
    };

    (@checked $command:ident) => { $command.check() };
    (@unchecked $command:ident) => {{
        let _ = $command;
        Ok(())
    }};
}

commands! {
    Pretrain(train::Pretrain) checked,
    Sft(train::Sft) checked,
    Dpo(dpo::Dpo) checked,
    Unlikelihood(baselines::Unlikelihood) checked,
    PreferredFt(baselines::PreferredFt) checked,
    BestOfN(baselines::BestOfN) checked,
    RewardModel(reward_model::RewardModel) checked,
    Ppo(ppo::Ppo) checked,
    Sample(sample::Sample) unchecked,
    Score(score::Score) unchecked,
    Pairs(pairs::Pairs) checked,
    Optimum(optimum::Optimum) unchecked,
    Sweep(sweep::Sweep) unchecked,
    Merge(sweep::Merge) unchecked,
    Winrate(winrate::Winrate) unchecked,
    Scaling(scaling::Scaling) unchecked,
    Hack(hack::Hack) checked,
    Ablate(ablate::Ablate) unchecked,
    Compare(compare::Compare) unchecked,
    Verify(verify::Verify) unchecked,
}

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    /// `verify` found an error above its tolerance.
    Disagreed,
    /// By Ctrl-C.
    Interrupted,
}

/// A sentence for the person at the terminal.
#[derive(Debug)]
struct Failure(String);

impl Failure {
    fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// `error`, about the thing called `subject`.
    fn about(subject: impl Display, error: impl Display) -> Self {
        Self(format!("{subject}: {error}"))
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Characters of the longest sentence about something given.
const LONGEST_SENTENCE: usize = 2000;

/// Every whole number up to it is exact in a browser, which reads all numbers of a file as f64: 2⁵³ − 1.
const LARGEST_SEED: u64 = (1 << 53) - 1;

/// A seed that is the same number in every file that names it, whoever reads that.
fn seed(text: &str) -> Result<u64, String> {
    let seed = text.parse::<u64>().map_err(|error| error.to_string())?;
    if seed > LARGEST_SEED {
        return Err(format!(
            "it is above {LARGEST_SEED}, and a browser that reads the files keeps no larger one exactly"
        ));
    }
    Ok(seed)
}

/// The arguments; help and version are printed, and all that cannot be read is refused, what is long with its beginning and
/// end. Settings that could be read and cannot be used are named as well.
fn arguments() -> Result<Arguments, ExitCode> {
    refusals::parse(std::env::args_os().collect()).map_err(|refused| {
        let Refused { errors, rest } = *refused;
        match &errors[..] {
            [error] if !error.use_stderr() => {
                files::print_by(|| error.print());
                return success();
            }
            _ => {}
        }
        // With what was taken away nobody knows how settings go together.
        let unusable = rest.and_then(|Arguments { command }| command.check().err()?.of_single());
        let rendered = refusals::text(&errors);
        let is_long = |line: &str| line.len() > LONGEST_SENTENCE;
        if let ([error], None, false) = (&errors[..], &unusable, rendered.lines().any(is_long)) {
            // With its colours. A reader who is gone has no need of it.
            let _ = error.print();
        } else {
            let unusable = unusable.map(|error| format!("error: {error}\n\n")).unwrap_or_default();
            let lines: Vec<String> = (unusable + &rendered).lines().map(|it| shortened(it).into_owned()).collect();
            progress::tell(&lines.join("\n"));
        }
        ExitCode::from(2)
    })
}

/// The exit code of a command that is done, whose words may be lost.
fn success() -> ExitCode {
    if files::is_output_lost() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

/// Parses the arguments, runs the command, and answers with the exit code.
pub fn run() -> ExitCode {
    let command = match arguments() {
        Ok(Arguments { command }) => command,
        Err(code) => return code,
    };
    match command.run() {
        Ok(End::Done) => success(),
        Ok(End::Disagreed) => ExitCode::from(1),
        Ok(End::Interrupted) => ExitCode::from(interrupt::EXIT_CODE),
        Err(Failure(sentence)) => {
            progress::tell(&format!("klimb: {}", shortened_to(&sentence, LONGEST_SENTENCE)));
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;
    use klimb::metrics::METHODS;

    #[test]
    fn every_method_on_pairs_has_a_command_of_its_name() {
        let arguments = Arguments::command();
        for info in METHODS.iter().filter(|info| info.method.learns_from_pairs()) {
            let name = info.file_name.replace('_', "-");
            assert!(arguments.find_subcommand(&name).is_some(), "there is no command {name}");
        }
    }
}
