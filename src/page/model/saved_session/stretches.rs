//! The rows of steps as the browser keeps them. What is long past lies in stretches beside the run, each written once: a save
//! costs no more after ten thousand steps than after a hundred.

use std::collections::BTreeMap;

use super::Stretch;
use crate::engine::protocol::Stage;
use klimb_metrics::MetricRow;
use klimb_text::json;

/// Rows of a stretch.
pub const STRETCH: usize = 128;

/// The stretches, each in a place of its own, numbered from 0.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stretches {
    /// Place and first step of each stage's, in the order of its steps.
    taken: BTreeMap<Stage, Vec<(u32, u64)>>,
    /// Those that have not been handed on to be written, as JSON.
    fresh: Vec<(u32, String)>,
}

impl Stretches {
    /// Puts all whole stretches of a stage's rows aside, and answers with the rows behind them.
    pub fn put(&mut self, stage: Stage, rows: &[MetricRow]) -> Vec<MetricRow> {
        let mut rest = &rows[self.taken.get(&stage).map_or(0, Vec::len) * STRETCH..];
        while let Some((stretch, behind)) = rest.split_at_checked(STRETCH) {
            let is_free = |place: &u32| self.taken.values().flatten().all(|(taken, _)| taken != place);
            let place = (0..).find(is_free).expect("there is always one more");
            self.fresh.retain(|(its, _)| *its != place);
            self.fresh.push((place, json::to_text(&finite(stretch))));
            self.taken.entry(stage).or_default().push((place, stretch[0].step));
            rest = behind;
        }
        finite(rest)
    }

    /// Of a stage's rows only the first `rows` are as they were.
    pub fn shorten(&mut self, stage: Stage, rows: usize) {
        self.taken.retain(|its, places| {
            if *its == stage {
                places.truncate(rows / STRETCH);
            }
            !places.is_empty()
        });
    }

    /// Each stage's stretches.
    pub fn taken(&self) -> Vec<Stretch> {
        let each = self.taken.iter().flat_map(|(stage, all)| all.iter().map(move |it| (*stage, *it)));
        each.map(|(stage, (place, first))| Stretch { stage, place, first }).collect()
    }

    /// What is to be written now.
    pub fn take_fresh(&mut self) -> Vec<(u32, String)> {
        std::mem::take(&mut self.fresh)
    }
}

/// Rows without what is not finite, for which JSON has no place.
fn finite(rows: &[MetricRow]) -> Vec<MetricRow> {
    let mut rows = rows.to_vec();
    rows.iter_mut().for_each(|row| row.values.retain(|_, value| value.is_finite()));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(steps: std::ops::RangeInclusive<usize>) -> Vec<MetricRow> {
        steps.map(|step| MetricRow::new(step as u64, &[("kl", step as f64), ("loss", f64::NAN)])).collect()
    }

    fn fresh(stretches: &mut Stretches) -> Vec<(u32, u64)> {
        let first = |text: &str| json::from_text::<Vec<MetricRow>>(text).expect("rows")[0].step;
        stretches.take_fresh().iter().map(|(place, text)| (*place, first(text))).collect()
    }

    #[test]
    fn a_stretch_is_written_once_and_what_is_behind_it_each_time() {
        let mut stretches = Stretches::default();
        let all = rows(1..=3 * STRETCH);
        assert_eq!(stretches.put(Stage::Dpo, &all[..STRETCH - 1]).len(), STRETCH - 1);
        assert_eq!(fresh(&mut stretches), []);
        let rest = stretches.put(Stage::Dpo, &all[..2 * STRETCH + 1]);
        assert_eq!(rest, [MetricRow::new(2 * STRETCH as u64 + 1, &[("kl", 2.0 * STRETCH as f64 + 1.0)])]);
        assert_eq!(fresh(&mut stretches), [(0, 1), (1, STRETCH as u64 + 1)]);
        assert_eq!(stretches.put(Stage::Ppo, &all[..STRETCH]), []);
        assert_eq!(stretches.put(Stage::Dpo, &all), []);
        assert_eq!(fresh(&mut stretches), [(2, 1), (3, 2 * STRETCH as u64 + 1)]);
        let taken: Vec<(Stage, u32, u64)> = stretches.taken().iter().map(|it| (it.stage, it.place, it.first)).collect();
        let behind = STRETCH as u64 + 1;
        assert_eq!(taken, [(Stage::Dpo, 0, 1), (Stage::Dpo, 1, behind), (Stage::Dpo, 3, 257), (Stage::Ppo, 2, 1)]);
    }

    #[test]
    fn what_has_changed_is_written_anew_in_the_places_that_it_leaves() {
        let mut stretches = Stretches::default();
        stretches.put(Stage::Dpo, &rows(1..=3 * STRETCH));
        stretches.take_fresh();
        stretches.shorten(Stage::Dpo, 2 * STRETCH - 1);
        assert_eq!(stretches.put(Stage::Dpo, &rows(1..=2 * STRETCH)), []);
        assert_eq!(fresh(&mut stretches), [(1, STRETCH as u64 + 1)]);
        stretches.shorten(Stage::Dpo, 0);
        assert_eq!(stretches.put(Stage::Ppo, &rows(1..=STRETCH)), []);
        let last = Stretch { stage: Stage::Ppo, place: 0, first: 1 };
        assert_eq!((stretches.taken().pop(), fresh(&mut stretches)), (Some(last), vec![(0, 1)]));
    }
}
