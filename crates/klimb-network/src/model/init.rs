//! What a network knows before it has seen anything.

use super::{Layout, ModelConfig};
use klimb_numerics::rng::Generator;

/// The initial parameters of a network of these sizes, in the order of [`Layout`], as GPT-2 draws them (Radford et al.
/// 2019): weights and embeddings normal with deviation 0.02, positions with 0.01, gains 1, biases 0. The two projections
/// that each block adds to the residual stream are scaled by 1/√(2L), so that the stream's variance does not grow with
/// depth. So small an embedding, which is the unembedding too, makes every next token about equally likely at first:
/// training starts at a loss of ln V.
///
/// The same seed gives the same numbers on every platform.
pub fn initial_parameters(config: &ModelConfig, seed: u64) -> Vec<f32> {
    let layout = Layout::new(config);
    let mut generator = Generator::new(seed, "parameters");
    let mut parameters = Vec::with_capacity(layout.len);
    let residual = 1.0 / (2.0 * config.layers as f64).sqrt();
    for tensor in &layout.tensors {
        let kind = tensor.name.rsplit('.').next().unwrap_or(&tensor.name);
        let deviation = match kind {
            "wo" | "w2" => 0.02 * residual,
            "wpe" => 0.01,
            _ => 0.02,
        };
        match (kind, tensor.shape.len()) {
            ("ln1g" | "ln2g" | "lnfg", _) => parameters.extend(std::iter::repeat_n(1.0, tensor.len())),
            (_, 1) => parameters.extend(std::iter::repeat_n(0.0, tensor.len())),
            _ => parameters.extend((0..tensor.len()).map(|_| (deviation * generator.normal()) as f32)),
        }
    }
    parameters
}

/// The trunk of `parameters`, which may have a head already, with a scalar head behind it whose weights are zero: a value
/// model that promises nothing yet.
///
/// # Panics
/// If `parameters` are fewer than a language model of these sizes has.
pub fn with_zero_head(config: &ModelConfig, parameters: &[f32]) -> Vec<f32> {
    let mut headed = parameters[..Layout::new(config).len].to_vec();
    headed.resize(Layout::with_head(config).len, 0.0);
    headed
}

/// The trunk of `parameters`, which may have a head already, with a scalar head behind it whose weights are normal with
/// variance 1/(D + 1) and whose bias is zero: a reward model's first (Stiennon et al. 2020, appendix B.1). Its scores
/// differ at once, and with them the trunk has something to learn from in the very first step.
///
/// # Panics
/// If `parameters` are fewer than a language model of these sizes has.
pub fn with_random_head(config: &ModelConfig, parameters: &[f32], seed: u64) -> Vec<f32> {
    let mut headed = with_zero_head(config, parameters);
    let head = Layout::new(config).len;
    let deviation = 1.0 / ((config.width + 1) as f64).sqrt();
    let mut generator = Generator::new(seed, "scalar head");
    headed[head..head + config.width].iter_mut().for_each(|weight| *weight = (deviation * generator.normal()) as f32);
    headed
}

#[cfg(test)]
mod tests {
    use super::*;
    use klimb_numerics::stats::RunningStats;

    const CONFIG: ModelConfig =
        ModelConfig { vocabulary: 150, context: 32, width: 32, layers: 2, heads: 4, own_unembedding: false };

    #[test]
    fn each_tensor_has_its_mean_and_deviation() {
        let parameters = initial_parameters(&CONFIG, 1);
        let layout = Layout::new(&CONFIG);
        assert_eq!(parameters.len(), layout.len);
        for (name, mean, deviation) in [
            ("wte", 0.0, 0.02),
            ("wpe", 0.0, 0.01),
            ("l0.wqkv", 0.0, 0.02),
            ("l1.wo", 0.0, 0.01),
            ("l1.w1", 0.0, 0.02),
            ("l0.w2", 0.0, 0.01),
            ("l1.ln1g", 1.0, 0.0),
            ("lnfg", 1.0, 0.0),
            ("lnfb", 0.0, 0.0),
            ("l0.bqkv", 0.0, 0.0),
        ] {
            let values = &parameters[layout.tensor(name).unwrap().range()];
            let moments: RunningStats = values.iter().copied().map(f64::from).collect();
            assert!((moments.mean() - mean).abs() <= 0.15 * deviation, "{name}: mean {}", moments.mean());
            let found = moments.standard_deviation();
            assert!((found - deviation).abs() <= 0.1 * deviation, "{name}: deviation {found}");
        }
    }

    #[test]
    fn a_head_begins_at_zero_whatever_was_there() {
        let trunk = initial_parameters(&CONFIG, 1);
        let mut headed = with_zero_head(&CONFIG, &trunk);
        assert_eq!((&headed[..trunk.len()], &headed[trunk.len()..]), (&trunk[..], &[0.0; 33][..]));
        headed[trunk.len()..].fill(3.0);
        assert_eq!(with_zero_head(&CONFIG, &headed), with_zero_head(&CONFIG, &trunk));
    }

    #[test]
    fn a_random_head_has_its_variance_and_no_bias() {
        let config = ModelConfig { width: 128, ..CONFIG };
        let trunk = initial_parameters(&config, 1);
        let headed = with_random_head(&config, &trunk, 1);
        assert_eq!(headed[..trunk.len()], trunk);
        let weights: RunningStats = headed[trunk.len()..trunk.len() + 128].iter().copied().map(f64::from).collect();
        assert!((weights.variance() * 129.0 - 1.0).abs() < 0.3 && weights.mean().abs() < 0.03, "{weights:?}");
        assert_eq!(headed.last(), Some(&0.0));
        assert_ne!(headed, with_random_head(&config, &trunk, 2));
    }

    #[test]
    fn a_seed_names_a_network() {
        assert_eq!(initial_parameters(&CONFIG, 1), initial_parameters(&CONFIG, 1));
        assert_ne!(initial_parameters(&CONFIG, 1), initial_parameters(&CONFIG, 2));
    }
}
