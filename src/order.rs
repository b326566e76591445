//! Sorting, compiled once for whatever is sorted: the standard library's is compiled anew for every type and every order,
//! 5 kB each in a page that has to travel.

use std::cmp::Ordering;

/// Puts `items` in the order of `compare`; equal ones stay as they were.
pub fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let mut order: Vec<usize> = (0..items.len()).collect();
    sort_indices(&mut order, &|a, b| compare(&items[a], &items[b]));
    // Cycle by cycle: each place is given the item that belongs there, and hands on the one it had.
    for start in 0..order.len() {
        let mut place = start;
        loop {
            let from = std::mem::replace(&mut order[place], place);
            if from == start {
                break;
            }
            items.swap(place, from);
            place = from;
        }
    }
}

/// Puts `items` in the order of what `key` says of each; equal ones stay as they were.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(items, |a, b| key(a).cmp(&key(b)));
}

/// Puts `items` in order, and keeps one of each.
pub fn sort_and_dedup<T: Ord>(items: &mut Vec<T>) {
    sort_by(items, T::cmp);
    items.dedup();
}

/// Each thing once, in the order in which they first stand.
pub fn distinct<T: Ord + Copy>(things: &[T]) -> Vec<T> {
    let mut placed: Vec<(usize, T)> = things.iter().copied().enumerate().collect();
    sort_by_key(&mut placed, |(_, thing)| *thing);
    placed.dedup_by_key(|(_, thing)| *thing);
    sort_by_key(&mut placed, |(place, _)| *place);
    placed.into_iter().map(|(_, thing)| thing).collect()
}

#[inline(never)]
fn sort_indices(order: &mut [usize], compare: &dyn Fn(usize, usize) -> Ordering) {
    order.sort_by(|a, b| compare(*a, *b));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_comes_once_where_it_first_stood() {
        assert_eq!(distinct(&["so", "but", "so", "a", "but"]), ["so", "but", "a"]);
        assert!(distinct::<u32>(&[]).is_empty());
    }

    #[test]
    fn items_come_in_order_and_equal_ones_as_they_were() {
        for length in [0, 1, 2, 3, 10, 100, 1000] {
            let items: Vec<_> = (0..length).map(|place| (place * 7919 % 11, place)).collect();
            let (mut expected, mut sorted) = (items.clone(), items);
            expected.sort_by_key(|item| item.0);
            sort_by_key(&mut sorted, |item| item.0);
            assert_eq!(sorted, expected);
        }
    }

    #[test]
    fn one_of_each_is_kept() {
        let mut words = vec!["b", "a", "c", "a", "b", "a"];
        sort_and_dedup(&mut words);
        assert_eq!(words, ["a", "b", "c"]);
    }
}
