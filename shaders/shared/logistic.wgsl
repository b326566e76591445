// The logistic function σ(x) = 1/(1 + e⁻ˣ) and its logarithm. Both exponentiate −|x| only, which cannot overflow, and
// so keep their digits far from 0.

fn sigmoid(x: f32) -> f32 {
    let e = exp(-abs(x));
    return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

fn log_sigmoid(x: f32) -> f32 {
    return min(x, 0.0) - log(1.0 + exp(-abs(x)));
}
