// GELU in the tanh form (Hendrycks and Gimpel 2016): gelu(x) = x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³))).
// tanh saturates in f32 well before 10; beyond, implementations of tanh may overflow, so the argument is clamped.

const SQRT_2_OVER_PI = 0.7978845608028654;
const CUBIC = 0.044715;

fn gelu_tanh(x: f32) -> f32 {
    return tanh(clamp(SQRT_2_OVER_PI * (x + CUBIC * x * x * x), -10.0, 10.0));
}

fn gelu(x: f32) -> f32 {
    return 0.5 * x * (1.0 + gelu_tanh(x));
}

// gelu′(x) = (1 + tanh u)/2 + x/2 · (1 − tanh² u) · u′.
fn gelu_derivative(x: f32) -> f32 {
    let t = gelu_tanh(x);
    let du = SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x);
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * du;
}
