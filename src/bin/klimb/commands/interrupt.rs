//! Ctrl-C: the first lets the step at hand end and what was done be written; the second ends at once. SIGTERM, by which a
//! system asks a program to end, is as good as Ctrl-C, and so is SIGHUP, which tells that the terminal is gone.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Failure, progress};

/// What a shell expects of a program ended by Ctrl-C.
pub const EXIT_CODE: u8 = 130;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Listens from now on. Once a process.
pub fn listen() -> Result<(), Failure> {
    ctrlc::set_handler(|| {
        if !stop() {
            std::process::exit(i32::from(EXIT_CODE));
        }
    })?;
    #[cfg(unix)]
    signals::listen()?;
    Ok(())
}

/// Whether somebody asked for the end, by Ctrl-C or one of those signals.
pub fn requested() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Asks for the end; `false` if somebody has before.
fn stop() -> bool {
    let is_first = !INTERRUPTED.swap(true, Ordering::Relaxed);
    if is_first {
        progress::tell("\nstopping behind this step; Ctrl-C again ends at once");
    }
    is_first
}

#[cfg(unix)]
mod signals {
    use signal_hook::consts::{SIGHUP, SIGTERM};
    use signal_hook::iterator::Signals;

    use super::{EXIT_CODE, stop};

    pub fn listen() -> std::io::Result<()> {
        let asked: &[i32] = if is_hangup_ignored() { &[SIGTERM] } else { &[SIGTERM, SIGHUP] };
        let mut signals = Signals::new(asked)?;
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                // A terminal that goes away says so twice where a shell passes it on before it ends, which is no wish to end
                // at once. Whoever cannot wait then has SIGTERM.
                if !stop() && signal == SIGTERM {
                    std::process::exit(i32::from(EXIT_CODE));
                }
            }
        })?;
        Ok(())
    }

    /// Whether the program was begun by `nohup`, and is to outlive the terminal. Only Linux tells; elsewhere a hangup is
    /// left to do what it would do without us.
    fn is_hangup_ignored() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_none_or(|mask| mask >> (SIGHUP - 1) & 1 == 1)
    }
}
