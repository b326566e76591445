//! Seeds that count up from the first.

use super::Failure;

/// `count` seeds from `first` on; there are so many only where they do not pass the largest number.
pub fn counted(first: u64, count: u64) -> Result<Vec<u64>, Failure> {
    let last = first.checked_add(count.saturating_sub(1)).ok_or_else(|| {
        let highest = u64::MAX - (count - 1);
        Failure::new(format!("--seed {first}: {count} seeds count up from it; begin at {highest} or below"))
    })?;
    Ok((first..=last).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_count_up_and_never_round() {
        assert_eq!(counted(7, 3).unwrap(), [7, 8, 9]);
        assert_eq!(counted(u64::MAX, 1).unwrap(), [u64::MAX]);
        assert_eq!(counted(u64::MAX - 2, 3).unwrap().len(), 3);
        let Failure(sentence) = counted(u64::MAX - 1, 3).unwrap_err();
        assert!(sentence.contains("begin at 18446744073709551613 or below"), "{sentence}");
    }
}
