//! The policies behind the points, as many as the browser keeps: each lies in a place of its own, so that a save writes
//! the newest alone.

use std::collections::VecDeque;

use super::Place;
use crate::engine::protocol::SavedPolicy;

/// Most bytes of policies that are kept. The oldest go first.
const MOST_BYTES: usize = 12 << 20;
/// Most places: what the small model fills of that.
const MOST_SLOTS: u32 = 96;

/// Places, numbered from 0, and what is in them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Slots {
    /// Place and bytes of each policy, oldest first.
    taken: VecDeque<(Place, usize)>,
    /// What has not been handed on to be written.
    fresh: Vec<(u32, SavedPolicy)>,
}

impl Slots {
    /// Finds a place for a policy, if need be the oldest one's. One of the same step of the same run goes.
    pub fn put(&mut self, policy: SavedPolicy) {
        self.taken.retain(|(place, _)| place.moment != policy.key());
        let bytes = policy.checkpoint.len();
        let is_full = |taken: &VecDeque<(Place, usize)>| {
            let sum: usize = taken.iter().map(|(_, bytes)| bytes).sum();
            taken.len() >= MOST_SLOTS as usize || (sum + bytes > MOST_BYTES && !taken.is_empty())
        };
        while is_full(&self.taken) {
            self.taken.pop_front();
        }
        let is_free = |slot: &u32| self.taken.iter().all(|(taken, _)| taken.slot != *slot);
        let slot = (0..MOST_SLOTS).find(is_free).expect("fewer are taken than there are");
        self.taken.push_back((Place { slot, moment: policy.key() }, bytes));
        self.fresh.retain(|(its, _)| *its != slot);
        self.fresh.push((slot, policy));
    }

    /// The places that are taken, by the age of what is in them.
    pub fn taken(&self) -> Vec<Place> {
        self.taken.iter().map(|(place, _)| *place).collect()
    }

    /// What is to be written now.
    pub fn take_fresh(&mut self) -> Vec<(u32, SavedPolicy)> {
        std::mem::take(&mut self.fresh)
    }

    /// Nothing in them is of use any more.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::Stage;
    use crate::page::model::fixtures::point;

    fn policy(step: u64, bytes: usize) -> SavedPolicy {
        SavedPolicy { stage: Stage::Dpo, point: point(1, "dpo", step), seconds: 0.0, checkpoint: vec![0; bytes] }
    }

    fn numbers(slots: &Slots) -> Vec<u32> {
        slots.taken().iter().map(|place| place.slot).collect()
    }

    #[test]
    fn the_newest_are_kept_and_only_what_is_new_is_written() {
        let mut slots = Slots::default();
        let quarter = MOST_BYTES / 4;
        (0..4).for_each(|step| slots.put(policy(step, quarter)));
        assert_eq!((numbers(&slots), slots.take_fresh().len()), (vec![0, 1, 2, 3], 4));
        slots.put(policy(4, quarter));
        assert_eq!(numbers(&slots), [1, 2, 3, 0], "the oldest has made room");
        let fresh = slots.take_fresh();
        assert_eq!(fresh.iter().map(|(slot, it)| (*slot, it.point.point.step)).collect::<Vec<_>>(), [(0, 4)]);
        slots.put(policy(5, 3 * quarter));
        assert_eq!(slots.taken().len(), 2, "a large one takes the room of several");
        slots.put(policy(6, 2 * MOST_BYTES));
        assert_eq!(slots.taken().len(), 1, "what is too large stands alone");
        slots.put(policy(6, 1));
        assert_eq!(slots.taken().len(), 1, "one step has one policy");
        slots.clear();
        (0..200).for_each(|step| slots.put(policy(step, 1)));
        assert_eq!(slots.taken().len(), MOST_SLOTS as usize);
        let fresh = slots.take_fresh();
        assert_eq!(fresh.len(), MOST_SLOTS as usize, "what was pushed out before it was written is not");
        assert_eq!(fresh.iter().map(|(_, it)| it.point.point.step).min(), Some(104));
    }
}
