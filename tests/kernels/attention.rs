use klimb::backend::{AttentionSize, DecodeSize, Kernels, kernels};

use super::{Tensors, assert_parity, cpu, floats, gpu, noise, read};

/// Heads narrower than, as wide as, and wider than the channels an invocation accumulates at a time.
fn sizes() -> [AttentionSize; 5] {
    [(1, 1, 1, 1), (2, 5, 3, 3), (1, 33, 2, 16), (3, 7, 1, 17), (2, 4, 2, 40)]
        .map(|(batch, length, heads, head_width)| AttentionSize { batch, length, heads, head_width })
}

fn forward<K: Kernels<Real = f32>>(k: &mut K, size: AttentionSize) -> (K::Floats, K::Floats, K::Floats) {
    let rows = size.batch * size.length;
    let width = size.heads * size.head_width;
    let qkv = floats(k, &noise("qkv", rows * 3 * width));
    let (mut out, mut logsumexps) = (k.floats("out", rows * width), k.floats("logsumexps", rows * size.heads));
    kernels::AttentionForward { size, qkv: &qkv, out: &mut out, logsumexps: &mut logsumexps }.run(k);
    (qkv, out, logsumexps)
}

#[test]
fn attention_forward() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: AttentionSize) -> Tensors {
        let rows = size.batch * size.length;
        let (_, out, logsumexps) = forward(k, size);
        let out = read(k, &out, rows * size.heads * size.head_width);
        vec![("out", out), ("logsumexps", read(k, &logsumexps, rows * size.heads))]
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for size in sizes() {
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &case(&mut cpu, size));
    }
}

#[test]
fn attention_backward() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: AttentionSize) -> Tensors {
        let len = size.batch * size.length * size.heads * size.head_width;
        let (qkv, out, logsumexps) = forward(k, size);
        let dout = floats(k, &noise("dout", len));
        let mut dqkv = floats(k, &noise("overwritten", 3 * len));
        kernels::AttentionBackward {
            size,
            qkv: &qkv,
            out: &out,
            logsumexps: &logsumexps,
            dout: &dout,
            dqkv: &mut dqkv,
        }
        .run(k);
        vec![("dqkv", read(k, &dqkv, 3 * len))]
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for size in sizes() {
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &case(&mut cpu, size));
    }
}

#[test]
fn attention_decode_forward() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: DecodeSize) -> Tensors {
        let width = size.heads * size.head_width;
        let len = size.batch * size.capacity * 2 * width;
        let mut cache = floats(k, &noise("cache", len));
        let qkv = floats(k, &noise("qkv", size.batch * 3 * width));
        let mut out = k.floats("out", size.batch * width);
        kernels::AttentionDecodeForward { size, qkv: &qkv, cache: &mut cache, out: &mut out }.run(k);
        vec![("out", read(k, &out, size.batch * width)), ("cache", read(k, &cache, len))]
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for (batch, position, capacity, heads, head_width) in
        [(1, 0, 1, 1, 1), (3, 0, 4, 2, 5), (33, 6, 7, 2, 16), (2, 3, 9, 1, 21)]
    {
        let size = DecodeSize { batch, position, capacity, heads, head_width };
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &case(&mut cpu, size));
    }
}
