//! The Python scripts for TRL that the page exports, run with TRL: every method and every loss for a few steps. Before them,
//! since PyTorch is there, the golden numbers of the objectives are computed again.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::process::{self, step};
use crate::setup::python::Environment;
use crate::setup::torch::TORCH;
use crate::workspace::Workspace;

/// What the scripts need, in the versions that they name.
const PACKAGES: &[&str] = &[TORCH, "trl==1.16.0", "transformers==5.24.0", "vaderSentiment==3.3.2"];
const ENVIRONMENT: Environment = Environment { name: "trl", packages: PACKAGES, what: "TRL and PyTorch" };
/// Pairs as the page saves them, which all end.
const PAIRS: &str = "tests/data/compatible/pairs.jsonl";
/// One that does not, which the script leaves out.
const CUT_OFF: &str =
    r#"{"prompt":"this movie","chosen":"is fine .","rejected":"is bad and","rejected_truncated":true}"#;
/// What computes the golden numbers of the objectives.
const OBJECTIVES: &str = "tests/data/make_objectives.py";
/// Steps of the method and of its reference.
const STEPS: &str = "2";
/// Lines of a failed run that are shown.
const SHOWN: usize = 30;

/// A script, and what its run says.
struct Run {
    /// What the page's address says beside [`SMALL`].
    settings: &'static str,
    method: &'static str,
    /// The loss that stands in the script.
    loss: &'static str,
    /// Steps of each training in turn; that of the reference comes first.
    steps: &'static [usize],
    /// A number that only this method's trainer logs.
    logs: &'static str,
}

/// Batches and rollouts for which twenty pairs are enough.
const SMALL: &str = "batch_size=4&rollout_size=16";
/// A reward model takes two passes over twenty pairs in batches of 64: one step.
const RUNS: &[Run] = &[
    Run { settings: "", method: "dpo", loss: "sigmoid", steps: &[2, 2], logs: "rewards/margins" },
    Run { settings: "loss=hinge", method: "dpo", loss: "hinge", steps: &[2, 2], logs: "rewards/margins" },
    Run { settings: "loss=ipo", method: "dpo", loss: "ipo", steps: &[2, 2], logs: "rewards/margins" },
    Run {
        settings: "length_normalised=on",
        method: "dpo",
        loss: "sigmoid_norm",
        steps: &[2, 2],
        logs: "rewards/margins",
    },
    Run { settings: "", method: "reward-model", loss: "sigmoid", steps: &[2, 1], logs: "margin" },
    Run { settings: "", method: "ppo", loss: "sigmoid", steps: &[2, 1, 2], logs: "rewards/missing_eos_penalty/mean" },
    Run { settings: "", method: "ppo-gt", loss: "sigmoid", steps: &[2, 2], logs: "rewards/gold_score/mean" },
    Run { settings: "", method: "preferred-ft", loss: "sigmoid", steps: &[2, 2], logs: "mean_token_accuracy" },
];

/// Installs TRL where it is not yet, and runs each script.
pub fn run(workspace: &Workspace) -> Result<()> {
    let python = ENVIRONMENT.ensure(workspace)?;
    step(
        "Computing the golden numbers of the objectives again, with PyTorch",
        "read how far each is away above",
        || process::run(&mut process::command(&python, workspace.root(), &[OBJECTIVES])),
    )?;
    let folder = workspace.target().join("trl");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let pairs = fs::read_to_string(workspace.root().join(PAIRS)).with_context(|| format!("cannot read {PAIRS}"))?;
    let (ended, pairs) = (pairs.lines().count(), format!("{}\n{CUT_OFF}\n", pairs.trim_end()));
    fs::write(folder.join("pairs.jsonl"), pairs)?;
    for run in RUNS {
        let what = format!("Running the exported script with TRL: {}, {}", run.method, run.loss);
        step(&what, "read what it said below; the script is made by src/page/model/export", || {
            run.check(workspace, &python, &folder, ended)
        })?;
    }
    Ok(())
}

