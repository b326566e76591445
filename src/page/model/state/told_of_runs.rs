//! What receipts and files tell of the runs there are.

use super::State;
use crate::engine::protocol::BackendKind;
use crate::page::model::build_name::{BUILD, program};
use crate::page::model::receipt::{Receipt, VERSION};
use crate::page::model::run_notes::RunNote;
use crate::page::model::runs::{RunId, runs};
use klimb_charts::Trail;

impl State {
    /// What this page's runs came to.
    pub fn receipt(&self) -> Receipt {
        let named = |id: &RunId| self.results.marks.get(id).and_then(|mark| mark.name.clone());
        let last = |(id, trail): (RunId, Trail)| {
            let point = trail.points.last().filter(|_| id.run > 0)?.clone();
            Some((point, self.results.pair_names.note(&id, named(&id))))
        };
        let (points, notes) = runs(&self.results.points, &self.results.pair_names).into_iter().filter_map(last).unzip();
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
        let name = |id: &RunId| self.results.marks.get(id).and_then(|mark| mark.name.clone());
        let ids = runs(&self.results.points, &self.results.pair_names).into_iter().map(|(id, _)| id);
        ids.filter_map(|id| self.results.pair_names.note(&id, name(&id))).collect()
    }
}
