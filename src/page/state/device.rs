//! Which device is chosen, after the engine had to leave the one that was.

use super::State;
use crate::engine::protocol::BackendKind;
use crate::engine::settings::BackendChoice;

impl State {
    /// After the graphics device was lost the CPU is the choice, so that the GPU can be chosen again.
    pub(super) fn follow_device(&mut self, kind: BackendKind) {
        let is_elsewhere = (self.settings.backend, kind) == (BackendChoice::Gpu, BackendKind::Cpu);
        if is_elsewhere && !self.orders.awaits_engine() {
            self.settings.backend = BackendChoice::Cpu;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::{Badge, Command, Event, Ready};
    use crate::engine::settings::Settings;

    #[test]
    fn the_choice_follows_the_engine_but_not_an_answer_to_an_earlier_choice() {
        let ready = |kind| {
            let backend = Badge { kind, adapter: None, why: "this is a test.".into(), remedy: None };
            Event::Ready(Ready { backend, parameters: 1, vocabulary: 1, width: 32, layers: 1, words: Vec::new() })
        };
        let on_gpu = Settings { backend: BackendChoice::Gpu, ..Settings::default() };
        let mut state = State::new(on_gpu);
        let order = state.order(Command::Start(on_gpu));
        state.apply(ready(BackendKind::Cpu));
        assert_eq!(state.settings.backend, BackendChoice::Gpu, "the engine that was asked for is not there yet");
        state.apply(Event::Acknowledged(order.id));
        state.apply(ready(BackendKind::Gpu));
        assert_eq!(state.settings.backend, BackendChoice::Gpu);
        state.apply(ready(BackendKind::Cpu));
        assert_eq!(state.settings.backend, BackendChoice::Cpu, "its device was lost");
    }
}
