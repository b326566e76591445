//! The two number types the CPU computes in: f32 for training, f64 for proofs.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{AddAssign, DivAssign, MulAssign, SubAssign};

/// A floating-point type every objective and CPU kernel is generic over. Finite differences need f64; training and
/// the shaders use f32.
pub trait Real:
    num_traits::Float
    + num_traits::FromPrimitive
    + ndarray::LinalgScalar
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Sum
    + Default
    + Debug
    + Display
    + Send
    + Sync
    + 'static
{
    /// Conversion from a literal or a setting.
    fn of(value: f64) -> Self;
    /// Conversion for reporting.
    fn to_f64(self) -> f64;
    /// eˣ, in f32 by a polynomial that compilers turn into vector instructions (relative error below 2e-7, arguments
    /// beyond ±87 saturate), in f64 exactly.
    fn fast_exp(self) -> Self;
}

// Conversions are `#[inline]`: an incremental build inlines nothing else across its units, and a call for a constant keeps
// a whole loop scalar.
impl Real for f32 {
    #[inline]
    fn of(value: f64) -> Self {
        value as f32
    }
    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn fast_exp(self) -> Self {
        // eˣ = 2ⁿ·eʳ with n = round(x/ln 2). Adding 1.5·2²³ rounds, and leaves n in the low bits of the sum.
        const ROUND: f32 = 12_582_912.0;
        let x = self.clamp(-87.0, 87.0);
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        // ln 2 in two parts, the first exact in few bits, so that r keeps its precision.
        let r = x - n * (355.0 / 512.0) + n * 2.121_944_4e-4;
        let series = 1.0 / 5040.0;
        let series = series * r + 1.0 / 720.0;
        let series = series * r + 1.0 / 120.0;
        let series = series * r + 1.0 / 24.0;
        let series = series * r + 1.0 / 6.0;
        let series = series * r + 0.5;
        let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
        power * (series * r * r + r + 1.0)
    }
}

impl Real for f64 {
    #[inline]
    fn of(value: f64) -> Self {
        value
    }
    #[inline]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn fast_exp(self) -> Self {
        self.exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_exponential_is_as_exact_as_f32_allows() {
        for i in -8600..8600 {
            let x = i as f32 * 0.01;
            let exact = f64::from(x).exp();
            let error = (f64::from(x.fast_exp()) - exact).abs() / exact;
            assert!(error < 2e-7, "e^{x} is off by {error:e}");
        }
        assert_eq!(0f32.fast_exp(), 1.0);
        assert!(f32::NAN.fast_exp().is_nan());
    }
}
