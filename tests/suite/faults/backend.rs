//! A backend that fails on purpose: the CPU's, which loses its device, cannot be read or writes what is no number at a place
//! that is told beforehand. Lost, it behaves as a graphics device does: what is recorded goes nowhere, nothing panics, and
//! every read answers with the first error.

use std::cell::RefCell;
use std::future::ready;
use std::ops::Range;
use std::rc::Rc;

use klimb::backend::cpu::Cpu;
use klimb::backend::*;
use klimb::model::ModelConfig;

/// What goes wrong, once. Places are counted from 0, from when the fault is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The device is gone from this kernel on.
    LostAtKernel(u64),
    /// The device is gone from this read on, as it is when nothing is recorded in between.
    LostAtRead(u64),
    /// This read alone cannot be answered.
    FailedRead(u64),
    /// The device refuses commands from this kernel on: it has run out of memory.
    RefusedAtKernel(u64),
    /// Every buffer of reals that this kernel writes is full of what is no number.
    NanFromKernel(u64),
    /// So is the second half of the values of this write from the host, coins left out: the host draws them between 0 and 1,
    /// and what is no number would be a draw like another.
    NanFromWrite(u64),
}

/// What happened since the fault was set.
#[derive(Debug, Default)]
pub struct Course {
    fault: Option<Fault>,
    kernels: u64,
    reads: u64,
    writes: u64,
    /// What every read answers from now on.
    error: Option<BackendError>,
    /// Whether the fault has come.
    pub has_come: bool,
}

/// The course of a backend, in the hands of its session and of whoever sets faults.
#[derive(Debug, Clone, Default)]
pub struct Faults(Rc<RefCell<Course>>);

impl Faults {
    /// Sets a fault; places are counted from here.
    pub fn set(&self, fault: Fault) {
        *self.0.borrow_mut() = Course { fault: Some(fault), ..Course::default() };
    }

    /// Sets none.
    pub fn none(&self) {
        *self.0.borrow_mut() = Course::default();
    }

    /// Whether the fault has come.
    pub fn have_come(&self) -> bool {
        self.0.borrow().has_come
    }

    /// The fault, if it comes at this place.
    fn at(&self, place: impl FnOnce(&mut Course) -> Option<Fault>) -> Option<Fault> {
        let mut course = self.0.borrow_mut();
        let fault = place(&mut course);
        let comes = fault.is_some() && fault == course.fault;
        course.has_come |= comes;
        fault.filter(|_| comes)
    }

    /// Counts a kernel. Answers whether it runs, and whether it writes what is no number.
    fn kernel(&self) -> (bool, bool) {
        let next = |course: &mut Course| {
            let at = course.kernels;
            course.kernels += 1;
            match course.fault? {
                Fault::LostAtKernel(_) => Some(Fault::LostAtKernel(at)),
                Fault::RefusedAtKernel(_) => Some(Fault::RefusedAtKernel(at)),
                Fault::NanFromKernel(_) => Some(Fault::NanFromKernel(at)),
                Fault::LostAtRead(_) | Fault::FailedRead(_) | Fault::NanFromWrite(_) => None,
            }
        };
        let fault = self.at(next);
        let error = match fault {
            Some(Fault::LostAtKernel(_)) => Some(BackendError::DeviceLost("Destroyed: by a test".into())),
            Some(Fault::RefusedAtKernel(_)) => Some(BackendError::Refused("Out of memory".into())),
            _ => None,
        };
        let mut course = self.0.borrow_mut();
        course.error = course.error.take().or(error);
        (course.error.is_none(), matches!(fault, Some(Fault::NanFromKernel(_))))
    }

    /// Counts a write. Answers whether it is of what is no number.
    fn write(&self) -> bool {
        let next = |course: &mut Course| {
            course.writes += 1;
            matches!(course.fault, Some(Fault::NanFromWrite(_))).then_some(Fault::NanFromWrite(course.writes - 1))
        };
        self.at(next).is_some()
    }

    /// Counts a read, or a wait. Answers with what it fails with.
    fn read(&self) -> Option<BackendError> {
        let next = |course: &mut Course| {
            course.reads += 1;
            match course.fault? {
                Fault::LostAtRead(_) => Some(Fault::LostAtRead(course.reads - 1)),
                Fault::FailedRead(_) => Some(Fault::FailedRead(course.reads - 1)),
                _ => None,
            }
        };
        let fault = self.at(next);
        let mut course = self.0.borrow_mut();
        if let Some(Fault::LostAtRead(_)) = fault {
            course.error = Some(BackendError::DeviceLost("Destroyed: by a test".into()));
        }
        let failed = matches!(fault, Some(Fault::FailedRead(_)));
        course.error.clone().or_else(|| failed.then(|| BackendError::Readback("by a test".into())))
    }
}

/// The CPU backend with faults.
#[derive(Debug, Default)]
pub struct Faulty {
    cpu: Cpu<f32>,
    faults: Faults,
    /// Whether it writes sequences in one kernel, as a graphics card does.
    pub writes_as_card: bool,
    /// Where buffers of coins lie.
    coins: Vec<*const f32>,
}

impl Faulty {
    /// A backend without a fault, and what sets one.
    pub fn new(writes_as_card: bool) -> (Self, Faults) {
        let faults = Faults::default();
        (Self { cpu: Cpu::new(), faults: faults.clone(), writes_as_card, coins: Vec::new() }, faults)
    }
}

