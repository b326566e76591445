//! Sums in eight lanes, the shape of the shaders' reductions and what a compiler can turn into vector instructions.
//! Everything is `#[inline(always)]`, to be compiled with the vectors of its caller (see `wide.rs`).

use std::ops::Range;

use klimb_numerics::real::Real;

/// Numbers treated at once.
pub const LANES: usize = 8;

/// Σ aᵢ·bᵢ over the shorter of both.
#[inline(always)]
pub fn dot<F: Real>(a: &[F], b: &[F]) -> F {
    let mut lanes = [F::zero(); LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: F = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(&x, &y)| x * y).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    across(lanes) + rest
}

/// Σ f(aᵢ).
#[inline(always)]
pub fn sum_of<F: Real>(a: &[F], f: impl Fn(F) -> F) -> F {
    let mut lanes = [F::zero(); LANES];
    let chunks = a.chunks_exact(LANES);
    let rest: F = chunks.remainder().iter().map(|&x| f(x)).sum();
    for x in chunks {
        for lane in 0..LANES {
            lanes[lane] += f(x[lane]);
        }
    }
    across(lanes) + rest
}

/// The sum of all lanes, halves upon halves: a chain of eight additions would take longer than many a row.
#[inline(always)]
fn across<F: Real>(a: [F; LANES]) -> F {
    ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))
}

/// What a row of exponentials comes to.
pub struct Exponentials<F> {
    /// Their sum.
    pub total: F,
    /// log Σ eˢᶜᵒʳᵉ of the scores that they were made of.
    pub logsumexp: F,
}

/// The scores of a row become eˢᶜᵒʳᵉ relative to the largest.
#[inline(always)]
pub fn softmax<F: Real>(scores: &mut [F]) -> Exponentials<F> {
    let high = largest(scores);
    for score in scores.iter_mut() {
        *score = (*score - high).fast_exp();
    }
    let total = sum_of(scores, |value| value);
    Exponentials { total, logsumexp: high + total.ln() }
}

/// `out = Σᵢ weightᵢ·vectorᵢ` over the terms of `range`, a few channels at a time, which stay in registers.
#[inline(always)]
pub fn combine<'a, F: Real>(out: &mut [F], range: Range<usize>, term: impl Fn(usize) -> (F, &'a [F])) {
    let whole = out.len() / LANES * LANES;
    for (chunk, out) in out.chunks_exact_mut(LANES).enumerate() {
        let mut lanes = [F::zero(); LANES];
        for i in range.clone() {
            let (weight, vector) = term(i);
            let vector = &vector[chunk * LANES..][..LANES];
            for lane in 0..LANES {
                lanes[lane] += weight * vector[lane];
            }
        }
        out.copy_from_slice(&lanes);
    }
    for (channel, out) in out.iter_mut().enumerate().skip(whole) {
        *out = range.clone().map(&term).map(|(weight, vector)| weight * vector[channel]).sum();
    }
}

/// The largest of a non-empty slice.
#[inline(always)]
pub fn largest<F: Real>(a: &[F]) -> F {
    let larger = |x: F, y: F| if x > y { x } else { y };
    let mut lanes = [F::neg_infinity(); LANES];
    let chunks = a.chunks_exact(LANES);
    let rest = chunks.remainder().iter().fold(F::neg_infinity(), |high, &x| larger(x, high));
    for x in chunks {
        for lane in 0..LANES {
            lanes[lane] = larger(x[lane], lanes[lane]);
        }
    }
    let mut half = LANES;
    while half > 1 {
        half /= 2;
        for lane in 0..half {
            lanes[lane] = larger(lanes[lane], lanes[lane + half]);
        }
    }
    larger(lanes[0], rest)
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