impl Run {
    fn check(&self, workspace: &Workspace, python: &Path, folder: &Path, ended: usize) -> Result<()> {
        let name = format!("{}-{}", self.method, self.loss);
        let (script, log, out) =
            (folder.join(format!("{name}.py")), folder.join(format!("{name}.log")), folder.join(&name));
        let address = format!("{SMALL}&{}", self.settings);
        let example = ["run", "--quiet", "--package", "klimb", "--example", "trl_script", &address];
        process::run(process::command("cargo", workspace.root(), &example).stdout(File::create(&script)?))?;
        let text = fs::read_to_string(&script)?;
        let line = format!("DPO_LOSS = \"{}\"", self.loss);
        ensure!(text.lines().any(|it| it == line), "{} has no line {line}", script.display());

        let mut command = Command::new(python);
        command.current_dir(folder).arg(&script).arg("pairs.jsonl").args(["--method", self.method, "--out"]).arg(&out);
        command.args(["--steps", STEPS, "--sft-steps", STEPS]).stdin(Stdio::null());
        // The script needs nothing of the network; it shall not wait for it either.
        process::say_into(command.env("HF_HUB_OFFLINE", "1"), &log)?;
        let status = command.status().with_context(|| format!("cannot start {}", python.display()))?;
        let said = String::from_utf8_lossy(&fs::read(&log)?).replace('\r', "\n");
        let shown = || last_lines(&said, SHOWN);
        ensure!(status.success(), "{} ended with {status}; {} ends so:\n{}", script.display(), log.display(), shown());
        self.judge(&said, ended).with_context(|| format!("{} ends so:\n{}", log.display(), shown()))?;
        let model = out.join(self.method).join("model.safetensors");
        ensure!(model.is_file(), "{} left no {}", script.display(), model.display());
        Ok(())
    }

    /// Whether a script that ended well said what it should: which pairs it took, each training's steps, and numbers.
    fn judge(&self, said: &str, ended: usize) -> Result<()> {
        let pairs = format!("{ended} of {} pairs;", ended + 1);
        ensure!(said.contains(&pairs), "it did not say “{pairs}”");
        let trainings: Vec<&str> = said.split_inclusive("'train_loss'").collect();
        // What follows the last training's end is no training.
        let (rest, trainings) = trainings.split_last().context("it said nothing")?;
        ensure!(!rest.contains("'loss':"), "a training did not end");
        let steps: Vec<usize> = trainings.iter().map(|training| training.matches("'loss':").count()).collect();
        ensure!(steps == self.steps, "it logged {steps:?} steps, not {:?}", self.steps);
        for name in ["loss", "train_loss", "grad_norm", self.logs] {
            let numbers = numbers(said, name);
            ensure!(!numbers.is_empty(), "it logged no {name}");
            ensure!(numbers.iter().all(|number| number.is_finite()), "{name} is not finite: {numbers:?}");
        }
        let last = numbers(trainings.last().context("it trained nothing")?, self.logs);
        ensure!(!last.is_empty(), "its last training logged no {}", self.logs);
        Ok(())
    }
}

/// What was logged under a name, as `'name': '1.5'`; what is no number counts as one that is not finite.
fn numbers(said: &str, name: &str) -> Vec<f64> {
    let before = format!("'{name}': ");
    let values = said.split(&before).skip(1);
    let number = |rest: &str| {
        let value = rest.trim_start_matches('\'');
        let end = value.find(['\'', ',', '}', '\n']).unwrap_or(value.len());
        value[..end].trim().parse().unwrap_or(f64::NAN)
    };
    values.map(number).collect()
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "20 of 21 pairs; the others
{'loss': '4.7', 'grad_norm': '2.1'}
{'loss': '4.6', 'grad_norm': '1.8'}
{'train_runtime': '0.4', 'train_loss': '4.65', 'epoch': '0.4'}
{'loss': '0.69', 'grad_norm': '1', 'rewards/margins': '0'}
{'loss': '0.68', 'grad_norm': '1', 'rewards/margins': '1e-03'}
{'train_runtime': '0.4', 'train_loss': '0.685', 'epoch': '0.4'}
";

    #[test]
    fn a_run_that_said_less_or_other_than_it_should_has_failed() {
        let dpo = &RUNS[0];
        dpo.judge(SAID, 20).unwrap();
        for (from, to, reason) in [
            ("20 of 21", "21 of 21", "20 of 21 pairs"),
            ("{'loss': '0.68'", "{'lost': '0.68'", "[2, 1] steps, not [2, 2]"),
            ("'train_loss': '0.685'", "", "a training did not end"),
            ("'4.6'", "'nan'", "loss is not finite"),
            ("'grad_norm': '1'", "'grad_norm': 'inf'", "grad_norm is not finite"),
            ("margins", "margin", "no rewards/margins"),
        ] {
            let error = dpo.judge(&SAID.replace(from, to), 20).unwrap_err().to_string();
            assert!(error.contains(reason), "{from} → {to}: {error}");
        }
        assert_eq!(numbers(SAID, "rewards/margins"), [0.0, 0.001]);
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
    }

    #[test]
    fn the_script_names_the_versions_that_it_is_run_with() {
        let script = include_str!("../../../src/page/model/export/script.rs");
        let version = |name: &str| {
            PACKAGES.iter().find_map(|it| it.strip_prefix(name)?.strip_prefix("==")).expect("a pinned package")
        };
        let said = format!("TRL {} and transformers {}", version("trl"), version("transformers"));
        assert!(script.contains(&said), "the header does not say “{said}”");
    }
}
