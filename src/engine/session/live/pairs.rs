//! Preference pairs by the reference, a chunk at a time.

use super::{LiveRun, Slice, SliceEnd, SliceFuture, SliceOrder};
use crate::engine::session::models::Models;
use klimb_network::backend::Kernels;

/// Makes a chunk of pairs. The session's data knows how far they are.
pub(in crate::engine::session) struct ChunkOfPairs;

impl<K: Kernels> LiveRun<K> for ChunkOfPairs {
    fn advance<'a>(&'a mut self, k: &'a mut K, models: &'a mut Models<K>, _order: SliceOrder) -> SliceFuture<'a> {
        Box::pin(async move {
            models.extend_pairs(k).await?;
            Ok(Slice { end: SliceEnd::Whole { is_due: false }, ..Slice::part(Vec::new()) })
        })
    }
}
