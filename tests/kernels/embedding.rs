use klimb::backend::{At, AtMut, EmbedSize, Kernels, kernels};

use super::{Tensors, assert_parity, cpu, floats, gpu, indices, integers, noise, read};

const OFFSET: usize = 5;

fn size(batch: usize, length: usize, stride: usize, first: usize, width: usize) -> EmbedSize {
    EmbedSize { batch, length, stride, first, width, vocabulary: 11, context: 9 }
}

fn parameters(size: EmbedSize) -> usize {
    (size.vocabulary + size.context) * size.width
}

#[test]
fn embed_forward() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: EmbedSize) -> Tensors {
        let tokens = integers(k, &indices("tokens", OFFSET + size.batch * size.stride, size.vocabulary));
        let parameters = floats(k, &noise("parameters", OFFSET + parameters(size)));
        let len = size.batch * size.length * size.width;
        let mut x = k.floats("x", len);
        kernels::EmbedForward {
            size,
            tokens: At::new(&tokens, OFFSET),
            parameters: At::new(&parameters, OFFSET),
            x: &mut x,
        }
        .run(k);
        vec![("x", read(k, &x, len))]
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for size in [size(1, 1, 1, 0, 1), size(3, 7, 9, 0, 5), size(4, 1, 9, 8, 33), size(5, 2, 8, 6, 16)] {
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &case(&mut cpu, size));
    }
}

/// Where each token stands, as the contract of `embed_backward` lays it out.
fn occurrences(tokens: &[u32], vocabulary: usize) -> Vec<u32> {
    let mut starts = vec![0];
    let mut rows = Vec::new();
    for token in 0..vocabulary as u32 {
        rows.extend((0..tokens.len() as u32).filter(|&row| tokens[row as usize] == token));
        starts.push(rows.len() as u32);
    }
    starts.append(&mut rows);
    starts
}

#[test]
fn embed_backward() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: EmbedSize) -> Tensors {
        let rows = size.batch * size.length;
        let tokens = indices("tokens", rows, size.vocabulary);
        let occurrences = [vec![99; OFFSET], occurrences(&tokens, size.vocabulary)].concat();
        let occurrences = integers(k, &occurrences);
        let dx = floats(k, &noise("dx", rows * size.width));
        let len = OFFSET + parameters(size);
        let mut dparameters = floats(k, &noise("dparameters", len));
        kernels::EmbedBackward {
            size,
            occurrences: At::new(&occurrences, OFFSET),
            dx: &dx,
            dparameters: AtMut::new(&mut dparameters, OFFSET),
        }
        .run(k);
        vec![("dparameters", read(k, &dparameters, len))]
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for size in [size(1, 1, 1, 0, 1), size(3, 7, 7, 0, 5), size(20, 9, 9, 0, 16)] {
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &case(&mut cpu, size));
    }
}
