//! Either backend behind one type, so that a program that offers both holds the network, the algorithms and the session
//! once, not once for each: for a page that has to travel, that is an eighth of its code.
//!
//! Each call finds its backend anew, which is nothing beside the kernel. Buffers are of the backend that made them; to mix
//! two is a bug.

use std::future::Future;
use std::ops::Range;

use super::cpu::Cpu;
use super::gpu::{Gpu, GpuFloats, GpuIntegers};
use super::{
    AdamwSize, At, AtMut, AttentionSize, BackendError, Counters, DecodeSize, DpoSize, EmbedSize, GenerateSize, Kernels,
    LogitsSize, MatmulSize, MetricsSize, NormSize, PpoSize, SampleSize, SequenceSize,
};
use crate::model::ModelConfig;

/// What belongs to one of two backends: the backend, a buffer, an answer to come.
#[derive(Debug)]
pub enum Either<C, G> {
    /// The processor's.
    Cpu(C),
    /// The graphics device's.
    Gpu(G),
}

/// The backend that a browser or a person chose, in f32.
pub type EitherBackend = Either<Box<Cpu<f32>>, Box<Gpu>>;
type Floats = Either<Vec<f32>, GpuFloats>;
type Integers = Either<Vec<u32>, GpuIntegers>;

/// An argument of a kernel as either backend takes it.
trait Argument {
    type Cpu;
    type Gpu;
    fn cpu(self) -> Self::Cpu;
    fn gpu(self) -> Self::Gpu;
}

const MIXED: &str = "a buffer of another backend";

impl<'a, C, G> Argument for &'a Either<C, G> {
    type Cpu = &'a C;
    type Gpu = &'a G;
    fn cpu(self) -> &'a C {
        let Either::Cpu(buffer) = self else { panic!("{MIXED}") };
        buffer
    }
    fn gpu(self) -> &'a G {
        let Either::Gpu(buffer) = self else { panic!("{MIXED}") };
        buffer
    }
}

impl<'a, C, G> Argument for &'a mut Either<C, G> {
    type Cpu = &'a mut C;
    type Gpu = &'a mut G;
    fn cpu(self) -> &'a mut C {
        let Either::Cpu(buffer) = self else { panic!("{MIXED}") };
        buffer
    }
    fn gpu(self) -> &'a mut G {
        let Either::Gpu(buffer) = self else { panic!("{MIXED}") };
        buffer
    }
}

impl<'a, C, G> Argument for At<'a, Either<C, G>> {
    type Cpu = At<'a, C>;
    type Gpu = At<'a, G>;
    fn cpu(self) -> At<'a, C> {
        At::new(self.buffer.cpu(), self.offset)
    }
    fn gpu(self) -> At<'a, G> {
        At::new(self.buffer.gpu(), self.offset)
    }
}

impl<'a, C, G> Argument for AtMut<'a, Either<C, G>> {
    type Cpu = AtMut<'a, C>;
    type Gpu = AtMut<'a, G>;
    fn cpu(self) -> AtMut<'a, C> {
        AtMut::new(self.buffer.cpu(), self.offset)
    }
    fn gpu(self) -> AtMut<'a, G> {
        AtMut::new(self.buffer.gpu(), self.offset)
    }
}

impl<A: Argument, B: Argument> Argument for (A, B) {
    type Cpu = (A::Cpu, B::Cpu);
    type Gpu = (A::Gpu, B::Gpu);
    fn cpu(self) -> Self::Cpu {
        (self.0.cpu(), self.1.cpu())
    }
    fn gpu(self) -> Self::Gpu {
        (self.0.gpu(), self.1.gpu())
    }
}

/// Sizes are the same for both.
macro_rules! same {
    ($($size:ty),*) => {$(
        impl Argument for $size {
            type Cpu = Self;
            type Gpu = Self;
            fn cpu(self) -> Self {
                self
            }
            fn gpu(self) -> Self {
                self
            }
        }
    )*};
}
same!(
    usize,
    AdamwSize,
    AttentionSize,
    DecodeSize,
    DpoSize,
    EmbedSize,
    LogitsSize,
    MatmulSize,
    MetricsSize,
    NormSize,
    PpoSize,
    SampleSize,
    SequenceSize
);

