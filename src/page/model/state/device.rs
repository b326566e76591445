//! Which device and which width are chosen, where the engine has others than the choice would give.

use super::State;
use crate::engine::protocol::{BackendKind, Ready};
use crate::engine::settings::{BackendChoice, WidthChoice};

impl State {
    /// After the graphics device was lost the CPU is the choice, so that the GPU can be chosen again.
    pub(super) fn follow_device(&mut self, kind: BackendKind) {
        let is_elsewhere = (self.training.settings.backend, kind) == (BackendChoice::Gpu, BackendKind::Cpu);
        if is_elsewhere && !self.pending_commands.awaits_engine() {
            self.training.settings.backend = BackendChoice::Cpu;
        }
    }

    /// A model that went along to another device keeps its width, and the choice says so: address, receipt and exports could
    /// not repeat the run otherwise.
    pub(super) fn follow_width(&mut self) {
        let Some(Ready { backend, width, .. }) = &self.training.ready else { return };
        let is_software = backend.adapter.as_ref().is_some_and(|adapter| adapter.software);
        let by_choice = self.training.settings.width.width(backend.kind == BackendKind::Gpu && !is_software);
        if let Some(choice) =
            WidthChoice::of(*width).filter(|_| by_choice != *width && !self.pending_commands.awaits_engine())
        {
            self.training.settings.width = choice;
            self.training.settings = self.results.pair_names.take_settings_back(self.training.settings);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::{Badge, Command, Event};
    use crate::engine::settings::Settings;

    fn ready_of(kind: BackendKind, width: usize) -> Event {
        let backend =
            Badge { kind, adapter: None, why: klimb_text::Message::verbatim("this is a test."), remedy: None };
        Event::Ready(Ready { backend, parameters: 1, vocabulary: 1, width, layers: 1, words: Vec::new() })
    }

    #[test]
    fn a_model_that_goes_along_keeps_its_width_and_the_choice_says_so() {
        for (kind, width, choice) in [
            (BackendKind::Cpu, 32, WidthChoice::Auto),
            (BackendKind::Gpu, 64, WidthChoice::Auto),
            (BackendKind::Cpu, 64, WidthChoice::Wide),
            (BackendKind::Gpu, 32, WidthChoice::Narrow),
        ] {
            let mut state = State::new(Settings::default());
            state.apply(ready_of(kind, width));
            assert_eq!(state.training.settings, Settings { width: choice, ..Settings::default() }, "{kind:?} {width}");
        }
    }

    #[test]
    fn the_choice_follows_the_engine_but_not_an_answer_to_an_earlier_choice() {
        let ready = |kind| ready_of(kind, if kind == BackendKind::Gpu { 64 } else { 32 });
        let on_gpu = Settings { backend: BackendChoice::Gpu, ..Settings::default() };
        let mut state = State::new(on_gpu);
        let request = state.request(Command::Start(on_gpu));
        state.apply(ready(BackendKind::Cpu));
        assert_eq!(
            state.training.settings.backend,
            BackendChoice::Gpu,
            "the engine that was asked for is not there yet"
        );
        state.apply(Event::Acknowledged(request.id));
        state.apply(ready(BackendKind::Gpu));
        assert_eq!(state.training.settings.backend, BackendChoice::Gpu);
        state.apply(ready(BackendKind::Cpu));
        assert_eq!(state.training.settings.backend, BackendChoice::Cpu, "its device was lost");
    }
}
