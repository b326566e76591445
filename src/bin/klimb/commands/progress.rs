//! Progress bars with the remaining time, on the error stream and only on a terminal.

use std::io::Write;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `total` of what `unit` names.
pub fn bar(total: u64, unit: &str) -> ProgressBar {
    let template = format!("{{bar:24}} {{pos}}/{{len}} {unit} · {{eta}} left · {{msg}}");
    let style = ProgressStyle::with_template(&template).expect("the template is valid");
    ProgressBar::new(total).with_style(style)
}

/// Writes a line to the error stream, above the bar.
pub fn say(bar: &ProgressBar, line: &str) {
    bar.suspend(|| tell(line));
}

/// Writes a line to the error stream. Nobody may read it, or the disk behind it may be full: the work is not stopped by that.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
