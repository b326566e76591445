//! The closed-form optimum of the reference that ships with the page, computed once.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::mixture::effective_temperature;
use super::{OptimumSample, OptimumSettings, beta_at, optimum};
use klimb_metrics::OptimumPoint;
use klimb_text::{Message, display_message, json, message};

/// Where the recorded grid begins and ends, in steps of the live one: β 0.001 to 500, so that every label temperature
/// finds the slider's range in it.
const GRID: std::ops::RangeInclusive<i32> = -23..=110;

/// A curve with the name of the reference it belongs to; `www/assets/optimum.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedOptimum {
    /// `Checkpoint::fingerprint` of the reference.
    pub reference: String,
    /// The labels' τ.
    pub temperature: f64,
    /// How it was sampled.
    pub settings: OptimumSettings,
    /// Completions behind it, all prompts together.
    pub samples: usize,
    /// The curve, by rising β, over a wider range than the slider's.
    pub points: Vec<OptimumPoint>,
}

/// Why a file is no recorded optimum.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct RecordedOptimumError(Message);

impl RecordedOptimumError {
    /// What is wrong, as a clause.
    pub fn message(&self) -> Message {
        message!("the recorded optimum cannot be read ({}): fetch it again, or make it with `klimb optimum`", self.0)
    }
}

display_message!(RecordedOptimumError);

impl RecordedOptimum {
    /// The curve of `samples`, which a reference of this fingerprint was sampled for.
    pub fn new(reference: String, temperature: f64, settings: OptimumSettings, samples: &[Vec<OptimumSample>]) -> Self {
        let points = GRID.map(|step| optimum(samples, beta_at(f64::from(step)))).collect();
        Self { reference, temperature, settings, samples: samples.iter().map(Vec::len).sum(), points }
    }

    /// The curve in a file's bytes.
    ///
    /// # Errors
    /// If they are not the JSON of a curve with finite numbers by rising β.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordedOptimumError> {
        let refuse = |reason: Message| Err(RecordedOptimumError(reason));
        let recorded: Self = json::from_bytes(bytes).map_err(|error| RecordedOptimumError(error.message()))?;
        let is_positive = |number: f64| number > 0.0 && number.is_finite();
        if recorded.points.is_empty() || !recorded.points.windows(2).all(|pair| pair[0].beta < pair[1].beta) {
            return refuse(message!("its β do not rise"));
        }
        if !is_positive(recorded.temperature) || !recorded.points.iter().all(|point| is_positive(point.beta)) {
            return refuse(message!("a β or the label temperature is not a positive number"));
        }
        Ok(recorded)
    }

    /// The file's text, one point a line.
    pub fn to_json(&self) -> String {
        let line = |point: &OptimumPoint| json::to_text(point);
        let whole = json::to_pretty_text(&Self { points: Vec::new(), ..self.clone() });
        let points = self.points.iter().map(line).collect::<Vec<_>>().join(",\n    ");
        whole.replace("\"points\": []", &format!("\"points\": [\n    {points}\n  ]")) + "\n"
    }

    /// The curve for labels of another temperature, over the slider's range. The optimum depends on r*/β = gold/(τ·β)
    /// alone, so it is the same curve, and each of its points is another β's.
    pub fn curve(&self, temperature: f64) -> Vec<OptimumPoint> {
        let scale = self.temperature / effective_temperature(temperature);
        let scaled = self.points.iter().map(|point| OptimumPoint { beta: point.beta * scale, ..*point });
        let step = beta_at(1.0) / beta_at(0.0);
        let (low, high) = (beta_at(0.0) / step, beta_at((super::BETA_GRID - 1) as f64) * step);
        scaled.filter(|point| (low..=high).contains(&point.beta)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(temperature: f64) -> RecordedOptimum {
        let sample = |i: u32| {
            let gold_reward = f64::from(i) / 200.0;
            OptimumSample { gold_reward, reward: gold_reward / temperature, log_weight: 0.0 }
        };
        let samples = [(0..=200).map(sample).collect::<Vec<_>>()];
        RecordedOptimum::new("a reference".into(), temperature, OptimumSettings::default(), &samples)
    }

    #[test]
    fn another_temperature_is_the_same_curve_at_other_betas() {
        for temperature in [0.05, 0.1, 1.0, 3.0] {
            let (scaled, exact) = (recorded(0.1).curve(temperature), recorded(temperature));
            assert!(
                scaled[0].beta <= 0.012 && scaled.last().unwrap().beta >= 4.5,
                "τ {temperature}: the slider's range"
            );
            for point in scaled {
                let samples: Vec<_> = (0..=200)
                    .map(|i| f64::from(i) / 200.0)
                    .map(|gold| OptimumSample { gold_reward: gold, reward: gold / temperature, log_weight: 0.0 })
                    .collect();
                let exact = OptimumPoint { beta: point.beta, ..optimum(&[samples], point.beta) };
                assert!((exact.kl_per_sequence - point.kl_per_sequence).abs() < 1e-9, "{point:?}, {exact:?}");
                assert!((exact.gold_reward - point.gold_reward).abs() < 1e-9, "{point:?}, {exact:?}");
            }
            assert_eq!(exact.points.len(), GRID.count());
        }
        assert_eq!(recorded(0.1).curve(0.0), recorded(0.1).curve(0.1), "noise-free labels count as 0.1");
    }

    #[test]
    fn a_file_comes_back_and_a_broken_one_is_refused_in_words() {
        let recorded = recorded(0.1);
        let text = recorded.to_json();
        let back = RecordedOptimum::from_bytes(text.as_bytes()).unwrap();
        // The reader of JSON may miss a number's last bit.
        for (back, point) in back.points.iter().zip(&recorded.points) {
            let (kl, gold) = (back.kl_per_sequence - point.kl_per_sequence, back.gold_reward - point.gold_reward);
            assert!(
                kl.abs() < 1e-12 && gold.abs() < 1e-12 && (back.beta / point.beta - 1.0).abs() < 1e-12,
                "{point:?}"
            );
        }
        assert_eq!(back.points.len(), recorded.points.len());
        assert_eq!(
            RecordedOptimum { points: Vec::new(), ..back },
            RecordedOptimum { points: Vec::new(), ..recorded.clone() }
        );
        let backwards = RecordedOptimum { points: recorded.points.iter().rev().copied().collect(), ..recorded.clone() };
        for (broken, word) in [
            (text[..text.len() / 2].to_owned(), "cannot be read"),
            (backwards.to_json(), "do not rise"),
            (RecordedOptimum { temperature: 0.0, ..recorded }.to_json(), "not a positive number"),
        ] {
            let error = RecordedOptimum::from_bytes(broken.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("klimb optimum"), "{error}");
        }
    }
}
