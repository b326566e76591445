//! β on a slider, and the optimum at a β between two that were computed.

use crate::engine::settings::Knob;
use klimb_metrics::OptimumPoint;

/// Positions of the slider: one press of an arrow key is 1/100 of the way, a factor of 1.064.
pub const POSITIONS: f64 = 100.0;

fn range() -> (f64, f64) {
    Knob::named("beta").map_or((0.01, 5.0), |knob| knob.values.range)
}

/// β at a position of the slider, 0 to [`POSITIONS`], spaced evenly in log β and rounded to three digits so that an
/// address shows what the label says.
pub fn at_position(position: f64) -> f64 {
    let (low, high) = range();
    let beta = low * (high / low).powf(position.clamp(0.0, POSITIONS) / POSITIONS);
    let unit = 10f64.powf(beta.log10().floor() - 2.0);
    ((beta / unit).round() * unit * 1e9).round() / 1e9
}

/// The position of β.
pub fn position(beta: f64) -> f64 {
    let (low, high) = range();
    POSITIONS * (beta.clamp(low, high) / low).ln() / (high / low).ln()
}

/// The optimum at β, straight between its neighbours in log β; `None` without a curve. Beyond the ends it is the end.
pub fn optimum_at(curve: &[OptimumPoint], beta: f64) -> Option<OptimumPoint> {
    let mut curve = curve.to_vec();
    curve.sort_by(|a, b| a.beta.total_cmp(&b.beta));
    let above = curve.partition_point(|point| point.beta < beta);
    let (low, high) = match (above.checked_sub(1).and_then(|index| curve.get(index)), curve.get(above)) {
        (Some(low), Some(high)) => (low, high),
        (Some(end), None) | (None, Some(end)) => return Some(OptimumPoint { beta, ..*end }),
        (None, None) => return None,
    };
    let share = (beta / low.beta).ln() / (high.beta / low.beta).ln();
    let between = |a: f64, b: f64| a + share * (b - a);
    Some(OptimumPoint {
        beta,
        kl_per_sequence: between(low.kl_per_sequence, high.kl_per_sequence),
        gold_reward: between(low.gold_reward, high.gold_reward),
        effective_sample_size: between(low.effective_sample_size, high.effective_sample_size),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slider_covers_the_range_evenly_in_log_beta() {
        assert_eq!((at_position(0.0), at_position(POSITIONS)), (0.01, 5.0));
        for position_ in 0..=100 {
            let back = position(at_position(f64::from(position_)));
            assert!((back - f64::from(position_)).abs() < 0.1, "{position_} came back as {back}");
        }
        assert_eq!(at_position(-3.0), 0.01);
    }

    #[test]
    fn the_optimum_lies_between_its_neighbours_in_log_beta() {
        let point = |beta, kl_per_sequence, gold_reward| OptimumPoint {
            beta,
            kl_per_sequence,
            gold_reward,
            effective_sample_size: 200.0,
        };
        let falling = [point(1.0, 1.0, 0.8), point(0.01, 3.0, 1.0)];
        let middle = optimum_at(&falling, 0.1).unwrap();
        assert!((middle.kl_per_sequence - 2.0).abs() < 1e-12 && (middle.gold_reward - 0.9).abs() < 1e-12);
        assert_eq!(optimum_at(&falling, 4.0).unwrap().kl_per_sequence, 1.0);
        assert_eq!(optimum_at(&falling, 0.001).unwrap().kl_per_sequence, 3.0);
        assert_eq!(optimum_at(&falling, 1.0).unwrap().kl_per_sequence, 1.0);
        assert_eq!(optimum_at(&[], 1.0), None);
    }
}
