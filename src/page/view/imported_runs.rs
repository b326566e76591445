//! Takes former runs into the chart, and says what came of it.

use super::{Page, dom};
use crate::page::model::accepted_files;
use crate::page::model::imported_runs::ImportedRuns;
use crate::page::model::view_id::View;

/// Shows the runs of a file of numbers; a file of the same name is replaced.
///
/// # Errors
/// Why it cannot be used, as a clause; nothing is replaced.
pub fn take(page: &mut Page, file: &str, bytes: &[u8]) -> Result<(), String> {
    let former = ImportedRuns::parse(file, bytes)?;
    let before = page.state.imported_runs.iter().find(|other| other.file == former.file);
    let said = accepted_files::numbers(&former, before);
    page.state.accepted_files.push(said);
    dom::set_text(
        "former-said",
        &say!("In the chart now: {} runs with {} points.", former.trails.len(), former.points().count()),
    );
    dom::set_text("former-address", &say!("open the settings of {}", file));
    dom::set_attribute(&dom::element("former-address"), "href", Some(&format!("?{}", former.settings)));
    page.state.imported_runs.retain(|other| other.file != former.file);
    page.state.imported_runs.push(former);
    show(page);
    Ok(())
}

/// A click on the button that takes them out again; whether it was that.
pub fn click(page: &mut Page, id: &str) -> bool {
    let is_mine = id == "former-clear";
    if is_mine {
        page.state.imported_runs.clear();
        dom::set_text("former-said", "");
        show(page);
    }
    is_mine
}

fn show(page: &mut Page) {
    dom::flag("former", "hidden", page.state.imported_runs.is_empty());
    page.state.mark(&[View::Frontier]);
}
