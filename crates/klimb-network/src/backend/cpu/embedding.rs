//! Twin of `shaders/embedding.wgsl`.

use crate::backend::EmbedSize;
use klimb_numerics::real::Real;

/// `x[b,t] = wte[token] + wpe[first + t]`.
#[inline(always)]
pub fn embed_forward<F: Real>(size: EmbedSize, tokens: &[u32], parameters: &[F], x: &mut [F]) {
    let EmbedSize { batch, length, stride, first, width, vocabulary, .. } = size;
    let positions = &parameters[vocabulary * width..];
    for (row, out) in x[..batch * length * width].chunks_exact_mut(width).enumerate() {
        let (b, position) = (row / length, first + row % length);
        let token = tokens[b * stride + position] as usize;
        let (word, place) = (&parameters[token * width..][..width], &positions[position * width..][..width]);
        for ((out, &word), &place) in out.iter_mut().zip(word).zip(place) {
            *out = word + place;
        }
    }
}

/// Adds the gradients of `wte` (gathered by token) and of `wpe`.
#[inline(always)]
pub fn embed_backward<F: Real>(size: EmbedSize, occurrences: &[u32], dx: &[F], dparameters: &mut [F]) {
    let EmbedSize { batch, length, width, vocabulary, .. } = size;
    let (starts, order) = occurrences.split_at(vocabulary + 1);
    let (dwords, dpositions) = dparameters.split_at_mut(vocabulary * width);
    for (token, dword) in dwords.chunks_exact_mut(width).enumerate() {
        for &row in &order[starts[token] as usize..starts[token + 1] as usize] {
            add(dword, &dx[row as usize * width..][..width]);
        }
    }
    for row in 0..batch * length {
        add(&mut dpositions[row % length * width..][..width], &dx[row * width..][..width]);
    }
}

fn add<F: Real>(sum: &mut [F], summand: &[F]) {
    for (sum, &summand) in sum.iter_mut().zip(summand) {
        *sum += summand;
    }
}
