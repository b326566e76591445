//! The session on the backend that suits this browser. Wasm alone.

use super::protocol::{Adapter, BackendKind, Badge, Checkpoints, Command, Event, Failure};
use super::session::Session;
use super::settings::{BackendChoice, Settings};
use crate::backend::cpu::Cpu;
use crate::backend::gpu::{self, Gpu, Preference};

/// What the worker drives: nothing yet, or a session on either backend.
#[derive(Default)]
pub enum Machine {
    /// No `Start` has come, or none could be obeyed.
    #[default]
    Empty,
    /// Trains in WebAssembly.
    Cpu(Box<Session<Cpu<f32>>>),
    /// Trains on WebGPU.
    Gpu(Box<Session<Gpu>>),
}

impl Machine {
    /// Obeys a command. `Start` builds another session, and a refused one leaves the old as it was.
    pub async fn handle(&mut self, command: Command) -> Vec<Event> {
        if let Command::Start { settings, checkpoints } = command {
            return match Self::built(settings, &checkpoints).await {
                Ok(built) => {
                    *self = built;
                    match self {
                        Self::Empty => Vec::new(),
                        Self::Cpu(session) => session.open().await,
                        Self::Gpu(session) => session.open().await,
                    }
                }
                Err(failure) => vec![Event::Failure(failure)],
            };
        }
        match self {
            Self::Empty => Vec::new(),
            Self::Cpu(session) => session.handle(command).await,
            Self::Gpu(session) => session.handle(command).await,
        }
    }

    /// Does one slice of work.
    pub async fn advance(&mut self) -> Vec<Event> {
        match self {
            Self::Empty => Vec::new(),
            Self::Cpu(session) => session.advance().await,
            Self::Gpu(session) => session.advance().await,
        }
    }

    /// Whether there is work.
    pub fn busy(&self) -> bool {
        match self {
            Self::Empty => false,
            Self::Cpu(session) => session.busy(),
            Self::Gpu(session) => session.busy(),
        }
    }

    /// The backend the person chose, or the one that is faster here: an adapter that is only software loses to
    /// WebAssembly by an order of magnitude.
    async fn built(settings: Settings, checkpoints: &Checkpoints) -> Result<Self, Failure> {
        let on_cpu = |adapter, why: &str, remedy: Option<&str>| {
            let badge = badge(BackendKind::Cpu, adapter, why, remedy);
            let session = Session::new(Cpu::new(), seconds, badge, settings, checkpoints)?;
            Ok(Self::Cpu(Box::new(session)))
        };
        let on_gpu = |gpu: Gpu, why: &str, remedy: Option<&str>| {
            let badge = badge(BackendKind::Gpu, Some(described(gpu.adapter())), why, remedy);
            let session = Session::new(gpu, seconds, badge, settings, checkpoints)?;
            Ok(Self::Gpu(Box::new(session)))
        };
        if settings.backend == BackendChoice::Cpu {
            return on_cpu(None, "you chose it.", None);
        }
        match (Gpu::new(Preference::default()).await, settings.backend) {
            (Ok(gpu), _) if !gpu.adapter().is_software => on_gpu(gpu, "a graphics adapter is there.", None),
            (Ok(gpu), BackendChoice::Gpu) => {
                on_gpu(gpu, "you chose it.", Some("The adapter is emulated in software; the CPU would be faster."))
            }
            (Ok(gpu), _) => {
                let why = "the graphics adapter is emulated in software, which is slower.";
                on_cpu(
                    Some(described(gpu.adapter())),
                    why,
                    Some("Hardware acceleration in the browser's settings may help."),
                )
            }
            (Err(error), BackendChoice::Gpu) => Err(Failure {
                sentence: format!("The GPU cannot be used: {error}."),
                remedy: "Choose “auto” or “CPU” under “runs on”.".into(),
                field: Some("backend".into()),
                stopped: true,
            }),
            (Err(_), _) => on_cpu(
                None,
                "this browser offers no graphics adapter.",
                Some("A recent Chrome, Edge, Safari or Firefox with WebGPU trains faster."),
            ),
        }
    }
}

fn badge(kind: BackendKind, adapter: Option<Adapter>, why: &str, remedy: Option<&str>) -> Badge {
    Badge { kind, adapter, why: why.into(), remedy: remedy.map(Into::into) }
}

fn described(adapter: &gpu::Adapter) -> Adapter {
    Adapter {
        name: adapter.name.clone(),
        vendor: adapter.driver.clone(),
        architecture: String::new(),
        software: adapter.is_software,
    }
}

/// The worker's clock, in seconds.
fn seconds() -> f64 {
    super::worker::now() / 1000.0
}
