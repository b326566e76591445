//! `verify`: the engine against golden numbers from another program.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use klimb::experiments::verify::{Check, ObjectiveReference, Reference, ReferenceError, SentimentReference};

use super::machine::{BackendArguments, on};
use super::{End, Failure, files};

/// Check the engine against another program's numbers
#[derive(Debug, Args)]
#[command(
    long_about = "Check the engine against another program's numbers, and print the largest error of each quantity.\n\n\
        Tolerances: step-0 loss, log-probabilities and entropy 1e-5; gradients 1e-4 of each tensor's L2 norm; AdamW \
        losses 1e-3; objectives, in f64, 1e-9; compound 1e-4. Exit code 0: all within; 1: an error above its \
        tolerance; 2: a file cannot be used.",
    after_long_help = "Examples:\n  \
        klimb verify --reference tests/data/transformer_small.json\n  \
        klimb verify --reference tests/data/transformer_small.json --backend gpu\n  \
        klimb verify --objectives tests/data/objectives.json",
    group(ArgGroup::new("golden").required(true).multiple(true).args(["reference", "objectives", "sentiment"]))
)]
pub struct Verify {
    /// The transformer: JSON with sizes and numbers; X.params.f32 and X.batches.i32 lie beside X.json
    #[arg(long, value_name = "X.json")]
    reference: Option<PathBuf>,
    /// The objectives: DPO, Bradley-Terry, GAE, PPO (on the processor, whatever the backend)
    #[arg(long, value_name = "X.json")]
    objectives: Option<PathBuf>,
    /// The gold reward: a lexicon, and texts with their compounds
    #[arg(long, value_name = "X.json")]
    sentiment: Option<PathBuf>,
    #[command(flatten)]
    backend: BackendArguments,
}

impl Verify {
    pub fn run(self) -> Result<End, Failure> {
        let mut agreed = true;
        let mut report = |path: &Path, checks: Vec<Check>| {
            agreed &= checks.iter().all(Check::passed);
            files::print_answer(&table(path, &checks)?)
        };
        if let Some(path) = &self.reference {
            report(path, self.check_transformer(path)?)?;
        }
        if let Some(path) = &self.objectives {
            report(path, ObjectiveReference::from_json(&files::read(path)?).map_err(about(path))?.check())?;
        }
        if let Some(path) = &self.sentiment {
            report(path, SentimentReference::from_json(&files::read(path)?).map_err(about(path))?.check())?;
        }
        Ok(if agreed { End::Done } else { End::Disagreed })
    }

    fn check_transformer(&self, path: &Path) -> Result<Vec<Check>, Failure> {
        let beside = |extension| files::read(&path.with_extension(extension));
        let (json, parameters, batches) = (files::read(path)?, beside("params.f32")?, beside("batches.i32")?);
        let reference = Reference::from_bytes(&json, &parameters, &batches).map_err(about(path))?;
        on!(self.backend.open()?, k => pollster::block_on(reference.check(k)).map_err(about(path)))
    }
}

fn about(path: &Path) -> impl Fn(ReferenceError) -> Failure {
    move |error| Failure::about(path.display(), error)
}

fn table(path: &Path, checks: &[Check]) -> Result<String, std::fmt::Error> {
    let mut table = format!("{}\n\n", path.display());
    let widest = checks.iter().map(|check| check.quantity.chars().count()).max().unwrap_or(0);
    writeln!(table, "  {:widest$}  largest error  tolerance", "quantity")?;
    for check in checks {
        let Check { quantity, error, tolerance, place } = check;
        let mut remark = String::new();
        if !check.passed() {
            remark = place.as_ref().map_or("  TOO LARGE".into(), |place| format!("  TOO LARGE, at {place}"));
        }
        writeln!(table, "  {quantity:widest$}  {error:>13.2e}  {tolerance:>9.0e}{remark}")?;
    }
    let failed = checks.iter().filter(|check| !check.passed()).count();
    let verdict = match failed {
        0 => format!("all {} quantities are within their tolerances", checks.len()),
        some => format!("{some} of {} quantities are beyond their tolerances", checks.len()),
    };
    writeln!(table, "\n  {verdict}\n")?;
    Ok(table)
}
