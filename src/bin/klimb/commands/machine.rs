//! Which backend a command runs on.

use clap::{Args, ValueEnum};
use klimb::backend::cpu::Cpu;
use klimb::backend::gpu::{Gpu, Preference};

use super::Failure;

/// The two backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// The processor: works everywhere
    Cpu,
    /// WGSL shaders on Vulkan, Metal or DirectX 12 (the environment variable KLIMB_ADAPTER picks an adapter by name)
    Gpu,
}

/// The choice, shared by every command that computes.
#[derive(Debug, Clone, Copy, Args)]
pub struct BackendArguments {
    /// What computes; the results agree up to rounding
    #[arg(long, value_enum, default_value = "cpu")]
    pub backend: Backend,
}

/// An opened backend.
pub enum Machine {
    Cpu(Cpu<f32>),
    Gpu(Box<Gpu>),
}

impl BackendArguments {
    /// Opens the backend, or says why it cannot be.
    pub fn open(self) -> Result<Machine, Failure> {
        Ok(match self.backend {
            Backend::Cpu => Machine::Cpu(Cpu::new()),
            Backend::Gpu => Machine::Gpu(Box::new(pollster::block_on(Gpu::new(Preference::default()))?)),
        })
    }
}

impl Machine {
    /// `cpu` or `gpu`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cpu(_) => "cpu",
            Self::Gpu(_) => "gpu",
        }
    }

    /// The graphics adapter, if there is one.
    pub fn adapter(&self) -> Option<String> {
        match self {
            Self::Cpu(_) => None,
            Self::Gpu(gpu) => Some(format!("{} ({})", gpu.adapter().name, gpu.adapter().backend)),
        }
    }
}

/// Runs `$body` with `$k` the opened backend, whichever it is.
macro_rules! on {
    ($machine:expr, $k:ident => $body:expr) => {
        match $machine {
            $crate::commands::machine::Machine::Cpu(mut backend) => {
                let $k = &mut backend;
                $body
            }
            $crate::commands::machine::Machine::Gpu(mut backend) => {
                let $k = &mut *backend;
                $body
            }
        }
    };
}
pub(super) use on;
