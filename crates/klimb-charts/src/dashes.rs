//! Dashed lines.

/// The dashes of a path, as long as the gaps between them. They are measured along the whole path: cut segment by
/// segment, the short segments of a fine grid would each be one dash, and the line solid.
pub(super) fn dashes(path: &[(i32, i32)], length: f64) -> Vec<Vec<(i32, i32)>> {
    let mut dashes = Vec::new();
    let Some(first) = path.first() else { return dashes };
    let mut dash = vec![*first];
    let (mut inked, mut left) = (true, length);
    for ends in path.windows(2) {
        let (from, to) = (ends[0], ends[1]);
        let (dx, dy) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
        let segment = dx.hypot(dy);
        let mut done = 0.0;
        while segment - done > left {
            done += left;
            let share = done / segment;
            let cut = (from.0 + (share * dx).round() as i32, from.1 + (share * dy).round() as i32);
            if inked {
                dash.push(cut);
                dashes.push(std::mem::take(&mut dash));
            } else {
                dash = vec![cut];
            }
            (inked, left) = (!inked, length);
        }
        left -= segment - done;
        if inked {
            dash.push(to);
        }
    }
    if inked && dash.len() > 1 {
        dashes.push(dash);
    }
    dashes
}

#[cfg(test)]
mod tests {
    use super::dashes;

    #[test]
    fn dashes_are_as_long_as_their_gaps_however_fine_the_grid() {
        let expected = [(0, 4), (8, 12), (16, 20), (24, 28)];
        for step in [1, 2, 7, 28] {
            let path: Vec<(i32, i32)> = (0..=28 / step).map(|i| (i * step, 5)).collect();
            let ends: Vec<(i32, i32)> =
                dashes(&path, 4.0).iter().map(|dash| (dash[0].0, dash[dash.len() - 1].0)).collect();
            assert_eq!(ends, expected, "a grid of {step} pixels");
        }
        assert!(dashes(&[(3, 3), (3, 3)], 4.0).concat().iter().all(|at| *at == (3, 3)), "a path that stands still");
    }
}
