//! What the machine was asked for.

/// How often the machine was asked for something, since the backend was made. The CPU counts kernel calls as dispatches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Kernels run.
    pub dispatches: u64,
    /// Command buffers sent.
    pub submits: u64,
    /// Results copied back.
    pub readbacks: u64,
    /// Host-to-device writes.
    pub writes: u64,
    /// Buffers and bind groups created.
    pub objects: u64,
    /// Positions that entered a network: every forward pass embeds its tokens once, padding included.
    pub forward_tokens: u64,
    /// Positions whose gradient left a network: every backward pass ends at the embedding.
    pub backward_tokens: u64,
}
