//! What makes a type a kernel: the macro that is written around the types of a file, and what each of them implements beside
//! [`Kernel`](crate::backend::interface::Kernel).
//!
//! A kernel is a struct with its arguments, generic over the backend whose buffers they are. Around the structs of a file
//! stands `kernels!`, which adds what follows from their fields. By hand is written what a person has to decide:
//! [`Dispatch`], what a device is told besides the buffers, and [`Twin`], the same arithmetic on the processor.

use crate::backend::cpu::Cpu;
use crate::backend::declaration::Field;
use crate::backend::interface::Written;
use crate::backend::{At, AtMut};
use klimb_numerics::real::Real;

/// What a device is told of a kernel besides its buffers.
pub trait Dispatch {
    /// The fields of the uniform block.
    const UNIFORMS: &'static [Field];

    /// What they hold, floats as bits.
    fn uniforms(&self) -> impl AsRef<[u32]>;

    /// Items that the grid covers.
    fn items(&self, is_software: bool) -> usize;

    /// Positions that enter a network, for [`Counters`](crate::backend::Counters).
    fn forward_tokens(&self) -> u64 {
        0
    }

    /// Positions whose gradient leaves a network, likewise.
    fn backward_tokens(&self) -> u64 {
        0
    }
}

/// The same arithmetic as the shader's on the processor, in the plainest loop that is still fast. `compute` and all it calls
/// are `#[inline(always)]`, to be compiled for the vectors of the processor at hand (`cpu/wide.rs`).
pub trait Twin {
    /// What it computes with.
    type Real;

    /// Computes, with room to work in that other kernels leave as they please.
    fn compute(self, scratch: &mut Vec<Self::Real>);
}

/// How the processor runs a kernel: by its twin, or in its own way.
pub trait OnCpu<F: Real>: Sized {
    /// Counts it and computes at once.
    fn on_cpu(self, k: &mut Cpu<F>);

    /// The same where another backend could have been chosen.
    fn on_chosen_cpu(self, k: &mut Cpu<F>) {
        self.on_cpu(k);
    }
}

impl<F: Real, T: Twin<Real = F> + Dispatch> OnCpu<F> for T {
    fn on_cpu(self, k: &mut Cpu<F>) {
        k.count(self.forward_tokens(), self.backward_tokens());
        k.compute(
            #[inline(always)]
            |scratch| self.compute(scratch),
        );
    }
}

/// A buffer among a kernel's arguments.
pub trait Argument {
    /// The same for a shorter time.
    type Borrowed<'b>
    where
        Self: 'b;

    /// The same argument for a moment.
    fn borrowed(&mut self) -> Self::Borrowed<'_>;

    /// The buffer, if it may be written.
    fn written(&mut self) -> Option<Written<'_>>;
}

impl<B> Argument for &B {
    type Borrowed<'b>
        = &'b B
    where
        Self: 'b;

    fn borrowed(&mut self) -> &B {
        self
    }

    fn written(&mut self) -> Option<Written<'_>> {
        None
    }
}

impl<B: 'static> Argument for &mut B {
    type Borrowed<'b>
        = &'b mut B
    where
        Self: 'b;

    fn borrowed(&mut self) -> &mut B {
        self
    }

    fn written(&mut self) -> Option<Written<'_>> {
        Some(Written { buffer: *self, offset: 0 })
    }
}

impl<B> Argument for At<'_, B> {
    type Borrowed<'b>
        = At<'b, B>
    where
        Self: 'b;

    fn borrowed(&mut self) -> At<'_, B> {
        *self
    }

    fn written(&mut self) -> Option<Written<'_>> {
        None
    }
}

impl<B: 'static> Argument for AtMut<'_, B> {
    type Borrowed<'b>
        = AtMut<'b, B>
    where
        Self: 'b;

    fn borrowed(&mut self) -> AtMut<'_, B> {
        AtMut::new(self.buffer, self.offset)
    }

    fn written(&mut self) -> Option<Written<'_>> {
        Some(Written { buffer: self.buffer, offset: self.offset })
    }
}

/// Sizes as the uniform block has them.
pub(super) fn words<const N: usize>(sizes: [usize; N]) -> [u32; N] {
    sizes.map(|size| u32::try_from(size).expect("a size beyond 32 bits"))
}

/// Floats as the uniform block has them.
pub(super) fn bits<const N: usize>(floats: [f64; N]) -> [u32; N] {
    floats.map(|float| (float as f32).to_bits())
}

