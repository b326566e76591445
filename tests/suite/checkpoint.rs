//! A checkpoint comes back exactly as it was, or not at all.

use std::collections::HashMap;

use klimb::model::{Checkpoint, CheckpointError, Expectation, Layout, ModelConfig, initial_parameters, with_zero_head};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

const CONFIG: ModelConfig =
    ModelConfig { vocabulary: 5, context: 3, width: 16, layers: 1, heads: 2, own_unembedding: false };

fn checkpoint() -> Checkpoint {
    Checkpoint {
        config: CONFIG,
        vocabulary_fingerprint: "5f3a".into(),
        step: 400,
        stage: "sft".into(),
        head: false,
        parameters: initial_parameters(&CONFIG, 1),
    }
}

fn expectation() -> Expectation {
    Expectation { config: Some(CONFIG), vocabulary_fingerprint: "5f3a".into(), head: false }
}

/// A tensor of a file being taken apart: name, number type, shape, bytes.
type Tensor = (String, Dtype, Vec<usize>, Vec<u8>);

/// The checkpoint's file, rewritten by another hand.
fn rewritten(change: impl FnOnce(&mut Vec<Tensor>, &mut HashMap<String, String>)) -> Vec<u8> {
    let bytes = checkpoint().to_bytes();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut metadata = header.metadata().clone().unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let take =
        |(name, view): (&str, TensorView)| (name.to_owned(), view.dtype(), view.shape().to_vec(), view.data().to_vec());
    let mut tensors: Vec<Tensor> = file.iter().map(take).collect();
    change(&mut tensors, &mut metadata);
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, data)| (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
    safetensors::serialize(views, Some(metadata)).unwrap()
}

fn refusal(bytes: &[u8]) -> CheckpointError {
    Checkpoint::from_bytes(bytes, Some(&expectation())).expect_err("the file must be refused")
}

#[test]
fn a_checkpoint_comes_back_exactly() {
    let bytes = checkpoint().to_bytes();
    assert_eq!(Checkpoint::from_bytes(&bytes, Some(&expectation())), Ok(checkpoint()));
    assert_eq!(Checkpoint::from_bytes(&bytes, None), Ok(checkpoint()));
    let any_size = Expectation { config: None, ..expectation() };
    assert_eq!(Checkpoint::from_bytes(&bytes, Some(&any_size)), Ok(checkpoint()));
    assert_eq!(checkpoint().to_bytes(), bytes, "the same checkpoint must be the same bytes");
}

#[test]
fn a_head_comes_back_too_and_only_where_one_is_wanted() {
    let language_model = checkpoint();
    let mut parameters = with_zero_head(&CONFIG, &language_model.parameters);
    *parameters.last_mut().unwrap() = 0.5;
    let reward_model = Checkpoint { stage: "reward_model".into(), head: true, parameters, ..checkpoint() };
    let bytes = reward_model.to_bytes();
    let with_head = Expectation { head: true, ..expectation() };
    assert_eq!(Checkpoint::from_bytes(&bytes, Some(&with_head)), Ok(reward_model.clone()));
    assert_eq!(Checkpoint::from_bytes(&bytes, None), Ok(reward_model));
    assert_eq!(refusal(&bytes), CheckpointError::UnexpectedHead { stage: "reward_model".into() });
    let error = Checkpoint::from_bytes(&language_model.to_bytes(), Some(&with_head)).unwrap_err();
    assert_eq!(error, CheckpointError::NoHead { stage: "sft".into() });
}

/// The shipped files were written before there were heads: what says nothing of a head has none, and is written so.
#[test]
fn a_language_model_is_described_as_before_there_were_heads() {
    let bytes = include_bytes!("../../www/assets/sft.safetensors");
    let shipped = Checkpoint::from_bytes(bytes, None).unwrap();
    assert!(!shipped.head);
    assert_eq!(shipped.to_bytes(), bytes);
    assert!(!String::from_utf8_lossy(bytes).contains("\\\"head\\\""));
}

