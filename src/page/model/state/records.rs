//! What the run that is on has told of its steps, by stage: what a reset forgets and can bring back.

use std::collections::BTreeMap;

use crate::engine::protocol::{Inside, Stage};
use klimb_metrics::MetricRow;

/// What is known of the steps of the run that is on, by stage.
#[derive(Debug, Clone, Default)]
pub struct StageRecords {
    /// Rows of metrics, a row a step.
    pub metrics: BTreeMap<Stage, Vec<MetricRow>>,
    /// Steps of a policy's run after which β was changed, with the new value.
    pub beta_changes: BTreeMap<Stage, Vec<(u64, f64)>>,
    /// What was looked into last of each stage.
    pub inside: BTreeMap<Stage, Inside>,
}

impl StageRecords {
    /// Adds rows of a stage; answers how many of the rows before them still hold. A step that is taken again belongs to a
    /// run that began anew, or again from an earlier point.
    pub(super) fn add(&mut self, stage: Stage, rows: Vec<MetricRow>) -> usize {
        let known = self.metrics.entry(stage).or_default();
        if let Some(first) = rows.first() {
            known.retain(|row| row.step < first.step);
        }
        let still = known.len();
        known.extend(rows);
        still
    }

    /// Notes a new β at the last step of every policy that it concerns.
    pub(super) fn change_beta(&mut self, beta: f64) {
        for stage in Stage::on_leash() {
            if let Some(last) = self.metrics.get(&stage).and_then(|rows| rows.last()) {
                self.beta_changes.entry(stage).or_default().push((last.step, beta));
            }
        }
    }

    /// Forgets the run of a stage.
    pub(super) fn forget(&mut self, stage: Stage) {
        self.metrics.remove(&stage);
        self.beta_changes.remove(&stage);
        self.inside.remove(&stage);
    }

    /// Takes what `from` knows of a stage.
    pub(super) fn take_back(&mut self, from: &mut Self, stage: Stage) {
        give(&mut from.metrics, &mut self.metrics, stage);
        give(&mut from.beta_changes, &mut self.beta_changes, stage);
        give(&mut from.inside, &mut self.inside, stage);
    }
}

fn give<T>(from: &mut BTreeMap<Stage, T>, to: &mut BTreeMap<Stage, T>, stage: Stage) {
    if let Some(known) = from.remove(&stage) {
        to.insert(stage, known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(steps: std::ops::RangeInclusive<u64>) -> Vec<MetricRow> {
        steps.map(|step| MetricRow::new(step, &[("loss", 0.5)])).collect()
    }

    #[test]
    fn rows_that_repeat_steps_replace_them() {
        let mut records = StageRecords::default();
        assert_eq!(records.add(Stage::Dpo, rows(1..=5)), 0);
        assert_eq!(records.add(Stage::Dpo, rows(4..=6)), 3);
        assert_eq!(records.metrics[&Stage::Dpo], rows(1..=6));
        assert_eq!(records.add(Stage::Dpo, Vec::new()), 6);
    }

    #[test]
    fn what_a_stage_forgets_is_taken_back_and_nothing_else() {
        let mut records = StageRecords::default();
        for stage in [Stage::Dpo, Stage::Ppo] {
            records.add(stage, rows(1..=3));
        }
        records.change_beta(0.3);
        assert_eq!(records.beta_changes[&Stage::Dpo], [(3, 0.3)]);
        let mut before = records.clone();
        [Stage::Dpo, Stage::Ppo].into_iter().for_each(|stage| records.forget(stage));
        assert!(records.metrics.is_empty() && records.beta_changes.is_empty());
        records.take_back(&mut before, Stage::Dpo);
        assert_eq!(records.metrics.keys().copied().collect::<Vec<_>>(), [Stage::Dpo]);
        assert_eq!(records.beta_changes[&Stage::Dpo], [(3, 0.3)]);
    }
}
