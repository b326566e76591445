//! What can go wrong below the network.

use thiserror::Error;

/// What can go wrong below the network. A wrong shape is not here: that is a bug, and asserts.
#[derive(Debug, Clone, Error)]
pub enum BackendError {
    /// The machine offers no WebGPU, Vulkan, Metal or DirectX 12 adapter.
    #[error("no graphics adapter was found ({0}); the CPU backend works everywhere")]
    NoAdapter(String),
    /// The adapter refused a device with WebGPU's default limits.
    #[error("the graphics adapter {adapter} gave no device: {reason}")]
    NoDevice {
        /// The adapter's name.
        adapter: String,
        /// The driver's words.
        reason: String,
    },
    /// The device went away: driver reset, unplugged, or the tab was put to sleep.
    #[error("the graphics device was lost ({0}); training can go on from the last snapshot, on the CPU if need be")]
    DeviceLost(String),
    /// The device refused a command: it ran out of memory, or Klimb asked for something invalid.
    #[error("the graphics device refused a command ({0}); a smaller batch or the CPU backend may help")]
    Refused(String),
    /// The device answered with what is no number, where nothing else would tell of it.
    #[error("the device computed a log-probability that is not finite; what it was of has been left out")]
    NotFinite,
    /// A result could not be copied back.
    #[error("a result could not be read back from the graphics device: {0}")]
    Readback(String),
}
