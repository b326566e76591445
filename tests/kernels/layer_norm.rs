use klimb::backend::{At, AtMut, Kernels, NormSize, kernels};

use super::{Tensors, assert_parity, cpu, floats, gpu, noise, read};

const OFFSET: usize = 8;

fn sizes() -> [NormSize; 4] {
    [(1, 4, true), (3, 12, false), (65, 16, true), (200, 36, false)].map(|(rows, width, accumulate)| NormSize {
        rows,
        width,
        accumulate,
    })
}

/// Vectors whose mean is far from 0, which a careless variance would not survive.
fn shifted_x(size: NormSize) -> Vec<f32> {
    noise("x", size.rows * size.width).iter().map(|x| 2.0 * x + 10.0).collect()
}

/// What the forward pass saves: mean and 1/√(variance + ε) of each row.
fn moments(size: NormSize) -> Vec<f32> {
    let x = shifted_x(size);
    let of_row = |row: &[f32]| {
        let mean = row.iter().sum::<f32>() / row.len() as f32;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / row.len() as f32;
        [mean, 1.0 / (variance + 1e-5).sqrt()]
    };
    x.chunks(size.width).flat_map(of_row).collect()
}

#[test]
fn layer_norm_forward() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: NormSize) -> Tensors {
        let x = floats(k, &shifted_x(size));
        let weights = floats(k, &noise("weights", OFFSET + 2 * size.width));
        let len = size.rows * size.width;
        let (mut out, mut moments) = (k.floats("out", len), k.floats("moments", 2 * size.rows));
        kernels::LayerNormForward {
            size,
            x: &x,
            weights: At::new(&weights, OFFSET),
            out: &mut out,
            moments: &mut moments,
        }
        .run(k);
        vec![("out", read(k, &out, len)), ("moments", read(k, &moments, 2 * size.rows))]
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for size in sizes() {
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &case(&mut cpu, size));
    }
}

#[test]
fn layer_norm_backward() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: NormSize) -> Tensors {
        let len = size.rows * size.width;
        let (x, moments) = (floats(k, &shifted_x(size)), floats(k, &moments(size)));
        let weights = floats(k, &noise("weights", OFFSET + 2 * size.width));
        let dout = floats(k, &noise("dout", len));
        let mut dx = floats(k, &noise("dx", len));
        kernels::LayerNormBackward {
            size,
            x: &x,
            weights: At::new(&weights, OFFSET),
            moments: &moments,
            dout: &dout,
            dx: &mut dx,
        }
        .run(k);
        vec![("dx", read(k, &dx, len))]
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for size in sizes() {
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &case(&mut cpu, size));
    }
}

#[test]
fn layer_norm_backward_weights() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: NormSize) -> Tensors {
        let (x, moments) = (floats(k, &shifted_x(size)), floats(k, &moments(size)));
        let dout = floats(k, &noise("dout", size.rows * size.width));
        let mut dweights = floats(k, &noise("dweights", OFFSET + 2 * size.width));
        kernels::LayerNormBackwardWeights {
            size,
            x: &x,
            moments: &moments,
            dout: &dout,
            dweights: AtMut::new(&mut dweights, OFFSET),
        }
        .run(k);
        vec![("dweights", read(k, &dweights, OFFSET + 2 * size.width))]
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for size in sizes() {
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &case(&mut cpu, size));
    }
}