/// An argument of a kernel, which is looked at before and after the kernel had it.
trait Argument {
    type Again<'b>
    where
        Self: 'b;
    /// The same argument once more.
    fn again(&mut self) -> Self::Again<'_>;
    /// Fills what the kernel writes with what is no number.
    fn spoil(&mut self) {}
}

impl<'a, T> Argument for &'a Vec<T> {
    type Again<'b>
        = &'a Vec<T>
    where
        Self: 'b;
    fn again(&mut self) -> &'a Vec<T> {
        self
    }
}

impl Argument for &mut Vec<f32> {
    type Again<'b>
        = &'b mut Vec<f32>
    where
        Self: 'b;
    fn again(&mut self) -> &mut Vec<f32> {
        self
    }
    fn spoil(&mut self) {
        self.fill(f32::NAN);
    }
}

impl Argument for &mut Vec<u32> {
    type Again<'b>
        = &'b mut Vec<u32>
    where
        Self: 'b;
    fn again(&mut self) -> &mut Vec<u32> {
        self
    }
}

impl<'a, T> Argument for At<'a, Vec<T>> {
    type Again<'b>
        = At<'a, Vec<T>>
    where
        Self: 'b;
    fn again(&mut self) -> At<'a, Vec<T>> {
        *self
    }
}

impl Argument for AtMut<'_, Vec<f32>> {
    type Again<'b>
        = AtMut<'b, Vec<f32>>
    where
        Self: 'b;
    fn again(&mut self) -> AtMut<'_, Vec<f32>> {
        AtMut::new(self.buffer, self.offset)
    }
    fn spoil(&mut self) {
        self.buffer[self.offset..].fill(f32::NAN);
    }
}

impl<A: Argument, B: Argument> Argument for (A, B) {
    type Again<'b>
        = (A::Again<'b>, B::Again<'b>)
    where
        Self: 'b;
    fn again(&mut self) -> (A::Again<'_>, B::Again<'_>) {
        (self.0.again(), self.1.again())
    }
    fn spoil(&mut self) {
        self.0.spoil();
        self.1.spoil();
    }
}

macro_rules! plain {
    ($($size:ty),*) => {$(
        impl Argument for $size {
            type Again<'b> = $size;
            fn again(&mut self) -> $size {
                *self
            }
        }
    )*};
}
plain!(
    usize,
    AdamwSize,
    AttentionSize,
    DecodeSize,
    DpoSize,
    EmbedSize,
    GenerateSize,
    LogitsSize,
    MatmulSize,
    MetricsSize,
    NormSize,
    PpoSize,
    SampleSize,
    SequenceSize
);

macro_rules! kernels {
    ($(fn $kernel:ident($($argument:ident: $type:ty),*);)*) => {$(
        fn $kernel(&mut self, $(mut $argument: $type),*) {
            let (runs, spoils) = self.faults.kernel();
            if runs {
                self.cpu.$kernel($($argument.again()),*);
            }
            if spoils {
                $($argument.spoil();)*
            }
        }
    )*};
}

type Floats = Vec<f32>;
type Integers = Vec<u32>;

impl Kernels for Faulty {
    type Real = f32;
    type Floats = Floats;
    type Integers = Integers;

    fn floats(&mut self, label: &'static str, len: usize) -> Floats {
        let buffer = self.cpu.floats(label, len);
        // Memory that a buffer of coins gave back may be this one's.
        self.coins.retain(|it| *it != buffer.as_ptr());
        if label == "coins" {
            self.coins.push(buffer.as_ptr());
        }
        buffer
    }

    fn integers(&mut self, label: &'static str, len: usize) -> Integers {
        self.cpu.integers(label, len)
    }

    fn write_floats(&mut self, buffer: &mut Floats, offset: usize, values: &[f32]) {
        self.cpu.write_floats(buffer, offset, values);
        if !self.coins.contains(&buffer.as_ptr()) && self.faults.write() {
            // The second half: in front stand a step's settings, behind them the numbers.
            buffer[offset + values.len() / 2..offset + values.len()].fill(f32::NAN);
        }
    }

    fn write_integers(&mut self, buffer: &mut Integers, offset: usize, values: &[u32]) {
        self.cpu.write_integers(buffer, offset, values);
    }

    fn submit(&mut self) {
        self.cpu.submit();
    }

    fn read_floats(
        &mut self,
        buffer: &Floats,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<f32>, BackendError>> + 'static + use<> {
        self.cpu.submit();
        ready(self.faults.read().map_or_else(|| Ok(buffer[range].to_vec()), Err))
    }

    fn read_integers(
        &mut self,
        buffer: &Integers,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<u32>, BackendError>> + 'static + use<> {
        self.cpu.submit();
        ready(self.faults.read().map_or_else(|| Ok(buffer[range].to_vec()), Err))
    }

    fn finished(&mut self) -> impl Future<Output = Result<(), BackendError>> + 'static + use<> {
        self.cpu.submit();
        ready(self.faults.read().map_or(Ok(()), Err))
    }

    fn counters(&self) -> Counters {
        self.cpu.counters()
    }

    fn forget(&mut self) {
        self.cpu.forget();
    }

    fn generates(&self, _: &ModelConfig, _: usize) -> bool {
        self.writes_as_card
    }

    kernels! {
        fn copy_floats(source: &Floats, destination: &mut Floats);
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
        fn generate(size: GenerateSize, parameters: &Floats, coins: At<Floats>, settings: At<Floats>, prompt_lengths: &Integers, cache: &mut Floats, tokens: &mut Integers);
    }
}
