//! Whether two completions are in the order that a pair says.

use klimb_numerics::real::Real;

/// How far two sums may be apart, as a share of the numbers they are sums of, and count as equal: eight units in f32's last
/// place. A policy that is still its reference differs from it by rounding alone (the two were computed in batches of
/// other shapes), by a unit or two; what a step of training moves is a hundred times as much and more.
const ROUNDING: f64 = 8.0 * 1.192_092_895_507_812_5e-7;

/// The share of a pair that is in order: 1 where the chosen completion's number is greater by `margin`, 0 where it is less, and
/// ½ where they are equal up to the rounding of f32. `scale` is the sum of the magnitudes that `margin` is a difference of.
/// What is not a number is out of order.
pub fn in_order<F: Real>(margin: F, scale: F) -> F {
    if margin.abs() <= F::of(ROUNDING) * scale {
        F::of(0.5)
    } else if margin > F::zero() {
        F::one()
    } else {
        F::zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_up_to_rounding_is_half_a_pair() {
        for (margin, scale, share) in [
            (0.0_f32, 0.0, 0.5),
            (-1e-5, 100.0, 0.5),
            (1e-5, 100.0, 0.5),
            (1e-3, 100.0, 1.0),
            (-1e-3, 100.0, 0.0),
            (1e-12, 0.0, 1.0),
            (f32::NAN, 1.0, 0.0),
            (f32::INFINITY, 1.0, 1.0),
        ] {
            assert_eq!(in_order(margin, scale), share, "{margin} of {scale}");
        }
        // The largest rounding of a sum of forty log-probabilities is taken for what it is.
        let (up, down): (Vec<f32>, Vec<f32>) = (
            (0..40).map(|i| -0.1 - 0.17 * i as f32).collect(),
            (0..40).rev().map(|i| -0.1 - 0.17 * i as f32).collect(),
        );
        let [up, down]: [f32; 2] = [up.iter().sum(), down.iter().sum()];
        assert!(up != down, "another order, another sum");
        assert_eq!(in_order(up - down, up.abs() + down.abs()), 0.5);
    }
}
