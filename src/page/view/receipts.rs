//! Receipts, which are copied, and shown beside this page's runs.

use super::action::run;
use super::{Act, Action, Page, View, clipboard, dom};
use crate::page::model::accepted_files;
use crate::page::model::change::Change;
use crate::page::model::receipt::Receipt;
use klimb_text::Message;
use klimb_text::text;
use klimb_text::words::say;

/// The receipts.
pub struct Receipts;

const ACTIONS: &[Action<Receipts>] = &[
    Action::click("copy-receipt", |_, page, _| copy(page)),
    Action::click("show-receipts", |_, page, _| show(page)),
    Action::click("clear-receipts", |_, page, _| {
        page.state.others.receipts.clear();
        dom::set_text("receipt-said", "");
        page.state.mark(Change::Shown);
    }),
];

impl View for Receipts {
    fn shows(&self) -> &'static [Change] {
        &[]
    }

    fn take_over(&mut self, _page: &mut Page) {
        dom::set_text("receipt-said", "");
    }

    fn draw(&mut self, _page: &mut Page) {}

    fn act(&mut self, page: &mut Page, act: &Act) -> bool {
        run(ACTIONS, self, page, act)
    }
}

/// Copies this page's own receipt.
fn copy(page: &Page) {
    let line = page.state.receipt().to_line();
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

/// Shows the receipts that were pasted, and no others.
fn show(page: &mut Page) {
    match Receipt::parse(&dom::text_area("receipt-text").value()) {
        Ok(receipts) => {
            let dots: usize = receipts.iter().map(|receipt| receipt.points.len()).sum();
            page.state.others.receipts = receipts;
            dom::set_text("receipt-said", &say!("In the chart now: {} runs of others.", dots));
            page.state.mark(Change::Shown);
        }
        Err(reason) => dom::set_text("receipt-said", &say!("Nothing was shown: {}.", reason.said())),
    }
}

/// Shows the receipts of a file, beside those that are shown.
///
/// # Errors
/// Why it cannot be used, as a clause; nothing is replaced.
pub fn take(page: &mut Page, file: &str, bytes: &[u8]) -> Result<(), Message> {
    let read = text::of_bytes(bytes).map_err(|error| error.message()).and_then(|text| Receipt::parse(&text));
    let receipts = read?;
    let all = receipts.len();
    // The same receipt twice would count its runs twice.
    let is_new = |receipt: &Receipt| !page.state.others.receipts.contains(receipt);
    let new: Vec<Receipt> = receipts.into_iter().filter(is_new).collect();
    page.state.files.accepted.push(accepted_files::receipts(file, &new, all - new.len()));
    page.state.others.receipts.extend(new);
    let dots: usize = page.state.others.receipts.iter().map(|receipt| receipt.points.len()).sum();
    dom::set_text("receipt-said", &say!("In the chart now: {} runs of others.", dots));
    page.state.mark(Change::Shown);
    Ok(())
}
