// GELU in the tanh form (Hendrycks and Gimpel 2016): gelu(x) = x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³))).
// Four numbers at a time. tanh u = 1 − 2/(exp(2u) + 1) takes one exponential, where a software adapter's tanh takes four;
// it saturates in f32 well before 10, so the argument is clamped before the exponential overflows.

const SQRT_2_OVER_PI = 0.7978845608028654;
const CUBIC = 0.044715;

fn gelu_tanh(x: vec4<f32>) -> vec4<f32> {
    let u = clamp(SQRT_2_OVER_PI * (x + CUBIC * x * x * x), vec4<f32>(-10.0), vec4<f32>(10.0));
    return 1.0 - 2.0 / (exp(2.0 * u) + 1.0);
}

fn gelu(x: vec4<f32>) -> vec4<f32> {
    return 0.5 * x * (1.0 + gelu_tanh(x));
}

// gelu′(x) = (1 + tanh u)/2 + x/2 · (1 − tanh² u) · u′.
fn gelu_derivative(x: vec4<f32>) -> vec4<f32> {
    let t = gelu_tanh(x);
    let du = SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x);
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * du;
}
