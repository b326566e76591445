//! What puts the page into the document, one file per view, and what they share of the browser. Wasm alone.
//!
//! A view names the changes that it shows, draws itself after any of them, and has a table of what its controls do. A control
//! says in its attribute `data-action` what it does; whose table has that name is asked. `docs/develop/add_view.md` has the checklist for another.

mod action;
mod address;
mod animation_frames;
mod annotator;
mod app;
mod canvas;
mod chart;
mod clinic;
mod clipboard;
mod controls;
mod curves;
mod dom;
mod exports;
mod files;
mod focus;
mod frontier;
mod imported_runs;
mod inside;
mod keyboard;
mod notices;
mod numbers;
mod page;
mod pipeline;
mod presentation;
mod receipts;
mod recorded;
mod runs;
mod samples;
mod session_store;
mod settings;
mod studies;
mod sweep;
mod sweep_workers;
mod tour;
mod web_storage;

use action::{Act, Action, On};
pub use app::App;
pub use canvas::Surface;
use page::Page;

use crate::page::model::change::Change;

/// A part of the document that is drawn on its own.
trait View {
    /// The changes after which it is drawn anew, beside [`Change::Everything`].
    fn shows(&self) -> &'static [Change];

    /// Puts into the document what is made of tables, and takes over what an earlier visit left. Once, before all else.
    fn build(&mut self, _page: &mut Page) {}

    /// Takes over how things are looked at, from controls that a page before this one left in the document.
    fn take_over(&mut self, _page: &mut Page) {}

    /// Writes what the page knows into the document.
    fn draw(&mut self, page: &mut Page);

    /// Does what a control of it asks for; whether it was one of its own.
    fn act(&mut self, page: &mut Page, act: &Act) -> bool;
}

/// Every view, in the order in which they are drawn.
fn all() -> Vec<Box<dyn View>> {
    vec![
        Box::new(controls::Controls),
        Box::new(settings::Settings::default()),
        Box::new(pipeline::Pipeline),
        Box::new(frontier::Frontier::default()),
        Box::new(runs::Runs::default()),
        Box::new(curves::Curves::default()),
        Box::new(samples::Samples),
        Box::new(annotator::Annotator),
        Box::new(inside::Inside::default()),
        Box::new(numbers::Numbers),
        Box::new(studies::Studies),
        Box::new(notices::Notices::default()),
        Box::new(clinic::Clinic),
        Box::new(tour::Tour::default()),
        Box::new(sweep::Sweep),
        Box::new(exports::Exports),
        Box::new(receipts::Receipts),
        Box::new(imported_runs::ImportedRuns),
    ]
}
