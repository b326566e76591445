//! Seeds that count up from the first.

use super::{Failure, LARGEST_SEED};

/// `count` seeds from `first` on; there are so many only where they do not pass the largest seed.
pub fn counted(first: u64, count: u64) -> Result<Vec<u64>, Failure> {
    let further = count.saturating_sub(1);
    let last = first.checked_add(further).filter(|last| *last <= LARGEST_SEED).ok_or_else(|| {
        let highest = LARGEST_SEED.saturating_sub(further);
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
        assert_eq!(counted(LARGEST_SEED, 1).unwrap(), [LARGEST_SEED]);
        assert_eq!(counted(LARGEST_SEED - 2, 3).unwrap().len(), 3);
        let Failure(sentence) = counted(LARGEST_SEED - 1, 3).unwrap_err();
        assert!(sentence.contains("begin at 9007199254740989 or below"), "{sentence}");
    }
}
