//! Numbers in what is printed: one that is not defined is a dash, and never "NaN".

use klimb::metrics::FrontierPoint;

/// A number with so many digits, or a dash for one that is not defined.
pub fn number(number: f64, digits: usize) -> String {
    if number.is_finite() { format!("{number:.digits$}") } else { "–".into() }
}

/// The columns of a table that say what was measured at a point: KL and gold reward with half their 95 % intervals, and the
/// share of different completions.
pub fn measured(point: &FrontierPoint) -> String {
    format!(
        "{:>6} ± {:<5}  {:>5} ± {:<5}  {:>8}",
        number(point.kl_per_sequence, 3),
        number(point.kl_half_width, 3),
        number(point.gold_reward, 3),
        number(point.gold_reward_half_width, 3),
        number(point.diversity.unwrap_or(f64::NAN), 2)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_defined_is_a_dash() {
        assert_eq!(number(-0.25, 3), "-0.250");
        assert_eq!([f64::NAN, f64::INFINITY].map(|it| number(it, 3)), ["–", "–"]);
    }
}
