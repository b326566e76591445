//! Sizes of a policy, and what makes them valid.

use klimb_text::{ConfigError, message};
use serde::{Deserialize, Serialize};

/// Sizes of a decoder-only transformer: pre-norm LayerNorm, learned positions, causal attention, tanh-GELU MLP four
/// times as wide, biases, unembedding tied to the embedding unless it is to be its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Distinct tokens, V.
    pub vocabulary: usize,
    /// Longest sequence the position embedding covers, T.
    pub context: usize,
    /// Width of the residual stream, D: 16 to 128, a multiple of 4, in which the shaders read it.
    pub width: usize,
    /// Blocks, L: 1 to 4.
    pub layers: usize,
    /// Attention heads, H: any count that divides the width.
    pub heads: usize,
    /// Whether the unembedding is a matrix of its own instead of the embedding.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_unembedding: bool,
}

impl ModelConfig {
    /// The settings, or all that cannot be used.
    pub fn validated(self) -> Result<Self, ConfigError> {
        let outside = |value: usize, low: usize, high: usize| message!("{} is outside {} to {}", value, low, high);
        let within = |field, value: usize, low: usize, high: usize| {
            let is_within = (low..=high).contains(&value);
            if is_within { Ok(()) } else { Err(ConfigError::new(field, outside(value, low, high))) }
        };
        let refused = |is_bad: bool, error: ConfigError| if is_bad { Err(error) } else { Ok(()) };
        let Self { width, heads, .. } = self;
        let undivided = message!("{} heads do not divide a width of {}", heads, width);
        ConfigError::all([
            within("vocabulary", self.vocabulary, 2, 4096),
            within("context", self.context, 1, 256),
            within("width", width, 16, 128),
            refused(!width.is_multiple_of(4), ConfigError::new("width", message!("{} is not a multiple of 4", width))),
            within("layers", self.layers, 1, 4),
            refused(heads == 0, ConfigError::new("heads", outside(heads, 1, width))),
            refused(heads > width, ConfigError::of_several("heads", outside(heads, 1, width))),
            refused(!width.is_multiple_of(heads), ConfigError::of_several("heads", undivided)),
        ])?;
        Ok(self)
    }

    /// Width of one head, D/H.
    pub fn head_width(&self) -> usize {
        self.width / self.heads
    }

    /// Width of the hidden layer of the MLP, 4D.
    pub fn hidden(&self) -> usize {
        4 * self.width
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_size_is_named() {
        let good = ModelConfig { vocabulary: 150, context: 32, width: 32, layers: 2, heads: 4, own_unembedding: false };
        assert_eq!(good.validated(), Ok(good));
        let field = |config: ModelConfig| config.validated().unwrap_err().field;
        assert_eq!(field(ModelConfig { heads: 5, ..good }), "heads");
        assert_eq!(field(ModelConfig { heads: 0, ..good }), "heads");
        assert_eq!(field(ModelConfig { width: 130, ..good }), "width");
        assert_eq!(field(ModelConfig { width: 34, heads: 2, ..good }), "width");
        assert_eq!(field(ModelConfig { layers: 0, ..good }), "layers");
        assert_eq!(field(ModelConfig { context: 0, ..good }), "context");
        let several = ModelConfig { width: 9, layers: 7, ..good }.validated().unwrap_err();
        let said =
            "width: 9 is outside 16 to 128; layers: 7 is outside 1 to 4; heads: 4 heads do not divide a width of 9";
        assert_eq!(several.to_string(), said);
        // Without what depends on the width, were that unknown.
        let said = "width: 9 is outside 16 to 128; layers: 7 is outside 1 to 4";
        assert_eq!(several.of_single().unwrap().to_string(), said);
        let single = |heads| ModelConfig { heads, ..good }.validated().unwrap_err().of_single();
        assert_eq!([5, 40].map(single), [None, None]);
        assert_eq!(single(0).unwrap().to_string(), "heads: 0 is outside 1 to 32");
    }
}
