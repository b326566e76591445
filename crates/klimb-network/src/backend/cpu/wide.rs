//! The widest vectors this processor has.
//!
//! A program for x86-64 may assume only the 128-bit vectors of 2003. Twins are therefore compiled twice, and run with
//! AVX2 where there is AVX2. WebAssembly and other processors have one width, known when compiling.

/// Runs `kernel` with the widest vectors there are. Only what is inlined into the closure gains, so the closure, the twin
/// it calls and the sums inside are all `#[inline(always)]`.
#[inline(always)]
pub fn widest<R>(kernel: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: AVX2 was just detected, and it is all that `with_avx2` asks for.
        return unsafe { with_avx2(kernel) };
    }
    kernel()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<R>(kernel: impl FnOnce() -> R) -> R {
    kernel()
}
