//! An order in which neighbours are alike.

use std::collections::HashMap;

/// What two functions may have in common: so many bytes in a row.
const PIECE: usize = 6;
/// A piece that more functions have says nothing of their likeness.
const COMMON: usize = 60;
/// How many of those with most in common are looked at more closely.
const CANDIDATES: usize = 8;

/// The places of `bodies` in an order in which each follows one that it has much in common with: from the richest body on
/// always to the one, of those left, that shares the largest part. The same bodies always come in the same order.
pub fn order(bodies: &[&[u8]]) -> Vec<usize> {
    let mut having: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (place, body) in bodies.iter().enumerate() {
        for piece in body.windows(PIECE) {
            let places = having.entry(piece).or_default();
            if places.last() != Some(&place) {
                places.push(place);
            }
        }
    }
    having.retain(|_, places| (2..=COMMON).contains(&places.len()));
    let mut pieces: Vec<Vec<&[usize]>> = vec![Vec::new(); bodies.len()];
    for places in having.values() {
        places.iter().for_each(|&place| pieces[place].push(places));
    }

    let mut left = vec![true; bodies.len()];
    let mut next = (0..bodies.len()).max_by_key(|&place| (pieces[place].len(), std::cmp::Reverse(place)));
    let mut order = Vec::with_capacity(bodies.len());
    while let Some(place) = next {
        left[place] = false;
        order.push(place);
        let mut shared = vec![0_usize; bodies.len()];
        for &other in pieces[place].iter().copied().flatten() {
            shared[other] += usize::from(left[other]);
        }
        let mut candidates: Vec<usize> = (0..bodies.len()).filter(|&other| shared[other] > 0).collect();
        candidates.sort_by_key(|&other| std::cmp::Reverse(shared[other]));
        candidates.truncate(CANDIDATES);
        let part = |other: usize| shared[other] as f64 / (pieces[place].len() + pieces[other].len()) as f64;
        let likest = candidates.into_iter().rev().max_by(|&a, &b| part(a).total_cmp(&part(b)));
        next = likest.or_else(|| left.iter().position(|&is_left| is_left));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_comes_once_and_those_alike_side_by_side() {
        let bodies: [&[u8]; 6] =
            [b"the quick brown fox", b"0123456789abcdef", b"xyz", b"the quick brown cow", b"0123456789ABCDEF", b""];
        let order = order(&bodies);
        let place = |body: usize| order.iter().position(|&it| it == body).unwrap();
        assert_eq!((0..bodies.len()).map(place).collect::<std::collections::BTreeSet<_>>().len(), bodies.len());
        assert_eq!((place(0).abs_diff(place(3)), place(1).abs_diff(place(4))), (1, 1));
    }
}
