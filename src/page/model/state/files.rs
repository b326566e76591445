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