/// Hands each kernel to the backend that is there. Never inlined: a network whose kernels are all copied into one function
/// is too much for a browser's compiler, and half as fast.
macro_rules! hand_on {
    ($(fn $kernel:ident($($argument:ident: $type:ty),*);)*) => {$(
        #[inline(never)]
        fn $kernel(&mut self, $($argument: $type),*) {
            match self {
                Self::Cpu(k) => k.$kernel($($argument.cpu()),*),
                Self::Gpu(k) => k.$kernel($($argument.gpu()),*),
            }
        }
    )*};
}

impl<T, C, G> Either<C, G>
where
    C: Future<Output = Result<T, BackendError>>,
    G: Future<Output = Result<T, BackendError>>,
{
    async fn answer(self) -> Result<T, BackendError> {
        match self {
            Self::Cpu(answer) => answer.await,
            Self::Gpu(answer) => answer.await,
        }
    }
}

impl Kernels for EitherBackend {
    type Real = f32;
    type Floats = Floats;
    type Integers = Integers;

    fn floats(&mut self, label: &'static str, len: usize) -> Floats {
        match self {
            Self::Cpu(k) => Either::Cpu(k.floats(label, len)),
            Self::Gpu(k) => Either::Gpu(k.floats(label, len)),
        }
    }

    fn integers(&mut self, label: &'static str, len: usize) -> Integers {
        match self {
            Self::Cpu(k) => Either::Cpu(k.integers(label, len)),
            Self::Gpu(k) => Either::Gpu(k.integers(label, len)),
        }
    }

    fn write_floats(&mut self, buffer: &mut Floats, offset: usize, values: &[f32]) {
        match self {
            Self::Cpu(k) => k.write_floats(buffer.cpu(), offset, values),
            Self::Gpu(k) => k.write_floats(buffer.gpu(), offset, values),
        }
    }

    fn write_integers(&mut self, buffer: &mut Integers, offset: usize, values: &[u32]) {
        match self {
            Self::Cpu(k) => k.write_integers(buffer.cpu(), offset, values),
            Self::Gpu(k) => k.write_integers(buffer.gpu(), offset, values),
        }
    }

    fn read_floats(
        &mut self,
        buffer: &Floats,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<f32>, BackendError>> + 'static + use<> {
        match self {
            Self::Cpu(k) => Either::Cpu(k.read_floats(buffer.cpu(), range)),
            Self::Gpu(k) => Either::Gpu(k.read_floats(buffer.gpu(), range)),
        }
        .answer()
    }

    fn read_integers(
        &mut self,
        buffer: &Integers,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<u32>, BackendError>> + 'static + use<> {
        match self {
            Self::Cpu(k) => Either::Cpu(k.read_integers(buffer.cpu(), range)),
            Self::Gpu(k) => Either::Gpu(k.read_integers(buffer.gpu(), range)),
        }
        .answer()
    }

    fn failure(&self) -> Option<BackendError> {
        match self {
            Self::Cpu(k) => k.failure(),
            Self::Gpu(k) => k.failure(),
        }
    }

