// The share of a pair that is in order: 1 where the margin is positive, 0 where it is negative, and ½ where it is rounding
// alone, at most eight units in the last place of the magnitudes it is a difference of.
fn in_order(margin: f32, scale: f32) -> f32 {
    if (abs(margin) <= 9.5367431640625e-7 * scale) {
        return 0.5;
    }
    return select(0.0, 1.0, margin > 0.0);
}
