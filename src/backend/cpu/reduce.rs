//! Sums in eight lanes, the shape of the shaders' reductions and what a compiler can turn into vector instructions.

use crate::real::Real;

const LANES: usize = 8;

/// Σ aᵢ·bᵢ over the shorter of both.
pub fn dot<F: Real>(a: &[F], b: &[F]) -> F {
    let mut lanes = [F::zero(); LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: F = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(&x, &y)| x * y).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    lanes.into_iter().sum::<F>() + rest
}

/// Σ f(aᵢ).
pub fn sum_of<F: Real>(a: &[F], f: impl Fn(F) -> F) -> F {
    let mut lanes = [F::zero(); LANES];
    let chunks = a.chunks_exact(LANES);
    let rest: F = chunks.remainder().iter().map(|&x| f(x)).sum();
    for x in chunks {
        for lane in 0..LANES {
            lanes[lane] += f(x[lane]);
        }
    }
    lanes.into_iter().sum::<F>() + rest
}

/// The largest of a non-empty slice.
pub fn largest<F: Real>(a: &[F]) -> F {
    let mut lanes = [F::neg_infinity(); LANES];
    let chunks = a.chunks_exact(LANES);
    let rest = chunks.remainder().iter().fold(F::neg_infinity(), |high, &x| if x > high { x } else { high });
    for x in chunks {
        for lane in 0..LANES {
            lanes[lane] = if x[lane] > lanes[lane] { x[lane] } else { lanes[lane] };
        }
    }
    lanes.into_iter().fold(rest, |high, x| if x > high { x } else { high })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_and_remainder_both_count() {
        for len in [1usize, 7, 8, 9, 31] {
            let a: Vec<f64> = (0..len).map(|i| i as f64 - 3.5).collect();
            let b: Vec<f64> = (0..len).map(|i| 0.5 * i as f64 + 1.0).collect();
            let plain: f64 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
            assert!((dot(&a, &b) - plain).abs() < 1e-12);
            assert!((sum_of(&a, |x| x * x) - a.iter().map(|x| x * x).sum::<f64>()).abs() < 1e-12);
            assert_eq!(largest(&a), len as f64 - 4.5);
        }
    }
}