#[test]
fn every_tensor_is_stored_under_its_name() {
    let bytes = checkpoint().to_bytes();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let layout = Layout::new(&CONFIG);
    assert_eq!(file.len(), layout.tensors.len());
    for tensor in &layout.tensors {
        let view = file.tensor(&tensor.name).unwrap();
        let numbers: Vec<f32> = view.data().as_chunks().0.iter().copied().map(f32::from_le_bytes).collect();
        assert_eq!((view.shape(), &numbers[..]), (&tensor.shape[..], &checkpoint().parameters[tensor.range()]));
    }
}

#[test]
fn a_file_cut_anywhere_is_called_so() {
    let bytes = checkpoint().to_bytes();
    for length in 0..bytes.len() {
        assert_eq!(refusal(&bytes[..length]), CheckpointError::Truncated { bytes: length });
    }
    assert_eq!(refusal(&[&bytes[..], b"more"].concat()), CheckpointError::Truncated { bytes: bytes.len() + 4 });
}

/// Every byte in turn: turned over entirely, and in its lowest bit only, which makes other digits, names and numbers.
#[test]
fn a_file_with_a_changed_byte_is_refused() {
    let mut bytes = checkpoint().to_bytes();
    for index in 0..bytes.len() {
        for mask in [0xff, 0x01] {
            bytes[index] ^= mask;
            let result = Checkpoint::from_bytes(&bytes, None);
            assert!(result.is_err(), "byte {index} changed by {mask:#x} was not noticed");
            bytes[index] ^= mask;
        }
    }
}

#[test]
fn other_files_are_called_foreign() {
    assert!(matches!(refusal(b"\x89PNG\r\n\x1a\n and so on, an image"), CheckpointError::Foreign { .. }));
    let without_entry = rewritten(|_, metadata| metadata.clear());
    assert!(matches!(refusal(&without_entry), CheckpointError::Foreign { .. }));
    let other_entry = rewritten(|_, metadata| _ = metadata.insert("klimb".into(), "pt".into()));
    assert!(matches!(refusal(&other_entry), CheckpointError::Foreign { .. }));
}

#[test]
fn another_vocabulary_and_other_sizes_are_named() {
    let bytes = checkpoint().to_bytes();
    let refused = |expected: Expectation| Checkpoint::from_bytes(&bytes, Some(&expected)).unwrap_err();
    let error = refused(Expectation { vocabulary_fingerprint: "77aa".into(), ..expectation() });
    assert_eq!(error, CheckpointError::OtherVocabulary { expected: "77aa".into(), found: "5f3a".into() });
    let error = refused(Expectation { config: Some(ModelConfig { width: 32, ..CONFIG }), ..expectation() });
    assert!(matches!(error, CheckpointError::OtherSizes { .. }));
    let sentence = error.to_string();
    assert!(sentence.contains("width 16") && sentence.contains("width 32"), "{sentence}");
}

#[test]
fn a_description_that_cannot_be_is_refused() {
    let with = |from: &str, to: &str| {
        let change = |_: &mut Vec<Tensor>, metadata: &mut HashMap<String, String>| {
            let entry = metadata.get_mut("klimb").unwrap();
            assert!(entry.contains(from), "{entry}");
            *entry = entry.replace(from, to);
        };
        Checkpoint::from_bytes(&rewritten(change), None).unwrap_err()
    };
    assert_eq!(with("\"format\":1", "\"format\":2"), CheckpointError::OtherFormat { found: 2 });
    assert!(matches!(with("\"heads\":2", "\"heads\":3"), CheckpointError::ImpossibleSizes(_)));
    assert!(matches!(with("\"width\":16", "\"width\":18446744073709551615"), CheckpointError::ImpossibleSizes(_)));
    assert!(matches!(with("\"step\":400", "\"step\":401"), CheckpointError::Corrupt { .. }));
}

