//! Runs that this page did not train, which stand beside its own.

use crate::page::model::imported_runs::ImportedRuns;
use crate::page::model::receipt::Receipt;
use klimb_charts::Trail;
use klimb_charts::recorded::Recorded;

/// Runs that this page did not train.
#[derive(Debug, Clone, Default)]
pub struct OtherRuns {
    /// What the native program measured once.
    pub recorded: Recorded,
    /// Runs out of files that were exported before.
    pub imported: Vec<ImportedRuns>,
    /// What others' runs came to.
    pub receipts: Vec<Receipt>,
}

impl OtherRuns {
    /// The runs out of files, and behind them, by number, those of others' receipts.
    pub fn trails(&self) -> impl Iterator<Item = Trail> {
        let imported = self.imported.iter().flat_map(|file| file.trails.clone());
        imported.chain(self.receipts.iter().enumerate().flat_map(|(whose, receipt)| receipt.trails(whose)))
    }
}