    fn finished(&mut self) -> impl Future<Output = Result<(), BackendError>> + 'static + use<> {
        match self {
            Self::Cpu(k) => Either::Cpu(k.finished()),
            Self::Gpu(k) => Either::Gpu(k.finished()),
        }
        .answer()
    }

    fn counters(&self) -> Counters {
        match self {
            Self::Cpu(k) => k.counters(),
            Self::Gpu(k) => k.counters(),
        }
    }

    fn generates(&self, model: &ModelConfig, length: usize) -> bool {
        match self {
            Self::Cpu(k) => k.generates(model, length),
            Self::Gpu(k) => k.generates(model, length),
        }
    }

    hand_on! {
        fn copy_floats(source: &Floats, destination: &mut Floats);
        fn submit();
        fn forget();
        fn embed_forward(size: EmbedSize, tokens: At<Integers>, parameters: At<Floats>, x: &mut Floats);
        fn embed_backward(size: EmbedSize, occurrences: At<Integers>, dx: &Floats, dparameters: AtMut<Floats>);
        fn layer_norm_forward(size: NormSize, x: &Floats, weights: At<Floats>, out: &mut Floats, moments: &mut Floats);
        fn layer_norm_backward(size: NormSize, x: &Floats, weights: At<Floats>, moments: &Floats, dout: &Floats, dx: &mut Floats);
        fn layer_norm_backward_weights(size: NormSize, x: &Floats, moments: &Floats, dout: &Floats, dweights: AtMut<Floats>);
        fn matmul_forward(size: MatmulSize, x: &Floats, weights: At<Floats>, out: &mut Floats);
        fn matmul_gelu_forward(size: MatmulSize, x: &Floats, weights: At<Floats>, pre: &mut Floats, out: &mut Floats);
        fn matmul_residual_forward(size: MatmulSize, x: &Floats, weights: At<Floats>, residual: &Floats, out: &mut Floats);
        fn matmul_backward_input(size: MatmulSize, dout: &Floats, weights: At<Floats>, dx: &mut Floats);
        fn matmul_gelu_backward_input(size: MatmulSize, dout: &Floats, weights: At<Floats>, pre: &Floats, dpre: &mut Floats);
        fn matmul_backward_weights(size: MatmulSize, x: &Floats, dout: &Floats, dweights: AtMut<Floats>);
        fn attention_forward(size: AttentionSize, qkv: &Floats, out: &mut Floats, logsumexps: &mut Floats);
        fn attention_backward(size: AttentionSize, qkv: &Floats, out: &Floats, logsumexps: &Floats, dout: &Floats, dqkv: &mut Floats);
        fn attention_decode_forward(size: DecodeSize, qkv: &Floats, cache: &mut Floats, out: &mut Floats);
        fn logprobs_forward(size: LogitsSize, logits: &Floats, targets: At<Integers>, numbers: &mut Floats);
        fn logprobs_backward(size: LogitsSize, targets: At<Integers>, numbers: &Floats, dnumbers: &Floats, logits: &mut Floats);
        fn kl_forward(size: LogitsSize, policy_logits: &Floats, reference_logits: &Floats, kl_per_token: &mut Floats);
        fn sequence_logprobs_forward(size: SequenceSize, logprobs: &Floats, completion_mask: At<Floats>, sequence_logprobs: &mut Floats);
        fn sequence_logprobs_backward(size: SequenceSize, dsequence_logprobs: &Floats, completion_mask: At<Floats>, dlogprobs: &mut Floats);
        fn sft(rows: usize, logprobs: &Floats, weights: At<Floats>, dlogprobs: &mut Floats, statistics: &mut Floats);
        fn dpo(size: DpoSize, sequence_logprobs: &Floats, references: At<Floats>, settings: At<Floats>, dsequence_logprobs: &mut Floats, statistics: &mut Floats);
        fn unlikelihood(pairs: usize, sequence_logprobs: &Floats, settings: At<Floats>, dsequence_logprobs: &mut Floats, statistics: &mut Floats);
        fn bradley_terry(pairs: usize, scores: &Floats, dscores: &mut Floats, statistics: &mut Floats);
        fn ppo_policy(size: PpoSize, numbers: &Floats, weights: At<Floats>, rollout: At<Floats>, settings: At<Floats>, dnumbers: &mut Floats, statistics: AtMut<Floats>);
        fn ppo_value(size: PpoSize, values: &Floats, weights: At<Floats>, rollout: At<Floats>, settings: At<Floats>, dvalues: &mut Floats, statistics: AtMut<Floats>);
        fn record_rollout(rows: usize, tokens: &Integers, numbers: &Floats, reference_numbers: &Floats, kl_per_token: &Floats, values: &Floats, scores: &Floats, record: &mut Floats);
        fn squared_norm(len: usize, values: &Floats, partials: &mut Floats);
        fn record_metrics(size: MetricsSize, statistics: &Floats, partials: &Floats, settings: At<Floats>, metrics: &mut Floats);
        fn adamw(size: AdamwSize, settings: At<Floats>, partials: &Floats, parameters: &mut Floats, gradients: &mut Floats, moments: (&mut Floats, &mut Floats));
        fn sample(size: SampleSize, logits: &Floats, coins: At<Floats>, settings: At<Floats>, prompt_lengths: At<Integers>, tokens: &mut Integers);
    }

    /// Only a graphics device generates: the processor's twin, compiled in here, would be a second network that never runs.
    fn generate(
        &mut self,
        size: GenerateSize,
        parameters: &Floats,
        coins: At<Floats>,
        settings: At<Floats>,
        prompt_lengths: &Integers,
        cache: &mut Floats,
        tokens: &mut Integers,
    ) {
        let Self::Gpu(k) = self else { panic!("generate on a device that does not generate") };
        k.generate(
            size,
            parameters.gpu(),
            coins.gpu(),
            settings.gpu(),
            prompt_lengths.gpu(),
            cache.gpu(),
            tokens.gpu(),
        );
    }
}
