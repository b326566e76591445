//! Checkpoints: safetensors files that other programs can read, and that say what they are.
//!
//! Each tensor of the [`Layout`] is stored by name as F32. The file's metadata has one entry, `klimb`: a JSON text with
//! format version, sizes, vocabulary fingerprint, step and stage, and a checksum over all of it and the tensors. One
//! entry, because the order of several would change from run to run: the same checkpoint is the same bytes.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::safetensors::{self, Contents, F32, Unreadable};
use super::{Layout, ModelConfig};
use klimb_numerics::hash::fingerprint;
use klimb_text::shorten::shortened;
use klimb_text::{ConfigError, Message, display_message, json, message};

/// The version of the format this program writes, and the only one it reads.
const FORMAT: u32 = 1;

/// A network at one moment, with what is needed to go on from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Sizes of the network.
    pub config: ModelConfig,
    /// Names the vocabulary the tokens are numbered by: another one would make nonsense of the embedding.
    pub vocabulary_fingerprint: String,
    /// Optimiser updates since the stage began.
    pub step: u64,
    /// What the network was trained for, such as `base`, `sft` or `reward_model`.
    pub stage: String,
    /// Whether the network ends in a scalar head, as reward and value models do.
    pub head: bool,
    /// All parameters, in the order of [`Layout::new`] or, with a head, of [`Layout::with_head`].
    pub parameters: Vec<f32>,
}

/// What a checkpoint must be like to be of use here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The sizes, if they cannot change any more.
    pub config: Option<ModelConfig>,
    /// The fingerprint of the vocabulary in use.
    pub vocabulary_fingerprint: String,
    /// Whether a network with a scalar head is wanted. One without is no smaller version of it: a language model
    /// scores nothing, and a reward model's trunk has forgotten how to write.
    pub head: bool,
}

/// Why a file was refused as a checkpoint. Nothing was loaded, and what was there before is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// The file's length is not what its beginning announces.
    Truncated {
        /// Bytes found.
        bytes: usize,
    },
    /// The file's parts contradict each other.
    Corrupt {
        /// What does not fit.
        reason: Message,
    },
    /// The file is something else, perhaps another program's.
    Foreign {
        /// How that was noticed.
        reason: Message,
    },
    /// The file comes from another version of Klimb.
    OtherFormat {
        /// The file's format.
        found: u32,
    },
    /// The file's own sizes are none that a network can have.
    ImpossibleSizes(#[from] ConfigError),
    /// The tokens are numbered by another vocabulary.
    OtherVocabulary {
        /// The fingerprint in use.
        expected: String,
        /// The file's fingerprint.
        found: String,
    },
    /// The network has other sizes than the one in use.
    OtherSizes {
        /// The sizes in use.
        expected: Message,
        /// The file's sizes.
        found: Message,
    },
    /// A language model, where a network with a scalar head is wanted.
    NoHead {
        /// The file's stage.
        stage: String,
    },
    /// A network with a scalar head, where a language model is wanted.
    UnexpectedHead {
        /// The file's stage.
        stage: String,
    },
    /// A tensor the sizes call for is not in the file.
    MissingTensor {
        /// The tensor's name.
        tensor: String,
    },
    /// The file has a tensor the sizes do not call for.
    ExtraTensor {
        /// The tensor's name.
        tensor: String,
    },
    /// A tensor is not of the shape or number type that the sizes call for.
    WrongShape {
        /// The tensor's name.
        tensor: String,
        /// Number type and shape that the sizes call for.
        expected: String,
        /// Number type and shape found.
        found: String,
    },
    /// The network was saved after its training had blown up.
    NotFinite {
        /// The first such tensor's name.
        tensor: String,
    },
}

