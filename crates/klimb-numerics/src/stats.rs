//! Means with their uncertainty. Everything the frontier claims is a mean of samples, so it never appears without one.

/// The arithmetic mean; not a number when there is nothing to average.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().copied().collect::<RunningStats>().mean()
}

/// The sample standard deviation (n − 1 in the denominator); not a number for fewer than two values.
pub fn standard_deviation(values: &[f64]) -> f64 {
    values.iter().copied().collect::<RunningStats>().standard_deviation()
}

/// Half the width of the 95 % interval around the mean; see [`RunningStats::half_width`].
pub fn half_width(values: &[f64]) -> f64 {
    values.iter().copied().collect::<RunningStats>().half_width()
}

/// The value below which a share `p` in [0, 1] of the values lies, with linear interpolation between order statistics
/// (type 7 of Hyndman and Fan 1996). Not a number when there is no value.
///
/// # Panics
/// If `p` is outside [0, 1].
pub fn quantile(values: &[f64], p: f64) -> f64 {
    assert!((0.0..=1.0).contains(&p), "quantile: {p} is outside 0 to 1");
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = p * last as f64;
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

/// The 95 % interval of a share of which `successes` in `count` are seen, as its lower and upper end (Wilson 1927). Unlike a
/// mean's interval it does not shrink to nothing where all or none succeed. Not a number where `count` is 0.
pub fn share_interval(successes: f64, count: usize) -> (f64, f64) {
    let (n, z2) = (count as f64, 1.95996 * 1.95996);
    let share = successes / n;
    let center = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half_width = (z2 * (share * (1.0 - share) / n + z2 / (4.0 * n * n))).sqrt() / (1.0 + z2 / n);
    (center - half_width, center + half_width)
}

/// The exponential moving average of values that came in order, each mean counting `weight` of the one before it. It is
/// corrected for its beginning at 0 (Kingma and Ba 2015, section 3), so that the first value is its own mean; a weight of
/// 0 leaves the values as they are.
///
/// # Panics
/// If `weight` is not in [0, 1).
pub fn smoothed(values: &[f64], weight: f64) -> Vec<f64> {
    assert!((0.0..1.0).contains(&weight), "smoothed: a weight of {weight} is not in 0 to 1");
    let (mut sum, mut counted) = (0.0, 0.0);
    let mean = |value: &f64| {
        sum = weight * sum + (1.0 - weight) * value;
        counted = weight * counted + (1.0 - weight);
        sum / counted
    };
    values.iter().map(mean).collect()
}

/// Mean and spread of numbers that come one by one, without keeping them (Welford 1962).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RunningStats {
    count: u64,
    mean: f64,
    squares: f64,
}

impl RunningStats {
    /// Takes one more number in.
    pub fn push(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    /// How many numbers came.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; not a number before the first.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.mean }
    }

    /// Their sample variance (n − 1 in the denominator); not a number before the second.
    pub fn variance(&self) -> f64 {
        if self.count < 2 { f64::NAN } else { self.squares / (self.count - 1) as f64 }
    }

    /// The root of the variance.
    pub fn standard_deviation(&self) -> f64 {
        self.variance().sqrt()
    }

    /// Standard deviation of the mean, for independent numbers.
    pub fn standard_error(&self) -> f64 {
        self.standard_deviation() / (self.count as f64).sqrt()
    }

    /// Half the width of the 95 % interval around the mean by Student's t, so that three seeds are not sold as three
    /// hundred samples. Not a number before the second number.
    pub fn half_width(&self) -> f64 {
        if self.count < 2 { f64::NAN } else { student_t(self.count - 1) * self.standard_error() }
    }
}

impl FromIterator<f64> for RunningStats {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut moments = Self::default();
        values.into_iter().for_each(|value| moments.push(value));
        moments
    }
}

/// The 97.5 % point of Student's t: tabulated up to 30 degrees of freedom, then two terms of its expansion around the
/// normal's 1.96 (Abramowitz and Stegun 26.7.5), which is right to three decimals there.
fn student_t(freedom: u64) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ];
    match TABLE.get(freedom as usize - 1) {
        Some(&point) => point,
        None => 1.95996 + (2.37227 + 2.82249 / freedom as f64) / freedom as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Generator;

    #[test]
    fn moments_of_a_known_sample() {
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert!((mean(&values) - 5.0).abs() < 1e-12);
        assert!((standard_deviation(&values) - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        assert!((half_width(&values) - 2.365 * (32.0_f64 / 7.0 / 8.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_large_offset_does_not_eat_the_spread() {
        let values: Vec<f64> = (0..1000).map(|i| 1e9 + f64::from(i % 2)).collect();
        assert!((standard_deviation(&values) - 0.250_250_25_f64.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn too_few_values_have_no_spread() {
        assert!(mean(&[]).is_nan());
        assert_eq!(mean(&[3.0]), 3.0);
        assert!(standard_deviation(&[3.0]).is_nan() && half_width(&[3.0]).is_nan());
    }

    #[test]
    fn nineteen_intervals_in_twenty_cover_the_truth_even_of_three_numbers() {
        for count in [3, 20, 100] {
            let generator = &mut Generator::new(4, "intervals");
            let covered = (0..2000).filter(|_| {
                let sample: RunningStats = (0..count).map(|_| generator.normal()).collect();
                sample.mean().abs() < sample.half_width()
            });
            let share = covered.count() as f64 / 2000.0;
            assert!((share - 0.95).abs() < 0.02, "{count} numbers: {share}");
        }
    }

    #[test]
    fn the_interval_falls_to_the_normal_s_without_a_jump() {
        assert!((1..1000).all(|freedom| student_t(freedom + 1) < student_t(freedom)));
        assert!((student_t(60) - 2.000).abs() < 1e-3 && (student_t(1_000_000) - 1.96).abs() < 1e-4);
    }

    #[test]
    fn a_share_that_was_always_seen_is_not_certain() {
        let (low, high) = share_interval(20.0, 20);
        assert!((low - 0.8389).abs() < 1e-3 && (high - 1.0).abs() < 1e-12, "{low} to {high}");
        let (low, high) = share_interval(17.0, 20);
        assert!((low - 0.6396).abs() < 1e-3 && (high - 0.9476).abs() < 1e-3, "{low} to {high}");
        assert!(share_interval(0.0, 0).0.is_nan());
    }

    #[test]
    fn smoothing_begins_at_the_first_value_and_keeps_what_is_level() {
        let values = [3.0, 1.0, 2.0];
        assert_eq!(smoothed(&values, 0.0), values);
        let by_hand = [3.0, (0.5 * 3.0 + 1.0) / 1.5, (0.25 * 3.0 + 0.5 * 1.0 + 2.0) / 1.75];
        for (value, expected) in smoothed(&values, 0.5).into_iter().zip(by_hand) {
            assert!((value - expected).abs() < 1e-12, "{value} is not {expected}");
        }
        assert!(smoothed(&[0.7; 50], 0.95).iter().all(|value| (value - 0.7).abs() < 1e-12));
        assert!(smoothed(&[], 0.9).is_empty());
        let noise: Vec<f64> = (0..1000).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        assert!(smoothed(&noise, 0.95)[999].abs() < 0.03, "noise is averaged away");
    }

    #[test]
    fn quantiles_interpolate() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!([0.0, 0.5, 1.0].map(|p| quantile(&values, p)), [1.0, 2.5, 4.0]);
        assert!((quantile(&values, 0.1) - 1.3).abs() < 1e-12);
        assert_eq!(quantile(&[7.0], 0.3), 7.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
