//! The WGSL shaders, run by wgpu.
