use klimb::backend::{At, AtMut, Kernels, MatmulSize, kernels};

use super::{Tensors, assert_parity, cpu, floats, gpu, gpu_as_card, noise, read};

/// The weights do not begin at the buffer's beginning. Shaders read four numbers at once where everything begins at a
/// multiple of four: both ways are wanted.
fn offset(size: MatmulSize) -> usize {
    if size.inner.is_multiple_of(4) && size.columns.is_multiple_of(4) { 4 } else { 3 }
}

fn sizes() -> impl Iterator<Item = MatmulSize> {
    // (70, 18, 1) and (70, 64, 1) are scalar heads.
    let sizes = [
        (1, 1, 1),
        (1, 5, 3),
        (7, 3, 13),
        (33, 16, 37),
        (70, 65, 34),
        (1, 4, 8),
        (13, 12, 4),
        (270, 64, 36),
        (70, 18, 1),
        (70, 64, 1),
    ];
    sizes
        .into_iter()
        .flat_map(|(rows, inner, columns)| [false, true].map(|bias| MatmulSize { rows, inner, columns, bias }))
}

/// Those of the hidden layer.
fn sizes_in_fours() -> impl Iterator<Item = MatmulSize> {
    sizes().filter(|size| size.inner.is_multiple_of(4) && size.columns.is_multiple_of(4))
}

fn weights<K: Kernels<Real = f32>>(k: &mut K, size: MatmulSize) -> K::Floats {
    floats(k, &noise("weights", offset(size) + (size.inner + 1) * size.columns))
}

#[test]
fn matmul_forward() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: MatmulSize) -> Tensors {
        let x = floats(k, &noise("x", size.rows * size.inner));
        let weights = weights(k, size);
        let mut out = k.floats("out", size.rows * size.columns);
        kernels::MatmulForward { size, x: &x, weights: At::new(&weights, offset(size)), out: &mut out }.run(k);
        vec![("out", read(k, &out, size.rows * size.columns))]
    }
    let (mut gpu, mut card, mut cpu) = (gpu(), gpu_as_card(), cpu());
    for size in sizes() {
        let twin = case(&mut cpu, size);
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &twin);
        assert_parity(&format!("{size:?}, small tiles"), &case(&mut card, size), &twin);
    }
}

#[test]
fn matmul_gelu_forward() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: MatmulSize) -> Tensors {
        let x = floats(k, &noise("x", size.rows * size.inner));
        let weights = weights(k, size);
        let len = size.rows * size.columns;
        let (mut pre, mut out) = (k.floats("pre", len), k.floats("out", len));
        kernels::MatmulGeluForward {
            size,
            x: &x,
            weights: At::new(&weights, offset(size)),
            pre: &mut pre,
            out: &mut out,
        }
        .run(k);
        vec![("pre", read(k, &pre, len)), ("out", read(k, &out, len))]
    }
    let (mut gpu, mut card, mut cpu) = (gpu(), gpu_as_card(), cpu());
    for size in sizes_in_fours() {
        let twin = case(&mut cpu, size);
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &twin);
        assert_parity(&format!("{size:?}, small tiles"), &case(&mut card, size), &twin);
    }
}

#[test]
fn matmul_residual_forward() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: MatmulSize) -> Tensors {
        let x = floats(k, &noise("x", size.rows * size.inner));
        let weights = weights(k, size);
        let len = size.rows * size.columns;
        let residual = floats(k, &noise("residual", len));
        let mut out = k.floats("out", len);
        kernels::MatmulResidualForward {
            size,
            x: &x,
            weights: At::new(&weights, offset(size)),
            residual: &residual,
            out: &mut out,
        }
        .run(k);
        vec![("out", read(k, &out, len))]
    }
    let (mut gpu, mut card, mut cpu) = (gpu(), gpu_as_card(), cpu());
    for size in sizes() {
        let twin = case(&mut cpu, size);
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &twin);
        assert_parity(&format!("{size:?}, small tiles"), &case(&mut card, size), &twin);
    }
}

#[test]
fn matmul_backward_input() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: MatmulSize) -> Tensors {
        let dout = floats(k, &noise("dout", size.rows * size.columns));
        let weights = weights(k, size);
        let mut dx = k.floats("dx", size.rows * size.inner);
        kernels::MatmulBackwardInput { size, dout: &dout, weights: At::new(&weights, offset(size)), dx: &mut dx }
            .run(k);
        vec![("dx", read(k, &dx, size.rows * size.inner))]
    }
    let (mut gpu, mut card, mut cpu) = (gpu(), gpu_as_card(), cpu());
    for size in sizes() {
        let twin = case(&mut cpu, size);
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &twin);
        assert_parity(&format!("{size:?}, small tiles"), &case(&mut card, size), &twin);
    }
}

#[test]
fn matmul_gelu_backward_input() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: MatmulSize) -> Tensors {
        let dout = floats(k, &noise("dout", size.rows * size.columns));
        let weights = weights(k, size);
        let len = size.rows * size.inner;
        let pre = floats(k, &noise("pre", len).iter().map(|x| 4.0 * x).collect::<Vec<_>>());
        let mut dpre = k.floats("dpre", len);
        kernels::MatmulGeluBackwardInput {
            size,
            dout: &dout,
            weights: At::new(&weights, offset(size)),
            pre: &pre,
            dx: &mut dpre,
        }
        .run(k);
        vec![("dpre", read(k, &dpre, len))]
    }
    let (mut gpu, mut card, mut cpu) = (gpu(), gpu_as_card(), cpu());
    for size in sizes_in_fours() {
        let twin = case(&mut cpu, size);
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &twin);
        assert_parity(&format!("{size:?}, small tiles"), &case(&mut card, size), &twin);
    }
}

#[test]
fn matmul_backward_weights() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: MatmulSize) -> Tensors {
        let x = floats(k, &noise("x", size.rows * size.inner));
        let dout = floats(k, &noise("dout", size.rows * size.columns));
        let mut dweights = weights(k, size);
        kernels::MatmulBackwardWeights { size, x: &x, dout: &dout, dweights: AtMut::new(&mut dweights, offset(size)) }
            .run(k);
        vec![("dweights", read(k, &dweights, offset(size) + (size.inner + 1) * size.columns))]
    }
    let (mut gpu, mut card, mut cpu) = (gpu(), gpu_as_card(), cpu());
    for size in sizes() {
        let twin = case(&mut cpu, size);
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &twin);
        assert_parity(&format!("{size:?}, rows shared"), &case(&mut card, size), &twin);
    }
}
