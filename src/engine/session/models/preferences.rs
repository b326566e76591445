//! The session's pairs: generated, or labelled by a person.

use thiserror::Error;

use super::{Models, PIECE, at_temperature_1};
use crate::engine::protocol::{DrawnPair, Loaded, Stage};
use crate::engine::session::reports;
use crate::engine::settings::Settings;
use klimb_align::language::Sequence;
use klimb_lab::{PAIRS_PER_CHUNK, PreferenceData, PreferenceSettings, Writer};
use klimb_network::backend::network::Network;
use klimb_network::backend::{BackendError, Kernels};
use klimb_numerics::rng::Generator;
use klimb_text::Message;
use klimb_world::preferences::{LabelSettings, Pair, PairError, from_jsonl, to_jsonl};
use klimb_world::{MAX_SEQUENCE, Vocabulary, World};

/// Completions from which a pair to label is taken: the first, and the next that differs.
const CANDIDATES: usize = 4;
/// How often candidates are drawn until two of them differ.
const ATTEMPTS: usize = 8;

/// Why a person's pairs cannot be used. What was there before is unchanged.
#[derive(Debug, Error)]
pub enum PreferencesError {
    /// The file is no text.
    NotText,
    /// A line is not a pair.
    Pair(#[from] PairError),
    /// There is nothing to validate a reward model on.
    OnePrompt,
}

impl PreferencesError {
    /// What is wrong, as a clause.
    pub fn message(&self) -> Message {
        match self {
            Self::NotText => message!("the file of pairs is not text in UTF-8: save it as JSON lines"),
            Self::Pair(error) => error.message(),
            Self::OnePrompt => message!(
                "the pairs are all about one prompt: add pairs about another, on which a reward model can be validated"
            ),
        }
    }
}

display_message!(PreferencesError);

/// The pairs of a file.
pub(super) fn read(world: &World, bytes: &[u8]) -> Result<Vec<Pair>, PreferencesError> {
    let text = std::str::from_utf8(bytes).map_err(|_| PreferencesError::NotText)?;
    let pairs = from_jsonl(world, text)?;
    if pairs.iter().all(|pair| pair.prompt == pairs[0].prompt) {
        return Err(PreferencesError::OnePrompt);
    }
    Ok(pairs)
}

fn labels(settings: &Settings) -> LabelSettings {
    LabelSettings { temperature: settings.label_temperature, flip_probability: settings.flip_probability }
}

/// No pair yet of those that are `given`, or else will be generated.
pub(super) fn data<K: Kernels>(
    k: &mut K,
    network: &Network,
    settings: &Settings,
    given: Option<&[Pair]>,
) -> PreferenceData<K> {
    let seed = u64::from(settings.seed);
    if let Some(pairs) = given {
        return PreferenceData::given(k, network, seed, pairs.to_vec());
    }
    let labels = labels(settings);
    let chunks = settings.pairs.div_ceil(PAIRS_PER_CHUNK);
    let loophole_bonus = settings.loophole_bonus;
    let made = PreferenceSettings { chunks, labels, loophole_bonus, ..PreferenceSettings::default() };
    PreferenceData::new(k, network, seed, made)
}

/// No pair yet of those that the policy in training will write.
pub(in crate::engine::session) fn online<K: Kernels>(
    k: &mut K,
    network: &Network,
    settings: &Settings,
) -> PreferenceData<K> {
    let (labels, loophole_bonus) = (labels(settings), settings.loophole_bonus);
    let made =
        PreferenceSettings { chunks: usize::MAX / PAIRS_PER_CHUNK, labels, writer: Writer::Policy, loophole_bonus };
    PreferenceData::new(k, network, u64::from(settings.seed), made)
}

impl<K: Kernels> Models<K> {
    /// Whether a person labelled the pairs.
    pub fn pairs_are_loaded(&self) -> bool {
        self.given.is_some()
    }

    /// Takes a person's pairs instead of what was there; what was trained on that is to be restarted. Answers
    /// with what they are.
    pub fn load_preferences(&mut self, k: &mut K, bytes: &[u8]) -> Result<Loaded, PreferencesError> {
        let pairs = read(&self.world, bytes)?;
        let is_same = self.given.as_ref() == Some(&pairs);
        let loaded = Loaded::Pairs { count: pairs.len(), is_same };
        self.given = Some(pairs);
        self.data = data(k, &self.network, &self.settings, self.given.as_deref());
        Ok(loaded)
    }

    /// Goes back to generated pairs; what was trained on a person's is to be restarted.
    pub fn generate_preferences(&mut self, k: &mut K) {
        self.given = None;
        self.data = data(k, &self.network, &self.settings, None);
    }

    /// The pairs as JSON lines: all of a person's, or those generated so far. `None` where there is none.
    pub fn preferences_as_jsonl(&self) -> Option<String> {
        let pairs: Vec<Pair> = match &self.given {
            Some(pairs) => pairs.clone(),
            None => self.data.pairs().cloned().collect(),
        };
        (!pairs.is_empty()).then(|| to_jsonl(&self.world, &pairs))
    }

    /// Pairs for a person to label, by the reference: which prompt and which completions is decided by seed, reference
    /// and number alone. A pair of which the reference writes but one completion is left out.
    pub async fn draw_pairs(&mut self, k: &mut K, from: usize, count: usize) -> Result<Vec<DrawnPair>, BackendError> {
        let seed = u64::from(self.settings.seed);
        // No prompt comes twice before every other has come.
        let mut order: Vec<usize> = (0..self.world.train_prompts().len()).collect();
        Generator::new(seed, "prompts to label").shuffle(&mut order);
        let mut waiting: Vec<(usize, Generator)> = (from..from.saturating_add(count))
            .map(|it| (it, Generator::numbered(seed, "pairs to label", it as u64)))
            .collect();
        let mut drawn = Vec::new();
        for _ in 0..ATTEMPTS {
            let mut alike = Vec::new();
            for piece in waiting.chunks_mut(PIECE / CANDIDATES) {
                let prompts: Vec<&[u32]> = piece
                    .iter()
                    .flat_map(|(number, _)| {
                        [self.world.train_prompts()[order[number % order.len()]].as_slice(); CANDIDATES]
                    })
                    .collect();
                let coins: Vec<f32> =
                    piece.iter_mut().flat_map(|(_, draws)| draws.coins(CANDIDATES * MAX_SEQUENCE)).collect();
                let written = self.sampler.generate(k, &self.reference, &prompts, &coins, at_temperature_1()).await?;
                for ((number, draws), candidates) in piece.iter().zip(written.chunks_exact(CANDIDATES)) {
                    match Self::first_two(candidates) {
                        Some(two) => drawn.push(self.drawn_pair(*number, two)),
                        None => alike.push((*number, draws.clone())),
                    }
                }
            }
            waiting = alike;
        }
        drawn.sort_by_key(|pair| pair.number);
        Ok(drawn)
    }

    /// The first two that have words, and not the same ones.
    fn first_two(candidates: &[Sequence]) -> Option<[&Sequence; 2]> {
        let mut with_words = candidates.iter().filter(|it| it.completion().first() != Some(&Vocabulary::END));
        let first = with_words.next()?;
        with_words.find(|other| other.tokens != first.tokens).map(|other| [first, other])
    }

    fn drawn_pair(&self, number: usize, two: [&Sequence; 2]) -> DrawnPair {
        let stage = (Stage::Sft, self.sft.step as usize);
        DrawnPair {
            number,
            prompt: self.world.vocabulary().text(two[0].prompt()),
            completions: two.map(|sequence| reports::completion(&self.world, stage, sequence, &[])),
        }
    }
}
