//! Takes former runs into the chart, and says what came of it.

use super::{Page, dom};
use crate::page::model::accepted_files;
use crate::page::model::imported_runs::FormerRuns;
use crate::page::model::view_id::View;

/// Shows the runs of a file of numbers; a file of the same name is replaced.
///
/// # Errors
/// Why it cannot be used, as a clause; nothing is replaced.
pub fn take(page: &mut Page, file: &str, bytes: &[u8]) -> Result<(), String> {
    let former = FormerRuns::parse(file, bytes)?;
    let before = page.state.former.iter().find(|other| other.file == former.file);
    let said = accepted_files::numbers(&former, before);
    page.state.taken.push(said);
    dom::set_text(
        "former-said",
        &say!("In the chart now: {} runs with {} points.", former.trails.len(), former.points().count()),
    );
    dom::set_text("former-address", &say!("open the settings of {}", file));
    dom::set_attribute(&dom::element("former-address"), "href", Some(&format!("?{}", former.settings)));
    page.state.former.retain(|other| other.file != former.file);
    page.state.former.push(former);
    show(page);
    Ok(())
}

/// A click on the button that takes them out again; whether it was that.
pub fn click(page: &mut Page, id: &str) -> bool {
    let is_mine = id == "former-clear";
    if is_mine {
        page.state.former.clear();
        dom::set_text("former-said", "");
        show(page);
    }
    is_mine
}

fn show(page: &mut Page) {
    dom::flag("former", "hidden", page.state.former.is_empty());
    page.state.mark(&[View::Frontier]);
}
