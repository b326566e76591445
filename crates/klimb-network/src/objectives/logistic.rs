//! The logistic function, safe far from 0.

use klimb_numerics::real::Real;

/// σ(x) = 1/(1 + e⁻ˣ). The exponential is of −|x|, so nothing overflows and small results keep their digits.
pub fn sigmoid<F: Real>(x: F) -> F {
    let decay = (-x.abs()).exp();
    if x < F::zero() { decay / (F::one() + decay) } else { F::one() / (F::one() + decay) }
}

/// log σ(x) = min(x, 0) − log(1 + e^−|x|): −1e-20 and −1e3 both come out with all their digits, where the logarithm of
/// a rounded σ(x) would be 0 or −∞.
pub fn log_sigmoid<F: Real>(x: F) -> F {
    x.min(F::zero()) - (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tails_keep_their_digits() {
        for x in [0.0, 1e-9, 0.3, 2.0, 40.0, 700.0_f64] {
            assert!((sigmoid(x) + sigmoid(-x) - 1.0).abs() < 1e-15, "x = {x}");
            assert!((log_sigmoid(x) - log_sigmoid(-x) - x).abs() <= 1e-15 * (1.0 + x), "x = {x}");
        }
        assert!((log_sigmoid(45.0_f64) / -(-45.0_f64).exp() - 1.0).abs() < 1e-12);
        assert_eq!(log_sigmoid(-1000.0_f64), -1000.0);
        assert_eq!(sigmoid(-1000.0_f32), 0.0);
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        assert!(sigmoid(f32::NAN).is_nan());
        assert!(log_sigmoid(f32::NAN).is_nan());
    }
}