impl CheckpointError {
    /// What is wrong, as a clause.
    pub fn message(&self) -> Message {
        match self {
            Self::Truncated { bytes } => message!(
                "the checkpoint has {} bytes, not the number that its header announces; it was cut off or something was appended: fetch or save it again",
                bytes
            ),
            Self::Corrupt { reason } => message!("the checkpoint is damaged ({}): fetch or save it again", reason),
            Self::Foreign { reason } => {
                message!("this is not a Klimb checkpoint ({}): choose a .safetensors file that Klimb wrote", reason)
            }
            Self::OtherFormat { found } => message!(
                "the checkpoint has format {} and this version of Klimb reads format {}: use the version that wrote it, or train again",
                found,
                FORMAT
            ),
            Self::ImpossibleSizes(it) => message!(
                "the checkpoint describes a network that cannot exist ({}): fetch or save it again",
                it.message()
            ),
            Self::OtherVocabulary { found, expected } => message!(
                "the checkpoint was trained with another vocabulary ({} instead of {}): choose one trained in this world, or train again",
                found,
                expected
            ),
            Self::OtherSizes { found, expected } => message!(
                "the checkpoint's network has {} and the one in use has {}: choose a checkpoint of these sizes, or start again with the checkpoint's",
                found,
                expected
            ),
            Self::NoHead { stage } => message!(
                "the checkpoint is a language model (stage {}) without a scalar head: choose a reward or value model, or train one",
                stage
            ),
            Self::UnexpectedHead { stage } => message!(
                "the checkpoint (stage {}) ends in a scalar head: it judges texts and writes none; choose a base, SFT or policy checkpoint",
                stage
            ),
            Self::MissingTensor { tensor } => {
                message!("the checkpoint lacks the tensor {}: fetch or save it again", tensor)
            }
            Self::ExtraTensor { tensor } => message!(
                "the checkpoint has a tensor {} that its sizes do not call for: fetch or save it again",
                tensor
            ),
            Self::WrongShape { tensor, found, expected } => message!(
                "the checkpoint's tensor {} is {} instead of {}: fetch or save it again",
                tensor,
                found,
                expected
            ),
            Self::NotFinite { tensor } => message!(
                "the checkpoint's tensor {} holds numbers that are infinite or undefined: choose one saved earlier in that run",
                tensor
            ),
        }
    }
}

display_message!(CheckpointError);

impl CheckpointError {
    /// The sentence without its remedy, which is for a file that somebody chose: one that a study made has another.
    pub fn problem(&self) -> String {
        let sentence = self.to_string();
        sentence.rsplit_once(": ").map_or(sentence.clone(), |(problem, _)| problem.to_owned())
    }
}

/// The metadata's JSON, and without the checksum what that is computed over.
#[derive(Serialize, Deserialize)]
struct Description {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
    format: u32,
    stage: String,
    step: u64,
    vocabulary_fingerprint: String,
    config: ModelConfig,
    /// Left out where false: language models are described as they were before there were heads.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    head: bool,
}

impl Description {
    fn layout(&self) -> Layout {
        if self.head { Layout::with_head(&self.config) } else { Layout::new(&self.config) }
    }
}

