//! A weighted finite-state automaton that writes text with a latent tone, and reads it back exactly.
//!
//! Each step emits one token. A *tone*, drawn once a text, decides the probabilities of the edges. A noisy channel
//! then replaces each word, but not the end token, with a uniform word. Because tone and state are the only hidden
//! variables, the forward algorithm (Rabiner 1989, eq. 18-21) over both gives the exact likelihood of any text.

use super::vocabulary::Vocabulary;
use klimb_numerics::rng::Generator;

/// The tones, from very negative to very positive; equally likely.
pub const TONES: [f64; 5] = [-1.0, -0.5, 0.0, 0.5, 1.0];

/// A state's number.
pub(super) type State = usize;

/// One step: emits `token` and goes to `next`. An end token goes nowhere.
#[derive(Debug, Clone)]
struct Edge {
    token: u32,
    next: State,
    /// By tone.
    probability: [f64; TONES.len()],
}

/// A word a choice can fall on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub token: u32,
    /// Weight at tone 0.
    pub weight: f64,
    /// Decides how a tone tilts the weight.
    pub valence: f64,
}

/// States and edges, the tilt by tone, and the noisy channel.
#[derive(Debug, Clone)]
pub struct Automaton {
    states: Vec<Vec<Edge>>,
    words: std::ops::Range<u32>,
    tone_strength: f64,
    noise: f64,
}

impl Automaton {
    /// An automaton without states over the words of a vocabulary. `tone_strength` is κ, `noise` a probability.
    pub(super) fn new(words: std::ops::Range<u32>, tone_strength: f64, noise: f64) -> Self {
        Self { states: Vec::new(), words, tone_strength, noise }
    }

    /// A new state without edges.
    pub(super) fn state(&mut self) -> State {
        self.states.push(Vec::new());
        self.states.len() - 1
    }

    /// Adds edges that together have probability `share` in `from` at every tone. Within the choice, a word's weight
    /// is tilted by exp(κ · tone · valence · `tilt`).
    pub(super) fn choose(&mut self, from: State, to: State, share: f64, candidates: &[Candidate], tilt: f64) {
        let weight = |candidate: &Candidate, tone: f64| {
            candidate.weight * (self.tone_strength * tone * candidate.valence * tilt).exp()
        };
        let totals = TONES.map(|tone| candidates.iter().map(|candidate| weight(candidate, tone)).sum::<f64>());
        let edges: Vec<Edge> = candidates
            .iter()
            .map(|candidate| Edge {
                token: candidate.token,
                next: to,
                probability: std::array::from_fn(|tone| share * weight(candidate, TONES[tone]) / totals[tone]),
            })
            .collect();
        self.states[from].extend(edges);
    }

    /// The first state whose edges do not sum to 1 at some tone, with the sum.
    pub(super) fn first_improper_state(&self) -> Option<(State, f64)> {
        (0..self.states.len()).find_map(|state| {
            (0..TONES.len()).find_map(|tone| {
                let sum: f64 = self.states[state].iter().map(|edge| edge.probability[tone]).sum();
                ((sum - 1.0).abs() > 1e-9).then_some((state, sum))
            })
        })
    }

    /// Draws a tone and a text with its end token, from `start`.
    pub(super) fn sample(&self, start: State, generator: &mut Generator) -> Vec<u32> {
        let tone = generator.below(TONES.len());
        let mut state = start;
        let mut tokens = Vec::new();
        loop {
            let edges = &self.states[state];
            let edge = &edges[generator.weighted(edges.iter().map(|edge| edge.probability[tone]))];
            if edge.token == Vocabulary::END {
                tokens.push(edge.token);
                return tokens;
            }
            tokens.push(self.through_channel(edge.token, generator));
            state = edge.next;
        }
    }

    /// The word, or with the noise's probability a uniform one.
    pub(super) fn through_channel(&self, token: u32, generator: &mut Generator) -> u32 {
        if generator.uniform() < self.noise {
            self.words.start + generator.below(self.words.len()) as u32
        } else {
            token
        }
    }

