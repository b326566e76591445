//! Pairs for training and pairs for validation, with nothing in common.

use klimb_numerics::rng::Generator;
use klimb_text::{ConfigError, message};
use klimb_world::preferences::Pair;

/// Pairs to learn from, and pairs to judge what was learned by. Six pairs share four completions, so whole prompt
/// instances go to one side or the other: otherwise the reward model would be asked what it has been told.
#[derive(Debug, Clone, PartialEq)]
pub struct PairSplit {
    /// Pairs to learn from.
    pub train: Vec<Pair>,
    /// Pairs held back, instance by instance.
    pub validation: Vec<Vec<Pair>>,
}

impl PairSplit {
    /// Holds back a `share` of the `instances`, at least one, drawn by `seed`.
    ///
    /// # Errors
    /// `validation_share` if it is not between 0 and 1, `pairs` if there is but one instance, or none.
    pub fn new(instances: Vec<Vec<Pair>>, share: f64, seed: u64) -> Result<Self, ConfigError> {
        if !(share > 0.0 && share < 1.0) {
            return Err(ConfigError::new("validation_share", message!("{} is not between 0 and 1", share)));
        }
        let count = instances.len();
        if count < 2 {
            let reason = message!(
                "training and validation need at least two prompts with pairs; add pairs about another prompt"
            );
            return Err(ConfigError::new("pairs", reason));
        }
        let held_back = ((share * count as f64).round() as usize).clamp(1, count - 1);
        let mut order: Vec<usize> = (0..count).collect();
        Generator::new(seed, "validation instances").shuffle(&mut order);
        let mut is_held_back = vec![false; count];
        order[..held_back].iter().for_each(|&instance| is_held_back[instance] = true);
        let (mut train, mut validation) = (Vec::new(), Vec::new());
        for (instance, is_held_back) in instances.into_iter().zip(is_held_back) {
            if is_held_back { validation.push(instance) } else { train.extend(instance) }
        }
        Ok(Self { train, validation })
    }

    /// Pairs held back.
    pub fn validation_pairs(&self) -> usize {
        self.validation.iter().map(Vec::len).sum()
    }
}

/// Pairs of unknown origin as instances: all pairs about one prompt are one, since any two may share a completion.
pub fn instances_by_prompt(pairs: Vec<Pair>) -> Vec<Vec<Pair>> {
    let mut instances: Vec<Vec<Pair>> = Vec::new();
    for pair in pairs {
        match instances.iter_mut().find(|instance| instance[0].prompt == pair.prompt) {
            Some(instance) => instance.push(pair),
            None => instances.push(vec![pair]),
        }
    }
    instances
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(prompt: u32, index: usize) -> Pair {
        Pair {
            prompt: vec![prompt],
            chosen: vec![index as u32, 1],
            rejected: vec![1],
            chosen_gold: 1.0,
            rejected_gold: 0.0,
        }
    }

    #[test]
    fn no_prompt_of_a_file_is_on_both_sides() {
        let pairs: Vec<Pair> = (0..60).map(|index| pair(7 * index as u32 % 10, index)).collect();
        let split = PairSplit::new(instances_by_prompt(pairs), 0.2, 1).unwrap();
        assert_eq!((split.validation.len(), split.validation_pairs(), split.train.len()), (2, 12, 48));
        for instance in &split.validation {
            assert!(split.train.iter().all(|pair| pair.prompt != instance[0].prompt));
        }
        let other = PairSplit::new(instances_by_prompt(split.train.clone()), 0.2, 2).unwrap();
        assert_eq!(other.validation.len(), 2);
    }

    #[test]
    fn both_sides_have_something_or_it_is_refused() {
        let two = vec![vec![pair(1, 0)], vec![pair(2, 1)]];
        for share in [0.01, 0.99] {
            let split = PairSplit::new(two.clone(), share, 1).unwrap();
            assert_eq!((split.train.len(), split.validation.len()), (1, 1), "share {share}");
        }
        assert_eq!(PairSplit::new(vec![vec![pair(1, 0); 6]], 0.5, 1).unwrap_err().field, "pairs");
        for share in [0.0, 1.0, f64::NAN] {
            assert_eq!(PairSplit::new(two.clone(), share, 1).unwrap_err().field, "validation_share");
        }
    }
}
