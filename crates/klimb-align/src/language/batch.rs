//! Sequences laid out for the kernels.

use klimb_network::backend::SequenceSize;

/// A prompt and its completion in one row of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Prompt, completion and, if the completion ended, its end token. No padding.
    pub tokens: Vec<u32>,
    /// Tokens of the prompt, at least 1: the first token has nothing to be predicted from.
    pub prompt_length: usize,
}

impl Sequence {
    /// `prompt` followed by `completion`.
    pub fn new(prompt: &[u32], completion: &[u32]) -> Self {
        Self { tokens: [prompt, completion].concat(), prompt_length: prompt.len() }
    }

    /// The tokens behind the prompt.
    pub fn completion(&self) -> &[u32] {
        &self.tokens[self.prompt_length..]
    }

    /// The tokens of the prompt.
    pub fn prompt(&self) -> &[u32] {
        &self.tokens[..self.prompt_length]
    }
}

/// Inputs, targets and completion mask of (B, T): position t of a row reads token t and predicts token t + 1.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenBatch {
    /// B and T.
    pub size: SequenceSize,
    /// Tokens read, (B, T).
    pub inputs: Vec<u32>,
    /// Tokens predicted, (B, T).
    pub targets: Vec<u32>,
    /// 1 where the target belongs to the completion, (B, T).
    pub completion_mask: Vec<f32>,
}

impl TokenBatch {
    /// One row of `length` positions for each sequence, the rest of it token 0 (padding) under mask 0.
    ///
    /// # Panics
    /// If a sequence has more than `length` + 1 tokens.
    pub fn new<'a>(length: usize, sequences: impl IntoIterator<Item = &'a Sequence>) -> Self {
        let mut batch = Self {
            size: SequenceSize { batch: 0, length },
            inputs: Vec::new(),
            targets: Vec::new(),
            completion_mask: Vec::new(),
        };
        for Sequence { tokens, prompt_length } in sequences {
            assert!(tokens.len() <= length + 1, "a sequence of {} tokens, room for {}", tokens.len(), length + 1);
            let token = |t: usize| tokens.get(t).copied().unwrap_or(0);
            batch.inputs.extend((0..length).map(token));
            batch.targets.extend((1..=length).map(token));
            let counts = |t: usize| t >= *prompt_length && t < tokens.len();
            batch.completion_mask.extend((1..=length).map(|t| f32::from(u8::from(counts(t)))));
            batch.size.batch += 1;
        }
        batch
    }

    /// Tokens that count.
    pub fn completion_tokens(&self) -> f32 {
        self.completion_mask.iter().sum()
    }

    /// All integers of a training step in one piece: inputs, targets, then where each token occurs among the inputs,
    /// as `EmbedBackward` wants it: V+1 starts and the rows sorted by token.
    pub fn integers(&self, vocabulary: usize) -> Vec<u32> {
        let rows = self.inputs.len();
        let mut starts = vec![0u32; vocabulary + 1];
        for &token in &self.inputs {
            starts[token as usize + 1] += 1;
        }
        for token in 0..vocabulary {
            starts[token + 1] += starts[token];
        }
        let mut next = starts.clone();
        let mut order = vec![0u32; rows];
        for (row, &token) in self.inputs.iter().enumerate() {
            order[next[token as usize] as usize] = row as u32;
            next[token as usize] += 1;
        }
        [&self.inputs[..], &self.targets, &starts, &order].concat()
    }
}

/// 1 at the last token of each sequence, its end token if it has one, (B, `length`): where a reward model's score is
/// read. There the value must have *read* the token, so a sequence has one token less room than in a [`TokenBatch`].
///
/// # Panics
/// If a sequence has more than `length` tokens, or none.
pub fn last_token_mask<'a>(length: usize, sequences: impl IntoIterator<Item = &'a Sequence>) -> Vec<f32> {
    let mut mask = Vec::new();
    for Sequence { tokens, .. } in sequences {
        assert!((1..=length).contains(&tokens.len()), "{} tokens to be judged, room for {length}", tokens.len());
        mask.extend((1..=length).map(|t| f32::from(u8::from(t == tokens.len()))));
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_covers_the_completion_and_nothing_else() {
        let sequences =
            [Sequence::new(&[5, 6, 7], &[8, 1]), Sequence::new(&[5], &[1]), Sequence::new(&[5, 6], &[7, 8, 1])];
        let batch = TokenBatch::new(5, &sequences);
        assert_eq!(batch.inputs[..5], [5, 6, 7, 8, 1]);
        assert_eq!(batch.targets[..5], [6, 7, 8, 1, 0]);
        assert_eq!(batch.completion_mask[..5], [0.0, 0.0, 1.0, 1.0, 0.0]);
        assert_eq!(batch.completion_mask[5..10], [1.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(batch.completion_tokens(), 6.0);
    }

    #[test]
    fn a_score_is_read_at_the_last_token() {
        let sequences = [Sequence::new(&[5, 6], &[8, 1]), Sequence::new(&[5], &[1])];
        let mask = last_token_mask(4, &sequences);
        assert_eq!(mask, [0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
        let batch = TokenBatch::new(4, &sequences);
        let read: Vec<u32> = batch.inputs.iter().zip(&mask).filter(|it| *it.1 == 1.0).map(|it| *it.0).collect();
        assert_eq!(read, [1, 1], "the end token has been read there");
    }

    #[test]
    fn occurrences_list_every_row_of_every_token_once() {
        let batch = TokenBatch::new(4, &[Sequence::new(&[2, 3], &[3, 2, 1]), Sequence::new(&[3], &[1])]);
        let integers = batch.integers(5);
        let (starts, order) = integers[16..].split_at(6);
        for token in 0..5u32 {
            let rows = &order[starts[token as usize] as usize..starts[token as usize + 1] as usize];
            let expected: Vec<u32> = (0..8).filter(|&row| batch.inputs[row as usize] == token).collect();
            assert_eq!(rows, expected);
        }
    }
}