impl Checkpoint {
    /// The file's bytes, the same for the same checkpoint.
    ///
    /// # Panics
    /// If the number of parameters does not fit the sizes and the head.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut description = Description {
            checksum: None,
            format: FORMAT,
            stage: self.stage.clone(),
            step: self.step,
            vocabulary_fingerprint: self.vocabulary_fingerprint.clone(),
            config: self.config,
            head: self.head,
        };
        let layout = description.layout();
        let found = self.parameters.len();
        assert_eq!(found, layout.len, "Checkpoint::to_bytes: {found} parameters for sizes with {}", layout.len);
        description.checksum = Some(checksum(&description, &self.parameters));
        safetensors::write(json::to_text(&description), &layout.tensors, &self.parameters)
    }

    /// Names the file: 64-bit FNV-1a of its bytes, in hexadecimal.
    ///
    /// # Panics
    /// As [`Checkpoint::to_bytes`].
    pub fn fingerprint(&self) -> String {
        fingerprint(self.to_bytes())
    }

    /// Whether every parameter is a number: training may break a model, and a file of such a one is refused.
    pub fn is_finite(&self) -> bool {
        self.parameters.iter().all(|parameter| parameter.is_finite())
    }

    /// The checkpoint in a file's bytes, if it is whole and, where something is expected, fits. Never panics, whatever the
    /// bytes are.
    ///
    /// # Errors
    /// The first thing that does not fit, in the order of [`CheckpointError`].
    pub fn from_bytes(bytes: &[u8], expected: Option<&Expectation>) -> Result<Self, CheckpointError> {
        let Contents { entry, tensors } = safetensors::read(bytes).map_err(|error| refused(error, bytes.len()))?;
        let entry = entry.ok_or_else(|| foreign(message!("its metadata has no entry of Klimb's")))?;
        if let Some(key) = json::doubled_key(&entry) {
            let reason = message!("its description has {} twice", shortened(&key));
            return Err(CheckpointError::Corrupt { reason });
        }
        let mut description: Description = json::from_text(&entry)
            .map_err(|error| foreign(message!("its description is unreadable: {}", error.message())))?;
        let announced = description.checksum.take();
        if description.format != FORMAT {
            return Err(CheckpointError::OtherFormat { found: description.format });
        }
        description.config.validated()?;
        if let Some(expected) = expected {
            expected.check(&description)?;
        }

        let layout = description.layout();
        let mut parameters = Vec::with_capacity(layout.len);
        for tensor in &layout.tensors {
            let name = &tensor.name;
            let stored = tensors.iter().find(|stored| stored.name == *name);
            let stored = stored.ok_or_else(|| CheckpointError::MissingTensor { tensor: name.clone() })?;
            if stored.dtype != F32 || stored.shape != tensor.shape {
                return Err(CheckpointError::WrongShape {
                    tensor: name.clone(),
                    expected: format!("{F32} {:?}", tensor.shape),
                    found: shortened(&format!("{} {:?}", stored.dtype, stored.shape)).into_owned(),
                });
            }
            let (words, rest) = stored.bytes.as_chunks();
            if words.len() != tensor.len() || !rest.is_empty() {
                return Err(CheckpointError::Corrupt {
                    reason: message!("the tensor {} has not the bytes of its shape", name),
                });
            }
            parameters.extend(words.iter().copied().map(f32::from_le_bytes));
        }
        if let Some(extra) = tensors.iter().find(|stored| layout.tensor(&stored.name).is_none()) {
            return Err(CheckpointError::ExtraTensor { tensor: shortened(&extra.name).into_owned() });
        }
        if announced != Some(checksum(&description, &parameters)) {
            return Err(CheckpointError::Corrupt { reason: message!("its checksum does not fit its contents") });
        }
        let is_broken =
            |range: std::ops::Range<usize>| parameters[range].iter().any(|parameter| !parameter.is_finite());
        if let Some(tensor) = layout.tensors.iter().find(|tensor| is_broken(tensor.range())) {
            return Err(CheckpointError::NotFinite { tensor: tensor.name.clone() });
        }
        let Description { stage, step, vocabulary_fingerprint, config, head, .. } = description;
        Ok(Self { config, vocabulary_fingerprint, step, stage, head, parameters })
    }
}

impl Expectation {
    /// Whether the description is of use here. The vocabulary first: where it differs, so do the sizes, and it says why.
    fn check(&self, description: &Description) -> Result<(), CheckpointError> {
        let (expected, found) = (&self.vocabulary_fingerprint, &description.vocabulary_fingerprint);
        if expected != found {
            let found = shortened(found).into_owned();
            return Err(CheckpointError::OtherVocabulary { expected: expected.clone(), found });
        }
        if let Some(expected) = self.config
            && expected != description.config
        {
            let found = sizes(&description.config);
            return Err(CheckpointError::OtherSizes { expected: sizes(&expected), found });
        }
        let stage = shortened(&description.stage).into_owned();
        match (self.head, description.head) {
            (true, false) => Err(CheckpointError::NoHead { stage }),
            (false, true) => Err(CheckpointError::UnexpectedHead { stage }),
            _ => Ok(()),
        }
    }
}

/// The sizes in words.
fn sizes(config: &ModelConfig) -> Message {
    let ModelConfig { vocabulary, context, width, layers, heads, own_unembedding } = config;
    let unembedding =
        if *own_unembedding { message!(", unembedding of its own") } else { Message::verbatim(String::new()) };
    message!(
        "vocabulary {}, context {}, width {}, layers {}, heads {}{}",
        vocabulary,
        context,
        width,
        layers,
        heads,
        unembedding
    )
}

fn foreign(reason: Message) -> CheckpointError {
    CheckpointError::Foreign { reason }
}

/// What the reader's complaint means for a person.
fn refused(error: Unreadable, bytes: usize) -> CheckpointError {
    match error {
        Unreadable::Truncated => CheckpointError::Truncated { bytes },
        Unreadable::Foreign => foreign(message!("it is not a safetensors file")),
        Unreadable::Damaged(reason) => CheckpointError::Corrupt { reason },
    }
}

/// Over the description and the parameters.
fn checksum(description: &Description, parameters: &[f32]) -> String {
    let numbers = parameters.iter().flat_map(|parameter| parameter.to_le_bytes());
    fingerprint(json::to_text(description).into_bytes().into_iter().chain(numbers))
}
