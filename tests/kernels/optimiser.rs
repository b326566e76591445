use klimb::backend::{AdamwSize, At, Kernels, MetricsSize, NORM_PARTIALS, kernels};

use super::{Tensors, assert_parity, cpu, floats, gpu, noise, read};

#[test]
fn squared_norm() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, len: usize) -> Tensors {
        let values = floats(k, &noise("values", len + 5));
        let mut partials = floats(k, &noise("overwritten", NORM_PARTIALS));
        kernels::SquaredNorm { len, values: &values, partials: &mut partials }.run(k);
        vec![("partials", read(k, &partials, NORM_PARTIALS))]
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for len in [1, 63, 64, 65, 10_007] {
        assert_parity(&format!("{len} values"), &case(&mut gpu, len), &case(&mut cpu, len));
    }
}

#[test]
fn record_metrics() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: MetricsSize) -> Tensors {
        let statistics = floats(k, &noise("statistics", size.items * size.columns));
        let partials = floats(k, &noise("partials", size.partials).iter().map(|x| x.abs()).collect::<Vec<_>>());
        let settings = floats(k, &[0.0, 2.0]);
        let len = 4 * (size.columns + 1);
        let mut metrics = floats(k, &noise("the other lines stay", len));
        kernels::RecordMetrics {
            size,
            statistics: &statistics,
            partials: &partials,
            settings: At::new(&settings, 1),
            metrics: &mut metrics,
        }
        .run(k);
        vec![("metrics", read(k, &metrics, len))]
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for (items, columns) in [(1, 1), (7, 6), (65, 2), (2048, 6)] {
        let size = MetricsSize { items, columns, partials: NORM_PARTIALS };
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &case(&mut cpu, size));
    }
}

/// Three updates, the gradients of the second `poison` times too long.
fn adamw_case<K: Kernels<Real = f32>>(k: &mut K, len: usize, max_norm: f32, poison: f32) -> Tensors {
    let size =
        AdamwSize { len, partials: NORM_PARTIALS, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1, max_norm };
    let mut parameters = floats(k, &noise("parameters", len));
    let (mut gradients, mut partials) = (k.floats("gradients", len), k.floats("partials", NORM_PARTIALS));
    let (mut first, mut second) = (k.floats("first", len), k.floats("second", len));
    let mut tensors = Vec::new();
    for step in 1..=3 {
        let scale = if step == 2 { poison } else { 1.0 };
        let values: Vec<f32> = noise("gradients", len).iter().map(|x| scale * x).collect();
        k.write_floats(&mut gradients, 0, &values);
        let settings = floats(k, &[0.0, 0.01, 1.0 - 0.9f32.powi(step), 1.0 - 0.95f32.powi(step)]);
        kernels::SquaredNorm { len, values: &gradients, partials: &mut partials }.run(k);
        kernels::Adamw {
            size,
            settings: At::new(&settings, 1),
            partials: &partials,
            parameters: &mut parameters,
            gradients: &mut gradients,
            first_moments: &mut first,
            second_moments: &mut second,
        }
        .run(k);
        assert!(read(k, &gradients, len).iter().all(|&gradient| gradient == 0.0), "step {step} leaves gradients");
        tensors.push(("parameters", read(k, &parameters, len)));
    }
    tensors.extend([("first moments", read(k, &first, len)), ("second moments", read(k, &second, len))]);
    tensors
}

#[test]
fn adamw() {
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for (len, max_norm) in [(1, f32::INFINITY), (63, 0.5), (513, 1.0), (10_007, f32::INFINITY)] {
        let (on_gpu, on_cpu) = (adamw_case(&mut gpu, len, max_norm, 3.0), adamw_case(&mut cpu, len, max_norm, 3.0));
        assert_parity(&format!("{len} parameters, at most {max_norm}"), &on_gpu, &on_cpu);
    }
}

#[test]
fn adamw_skips_gradients_that_are_not_finite() {
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for poison in [f32::INFINITY, f32::NAN, 1e30] {
        let on_gpu = adamw_case(&mut gpu, 70, 1.0, poison);
        assert_eq!(on_gpu[0].1, on_gpu[1].1, "parameters moved by gradients of {poison}");
        assert_parity(&format!("gradients of {poison}"), &on_gpu, &adamw_case(&mut cpu, 70, 1.0, poison));
    }
}
