//! What can go wrong below the network.

use thiserror::Error;

use klimb_text::{Message, display_message, message};

/// What can go wrong below the network. A wrong shape is not here: that is a bug, and asserts.
#[derive(Debug, Clone, Error)]
pub enum BackendError {
    /// The machine offers no WebGPU, Vulkan, Metal or DirectX 12 adapter.
    NoAdapter(String),
    /// The adapter refused a device with WebGPU's default limits.
    NoDevice {
        /// The adapter's name.
        adapter: String,
        /// The driver's words.
        reason: String,
    },
    /// The device went away: driver reset, unplugged, or the tab was put to sleep.
    DeviceLost(String),
    /// The device refused a command: it ran out of memory, or Klimb asked for something invalid.
    Refused(String),
    /// The device answered with what is no number, where nothing else would tell of it.
    NotFinite,
    /// A result could not be copied back.
    Readback(String),
}

impl BackendError {
    /// What is wrong, as a clause.
    pub fn message(&self) -> Message {
        match self {
            Self::NoAdapter(it) => message!(
                "no graphics adapter was found ({}); the CPU backend works everywhere",
                Message::named(it.clone())
            ),
            Self::NoDevice { adapter, reason } => {
                message!("the graphics adapter {} gave no device: {}", adapter, Message::named(reason.clone()))
            }
            Self::DeviceLost(it) => message!(
                "the graphics device was lost ({}); training can go on from the last snapshot, on the CPU if need be",
                Message::named(it.clone())
            ),
            Self::Refused(it) => message!(
                "the graphics device refused a command ({}); a smaller batch or the CPU backend may help",
                Message::named(it.clone())
            ),
            Self::NotFinite => {
                message!("the device computed a log-probability that is not finite; what it was of has been left out")
            }
            Self::Readback(it) => {
                message!("a result could not be read back from the graphics device: {}", Message::named(it.clone()))
            }
        }
    }
}

display_message!(BackendError);
