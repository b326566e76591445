//! What a step of SFT takes when one thing grows and all else is as at the default size (but sixteen sequences while
//! they get longer), and the power laws through it, which go into the JSON.

use klimb::backend::Kernels;
use serde_json::{Value, json};

use super::harness::{Harness, Machine};
use super::sizes::{DEFAULT, Size};
use super::steps;

/// What the subjects are called.
const SUBJECT: &str = "scaling";

/// Something that grows, with a name and a size for each of its values.
struct Axis {
    name: &'static str,
    values: [(&'static str, usize); 5],
    size: fn(usize) -> Size,
}

const AXES: [Axis; 4] = [
    Axis {
        name: "batch",
        values: [("batch-8", 8), ("batch-16", 16), ("batch-32", 32), ("batch-64", 64), ("batch-128", 128)],
        size: |batch| Size { batch, ..DEFAULT },
    },
    Axis {
        name: "length",
        values: [("length-16", 16), ("length-32", 32), ("length-64", 64), ("length-128", 128), ("length-256", 256)],
        size: |length| Size { length, batch: 16, ..DEFAULT },
    },
    Axis {
        name: "width",
        values: [("width-16", 16), ("width-32", 32), ("width-64", 64), ("width-128", 128), ("width-256", 256)],
        size: |width| Size { width, ..DEFAULT },
    },
    Axis {
        name: "layers",
        values: [("layers-1", 1), ("layers-2", 2), ("layers-4", 4), ("layers-8", 8), ("layers-12", 12)],
        size: |layers| Size { layers, ..DEFAULT },
    },
];

pub fn all<K: Kernels<Real = f32>>(harness: &mut Harness, machine: &mut Machine<K>) {
    for axis in &AXES {
        for (name, value) in axis.values {
            steps::sft(harness, machine, SUBJECT, Size { name, ..(axis.size)(value) });
        }
    }
}

/// For every axis and backend that was measured whole: the exponent of the power law through the fastest times by least
/// squares of the logarithms, the exponent of the last doubling, and the rate at the largest value.
pub fn laws(results: &[Value]) -> Vec<Value> {
    let mut laws = Vec::new();
    for axis in &AXES {
        for backend in ["cpu", "gpu"] {
            let measured = |name: &str| {
                results.iter().find(|it| it["subject"] == SUBJECT && it["size"] == name && it["backend"] == backend)
            };
            let Some(points) = axis.values.iter().map(|(name, value)| Some((*value, measured(name)?))).collect() else {
                continue;
            };
            let points: Vec<(usize, &Value)> = points;
            let times: Vec<(f64, f64)> = points
                .iter()
                .filter_map(|(value, it)| Some((*value as f64, it["milliseconds"]["fastest"].as_f64()?)))
                .collect();
            let [.., before, last] = &times[..] else { continue };
            laws.push(json!({
                "axis": axis.name,
                "backend": backend,
                "fastest_milliseconds": times,
                "exponent": slope(&times),
                "exponent_at_the_end": slope(&[*before, *last]),
            }));
        }
    }
    laws
}

/// The slope of the straight line through the logarithms of `points`, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let logarithms: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logarithms.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| logarithms.iter().map(of).sum::<f64>() / count;
    let (x_mean, y_mean) = (mean(|it| it.0), mean(|it| it.1));
    let covariance: f64 = logarithms.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    covariance / logarithms.iter().map(|(x, _)| (x - x_mean).powi(2)).sum::<f64>()
}
