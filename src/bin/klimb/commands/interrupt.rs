//! Ctrl-C: the first lets the step at hand end and what was done be written; the second ends at once.

use std::sync::atomic::{AtomicBool, Ordering};

use super::progress;

/// What a shell expects of a program ended by Ctrl-C.
pub const EXIT_CODE: u8 = 130;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Listens from now on. Once a process.
pub fn listen() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(EXIT_CODE));
        }
        progress::tell("\nstopping behind this step; Ctrl-C again ends at once");
    })
}

/// Whether Ctrl-C was pressed.
pub fn requested() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}
