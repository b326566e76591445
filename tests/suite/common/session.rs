//! A student's session, on the CPU unless said otherwise, from the shipped models, as it stands when a page has opened it. Its clock stands still.

use klimb::backend::Kernels;
use klimb::backend::cpu::Cpu;
use klimb::engine::protocol::{BackendKind, Badge, Checkpoints};
use klimb::engine::session::Session;
use klimb::engine::settings::Settings;
use pollster::block_on;

/// A session with these settings, opened.
pub fn session(settings: Settings) -> Session<Cpu<f32>> {
    session_on(Cpu::new(), settings)
}

/// What is said of the backend.
pub fn badge() -> Badge {
    Badge { kind: BackendKind::Cpu, adapter: None, why: klimb::Message::verbatim("this is a test."), remedy: None }
}

/// The shipped models.
pub fn checkpoints() -> Checkpoints {
    Checkpoints {
        base: include_bytes!("../../../www/assets/base.safetensors").to_vec(),
        sft: include_bytes!("../../../www/assets/sft.safetensors").to_vec(),
        optimum: include_bytes!("../../../www/assets/optimum.json").to_vec(),
        preferences: Vec::new(),
    }
}

/// The same on any backend.
pub fn session_on<K: Kernels>(k: K, settings: Settings) -> Session<K> {
    let mut session = unopened(k, settings);
    block_on(session.open());
    session
}

/// The same before a page has opened it.
pub fn unopened<K: Kernels>(k: K, settings: Settings) -> Session<K> {
    let session = Session::new(k, || 0.0, badge(), settings, &checkpoints());
    session.expect("the shipped checkpoints are valid")
}
