//! The objectives, as pure functions in f64, against another program's values and gradients.

use serde::Deserialize;

use super::{Check, ReferenceError, not_empty, same_count};
use klimb_network::objectives::{
    DpoLoss, GaeSettings, PPO_POLICY_COLUMNS, PPO_VALUE_COLUMNS, PpoPolicyBatch, PpoValueBatch, bradley_terry, dpo,
    gae, ppo_policy, ppo_value,
};
use klimb_text::json;

const TOLERANCE: f64 = 1e-9;

/// Golden numbers of the objectives.
#[derive(Debug, Deserialize)]
pub struct ObjectiveReference {
    dpo: Vec<Dpo>,
    bradley_terry: BradleyTerry,
    gae: Vec<Gae>,
    ppo: Ppo,
}

/// One row a sequence, all of the same length.
type Rows = Vec<Vec<f64>>;

#[derive(Debug, Deserialize)]
struct Dpo {
    beta: f64,
    label_smoothing: f64,
    policy_chosen: Vec<f64>,
    policy_rejected: Vec<f64>,
    reference_chosen: Vec<f64>,
    reference_rejected: Vec<f64>,
    losses: Vec<f64>,
    chosen_rewards: Vec<f64>,
    rejected_rewards: Vec<f64>,
    d_mean_loss_d_policy_chosen: Vec<f64>,
    d_mean_loss_d_policy_rejected: Vec<f64>,
}

#[derive(Debug, Deserialize)]
struct BradleyTerry {
    chosen_scores: Vec<f64>,
    rejected_scores: Vec<f64>,
    losses: Vec<f64>,
    d_mean_loss_d_chosen: Vec<f64>,
    d_mean_loss_d_rejected: Vec<f64>,
}

#[derive(Debug, Deserialize)]
struct Gae {
    gamma: f64,
    gae_lambda: f64,
    rewards: Rows,
    values: Rows,
    lengths: Vec<usize>,
    advantages: Rows,
    returns: Rows,
}

#[derive(Debug, Deserialize)]
struct Ppo {
    clip_range: f64,
    /// `null` never clips.
    value_clip_range: Option<f64>,
    value_coefficient: f64,
    entropy_coefficient: f64,
    lengths: Vec<usize>,
    old_logprobs: Rows,
    logprobs: Rows,
    advantages: Rows,
    old_values: Rows,
    values: Rows,
    returns: Rows,
    entropies: Rows,
    policy_loss: f64,
    value_loss: f64,
    entropy: f64,
    total: f64,
    clip_fraction: f64,
    approx_kl_k3: f64,
    dlogprobs: Rows,
    dvalues: Rows,
    dentropies: Rows,
}

impl ObjectiveReference {
    /// Reads `dpo`, `bradley_terry`, `gae` and `ppo` from JSON and checks that their lists fit each other.
    ///
    /// # Errors
    /// `Format` or `Mismatch`, with what does not fit.
    pub fn from_json(json: &[u8]) -> Result<Self, ReferenceError> {
        let reference: Self = json::from_bytes(json)?;
        not_empty("dpo", &reference.dpo)?;
        reference.dpo.iter().try_for_each(Dpo::validate)?;
        reference.bradley_terry.validate()?;
        not_empty("gae", &reference.gae)?;
        reference.gae.iter().try_for_each(Gae::validate)?;
        reference.ppo.validate()?;
        Ok(reference)
    }

    /// Compares every value and every gradient, to 1e-9.
    pub fn check(&self) -> Vec<Check> {
        let mut checks: Vec<Check> = self.dpo.iter().flat_map(Dpo::check).collect();
        checks.extend(self.bradley_terry.check());
        checks.extend(self.gae.iter().flat_map(Gae::check));
        checks.extend(self.ppo.check());
        checks
    }
}

impl Dpo {
    fn validate(&self) -> Result<(), ReferenceError> {
        not_empty("dpo policy_chosen", &self.policy_chosen)?;
        let pairs = self.policy_chosen.len();
        for (field, list) in [
            ("dpo policy_rejected", &self.policy_rejected),
            ("dpo reference_chosen", &self.reference_chosen),
            ("dpo reference_rejected", &self.reference_rejected),
            ("dpo losses", &self.losses),
            ("dpo chosen_rewards", &self.chosen_rewards),
            ("dpo rejected_rewards", &self.rejected_rewards),
            ("dpo d_mean_loss_d_policy_chosen", &self.d_mean_loss_d_policy_chosen),
            ("dpo d_mean_loss_d_policy_rejected", &self.d_mean_loss_d_policy_rejected),
        ] {
            same_count(field, pairs, list.len())?;
        }
        Ok(())
    }

