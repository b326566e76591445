//! Takes runs out of files into the chart, and says what came of it.

use super::action::run;
use super::{Act, Action, Page, View, dom};
use crate::page::model::change::Change;
use crate::page::model::{accepted_files, imported_runs};
use klimb_text::Message;

/// The runs out of files.
pub struct ImportedRuns;

const ACTIONS: &[Action<ImportedRuns>] = &[Action::click("clear-imported-runs", |_, page, _| {
    page.state.others.imported.clear();
    dom::set_text("former-said", "");
    show(page);
})];

impl View for ImportedRuns {
    fn shows(&self) -> &'static [Change] {
        &[]
    }

    fn take_over(&mut self, _page: &mut Page) {
        dom::flag("former", "hidden", true);
        dom::set_text("former-said", "");
    }

    fn draw(&mut self, _page: &mut Page) {}

    fn act(&mut self, page: &mut Page, act: &Act) -> bool {
        run(ACTIONS, self, page, act)
    }
}

/// Shows the runs of a file of numbers; a file of the same name is replaced.
///
/// # Errors
/// Why it cannot be used, as a clause; nothing is replaced.
pub fn take(page: &mut Page, file: &str, bytes: &[u8]) -> Result<(), Message> {
    let imported = imported_runs::ImportedRuns::parse(file, bytes)?;
    let before = page.state.others.imported.iter().find(|other| other.file == imported.file);
    let said = accepted_files::numbers(&imported, before);
    page.state.files.accepted.push(said);
    dom::set_text(
        "former-said",
        &say!("In the chart now: {} runs with {} points.", imported.trails.len(), imported.points().count()),
    );
    dom::set_text("former-address", &say!("open the settings of {}", file));
    dom::set_attribute(&dom::element("former-address"), "href", Some(&format!("?{}", imported.settings)));
    page.state.others.imported.retain(|other| other.file != imported.file);
    page.state.others.imported.push(imported);
    show(page);
    Ok(())
}

fn show(page: &mut Page) {
    dom::flag("former", "hidden", page.state.others.imported.is_empty());
    page.state.mark(Change::Shown);
}
