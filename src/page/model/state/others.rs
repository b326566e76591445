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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::model::export;
    use crate::page::model::fixtures::runs;

    #[test]
    fn runs_out_of_files_stand_before_those_of_receipts() {
        let page = runs();
        let imported = ImportedRuns::parse("a.json", export::json(&page, "").as_bytes()).expect("numbers");
        let of_file = imported.trails.len();
        let others = OtherRuns { imported: vec![imported], receipts: vec![page.receipt()], ..OtherRuns::default() };
        let trails: Vec<Trail> = others.trails().collect();
        assert!(of_file > 0 && trails.len() > of_file);
        assert!(trails[..of_file].iter().all(|trail| trail.label.ends_with("from a.json")));
        assert!(trails[of_file..].iter().all(|trail| !trail.label.ends_with("from a.json")));
    }
}
