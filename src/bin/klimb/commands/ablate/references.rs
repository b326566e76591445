//! The references of an ablation: models of their own, each with its optimum, in the study's folder.

use std::collections::BTreeMap;
use std::path::PathBuf;

use klimb::backend::Kernels;
use klimb::backend::network::Network;
use klimb::experiments::{Progress, RecordedOptimum, Reference, ReferenceRecipe, train_reference};
use klimb::metrics::OptimumPoint;
use klimb::model::Checkpoint;

use super::super::optimum::sampled;
use super::super::{Failure, files, progress};
use super::{Work, go_on};

/// A reference with its optimum.
pub(super) struct Start {
    pub model: Checkpoint,
    pub fingerprint: String,
    pub optimum: Vec<OptimumPoint>,
}

/// By the name of their recipe.
pub(super) type Starts = BTreeMap<String, Start>;

impl Work<'_> {
    /// Every reference once, in the order of the arms.
    pub(super) fn recipes(&self) -> Vec<ReferenceRecipe> {
        let mut recipes: Vec<ReferenceRecipe> = Vec::new();
        for arm in &self.settings.arms {
            if !recipes.contains(&arm.reference) {
                recipes.push(arm.reference);
            }
        }
        recipes
    }

    fn model_name(recipe: &ReferenceRecipe) -> String {
        format!("references/{}.safetensors", recipe.name())
    }

    pub(super) fn model_file(&self, recipe: &ReferenceRecipe) -> PathBuf {
        self.folder.file(&Self::model_name(recipe))
    }

    fn curve_file(&self, recipe: &ReferenceRecipe) -> PathBuf {
        self.folder.file(&format!("references/{}.json", recipe.name()))
    }

    /// The reference and its optimum, unless they are there.
    pub(super) async fn make_reference<K: Kernels>(&self, k: &mut K, recipe: &ReferenceRecipe) -> Result<(), Failure> {
        let curve = self.curve_file(recipe);
        if !self.model_file(recipe).is_file() {
            let report = |it: Progress| {
                self.bar.set_message(format!("{}: {} {}/{}", recipe.name(), it.stage, it.done, it.total));
                go_on()
            };
            let Some(checkpoint) = train_reference(k, recipe, report).await? else { return Ok(()) };
            self.fingerprints.write_model(&Self::model_name(recipe), &checkpoint)?;
            progress::say(&self.bar, &format!("reference {}", recipe.name()));
        }
        if curve.is_file() {
            return Ok(());
        }
        let reference = self.read_reference(recipe)?;
        let sweep = &self.settings.arms[0].sweep;
        // One curve serves every arm of the reference: which reward any policy can have at a KL is no matter of τ.
        let temperature = sweep.preferences.labels.temperature;
        let start = Reference { network: &Network::new(reference.config), parameters: &reference.parameters };
        let settings = sweep.optimum;
        let samples = sampled(k, self.world, start, temperature, &settings).await?;
        let Some(samples) = samples else { return Ok(()) };
        let recorded = RecordedOptimum::new(reference.fingerprint(), temperature, settings, &samples.samples);
        files::write(&curve, recorded.to_json())
    }

    /// The reference that lies in a recipe's file, unless another recipe made it.
    fn read_reference(&self, recipe: &ReferenceRecipe) -> Result<Checkpoint, Failure> {
        let config = recipe.config(&recipe.text()?)?;
        let expected = files::expected(self.world, Some(config), false);
        let found = self.fingerprints.read_model(&Self::model_name(recipe), &expected)?;
        if (found.stage.as_str(), found.step) == ("sft", recipe.sft_steps) {
            return Ok(found);
        }
        let path = self.model_file(recipe);
        Err(Failure::about(path.display(), format!("is another model; {}", files::DONE_AGAIN)))
    }

    /// The references, as far as they are made. An optimum of another one, as of a reference that was trained again by
    /// another build, says nothing about it.
    pub(super) fn starts(&self) -> Result<Starts, Failure> {
        let mut starts = BTreeMap::new();
        for recipe in self.recipes() {
            let (model, curve) = (self.model_file(&recipe), self.curve_file(&recipe));
            if !curve.is_file() {
                continue;
            }
            let again = "delete the file and run the same command: the optimum is sampled again";
            let about = |problem: String| Failure::about(curve.display(), format!("{problem}; {again}"));
            let recorded =
                RecordedOptimum::from_bytes(&files::read(&curve)?).map_err(|error| about(error.to_string()))?;
            let reference = self.read_reference(&recipe)?;
            let fingerprint = reference.fingerprint();
            if recorded.reference != fingerprint {
                return Err(about(format!("is the optimum of another reference than {}", model.display())));
            }
            starts.insert(recipe.name(), Start { model: reference, fingerprint, optimum: recorded.points });
        }
        Ok(starts)
    }
}
