use klimb::backend::gpu::Gpu;
use klimb::backend::{At, GenerateSize, Kernels, kernels};
use klimb::model::{Layout, ModelConfig};
use klimb::rng::Generator;

use super::{assert_parity, cpu, floats, gpu, gpu_as_card, indices, integers, noise, read, read_integers};

const END: u32 = 1;
const PADDING: u32 = 0;

/// What was written into `batch` rows of `length` tokens.
struct Written {
    size: GenerateSize,
    prompt_lengths: Vec<u32>,
    tokens: Vec<u32>,
    /// (L, B, length, 2D).
    cache: Vec<f32>,
}

impl Written {
    /// How many positions of a sequence were read: all up to its end or the last but one.
    fn positions(&self, sequence: usize) -> usize {
        let prompt = self.prompt_lengths[sequence] as usize;
        let row = &self.tokens[sequence * self.size.length..][..self.size.length];
        let end = row[prompt..].iter().position(|&token| token == END || token == PADDING);
        end.map_or(row.len() - 1, |at| prompt + at)
    }

    /// Keys and values of those positions.
    fn keys_and_values(&self) -> Vec<f32> {
        let GenerateSize { batch, length, model, .. } = self.size;
        let row = 2 * model.width;
        let sequences = self.cache.chunks_exact(length * row).enumerate();
        sequences.flat_map(|(i, rows)| rows[..self.positions(i % batch) * row].to_vec()).collect()
    }
}

/// Completes prompts of one token up to all but one.
fn case<K: Kernels<Real = f32>>(
    k: &mut K,
    batch: usize,
    length: usize,
    model: ModelConfig,
    temperature: f32,
) -> Written {
    let parameters: Vec<f32> = noise("parameters", Layout::new(&model).len).iter().map(|x| 0.3 * x).collect();
    let parameters = floats(k, &parameters);
    let coins = floats(k, &Generator::new(7, "coins").coins(3 + batch * length));
    let settings = floats(k, &[9.0, temperature]);
    let prompt_lengths: Vec<u32> = indices("prompt lengths", batch, length - 1).iter().map(|it| it + 1).collect();
    let mut tokens = integers(k, &indices("tokens", batch * length, model.vocabulary));
    let lengths = integers(k, &prompt_lengths);
    let len = model.layers * batch * length * 2 * model.width;
    let mut cache = k.floats("cache", len);
    let size = GenerateSize { batch, length, model, end: END, padding: PADDING };
    kernels::Generate {
        size,
        parameters: &parameters,
        coins: At::new(&coins, 3),
        settings: At::new(&settings, 1),
        prompt_lengths: &lengths,
        cache: &mut cache,
        tokens: &mut tokens,
    }
    .run(k);
    Written { size, tokens: read_integers(k, &tokens, batch * length), cache: read(k, &cache, len), prompt_lengths }
}

/// Tokens are equal, and keys and values to rounding: they hold every block of every position that was read.
#[test]
fn generate() {
    let (mut gpu, mut cpu) = (gpu(), cpu());
    let model = |vocabulary, width, heads, layers, own_unembedding| ModelConfig {
        vocabulary,
        context: 19,
        width,
        layers,
        heads,
        own_unembedding,
    };
    for (batch, length, model) in [
        (1, 2, model(3, 16, 4, 1, false)),
        (9, 19, model(37, 32, 4, 2, false)),
        (5, 13, model(255, 64, 8, 3, true)),
        (3, 17, model(256, 128, 4, 1, false)),
        (2, 11, model(41, 256, 16, 2, true)),
    ] {
        for temperature in [0.0, 0.7, 1.0] {
            let what = format!("{batch}×{length} tokens at temperature {temperature} by {model:?}");
            let by_gpu = case(&mut gpu, batch, length, model, temperature);
            let by_cpu = case(&mut cpu, batch, length, model, temperature);
            assert_eq!(by_gpu.tokens, by_cpu.tokens, "{what}");
            let tensors = |it: &Written| vec![("keys and values", it.keys_and_values())];
            assert_parity(&what, &tensors(&by_gpu), &tensors(&by_cpu));
        }
    }
}

/// A device writes at once where it is a card and has room, and kernel by kernel everywhere else.
#[test]
fn a_card_generates_what_it_has_room_for() {
    let small = ModelConfig { vocabulary: 160, context: 32, width: 32, layers: 2, heads: 4, own_unembedding: false };
    let generates = |k: &Gpu, model| k.generates(&model, 32);
    let card = gpu_as_card();
    assert!(generates(&card, small) && generates(&card, ModelConfig { width: 256, heads: 8, ..small }));
    for too_large in [
        ModelConfig { vocabulary: 257, ..small },
        ModelConfig { width: 260, ..small },
        ModelConfig { heads: 16, ..small }, // two channels a head
        ModelConfig { width: 256, heads: 64, ..small },
    ] {
        assert!(!generates(&card, too_large), "{too_large:?}");
    }
    assert!(!cpu().generates(&small, 32));
    let gpu = gpu();
    assert_eq!(generates(&gpu, small), !gpu.adapter().is_software);
}
