//! For a room: parts out of sight, larger type, keys that go from part to part, and receipts that are copied and shown.

use super::{Page, clipboard, dom, focus};
use crate::page::model::accepted_files;
use crate::page::model::presentation::{Presentation, STOPS};
use crate::page::model::receipt::Receipt;
use crate::page::model::view_id::View;
use klimb_text::text;
use klimb_text::words::{heard, say};

/// Hides and enlarges what the address asks for.
pub fn show(lecture: &Presentation) {
    for selector in lecture.hidden() {
        if let Ok(Some(part)) = dom::document().query_selector(selector) {
            dom::set_attribute(&part, "hidden", Some(""));
        }
    }
    if let Some(root) = dom::document().document_element() {
        dom::set_attribute(&root, "data-type", lecture.is_large.then_some("large"));
    }
}

/// Goes to the part of a key from 1 to 9, and takes the focus along; whether it was one.
pub fn go(key: &str) -> bool {
    let stop = key.parse::<usize>().ok().and_then(|number| STOPS.get(number.checked_sub(1)?));
    let Some(part) = stop.and_then(|selector| dom::document().query_selector(selector).ok().flatten()) else {
        return false;
    };
    focus::go(&part);
    part.scroll_into_view();
    true
}

/// Shows the receipts of a file, beside those that are shown.
///
/// # Errors
/// Why it cannot be used, as a clause; nothing is replaced.
pub fn take(page: &mut Page, file: &str, bytes: &[u8]) -> Result<(), String> {
    let read = text::of_bytes(bytes).map_err(|error| error.to_string()).and_then(|text| Receipt::parse(&text));
    let receipts = read?;
    let all = receipts.len();
    // The same receipt twice would count its runs twice.
    let is_new = |receipt: &Receipt| !page.state.receipts.contains(receipt);
    let new: Vec<Receipt> = receipts.into_iter().filter(is_new).collect();
    page.state.accepted_files.push(accepted_files::receipts(file, &new, all - new.len()));
    page.state.receipts.extend(new);
    let dots: usize = page.state.receipts.iter().map(|receipt| receipt.points.len()).sum();
    dom::set_text("receipt-said", &say!("In the chart now: {} runs of others.", dots));
    page.state.mark(&[View::Frontier]);
    Ok(())
}

/// A click on one of the buttons about receipts; whether it was one.
pub fn click(page: &mut Page, id: &str) -> bool {
    match id {
        "receipt-copy" => {
            let line = Receipt::of(&page.state).to_line();
            dom::text_area("receipt-text").set_value(&line);
            clipboard::copy(&line, |is_copied| {
                if is_copied {
                    let said = say("Copied, and written above: settings, build and the last point of each run.");
                    return dom::set_text("receipt-said", said);
                }
                dom::set_text(
                    "receipt-said",
                    say("This browser did not let the page copy it: it is selected above, to be copied by hand."),
                );
                dom::focus("receipt-text");
                dom::text_area("receipt-text").select();
            });
        }
        "receipt-show" => match Receipt::parse(&dom::text_area("receipt-text").value()) {
            Ok(receipts) => {
                let dots: usize = receipts.iter().map(|receipt| receipt.points.len()).sum();
                page.state.receipts = receipts;
                dom::set_text("receipt-said", &say!("In the chart now: {} runs of others.", dots));
            }
            Err(reason) => dom::set_text("receipt-said", &say!("Nothing was shown: {}.", heard(&reason))),
        },
        "receipt-clear" => {
            page.state.receipts.clear();
            dom::set_text("receipt-said", "");
        }
        _ => return false,
    }
    page.state.mark(&[View::Frontier]);
    true
}
