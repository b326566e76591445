//! Reading and writing, with errors that name the file.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use klimb::ConfigError;
use klimb::backend::SequenceSize;
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::language::{Judge, Scorer, Sequence, upload};
use klimb::model::{Checkpoint, Expectation, ModelConfig};
use klimb::world::{World, WorldSettings};

use super::destination::{Destination, reason};
use super::{Failure, progress};

/// The commit that this program was built from, where the build knew it.
pub const BUILD: Option<&str> = option_env!("KLIMB_BUILD");
/// What a shell expects of a program whose reader is gone: 128 and the number of SIGPIPE.
const READER_GONE: i32 = 141;

/// What helps where a file that a study made in its folder is of no use.
pub const DONE_AGAIN: &str = "delete the file and run the same command: its training is done again";

static OUTPUT_LOST: AtomicBool = AtomicBool::new(false);

/// The bytes of a file.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::about(path.display(), reason(&error)))
}

/// Writes a whole file or leaves what was there; a device or a pipe is written to.
pub fn write(path: &Path, contents: impl AsRef<[u8]>) -> Result<(), Failure> {
    Destination::of(path)?.write(contents.as_ref())
}

/// Writes a checkpoint, unless a parameter is not a finite number: nobody could read it.
pub fn write_checkpoint(path: &Path, checkpoint: &Checkpoint) -> Result<(), Failure> {
    if checkpoint.parameters.iter().all(|parameter| parameter.is_finite()) {
        return write(path, checkpoint.to_bytes());
    }
    let sentence = format!("nothing was written: after {} steps a parameter is not a finite number", checkpoint.step);
    Err(Failure::about(path.display(), sentence + "; a lower learning rate is steadier"))
}

/// Refuses a file that could not be written at the end of a long run, before the run.
pub fn check_writable(path: &Path) -> Result<(), Failure> {
    Destination::of(path)?.check()
}

/// Prints to the standard output what is told beside the files that a command writes. The work goes on where that cannot
/// be written: it is said once, and [`is_output_lost`] then knows. A reader who has seen enough is no failure.
pub fn print(text: &str) {
    print_by(|| write_out(text));
}

/// The same for what somebody else writes there: clap, in colours where a terminal shows them.
pub fn print_by(write: impl FnOnce() -> std::io::Result<()>) {
    let written = write().and_then(|()| std::io::stdout().flush());
    let lost = written.err().filter(|error| error.kind() != ErrorKind::BrokenPipe);
    if let Some(error) = lost
        && !OUTPUT_LOST.swap(true, Ordering::Relaxed)
    {
        progress::tell(&format!("klimb: {}; the work goes on", unwritten(&error)));
    }
}

/// Whether something was printed that could not be written.
pub fn is_output_lost() -> bool {
    OUTPUT_LOST.load(Ordering::Relaxed)
}

/// Prints what a command is asked for. A reader who has seen enough ends it, as the system ends other programs then.
pub fn print_answer(text: &str) -> Result<(), Failure> {
    match write_out(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(READER_GONE),
        written => written.map_err(|error| Failure::new(unwritten(&error))),
    }
}

fn write_out(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

fn unwritten(error: &std::io::Error) -> String {
    format!("standard output cannot be written ({})", reason(error))
}

/// The world of the shipped models.
pub fn world() -> Result<World, ConfigError> {
    World::new(WorldSettings::default())
}

/// The language model in a file, if it is one of this world's.
pub fn read_checkpoint(path: &Path, world: &World) -> Result<Checkpoint, Failure> {
    read_network(path, world, None, false)
}

/// The reward model in a file, if it is one of this world's.
pub fn read_reward_model(path: &Path, world: &World) -> Result<Checkpoint, Failure> {
    read_network(path, world, None, true)
}

fn read_network(path: &Path, world: &World, config: Option<ModelConfig>, head: bool) -> Result<Checkpoint, Failure> {
    let checkpoint = Checkpoint::from_bytes(&read(path)?, Some(&expected(world, config, head)));
    let checkpoint = checkpoint.map_err(|error| Failure::about(path.display(), error))?;
    if can_compute(&checkpoint, world) {
        return Ok(checkpoint);
    }
    let sentence = "what the checkpoint computes is not a finite number, for its parameters are too large";
    Err(Failure::about(path.display(), format!("{sentence}: choose one saved earlier in that run")))
}

/// Whether a network answers the beginning of a held-out prompt by a finite number, before anything is done with it.
/// Parameters may be finite, and what single precision makes of them not.
fn can_compute(checkpoint: &Checkpoint, world: &World) -> bool {
    let prompt = &world.held_out_prompts()[0];
    let length = prompt.len().min(checkpoint.config.context);
    if length < 2 {
        return true;
    }
    let sequences = [Sequence::new(&prompt[..length - 1], &prompt[length - 1..length])];
    let (mut k, size) = (Cpu::<f32>::new(), SequenceSize { batch: 1, length });
    let parameters = upload(&mut k, &checkpoint.parameters);
    let answer = if checkpoint.head {
        let mut judge = Judge::new(&mut k, checkpoint.config, size);
        pollster::block_on(judge.scores(&mut k, &parameters, &sequences))
    } else {
        let mut scorer = Scorer::new(&mut k, Network::new(checkpoint.config), size);
        pollster::block_on(scorer.sequence_logprobs(&mut k, &parameters, &sequences))
    };
    answer.is_ok_and(|numbers| numbers.iter().all(|number| number.is_finite()))
}

/// What a model of this world must be: of these sizes, if any are given, and with or without a scalar head.
pub fn expected(world: &World, config: Option<ModelConfig>, head: bool) -> Expectation {
    Expectation { config, vocabulary_fingerprint: world.vocabulary().fingerprint(), head }
}

/// A checkpoint that a study made in its folder: of one that is damaged it is said how it is made again.
pub fn read_made(path: &Path, expected: &Expectation) -> Result<Checkpoint, Failure> {
    made(path, &read(path)?, expected)
}

/// The same from bytes that were read.
pub fn made(path: &Path, bytes: &[u8], expected: &Expectation) -> Result<Checkpoint, Failure> {
    Checkpoint::from_bytes(bytes, Some(expected))
        .map_err(|error| Failure::about(path.display(), format!("{}; {DONE_AGAIN}", error.problem())))
}

/// The reward or value model in a file, if it is one of this world's and of the sizes of the policy it judges.
pub fn read_headed_checkpoint(path: &Path, world: &World, config: ModelConfig) -> Result<Checkpoint, Failure> {
    read_network(path, world, Some(config), true)
}

/// `given`, or the checkpoint of that name that ships with the page, looked for where the program was started and
/// where it was built.
pub fn given_or_shipped(given: Option<&Path>, name: &str) -> Result<PathBuf, Failure> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    let below = Path::new("www/assets").join(name);
    let candidates = [below.clone(), Path::new(env!("CARGO_MANIFEST_DIR")).join(&below)];
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        Failure::new(format!(
            "{} is not here: name a checkpoint, or make one with `klimb pretrain` and `klimb sft`",
            below.display()
        ))
    })
}