    fn check(&self) -> Vec<Check> {
        let pairs = self.policy_chosen.len();
        let sequence_logprobs = [&self.policy_chosen[..], &self.policy_rejected].concat();
        let references = [&self.reference_chosen[..], &self.reference_rejected].concat();
        let (mut gradient, mut statistics) = (vec![0.0; 2 * pairs], vec![0.0; 6 * pairs]);
        let (beta, label_smoothing) = (self.beta, self.label_smoothing);
        let loss = DpoLoss::Sigmoid;
        dpo(loss, beta, label_smoothing, &sequence_logprobs, &references, &mut gradient, &mut statistics);
        let expected = [&self.d_mean_loss_d_policy_chosen[..], &self.d_mean_loss_d_policy_rejected].concat();
        let name = |column| format!("DPO β={} ε={} {column}", self.beta, self.label_smoothing);
        let columns = [("losses", &self.losses), ("chosen rewards", &self.chosen_rewards)];
        let columns = columns.into_iter().chain([("rejected rewards", &self.rejected_rewards)]);
        let found = statistics.chunks_exact(pairs);
        let values = columns.zip(found).map(|((column, expected), found)| compare(name(column), found, expected));
        values.chain([compare(name("gradient"), &gradient, &expected)]).collect()
    }
}

impl BradleyTerry {
    fn validate(&self) -> Result<(), ReferenceError> {
        not_empty("bradley_terry chosen_scores", &self.chosen_scores)?;
        for (field, list) in [
            ("bradley_terry rejected_scores", &self.rejected_scores),
            ("bradley_terry losses", &self.losses),
            ("bradley_terry d_mean_loss_d_chosen", &self.d_mean_loss_d_chosen),
            ("bradley_terry d_mean_loss_d_rejected", &self.d_mean_loss_d_rejected),
        ] {
            same_count(field, self.chosen_scores.len(), list.len())?;
        }
        Ok(())
    }

    fn check(&self) -> Vec<Check> {
        let scores = [&self.chosen_scores[..], &self.rejected_scores].concat();
        let (mut dscores, mut statistics) = (vec![0.0; scores.len()], vec![0.0; 2 * scores.len()]);
        bradley_terry(&scores, &mut dscores, &mut statistics);
        let expected = [&self.d_mean_loss_d_chosen[..], &self.d_mean_loss_d_rejected].concat();
        vec![
            compare("Bradley-Terry losses".into(), &statistics[..self.losses.len()], &self.losses),
            compare("Bradley-Terry gradient".into(), &dscores, &expected),
        ]
    }
}

impl Gae {
    fn validate(&self) -> Result<(), ReferenceError> {
        let tables = [
            Table::new("rewards", &self.rewards),
            Table::new("values", &self.values),
            Table::new("advantages", &self.advantages),
            Table::new("returns", &self.returns),
        ];
        validate_tables("gae", &self.lengths, &tables)
    }

    fn check(&self) -> Vec<Check> {
        let length = self.rewards[0].len();
        let (rewards, values, mask) = (self.rewards.concat(), self.values.concat(), mask(&self.lengths, length));
        let (mut advantages, mut returns) = (vec![0.0; rewards.len()], vec![0.0; rewards.len()]);
        let settings = GaeSettings { gamma: self.gamma, gae_lambda: self.gae_lambda };
        gae(settings, length, &rewards, &values, &mask, &mut advantages, &mut returns);
        let name = |column| format!("GAE γ={} λ={} {column}", self.gamma, self.gae_lambda);
        vec![
            compare(name("advantages"), &advantages, &self.advantages.concat()),
            compare(name("returns"), &returns, &self.returns.concat()),
        ]
    }
}

impl Ppo {
    fn validate(&self) -> Result<(), ReferenceError> {
        let tables = [
            Table::new("logprobs", &self.logprobs),
            Table::new("old_logprobs", &self.old_logprobs),
            Table::new("advantages", &self.advantages),
            Table::new("old_values", &self.old_values),
            Table::new("values", &self.values),
            Table::new("returns", &self.returns),
            Table::new("entropies", &self.entropies),
            Table::new("dlogprobs", &self.dlogprobs),
            Table::new("dvalues", &self.dvalues),
            Table::new("dentropies", &self.dentropies),
        ];
        validate_tables("ppo", &self.lengths, &tables)?;
        if self.lengths.iter().all(|&kept| kept == 0) {
            return Err(ReferenceError::mismatch("ppo lengths", "at least one token in all", 0));
        }
        Ok(())
    }