#[test]
fn missing_extra_and_misshapen_tensors_are_named() {
    let missing = rewritten(|tensors, _| tensors.retain(|tensor| tensor.0 != "l0.wo"));
    assert_eq!(refusal(&missing), CheckpointError::MissingTensor { tensor: "l0.wo".into() });
    let extra = rewritten(|tensors, _| tensors.push(("head".into(), Dtype::F32, vec![1], vec![0; 4])));
    assert_eq!(refusal(&extra), CheckpointError::ExtraTensor { tensor: "head".into() });
    let find = |tensors: &mut Vec<Tensor>| tensors.iter().position(|tensor| tensor.0 == "l0.wqkv").unwrap();
    let turned = rewritten(|tensors, _| {
        let index = find(tensors);
        tensors[index].2 = vec![48, 16];
    });
    let wrong = |found: &str| CheckpointError::WrongShape {
        tensor: "l0.wqkv".into(),
        expected: "F32 [16, 48]".into(),
        found: found.into(),
    };
    assert_eq!(refusal(&turned), wrong("F32 [48, 16]"));
    let integers = rewritten(|tensors, _| {
        let index = find(tensors);
        tensors[index].1 = Dtype::I32;
    });
    assert_eq!(refusal(&integers), wrong("I32 [16, 48]"));
}

/// What one reader takes last and another first is refused by both, and by name.
#[test]
fn what_a_header_names_twice_is_named() {
    let bytes = checkpoint().to_bytes();
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header = std::str::from_utf8(header).unwrap().trim_end();
    let with = |more: &str| {
        let header = format!("{{{more},{}", &header[1..]);
        let length = (header.len() as u64).to_le_bytes();
        refusal(&[&length, header.as_bytes(), data].concat()).to_string()
    };
    let tensor = r#""l0.wo":{"dtype":"F32","shape":[16,16],"data_offsets":[0,1024]}"#;
    for (more, name) in [(tensor, "l0.wo"), (r#""__metadata__":{}"#, "__metadata__")] {
        let sentence = with(more);
        assert!(sentence.contains("twice") && sentence.contains(name), "{sentence}");
    }
    let within = with(r#""x":{"dtype":"F32","dtype":"I32"}"#);
    assert!(within.contains("dtype twice"), "{within}");
    let twice = format!(r#""{0}":1,"{0}":2"#, "é".repeat(50_000));
    assert!(with(&twice).len() < 1000, "a long name is shortened");
    let entry = rewritten(|_, metadata| {
        let entry = metadata.get_mut("klimb").unwrap();
        *entry = entry.replacen('{', "{\"step\":1,", 1);
    });
    assert!(refusal(&entry).to_string().contains("step twice"), "{}", refusal(&entry));
}

#[test]
fn a_problem_is_told_without_the_remedy_of_a_chosen_file() {
    let bytes = checkpoint().to_bytes();
    let other = Expectation { vocabulary_fingerprint: "0:0".into(), ..expectation() };
    for error in [
        refusal(&bytes[..50]),
        refusal(b"{}"),
        Checkpoint::from_bytes(&bytes, Some(&other)).unwrap_err(),
        refusal(&rewritten(|tensors, _| tensors.truncate(1))),
        refusal(&rewritten(|_, metadata| *metadata.get_mut("klimb").unwrap() = "{\"a\": 1}".into())),
    ] {
        let (sentence, problem) = (error.to_string(), error.problem());
        let remedy = sentence.strip_prefix(&problem).unwrap();
        assert!(["fetch", "choose"].iter().any(|it| remedy[2..].starts_with(it)), "{sentence} | {problem}");
    }
}

#[test]
fn numbers_that_are_not_finite_are_refused_with_their_tensor() {
    for broken in [f32::NAN, f32::INFINITY] {
        let mut checkpoint = checkpoint();
        checkpoint.parameters[Layout::new(&CONFIG).tensor("l0.w1").unwrap().offset + 3] = broken;
        assert_eq!(refusal(&checkpoint.to_bytes()), CheckpointError::NotFinite { tensor: "l0.w1".into() });
    }
}