/// The kernels of a shader: structs as they would stand without it, each with its entry point in front (name, shader,
/// invocations of a workgroup, grid), and in front of each field that is a buffer the number and the access of its binding.
/// Such a field has the name of the shader's variable.
///
/// It adds `run`, the trait `Kernel`, and `KERNELS`, which is how the kernels of a file come into the table.
macro_rules! kernels {
    ($(
        $(#[doc = $doc:literal])*
        #[entry_point($name:literal, $shader:ident, workgroup: [$($invocations:literal),*], grid: $grid:ident $($covered:tt)?)]
        pub struct $Kernel:ident<$a:lifetime, $K:ident> {
            $(
                $(#[doc = $field_doc:literal])*
                $(#[binding($number:literal, $access:ident)])?
                pub $field:ident: $type:ty,
            )*
        }
    )*) => {
        /// What the kernels of this file say of themselves.
        pub(super) const KERNELS: &[$crate::backend::declaration::Declaration] = {
            use $crate::backend::{gpu::Gpu, interface::Kernel};
            &[$(<$Kernel<'static, Gpu> as Kernel>::DECLARATION),*]
        };

        $(
            $(#[doc = $doc])*
            pub struct $Kernel<$a, $K: $crate::backend::Kernels> {
                $($(#[doc = $field_doc])* pub $field: $type,)*
            }

            const _: () = {
                use klimb_numerics::real::Real;
                use $crate::backend::cpu::Cpu;
                use $crate::backend::declaration::{Access, Declaration, Grid};
                use $crate::backend::either::{Either, EitherBackend, OfEither as _};
                use $crate::backend::gpu::{Bound as _, Gpu};
                use $crate::backend::interface::{Kernel, Kernels, Written};
                use $crate::backend::kernels::kernel::{Argument as _, Dispatch, OnCpu as _};

                impl<K: Kernels> $Kernel<'_, K> {
                    /// Computes at once on the processor, and is recorded on a graphics device.
                    pub fn run(self, k: &mut K) {
                        k.run::<$Kernel<'_, Gpu>>(self);
                    }
                }

                impl Kernel for $Kernel<'_, Gpu> {
                    const DECLARATION: Declaration = Declaration {
                        name: $name,
                        shader: $shader,
                        uniforms: <Self as Dispatch>::UNIFORMS,
                        bindings: &[$($(($number, stringify!($field), Access::$access),)?)*],
                        workgroup: [$($invocations),*],
                        grid: Grid::$grid $($covered)?,
                    };

                    type On<'b, K: Kernels> = $Kernel<'b, K>;

                    fn on_cpu<F: Real>(call: $Kernel<'_, Cpu<F>>, k: &mut Cpu<F>) {
                        call.on_cpu(k);
                    }

                    fn on_gpu(call: $Kernel<'_, Gpu>, k: &mut Gpu) {
                        k.record($name, &call, &[$($(kernels!(@bound call.$field, $number),)?)*]);
                    }

                    // Not inlined: a network whose kernels are all copied into one function is too much for a browser's
                    // compiler, and half as fast.
                    #[inline(never)]
                    fn on_either(call: $Kernel<'_, EitherBackend>, k: &mut EitherBackend) {
                        match k {
                            Either::Cpu(k) => $Kernel::<Cpu<f32>> {
                                $($field: kernels!(@argument call.$field.cpu $(, $number)?),)*
                            }
                            .on_chosen_cpu(k),
                            Either::Gpu(k) => Self::on_gpu(
                                $Kernel { $($field: kernels!(@argument call.$field.gpu $(, $number)?),)* },
                                k,
                            ),
                        }
                    }

                    fn borrowed<'b, A, B>(call: &'b mut $Kernel<'_, A>) -> $Kernel<'b, B>
                    where
                        A: Kernels,
                        B: Kernels<Floats = A::Floats, Integers = A::Integers>,
                    {
                        $Kernel { $($field: kernels!(@argument call.$field.borrowed $(, $number)?),)* }
                    }

                    fn written<'b, K: Kernels>(call: &'b mut $Kernel<'_, K>) -> Vec<Written<'b>> {
                        [$($(kernels!(@written call.$field, $number),)?)*].into_iter().flatten().collect()
                    }
                }
            };
        )*
    };

    // What has a binding's number is a buffer; what has none is a size, and the same for every backend.
    (@bound $call:ident.$field:ident, $number:literal) => { $call.$field.stored() };
    (@written $call:ident.$field:ident, $number:literal) => { $call.$field.written() };
    (@argument $call:ident.$field:ident.$method:ident, $number:literal) => { $call.$field.$method() };
    (@argument $call:ident.$field:ident.$method:ident) => { $call.$field };
}
pub(super) use kernels;