    fn check(&self) -> Vec<Check> {
        let kept = self.lengths.iter().map(|&kept| kept as f64).sum::<f64>();
        let weights: Vec<f64> = mask(&self.lengths, self.logprobs[0].len()).iter().map(|keep| keep / kept).collect();
        let rows = weights.len();
        let [mut dlogprobs, mut dvalues, mut dentropies] = [(); 3].map(|()| vec![0.0; rows]);
        let mut policy_statistics = vec![0.0; PPO_POLICY_COLUMNS * rows];
        let mut value_statistics = vec![0.0; PPO_VALUE_COLUMNS * rows];
        let batch = PpoPolicyBatch {
            weights: &weights,
            logprobs: &self.logprobs.concat(),
            entropies: &self.entropies.concat(),
            old_logprobs: &self.old_logprobs.concat(),
            advantages: &self.advantages.concat(),
        };
        let (clip_range, coefficient) = (self.clip_range, self.entropy_coefficient);
        ppo_policy(clip_range, coefficient, batch, &mut dlogprobs, &mut dentropies, &mut policy_statistics);
        let batch = PpoValueBatch {
            weights: &weights,
            values: &self.values.concat(),
            old_values: &self.old_values.concat(),
            returns: &self.returns.concat(),
        };
        let value_clip_range = self.value_clip_range.unwrap_or(f64::MAX);
        ppo_value(value_clip_range, self.value_coefficient, batch, &mut dvalues, &mut value_statistics);
        let sums = |columns: &[f64]| columns.chunks_exact(rows).map(|column| column.iter().sum()).collect::<Vec<f64>>();
        let (policy, value) = (sums(&policy_statistics), sums(&value_statistics));
        let (policy_loss, value_loss, entropy) = (policy[0], value[0], policy[6]);
        let total = policy_loss + self.value_coefficient * value_loss - self.entropy_coefficient * entropy;
        let means = [
            ("policy loss", policy_loss, self.policy_loss),
            ("value loss", value_loss, self.value_loss),
            ("entropy", entropy, self.entropy),
            ("total loss", total, self.total),
            ("clip fraction", policy[4], self.clip_fraction),
            ("approximate KL", policy[3], self.approx_kl_k3),
        ];
        let means =
            means.into_iter().map(|(name, found, expected)| compare(format!("PPO {name}"), &[found], &[expected]));
        means
            .chain([
                compare("PPO dlogprobs".into(), &dlogprobs, &self.dlogprobs.concat()),
                compare("PPO dvalues".into(), &dvalues, &self.dvalues.concat()),
                compare("PPO dentropies".into(), &dentropies, &self.dentropies.concat()),
            ])
            .collect()
    }
}

/// A table of the file, with the name it has there.
struct Table<'a> {
    name: &'static str,
    rows: &'a Rows,
}

impl<'a> Table<'a> {
    fn new(name: &'static str, rows: &'a Rows) -> Self {
        Self { name, rows }
    }
}

/// Refuses tables that are not all of the shape of the first, and lengths beyond it.
fn validate_tables(objective: &str, lengths: &[usize], tables: &[Table]) -> Result<(), ReferenceError> {
    let Table { name, rows: first } = tables[0];
    not_empty(&format!("{objective} {name}"), first)?;
    not_empty(&format!("{objective} {name}[0]"), &first[0])?;
    let length = first[0].len();
    for Table { name, rows } in tables {
        same_count(&format!("rows of {objective} {name}"), first.len(), rows.len())?;
        for row in *rows {
            same_count(&format!("length of a row of {objective} {name}"), length, row.len())?;
        }
    }
    same_count(&format!("{objective} lengths"), first.len(), lengths.len())?;
    match lengths.iter().find(|&&kept| kept > length) {
        Some(kept) => Err(ReferenceError::mismatch(format!("{objective} lengths"), format!("at most {length}"), kept)),
        None => Ok(()),
    }
}

/// 1 for the first `lengths[b]` tokens of each row.
fn mask(lengths: &[usize], length: usize) -> Vec<f64> {
    lengths.iter().flat_map(|&kept| (0..length).map(move |t| if t < kept { 1.0 } else { 0.0 })).collect()
}

fn compare(quantity: String, found: &[f64], expected: &[f64]) -> Check {
    Check::new(quantity, TOLERANCE, found.iter().zip(expected).map(|(found, expected)| found - expected))
}
