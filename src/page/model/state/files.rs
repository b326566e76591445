//! Files that go in and out.

use super::export::Export;
use crate::engine::protocol::Loaded;
use crate::page::model::accepted_files;
use crate::page::model::submitted_files::SubmittedFiles;

/// Files that go in and out.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// Those that were handed over and not answered yet.
    pub submitted: SubmittedFiles,
    /// What is said of those that were taken up, a sentence each.
    pub accepted: Vec<String>,
    /// One that is to be handed to the person.
    pub export: Option<Export>,
}

impl Files {
    /// The engine has taken something up; answers whether that was a file of the person's.
    pub(super) fn accept(&mut self, loaded: &Loaded) -> bool {
        let file = self.submitted.accept();
        self.accepted.extend(file.as_ref().map(|file| accepted_files::loaded(file, loaded)));
        file.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_takes_up_is_said_where_it_was_a_file() {
        let loaded = Loaded::Model { stage: "dpo".into(), step: 120, is_same: false };
        let mut files = Files::default();
        assert!(!files.accept(&loaded) && files.accepted.is_empty(), "nobody has handed a file over");
        files.submitted.add(1, vec![(1, "m.safetensors".into())], Vec::new());
        files.submitted.acknowledge(1);
        assert!(files.accept(&loaded));
        assert!(files.accepted[0].contains("m.safetensors"), "{:?}", files.accepted);
    }
}
