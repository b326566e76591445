use klimb::backend::gpu::Gpu;
use klimb::backend::{At, Kernels, SampleSize, kernels};
use klimb::rng::Generator;

use super::{cpu, floats, gpu, indices, integers, noise, read_integers};

const OFFSET: usize = 2;
const END: u32 = 1;
const PADDING: u32 = 0;

fn size(batch: usize, length: usize, position: usize, vocabulary: usize) -> SampleSize {
    SampleSize { batch, length, position, vocabulary, end: END, padding: PADDING }
}

fn case<K: Kernels<Real = f32>>(k: &mut K, size: SampleSize, temperature: f32) -> Vec<u32> {
    let SampleSize { batch, length, vocabulary, .. } = size;
    let logits = floats(k, &noise("logits", batch * vocabulary).iter().map(|x| 2.0 * x).collect::<Vec<_>>());
    let coins = floats(k, &Generator::new(7, "coins").coins(OFFSET + batch * length));
    let settings = floats(k, &[9.0, temperature]);
    let prompt_lengths = integers(k, &indices("prompt lengths", OFFSET + batch, length + 1));
    let mut tokens = integers(k, &indices("tokens", batch * length, 4));
    let (coins, prompt_lengths) = (At::new(&coins, OFFSET), At::new(&prompt_lengths, OFFSET));
    kernels::Sample {
        size,
        logits: &logits,
        coins,
        settings: At::new(&settings, 1),
        prompt_lengths,
        tokens: &mut tokens,
    }
    .run(k);
    read_integers(k, &tokens, batch * length)
}

/// Prompts of all lengths, some over, some not begun; some sequences end before they begin.
#[test]
fn sample() {
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for size in [size(1, 2, 0, 3), size(65, 9, 4, 33), size(200, 12, 10, 118), size(70, 3, 0, 2)] {
        for temperature in [0.0, 0.7, 1.0, 3.0] {
            let (on_gpu, on_cpu) = (case(&mut gpu, size, temperature), case(&mut cpu, size, temperature));
            assert_eq!(on_gpu, on_cpu, "{size:?} at temperature {temperature}");
        }
    }
}

/// One sequence with this previous token, logits and coin, and a prompt of one token.
fn next_token(k: &mut Gpu, previous: u32, logits: &[f32], temperature: f32, coin: f32) -> u32 {
    let logits_buffer = floats(k, logits);
    let coins = floats(k, &[0.0, coin, 0.0]);
    let settings = floats(k, &[temperature]);
    let prompt_lengths = integers(k, &[1]);
    let mut tokens = integers(k, &[5, previous, 7]);
    let size = size(1, 3, 1, logits.len());
    let (coins, settings, prompt_lengths) = (At::new(&coins, 0), At::new(&settings, 0), At::new(&prompt_lengths, 0));
    kernels::Sample { size, logits: &logits_buffer, coins, settings, prompt_lengths, tokens: &mut tokens }.run(k);
    read_integers(k, &tokens, 3)[2]
}

#[test]
fn sampling_inverts_the_cumulative_distribution_and_stops_at_the_end() {
    let mut gpu = gpu();
    let logits = [0.0, 3.0f32.ln(), f32::MIN / 2.0, 0.0]; // probabilities 1/5, 3/5, 0, 1/5
    for (coin, token) in [(0.0, 0), (0.19, 0), (0.21, 1), (0.79, 1), (0.81, 3), (0.999_999, 3)] {
        assert_eq!(next_token(&mut gpu, 3, &logits, 1.0, coin), token, "coin {coin}");
    }
    assert_eq!(next_token(&mut gpu, 3, &[1.0, 4.0, 4.0, 0.0], 0.0, 0.9), 1, "the first of the likeliest");
    assert_eq!(next_token(&mut gpu, END, &logits, 1.0, 0.5), PADDING);
    assert_eq!(next_token(&mut gpu, PADDING, &logits, 1.0, 0.5), PADDING);
}
