//! A policy's parameters on their way to the backend.

use klimb_network::backend::Kernels;
use klimb_numerics::real::Real;

/// A buffer with a copy of `parameters` (flat, in the order of the layout).
pub fn upload<K: Kernels>(k: &mut K, parameters: &[f32]) -> K::Floats {
    let mut buffer = k.floats("parameters", parameters.len());
    let values: Vec<K::Real> = parameters.iter().map(|&value| K::Real::of(f64::from(value))).collect();
    k.write_floats(&mut buffer, 0, &values);
    buffer
}
