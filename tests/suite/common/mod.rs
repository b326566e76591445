//! What several files of tests share: both backends, and the sentence that a missing adapter earns.

pub mod session;
pub mod student;
pub mod sweep;

use klimb::backend::gpu::{Gpu, Preference};

/// The GPU backend on whatever adapter there is; a software one will do.
pub fn gpu() -> Gpu {
    pollster::block_on(Gpu::new(Preference::default())).expect(
        "these tests need a graphics adapter; on Debian `apt-get install mesa-vulkan-drivers` gives a software one",
    )
}
