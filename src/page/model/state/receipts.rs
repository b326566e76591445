//! What receipts and files tell of the runs there are.

use super::State;
use crate::engine::protocol::BackendKind;
use crate::page::model::build_name::{BUILD, program};
use crate::page::model::receipt::{Receipt, VERSION};
use crate::page::model::run_notes::RunNote;
use crate::page::model::runs::RunId;
use klimb_charts::Trail;

impl State {
    /// What this page's runs came to.
    pub fn receipt(&self) -> Receipt {
        let last = |(id, trail): (RunId, Trail)| {
            let point = trail.points.last().filter(|_| id.run > 0)?.clone();
            Some((point, self.note(&id)))
        };
        let (points, notes) = self.results.runs().into_iter().filter_map(last).unzip();
        let backend = self.training.ready.as_ref().map_or("", |ready| match ready.backend.kind {
            BackendKind::Cpu => "cpu",
            BackendKind::Gpu => "gpu",
        });
        Receipt {
            receipt: VERSION,
            program: BUILD.map_or_else(program, |build| format!("{} ({build})", program())),
            backend: backend.into(),
            settings: self.training.settings.to_query(),
            points,
            runs: notes,
        }
    }

    /// What files tell of the runs there are.
    pub fn run_notes(&self) -> Vec<RunNote> {
        self.results.runs().iter().filter_map(|(id, _)| self.note(id)).collect()
    }

    fn note(&self, run: &RunId) -> Option<RunNote> {
        self.results.pair_names.note(run, self.results.name(run).map(str::to_owned))
    }
}
