//! The charts over the steps as a table.

use super::{CurveCharts, steps};
use crate::page::model::format;
use klimb_charts::{Curve, newest_at};

/// Rows of the table, which is read from one end to the other.
const ROWS: usize = 20;

/// The charts as a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// What the columns are, beside the step.
    pub columns: Vec<String>,
    /// Steps in order, each with a value a column; a dash where that curve has had none since the row before.
    pub rows: Vec<(u64, Vec<String>)>,
}

/// Exact values at some steps from the first to the newest: at evaluations, once there are two, else at any.
pub fn table(charts: &[CurveCharts]) -> Table {
    let curves = || charts.iter().flat_map(|chart| chart.curves.iter().map(move |curve| (chart, curve)));
    let mut steps_of_rows: Vec<u64> =
        curves().filter(|(_, it)| it.marked).flat_map(|(_, it)| &it.points).map(|(step, _)| *step as u64).collect();
    steps_of_rows.sort_unstable();
    steps_of_rows.dedup();
    if steps_of_rows.len() < 2 {
        steps_of_rows = steps(charts);
    }
    let stride = steps_of_rows.len().div_ceil(ROWS).max(1);
    let mut shown: Vec<u64> = steps_of_rows.into_iter().rev().step_by(stride).collect();
    shown.reverse();
    let column = |(chart, curve): (&CurveCharts, &Curve)| {
        if chart.curves.len() > 1 { format!("{}: {}", chart.name, curve.label) } else { chart.name.clone() }
    };
    // PPO's rollouts come between its evaluations: each belongs to the row that follows.
    let value = |curve: &Curve, above: Option<u64>, step: u64| {
        let is_new = |(at, _): &(f64, f64)| above.is_none_or(|above| *at as u64 > above);
        let newest = newest_at(curve.exact(), step as f64).filter(is_new);
        newest.map_or_else(|| "–".into(), |(_, value)| format::significant(value))
    };
    let above = std::iter::once(None).chain(shown.iter().copied().map(Some));
    let row = |(above, step)| (step, curves().map(|(_, curve)| value(curve, above, step)).collect());
    Table { columns: curves().map(column).collect(), rows: above.zip(shown.iter().copied()).map(row).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::Stage;
    use crate::page::model::curves::charted;
    use crate::page::model::curves::tests::{DPO, state};
    use crate::page::model::fixtures::point;

    #[test]
    fn a_table_has_the_exact_values_and_not_every_step() {
        let charts = charted(&state(&DPO, Stage::Dpo));
        let Table { columns, rows } = table(&charts);
        assert_eq!(columns, ["loss, nats", "gradient norm"], "what is not evaluated yet has no curve");
        let dash = |text: &str| text.to_owned();
        assert_eq!(rows[0], (1, ["0.7000", "2.000"].map(dash).to_vec()));
        assert_eq!((rows.len(), rows[2].0), (3, 3));
        let long: Vec<(u64, [(&str, f64); 1])> = (1..=100).map(|step| (step, [("dpo/loss", 0.5)])).collect();
        let long: Vec<(u64, &[(&str, f64)])> = long.iter().map(|(step, values)| (*step, values.as_slice())).collect();
        let rows = table(&charted(&state(&long, Stage::Dpo))).rows;
        assert_eq!((rows.len(), rows[0].0, rows[19].0), (20, 5, 100));
        assert_eq!(rows[0].1, ["0.5000", "–"].map(dash), "a curve without a value there has a dash");
        let rollouts: [(u64, &[(&str, f64)]); 4] = [
            (1, &[("objective/kl", 1.5)]),
            (2, &[("optimiser/gradient_norm", 3.0)]),
            (3, &[("objective/kl", 2.5)]),
            (4, &[("optimiser/gradient_norm", 4.0)]),
        ];
        let mut state = state(&rollouts, Stage::Ppo);
        for step in [2, 4] {
            state.results.points.push(point(1, "ppo", step));
        }
        let table = table(&charted(&state));
        let kl = table.columns.iter().position(|name| name == "KL, nats: exact").expect("it has a column");
        let told: Vec<(u64, &str)> = table.rows.iter().map(|(step, values)| (*step, values[kl].as_str())).collect();
        assert_eq!(told, [(2, "1.500"), (4, "2.500")], "a rollout's number stands at the evaluation that follows");
    }
}
