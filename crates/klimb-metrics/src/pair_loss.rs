//! What a method on pairs makes its loss of. How a step is computed, reported and shown follows from it.

/// What the loss of a pair is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairLoss {
    /// The margin: by how much the implicit reward r̂ of the chosen completion is higher than that of the rejected one.
    Margin(MarginLoss),
    /// The likelihoods of the completions themselves.
    Likelihood(LikelihoodLoss),
}

/// How a margin becomes a loss, as the method's paper has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarginLoss {
    /// −log σ(margin), the margin being β·log π/π_ref of the chosen less that of the rejected. It begins at ln 2, and a pair pulls by
    /// σ(−margin).
    LogSigmoid,
    /// Something else: only the implicit rewards and the pulls are written out in numbers, not the formula.
    Other,
}

/// How likelihoods become a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LikelihoodLoss {
    /// Which completions of a pair it is of.
    pub of: LossSides,
    /// What is said of it behind its value: one sentence, in English.
    pub remark: &'static str,
}

/// The completions of a pair that a loss is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossSides {
    /// −log π(y_w) + α·log π(y_l), a mean over pairs.
    Both,
    /// −log π(y_w), a mean over tokens.
    Chosen,
}