    /// log p(text) in nats, −∞ for a text that cannot be written (one that does not end, for example).
    pub(super) fn log_likelihood(&self, start: State, tokens: &[u32]) -> f64 {
        let Some((&Vocabulary::END, body)) = tokens.split_last() else { return f64::NEG_INFINITY };
        let mut forward = vec![[0.0; TONES.len()]; self.states.len()];
        forward[start] = [1.0 / TONES.len() as f64; TONES.len()];
        for &token in body {
            forward = self.forward_step(&forward, token);
        }
        let mut total = 0.0;
        for (alphas, edges) in forward.iter().zip(&self.states) {
            for edge in edges.iter().filter(|edge| edge.token == Vocabulary::END) {
                total +=
                    alphas.iter().zip(&edge.probability).map(|(alpha, probability)| alpha * probability).sum::<f64>();
            }
        }
        total.ln()
    }

    /// One step of the forward algorithm: p(state, tone, text so far) after one more observed word.
    fn forward_step(&self, forward: &[[f64; TONES.len()]], observed: u32) -> Vec<[f64; TONES.len()]> {
        let mut next = vec![[0.0; TONES.len()]; self.states.len()];
        if !self.words.contains(&observed) {
            return next;
        }
        let uniform = self.noise / self.words.len() as f64;
        for (alphas, edges) in forward.iter().zip(&self.states) {
            if alphas.iter().all(|&alpha| alpha == 0.0) {
                continue;
            }
            for edge in edges.iter().filter(|edge| edge.token != Vocabulary::END) {
                let emission = uniform + if edge.token == observed { 1.0 - self.noise } else { 0.0 };
                for (tone, alpha) in alphas.iter().enumerate() {
                    next[edge.next][tone] += alpha * edge.probability[tone] * emission;
                }
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: std::ops::Range<u32> = 2..5;

    fn candidate(token: u32, weight: f64, valence: f64) -> Candidate {
        Candidate { token, weight, valence }
    }

    /// Two tilted words, then one more or the end, by two ways that write the same texts.
    fn tiny(noise: f64) -> Automaton {
        let mut automaton = Automaton::new(WORDS, 0.9, noise);
        let [start, plain, turned, last] = [(); 4].map(|()| automaton.state());
        let words = [candidate(2, 1.0, 2.0), candidate(3, 2.0, -1.5), candidate(4, 0.5, 0.0)];
        automaton.choose(start, plain, 0.7, &words, 1.0);
        automaton.choose(start, turned, 0.3, &words, -0.74);
        automaton.choose(plain, last, 0.4, &words, 1.0);
        automaton.choose(plain, plain, 0.6, &[candidate(Vocabulary::END, 1.0, 0.0)], 0.0);
        automaton.choose(turned, last, 1.0, &words[..2], 1.0);
        automaton.choose(last, last, 1.0, &[candidate(Vocabulary::END, 1.0, 0.0)], 0.0);
        assert_eq!(automaton.first_improper_state(), None);
        automaton
    }

    /// Every text of up to three words with its end token.
    fn texts() -> Vec<Vec<u32>> {
        let mut texts: Vec<Vec<u32>> = vec![vec![]];
        let mut longest = texts.clone();
        for _ in 0..3 {
            longest = longest.iter().flat_map(|text| WORDS.map(|word| [text.as_slice(), &[word]].concat())).collect();
            texts.extend(longest.iter().cloned());
        }
        texts.into_iter().map(|text| [text.as_slice(), &[Vocabulary::END]].concat()).collect()
    }

    #[test]
    fn the_likelihood_sums_to_1_over_all_texts() {
        for noise in [0.0, 0.03, 0.5] {
            let automaton = tiny(noise);
            let total: f64 = texts().iter().map(|text| automaton.log_likelihood(0, text).exp()).sum();
            assert!((total - 1.0).abs() < 1e-12, "noise {noise}: {total}");
        }
    }

    #[test]
    fn the_likelihood_is_the_frequency_of_each_text() {
        let automaton = tiny(0.2);
        let mut generator = Generator::new(1, "frequency");
        let draws = 100_000;
        let mut counts = std::collections::HashMap::new();
        for _ in 0..draws {
            *counts.entry(automaton.sample(0, &mut generator)).or_insert(0) += 1;
        }
        for text in texts() {
            let expected = automaton.log_likelihood(0, &text).exp();
            let observed = f64::from(counts.get(&text).copied().unwrap_or(0)) / f64::from(draws);
            let error = (expected / f64::from(draws)).sqrt();
            assert!((observed - expected).abs() <= 5.0 * error, "{text:?}: {observed} instead of {expected} ± {error}");
        }
    }
}
